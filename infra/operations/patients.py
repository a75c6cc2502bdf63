"""The patient base of an installation: a file into it, out of it, and what its quality is."""

import hashlib
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from infra.operations.account import OperationRefused, Stack
from pfi.adapters.loads import DynamoLoads, raws
from pfi.adapters.patients import DynamoPatients
from pfi.ins.identity import PatientRecord
from pfi.ins.patient_lines import Format, Layout, layout
from pfi.journey.loading import Loading, Progress, Writers, beginning

WRITERS: Final = 4


@dataclass(frozen=True, slots=True)
class Ports:
    """What loading uses in an account."""

    base: DynamoPatients
    checkpoints: DynamoLoads
    writers: Writers
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    wait: Callable[[float], None] = time.sleep


@contextmanager
def ports_on(client: Any, table: str, writers: int = WRITERS) -> Iterator[Ports]:
    """The ports on one table, with threads that end with the block."""
    with ThreadPoolExecutor(writers) as pool:
        each = Writers(writers, pool.map)
        yield Ports(DynamoPatients(client, table), DynamoLoads(client, table), each)


@dataclass(frozen=True, slots=True)
class PatientFile:
    """A file that was looked at: what it is, and under which digest its progress is kept."""

    path: Path
    layout: Layout
    digest: str
    size: int


def patient_file(path: Path, as_of: datetime | None) -> PatientFile:
    """Read the beginning and the digest of a file; `as_of` overrules what the file says."""
    form = next((each for each in Format if path.suffix.lower() == f".{each.value}"), None)
    if form is None:
        raise OperationRefused(f"{path} : un fichier .csv ou .ndjson est attendu")
    digest = hashlib.sha256(as_of.isoformat().encode() if as_of else b"")
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
        file.seek(0)
        head = layout([file.readline(), file.readline()], form)
    known = replace(head, as_of=as_of or head.as_of)
    return PatientFile(path, known, digest.hexdigest(), path.stat().st_size)


def load_file(
    file: PatientFile, establishment: str, ports: Ports, told: Callable[[Progress], None]
) -> Progress:
    """Load a file from where it stands; a finished one is not read again."""
    begun = ports.checkpoints.progress(establishment, file.digest)
    progress = begun or beginning(file.digest, file.layout, ports.now(), ports.now())
    loading = Loading(establishment, file.layout, ports)

    def more(now: Progress) -> bool:
        told(now)
        return True

    with file.path.open("rb") as stream:
        stream.seek(progress.offset)
        return loading.run(raws(stream, progress.offset), progress, more)


def installed_base(stack: Stack) -> DynamoPatients:
    """The patient base of an installation."""
    return DynamoPatients(stack.client("dynamodb"), stack.output("PatientsTable"))


def records_by_ipp(
    base: DynamoPatients, establishment: str, ipps: list[str]
) -> dict[str, PatientRecord]:
    """Those of these identities that the base has."""
    found = base.read(establishment, ipps).identities
    return {ipp: filed.kept.record for ipp, filed in found.items()}
