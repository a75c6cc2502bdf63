"""Ports in memory: a table with revisions, a store, queues, a mailbox, a relay, a DPI."""

from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from pfi.adapters.csv_patients import ListedPatients
from pfi.errors import Unavailable
from pfi.hl7.mllp import Message
from pfi.journey.jobs import Job
from pfi.journey.keys import document_key
from pfi.journey.ports import Change, MailGone, Put, Row
from pfi.journey.records import Dossier
from pfi.journey.settings import Settings
from pfi.mail.outbound import Outgoing
from pfi.names import Reason, Step

_NONE = object()


class MemoryTable:
    """Rows with revisions; a write is all or nothing."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], Row] = {}
        self.places: dict[tuple[str, str], tuple[str, str] | None] = {}
        self.calls = 0

    def get(self, pk: str, sk: str) -> Row | None:
        self.calls += 1
        return self.rows.get((pk, sk))

    def get_all(self, *keys: tuple[str, str]) -> tuple[Row | None, ...]:
        self.calls += 1
        return tuple(self.rows.get(key) for key in keys)

    def partition(self, pk: str, prefix: str = "") -> tuple[Row, ...]:
        self.calls += 1
        found = [r for (p, s), r in self.rows.items() if p == pk and s.startswith(prefix)]
        return tuple(sorted(found, key=lambda row: row.sk))

    def write(self, *writes: Put | Change) -> bool:
        self.calls += 1
        if not len({(each.pk, each.sk) for each in writes}) == len(writes) <= 100:
            raise Unavailable(Reason.STORE_UNAVAILABLE)  # DynamoDB knows no such transaction
        rows = [self._written(each) for each in writes]
        if None in rows:
            return False
        for write, row in zip(writes, rows, strict=True):
            assert row is not None
            self.rows[row.pk, row.sk] = row
            if isinstance(write, Put):
                self.places[row.pk, row.sk] = write.index
        return True

    def _written(self, write: Put | Change) -> Row | None:
        """The row as it will be; None when the condition fails."""
        known = self.rows.get((write.pk, write.sk))
        if isinstance(write, Put):
            same = (known.revision if known else None) == write.revision
            new = Row(write.pk, write.sk, (write.revision or 0) + 1, dict(write.data))
            return new if same else None
        if known is None or any(known.data.get(k, _NONE) != v for k, v in write.found.items()):
            return None
        data = {**known.data, **write.fields}
        return Row(write.pk, write.sk, known.revision + 1, data)

    def indexed(self, pk: str) -> Iterator[Row]:
        found = [(at[1], key) for key, at in self.places.items() if at and at[0] == pk]
        yield from (self.rows[key] for _, key in sorted(found))


class MemoryStore:
    """Bytes by key; `arrivals` are the keys whose creation announces a mail, `read` those that
    announce a dossier. An object is as old as its last copy; `expire` is the lifecycle of the
    bucket."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.dossiers: dict[str, Dossier] = {}
        self.arrivals: list[str] = []
        self.read: list[str] = []
        self.stored_at: dict[str, datetime] = {}
        self.now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def _stored(self, key: str) -> None:
        self.stored_at[key] = self.now()

    def _keys(self, prefix: str = "") -> list[str]:
        keys = dict.fromkeys((*self.objects, *self.dossiers))
        return sorted(key for key in keys if key.startswith(prefix))

    def renew(self, prefix: str, older_than: datetime) -> dict[str, bool]:
        found = {key: self.stored_at[key] < older_than for key in self._keys(prefix)}
        for key in (key for key, old in found.items() if old):
            self._stored(key)
        return found

    def expire(self, days: int) -> None:
        last = self.now() - timedelta(days=days)
        for key in [key for key in self._keys() if self.stored_at[key] <= last]:
            self.objects.pop(key, None)
            self.dossiers.pop(key, None)

    def put_mail(self, mailbox: str, mail: str, raw: bytes) -> str:
        key = f"incoming/{mailbox}/{mail}.eml"
        self.objects[key] = raw
        self._stored(key)
        self.arrivals.append(key)
        return key

    def get(self, key: str) -> bytes:
        if key not in self.objects:
            raise Unavailable(Reason.STORE_UNAVAILABLE)
        return self.objects[key]

    def arrived(self, key: str) -> tuple[bytes, datetime]:
        return self.get(key), self.stored_at.get(key) or self.now()

    def put_dossier(
        self, key: str, dossier: Dossier, contents: Sequence[bytes] = (), *, anew: bool = False
    ) -> bool:
        if key in self.dossiers and not anew:
            return False
        alone = len(contents) == 1
        self.objects.pop(key, None)
        for number, content in enumerate(contents, start=1):
            own = key if alone else document_key(key, number)
            self.objects[own] = content
            self._stored(own)
        self.dossiers[key] = dossier
        self._stored(key)
        self.read.append(key)
        return True

    def dossier(self, key: str) -> Dossier:
        if key not in self.dossiers:
            raise Unavailable(Reason.STORE_UNAVAILABLE)
        return self.dossiers[key]

    def document(self, key: str, number: int) -> tuple[Dossier, bytes]:
        alone = key in self.objects
        return self.dossier(key), self.get(key if alone else document_key(key, number))


class MemoryJobs:
    """Queues as lists of jobs; `review` holds what went to a dead-letter queue.

    `lanes` and `delays` tell of each push in which lane, and how late, it was sent.
    """

    def __init__(self) -> None:
        self.queues: dict[Step, deque[Job]] = defaultdict(deque)
        self.lanes: list[str] = []
        self.delays: list[int] = []
        self.review: list[tuple[Step, Job, Reason]] = []

    def send(self, step: Step, job: Job, lane: str = "", delay_s: int = 0) -> None:
        self.queues[step].append(job)
        if step is Step.PUSH:
            self.lanes.append(lane)
            self.delays.append(delay_s)

    def to_review(self, step: Step, job: Job, reason: Reason) -> None:
        self.review.append((step, job, reason))


@dataclass
class MemoryMailbox:
    """One INBOX and its folders."""

    uid_validity: int = 1
    inbox: dict[int, bytes] = field(default_factory=dict)
    folders: dict[str, list[bytes]] = field(default_factory=lambda: defaultdict(list))
    fetches: int = 0

    def deliver(self, raw: bytes) -> int:
        uid = max(self.inbox, default=0) + 1 + sum(map(len, self.folders.values()))
        self.inbox[uid] = raw
        return uid

    def listing(self) -> list[tuple[int, int]]:
        return [(uid, len(raw)) for uid, raw in sorted(self.inbox.items())]

    def header(self, uid: int) -> bytes:
        return self.fetch(uid, 0).partition(b"\r\n\r\n")[0] + b"\r\n\r\n"

    def fetch(self, uid: int, size: int) -> bytes:
        self.fetches += 1
        if uid not in self.inbox:
            raise MailGone
        return self.inbox[uid]

    def move(self, uid: int, folder: str) -> None:
        if uid in self.inbox:
            self.folders[folder].append(self.inbox.pop(uid))

    def close(self) -> None:
        return


@dataclass
class MemoryRelay:
    """Keeps what was sent; `fault` is raised by the next sends, one each."""

    sent: list[Outgoing] = field(default_factory=list)
    faults: list[Exception] = field(default_factory=list)

    def send(self, mail: Outgoing) -> None:
        if self.faults:
            raise self.faults.pop(0)
        self.sent.append(mail)


@dataclass
class MemoryDpi:
    """Keeps what it accepted; `answers` are raw ACKs, verdict words or exceptions, in order."""

    accepted: list[bytes] = field(default_factory=list)
    received: list[bytes] = field(default_factory=list)
    answers: list[Any] = field(default_factory=list)

    def exchange(self, pieces: Message, control_id: str) -> bytes:
        message = b"".join(pieces)
        self.received.append(message)
        answer = self.answers.pop(0) if self.answers else "AA"
        if isinstance(answer, Exception):
            raise answer
        if answer == "AA":
            self.accepted.append(message)
        return ack(answer, control_id)


def ack(answer: str, control_id: str) -> bytes:
    """``AA``, ``AR``, ``AE 101`` (ERR-3) or ``AE 207 902`` (ERR-3, ERR-5)."""
    code, *errors = answer.split()
    segments = [
        "MSH|^~\\&|DPI|CH|PFI|CH|20260514093213||ACK^T02^ACK|A1|T|2.6|||||FRA|UNICODE UTF-8",
        f"MSA|{code}|{control_id}",
    ]
    if errors:
        five = f"{errors[1]}^x^applicationErrorCondition" if len(errors) > 1 else ""
        segments.append(f"ERR||PID^1^3|{errors[0]}^x^messageErrorCondition|E|{five}")
    return ("\r".join(segments) + "\r").encode()


class Clock:
    """A clock that only moves when told."""

    def __init__(self, now: datetime = datetime(2026, 5, 14, 7, 31, 45, tzinfo=UTC)) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@dataclass
class MemoryPorts:
    """All ports of the journey in memory."""

    settings: Settings
    patients: ListedPatients
    table: MemoryTable = field(default_factory=MemoryTable)
    store: MemoryStore = field(default_factory=MemoryStore)
    jobs: MemoryJobs = field(default_factory=MemoryJobs)
    inbox: MemoryMailbox = field(default_factory=MemoryMailbox)
    outbox: MemoryRelay = field(default_factory=MemoryRelay)
    hospital: MemoryDpi = field(default_factory=MemoryDpi)
    now: Callable[[], datetime] = field(default_factory=Clock)
    life_s: float = 105

    def __post_init__(self) -> None:
        self.store.now = self.now

    @contextmanager
    def mailbox(self, _mailbox: object) -> Iterator[MemoryMailbox]:
        yield self.inbox

    def relay(self, _mailbox: object) -> MemoryRelay:
        return self.outbox

    def dpi(self, _target: object) -> MemoryDpi:
        return self.hospital
