"""What the simulated operator keeps: mailboxes, folders, mails byte for byte, in one SQLite file.

One connection behind a lock, write-ahead log: the operator's loop, the tests and the command
line may use it at the same time, and everything survives a restart.
"""

import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

INBOX: Final = "INBOX"

_SCHEMA: Final = """
create table if not exists mailbox (address text primary key);
create table if not exists folder (
  id integer primary key, address text not null references mailbox, name text not null,
  uidvalidity integer not null, uidnext integer not null default 1, unique (address, name));
create table if not exists content (id integer primary key autoincrement, raw blob not null);
create table if not exists mail (
  folder integer not null references folder, uid integer not null, content integer not null
  references content, size integer not null, flags text not null, received_at integer not null,
  primary key (folder, uid));
create index if not exists mail_content on mail (content);
"""


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder as SELECT shows it."""

    id: int
    name: str
    uid_validity: int
    uid_next: int


@dataclass(frozen=True, slots=True)
class StoredMail:
    """A mail without its bytes; `content` names them."""

    uid: int
    content: int
    size: int
    flags: frozenset[str]
    received_at: datetime


class OperatorStore:
    """Thread-safe; addresses are compared in lower case, folder names exactly but INBOX."""

    def __init__(
        self, path: Path | None = None, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._now = now
        self._lock = threading.RLock()
        self._last: tuple[int, bytes] = (0, b"")
        self._db = sqlite3.connect(
            path or ":memory:", check_same_thread=False, isolation_level=None, timeout=30
        )
        self._db.execute("pragma journal_mode = wal")
        self._db.execute("pragma synchronous = normal")
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        """End the connection; the file stays."""
        with self._lock:
            self._db.close()

    def time(self) -> datetime:
        """Now, by the clock of this store."""
        return self._now()

    def create_mailbox(self, address: str) -> None:
        """A mailbox with its INBOX; harmless when it exists."""
        with self._changes():
            self._rows("insert or ignore into mailbox values (?)", address.lower())
            self._make_folder(address, INBOX)

    def mailboxes(self) -> tuple[str, ...]:
        """All addresses."""
        with self._lock:
            return tuple(row[0] for row in self._rows("select address from mailbox order by 1"))

    def has(self, address: str) -> bool:
        """True when the mailbox exists."""
        return address.lower() in self.mailboxes()

    def create_folder(self, address: str, name: str) -> bool:
        """False when it exists already."""
        with self._changes():
            return self._make_folder(address, name)

    def folders(self, address: str) -> tuple[Folder, ...]:
        """The folders of a mailbox, INBOX first."""
        query = (
            "select id, name, uidvalidity, uidnext from folder where address = ? "
            "order by name <> 'INBOX', name"
        )
        with self._lock:
            return tuple(Folder(*row) for row in self._rows(query, address.lower()))

    def folder(self, address: str, name: str) -> Folder | None:
        """One folder by name, None when absent."""
        wanted = _canonical(name)
        return next((f for f in self.folders(address) if f.name == wanted), None)

    def deliver(
        self,
        address: str,
        raw: bytes,
        folder: str = INBOX,
        flags: Iterable[str] = (),
        received_at: datetime | None = None,
    ) -> int:
        """Put a mail into a folder, byte for byte, making mailbox and folder; its UID."""
        with self._changes():
            self.create_mailbox(address)
            self._make_folder(address, folder)
            place = self.folder(address, folder)
            content = self._db.execute("insert into content (raw) values (?)", (raw,)).lastrowid
            when = int((received_at or self._now()).timestamp())
            return self._add(place, content, len(raw), _text(flags), when)

    def mails(self, folder: Folder) -> tuple[StoredMail, ...]:
        """The mails of a folder in UID order."""
        query = (
            "select uid, content, size, flags, received_at from mail where folder = ? order by uid"
        )
        with self._lock:
            return tuple(_stored(*row) for row in self._rows(query, folder.id))

    def raw(self, content: int) -> bytes:
        """The bytes; the last mail is remembered, for clients read big mails in pieces."""
        with self._lock:
            if self._last[0] != content:
                row = next(self._rows("select raw from content where id = ?", content), (b"",))
                self._last = (content, bytes(row[0]))
            return self._last[1]

    def contents(self, address: str, folder: str = INBOX) -> tuple[bytes, ...]:
        """All mails of a folder, for tests and the command line; () when it does not exist."""
        with self._lock:
            place = self.folder(address, folder)
            return tuple(self.raw(mail.content) for mail in self.mails(place)) if place else ()

    def set_flags(self, folder: Folder, uid: int, flags: Iterable[str]) -> None:
        """Replace the flags of one mail."""
        with self._changes():
            query = "update mail set flags = ? where folder = ? and uid = ?"
            self._rows(query, _text(flags), folder.id, uid)

    def copy(self, folder: Folder, uids: Sequence[int], target: Folder) -> list[tuple[int, int]]:
        """Copy mails with flags and date; (old UID, new UID) pairs. Bytes are shared."""
        query = "select content, size, flags, received_at from mail where folder = ? and uid = ?"
        with self._changes():
            return [
                (uid, self._add(target, *row))
                for uid in uids
                for row in self._rows(query, folder.id, uid)
            ]

    def move(self, folder: Folder, uids: Sequence[int], target: Folder) -> list[tuple[int, int]]:
        """Copy and expunge in one transaction (RFC 6851 §3.3)."""
        with self._changes():
            pairs = self.copy(folder, uids, target)
            self.expunge(folder, uids)
            return pairs

    def expunge(self, folder: Folder, uids: Iterable[int]) -> None:
        """Delete mails for good; bytes that no mail names any more go too."""
        with self._changes():
            for uid in uids:
                self._rows("delete from mail where folder = ? and uid = ?", folder.id, uid)
            self._rows("delete from content where id not in (select content from mail)")

    def renumber(self, address: str, folder: str = INBOX) -> int:
        """A new UIDVALIDITY and new UIDs, as after a restored backup; the new UIDVALIDITY."""
        with self._changes():
            place = self.folder(address, folder)
            if place is None:
                raise KeyError(folder)
            mails = self.mails(place)
            for new, mail in enumerate(mails, start=1):
                # Negative first: the old and the new numbers overlap.
                self._renumber_one(place, mail.uid, -new)
            self._rows("update mail set uid = -uid where folder = ? and uid < 0", place.id)
            query = "update folder set uidvalidity = uidvalidity + 1, uidnext = ? where id = ?"
            self._rows(query, len(mails) + 1, place.id)
            return place.uid_validity + 1

    def _renumber_one(self, folder: Folder, old: int, new: int) -> None:
        self._rows("update mail set uid = ? where folder = ? and uid = ?", new, folder.id, old)

    def _make_folder(self, address: str, name: str) -> bool:
        query = "insert or ignore into folder (address, name, uidvalidity) values (?, ?, ?)"
        validity = int(self._now().timestamp())
        values = (address.lower(), _canonical(name), validity)
        return self._db.execute(query, values).rowcount == 1

    def _add(
        self, folder: Folder | None, content: int | None, size: int, flags: str, received_at: int
    ) -> int:
        if folder is None:
            raise KeyError("folder")
        query = "update folder set uidnext = uidnext + 1 where id = ? returning uidnext - 1"
        (uid,) = self._db.execute(query, (folder.id,)).fetchone()
        values = (folder.id, uid, content, size, flags, received_at)
        self._db.execute("insert into mail values (?, ?, ?, ?, ?, ?)", values)
        return int(uid)

    def _rows(self, query: str, *values: object) -> Iterator[Any]:
        return iter(self._db.execute(query, values).fetchall())

    @contextmanager
    def _changes(self) -> Iterator[None]:
        """One transaction, also across calls inside calls."""
        with self._lock:
            if self._db.in_transaction:
                yield
                return
            self._db.execute("begin immediate")
            try:
                yield
            except BaseException:
                self._db.execute("rollback")
                raise
            self._db.execute("commit")


def _canonical(name: str) -> str:
    return INBOX if name.upper() == INBOX else name


def _text(flags: Iterable[str]) -> str:
    return " ".join(sorted(set(flags)))


def _stored(uid: int, content: int, size: int, flags: str, received_at: int) -> StoredMail:
    when = datetime.fromtimestamp(received_at, UTC)
    return StoredMail(uid, content, size, frozenset(flags.split()), when)
