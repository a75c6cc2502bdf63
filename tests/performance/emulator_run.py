"""The deployed stack on the emulator: laptop as `pfi up` starts it, from the mailbox to the DPI."""

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from infra.local.hospital import DEMO_ESTABLISHMENT, settings_of
from infra.local.laptop import Laptop
from pfi.names import Environment
from tests.data.builders import EVERYBODY, MAILBOX
from tests.doubles.drive import FALLBACK
from tests.performance import engines
from tests.performance.table import Row

MAILS: Final = 20
ROUNDS: Final = 3
_PATIENCE_S: Final = 180.0
_SMALL: Final = 20_000


@dataclass(frozen=True, slots=True)
class Brought:
    """What a batch of mails took."""

    wall: float
    cpu: float


def stack_rows(size: int) -> Iterator[Row]:
    """Small mails and mails of this size."""
    settings = settings_of(Environment.TEST, MAILBOX, FALLBACK)
    with TemporaryDirectory() as folder, Laptop(Path(folder), settings, lambda _: None) as laptop:
        laptop.load_patients(DEMO_ESTABLISHMENT, tuple(each.record for each in EVERYBODY))
        first = 10_000_000
        _bring(laptop, engines.letters(2, _SMALL, first))  # sandboxes start
        for kind, bytes_ in (("20 kB", _SMALL), (f"{size // 1000} kB", size)):
            found = []
            for _ in range(ROUNDS):
                first += MAILS
                found.append(_bring(laptop, engines.letters(MAILS, bytes_, first)))
            yield _row(kind, found)


def _row(kind: str, found: Sequence[Brought]) -> Row:
    cpu = sorted(each.cpu for each in found)[len(found) // 2] / MAILS
    return Row(
        "",
        f"mails/s at {kind}: the deployed stack on the emulator, IMAP to simulated DPI",
        None,
        at_most=False,
        values=tuple(MAILS / each.wall for each in found),
        unit="/s",
        note=f"CPU {cpu * 1e3:.0f} ms per mail: functions, emulator, operator and DPI together",
    )


def _bring(laptop: Laptop, mails: Sequence[bytes]) -> Brought:
    """Until the DPI holds all of their documents."""
    before, cpu, began = len(laptop.dpi.accepted), _cpu(laptop.emulator.pid), time.monotonic()
    for raw in mails:
        laptop.operator.store.deliver(MAILBOX, raw)
    function = laptop.outputs["FunctionCollect"]
    laptop.client("lambda").invoke(FunctionName=function, Payload=b"{}")
    while len(laptop.dpi.accepted) < before + len(mails):
        if time.monotonic() > began + _PATIENCE_S:
            raise TimeoutError("the deployed stack delivered too little")
        time.sleep(0.05)
    return Brought(time.monotonic() - began, _cpu(laptop.emulator.pid) - cpu)


def _cpu(pid: int) -> float:
    """CPU of this process and of all below the emulator, as far as the kernel tells it."""
    whole = sum(os.times()[:2])
    for each in _family(pid):
        fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
        whole += sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
    return whole


def _family(pid: int) -> Iterator[int]:
    yield pid
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            yield from _family(int(child))
