"""End to end, mails of 300 kB: the product beside another engine (T9), and as it is deployed.

T9 compares engines on one machine, fed alike and with the same DPI: the product's steps over local
ports (`local_run`), and MessageFoundry. Neither is the deployed product: that is measured by itself
on the emulator, where most of the time is the emulator's, which stands for AWS.
"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Final

from tests.performance import engines, peers
from tests.performance.emulator_run import stack_rows
from tests.performance.engines import MESSAGEFOUNDRY, Engine
from tests.performance.mllp_peers import RAW, Server
from tests.performance.table import Part, Row

SIZE: Final = 300_000
MAILS: Final = {False: 10, True: 40}
ROUNDS: Final = {False: 3, True: 7}
SHARES: Final = "collecting and reading"
"""Of OURS, seconds of CPU for one mail."""
OURS, IMAP = "the product's steps over local ports", "the same, from IMAP with TLS"
Costs = Mapping[str, list[tuple[float, float]]]
"""Per engine and round, seconds of wall and of CPU for one mail."""


def rows(full: bool) -> Iterator[Row]:
    """T9; in the full table the deployed stack as well."""
    yield from engine_rows(engine_costs(full=full))
    if full:
        yield from stack_rows(SIZE)


def engine_costs(*, full: bool) -> Costs:
    """Every engine brings the same mails in each round; the first round only warms it."""
    costs: dict[str, list[tuple[float, float]]] = {}
    count = MAILS[full]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        dpi = stack.enter_context(Server(RAW, folder / "dpi"))
        imap = stack.enter_context(engines.local(folder / "imap", dpi, imap=True))
        running: dict[str, Engine] = {
            OURS: (frames := stack.enter_context(engines.local(folder / "frames", dpi))),
            IMAP: imap,
        }
        if peers.python(MESSAGEFOUNDRY):
            running[MESSAGEFOUNDRY] = stack.enter_context(engines.messagefoundry(folder, dpi))
        shares = []
        for number in range(ROUNDS[full] + 1):
            mails = engines.letters(count, SIZE, number * count)
            imap.put(mails)
            for name, engine in running.items():
                wall, cpu = engine.bring(mails)
                costs.setdefault(name, []).append((wall / count, cpu / count))
            collected, read = frames.shares()
            shares.append((collected / count, read / count))
    return {**{name: each[1:] for name, each in costs.items()}, SHARES: shares[1:]}


def engine_rows(costs: Costs) -> Iterator[Row]:
    """T9, then each engine."""
    other = costs.get(MESSAGEFOUNDRY, [])
    pairs = list(zip(costs[OURS], other, strict=False))
    yield Row(
        "T9",
        "mails/s at 300 kB: the product's steps over local ports ÷ MessageFoundry",
        8,
        at_most=False,
        values=tuple(theirs[0] / mine[0] for mine, theirs in pairs),
        note=_compared(costs) if other else peers.absent(MESSAGEFOUNDRY),
        wall=True,
    )
    for name in (OURS, IMAP, MESSAGEFOUNDRY):
        found = costs.get(name, [])
        speed = tuple(1 / wall for wall, _ in found)
        note = f"CPU {_milli(found)} per mail" if found else peers.absent(name)
        yield Row("", f"mails/s at 300 kB: {name}", None, False, speed, "/s", note)


def _compared(costs: Costs) -> str:
    collected, read = (median(each) for each in zip(*costs[SHARES], strict=True))
    own = median(cpu for _, cpu in costs[OURS])
    ratio = median(cpu for _, cpu in costs[MESSAGEFOUNDRY]) / own
    return (
        "doubles with a disk under them (SQLite, files), not the deployed stack; both are fed by"
        f" frames and deliver over MLLP to a DPI that acknowledges at once; CPU {ratio:.1f} ×;"
        f" ours: collecting {collected / own:.0%}, reading {read / own:.0%}, then match and push"
    )


def _milli(found: list[tuple[float, float]]) -> str:
    return f"{median(cpu for _, cpu in found) * 1e3:.1f} ms"


PART: Final = Part("end to end", quick=True, rows=rows)
