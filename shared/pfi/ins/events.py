"""What an identity repository tells of its patients, whatever the format it came in (PAM §6.2).

A statement about one identity is a snapshot (everything it does not say is gone) or an amendment
(what it does not say stays). Relations between identities have the time of the event itself, the
traits that of the identity's last update.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from pfi.ins.identity import IDENTITY_CODES

UNQUALIFIED: Final = ("VIDE", "PROV", "RECD", "FILI")
"""Reliability codes of PID-32 that contradict VALI (§4.5)."""
QUALIFIED: Final = "VALI"

Number = tuple[str, str]
"""A matricule and its OID."""


class Change(StrEnum):
    """What an event does to the base."""

    STATE = "state"
    AMEND = "amend"
    MERGE = "merge"
    RENAME = "rename"
    LINK = "link"
    UNLINK = "unlink"
    CLOSE = "close"
    NONE = "none"


class Note(StrEnum):
    """What was accepted but deserves to be counted."""

    STALE = "stale"
    ABSORBED = "absorbed"
    CIRCLE = "circle"
    REUSED = "reused"
    INS_WITHOUT_VALI = "ins_without_vali"
    INS_MALFORMED = "ins_malformed"
    INS_CONFLICT = "ins_conflict"
    OID_DEDUCED = "oid_deduced"
    CODE_UNKNOWN = "code_unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """One PID. A trait that is not in `traits` was not said, '' is erased; `codes` None = not said.

    `ins` is the one matricule that PID-3 gives as current, `former` every other one it names.
    `torn` between two current ones of a kind, it has none.
    """

    traits: Mapping[str, str] = field(default_factory=dict)
    codes: tuple[str, ...] | None = None
    ins: Number | None = None
    former: tuple[Number, ...] = ()
    torn: bool = False

    @property
    def status(self) -> str:
        """Reliability. VALI only if nothing contradicts it: an unknown code might (B-03)."""
        codes = self.codes or ()
        doubtful = [c for c in codes if c in UNQUALIFIED or c not in IDENTITY_CODES]
        if doubtful or QUALIFIED not in codes:
            return (doubtful or [*codes, ""])[0]
        return QUALIFIED

    @property
    def attributes(self) -> frozenset[str]:
        """The other codes of PID-32."""
        return frozenset(self.codes or ()) - {self.status}


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One identity of an event, and the identifiers that the event replaces by it (MRG-1)."""

    ipp: str
    stated_at: str
    person: Person | None = None
    replaced: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityEvent:
    """One event of the feed; times are UTC, written so that they sort as text. `until` is the other
    reading of a time in the hour that comes twice, '' when there is one reading."""

    change: Change
    at: str
    until: str = ""
    subjects: tuple[Subject, ...] = ()
    notes: frozenset[Note] = frozenset()

    @property
    def ipps(self) -> tuple[str, ...]:
        """Every identity that the event names, once, in order."""
        named = (ipp for each in self.subjects for ipp in (each.ipp, *each.replaced))
        return tuple(dict.fromkeys(named))
