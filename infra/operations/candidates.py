"""Who a refused document may be about, for the person who reviews it: numbers, never values.

Read at the moment of asking, with the reviewer's own rights: the ledger keeps no candidate, for the
base may have been mended since. The journey itself never integrates on traits.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from pfi.ins.concordance import (
    STRICT,
    MatchPolicy,
    Sought,
    compare,
    document_traits,
    inactive,
    qualified,
    seek,
)
from pfi.ins.identity import DocumentIdentity, PatientRecord
from pfi.journey.identification import match_policy
from pfi.journey.ports import Patients
from pfi.journey.settings import Settings
from pfi.names import Reason

IDENTITY: Final = frozenset(
    each.value
    for each in (
        Reason.UNKNOWN_PATIENT,
        Reason.INS_DIFFERS,
        Reason.BASE_NOT_QUALIFIED,
        Reason.AMBIGUOUS,
        Reason.FLAGGED,
        Reason.BASE_INCOMPLETE,
        Reason.ANOTHER_PATIENT,
        Reason.BASE_CHANGED,
    )
)
"""What a look at the candidates can explain."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One active identity of the base. `holds`: the document's INS is or was its own; `differing`
    the strict traits that are not equal, by name."""

    ipp: str
    holds: bool
    qualified: bool
    differing: tuple[str, ...]


def candidates(
    identity: DocumentIdentity, establishment: str, patients: Patients, settings: Settings
) -> tuple[Candidate, ...]:
    """Holders of the matricule, then those equal on the five traits under another or none."""
    policy = match_policy(settings)
    sought, traits = seek(identity, policy), document_traits(identity, policy)[0]
    holders = _holders(sought, establishment, patients) if isinstance(sought, Sought) else ()
    twins = patients.twins(establishment, traits)
    known = {record.ipp: record for record in (*twins, *holders)}
    own = {record.ipp for record in holders}
    found = (_candidate(r, identity, policy, holds=r.ipp in own) for r in known.values())
    return tuple(sorted(found, key=lambda each: (not each.holds, each.ipp)))


def _holders(sought: Sought, establishment: str, patients: Patients) -> tuple[PatientRecord, ...]:
    """One merge is followed: further ones are rare, and the reviewer has the DPI."""
    found = patients.find(establishment, sought.value, sought.kind.value)
    return tuple(_active(found, establishment, patients))


def _active(
    records: tuple[PatientRecord, ...], establishment: str, patients: Patients
) -> Iterator[PatientRecord]:
    for record in records:
        into = record.merged_into
        last = patients.get(establishment, into) if inactive(record) and into else record
        if last is not None and not inactive(last):
            yield last


def _candidate(
    record: PatientRecord, identity: DocumentIdentity, policy: MatchPolicy, *, holds: bool
) -> Candidate:
    findings = compare(document_traits(identity, policy)[0], record.traits, policy)
    differing = tuple(f.trait for f in findings[: len(STRICT)] if not f.level.equal)
    return Candidate(record.ipp, holds, qualified(record), differing)
