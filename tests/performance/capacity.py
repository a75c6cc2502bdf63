"""Throughput, backlog, knee, matching at scale, and the page that says what to set for how much.

    python -m tests.performance.capacity [--write]

Measures what the page needs, except what takes a large table (`pfi bench --full` has that too), and
prints it; `--write` keeps it in docs/reference/capacity.md. Nobody writes a figure there by hand.
"""

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from infra.operations.cost import read_prices
from tests.performance import emulator_backlog, knee, matching, steps, table
from tests.performance.capacity_page import Found, write
from tests.performance.durations import seconds
from tests.performance.table import Part, Row
from tests.simulation import backlog
from tests.simulation.backlog import Growth


@dataclass
class Capacity:
    """The rows of the table; after a full run, the page."""

    found: Found | None = None
    _rows: list[Row] = field(default_factory=list)

    def rows(self, full: bool) -> Iterator[Row]:
        """The knee with a quick DPI; everything, in the full table."""
        if not full:
            yield from knee.rows(knee.curve(*knee.QUICK), gated=False)
            return
        costs = steps.measure()
        yield from _step_rows(costs)
        points = knee.curve()
        yield from knee.rows(points)
        sentences, drain, growth = backlog.measured(backlog.MAILS)
        yield from _backlog_rows(drain, growth)
        real = emulator_backlog.measure()
        yield from emulator_backlog.rows(real)
        scale = []
        for row in matching.rows():
            scale.append(row)
            yield row
        decision = matching.decision_us()
        self.found = Found(costs, points, sentences, growth, real, decision, scale)

    def write(self) -> None:
        """Keep the page of the last full run."""
        if self.found is not None:
            write(self.found)


def _step_rows(costs: steps.Measured) -> Iterator[Row]:
    """Printed: budgets of calls have tests of their own, the CPU of the path rows of its own."""
    tally = costs.counted.tally
    what = "AWS calls of one mail, over all functions"
    yield Row("", what, None, True, (costs.aws_calls,), "", "one document, integrated, answered")
    yield Row("", "CPU of one such call, SDK without TLS", None, True, (costs.sdk_ms,), "ms")
    stored = read_prices().seconds
    measured = seconds(costs)
    for step, each in costs.steps.items():
        note = f"{each.own_ms_per_mb:.2f} ms more for each MB; {tally.aws(step)} AWS calls"
        yield Row(
            "", f"CPU of {step}, its calls not counted", None, True, (each.own_ms,), "ms", note
        )
        ratio = (stored[step] / measured[step],)
        yield Row(
            "", f"duration of {step} in prices.toml ÷ measured and assumed", None, True, ratio
        )


def _backlog_rows(drain: backlog.Drain, growth: Growth) -> Iterator[Row]:
    what = f"backlog of {drain.mails:,} mails in virtual time"
    note = f"{drain.seconds:.0f} s, {drain.connections} connections, ACK {drain.ack_s:g} s"
    yield Row("", f"{what} ÷ (mails × ACK ÷ connections)", 1.05, True, (drain.ratio,), "×", note)
    at_once = (drain.most_at_once / drain.connections,)
    yield Row("", f"{what}: exchanges at once ÷ connections", 1, True, at_once, exact=True)
    yield Row("T3", f"{what} ÷ half of it", 2.1, True, (growth.time,), exact=True)
    yield Row("T3", f"{what}: port calls ÷ those of half of it", 2.1, True, (growth.calls,))
    yield Row("T3", f"{what}: CPU ÷ that of half of it", 2.2, True, (growth.cpu,))


CAPACITY: Final = Capacity()
PART: Final = Part("capacity", quick=True, rows=CAPACITY.rows)


def main(words: Sequence[str]) -> int:
    """Print each row as it comes."""
    rows = list(_printed(CAPACITY.rows("--quick" not in words)))
    if "--write" in words:
        CAPACITY.write()
    return int(bool(table.missed(rows)))


def _printed(rows: Iterable[Row]) -> Iterator[Row]:
    for row in rows:
        sys.stdout.write(table.printed(row) + "\n")
        sys.stdout.flush()
        yield row


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
