"""Load invented identities into a table of the emulator, with a kill -9 on the way, and tell.

    python -m tests.performance.patient_base 1000000

prints the section "Patient base" of docs/reference/performance.md. The loader is a process of its
own, so that its memory is its own and it can be killed.
"""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import boto3

from infra.local.aws import arguments
from infra.local.emulator import Emulator
from infra.local.invented.identities import identities, write_csv
from infra.operations.base_quality import Quality, quality
from infra.operations.patients import load_file, patient_file, ports_on
from pfi.adapters.loads import raws
from pfi.adapters.patients import DynamoPatients
from pfi.ins.feeding import Kept
from pfi.ins.keys import ins_key
from pfi.ins.patient_lines import Format, layout
from pfi.ins.statements import loaded
from pfi.journey.loading import STRETCH, Progress
from pfi.journey.patient_base import Filed

ESTABLISHMENT = "ch"
TABLE = "patients"
AS_OF = datetime(2026, 5, 14, 2, 0, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Run:
    """One process of the loader: until its end, or until it was killed."""

    seconds: float
    lines: int = 0
    """Where in the file it ended."""
    lines_read: int = 0
    cpu_s: float = 0.0
    first_mb: float = 0.0
    peak_mb: float = 0.0


def child(path: Path) -> None:
    """The loader: a line of JSON after each stretch, with what it cost so far."""
    client = boto3.client("dynamodb", **arguments(os.environ))

    def tell(progress: Progress) -> None:
        used = resource.getrusage(resource.RUSAGE_SELF)
        told = (progress.line, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()

    with ports_on(client, TABLE) as ports:
        load_file(patient_file(path, AS_OF), ESTABLISHMENT, ports, tell)


def load(environment: Mapping[str, str], path: Path, kill_at: int = 0) -> Run:
    """Run the loader; after line `kill_at` it gets a kill -9."""
    command = [sys.executable, "-m", "tests.performance.patient_base", "child", str(path)]
    began, told = time.monotonic(), []
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, env={**os.environ, **environment}
    ) as process:
        assert process.stdout
        for line in process.stdout:
            told.append(json.loads(line))
            if told[-1][0] % 60_000 < STRETCH:
                sys.stderr.write(f"line {told[-1][0]}, {time.monotonic() - began:.0f} s\n")
            if kill_at and told[-1][0] >= kill_at:
                process.send_signal(signal.SIGKILL)
                break
    assert kill_at or process.returncode == 0
    seconds = time.monotonic() - began
    if not told:
        return Run(seconds)
    (first, _, first_mb), (last, cpu, peak_mb) = told[0], told[-1]
    return Run(seconds, last, last - first + STRETCH, cpu, first_mb, peak_mb)


def new_table(client: Any) -> None:
    """A table as the stack has it."""
    keys = [("pk", "HASH"), ("sk", "RANGE")]
    client.create_table(
        TableName=TABLE,
        KeySchema=[{"AttributeName": k, "KeyType": t} for k, t in keys],
        AttributeDefinitions=[{"AttributeName": k, "AttributeType": "S"} for k, _ in keys],
        BillingMode="PAY_PER_REQUEST",
    )


def found_again(base: DynamoPatients, count: int) -> int:
    """How many of the identities the base knows, asked for a hundred at a time. Not by a scan: the
    emulator sorts the whole table for each page of one."""
    people, found = (person.ipp for person in identities(count)), 0
    while ipps := list(islice(people, 100)):
        found += len(base.read(ESTABLISHMENT, ipps).identities)
    return found


def checked(path: Path) -> tuple[Quality, float]:
    """The quality report of these identities, and how many it reads in a second."""
    with path.open("rb") as file:
        head = layout([file.readline(), file.readline()], Format.CSV)
        file.seek(head.size)
        lines = (head.read(raw, 0).record for raw, _ in raws(file, head.size))
        filed = (Filed(Kept(loaded(record), record), 1) for record in lines if record)
        began = time.process_time()
        found = quality(filed, lambda _: {}, lambda *_: None)
    return found, found.identities / (time.process_time() - began)


def units_of_a_look_up(client: Any, table: str, sample: int = 200) -> tuple[int, float]:
    """Calls and read units of finding a qualified patient by INS: the same in any base."""
    people = [p for p in identities(1000) if p.body and not p.merged_into][:sample]
    units = 0.0
    for person in people:
        number = ins_key(ESTABLISHMENT, person.matricule, str(person.oid))
        found = client.query(
            TableName=table,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": number}},
            ConsistentRead=True,
            ReturnConsumedCapacity="TOTAL",
        )
        assert found["Items"]
        units += found["ConsumedCapacity"]["CapacityUnits"]
    return 1, units / len(people)


@dataclass(frozen=True, slots=True)
class Measured:
    """All figures of one base."""

    count: int
    size: int
    killed: Run
    resumed: Run
    again: Run
    found: int
    ready: float
    checked_per_s: float
    units: float

    def rows(self) -> dict[str, str]:
        """Name and value, as the page shows them."""
        seconds = self.killed.seconds + self.resumed.seconds
        cpu = self.killed.cpu_s + self.resumed.cpu_s
        return {
            "identities in the file": f"{self.count:,}",
            "size of the file": f"{self.size / 1e6:.0f} MB",
            "killed (`kill -9`) after line": f"{self.killed.lines:,}",
            "identities in the table after it": f"{self.found:,}",
            "identities per second, emulator on the same cores": f"{self.count / seconds:.0f}",
            "CPU of the loader per identity": f"{1e6 * cpu / self.count:.0f} µs",
            "memory of the loader at its peak": f"{self.resumed.peak_mb:.0f} MB",
            "the same after its first stretch": f"{self.resumed.first_mb:.0f} MB",
            "the finished file a third time": "nothing read, nothing written",
            "identities ready for documents": f"{100 * self.ready:.1f} %",
            "quality report, identities per CPU second": f"{self.checked_per_s:.0f}",
            "look-up by INS in this base": f"1 query, {self.units:.1f} read units",
        }


def measure(count: int, folder: Path) -> Measured:
    """Load, kill, resume, load again; look at what is there."""
    path = folder / "patients.csv"
    with path.open("w", encoding="utf-8") as file:
        write_csv(file, count)
    emulator = Emulator(folder / "emulator")
    emulator.start()
    client = boto3.client("dynamodb", **arguments(emulator.environment()))
    try:
        new_table(client)
        environment = emulator.environment()
        killed = load(environment, path, kill_at=count // 2)
        resumed, again = load(environment, path), load(environment, path)
        assert not again.lines_read
        found, per_s = checked(path)
        return Measured(
            count,
            path.stat().st_size,
            killed,
            resumed,
            again,
            found_again(DynamoPatients(client, TABLE), count),
            found.ready / found.active,
            per_s,
            units_of_a_look_up(client, TABLE)[1],
        )
    finally:
        client.close()
        emulator.kill()  # to save millions of rows is of no use


def page(measured: Measured) -> str:
    """The table of docs/reference/performance.md."""
    lines = [f"| {name} | {value} |" for name, value in measured.rows().items()]
    return "\n".join(["| figure | value |", "|---|---|", *lines]) + "\n"


if __name__ == "__main__":
    if sys.argv[1] == "child":
        child(Path(sys.argv[2]))
    else:
        with TemporaryDirectory() as temporary:
            sys.stdout.write(page(measure(int(sys.argv[1]), Path(temporary))))
