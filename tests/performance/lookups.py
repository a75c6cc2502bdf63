"""T16: what a match asks of the patient base, and what a decision and a load cost in CPU.

What a query of the table costs in a large base is measured beside the emulator, since it is a
figure of the table.
"""

from collections.abc import Iterator
from functools import partial
from typing import Final

from tests.performance.bench import Bench, in_turn
from tests.performance.lookup_jobs import JOBS, KNOWN, LINES, UNKNOWN, queries
from tests.performance.table import Part, Row
from tests.performance.worker import WARM


def rows(_full: bool) -> Iterator[Row]:
    """Exact counts, then times."""
    for who, identity, limit in (("known INS", KNOWN, 1), ("INS that nobody has", UNKNOWN, 2)):
        what, count = f"queries of one match, {who}", (queries(identity),)
        yield Row("T16", what, limit, True, count, "", exact=True)
    with Bench(()) as bench:
        ask = partial(bench.worker("lookups").ms, mail=WARM, seconds=0.1)
        seen = in_turn(5, {job: partial(ask, job) for job in JOBS})
    decisions = tuple(1000 * ms for ms in seen["decide"])
    yield Row("", "one decision, the table not counted", None, True, decisions, "µs")
    for job, what, target in (
        ("load", "identities loaded per CPU second, the table not counted", "T16"),
        ("lines", "lines of a patient file read and checked per CPU second", ""),
    ):
        found, limit = tuple(LINES / ms * 1000 for ms in seen[job]), 20_000 if target else None
        note = "each line by the rules of the feed: who is merged, what is later" if target else ""
        yield Row(target, what, limit, False, found, "/s", note)


PART: Final = Part("lookups", quick=True, rows=rows)
