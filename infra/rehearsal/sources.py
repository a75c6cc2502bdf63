"""Where the mails of a rehearsal come from: a folder, mailboxes at the operator, the bucket.

Each source only reads, one mail at a time; what cannot be read is told and the next one follows.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Final, Protocol

from pfi.adapters.s3 import S3Reader
from pfi.errors import PfiError, Unavailable
from pfi.ins.wording import LABELS_FR
from pfi.journey.keys import INCOMING
from pfi.journey.message import PARIS
from pfi.journey.ports import MailGone
from pfi.journey.settings import MailboxSettings
from pfi.names import Reason

GONE: Final = "disparu de la boîte pendant la lecture"
TRIES: Final = 3
"""To open a mailbox again, one after the other."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One mail of a source, or why it could not be read. A name may quote a subject, so it is
    shown only where somebody asks for it."""

    name: str
    raw: bytes | None = None
    mailbox: str = ""
    """Id of the mailbox, where the source knows it."""
    fault: str = ""


class Source(Protocol):
    """Mails in the order of their arrival."""

    @property
    def title(self) -> str:
        """What it is, in French."""
        ...

    def samples(self) -> Iterator[Sample]:
        """One after the other."""
        ...


@dataclass(frozen=True, slots=True)
class Folder:
    """Files ``*.eml`` below a folder, by name, byte for byte."""

    path: Path

    @property
    def title(self) -> str:
        """The last part of the path only."""
        return f"dossier {self.path.resolve().name}"

    def samples(self) -> Iterator[Sample]:
        """In the order of their paths."""
        files = (each for each in self.path.rglob("*") if each.suffix.lower() == ".eml")
        for path in sorted(files):
            name = str(path.relative_to(self.path))
            try:
                yield Sample(name, path.read_bytes())
            except OSError as fault:
                yield Sample(name, fault=f"fichier illisible ({type(fault).__name__})")


@dataclass(frozen=True, slots=True)
class Period:
    """Mails of the bucket that arrived between two days (Paris), both included."""

    store: S3Reader
    first: date | None = None
    last: date | None = None

    @property
    def title(self) -> str:
        """With the days that were asked for."""
        since = f" depuis le {self.first:%d/%m/%Y}" if self.first else ""
        until = f" jusqu'au {self.last:%d/%m/%Y}" if self.last else ""
        return f"courriels conservés{since}{until}"

    def samples(self) -> Iterator[Sample]:
        """In the order of their arrival."""
        for _, key in sorted((at, key) for key, at in self.store.listed(INCOMING) if self._in(at)):
            parts = key.removeprefix(INCOMING).split("/")
            mailbox = parts[0] if len(parts) > 1 else ""
            try:
                yield Sample(parts[-1], self.store.get(key), mailbox)
            except PfiError as fault:
                yield Sample(parts[-1], mailbox=mailbox, fault=LABELS_FR[fault.reason])

    def _in(self, at: datetime) -> bool:
        day = at.astimezone(PARIS).date()
        return (self.first or day) <= day <= (self.last or day)


class Session(Protocol):
    """What is used of an open mailbox."""

    def listing(self) -> Sequence[tuple[int, int]]:
        """(uid, size) of the mails."""
        ...

    def examine(self, folder: str) -> bool:
        """Look into another folder."""
        ...

    def fetch(self, uid: int, size: int) -> bytes:
        """The whole mail, its flags untouched."""
        ...

    def close(self) -> None:
        """End the session."""
        ...


@dataclass(frozen=True, slots=True)
class Mailboxes:
    """One folder of each mailbox at the operator."""

    boxes: tuple[MailboxSettings, ...]
    open: Callable[[MailboxSettings], Session]
    folder: str = "INBOX"

    @property
    def title(self) -> str:
        """Mailboxes by their ids."""
        return f"boîtes {', '.join(each.id for each in self.boxes)}, dossier {self.folder}"

    def samples(self) -> Iterator[Sample]:
        """Mailbox after mailbox; one that does not open is told like a mail."""
        for box in self.boxes:
            try:
                session = self.opened(box)
            except PfiError as fault:
                yield Sample(box.id, mailbox=box.id, fault=LABELS_FR[fault.reason])
                continue
            if session is None:
                yield Sample(box.id, mailbox=box.id, fault=f"pas de dossier {self.folder}")
                continue
            yield from _Reading(self, box, session).samples()

    def opened(self, box: MailboxSettings) -> Session | None:
        """A session on the folder; None when the mailbox has no such folder."""
        session = self.open(box)
        try:
            if self.folder.upper() == "INBOX" or session.examine(self.folder):
                return session
        except PfiError:
            session.close()
            raise
        session.close()
        return None


@dataclass(slots=True)
class _Reading:
    """One mailbox. A session that breaks is opened again, as long as that succeeds at times."""

    source: Mailboxes
    box: MailboxSettings
    session: Session | None
    refusals: int = 0

    def samples(self) -> Iterator[Sample]:
        """Every mail that is listed now."""
        try:
            listed = self.session.listing() if self.session else ()
            for uid, size in listed:
                yield self._sample(uid, size)
        except PfiError as fault:
            yield Sample(self.box.id, mailbox=self.box.id, fault=LABELS_FR[fault.reason])
        finally:
            if self.session:
                self.session.close()

    def _sample(self, uid: int, size: int) -> Sample:
        name, box = f"{self.box.id}/{uid}", self.box.id
        try:
            return Sample(name, self._patiently(uid, size), box)
        except MailGone:
            return Sample(name, mailbox=box, fault=GONE)
        except PfiError as fault:
            return Sample(name, mailbox=box, fault=LABELS_FR[fault.reason])

    def _patiently(self, uid: int, size: int) -> bytes:
        if self.session:
            try:
                return self.session.fetch(uid, size)
            except PfiError:
                self.session.close()
                self.session = None
        self.session = self._again()
        return self.session.fetch(uid, size)

    def _again(self) -> Session:
        """Each try may take as long as the operator's time-out, and mails are many."""
        if self.refusals >= TRIES:
            raise Unavailable(Reason.MAILBOX_UNAVAILABLE)
        self.refusals += 1
        session = self.source.opened(self.box)
        if session is None:
            raise MailGone
        self.refusals = 0
        return session
