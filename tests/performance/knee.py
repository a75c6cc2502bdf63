"""How many pushes at once a DPI is worth: drain rate for 1 to 64, measured and calculated.

Real sockets: the product's client, one connection for each message, and the simulated DPI in a
process of its own, that takes a given time for its answer and serves a given number at once. Up to
that number each doubling doubles the rate; beyond it messages wait inside the DPI, and the ACK
time-out comes nearer. The knee is the last number before a doubling gains less than 10 %.
"""

import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory
from typing import Final

from infra.local.dpi import Dpi
from pfi.adapters.mllp import MllpDpi
from tests.performance.corpus import L1_10K
from tests.performance.product import Pieces, pieces
from tests.performance.steps import one_mail
from tests.performance.table import Row

PUSHES: Final = (1, 2, 4, 8, 16, 32, 64)
SERVES: Final = 8
ACK_S: Final = 0.2
GAIN: Final = 0.10
WINDOW_S: Final = 3.0
QUICK: Final = (0.05, 0.35)
"""Seconds of an answer, and of each measurement, in the quick table."""


class ServingDpi(Dpi):
    """It works on some messages at once, each for a given time; the others wait in it."""

    def __init__(self, folder: Path, *, serves: int, ack_s: float) -> None:
        super().__init__(folder)
        self._desks, self._ack_s = threading.BoundedSemaphore(serves), ack_s

    def _reply(self, message: bytes) -> bytes | None:
        with self._desks:
            time.sleep(self._ack_s)
            return super()._reply(message)


@dataclass(frozen=True, slots=True)
class Point:
    """One number of pushes at once."""

    pushes: int
    rate: float
    """Exchanges a second, measured."""
    seconds: float
    """Of one exchange, on average: what the ACK time-out must leave room for."""
    calculated: float

    @property
    def ratio(self) -> float:
        """Of what was measured to what was calculated."""
        return self.rate / self.calculated


def calculated(pushes: int, serves: int, ack_s: float, own_s: float) -> float:
    """Exchanges a second: those under way, each as long as its answer and its own work take, and
    no more at once than the DPI works on."""
    return min(pushes / (ack_s + own_s), serves / ack_s)


def knee(points: Sequence[Point]) -> int:
    """The first number whose double gains less than 10 %."""
    for one, double in pairwise(points):
        if double.rate < (1 + GAIN) * one.rate:
            return one.pushes
    return points[-1].pushes


@dataclass(frozen=True, slots=True)
class Line:
    """An interface of a DPI, and the message that is sent on it again and again."""

    dpi: MllpDpi
    message: Pieces
    control_id: str

    def exchange(self) -> float:
        """One message and its answer; the seconds."""
        began = time.monotonic()
        self.dpi.exchange(tuple(self.message), self.control_id)
        return time.monotonic() - began

    def rate(self, pushes: int, window_s: float) -> tuple[float, float]:
        """Exchanges a second, each push beginning the next one at once; seconds of one."""
        began = time.monotonic()
        end = began + window_s

        def push(_: int) -> list[float]:
            found = [self.exchange()]
            while time.monotonic() < end:
                found.append(self.exchange())
            return found

        with ThreadPoolExecutor(pushes) as pool:
            each = [seconds for found in pool.map(push, range(pushes)) for seconds in found]
        return len(each) / (time.monotonic() - began), mean(each)


def curve(ack_s: float = ACK_S, window_s: float = WINDOW_S, serves: int = SERVES) -> list[Point]:
    """Each number of pushes for the same while."""
    message = pieces(one_mail(L1_10K.raw).message)
    control_id = b"".join(message)[:500].split(b"|", 10)[9].decode()
    with _serving(serves, ack_s) as port:
        line = Line(MllpDpi("127.0.0.1", port), message, control_id)
        own_s = max(0.0, min(line.exchange() for _ in range(5)) - ack_s)
        return [
            Point(each, *line.rate(each, window_s), calculated(each, serves, ack_s, own_s))
            for each in PUSHES
        ]


@contextmanager
def _serving(serves: int, ack_s: float) -> Iterator[int]:
    command = [sys.executable, "-m", "tests.performance.knee", str(serves), str(ack_s)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout
        try:
            yield int(child.stdout.readline())
        finally:
            child.kill()


def serve(serves: int, ack_s: float) -> None:
    """The process of the DPI, until nobody listens any more."""
    with TemporaryDirectory() as folder:
        dpi = ServingDpi(Path(folder), serves=serves, ack_s=ack_s)
        dpi.start()
        sys.stdout.write(f"{dpi.port}\n")
        sys.stdout.flush()
        sys.stdin.read()
        dpi.stop()


def rows(points: Sequence[Point], serves: int = SERVES, *, gated: bool = True) -> Iterable[Row]:
    """Each number of pushes as printed; the knee and its rate against the calculation, which hold
    to a limit where each point was measured for long enough."""
    for point in points:
        what = f"drain rate, {point.pushes} pushes at once, a DPI that serves {serves}"
        note = f"calculated {point.calculated:.1f}/s; an exchange takes {point.seconds:.2f} s"
        yield Row("", what, None, False, (point.rate,), "/s", note)
    found = knee(points)
    off, note = max(found / serves, serves / found), f"the knee is at {found} pushes at once"
    what = "knee of that curve, off what the DPI serves"
    yield Row("", what, 1 if gated else None, True, (off,), "×", note)
    what, ratios = "drain rate ÷ the calculated one, 1 to 64 pushes", tuple(p.ratio for p in points)
    yield Row("", what, 0.9 if gated else None, False, ratios)


if __name__ == "__main__":
    serve(int(sys.argv[1]), float(sys.argv[2]))
