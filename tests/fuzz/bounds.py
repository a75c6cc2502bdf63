"""What one input may cost, and how a run measures it.

The bounds follow the size of the input: a cost that grows with its square leaves them.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_STATUS: Final = Path("/proc/self/status")


class TooCostly(Exception):
    """An input that took more than its bound."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """CPU time and growth of memory: a fixed part, and a part for each byte of the input.

    Instrumented code is up to ten times slower than the product; both parts allow for it.
    """

    seconds: float = 1.0
    seconds_per_byte: float = 20e-6
    memory: int = 48_000_000
    memory_per_byte: int = 60

    def watch(self, run: Callable[[bytes], object], data: bytes) -> None:
        """Run one input; raises `TooCostly` over the bounds."""
        (resident, highest), started = _memory(), time.thread_time()
        run(data)
        spent, (_, peak) = time.thread_time() - started, _memory()
        grown = peak - resident if peak > highest else 0  # else an earlier input cost more
        if spent > self.seconds + self.seconds_per_byte * len(data):
            raise TooCostly(f"{spent:.2f} s of CPU for {len(data)} bytes")
        if grown > self.memory + self.memory_per_byte * len(data):
            raise TooCostly(f"{grown / 1e6:.0f} MB for {len(data)} bytes")


def _memory() -> tuple[int, int]:
    """Memory of this process now, and at its highest, as Linux counts them."""
    status = _STATUS.read_bytes()
    return _kilobytes(status, b"VmRSS:"), _kilobytes(status, b"VmHWM:")


def _kilobytes(status: bytes, name: bytes) -> int:
    return int(status[status.index(name) + len(name) :].split(maxsplit=1)[0]) * 1024
