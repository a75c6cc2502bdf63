"""The doors of the identity feed: the patient base as it is written, and where messages wait."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from pfi.ins.feeding import Kept
from pfi.ins.identity import PatientRecord
from pfi.journey.ports import Table
from pfi.journey.settings import Settings


@dataclass(frozen=True, slots=True)
class Filed:
    """One identity as it was read, with the revision that a write must still find."""

    kept: Kept
    revision: int


@dataclass(frozen=True, slots=True)
class Revision:
    """One identity to write in the place of what was read; `before` None = it must not be there."""

    kept: Kept
    before: Filed | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """What the base knows before a message is applied: the identities it names, whether this very
    message was applied in the last 30 days (B-01), and when the feed was last alive."""

    identities: Mapping[str, Filed]
    heard: bool = False
    fed_at: datetime | None = None


class PatientBase(Protocol):
    """The patient base of the establishments, for those who change it. Reads are consistent."""

    def read(self, establishment: str, ipps: Iterable[str], message: str = "") -> Reading:
        """The identities among these, and the traces of a message, if its digest is given."""
        ...

    def write(
        self, establishment: str, changes: Sequence[Revision], message: str, now: datetime
    ) -> bool:
        """Identities with their pointers, and the message as heard, if its digest is given. False
        when somebody was quicker: read and decide again."""
        ...

    def find(self, establishment: str, matricule: str, oid: str) -> tuple[PatientRecord, ...]:
        """Records whose current or former INS this is."""
        ...

    def note_fed(self, establishment: str, now: datetime) -> None:
        """Remember that the feed is alive: the age of the base is counted from here."""
        ...


class MessageStore(Protocol):
    """Messages that wait for a person."""

    def put_message(self, message: str, raw: bytes) -> str:
        """Store a message under its digest, return its key. Repeating it is harmless."""
        ...


class FeedPorts(Protocol):
    """All that the feed may use."""

    @property
    def settings(self) -> Settings: ...
    @property
    def base(self) -> PatientBase: ...
    @property
    def store(self) -> MessageStore: ...
    @property
    def table(self) -> Table: ...
    @property
    def now(self) -> Callable[[], datetime]: ...
