"""A small backlog on real parts: emulator, simulated operator, deployed functions, simulated DPI.

Mails are collected and matched while the lane of the DPI is shut; then it opens, and every answer
takes a given time. What the emulator itself takes for an invocation is in the figure, so it is only
printed: the drain of 10 000 mails is `tests.simulation.backlog`, in virtual time.
"""

import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from infra.local.hospital import DEMO_ESTABLISHMENT, settings_of
from infra.local.laptop import Laptop
from pfi.journey.settings import Settings
from pfi.names import Environment
from tests.data.builders import EVERYBODY, MAILBOX
from tests.doubles.drive import FALLBACK
from tests.journeys.stage import Stage, digest_of, eventually
from tests.performance.table import Row
from tests.simulation.scenarios import ordinary

MAILS, CONNECTIONS, ACK_S = 60, 2, 1.0
FIRST = 200_000
_PATIENCE_S = 600


@dataclass(frozen=True, slots=True)
class RealDrain:
    """What was seen."""

    mails: int
    connections: int
    ack_s: float
    seconds: float
    most_at_once: int
    accepted: int
    routes: Counter[str]

    @property
    def ratio(self) -> float:
        """Of the time taken to connections that never wait for anything but the answer."""
        return self.seconds / (self.mails * self.ack_s / self.connections)


def measure(mails: int = MAILS, connections: int = CONNECTIONS, ack_s: float = ACK_S) -> RealDrain:
    """Start the laptop, fill the lane, open it, watch it drain."""
    raws = [ordinary(FIRST + number).raw for number in range(mails)]
    with (
        TemporaryDirectory() as folder,
        Laptop(Path(folder), hospital(connections), lambda _: None) as laptop,
    ):
        laptop.load_patients(DEMO_ESTABLISHMENT, tuple(p.record for p in EVERYBODY))
        stage = Stage(laptop)
        with _lane_shut(stage):
            _filled(stage, raws)
            laptop.dpi.play([{"answer": "LATE", "seconds": ack_s}])
            laptop.dpi.most_at_once = 0
        seconds = _drained(laptop, mails)
        routes = Counter(str(stage.settled(digest_of(raw)).route) for raw in raws)
        accepted = len(laptop.dpi.accepted)
        return RealDrain(
            mails, connections, ack_s, seconds, laptop.dpi.most_at_once, accepted, routes
        )


def _drained(laptop: Laptop, mails: int) -> float:
    """Seconds until the DPI holds every document."""
    began = time.monotonic()
    eventually(lambda: len(laptop.dpi.accepted) >= mails, _PATIENCE_S)
    return time.monotonic() - began


def hospital(connections: int) -> Settings:
    """The usual one, its mailbox being that of the letters."""
    settings = settings_of(Environment.TEST, MAILBOX, FALLBACK)
    [dpi] = settings.dpis
    return replace(settings, dpis=(replace(dpi, concurrency=connections),))


@contextmanager
def _lane_shut(stage: Stage) -> Iterator[None]:
    """`push` gets nothing inside, as after `pfi pause push`."""
    client = stage.laptop.client("lambda")
    mappings = client.list_event_source_mappings(FunctionName="pfi-push")["EventSourceMappings"]
    for each in mappings:
        client.update_event_source_mapping(UUID=each["UUID"], Enabled=False)
    yield
    for each in mappings:
        client.update_event_source_mapping(UUID=each["UUID"], Enabled=True)


def _filled(stage: Stage, raws: list[bytes]) -> None:
    """Every mail is collected, and every document waits in the lane."""
    operator = stage.laptop.operator.store
    for raw in raws:
        operator.deliver(MAILBOX, raw)
    deadline = time.monotonic() + _PATIENCE_S
    while stage.depths("Queue")["Push"] < len(raws):
        assert time.monotonic() < deadline, stage.diagnosis()
        stage.collect()
        time.sleep(0.5)


def rows(drain: RealDrain) -> Iterator[Row]:
    """Printed, but for what must be exact."""
    what = f"backlog of {drain.mails} mails on the emulator, {drain.connections} connections"
    ideal = f"drain time ÷ (mails × ACK {drain.ack_s:g} s ÷ connections)"
    yield Row("", f"{what}: {ideal}", None, True, (drain.ratio,), "×", f"{drain.seconds:.0f} s")
    at_once = drain.most_at_once / drain.connections
    yield Row("", f"{what}: exchanges at once ÷ them", 1, True, (at_once,), "×", exact=True)
    wrong = drain.mails - drain.routes["integrated"] + abs(drain.accepted - drain.mails)
    yield Row("", f"{what}: lost, or sent twice", 0, True, (wrong,), "", exact=True)


if __name__ == "__main__":
    sys.stdout.write(f"{measure(*map(int, sys.argv[1:2]))}\n")
