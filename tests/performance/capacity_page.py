"""docs/reference/capacity.md, from what one run measured and what is assumed beside it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from textwrap import fill
from typing import Final

from infra.aws.hds import table
from infra.aws.names import STEPS
from infra.operations.capacity import (
    BUSY,
    HELD_PER_CONNECTION,
    JOURNEY,
    ONE_CPU_MB,
    PEAK,
    Capacity,
    Limited,
    Needed,
    measured,
)
from infra.operations.cost import Estimate, Volume, read_prices
from tests.performance.durations import seconds, seconds_per_mb, told
from tests.performance.emulator_backlog import RealDrain
from tests.performance.knee import ACK_S, SERVES, Point, knee
from tests.performance.page import machine
from tests.performance.steps import Measured
from tests.performance.table import Row, cells, number
from tests.simulation.backlog import Growth

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "reference" / "capacity.md"
WIDTH: Final = 110
VOLUMES: Final = (1_000, 100_000, 10_000_000)
SIZES_KB: Final = (50, 300, 2000)
ANSWERS_S: Final = (0.2, 2.0, 10.0)
SETS: Final[Mapping[Limited, tuple[str, str]]] = {
    Limited.DPI: (
        "connections of the DPI",
        "`dpis[].concurrency`, as far as the DPI accepts it (see the knee), then `pfi deploy`",
    ),
    Limited.MAILBOX: (
        "mails that one IMAP session takes, a session a minute",
        "`operator.mails_per_run`, and `operator.run_budget_s` for its time; more mailboxes",
    ),
    Limited.COLLECTOR: (
        "the collector, that reads one mailbox after the other",
        "share the mailboxes out among installations: one installation has one collector",
    ),
    Limited.WORKERS: (
        "workers of parse, match or forward",
        "`deployment.concurrency`, then `pfi deploy`",
    ),
    Limited.NAT: (
        "NAT, before it grows",
        "nothing: it grows by itself; `network.zones` for one more, and its price in any case",
    ),
    Limited.VPN: ("one tunnel of the VPN", '`network.link = "direct-connect"`'),
    Limited.PARTITION: (
        "DynamoDB partitions of the index of mails under way",
        "nothing can be set: more partitions are a change of the product",
    ),
    Limited.NEW_TABLE: (
        "DynamoDB, writes of a new table",
        "warm throughput of the ledger before the first day; later it has grown by use",
    ),
    Limited.TABLE: ("DynamoDB, writes of any table", 'quota "Table-level write throughput"'),
    Limited.PREFIX: (
        "S3, objects written below the prefix of one mailbox",
        "nothing: S3 divides prefixes by itself; more mailboxes",
    ),
    Limited.EXECUTIONS: ("Lambda, executions of the account", 'quota "Concurrent executions"'),
    Limited.IN_FLIGHT: (
        "SQS, messages in flight of a lane whose DPI is away",
        "nothing: none is lost, they are only tried less often; or the quota, by AWS support",
    ),
}
"""What a limit is, and what is to be set."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a run measured."""

    costs: Measured
    points: Sequence[Point]
    sentences: Sequence[str]
    growth: Growth
    real: RealDrain
    decision_us: Sequence[float]
    scale: Sequence[Row]


def write(found: Found, path: Path = PAGE) -> None:
    """Keep it."""
    path.write_text(page(found), encoding="utf-8")


def page(found: Found) -> str:
    """All of it."""
    parts = (
        _head(), _settings(found), _limits(found), _costs(found), _measured(found), _backlog(found),
        _knee(found), _matching(found),
    )  # fmt: skip
    return "\n".join(map(_wrapped, "".join(parts).splitlines())) + "\n"


def _wrapped(line: str) -> str:
    """Prose is no longer than on other pages; a table stays on its lines."""
    if line.startswith(("|", "#", "<")):
        return line
    indent = "  " if line.startswith("- ") else ""
    return fill(line, WIDTH, subsequent_indent=indent, break_on_hyphens=False,
                break_long_words=False)  # fmt: skip


def capacity(
    found: Found, mails: float, kb: float, ack_s: float = 0.2, *, vpn: bool = False
) -> Capacity:
    """The model with the durations of this run."""
    volume = Volume(mails_per_day=mails, kb=kb, ack_s=ack_s, vpn=vpn)
    costs = found.costs
    mail = {name: float(value) for name, value in costs.mail().items()}
    usual = Estimate(volume, read_prices())
    return Capacity(measured(usual, seconds(costs), seconds_per_mb(costs), **mail))


def _head() -> str:
    prices = read_prices()
    return (
        "<!-- Written by `python -m tests.performance.capacity --write`; do not edit. -->\n\n"
        "# Capacity\n\n"
        "How many mails, with which settings, for how much. Measured on the machine of the run: "
        "CPU of each step, calls of AWS, the curve of a DPI, the backlog, the reads of the patient "
        "base. Assumed, and listed [below](#what-was-measured): times of networks and of AWS, and "
        "that a processor of Lambda is as fast as a core of that machine. Calculated from both: "
        "everything about AWS. Nothing on this page was measured on AWS.\n\n"
        f"Busiest hour: {number(PEAK)} times the average. A worker may be busy {BUSY:.0%} of the "
        f"time. Prices: {prices.region}, {prices.day:%Y-%m-%d}, USD a month, without tax. For "
        "other figures: `pfi cost --mails-per-day 5000 --kb 300 --ack 2`, which also says what to "
        "set. It calculates with the durations of `infra/operations/prices.toml`.\n\n"
        f"{machine()}.\n"
    )


def _settings(found: Found) -> str:
    rows = []
    for mails, kb in _combinations():
        needed = capacity(found, mails, kb).needed()
        rows.append((_thousands(mails), f"{kb} kB", *map(_thousands, _shown(needed))))
    columns = (
        "mails a day", "size", "`dpis[].concurrency`", "`deployment.concurrency`",
        "`operator.mails_per_run`", "`operator.run_budget_s`", "installations", "Lambda quota",
    )  # fmt: skip
    return (
        "\n## What to set\n\n"
        f"For a DPI that answers in {ANSWERS_S[0]} s, in one mailbox and one DPI as far as that "
        "goes. Defaults are never lowered.\n\n"
        + table(columns, rows)
        + "\n- Beyond one installation, mailboxes are shared out, at least one for each: an "
        "installation has one collector, which reads its mailboxes one after the other. The other "
        "columns are then sums, `mails_per_run` excepted.\n"
        "- A DPI must accept as many connections as `dpis[].concurrency`; ask its vendor, then "
        "look for the [knee](#the-knee-of-a-dpi).\n"
    )


def _shown(needed: Needed) -> tuple[int, ...]:
    return (
        needed.connections, needed.workers, needed.mails_per_run, needed.run_budget_s,
        needed.collectors, needed.executions,
    )  # fmt: skip


def _limits(found: Found) -> str:
    by_size = [_met(found, kb) for kb in SIZES_KB]
    order = sorted(by_size[1], key=lambda what: by_size[1][what])
    rows = [
        (rank, SETS[what][0], *(_thousands(met[what]) for met in by_size), SETS[what][1])
        for rank, what in enumerate(order, start=1)
    ]
    columns = ("", "limit", *(f"{kb} kB" for kb in SIZES_KB), "what to set")
    return (
        "\n## Limits, in the order in which they are met\n\n"
        "Mails a day, as installed without any setting, with a VPN, for a DPI that answers in "
        f"{ANSWERS_S[0]} s.\n\n" + table(columns, rows) + "\n" + _first(found) + "\n"
        "- In flight is what a worker holds or has tried and waits out its back-off: at most "
        f"{HELD_PER_CONNECTION:.0f} for each connection of a DPI that is away for long. What waits "
        "for its turn is sent again with a delay and is not in flight "
        "([lanes](../decisions/0018-lanes.md)).\n"
        "- A lane has 1 000 connections at most; what needs more needs a second interface of that "
        "DPI.\n"
        "- NAT is a matter of money long before it is one of throughput: it and the way out are "
        "most of the network's price below.\n"
        "- The row that keeps the pace of a DPI of one connection is written twice per exchange: "
        "far from what one partition takes.\n"
    )


def _met(found: Found, kb: float, ack_s: float = ANSWERS_S[0]) -> dict[Limited, float]:
    return {
        each.what: each.mails_per_day for each in capacity(found, 1, kb, ack_s, vpn=True).limits()
    }


def _first(found: Found) -> str:
    """The DPI is what differs most between hospitals."""
    rows = []
    for ack_s in ANSWERS_S:
        met = _met(found, SIZES_KB[1], ack_s)
        ordered = sorted(met, key=lambda what: met[what])
        first = [f"{SETS[what][0]} ({_thousands(met[what])})" for what in ordered[:3]]
        needed = [capacity(found, mails, SIZES_KB[1], ack_s).needed() for mails in VOLUMES]
        rows.append(
            (f"{ack_s:g} s", ", ".join(first), *(_thousands(n.connections) for n in needed))
        )
    columns = (
        "answer of the DPI", "limits met first (mails a day)",
        *(f"`dpis[].concurrency` at {_thousands(mails)}" for mails in VOLUMES),
    )  # fmt: skip
    return f"By the time of the answer, {SIZES_KB[1]} kB:\n\n" + table(columns, rows)


def _costs(found: Found) -> str:
    rows = []
    for mails, kb in _combinations():
        this = capacity(found, mails, kb)
        estimate = this.estimate
        sections = (estimate.total("services"), estimate.total("réseau"), estimate.total("fixe"))
        at_once = (number(round(this.at_once(step), 4)) for step in JOURNEY)
        rows.append(
            (_thousands(mails), f"{kb} kB", number(round(this.peak, 4)), *at_once,
             _thousands(this.gb_seconds), *map(_thousands, sections), _thousands(sum(sections)))
        )  # fmt: skip
    columns = (
        "mails a day", "size", "mails/s, peak", *JOURNEY, "GB-s a month", "services", "network",
        "fixed", "total",
    )  # fmt: skip
    return (
        "\n## Executions at once, and what it costs\n\n"
        "Executions of each function at once in the busiest hour, on average; then a month, in "
        "USD: as in [the table of prices](../../infra/operations/prices.toml), bodies kept for "
        "30 days, two zones. The fixed part is mostly the network's.\n\n"
        + table(columns, rows)
        + _compared(found)
    )


def _compared(found: Found) -> str:
    """The command and the page: one model, of which only the durations differ."""
    mails, kb = 100_000, 300
    volume = Volume(mails_per_day=mails, kb=kb)
    told = Estimate(volume, read_prices()).total()
    here = capacity(found, mails, kb).estimate.total()
    return (
        f"\n`pfi cost --mails-per-day {mails} --kb {kb}` says {_thousands(told)} USD, this page "
        f"{_thousands(here)}. Prices, model and counts of one mail are the same, writes of the "
        "index included (`tests/unit/performance/test_steps.py` counts a mail again and compares). "
        "What differs is how long a step takes: the command has the rounded seconds of "
        "`infra/operations/prices.toml`, to say the same on every machine; the page has those that "
        "this run measured and [assumed](#what-was-measured). So GB-s, executions at once and what "
        "to set differ too. Neither bills what a poll asks of the ledger whatever it finds: four "
        "reads and two writes a minute for each mailbox, less than 0.10 USD a month.\n"
    )


def _measured(found: Found) -> str:
    costs = found.costs
    per_job, per_mb = seconds(costs), seconds_per_mb(costs)
    rows = [
        (
            step, number(round(each.own_ms, 3)), number(round(each.own_ms_per_mb, 3)), each.calls,
            STEPS[step].memory, f"{per_job[step]:.3f}", f"{per_mb[step]:.3f}",
        )
        for step, each in costs.steps.items()
    ]  # fmt: skip
    columns = (
        "step", "CPU, ms", "CPU, ms per MB", "AWS calls", "memory, MB", "→ seconds",
        "→ seconds per MB",
    )  # fmt: skip
    mail = costs.mail()
    counts = [(name, value) for name, value in mail.items()]
    return (
        "\n## What was measured\n\n"
        "CPU of the steps over doubles, one mail with one document, a line through 300 kB and "
        f"2 MB; one call of AWS costs {costs.sdk_ms:.2f} ms of CPU more (SDK, without TLS). The "
        f"two columns after the arrow are what a function of that memory takes: {ONE_CPU_MB} MB "
        "bring one processor, less brings a share, and the assumptions below. The answer of the "
        "DPI comes on top of push.\n\n"
        + table(columns, rows)
        + "\nCounted for one mail that asks for an acknowledgement, "
        f"{costs.aws_calls} calls of AWS in all, its poll apart; 12 without one, the budget that "
        "`tests/contracts/test_call_budget.py` keeps "
        "([0025](../decisions/0025-twelve-calls.md)):\n\n"
        + table(("count", "of one mail"), counts)
        + "\n`reads` and `writes` are units of DynamoDB (a row of a transaction counts twice), "
        "`index_writes` those of the index on top; `puts` and `gets` are calls of S3; "
        "`out_share` is the message, `document_share` the document, of the mail's size: for a "
        "document with a PDF. A structured one deflates in its mail, and its message is larger "
        "than the mail.\n\nAssumed:\n\n" + table(("assumption", "value"), list(told().items()))
    )


def _backlog(found: Found) -> str:
    growth, real = found.growth, found.real
    lines = "".join(f"- {sentence}\n" for sentence in found.sentences)
    return (
        "\n## A backlog\n\n"
        "Mails collected while sending is paused, then resumed. In virtual time, every promise "
        "checked (`python -m tests.simulation.backlog 10000`; `tests/simulation/test_backlog.py` "
        "runs a smaller one):\n\n"
        f"{lines}- twice the mails: {growth.time:.3f} × the time, {growth.calls:.3f} × the port "
        f"calls, {growth.cpu:.3f} × the CPU of the simulation\n\n"
        "On the emulator, real parts on one machine (`python -m "
        "tests.performance.emulator_backlog`): "
        f"{real.mails} mails, {real.connections} connections, ACK {real.ack_s:g} s: drained in "
        f"{real.seconds:.0f} s ({real.ratio:.2f} × mails × ACK ÷ connections), at most "
        f"{real.most_at_once} exchanges at once, {real.accepted} accepted, "
        f"{real.routes['integrated']} integrated.\n\n"
        "So a backlog takes mails × answer ÷ connections, and the collector's minutes before: "
        "10 000 mails of one mailbox are collected in 200 minutes at 50 a run.\n"
    )


def _knee(found: Found) -> str:
    rows = [
        (p.pushes, f"{p.rate:.1f}", f"{p.calculated:.1f}", f"{p.seconds:.2f}") for p in found.points
    ]
    at = knee(found.points)
    return (
        "\n## The knee of a DPI\n\n"
        f"The simulated DPI, {ACK_S} s for an answer, {SERVES} messages served at once; the "
        "product's client over real sockets. Calculated: pushes ÷ (answer + own work), at most "
        "served ÷ answer.\n\n"
        + table(("pushes at once", "exchanges/s", "calculated", "seconds of one"), rows)
        + f"\nThe knee is at {at}: beyond it a doubling gains less than 10 %, and every exchange "
        "takes longer, because messages wait inside the DPI. Set `dpis[].concurrency` to the "
        "knee: more brings nothing but answers nearer to `dpis[].ack_timeout_s`, and an answer "
        "after that is one that nobody knows. Where a DPI does not say what it serves at once, "
        "double the setting until the metric `DpiRoundTripMs` grows as much.\n"
    )


def _matching(found: Found) -> str:
    rows = [(row.what, *cells(row)[2:5], row.note) for row in found.scale]
    return (
        "\n## Matching\n\n"
        f"A decision takes {median(found.decision_us):.0f} µs of CPU once the record is there. "
        "Reads are queries of one key, so that a base of any size costs the same "
        "([performance](performance.md#patient-base) has the figures of a million identities):\n\n"
        + table(("", "limit", "median", "min–max", ""), rows)
    )


def _combinations() -> Iterator[tuple[int, int]]:
    return ((mails, kb) for mails in VOLUMES for kb in SIZES_KB)


def _thousands(value: float) -> str:
    return f"{value:,.0f}".replace(",", " ")
