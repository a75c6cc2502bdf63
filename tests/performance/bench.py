"""Processes that answer what a job costs, and rounds in which each of them answers once."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Final, Self, TypeVar

from tests.performance.corpus import L1_10K, Specimen
from tests.performance.table import Row
from tests.performance.worker import SPEED, STEADY, WARM, Worker

OURS: Final = ("product", "stdlib")
"""The product, as fast as this machine has it."""
Key = TypeVar("Key")
Values = tuple[float, ...]
_NEEDS: Final[Mapping[str, tuple[str, ...]]] = {
    "product": SPEED, "common": ("hl7",), "hl7apy": ("hl7apy",)
}  # fmt: skip


class Bench:
    """A folder of files to measure with, and one worker per implementation."""

    def __init__(self, specimens: Iterable[Specimen], allocator: Mapping[str, str] = STEADY):
        self._stack = ExitStack()
        self.folder = Path(self._stack.enter_context(TemporaryDirectory()))
        self._allocator = allocator
        self.worker = cache(self._started)
        self.keep(WARM, L1_10K.raw)
        for specimen in specimens:
            self.keep(specimen.name, specimen.raw)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def _started(self, name: str) -> Worker:
        return self._stack.enter_context(Worker(name, self.folder, self._allocator))

    def keep(self, name: str, content: bytes) -> None:
        """Another file to measure with."""
        (self.folder / name).write_bytes(content)

    def size(self, name: str) -> int:
        """Bytes of a file."""
        return (self.folder / name).stat().st_size


def lacking(name: str) -> str:
    """Why an implementation cannot be measured here; '' when it can."""
    absent = [module for module in _NEEDS.get(name, ()) if find_spec(module) is None]
    return f"absent: {', '.join(absent)} not installed" if absent else ""


def able(*names: str) -> list[str]:
    """Those implementations that can be measured here, in the order given."""
    return [name for name in names if not lacking(name)]


def in_turn(rounds: int, measures: Mapping[Key, Callable[[], float]]) -> dict[Key, Values]:
    """Every measure once per round, in the same order: what the machine does hits all alike."""
    seen = [{name: measure() for name, measure in measures.items()} for _ in range(rounds)]
    return {name: tuple(each[name] for each in seen) for name in measures}


def ratios(over: Sequence[float], under: Sequence[float]) -> Values:
    """Round by round."""
    return tuple(a / b for a, b in zip(over, under, strict=True))


def absent(target: str, what: str, limit: float | None, note: str, *, at_most: bool = True) -> Row:
    """The row of what cannot be measured here."""
    return Row(target, what, limit, at_most, (), note=note)
