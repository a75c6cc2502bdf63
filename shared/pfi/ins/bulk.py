"""A line of a patient file as a statement at the time of the file: the rules of the feed hold.

So a file never overrules what the identity repository said later (F-02), a line is a snapshot
(F-03), a merged line is a merge (F-08), and a file that is loaded twice changes nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from pfi.ins.events import Change, IdentityEvent, Note, Person, Subject
from pfi.ins.feeding import Kept, apply
from pfi.ins.identity import PatientRecord
from pfi.ins.matricule import read
from pfi.ins.patient_lines import Fault
from pfi.ins.statements import TRAITS

FILE: Final = "file"
"""What an identity keeps of the file: its digest and the line, to see an IPP given twice."""
_TOMBSTONE: Final = "DESA"


@dataclass(frozen=True, slots=True)
class Source:
    """A file under its digest, and the time at which its content was so."""

    file: str
    as_of: str


def statement(record: PatientRecord, as_of: str) -> IdentityEvent:
    """What a line says. The mark of an absorbed identity follows from the merge alone, or else it
    would outlast it."""
    codes = (
        record.status,
        *sorted(record.attributes - ({_TOMBSTONE} if record.merged_into else set())),
    )
    number = (record.matricule, record.oid)
    current = number if read(*number) else None
    former = (*record.aliases, *([number] if record.matricule and not current else []))
    person = Person(
        traits={name: getattr(record.traits, name) for name in TRAITS},
        codes=tuple(filter(None, codes)),
        ins=current,
        former=former,
    )
    own = Subject(ipp=record.ipp, stated_at=as_of, person=person)
    if record.merged_into:
        into = Subject(ipp=record.merged_into, stated_at=as_of, replaced=(record.ipp,))
        return IdentityEvent(change=Change.MERGE, at=as_of, subjects=(own, into))
    change = Change.STATE if record.active else Change.CLOSE
    return IdentityEvent(change=change, at=as_of, subjects=(own,))


@dataclass(frozen=True, slots=True)
class Told:
    """What a line changes, and what is wrong with it once the base is known."""

    changes: tuple[Kept, ...]
    fault: tuple[str, Fault] | None = None


def tell(record: PatientRecord, line: int, source: Source, known: Mapping[str, Kept]) -> Told:
    """Apply one line to the family of its identity. Of two lines with one IPP the first stands."""
    before = known.get(record.ipp)
    here = (source.file, str(line))
    if before and _told_by_another_line(before, source, here):
        return Told((), ("ipp", Fault.REPEATED))
    event = statement(record, source.as_of)
    applied = apply(event, known)
    changes = tuple(
        _marked(kept, source, here) if kept.identity.ipp == record.ipp else kept
        for kept in applied.changes
    )
    circle = ("merged_into", Fault.CIRCLE) if Note.CIRCLE in applied.notes else None
    return Told(changes, circle)


def _told_by_another_line(kept: Kept, source: Source, here: tuple[str, str]) -> bool:
    identity = kept.identity
    there = identity.value(FILE)
    return there[:1] == here[:1] and there != here and identity.at(FILE) == source.as_of


def _marked(kept: Kept, source: Source, here: tuple[str, str]) -> Kept:
    return replace(kept, identity=kept.identity.told(source.as_of, {FILE: here}))


def family_of(ipps: tuple[str, ...], known: Mapping[str, Kept]) -> dict[str, Kept]:
    """Those among the known that hang together with these."""
    found: dict[str, Kept] = {}
    asked = list(ipps)
    while asked:
        ipp = asked.pop()
        if ipp in known and ipp not in found:
            found[ipp] = known[ipp]
            asked.extend(known[ipp].identity.neighbours())
    return found
