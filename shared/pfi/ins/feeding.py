"""Apply one event of the feed to the identities it touches (docs/reference/feed.md).

Pure: the same events give the same base in any order and any number of times.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from pfi.errors import Unreadable
from pfi.ins.events import Change, IdentityEvent, Note, Subject
from pfi.ins.families import in_circle, records, reused
from pfi.ins.identity import PatientRecord
from pfi.ins.statements import (
    ACTIVE,
    APART,
    INS,
    INTO,
    NAMED,
    OFFICIAL,
    SPOKEN,
    STATED,
    WITH,
    Facts,
    Identity,
    amendment,
    numbers,
    snapshot,
)
from pfi.names import Reason


@dataclass(frozen=True, slots=True)
class Kept:
    """One identity as the base keeps it: what was said, and the record that follows from it."""

    identity: Identity
    record: PatientRecord


@dataclass(frozen=True, slots=True)
class Applied:
    """What must be written. Without changes the event said nothing new."""

    changes: tuple[Kept, ...]
    notes: frozenset[Note]


def apply(event: IdentityEvent, known: Mapping[str, Kept]) -> Applied:
    """The changes of an event. `known` holds whole families: every neighbour of every identity
    in it that the base knows."""
    if any(each.ipp in each.replaced for each in event.subjects):
        raise Unreadable(Reason.FEED_CONTRADICTORY, code="103")
    before = {ipp: kept.identity for ipp, kept in known.items()}
    after = _told(event, before)
    family = records(after)
    now = {ipp: Kept(after[ipp], record) for ipp, record in family.items()}
    changes = tuple(kept for ipp, kept in now.items() if known.get(ipp) != kept)
    return Applied(changes, event.notes | frozenset(_notes(event, before, after)))


def _told(event: IdentityEvent, before: Mapping[str, Identity]) -> dict[str, Identity]:
    after = dict(before)
    for ipp in event.ipps:
        after.setdefault(ipp, Identity(ipp))
    for subject in event.subjects:
        after[subject.ipp] = _stated(event, subject, after[subject.ipp])
        for ipp in subject.replaced:
            after |= _related(event, after[ipp], after[subject.ipp])
    return after


def _stated(event: IdentityEvent, subject: Subject, identity: Identity) -> Identity:
    for at, facts in _sayings(event, subject):
        identity = identity.told(at, facts)
    named = numbers(subject.person) if subject.person else ()
    return replace(identity, numbers=identity.numbers | frozenset(named))


def _sayings(event: IdentityEvent, subject: Subject) -> Iterator[tuple[str, Facts]]:
    """All that an event says of one identity, each with its time."""
    yield event.at, _LIFE.get(event.change, {})
    if subject.person is None:
        return
    said = (amendment if event.change is Change.AMEND else snapshot)(subject.person)
    yield subject.stated_at, said
    if event.change in _WHOLE:
        yield event.at, {STATED: (subject.stated_at,)}
    if INS in said:
        lost = said[INS][2:] != (OFFICIAL,)
        yield (event.until if lost and event.until else event.at), {SPOKEN: said[INS]}


_LIFE: Final[Mapping[Change, Facts]] = {
    Change.STATE: {ACTIVE: ("yes",)},
    Change.MERGE: {ACTIVE: ("yes",)},
    Change.RENAME: {ACTIVE: ("yes",), NAMED: ()},
    Change.CLOSE: {ACTIVE: ("no",)},
}
"""A closed identity lives again by a snapshot; a change of number confirms the new one."""
_WHOLE: Final = frozenset({Change.STATE, Change.MERGE, Change.RENAME})


def _related(event: IdentityEvent, old: Identity, new: Identity) -> dict[str, Identity]:
    match event.change:
        case Change.MERGE | Change.RENAME:
            old = old.told(event.at, {INTO + new.ipp: (event.change.value,)})
            new = new.absorbing([old.ipp])
        case Change.LINK:
            old = old.told(event.at, {WITH + new.ipp: ("yes",)})
            new = new.told(event.at, {WITH + old.ipp: ("yes",)})
        case Change.UNLINK:
            old = old.told(event.at, {WITH + new.ipp: ("no",), APART + new.ipp: ()})
            new = new.told(event.at, {WITH + old.ipp: ("no",), APART + old.ipp: ()})
    return {old.ipp: old, new.ipp: new}


def _notes(
    event: IdentityEvent, before: Mapping[str, Identity], after: Mapping[str, Identity]
) -> Iterator[Note]:
    known = {ipp: before.get(ipp, Identity(ipp)) for ipp in event.ipps}
    if all(known[ipp].said == after[ipp].said for ipp in known) or _older(event, known):
        yield Note.STALE
    if any(in_circle(ipp, after) for ipp in event.ipps):
        yield Note.CIRCLE
    if event.change in _WHOLE and any(reused(ipp, after) for ipp in event.ipps):
        yield Note.REUSED
    states = event.change in {Change.STATE, Change.AMEND}
    if states and any(not one.active for ipp, one in records(after).items() if ipp in known):
        yield Note.ABSORBED


def _older(event: IdentityEvent, known: Mapping[str, Identity]) -> bool:
    """True when something of what the event says was not taken."""
    return any(
        known[subject.ipp].at(key) > at
        for subject in event.subjects
        for at, facts in _sayings(event, subject)
        for key in facts
    )
