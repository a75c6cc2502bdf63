"""Many runs from the command line.

``python -m tests.simulation FIRST COUNT [WORKERS]`` runs seeds and ends with 1 when one fails;
``python -m tests.simulation show SEED [TEXT]`` prints the trace of one;
``python -m tests.simulation report`` writes docs/reference/reliability.md.
"""

import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace

from tests.simulation.reliability import FIXED, Sums, write
from tests.simulation.run import Failed, Report, simulate

CHUNK = 20


def _journeys(seed: int) -> Report | Failed:
    """One seed; without its trace, which would only travel between processes."""
    try:
        return replace(simulate(seed), trace=[])
    except Failed as failure:
        return Failed(failure.seed, AssertionError(failure.invariant), [])


def _all(first: int, count: int, workers: int) -> Iterator[Report | Failed]:
    seeds = range(first, first + count)
    if workers == 1:
        yield from map(_journeys, seeds)
        return
    with ProcessPoolExecutor(workers) as pool:
        yield from pool.map(_journeys, seeds, chunksize=CHUNK)


def many(first: int, count: int, workers: int = 1) -> Sums:
    """The failing seeds as they come, then the sums."""
    started, sums = time.monotonic(), Sums()
    for result in _all(first, count, workers):
        if isinstance(result, Failed):
            _say(str(result).splitlines()[0])
        sums.add(result)
    _say(f"{count} seeds, {time.monotonic() - started:.1f} s, {sums.failed} failed")
    for name, number in sums.lines():
        _say(f"{number:9} {name}")
    return sums


def show(seed: int, about: str = "") -> None:
    """The trace of one seed, or the lines of it that are about something."""
    try:
        trace, end = simulate(seed).trace, "every promise holds"
    except Failed as failure:
        trace, end = failure.trace, str(failure)
    for at, worker, what, detail in trace:
        if about in f"{what} {detail}":
            _say(f"{at:10.2f} #{worker:<5} {what} {detail}")
    _say(end)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main(words: list[str]) -> int:
    """What the first word says; seeds by default."""
    if words[0] == "show":
        show(int(words[1]), *words[2:])
        return 0
    if words[0] == "report":
        sums = many(0, FIXED, *map(int, words[1:2]))
        write(sums)
        return int(sums.failed > 0)
    return int(many(*map(int, words)).failed > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
