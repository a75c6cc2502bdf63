"""The manual review of an installation: what waits for a person, and what the person does with it.

An item is first written « relance », still in the index, then its job is sent, then it leaves the
index: a command stopped in between is seen in the list and may be repeated. What one transaction
cannot hold is written in several, documents with their chains first, the mail with its items last.
Every act is a row of the partition ``JOURNAL#<mail>`` (not ``REVIEW#``: that holds items alone).
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Any, Final, Protocol

from pydantic import TypeAdapter

from infra.operations import stopped
from infra.operations.account import OperationRefused
from infra.operations.redriving import Move, chain_change, move_of, step_of
from infra.operations.transactions import Groups, transactions
from pfi.errors import Unavailable
from pfi.journey.chains import Chain
from pfi.journey.jobs import Job
from pfi.journey.keys import chain_keys
from pfi.journey.ledger import Ledger, Versioned
from pfi.journey.ports import Put, Row, Store
from pfi.journey.records import DocumentRecord, Dossier, MailRecord, MailState, ReviewItem
from pfi.journey.settings import Settings
from pfi.names import Integration, Leg, Reason, Route, Step

OPEN: Final = "open"
REDRIVING: Final = "redriving"
REDRIVEN: Final = "redriven"
CLOSED: Final = "closed"
INDEX: Final = "REVIEW#open"
MOST_TRIES: Final = 5
_ITEM: Final = TypeAdapter(ReviewItem)
_LEGS: Final = ("forward", "answer")

Documents = tuple[Versioned[DocumentRecord], ...]
Keys = Iterable[tuple[str, str]]
"""Partition and sort keys of the open items, oldest first."""


class Queues(Protocol):
    """The queues of the steps; `parse` is fed by arrivals, not by jobs."""

    def send(self, step: Step, job: Job, lane: str = "") -> None:
        """Give a job to a step, a push to the lane of its DPI."""
        ...

    def arrive(self, key: str) -> None:
        """Announce a mail of the store once more."""
        ...

    def apply(self, message: str, feed: str) -> None:
        """Have an identity message of the store applied again, and wait for it."""
        ...


@dataclass(frozen=True, slots=True)
class Filed:
    """A review item and its row."""

    item: ReviewItem
    row: Row

    @property
    def waiting(self) -> bool:
        """It is still somebody's to do."""
        return self.item.status in (OPEN, REDRIVING)


@dataclass(frozen=True, slots=True)
class _Seen:
    """A mail as it was read: what is written must still find these revisions."""

    mail: Versioned[MailRecord]
    documents: Documents
    filed: tuple[Filed, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """What a person did with a mail in review. `why` is staff's own text, kept in the ledger."""

    action: str
    who: str
    why: str
    at: str
    caller: str = ""
    steps: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Desk:
    """The review of one installation."""

    ledger: Ledger
    store: Store
    settings: Settings
    queues: Queues
    index: Callable[[], Keys]
    caller: str = ""

    def waiting(self) -> Iterator[Filed]:
        """What waits for a person, oldest first; the index may be a moment late, the rows not."""
        for pk, sk in self.index():
            row = self.ledger.table.get(pk, sk)
            if row is not None and (filed := _filed(row)).waiting:
                yield filed

    def of(self, mail: str) -> tuple[Filed, ...]:
        """All items of one mail, closed ones too."""
        return tuple(map(_filed, self.ledger.table.partition(f"REVIEW#{mail}")))

    def acts(self, mail: str) -> tuple[Act, ...]:
        """What was done with one mail, in order."""
        rows = self.ledger.table.partition(f"JOURNAL#{mail}")
        return tuple(Act(**{**row.data, "steps": tuple(row.data["steps"])}) for row in rows)

    def full(self, word: str) -> str:
        """The digest that a person shortened, as far as the open items know it."""
        if len(word) == 64:
            return word
        found = {each.item.mail for each in self.waiting() if each.item.mail.startswith(word)}
        return one_of(found, word)

    def redrive(
        self, mail: str, who: str, why: str, *, step: Step | None = None, checked: bool = False
    ) -> tuple[ReviewItem, ...]:
        """Send what may go back into the journey; items that may not stay open."""
        _signed(who, why)
        if any(step_of(each.item) is Step.FEED for each in self.of(mail)):
            return self._apply(mail, who, why)
        for _ in range(MOST_TRIES):
            seen = self._seen(mail)
            planned, move, first = self._prepared(seen, step, checked=checked)
            items = [self._item_put(each, REDRIVING) for each in planned]
            act = self._act_put(mail, self._act("redrive", who, why, planned))
            moved = self._moved_put(seen, planned, move)
            if self._written(first, items, [moved, act]):
                self._send(move, self.settings.lane(seen.mail.record.mailbox))
                self._leave(planned)
                return tuple(each.item for each in planned)
        raise OperationRefused("le courriel change sans cesse : recommencez")

    def close(self, mail: str, who: str, comment: str) -> tuple[ReviewItem, ...]:
        """A person took the mail over: nothing more is sent for it, nothing waits behind it."""
        _signed(who, comment)
        for _ in range(MOST_TRIES):
            chosen = _chosen(self.of(mail), None)
            items = [self._item_put(each, CLOSED) for each in chosen]
            act = self._act_put(mail, self._act("close", who, comment, chosen))
            first, ended = self._given_up(mail, chosen)
            if self._written(first, items, [*ended, act]):
                return tuple(each.item for each in chosen)
        raise OperationRefused("le courriel change sans cesse : recommencez")

    def _written(self, first: Groups, items: Sequence[Put], last: Sequence[Put]) -> bool:
        """False at the first transaction that finds something changed. What was written before it
        stays; the items wait still, and the same act done again does the rest."""
        return all(self.ledger.write(*each) for each in transactions(first, items, last))

    # redrive

    def _apply(self, message: str, who: str, why: str) -> tuple[ReviewItem, ...]:
        """An identity message is no mail: the feed reads it from the store and applies it anew.
        What cannot be applied this time either is open again when it returns."""
        chosen = _chosen(self.of(message), Step.FEED)
        act = self._act_put(message, self._act("redrive", who, why, chosen))
        if not self.ledger.write(*(self._item_put(each, REDRIVING) for each in chosen), act):
            raise OperationRefused("ce message vient de changer : recommencez")
        for feed in dict.fromkeys(each.item.source for each in chosen):
            self.queues.apply(message, feed)
        self._leave(chosen)
        return tuple(each.item for each in chosen)

    def _prepared(
        self, seen: "_Seen", step: Step | None, *, checked: bool
    ) -> tuple[tuple[Filed, ...], Move, Groups]:
        """A refusal says what an earlier try left behind: a later version may wait for it."""
        stopped.refuse_what_a_close_began(seen.documents)
        try:
            planned, move = _planned(seen, _chosen(seen.filed, step), checked=checked)
            return planned, move, tuple(self._document_groups(seen.documents, move.documents))
        except OperationRefused as refused:
            settled = seen.mail.record.state is MailState.SETTLED
            if not settled or not any(stopped.left_waiting(seen.documents)):
                raise
            raise OperationRefused(f"{refused} ; {stopped.HALF_REDRIVEN}") from refused

    def _seen(self, mail: str) -> "_Seen":
        known = self.ledger.mail(mail)
        if known is None:
            raise OperationRefused(
                "le registre ne connaît pas ce courriel : le déposer de nouveau, puis clore"
            )
        return _Seen(known, self.ledger.documents(mail), self.of(mail))

    def _moved_put(self, seen: "_Seen", planned: tuple[Filed, ...], move: Move) -> Put:
        """A mail with other open items stays marked as in review."""
        sent = {each.row.sk for each in planned}
        left = any(each.waiting and each.row.sk not in sent for each in seen.filed)
        route = Route.REVIEW if left else None
        record = replace(seen.mail.record, **move.mail, review=left, route=route)
        return self.ledger.mail_put(record, seen.mail.revision)

    def _document_groups(
        self, known: Documents, documents: Iterable[DocumentRecord]
    ) -> Iterator[list[Put]]:
        """The documents of one chain with their links, for each chain."""
        revisions = {each.record.number: each.revision for each in known}
        chained: dict[str, list[DocumentRecord]] = {}
        for each in documents:
            chained.setdefault(each.chain, []).append(each)
        for key, own in chained.items():
            puts = [self.ledger.document_put(each, revisions[each.number]) for each in own]
            yield [*puts, *self._chain_puts(key, map(chain_change, own))]

    def _chain_puts(self, key: str, wanted: Iterable[Callable[[Chain], Chain]]) -> Iterator[Put]:
        known = self.ledger.chain(key)
        chain = known.record
        for change in wanted:
            chain = change(chain)
        if chain != known.record:
            yield self.ledger.chain_put(key, chain, known.revision)

    def _send(self, move: Move, lane: str) -> None:
        if move.arrival:
            self.queues.arrive(move.arrival)
        for step, job in move.jobs:
            self.queues.send(step, job, lane)

    def _leave(self, planned: Iterable[Filed]) -> None:
        """Out of the index, unless the job has failed again meanwhile and is open anew."""
        for filed in planned:
            now = Filed(filed.item, replace(filed.row, revision=filed.row.revision + 1))
            self.ledger.write(self._item_put(now, REDRIVEN))

    # close

    def _given_up(
        self, mail: str, chosen: tuple[Filed, ...]
    ) -> tuple[tuple[list[Put], ...], list[Put]]:
        """A mail under way ends in review; what it held back in its chains may go on. One that is
        settled stays as it is, but for documents that a redrive broken off has left waiting."""
        known = self.ledger.mail(mail)
        if known is None:
            return (), []
        reason = chosen[0].item.reason
        documents = self.ledger.documents(mail)
        if known.record.state is MailState.SETTLED:
            waiting = stopped.left_waiting(documents)
            left = [stopped.given_up(each, reason) for each in waiting]
            return tuple(self._document_groups(documents, left)), []
        ended = tuple(self._ended(documents, chosen, reason))
        decided = known.record.state is MailState.DECIDED
        links = self._document_groups(documents, ended) if decided else self._unread(known.record)
        failed = {leg: Leg.FAILED for leg in _LEGS if getattr(known.record, leg) is Leg.OWED}
        record = replace(
            known.record,
            state=MailState.SETTLED,
            route=Route.REVIEW,
            reason=reason,
            review=True,
            settled_at=self.ledger.now(),
            **failed,  # type: ignore[arg-type]  # one value type for all fields
        )
        return tuple(links), [self.ledger.mail_put(record, known.revision)]

    def _ended(
        self, documents: Documents, chosen: tuple[Filed, ...], reason: str
    ) -> Iterator[DocumentRecord]:
        mine = {each.item.document for each in chosen}
        for each in (known.record for known in documents):
            if each.integration.ended:
                continue
            busy = each.busy_until is not None and each.busy_until > self.ledger.now()
            if busy or each.number not in mine:
                raise OperationRefused(f"le document {each.number} est encore en cours d'envoi")
            if each.integration is Integration.SENT:
                doubt = Reason.DPI_OUTCOME_UNKNOWN.value
                yield replace(each, integration=Integration.UNKNOWN, reason=doubt)
            else:
                yield stopped.given_up(each, reason)

    def _unread(self, mail: MailRecord) -> Iterator[list[Put]]:
        """Links that `match` made, of a mail that was never decided."""
        keys = dict.fromkeys(mail.chains or self._unnamed(mail))
        let_go = partial(Chain.without, mail=mail.mail)
        yield from (list(self._chain_puts(each, [let_go])) for each in keys)

    def _unnamed(self, mail: MailRecord) -> tuple[str, ...]:
        """The chains of a mail that version 0.2 matched: its row names none."""
        dossier = self._dossier(mail)
        return chain_keys(dossier.documents, self.settings) if dossier else ()

    def _dossier(self, mail: MailRecord) -> Dossier | None:
        """None of a mail that `match` never had in hand."""
        matched = any(each.startswith(f"{Step.MATCH.value}#") for each in mail.reviewed)
        try:
            return self.store.dossier(mail.dossier_key)
        except Unavailable:
            if matched or mail.state is MailState.READ:
                raise
            return None

    # rows

    def _item_put(self, filed: Filed, status: str) -> Put:
        """Only an item that still waits keeps its place in the index."""
        row, item = filed.row, filed.item
        data = {**row.data, "status": status}
        index = (INDEX, f"{item.recorded_at.isoformat()}#{item.mail}")
        return Put(
            row.pk,
            row.sk,
            data,
            row.revision,
            self.ledger.now() + timedelta(days=self.ledger.days),
            index if status in (OPEN, REDRIVING) else None,
        )

    def _act(self, action: str, who: str, why: str, filed: Iterable[Filed]) -> Act:
        steps = tuple(dict.fromkeys(step_of(each.item).value for each in filed))
        at = self.ledger.now().isoformat()
        return Act(action=action, who=who, why=why, at=at, caller=self.caller, steps=steps)

    def _act_put(self, mail: str, act: Act) -> Put:
        number = len(self.ledger.table.partition(f"JOURNAL#{mail}"))
        data: dict[str, Any] = {
            "action": act.action,
            "who": act.who,
            "why": act.why,
            "at": act.at,
            "caller": act.caller,
            "steps": list(act.steps),
        }
        expires = self.ledger.now() + timedelta(days=self.ledger.days)
        key = f"JOURNAL#{act.at}#{number:04}"
        return Put(f"JOURNAL#{mail}", key, data, None, expires)


def one_of(found: set[str], word: str) -> str:
    """The one digest that begins so."""
    if len(found) == 1:
        return found.pop()
    why = "plusieurs courriels commencent" if found else "aucun courriel ne commence"
    raise OperationRefused(f"{why} par {word} : donner l'empreinte entière (64 caractères)")


def _filed(row: Row) -> Filed:
    return Filed(_ITEM.validate_python(row.data), row)


def _chosen(filed: tuple[Filed, ...], step: Step | None) -> tuple[Filed, ...]:
    waiting = tuple(x for x in filed if x.waiting and (step is None or step_of(x.item) is step))
    if not waiting:
        raise OperationRefused("aucun élément ouvert en revue pour ce courriel")
    return waiting


def _planned(
    seen: _Seen, chosen: tuple[Filed, ...], *, checked: bool
) -> tuple[tuple[Filed, ...], Move]:
    """The items that may go, and all that they change together."""
    documents = {each.record.number: each.record for each in seen.documents}
    total, planned, refusals = Move(), [], []
    for filed in chosen:
        record = replace(seen.mail.record, **total.mail)
        try:
            move = move_of(filed.item, record, tuple(documents.values()), checked=checked)
        except OperationRefused as refused:
            refusals.append(refused)
            continue
        planned.append(filed)
        documents |= {each.number: each for each in move.documents}
        total = _together(total, move)
    if not planned:
        raise refusals[0]
    return tuple(planned), total


def _signed(who: str, why: str) -> None:
    if not who.strip() or not why.strip():
        raise OperationRefused("qui et pourquoi sont obligatoires : ils vont au journal")


def _together(one: Move, other: Move) -> Move:
    numbers = {each.number for each in other.documents}
    kept = tuple(each for each in one.documents if each.number not in numbers)
    return Move(
        {**one.mail, **other.mail},
        (*kept, *other.documents),
        tuple(dict.fromkeys((*one.jobs, *other.jobs))),
        other.arrival or one.arrival,
    )
