"""T15: the mails that are owed for one that was not integrated: built, and handed to the relay."""

from collections.abc import Iterator
from functools import partial
from typing import Final

from tests.performance import corpus
from tests.performance.bench import OURS, Bench, able, in_turn, ratios
from tests.performance.product_jobs import Owed, wire
from tests.performance.table import Part, Row

_MAIL: Final = corpus.L1_2M
_BUILT: Final = {"forward": "forward with its loose copies", "answer": "failure notice"}
_WHY: Final = "the original is read again, searched for the boundary and what a relay would alter"


def rows(_full: bool) -> Iterator[Row]:
    """Against the mere join of the same pieces; then CPU per MB on the wire."""
    with Bench((_MAIL,)) as bench:
        worker = bench.worker(able(*OURS)[0])
        jobs = (*_BUILT, *(f"join {job}" for job in _BUILT), "send", "smtplib")
        seen = in_turn(7, {job: partial(worker.ms, job, _MAIL.name, 0.05) for job in jobs})
    for job, built in _BUILT.items():
        found, what = ratios(seen[job], seen[f"join {job}"]), f"{built} ÷ join of its pieces"
        yield Row("T15", f"{what}, {_MAIL.name}", 3, True, found, note=_WHY)
    sent = len(b"".join(wire(Owed.of(_MAIL.raw).forward()))) / 1e6
    for job, what, limit in (("send", "ours", 3.0), ("smtplib", "smtplib.sendmail", None)):
        found = tuple(ms / sent for ms in seen[job])
        target = "T15" if limit else ""
        yield Row(target, f"SMTP: CPU per MB sent, {what}", limit, True, found, "ms")


PART: Final = Part("sending", quick=True, rows=rows)
