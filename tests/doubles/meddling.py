"""Doubles in whose midst something else happens: another worker, or a crash."""

from collections.abc import Callable
from typing import Any

from pfi.journey.ports import Change, Put, Row
from tests.doubles.memory import MemoryDpi, MemoryTable


class Died(BaseException):
    """The process, not a peer."""


class MeddlingTable(MemoryTable):
    """Keeps a journal of what is asked of it; just before one of its calls something happens."""

    def __init__(self) -> None:
        super().__init__()
        self.journal: list[tuple[str, tuple[str, ...]]] = []
        self._waiting: tuple[int, Callable[[], Any]] | None = None

    def meddle(self, call: int, happens: Callable[[], Any]) -> None:
        """Before the `call`-th call from now on, counted from 1."""
        self._waiting = (len(self.journal) + call, happens)

    @property
    def meddled(self) -> bool:
        return self._waiting is None

    def asked(self, name: str) -> list[tuple[str, ...]]:
        """The partitions of each call of this name."""
        return [partitions for each, partitions in self.journal if each == name]

    def _noted(self, name: str, *partitions: str) -> None:
        self.journal.append((name, partitions))
        if self._waiting is not None and self._waiting[0] == len(self.journal):
            (_, happens), self._waiting = self._waiting, None
            happens()

    def get(self, pk: str, sk: str) -> Row | None:
        self._noted("get", pk)
        return super().get(pk, sk)

    def get_all(self, *keys: tuple[str, str]) -> tuple[Row | None, ...]:
        self._noted("get_all", *(pk for pk, _ in keys))
        return super().get_all(*keys)

    def partition(self, pk: str, prefix: str = "") -> tuple[Row, ...]:
        self._noted("partition", pk)
        return super().partition(pk, prefix)

    def write(self, *writes: Put | Change) -> bool:
        self._noted("write", *(each.pk for each in writes))
        return super().write(*writes)


class MeddlingDpi(MemoryDpi):
    """While it has a message in hand, something else happens, once."""

    def __init__(self, happens: Callable[[], Any]) -> None:
        super().__init__()
        self._happens: list[Callable[[], Any]] = [happens]

    def exchange(self, message: bytes, control_id: str) -> bytes:
        answer = super().exchange(message, control_id)
        while self._happens:
            self._happens.pop()()
        return answer
