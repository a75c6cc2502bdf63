"""T14: what a hostile mail costs before it is refused, each in a fork of its own."""

from collections.abc import Iterator
from statistics import median
from typing import Final

from tests.performance.bench import OURS, Bench, able
from tests.performance.hostile import mails
from tests.performance.table import Part, Row
from tests.performance.worker import FRUGAL, WARM

MB: Final = 1e6
_MOST_MS: Final = 50.0
_MOST_MB: Final = 20.0
_TIMES: Final = 3
Cost = tuple[tuple[float, ...], tuple[float, ...], str]
"""CPU in ms and MB above idle of each time, and the reason of the refusal."""


def rows(full: bool) -> Iterator[Row]:
    """The dearest in time and in memory; in the full table each of them."""
    found = _costs()
    admitted = [name for name, (_, _, reason) in found.items() if not reason]
    if full:
        for name, (ms, _, reason) in found.items():
            yield Row("", f"hostile: {name}", None, True, ms, "ms", note=reason)
    slow = max(found, key=lambda name: median(found[name][0]))
    large = max(found, key=lambda name: median(found[name][1]))
    count = f"{len(found)} hostile mails"
    yield Row("T14", f"CPU of the dearest of {count}", _MOST_MS, True, found[slow][0], "ms", slow)
    what = f"memory above idle of the dearest of {count}"
    yield Row("T14", what, _MOST_MB, True, found[large][1], "MB", large)
    what, note = f"hostile mails not refused, of {count}", ", ".join(admitted)
    yield Row("T14", what, 0, True, (len(admitted),), "", note, exact=True)


def _costs() -> dict[str, Cost]:
    """Each mail in turn, after a small sound one that wakes the process up."""
    found: dict[str, Cost] = {}
    with Bench((), FRUGAL) as bench:
        worker = bench.worker(able(*OURS)[0])
        worker.times("refused", WARM, 3)
        for name, raw in mails():
            bench.keep("hostile", raw)
            seen = [worker.cost("refused", "hostile") for _ in range(_TIMES)]
            spent, extra = (tuple(each[n] for each in seen) for n in (0, 1))
            found[name] = spent, tuple(each / MB for each in extra), seen[0][2]
    return found


PART: Final = Part("refusing", quick=True, rows=rows)
