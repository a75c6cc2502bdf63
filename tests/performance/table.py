"""One row of the table: a target, what was measured against it, and whether it is met.

A row holds one value per round (a ratio to that round's reference) or one exact count. Timings pass
up to the target × 1.25, since a shared machine moves them; counts pass at the target itself.
"""

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

GATE: Final = 1.25
_COLUMNS: Final = ("target", "what", "limit", "median", "min–max", "")
_WIDTHS: Final = (5, 67, 8, 8, 15, 8)


@dataclass(frozen=True, slots=True)
class Row:
    """A target of the performance reference; `target` '' for what is only printed.

    `values` empty means absent: `note` says what is missing. No stored number ever takes its place.
    """

    target: str
    what: str
    limit: float | None
    at_most: bool
    values: tuple[float, ...]
    unit: str = "×"
    note: str = ""
    exact: bool = False
    """A count: it passes at the limit, without allowance for the machine."""
    wall: bool = False
    """A rate by the clock on the wall: judged and printed, but it fails no run. Whatever else the
    machine does goes into it (performance reference §6)."""

    @property
    def absent(self) -> bool:
        """Nothing was measured."""
        return not self.values

    @property
    def median(self) -> float:
        """The middle of the rounds."""
        return statistics.median(self.values)

    @property
    def low(self) -> float:
        """The smallest round."""
        return min(self.values)

    @property
    def high(self) -> float:
        """The largest round."""
        return max(self.values)

    @property
    def gate(self) -> float | None:
        """What the median must keep to; None when the row is only printed."""
        if self.limit is None:
            return None
        allowance = 1.0 if self.exact else GATE
        return self.limit * allowance if self.at_most else self.limit / allowance

    @property
    def met(self) -> bool:
        """True when nothing gates the row, when it is absent, or when the median keeps the gate."""
        gate = self.gate
        if gate is None or self.absent:
            return True
        return self.median <= gate if self.at_most else self.median >= gate

    @property
    def verdict(self) -> str:
        """met, close (over the target, inside the gate), missed, absent; '' without a target."""
        if self.absent:
            return "absent"
        if self.limit is None:
            return ""
        if not self.met:
            return "missed" if self.wall else "MISSED"
        within = self.median <= self.limit if self.at_most else self.median >= self.limit
        return "met" if within else "close"


@dataclass(frozen=True, slots=True)
class Part:
    """A group of rows that are measured together; `rows(full)` measures them.

    A part that is not `quick` runs in the full table only.
    """

    name: str
    quick: bool
    rows: Callable[[bool], Iterable[Row]]


def cells(row: Row) -> tuple[str, ...]:
    """The columns of a row as text."""
    sign = "≤" if row.at_most else "≥"
    limit = "" if row.limit is None else f"{sign} {number(row.limit)}"
    if row.absent:
        return row.target, row.what, limit, "", "", row.verdict
    spread = "" if len(row.values) == 1 else f"{number(row.low)}–{number(row.high)}"
    unit = row.unit if row.unit in ("", "×") else f" {row.unit}"
    return row.target, row.what, limit, f"{number(row.median)}{unit}", spread, row.verdict


def number(value: float) -> str:
    """Three significant digits, and no exponent."""
    if value == int(value) and abs(value) < 1000:
        return str(int(value))
    if abs(value) >= 100:
        return f"{value:,.0f}"
    digits = 1 if abs(value) >= 10 else 2 if abs(value) >= 1 else 3
    return f"{value:.{digits}f}"


def line(texts: Sequence[str]) -> str:
    """A line for a terminal."""
    return "  ".join(text.ljust(width) for text, width in zip(texts, _WIDTHS, strict=True)).rstrip()


def heading() -> str:
    """The first line for a terminal."""
    return line(_COLUMNS)


def printed(row: Row) -> str:
    """A row for a terminal, its note below it."""
    note = f"\n{'':7}{row.note}" if row.note else ""
    return line(cells(row)) + note


def markdown(rows: Iterable[Row]) -> str:
    """The table for the documentation; notes are its last column."""
    lines = ["| target | what | limit | median | min–max | | why |", "|" + "---|" * 7]
    lines += ["| " + " | ".join([*cells(row), row.note]) + " |" for row in rows]
    return "\n".join(lines)


def missed(rows: Iterable[Row]) -> list[Row]:
    """The rows that end the command badly."""
    return [row for row in rows if not (row.met or row.wall)]
