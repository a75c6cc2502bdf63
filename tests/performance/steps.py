"""What each step of one mail costs: CPU over doubles, calls of AWS, units of the table.

The doubles take no time worth the name, so what is measured is the steps' own. The SDK's share of
a call is measured beside it: through the real adapter, from a process that always gives the same
item.
"""

import gc
import json
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
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
"""The ports behind which is an AWS service, one call for one call."""
_ROUNDS, _MAILS = 5, 8
_UNIT_READ, _UNIT_WRITE = 4096, 1024
_REST_OF_A_MAIL = 400


@dataclass
class Tally:
    """Calls by step, port and method; units of the table; the clock of each step."""

    step: str = ""
    calls: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    cpu: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    reads: int = 0
    writes: int = 0
    index_writes: int = 0

    @contextmanager
    def of(self, step: str) -> Iterator[None]:
        """What happens inside belongs to that step."""
        self.step = step
        began = time.process_time()
        try:
            yield
        finally:
            self.cpu[step] += time.process_time() - began
            self.step = ""

    def aws(self, step: str = "") -> int:
        """Calls of AWS, of one step or of all."""
        return sum(
            count for (s, port, _), count in self.calls.items() if port in AWS and step in ("", s)
        )

    def service(self, port: str, *methods: str) -> int:
        """Calls of some methods of a port."""
        return sum(n for (_, p, m), n in self.calls.items() if p == port and m in methods)

    def units(self, method: str, puts: Sequence[Any], answer: Any) -> None:
        """Read units of an answer, write units of what was put: twice in a transaction."""
        if method == "write":
            sizes = [ceil(_written(put) / _UNIT_WRITE) for put in puts]
            self.writes += sum(sizes) * (2 if len(puts) > 1 else 1)
            listed = zip(sizes, puts, strict=True)
            self.index_writes += sum(size for size, put in listed if _listed(put))
        else:
            rows = answer if isinstance(answer, tuple) else (answer,)
            self.reads += max(1, ceil(sum(_size(r.data) for r in rows if r) / _UNIT_READ))


def _written(write: Put | Change) -> int:
    """A change counts as the whole row that it leaves: that of a mail, here."""
    return _size(write.data) if isinstance(write, Put) else _size(write.fields) + _REST_OF_A_MAIL


def _listed(write: Put | Change) -> bool:
    """The index holds whole rows, so a change of one is written there too."""
    return isinstance(write, Change) or write.index is not None


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
            tally = self._tally
            answer = call(*arguments, **named)
            if tally.step:
                tally.calls[tally.step, self._name, method] += 1
                if self._name == "table":
                    tally.units(method, arguments, answer)
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


def one_mail(raw: bytes) -> OneMail:
    """Collected, read, matched, accepted by the DPI, answered: in a hospital of its own."""
    drive, tally = Drive(patients=(PATIENT.record,)), Tally()
    ports: Any = drive.ports
    for name in ("table", "store", "jobs", "patients", "inbox"):
        setattr(ports, name, Counted(getattr(ports, name), name, tally))
    drive.ports.inbox.deliver(raw)
    with tally.of("collect"):
        drive.collect()
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


def _checked(drive: Drive, tally: Tally, raw: bytes) -> OneMail:
    [message] = drive.ports.hospital.accepted
    row = next(row for (_, sk), row in drive.ports.table.rows.items() if sk == "MAIL")
    assert row.data["route"] == Route.INTEGRATED
    assert len(drive.ports.outbox.sent) == 1
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
        tally, one = self.counted.tally, self.counted
        return {
            "reads": tally.reads + tally.service("patients", "find", "get", "twins"),
            "writes": tally.writes,
            "index_writes": tally.index_writes,
            "puts": tally.service("store", "put_mail", "put_document", "put_dossier"),
            "gets": tally.service("store", "get", "document", "dossier"),
            "out_share": round(one.message_bytes / one.mail_bytes, 2),
            "document_share": round(one.stored_bytes / one.mail_bytes, 2),
        }


def measure(rounds: int = _ROUNDS, mails: int = _MAILS, sdk_ms: float = 0.0) -> Measured:
    """Steps and sizes take turns; each figure is the median of the rounds. The SDK's share of a
    call is measured unless it is given."""
    raws = {size.name: size.raw for size in SIZES}
    one_mail(raws[L1_300K.name])  # what is loaded once is not counted
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    for _ in range(rounds):
        for name, raw in raws.items():
            gc.collect()
            runs = [one_mail(raw).tally.cpu for _ in range(mails)]
            for step in JOURNEY:
                found[step, name].append(1000 * mean(run[step] for run in runs))
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
