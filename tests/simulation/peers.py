"""The outside world, and what really happened there: mailbox, relay, DPI, table, store."""

import hashlib
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from pfi.errors import Misconfigured, OutcomeUnknown, Refused, Unavailable
from pfi.hl7.mllp import Message
from pfi.journey.ports import Change, MailGone, Put, Row
from pfi.journey.records import Dossier
from pfi.mail.outbound import Outgoing
from pfi.names import Reason
from tests.doubles.memory import MemoryStore, MemoryTable, ack
from tests.simulation.weather import Weather
from tests.simulation.world import Worker, World


class WatchedTable(MemoryTable):
    """The ledger double, indexed by partition; `written` sees every change."""

    def __init__(self) -> None:
        super().__init__()
        self.partitions: dict[str, dict[str, Row]] = defaultdict(dict)
        self.written: Callable[[Row, Row | None], None] = lambda _new, _old: None

    def partition(self, pk: str, prefix: str = "") -> tuple[Row, ...]:
        rows = self.partitions.get(pk, {})
        return tuple(rows[sk] for sk in sorted(rows) if sk.startswith(prefix))

    def write(self, *writes: Put | Change) -> bool:
        before = {(each.pk, each.sk): self.rows.get((each.pk, each.sk)) for each in writes}
        if not super().write(*writes):
            return False
        for place, old in before.items():
            row = self.rows[place]
            self.partitions[row.pk][row.sk] = row
            self.written(row, old)
        return True


class EventfulStore(MemoryStore):
    """The store double; each new mail and each new dossier makes an event."""

    def __init__(self) -> None:
        super().__init__()
        self.created: Callable[[str], None] = lambda _key: None

    def put_mail(self, mailbox: str, mail: str, raw: bytes) -> str:
        key = super().put_mail(mailbox, mail, raw)
        self.created(key)
        return key

    def put_dossier(
        self, key: str, dossier: Dossier, contents: Sequence[bytes] = (), *, anew: bool = False
    ) -> bool:
        stored = super().put_dossier(key, dossier, contents, anew=anew)
        if stored:
            self.created(key)
        return stored


@dataclass
class Box:
    """One mailbox at the operator."""

    validity: int = 1
    next_uid: int = 1
    inbox: dict[int, bytes] = field(default_factory=dict)
    folders: dict[str, list[bytes]] = field(default_factory=lambda: defaultdict(list))
    poison: set[bytes] = field(default_factory=set)
    taken: set[bytes] = field(default_factory=set)
    away_until: float = 0.0

    def deliver(self, raw: bytes) -> None:
        self.inbox[self.next_uid] = raw
        self.next_uid += 1

    def renumber(self) -> None:
        """The operator rebuilt the mailbox: every UID is new."""
        self.validity += 1
        mails = list(self.inbox.values())
        self.inbox, self.next_uid = {}, 1
        for raw in mails:
            self.deliver(raw)

    def take(self, rng: random.Random) -> None:
        """A person moves a mail away."""
        if self.inbox:
            uid = rng.choice(sorted(self.inbox))
            self.taken.add(self.inbox.pop(uid))


class Session:
    """One IMAP session: dead after a cut, or when the mailbox was renumbered under it."""

    def __init__(self, box: Box, call: Callable[..., Any], fault: Callable[[str], bool]) -> None:
        self._box, self._call, self._fault = box, call, fault
        self.uid_validity = box.validity
        self._cut = False

    def listing(self) -> list[tuple[int, int]]:
        return self._do("imap.list", lambda: [(u, len(r)) for u, r in self._box.inbox.items()])

    def header(self, uid: int) -> bytes:
        return self._do("imap.header", lambda: self._raw(uid).partition(b"\r\n\r\n")[0])

    def fetch(self, uid: int, size: int) -> bytes:
        return self._do("imap.fetch", lambda: self._whole(uid))

    def move(self, uid: int, folder: str) -> None:
        self._do("imap.move", lambda: self._move(uid, folder))

    def close(self) -> None:
        return

    def _do(self, name: str, effect: Callable[[], Any]) -> Any:
        def on_the_wire() -> Any:
            if self._cut or self.uid_validity != self._box.validity or self._fault("imap_cut"):
                self._broken()
            return effect()

        try:
            return self._call(name, on_the_wire, Reason.MAILBOX_UNAVAILABLE)
        except Unavailable:
            self._cut = True
            raise

    def _broken(self) -> None:
        self._cut = True
        raise Unavailable(Reason.MAILBOX_UNAVAILABLE)

    def _raw(self, uid: int) -> bytes:
        if uid not in self._box.inbox:
            raise MailGone
        return self._box.inbox[uid]

    def _whole(self, uid: int) -> bytes:
        raw = self._raw(uid)
        if raw in self._box.poison:
            self._broken()
        return raw

    def _move(self, uid: int, folder: str) -> None:
        if uid not in self._box.inbox:
            return
        self._box.folders[folder].append(self._box.inbox[uid])
        if self._fault("imap_half_move"):
            self._broken()  # copied, not yet expunged
        del self._box.inbox[uid]


@dataclass(eq=False)
class Sent:
    """One mail that the relay took; `lost` when nobody could write down its 250."""

    mail: Outgoing
    worker: Worker
    hurt: int
    lost: bool = False


@dataclass(eq=False)
class Accepted:
    """One message that the DPI integrated; `lost` when nobody could write down its ACK."""

    control_id: str
    digest: str
    worker: Worker | None
    hurt: int = 0
    late: bool = False
    lost: bool = False


class Relay:
    """SMTP submission."""

    def __init__(self, world: World, weather: Weather, fault: Callable[[str], bool]) -> None:
        self.world, self.weather, self.fault = world, weather, fault
        self.sent: list[Sent] = []
        self.refused: set[str] = set()
        self.away_until = 0.0
        self.rejects: set[str] = set()
        self.took: Callable[[Sent], None] = lambda _sent: None

    def send(self, mail: Outgoing) -> None:
        if self.world.elapsed < self.away_until or self.fault("smtp_4xx"):
            raise Unavailable(Reason.RELAY_UNAVAILABLE)
        if mail.recipient in self.rejects or self.fault("smtp_5xx"):
            self.refused.add(mail.message_id)
            raise Refused(Reason.RELAY_REFUSED, code="550")
        if self.fault("smtp_deaf"):
            raise OutcomeUnknown(Reason.RELAY_UNAVAILABLE)
        worker = self.world.alive()
        sent = Sent(mail, worker, worker.hurt)
        self.sent.append(sent)
        sent.worker.accepted.append(sent)
        self.took(sent)
        if self.fault("smtp_drop"):
            sent.lost = True
            raise OutcomeUnknown(Reason.RELAY_UNAVAILABLE)


class Dpi:
    """The hospital's DPI. `refuses` are documents (by content) that it never integrates."""

    TIME_OUT_S = 60

    def __init__(self, world: World, weather: Weather, fault: Callable[[str], bool]) -> None:
        self.world, self.weather, self.fault = world, weather, fault
        self.accepted: list[Accepted] = []
        self.known: dict[str, str] = {}
        self.away_until = 0.0
        self.mistrusted_until = 0.0
        self.inside = self.most_inside = self.asked = self._starts = 0
        self.verdict: Callable[[bytes], str] = lambda _message: "AA"
        self.came: Callable[[str, bytes], None] = lambda _control_id, _message: None
        self.began: Callable[[int], None] = lambda _inside: None
        self.took: Callable[[Accepted], None] = lambda _accepted: None
        self.unanswered: Counter[str] = Counter()

    def exchange(self, pieces: Message, control_id: str) -> bytes:
        message = b"".join(pieces)
        self.asked += 1
        self._reachable()
        self.inside += 1
        self.began(self.inside)
        self.most_inside = max(self.most_inside, self.inside)
        started = self._starts
        try:
            answer = self._exchange(message, control_id)
        finally:
            self.inside -= 1
        if started != self._starts:  # its connections are gone, and what it wanted to say
            self._lose_last(control_id)
            raise OutcomeUnknown(Reason.DPI_OUTCOME_UNKNOWN)
        return answer

    def _exchange(self, message: bytes, control_id: str) -> bytes:
        self.world.pause(self.world.rng.uniform(0.01, 2))
        self.came(control_id, message)
        if self.fault("dpi_deaf"):
            self._time_out(control_id)
        if self.fault("dpi_busy"):
            return ack("AR", control_id)
        if self.fault("dpi_late"):
            delay = self.world.rng.uniform(self.TIME_OUT_S, 900)
            self.world.after(delay, lambda: self._integrate(control_id, message, None))
            self._time_out(control_id)
        answer = self._answer(control_id, message)
        if self.fault("dpi_stranger"):
            self._lose_last(control_id)
            return ack("CA", control_id)
        if self.fault("dpi_drop"):
            self._lose_last(control_id)
            self._time_out(control_id)
        self.world.pause(self.world.rng.uniform(0.01, 2))
        return ack(answer, control_id)

    def _reachable(self) -> None:
        if self.fault("dpi_outage"):
            self.away_until = self.world.elapsed + self.world.rng.choice((30.0, 600.0, 6000.0))
        if self.fault("dpi_restart"):
            self._restart()
        if self.world.elapsed < min(self.away_until, self.weather.fair_after):
            raise Unavailable(Reason.DPI_UNAVAILABLE)
        if self.world.elapsed < self.mistrusted_until or self.fault("dpi_misconfigured"):
            raise Misconfigured(Reason.CERTIFICATE)

    def _restart(self) -> None:
        """Away for a moment; every exchange that is under way is cut."""
        self._starts += 1
        self.away_until = self.world.elapsed + self.world.rng.uniform(1, 60)

    def _time_out(self, control_id: str) -> None:
        self.unanswered[control_id] += 1
        self.world.pause(self.TIME_OUT_S)
        raise OutcomeUnknown(Reason.DPI_OUTCOME_UNKNOWN)

    def _answer(self, control_id: str, message: bytes) -> str:
        verdict = self.verdict(message)
        if verdict != "AA":
            return verdict
        digest = hashlib.sha256(message).hexdigest()
        if self.weather.dpi_repeats != "accepts" and self.known.get(control_id) == digest:
            return "AE 205" if self.weather.dpi_repeats == "205" else "AA"
        self._integrate(control_id, message, self.world.alive())
        return "AA"

    def _integrate(self, control_id: str, message: bytes, worker: Worker | None) -> None:
        digest = hashlib.sha256(message).hexdigest()
        if worker is None:  # late: the same rules, only nobody listens any more
            repeated = self.known.get(control_id) == digest
            if self.verdict(message) != "AA" or (
                repeated and self.weather.dpi_repeats != "accepts"
            ):
                return
        self.known[control_id] = digest
        late = worker is None
        hurt = worker.hurt if worker else 0
        accepted = Accepted(control_id, digest, worker, hurt, late=late, lost=late)
        self.accepted.append(accepted)
        if worker is not None:
            worker.accepted.append(accepted)
        self.took(accepted)

    def _lose_last(self, control_id: str) -> None:
        for accepted in reversed(self.accepted):
            if accepted.control_id == control_id:
                accepted.lost = True
                return
