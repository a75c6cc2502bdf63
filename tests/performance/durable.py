"""The doubles of the journey with a disk under them: what a step changes is written before the
step goes on, to SQLite (ledger, jobs, dossiers) and to files (mails and documents).

Not a part of the product, which has no such ports: they stand for AWS where a whole engine is
compared with another whole engine on one machine. Written as MessageFoundry writes: WAL,
`synchronous=NORMAL`, one commit for each write of a port.
"""

import json
import sqlite3
from collections import defaultdict, deque
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import TypeAdapter

from pfi.journey.jobs import Job
from pfi.journey.ports import Row
from pfi.journey.records import Dossier
from pfi.names import Step
from tests.doubles.memory import MemoryJobs, MemoryStore, MemoryTable

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")
_DOSSIER: Final = TypeAdapter(Dossier)


class Disk:
    """A folder with a database and the files that are too long for it."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._database = sqlite3.connect(folder / "journal.sqlite", isolation_level=None)
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=NORMAL")
        self._database.execute(
            "CREATE TABLE IF NOT EXISTS kept (what TEXT, name TEXT, body BLOB,"
            " PRIMARY KEY (what, name)) WITHOUT ROWID"
        )

    @contextmanager
    def whole(self) -> Iterator[None]:
        """What is kept inside is committed together."""
        self._database.execute("BEGIN")
        try:
            yield
        finally:
            self._database.execute("COMMIT")

    def keep(self, what: str, name: str, body: str | bytes) -> None:
        """One change, committed at once or with the others around it."""
        self._database.execute("INSERT OR REPLACE INTO kept VALUES (?, ?, ?)", (what, name, body))

    def drop(self, what: str, name: str) -> None:
        """One thing less, committed."""
        self._database.execute("DELETE FROM kept WHERE what = ? AND name = ?", (what, name))

    def names(self, what: str) -> set[str]:
        """What is there."""
        found = self._database.execute("SELECT name FROM kept WHERE what = ?", (what,))
        return {name for (name,) in found}

    def write(self, name: str, body: bytes) -> None:
        """A file."""
        (self.folder / name.replace("/", "_")).write_bytes(body)

    def close(self) -> None:
        """Nothing more is written."""
        self._database.close()


class Written(dict[Key, Value]):
    """A dictionary whose every change is written before it is seen."""

    def __init__(self, write: Callable[[Key, Value], None]) -> None:
        super().__init__()
        self._write = write

    def __setitem__(self, key: Key, value: Value) -> None:
        self._write(key, value)
        super().__setitem__(key, value)


class Queue(deque[Job]):
    """A queue of jobs; one that is taken is gone from the disk as well."""

    def __init__(self, disk: Disk, step: Step) -> None:
        super().__init__()
        self._disk, self._what = disk, f"job {step.value}"

    def append(self, job: Job) -> None:
        self._disk.keep(self._what, job.dump(), b"")
        super().append(job)

    def popleft(self) -> Job:
        job = super().popleft()
        self._disk.drop(self._what, job.dump())
        return job


class Queues(defaultdict[Step, deque[Job]]):
    """A queue for each step."""

    def __init__(self, disk: Disk) -> None:
        super().__init__()
        self._disk = disk

    def __missing__(self, step: Step) -> deque[Job]:
        self[step] = queue = Queue(self._disk, step)
        return queue


class Table(MemoryTable):
    """The ledger; the rows of a write reach the disk together."""

    def __init__(self, disk: Disk) -> None:
        super().__init__()
        self._disk = disk
        self.rows = Written(self._keep)

    def _keep(self, key: tuple[str, str], row: Row) -> None:
        body = json.dumps([row.revision, dict(row.data)], default=str)
        self._disk.keep("row", " ".join(key), body)

    def write(self, *writes: Any) -> bool:
        with self._disk.whole():
            return super().write(*writes)


def store(disk: Disk) -> MemoryStore:
    """Mails, documents, dossiers."""

    def keep(key: str, dossier: Any) -> None:
        disk.keep("dossier", key, _DOSSIER.dump_json(dossier))

    kept = MemoryStore()
    kept.objects = Written(disk.write)
    kept.dossiers = Written(keep)
    return kept


def jobs(disk: Disk) -> MemoryJobs:
    """The queues."""
    kept = MemoryJobs()
    kept.queues = Queues(disk)
    return kept
