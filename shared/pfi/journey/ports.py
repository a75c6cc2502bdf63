"""The doors of the journey: what a step may ask from the outside world.

Each port has one contract suite (tests/contracts) that runs on the in-memory double and on the
real adapter.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from pfi.hl7.mllp import Message
from pfi.ins.identity import PatientRecord, Traits
from pfi.journey.jobs import Job
from pfi.journey.records import Dossier
from pfi.journey.settings import DpiSettings, MailboxSettings, Settings
from pfi.names import Reason, Step

if TYPE_CHECKING:
    from pfi.mail.compose import Outgoing

Data = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Row:
    """One item of the ledger with its revision."""

    pk: str
    sk: str
    revision: int
    data: Data


@dataclass(frozen=True, slots=True)
class Put:
    """A conditional write: `revision` None = the row must not exist, else it must be this one."""

    pk: str
    sk: str
    data: Data
    revision: int | None = None
    expires_at: datetime | None = None
    index: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """A conditional write of some fields of a row that exists, whatever its revision: each field
    of `found` must still hold its value. The place in the index stays."""

    pk: str
    sk: str
    found: Data
    fields: Data


class Table(Protocol):
    """Rows with revisions; reads are strongly consistent."""

    def get(self, pk: str, sk: str) -> Row | None:
        """The row, None when absent."""
        ...

    def get_all(self, *keys: tuple[str, str]) -> tuple[Row | None, ...]:
        """Several rows in one call, in the order asked; None for each that is absent."""
        ...

    def partition(self, pk: str, prefix: str = "") -> tuple[Row, ...]:
        """All rows of a partition whose sort key starts with `prefix`, in sort-key order."""
        ...

    def indexed(self, pk: str) -> Iterator[Row]:
        """Rows that the index lists under this key, in its order; it may be a moment late."""
        ...

    def write(self, *writes: Put | Change) -> bool:
        """All or nothing; False when one condition fails. At most 100 writes."""
        ...


class Store(Protocol):
    """Bytes and dossiers. `get` raises Unavailable when the store does not answer."""

    def put_mail(self, mailbox: str, mail: str, raw: bytes) -> str:
        """Store raw bytes of a mail, return their key. Repeating it is harmless."""
        ...

    def get(self, key: str) -> bytes:
        """Bytes of any key."""
        ...

    def arrived(self, key: str) -> tuple[bytes, datetime]:
        """Bytes of any key, and when they were stored."""
        ...

    def put_dossier(
        self, key: str, dossier: Dossier, contents: Sequence[bytes] = (), *, anew: bool = False
    ) -> bool:
        """Store what parse learnt, and the CDA of its documents byte for byte. Whoever sees the
        dossier sees the documents: it comes last, and announces that the mail was read. False, and
        nothing announced, when there is one already, unless it shall be stored anew."""
        ...

    def dossier(self, key: str) -> Dossier:
        """What parse learnt."""
        ...

    def document(self, key: str, number: int) -> tuple[Dossier, bytes]:
        """What parse learnt, and one CDA of that mail, numbered from 1."""
        ...

    def renew(self, prefix: str, older_than: datetime) -> Mapping[str, bool]:
        """Begin the life of the objects below a prefix anew, where they were stored before that
        moment; each object found, and whether it was. It announces nothing."""
        ...


class Patients(Protocol):
    """The patient base of one establishment."""

    def find(self, establishment: str, matricule: str, oid: str) -> tuple[PatientRecord, ...]:
        """Records whose current or former INS this is, in IPP order."""
        ...

    def get(self, establishment: str, ipp: str) -> PatientRecord | None:
        """One record."""
        ...

    def twins(self, establishment: str, traits: Traits) -> tuple[PatientRecord, ...]:
        """Active records equal on the five strict traits (separators equivalent)."""
        ...


class Jobs(Protocol):
    """The queues between the steps."""

    def send(self, step: Step, job: Job, lane: str = "", delay_s: int = 0) -> None:
        """Give a job to a step; a push takes the lane of its DPI, if that has one. Nobody sees it
        before `delay_s` (0 to 900)."""
        ...

    def to_review(self, step: Step, job: Job, reason: Reason) -> None:
        """Put a job into the dead-letter queue of a step: the manual-review path."""
        ...


class MailGone(Exception):
    """The mail left the mailbox between listing and reading: another client took it."""


class Mailbox(Protocol):
    """One open IMAP session, INBOX selected read-write."""

    @property
    def uid_validity(self) -> int:
        """UIDVALIDITY of INBOX."""
        ...

    def listing(self) -> Sequence[tuple[int, int]]:
        """(uid, RFC822.SIZE) of the mails not deleted, in uid order."""
        ...

    def header(self, uid: int) -> bytes:
        """Header block only; raises MailGone."""
        ...

    def fetch(self, uid: int, size: int) -> bytes:
        """The whole mail; its length equals `size`; raises MailGone."""
        ...

    def move(self, uid: int, folder: str) -> None:
        """File the mail; a mail already gone is no error."""
        ...

    def close(self) -> None:
        """End the session."""
        ...


class Relay(Protocol):
    """The operator's SMTP submission."""

    def send(self, mail: "Outgoing") -> None:
        """Hand over one mail to one recipient."""
        ...


class Dpi(Protocol):
    """One MLLP exchange with the DPI."""

    def exchange(self, message: Message, control_id: str) -> bytes:
        """Send an MDM, return the raw ACK whose MSA-2 is `control_id`; a CA only when no other
        answer followed."""
        ...


class Ports(Protocol):
    """All that a step may use; the composition root is `pfi.edge.wiring`."""

    @property
    def settings(self) -> Settings: ...
    @property
    def table(self) -> Table: ...
    @property
    def store(self) -> Store: ...
    @property
    def patients(self) -> Patients: ...
    @property
    def jobs(self) -> Jobs: ...
    @property
    def now(self) -> Callable[[], datetime]: ...
    @property
    def life_s(self) -> float:
        """How long a worker may live before its function is stopped, a margin included."""
        ...

    def mailbox(self, mailbox: MailboxSettings) -> AbstractContextManager[Mailbox]:
        """Open a session on a mailbox."""
        ...

    def relay(self, mailbox: MailboxSettings) -> Relay:
        """The relay, authenticated as this mailbox."""
        ...

    def dpi(self, target: DpiSettings) -> Dpi:
        """The DPI interface; raises NotAsked when another try has just failed."""
        ...
