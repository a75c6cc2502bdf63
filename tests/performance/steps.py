"""What each step of one mail costs: CPU over doubles, calls of AWS, units of the table.

The doubles take no time worth the name, so what is measured is the steps' own. The SDK's share of
a call is measured beside it: through the real adapter, from a process that always gives the same
item.

Counted is what a mail adds. What a poll does whatever it finds (the lease; the ages of the
mailboxes are outside `collect` anyway) is of nobody: a poll of an empty mailbox is counted first,
and taken off the one that finds the mail, as in tests/contracts/test_call_budget.py.
"""

import gc
import json
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from math import ceil
from statistics import mean, median
from typing import Any, ClassVar, Final

import boto3

from infra.local.aws import arguments
from infra.local.emulator import client_environment
from infra.operations.capacity import JOURNEY
from pfi.adapters.dynamodb import DynamoTable
from pfi.journey.jobs import ReadMail
from pfi.journey.match import match
from pfi.journey.parse import Arrival, parse
from pfi.journey.ports import Change, Put
from pfi.names import Route, Step
from tests.doubles.drive import STEPS, Drive
from tests.performance.corpus import L1_2M, L1_300K, L3_50K, PATIENT, Specimen
from tests.performance.product import pieces

SIZES: Final = (L3_50K, L1_300K, L1_2M)
AWS: Final = ("table", "store", "jobs", "patients")
"""The ports behind which is an AWS service, one call for one call but for `_requests`."""
_ROUNDS, _MAILS = 5, 8
_UNIT_READ, _UNIT_WRITE = 4096, 1024
_EMPTY = "poll of an empty mailbox"


@dataclass
class Spent:
    """Of one step: calls of AWS by port and method, others too; units of the table; the clock."""

    calls: Counter[tuple[str, str]] = field(default_factory=Counter)
    units: Counter[str] = field(default_factory=Counter)
    cpu: float = 0.0

    def beyond(self, empty: "Spent") -> "Spent":
        """What it does more than one without a mail, which does nothing that this one does not."""
        assert empty.calls <= self.calls
        assert empty.units <= self.units
        cpu = max(0.0, self.cpu - empty.cpu)
        return Spent(self.calls - empty.calls, self.units - empty.units, cpu)


@dataclass
class Tally:
    """What each step spent."""

    step: str = ""
    spent: dict[str, Spent] = field(default_factory=lambda: defaultdict(Spent))
    _rows: dict[tuple[str, str], Put] = field(default_factory=dict)

    @contextmanager
    def of(self, step: str) -> Iterator[None]:
        """What happens inside belongs to that step."""
        self.step = step
        began = time.process_time()
        try:
            yield
        finally:
            self.spent[step].cpu += time.process_time() - began
            self.step = ""

    def aws(self, step: str = "") -> int:
        """Calls of AWS, of one step or of all."""
        return sum(
            count
            for name, spent in self.spent.items()
            for (port, _), count in spent.calls.items()
            if port in AWS and step in ("", name)
        )

    def service(self, port: str, *methods: str) -> int:
        """Calls of AWS behind some methods of a port."""
        return sum(spent.calls[port, each] for spent in self.spent.values() for each in methods)

    def units(self, kind: str) -> int:
        """Units of the table: `reads`, `writes` or `index_writes`."""
        return sum(spent.units[kind] for spent in self.spent.values())

    def note(self, port: str, method: str, given: Sequence[Any], answer: Any) -> None:
        """One call of a port, by the step that runs."""
        if not self.step:
            return
        spent = self.spent[self.step]
        spent.calls[port, method] += _requests(method, given, answer)
        if port == "table" and method == "write":
            spent.units += self._written(given)
        elif port == "table":
            spent.units["reads"] += _read_units(method, answer)

    def _written(self, writes: Sequence[Put | Change]) -> Counter[str]:
        """Units of 1 kB, each row by itself; twice in a transaction, which a change always is. The
        index follows by itself, once."""
        times = 2 if len(writes) > 1 or isinstance(writes[0], Change) else 1
        found: Counter[str] = Counter()
        for write in writes:
            place = write.pk, write.sk
            before = self._rows.get(place)
            after = self._rows[place] = _left(write, before)
            units = _blocks(_size(after.data), _UNIT_WRITE)
            found["writes"] += times * units
            found["index_writes"] += _entries(before and before.index, after.index) * units
        return found


def _left(write: Put | Change, before: Put | None) -> Put:
    """The whole row that a write leaves."""
    if isinstance(write, Put):
        return write
    assert before is not None
    return replace(before, data={**before.data, **write.fields})


def _entries(before: tuple[str, str] | None, after: tuple[str, str] | None) -> int:
    """Written in the index, which holds whole rows: a row that moves to another place of it is
    removed from the first and written to the second."""
    return (before is not None and before != after) + (after is not None)


def _requests(method: str, given: Sequence[Any], answer: Any) -> int:
    """Of AWS, for one call of a port: a document of several lies beside its dossier, so that
    reading both is two, and storing them one for each and one for the dossier."""
    if method == "document":
        return 1 if len(answer[0].documents) == 1 else 2
    if method == "put_dossier":
        contents = given[2] if len(given) > 2 else ()
        return 1 if len(contents) == 1 else 1 + len(contents)
    return 1


def _read_units(method: str, answer: Any) -> int:
    """Strongly consistent, of 4 kB: a row that is absent is one too. BatchGetItem rounds each row
    up by itself, a query the sum of its rows."""
    if method == "get_all":
        return sum(_blocks(_size(row.data) if row else 0, _UNIT_READ) for row in answer)
    rows = answer if isinstance(answer, tuple) else (answer,)
    return _blocks(sum(_size(row.data) for row in rows if row), _UNIT_READ)


def _blocks(size: int, block: int) -> int:
    return max(1, ceil(size / block))


def _size(data: Mapping[str, Any]) -> int:
    return len(json.dumps(data, default=str)) + 150  # keys, revision, expiry


class Counted:
    """A port as it is, every call told to a tally."""

    def __init__(self, port: Any, name: str, tally: Tally) -> None:
        self._port, self._name, self._tally = port, name, tally

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._port, name)
        return self._counting(name, found) if callable(found) else found

    def _counting(self, method: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **named: Any) -> Any:
            answer = call(*arguments, **named)
            self._tally.note(self._name, method, arguments, answer)
            return answer

        return counted


@dataclass(frozen=True, slots=True)
class OneMail:
    """The straight path of one mail, counted."""

    tally: Tally
    mail_bytes: int
    message: Any
    """As the DPI's port got it."""
    stored_bytes: int

    @property
    def message_bytes(self) -> int:
        """On the wire."""
        return sum(map(len, pieces(self.message)))

    def mail(self) -> dict[str, float]:
        """Its counts by their names in prices.toml. `gets` are GetObject, whoever asks; a look into
        the patient base is a read of one unit."""
        tally = self.tally
        return {
            "jobs": len(tally.spent.keys() - {"collect"}),
            "reads": tally.units("reads") + tally.service("patients", "find", "get", "twins"),
            "writes": tally.units("writes"),
            "index_writes": tally.units("index_writes"),
            "puts": tally.service("store", "put_mail", "put_dossier"),
            "gets": tally.service("store", "arrived", "dossier", "document", "get"),
            "out_share": round(self.message_bytes / self.mail_bytes, 2),
            "document_share": round(self.stored_bytes / self.mail_bytes, 2),
        }


def one_mail(raw: bytes) -> OneMail:
    """Collected, read, matched, accepted by the DPI, and answered if it asks for that: in a
    hospital of its own, whose collector has polled before."""
    drive, tally = Drive(patients=(PATIENT.record,)), Tally()
    ports: Any = drive.ports
    for name in ("table", "store", "jobs", "patients", "inbox"):
        setattr(ports, name, Counted(getattr(ports, name), name, tally))
    _collected(drive, tally, raw)
    for key in list(drive.ports.store.arrivals):
        with tally.of("parse"):
            parse(Arrival(key, key.split("/")[1]), drive.ports)
    for key in list(drive.ports.store.read):
        _, seal, mailbox, _ = key.split("/")
        with tally.of("match"):
            match(ReadMail(key, mailbox, seal), drive.ports)
    for step in (Step.MATCH, Step.PUSH, Step.FORWARD):
        queue = drive.ports.jobs.queues[step]
        while queue:
            with tally.of(step.value):
                STEPS[step](queue.popleft(), drive.ports)
    return _checked(drive, tally, raw)


def _collected(drive: Drive, tally: Tally, raw: bytes) -> None:
    """Charged to the mail is what a poll of the empty mailbox does not do."""
    drive.collect()  # the first poll of all makes the lease
    with tally.of(_EMPTY):
        drive.collect()
    drive.ports.inbox.deliver(raw)
    with tally.of("collect"):
        drive.collect()
    tally.spent["collect"] = tally.spent["collect"].beyond(tally.spent.pop(_EMPTY))


def _checked(drive: Drive, tally: Tally, raw: bytes) -> OneMail:
    [message] = drive.ports.hospital.accepted
    row = next(row for (_, sk), row in drive.ports.table.rows.items() if sk == "MAIL")
    assert row.data["route"] == Route.INTEGRATED
    assert len(drive.ports.outbox.sent) == (b"Disposition-Notification-To:" in raw)
    objects = drive.ports.store.objects
    stored = sum(map(len, objects.values())) - len(raw)
    return OneMail(tally, len(raw), message, stored)


@dataclass(frozen=True, slots=True)
class StepCost:
    """CPU of one step, the SDK's included: of any mail, and of each megabyte of it."""

    own_ms: float
    own_ms_per_mb: float
    calls: int
    sdk_ms: float
    """Of one call."""

    @property
    def ms(self) -> float:
        """Of a mail without size."""
        return self.own_ms + self.calls * self.sdk_ms


@dataclass(frozen=True, slots=True)
class Measured:
    """All steps, in one run."""

    steps: Mapping[str, StepCost]
    by_size: Mapping[str, Mapping[str, float]]
    """CPU ms of each step by name of the specimen."""
    counted: OneMail
    sdk_ms: float

    @property
    def aws_calls(self) -> int:
        """Of one mail."""
        return self.counted.tally.aws()

    def mail(self) -> dict[str, float]:
        """The counts that the estimate takes, by their names in prices.toml."""
        return self.counted.mail()


def measure(rounds: int = _ROUNDS, mails: int = _MAILS, sdk_ms: float = 0.0) -> Measured:
    """Steps and sizes take turns; each figure is the median of the rounds. The SDK's share of a
    call is measured unless it is given."""
    raws = {size.name: size.raw for size in SIZES}
    one_mail(raws[L1_300K.name])  # what is loaded once is not counted
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    for _ in range(rounds):
        for name, raw in raws.items():
            gc.collect()
            runs = [one_mail(raw).tally.spent for _ in range(mails)]
            for step in JOURNEY:
                found[step, name].append(1000 * mean(run[step].cpu for run in runs))
    medians = {place: median(values) for place, values in found.items()}
    counted, sdk_ms = one_mail(raws[L1_300K.name]), sdk_ms or sdk_call_ms()
    by_size = {s: {size.name: medians[s, size.name] for size in SIZES} for s in JOURNEY}
    steps = {
        step: StepCost(*line(by_size[step], SIZES[1:]), counted.tally.aws(step), sdk_ms)
        for step in JOURNEY
    }
    return Measured(steps, by_size, counted, sdk_ms)


def line(ms: Mapping[str, float], sizes: Sequence[Specimen]) -> tuple[float, float]:
    """What a mail without size costs, and a megabyte: the line through two sizes."""
    small, large = sizes
    megabytes = (len(large.raw) - len(small.raw)) / 1e6
    slope = max(0.0, (ms[large.name] - ms[small.name]) / megabytes)
    return max(0.0, ms[small.name] - slope * len(small.raw) / 1e6), slope


def sdk_call_ms(calls: int = 300, rounds: int = 5) -> float:
    """CPU of one read of the ledger through the adapter and boto3, over a socket without TLS; what
    answers is another process."""
    with _answering() as port:
        client = boto3.client("dynamodb", **arguments(client_environment(port)))
        table = DynamoTable(client, "ledger")
        assert table.get("MAIL#x", "MAIL")
        found = []
        for _ in range(rounds):
            gc.collect()
            began = time.process_time()
            for _ in range(calls):
                table.get("MAIL#x", "MAIL")
            found.append(1000 * (time.process_time() - began) / calls)
        client.close()
    return median(found)


@contextmanager
def _answering() -> Iterator[int]:
    """A process that gives one item to whoever asks; its port."""
    command = [sys.executable, "-m", "tests.performance.steps"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout
        try:
            yield int(child.stdout.readline())
        finally:
            child.kill()


class _Item(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    fields: ClassVar = {f"field{n}": {"S": "value" * 4} for n in range(20)}
    body: ClassVar = json.dumps(
        {"Item": {"pk": {"S": "MAIL#x"}, "sk": {"S": "MAIL"}, "revision": {"N": "3"},
                  "data": {"M": fields}}}
    ).encode()  # fmt: skip

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Type", "application/x-amz-json-1.0")
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)
        self.wfile.flush()

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


def answer() -> None:
    """The process that answers."""
    server = HTTPServer(("127.0.0.1", 0), _Item)
    sys.stdout.write(f"{server.server_port}\n")
    sys.stdout.flush()
    server.serve_forever()


if __name__ == "__main__":
    answer()
