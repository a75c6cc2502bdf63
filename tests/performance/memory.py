"""T4 and the growth of T3: what one mail needs above idle, what many mails leave behind."""

from collections.abc import Iterator
from typing import Final

from tests.performance import corpus
from tests.performance.bench import OURS, Bench, able, absent, lacking
from tests.performance.corpus import Specimen
from tests.performance.table import Part, Row
from tests.performance.worker import FRUGAL, WARM

_QUICK: Final = (corpus.L1_2M,)
_FULL: Final = (corpus.L1_2M, corpus.L3_2M, corpus.L1_20M, corpus.L1_25M, corpus.L1_50M)
_TIMES: Final = 3
_PEERS: Final = {"common": "python-hl7", "hl7apy": "hl7apy"}


def rows(full: bool) -> Iterator[Row]:
    """Peaks of single mails, then the growth over two thousand."""
    specimens = _FULL if full else _QUICK
    with Bench(specimens, FRUGAL) as bench:
        for each in specimens:
            yield from _peaks(bench, each)
    with Bench(()) as bench:
        yield from _many(bench)


def _peaks(bench: Bench, each: Specimen) -> Iterator[Row]:
    for name in (able(*OURS)[0], "floor", *_PEERS):
        own = name in OURS
        what = f"peak of memory ÷ mail, {each.name}, {'ours' if own else _PEERS.get(name, name)}"
        if lacking(name):
            yield absent("", what, None, lacking(name))
            continue
        target, limit = ("T4", 4.0) if own else ("", None)
        yield Row(target, what, limit, True, _peak(bench, name, each))


def _peak(bench: Bench, name: str, each: Specimen) -> tuple[float, ...]:
    worker = bench.worker(name)
    worker.times("path", WARM, 3)
    size = bench.size(each.name)
    return tuple(worker.peak("path", each.name) / size for _ in range(_TIMES))


def _many(bench: Bench) -> Iterator[Row]:
    """Two thousand mails in one process, hundreds and eight hundreds in turn."""
    worker, name = bench.worker(able(*OURS)[0]), WARM
    worker.times("path", name, 100)
    hundreds = [worker.times("path", name, 100)]
    after_200, eights = worker.resident(), []
    for _ in range(2):
        eights.append(worker.times("path", name, 800))
        hundreds.append(worker.times("path", name, 100))
    grown = worker.resident() / after_200
    pairs = ((0, 0), (0, 1), (1, 1), (1, 2))
    found = tuple(eights[eight] / hundreds[hundred] for eight, hundred in pairs)
    yield Row("T3", "path: CPU of 800 mails ÷ CPU of 100", 8.4, True, found)
    yield Row("T3", "memory after 2,000 mails ÷ after 200", 1.05, True, (grown,))


PART: Final = Part("memory", quick=True, rows=rows)
