"""What must always hold (design §6), checked at every write, message and delivery, and at the end.

A check that fails raises `Broken` with the name of the invariant: it stops the run.
"""

import hashlib
from base64 import b64encode
from collections import Counter, defaultdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pfi.journey.ledger import Ledger
from pfi.journey.ports import Row
from pfi.journey.records import MailState
from pfi.names import Integration, Leg, Route, Step
from tests.simulation.peers import Accepted, Box, Relay, Sent, WatchedTable
from tests.simulation.population import Letter
from tests.simulation.queues import Message, Queue, Queues
from tests.simulation.world import Broken, Worker, World

if TYPE_CHECKING:
    from collections.abc import Callable

_STATES = [each.value for each in MailState]
_ENDED = {each.value for each in Integration if each.ended}
_GOOD_ROUTES = {Route.INTEGRATED, Route.DUPLICATE, Route.REVIEW}
_BAD_ROUTES = {Route.FORWARDED, Route.REPLIED, Route.DUPLICATE, Route.REVIEW, Route.FILED}


def must(holds: object, invariant: str, *about: object) -> None:
    """The invariant holds, or the run stops."""
    if not holds:
        raise Broken(f"{invariant}: {' '.join(str(each)[:70] for each in about)}")


class Witness:
    """Sees everything, knows the truth about every letter."""

    def __init__(
        self, world: World, table: WatchedTable, queues: Queues, boxes: dict[str, Box], relay: Relay
    ) -> None:
        self.world, self.table, self.queues, self.boxes = world, table, queues, boxes
        self.relay = relay
        self.ledger = Ledger(table, world.clock)
        self.letters: dict[str, Letter] = {}
        self.refuses: set[bytes] = set()
        self.control_ids: dict[str, tuple[str, int]] = {}
        self.sequence = 0
        self.joined: dict[tuple[str, str], int] = {}
        self.decided: dict[str, int] = {}
        self.accepted: dict[tuple[str, int], list[tuple[int, Accepted]]] = defaultdict(list)
        self.unanswered: Counter[str] = Counter()
        self.sent: dict[str, list[Sent]] = defaultdict(list)
        self.leases: set[tuple[str, str]] = set()
        self.pace: Any = None
        self.spoken_at = -3600.0
        self.held: set[tuple[str, str]] = set()
        self.resends = 3
        self.gives_up = False
        """The hold may end before the DPI is back: then a good mail goes to a person."""
        self.may_leave: Callable[[Letter, int], bool] = lambda letter, _sends: letter.good
        self.text: Callable[[str, str], None] = lambda _where, _text: None

    # every write of the ledger

    def written(self, new: Row, old: Row | None) -> None:
        """A state only moves forward, an end never changes."""
        self.sequence += 1
        self.text("ledger key", f"{new.pk} {new.sk}")
        if new.sk == "MAIL":
            self._mail_written(new.data, old.data if old else {})
        elif new.sk.startswith("DOC#"):
            self._document_written(new.data, old.data if old else {})
        elif new.sk == "LEASE":
            self._lease_written(new, old)
        elif new.sk == "CHAIN":
            for link in new.data["links"]:
                self.joined.setdefault((new.pk[6:], link["holder"]), self.sequence)

    def _mail_written(self, new: Any, old: Any) -> None:
        if not old:
            return
        name = new["mail"][:12]
        forward = _STATES.index(new["state"]) >= _STATES.index(old["state"])
        must(forward, "state goes back", name, old["state"], new["state"])
        must(new["review"] or not old["review"], "review mark lost", name)
        if new["state"] == MailState.SETTLED and new["route"] == Route.INTEGRATED:
            must(self._integrated(new["mail"]), "integrated without its documents", name)
        if old["state"] == MailState.SETTLED:
            for field in ("state", "route", "reason", "mdn", "forward", "answer", "settled_at"):
                must(new[field] == old[field], "settled mail changed", name, field)

    def _document_written(self, new: Any, old: Any) -> None:
        place = (new["mail"], new["number"])
        if new["control_id"]:
            known = self.control_ids.setdefault(new["control_id"], place)
            must(known == place, "MSH-10 of two documents", new["control_id"])
        self.decided.setdefault(_holder(place), self.sequence)
        if not old:
            return
        if old["integration"] in _ENDED:
            must(new == old, "ended document changed", place[0][:12], old["integration"])
        if old["control_id"]:
            must(new["control_id"] == old["control_id"], "MSH-10 changed", place[0][:12])

    # every session on a mailbox: one collector at a time, until its lease is over (mail-edge §4.1)

    def opened(self, mailbox: str) -> None:
        """No session without a lease."""
        lease = (mailbox, str(self.world.alive().number))
        must(lease in self.leases, "session without a lease", *lease)

    def _lease_written(self, new: Row, old: Row | None) -> None:
        """Nobody takes a lease that somebody else holds."""
        self.leases.add((new.pk.removeprefix("LEASE#"), new.data["owner"]))
        if old is None or old.data["owner"] == new.data["owner"]:
            return
        over = datetime.fromisoformat(old.data["until"]) <= self.world.clock.now
        must(over, "lease taken while it is held", new.pk)

    # every message that the DPI gets

    def came(self, control_id: str, message: bytes) -> None:
        """The ledger said so before; the patient is the right one; the bytes are the document."""
        place = self.control_ids.get(control_id)
        must(place, "bytes left before the ledger said so", control_id)
        assert place is not None
        known = self.ledger.document(*place)
        assert known is not None
        record, letter = known.record, self.letters[place[0]]
        name = place[0][:12]
        must(record.integration is Integration.SENT, "sent while", record.integration, name)
        allowed = self.may_leave(letter, record.sends)
        must(allowed, "MDM of a mail that does not match", letter.kind, name)
        pid = next(each for each in message.split(b"\r") if each.startswith(b"PID|"))
        right = pid.split(b"|")[3].startswith(letter.patient.matricule.encode() + b"^")
        must(right, "wrong patient", letter.kind, name)
        must(b64encode(letter.contents[place[1] - 1]) in message, "wrong document", name)
        must(record.sends <= 1 + self.resends, "resent too often", name, record.sends)
        must(self.unanswered[control_id] <= self.resends, "sent again after too many", name)

    def began(self, inside: int) -> None:
        """As many exchanges at once as the DPI accepts, and not sooner than it wants."""
        since = self.world.elapsed - self.spoken_at
        if self.pace is not None and self.pace.paced:
            must(inside <= 1, "two exchanges at once", inside)
            must(since >= self.pace.min_interval_s, "exchanges too close", since)
        self.spoken_at = self.world.elapsed

    def took(self, accepted: Accepted) -> None:
        """Acceptances of one document, in order."""
        self.sequence += 1
        self.world.note("DPI accepted", accepted.control_id)
        self.accepted[self.control_ids[accepted.control_id]].append((self.sequence, accepted))

    # every mail that leaves

    def relayed(self, sent: Sent) -> None:
        """Only to whom it is owed, and never for a mail that must stay unanswered."""
        mail = self.ledger.sent_by_us(sent.mail.message_id)
        must(mail, "mail left before its Message-ID was noted", sent.mail.message_id)
        assert mail is not None
        self.world.note("relay took", f"{mail[:8]} to {sent.mail.recipient}")
        letter = self.letters[mail]
        must(_is_forward(sent) or not letter.silent, "answer to a mail that gets none", letter.kind)
        self.sent[mail].append(sent)

    # a worker is over: what it could not write down is lost

    def ended(self, worker: Worker) -> None:
        """An answer that met a fault before it was written down counts as lost."""
        for thing in worker.accepted:
            if worker.hurt > thing.hurt and not thing.lost:
                thing.lost = not self._recorded(thing)

    def _recorded(self, thing: Accepted | Sent) -> bool:
        if isinstance(thing, Accepted):
            known = self.ledger.document(*self.control_ids[thing.control_id])
            return known is not None and known.record.integration is Integration.INTEGRATED
        mail = self.ledger.mail(self.ledger.sent_by_us(thing.mail.message_id) or "")
        assert mail is not None
        leg = "forward" if _is_forward(thing) else "answer"
        return getattr(mail.record, leg) is Leg.SENT

    # a message was consumed: somebody else must carry its mail on (design §6.1)

    def deleted(self, _queue: Queue, message: Message) -> None:
        """In flight, settled or in review, at every moment."""
        if message.ghost or not message.mail:
            return
        must(self._accounted(message.mail), "nobody carries", message.mail[:12], _queue.step)

    def _accounted(self, mail: str) -> bool:
        known = self.ledger.mail(mail)
        if known is None:
            reviews = self.ledger.reviews(mail) or self._reviewed_by_name(self.letters[mail])
            return bool(self.queues.carriers(mail) or reviews)
        record = known.record
        if record.state is MailState.SETTLED or record.review:
            return True
        carriers = self.queues.carriers(mail)
        if any(queue.dead for queue, _ in carriers):
            return True
        steps = {(queue.step, message.document) for queue, message in carriers}
        if {(Step.PARSE, None), (Step.MATCH, None)} & steps:
            return True
        undecided = record.state in (MailState.RECEIVED, MailState.READ)
        return not undecided and self._documents_carried(mail, steps)

    def _documents_carried(self, mail: str, steps: set[tuple[Step, int | None]]) -> bool:
        documents = [each.record for each in self.ledger.documents(mail)]
        waiting = [each for each in documents if not each.integration.ended]
        if not waiting:
            return any(step in (Step.FORWARD, Step.PUSH) for step, _ in steps)
        return all((Step.PUSH, each.number) in steps for each in waiting)

    # the end: faults are over and every queue is empty

    def end(self) -> None:
        """Everything that can only be said when nothing moves any more."""
        for box in self.boxes.values():
            must(not box.inbox, "mail left in the mailbox", len(box.inbox))
        for queue in self.queues.all():
            must(not queue.messages, "message left in a queue", queue.arn)
        self.held = {self._version(*place) for place, found in self.accepted.items() if found}
        for digest, letter in self.letters.items():
            self._mail_ended(digest, letter)
        self._chains_ended()
        self._accepted_once()
        self._accepted_in_order()

    def _mail_ended(self, digest: str, letter: Letter) -> None:
        known = self.ledger.mail(digest)
        name = f"{letter.kind} {digest[:12]}"
        if known is None:
            must(self._explained_without_row(letter), "mail lost", name)
            return
        record = known.record
        reviews = self.ledger.reviews(digest)
        # A job given up before its mail was committed leaves an item, but there is no row to mark.
        marked = [each for each in reviews if each.recorded_at >= record.received_at]
        must(record.review or not marked, "review item without mark", name)
        must(reviews or not record.review, "review mark without item", name)
        settled = record.state is MailState.SETTLED
        must(settled or record.review, "mail neither settled nor in review", name, record.state)
        must(record.route, "no route", name)
        must(settled or record.route is Route.REVIEW, "in review with a route", name)
        if settled:
            self._right_route(record, letter, name)
            self._right_mails(record, name)

    def _explained_without_row(self, letter: Letter) -> bool:
        taken = any(letter.raw in box.taken for box in self.boxes.values())
        aside = any(letter.raw in box.folders["PFI-A-revoir"] for box in self.boxes.values())
        return taken or aside or bool(self._reviewed_by_name(letter))

    def _reviewed_by_name(self, letter: Letter) -> object:
        """What was dropped under another name and never read is reviewed by the name's digest."""
        return self.ledger.reviews(hashlib.sha256(letter.dropped.encode()).hexdigest())

    def _right_route(self, record: Any, letter: Letter, name: str) -> None:
        routes = _GOOD_ROUTES if letter.good else _BAD_ROUTES
        refused = any(content in self.refuses for content in letter.contents)
        if letter.good and (refused or self.gives_up or letter.changing):
            routes = routes | {Route.FORWARDED, Route.REPLIED}
        must(record.route in routes, "wrong route", name, record.route, record.reason)
        if record.route is Route.INTEGRATED:
            must(self._integrated(record.mail), "integrated without its documents", name)
        for each in self.ledger.documents(record.mail):
            self._document_ended(each.record, name)

    def _integrated(self, mail: str) -> bool:
        documents = [each.record.integration for each in self.ledger.documents(mail)]
        return bool(documents) and set(documents) == {Integration.INTEGRATED}

    def _document_ended(self, record: Any, name: str) -> None:
        place = (record.mail, record.number)
        mine = self.accepted.get(place, [])
        others = (record.chain, record.version) in self.held
        if record.integration is Integration.INTEGRATED:
            must(others if record.repeated else mine, "integrated but not at the DPI", name)
        if record.integration in (Integration.REFUSED, Integration.NOT_OWED):
            must(not mine, "at the DPI but", record.integration, name)
        if record.integration is Integration.UNKNOWN or len(mine) > 1:
            must(self.ledger.reviews(record.mail), "in doubt but not in review", name)

    def _version(self, mail: str, number: int) -> tuple[str, str]:
        known = self.ledger.document(mail, number)
        assert known is not None
        return known.record.chain, known.record.version

    def _right_mails(self, record: Any, name: str) -> None:
        """Each mail owed left; a forward once more for each lost 250, an answer never (N-04)."""
        forwards = [s for s in self.sent[record.mail] if _is_forward(s)]
        answers = [s for s in self.sent[record.mail] if not _is_forward(s)]
        for what, found in (("forward", forwards), ("answer", answers)):
            lost = sum(each.lost for each in found) if what == "forward" else 0
            must(len(found) <= 1 + lost, f"{what} left twice", name, len(found), lost)
            ids = {(each.mail.message_id, each.mail.recipient) for each in found}
            must(len(ids) <= 1, f"two different {what} mails", name)
            said = getattr(record, what)
            must(said is not Leg.SENT or found, f"{what} said sent and never left", name)
        if record.route is Route.FORWARDED:
            must(forwards, "forward missing", name)
        if record.route is Route.REPLIED:
            must(answers, "answer missing", name)
        if record.route is Route.INTEGRATED and self.letters[record.mail].asks:
            must(record.answer is not Leg.NOT_OWED, "answer missing", name)
        processed = any(b"; processed\r\n" in each.mail.content for each in answers)
        error = any(b"rocessed/" in each.mail.content for each in answers)
        must(not (processed and error), "contradicting answers", name)
        if processed:
            must(record.route is Route.INTEGRATED, "MDN processed but", record.route, name)

    def _chains_ended(self) -> None:
        """No link may hold back others for ever unless its mail waits for a person."""
        for (pk, sk), row in self.table.rows.items():
            if sk != "CHAIN":
                continue
            for link in row.data["links"]:
                mail, _, number = link["holder"].partition("#")
                self._link_ended(pk, link, mail, int(number))

    def _link_ended(self, pk: str, link: Any, mail: str, number: int) -> None:
        known, document = self.ledger.mail(mail), self.ledger.document(mail, number)
        state = Integration(link["integration"])
        if document is not None:
            same = document.record.integration is state
            must(same, "chain and document differ", mail[:12], state, document.record.integration)
        waits = known is not None and known.record.state is not MailState.SETTLED
        must(state.ended or waits, "link of a settled mail never ends", pk[6:14], mail[:12])

    def _accepted_once(self) -> None:
        """One acceptance, and one more for each ACK that was lost; always the same bytes."""
        chains: dict[str, list[tuple[int, str, Accepted]]] = defaultdict(list)
        for place, found in self.accepted.items():
            must(len({each.digest for _, each in found}) == 1, "other bytes", place[0][:12])
            chain, version = self._version(*place)
            chains[chain] += [(at, version, each) for at, each in found]
        for chain, accepted_here in chains.items():
            run: list[Accepted] = []
            last = ""
            for _, version, accepted in sorted(accepted_here, key=lambda each: each[0]):
                run = run if version == last else []
                last = version
                if accepted.late:
                    continue  # integrated after we gave up waiting: lost by definition
                run.append(accepted)
                allowed = 1 + sum(each.lost for each in run)
                must(len(run) <= allowed, "accepted twice", chain[:12], len(run), allowed - 1)
                must(len({e.control_id for e in run}) == 1, "accepted from two mails", chain[:12])

    def _accepted_in_order(self) -> None:
        """Of two links of a chain (or parent and child), the earlier one is accepted first."""
        for place in [place for place, found in self.accepted.items() if found]:
            known = self.ledger.document(*place)
            assert known is not None
            record, holder = known.record, _holder(place)
            mine = self._link(record.chain, holder)
            first = min(at for at, _ in self.accepted[place])
            for key in filter(None, (record.chain, record.parent_chain)):
                for link in self.ledger.chain(key).record.links:
                    before = link.holder != holder and link.order < mine.order
                    seen = self.joined[key, link.holder] < self.decided[holder]
                    if before and seen:
                        self._before(link.holder, first, place[0])

    def overtaken(self) -> int:
        """Documents accepted before one of their chain that was delivered earlier (not yet an
        invariant: a mail that is still being read holds back nobody)."""
        order = {mail: rank for rank, mail in enumerate(self.letters)}
        found = 0
        for place in [place for place, accepted in self.accepted.items() if accepted]:
            known = self.ledger.document(*place)
            assert known is not None
            first = min(at for at, _ in self.accepted[place])
            for key in filter(None, (known.record.chain, known.record.parent_chain)):
                for link in self.ledger.chain(key).record.links:
                    mail, _, number = link.holder.partition("#")
                    late = [at for at, each in self.accepted.get((mail, int(number)), [])]
                    earlier = order[mail] < order[place[0]]
                    found += bool(earlier and late and min(late) > first)
        return found

    def _link(self, key: str, holder: str) -> Any:
        return self.ledger.chain(key).record.link(holder)

    def _before(self, holder: str, first: int, child: str) -> None:
        mail, _, number = holder.partition("#")
        for at, accepted in self.accepted.get((mail, int(number)), []):
            ordered = at < first or accepted.late
            must(ordered, "child accepted before its parent", mail[:12], child[:12])


def _is_forward(sent: Sent) -> bool:
    return sent.mail.message_id.startswith("<pfi.forward.")


def _holder(place: tuple[str, int]) -> str:
    return f"{place[0]}#{place[1]:04}"
