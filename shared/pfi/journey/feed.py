"""One message of the identity repository: read, applied to the patient base, answered.

The answer AA leaves after the base is written. What cannot be applied goes to review with AE, so
that the feed goes on; when our own store is down the answer is AR, and the sender comes again.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from pfi.errors import Unavailable, Unreadable
from pfi.hl7 import adt as pam
from pfi.hl7.adt import Adt
from pfi.hl7.pid import Authority
from pfi.ins.concordance import inactive, qualified
from pfi.ins.events import Change, IdentityEvent, Note
from pfi.ins.feeding import Applied, apply
from pfi.ins.identity import PatientRecord
from pfi.journey.ledger import Ledger
from pfi.journey.message import local_time
from pfi.journey.outcome import Digest, Fact, Log, Metric, Outcome
from pfi.journey.patient_base import FeedPorts, Filed, Reading, Revision
from pfi.journey.records import ReviewItem
from pfi.journey.settings import FeedSettings
from pfi.names import Reason, Step

TRIES: Final = 8
"""Against other writers of the same identities."""
FED_EVERY: Final = timedelta(minutes=1)
AHEAD: Final = timedelta(days=1)
"""A statement from later than this would shut the identity for every real one."""
_CONTRADICTORY: Final = frozenset({Note.CIRCLE, Note.REUSED})
"""Written, because what is said keeps its time, but a person must say who is who."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The ACK for the sender, and what is told of it."""

    ack: bytes
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class _Written:
    applied: Applied
    before: Mapping[str, Filed]
    repeated: bool = False
    held_twice: int = 0


def feed(raw: bytes, source: FeedSettings, ports: FeedPorts) -> Answer:
    """Apply one ADT message; every message gets an answer."""
    return _feed(raw, source, ports).answer()


def feed_again(raw: bytes, source: FeedSettings, ports: FeedPorts) -> Answer:
    """Apply a message that a person sends back. Merges in a circle were heard and written, so it
    is looked at as if it came for the first time: what it says has its time, and says no more."""
    message = _feed(raw, source, ports)
    again = f"{message.message} {ports.now().isoformat()}"
    return replace(message, heard=hashlib.sha256(again.encode()).hexdigest()).answer()


def put_aside(raw: bytes, source: FeedSettings, ports: FeedPorts) -> Answer:
    """A message on which our own code failed: a person's, so that the feed goes on."""
    return _feed(raw, source, ports).refused(Reason.UNEXPECTED, "207")


def _feed(raw: bytes, source: FeedSettings, ports: FeedPorts) -> "_Feed":
    message = hashlib.sha256(raw).hexdigest()
    return _Feed(raw, source, ports, pam.read(raw), message, message)


def apply_event(
    event: IdentityEvent, establishment: str, message: str, ports: FeedPorts
) -> _Written:
    """Write one event, whatever it was read from; compare-and-set until it succeeds."""
    for _ in range(TRIES):
        first = ports.base.read(establishment, event.ipps, message)
        written = _decided(event, first, establishment, ports)
        if first.heard or _write(written, establishment, message, ports):
            if _silent(first.fed_at, ports):
                ports.base.note_fed(establishment, ports.now())
            return written
    raise Unavailable(Reason.STORE_UNAVAILABLE)


def _decided(
    event: IdentityEvent, first: Reading, establishment: str, ports: FeedPorts
) -> _Written:
    """What to write, and all that is told of it: after the write nothing is asked that might fail,
    or the sender would come again and be told that all is well."""
    known = _family(first.identities, event.ipps, establishment, ports)
    applied = apply(event, {ipp: filed.kept for ipp, filed in known.items()})
    written = _Written(applied, known, repeated=first.heard)
    if first.heard:
        return written
    twice = (_held_twice(each, written, establishment, ports) for each in _newly_qualified(written))
    return replace(written, held_twice=sum(twice))


def _held_twice(
    record: PatientRecord, written: _Written, establishment: str, ports: FeedPorts
) -> bool:
    """Both stay: documents get PFI-ID-02 until the hospital merges them (B-08)."""
    own = (record.matricule, record.oid)
    found = {each.ipp: each for each in ports.base.find(establishment, *own)}
    found |= {kept.record.ipp: kept.record for kept in written.applied.changes}
    return any(
        qualified(each) and not inactive(each) and (each.matricule, each.oid) == own
        for ipp, each in found.items()
        if ipp != record.ipp
    )


def _write(written: _Written, establishment: str, message: str, ports: FeedPorts) -> bool:
    known = written.before
    changes = [Revision(kept, known.get(kept.identity.ipp)) for kept in written.applied.changes]
    return ports.base.write(establishment, changes, message, ports.now())


def _silent(fed_at: datetime | None, ports: FeedPorts) -> bool:
    """One sign of life a minute is enough: every message of a hospital would write that row."""
    return fed_at is None or ports.now() - fed_at >= FED_EVERY


def _family(
    found: Mapping[str, Filed], ipps: Iterable[str], establishment: str, ports: FeedPorts
) -> dict[str, Filed]:
    """The identities and all that hang together with them."""
    known, asked = dict(found), set(ipps)
    while wanted := {i for f in found.values() for i in f.kept.identity.neighbours()} - asked:
        asked |= wanted
        found = ports.base.read(establishment, sorted(wanted)).identities
        known |= found
    return known


@dataclass(frozen=True, slots=True)
class _Feed:
    raw: bytes
    source: FeedSettings
    ports: FeedPorts
    adt: Adt
    message: str
    heard: str
    """The digest that is remembered as applied: that of the message, but for a second look."""

    def answer(self) -> Answer:
        try:
            return self._applied()
        except Unavailable as fault:
            counts = {Metric.STEP_ERRORS: 1.0}
            outcome = Outcome(Log.FEED_POSTPONED, self._facts(reason=fault.reason), counts)
            return Answer(self._ack("AR", fault.reason, "207"), outcome)

    def _applied(self) -> Answer:
        try:
            event = pam.event(self.adt, Authority.of(self.source.ipp_authority))
            self._in_time(event)
            if event.change is Change.NONE:
                return Answer(self._ack("AA"), Outcome(Log.FEED_IGNORED, self._facts()))
            written = apply_event(event, self.source.establishment, self.heard, self.ports)
        except Unreadable as fault:
            return self.refused(fault.reason, fault.code or "207")
        if _CONTRADICTORY & written.applied.notes:  # also when heard: the item may not be made yet
            return self.refused(Reason.FEED_CONTRADICTORY, "207")
        if written.repeated:
            return Answer(self._ack("AA"), Outcome(Log.FEED_REPEATED, self._facts()))
        return Answer(self._ack("AA"), self._done(event, written))

    def _in_time(self, event: IdentityEvent) -> None:
        latest = pam.utc(self.ports.now() + AHEAD)
        if any(at > latest for at in (event.at, *(each.stated_at for each in event.subjects))):
            raise Unreadable(Reason.FEED_TIME, code="102")

    def _done(self, event: IdentityEvent, written: _Written) -> Outcome:
        notes = {note.value: True for note in sorted(written.applied.notes)}
        facts = self._facts(change=event.change, identities=len(written.applied.changes), **notes)
        counts: dict[Metric, float] = {Metric.FEED_MESSAGES: 1}
        if written.held_twice:
            counts[Metric.INS_HELD_TWICE] = written.held_twice
        return Outcome(Log.FEED_APPLIED, facts, counts)

    def refused(self, reason: Reason, error: str) -> Answer:
        """Kept for a person; the sender is told not to send it again."""
        self.ports.store.put_message(self.message, self.raw)
        ledger = Ledger(self.ports.table, self.ports.now, self.ports.settings.ledger_days)
        item = ReviewItem(
            mail=self.message,
            step=Step.FEED.value,
            document=None,
            reason=reason.value,
            attempts=1,
            recorded_at=self.ports.now(),
            source=self.source.id,
        )
        counts = {Metric.REVIEW_ENTRIES: 1.0} if ledger.record_review(item) else {}
        outcome = Outcome(Log.FEED_REFUSED, self._facts(reason=reason), counts)
        return Answer(self._ack("AE", reason, error), outcome)

    def _facts(self, **more: Fact) -> dict[str, Fact]:
        return {"adt": Digest(self.message), **more}

    def _ack(self, code: str, reason: Reason | None = None, error: str = "") -> bytes:
        return pam.acknowledgement(
            self.adt,
            code,
            now=local_time(self.ports.now()),
            control_id=self.message[:20],
            reason=reason,
            error=error,
        )


def _newly_qualified(written: _Written) -> list[PatientRecord]:
    """Records whose official INS is another than before."""
    now = [kept.record for kept in written.applied.changes if qualified(kept.record)]
    return [record for record in now if _former_ins(record, written) != record.matricule]


def _former_ins(record: PatientRecord, written: _Written) -> str:
    filed = written.before.get(record.ipp)
    return filed.kept.record.matricule if filed and qualified(filed.kept.record) else ""
