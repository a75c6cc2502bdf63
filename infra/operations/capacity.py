"""How many workers a traffic needs, and which limit it meets first: arithmetic, nothing measured.

Durations of the steps, counts per mail, prices and quotas come from the table of `cost`. Figures
are those of the busiest hour, `PEAK` times the average. Executions at once are arrivals per second
× seconds of one job (Little's law), over the share of the time that a worker may be busy (`BUSY`):
one that is always busy has a queue that never ends.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from math import ceil, inf
from typing import Final

from infra.aws.names import STEPS, Deployment
from infra.operations.cost import Estimate
from pfi.adapters.circuit import OPEN_S
from pfi.journey.settings import DpiSettings, OperatorSettings, RetrySettings

PEAK: Final = 3.0
"""The busiest hour has this times the average: an eighth of the mails of a day."""
BUSY: Final = 0.8
DAY_S: Final = 86_400
MINUTE_S: Final = 60
ONE_CPU_MB: Final = 1769
"""Memory that comes with one processor (AWS Lambda, "Configure memory"); less is a share of it."""
UNDER_WAY_PARTITIONS: Final = 16
"""Of the index of mails under way (`pfi.journey.ledger`)."""
HELD_PER_CONNECTION: Final = RetrySettings().backoff_s[-1] * 1.25 / OPEN_S
"""Messages in flight at most, of a DPI that is away: each worker tries one as often as its circuit
lets it, and that one waits out the longest back-off with its jitter. What was not tried is sent
again with a delay, and is not in flight."""
WORKERS: Final = ("parse", "match", "forward")
"""The steps that `deployment.concurrency` caps, each alone."""
JOURNEY: Final = ("collect", "parse", "match", "push", "forward")
_USUAL_WORKERS: Final = Deployment().concurrency
_USUAL_CONNECTIONS: Final = DpiSettings(
    id="dpi", host="", port=0, sending_facility="", receiving_facility=""
).concurrency
_OPERATOR: Final = OperatorSettings()
_WITHOUT_LANE: Final = 2
"""`push_concurrency`, for DPIs that have no lane (yet)."""
_BESIDE: Final = _WITHOUT_LANE + sum(
    Deployment().reserved(step) or 0 for step in STEPS if step not in (*WORKERS, "push")
)
"""Reserved whatever the traffic."""


def at_memory(cpu_s: float, memory_mb: float) -> float:
    """Seconds that so much work takes on a function of that memory: one thread of it works."""
    return cpu_s / min(1.0, memory_mb / ONE_CPU_MB)


class Limited(StrEnum):
    """What a traffic may meet."""

    DPI = "dpi"
    MAILBOX = "mailbox"
    COLLECTOR = "collector"
    WORKERS = "workers"
    NAT = "nat"
    VPN = "vpn"
    PARTITION = "partition"
    NEW_TABLE = "new table"
    TABLE = "table"
    PREFIX = "prefix"
    EXECUTIONS = "executions"
    IN_FLIGHT = "in flight"


@dataclass(frozen=True, slots=True)
class Limit:
    """How much of something a second's worth of mails asks for, and how much there is."""

    what: Limited
    per_mail: float
    """Asked for by one mail a second."""
    there: float

    @property
    def mails_per_day(self) -> float:
        """From this traffic on it is met, in the busiest hour."""
        return self.there / self.per_mail * DAY_S / PEAK if self.per_mail else inf


@dataclass(frozen=True, slots=True)
class Needed:
    """What to set; figures never fall below those that an installation has from the beginning."""

    connections: int
    """`concurrency` of the DPI: as many must it accept at once."""
    workers: int
    """`deployment.concurrency`."""
    mails_per_run: int
    """`operator.mails_per_run`, of each mailbox."""
    run_budget_s: int
    """`operator.run_budget_s`, to collect so many."""
    collectors: int
    """Installations, and mailboxes at the least: an installation has one collector, that reads its
    mailboxes one after the other."""
    executions: int
    """Quota of the account for executions at once, reservations and reserve included."""


@dataclass(frozen=True, slots=True)
class Capacity:
    """Of one volume. `connections` and `workers` are what is configured."""

    estimate: Estimate
    connections: int = _USUAL_CONNECTIONS
    workers: int = _USUAL_WORKERS
    mails_per_run: int = _OPERATOR.mails_per_run

    @property
    def peak(self) -> float:
        """Mails a second in the busiest hour."""
        return self.estimate.volume.mails_per_day / DAY_S * PEAK

    def at_once(self, step: str) -> float:
        """Executions of a step at the same time, in the busiest hour, on average."""
        return self.peak * self.estimate.seconds(step)

    @property
    def gb_seconds(self) -> float:
        """Of all steps, a month."""
        seconds = (self.estimate.seconds(s) * STEPS[s].memory / 1024 for s in JOURNEY)
        return sum(seconds) * self.estimate.mails

    def needed(self) -> Needed:
        """What the busiest hour needs."""
        collectors = max(1, _whole(self.at_once("collect") / BUSY))
        boxes = max(self.estimate.volume.mailboxes, collectors)
        per_run = max(_OPERATOR.mails_per_run, ceil(self.peak * MINUTE_S / boxes))
        budget = max(_OPERATOR.run_budget_s, per_run * self.estimate.seconds("collect"))
        connections = max(_USUAL_CONNECTIONS, _whole(self.at_once("push") / BUSY))
        slowest = max(map(self.at_once, WORKERS))
        workers = max(_USUAL_WORKERS, _whole(slowest / BUSY))
        return Needed(
            connections,
            workers,
            per_run,
            ceil(budget),
            collectors,
            executions(workers, connections) + int(self._quota("lambda_unreserved")),
        )

    def limits(self) -> tuple[Limit, ...]:
        """Those that grow with the traffic, the first one met first."""
        found = (*self._own(), *self._network(), *self._table(), *self._account())
        return tuple(sorted(found, key=lambda each: each.mails_per_day))

    def _own(self) -> Iterator[Limit]:
        """What is set in hospital.toml."""
        seconds, boxes = self.estimate.seconds, self.estimate.volume.mailboxes
        yield Limit(Limited.DPI, seconds("push"), self.connections * BUSY)
        yield Limit(Limited.MAILBOX, MINUTE_S / boxes, self.mails_per_run)
        yield Limit(Limited.COLLECTOR, seconds("collect"), BUSY)
        yield Limit(Limited.WORKERS, max(map(seconds, WORKERS)), self.workers * BUSY)

    def _network(self) -> Iterator[Limit]:
        """Megabits of one mail: received and sent, or sent to the DPI alone."""
        volume = self.estimate.volume
        month = max(self.estimate.mails, 1e-9)
        leaving = self.estimate.leaving_gb * 8000 / month
        arriving = self.estimate.gigabytes * 8000 / month
        if volume.nats:
            there = volume.nats * self._quota("nat_megabit")
            yield Limit(Limited.NAT, arriving + leaving, there)
        if volume.vpn:
            share = self.estimate.table.mail["out_share"]
            yield Limit(Limited.VPN, arriving * share, self._quota("vpn_megabit"))

    def _table(self) -> Iterator[Limit]:
        """Write units; of the index, sixteen partitions share those of mails under way."""
        mail = self.estimate.table.mail
        partitions = UNDER_WAY_PARTITIONS * self._quota("partition_writes")
        yield Limit(Limited.PARTITION, mail["index_writes"], partitions)
        yield Limit(Limited.NEW_TABLE, mail["writes"], self._quota("new_table_writes"))
        yield Limit(Limited.TABLE, mail["writes"], self._quota("table_writes"))
        boxes = self.estimate.volume.mailboxes
        yield Limit(Limited.PREFIX, 1.0, boxes * self._quota("prefix_puts"))

    def _account(self) -> Iterator[Limit]:
        """Executions as reserved; what a lane holds in flight while its DPI is away."""
        seconds = self.estimate.seconds
        connections = seconds("push") / BUSY
        one = max(map(seconds, WORKERS)) * len(WORKERS) / BUSY + connections
        there = self._quota("lambda_executions") - self._quota("lambda_unreserved")
        yield Limit(Limited.EXECUTIONS, one, there - _BESIDE)
        held = connections * HELD_PER_CONNECTION
        yield Limit(Limited.IN_FLIGHT, held, self._quota("sqs_in_flight"))

    def _quota(self, name: str) -> float:
        return self.estimate.table.quotas[name]


def executions(workers: int, connections: int) -> int:
    """Reserved by an installation with one DPI, as `Deployment.reserved` says of each step."""
    return _BESIDE + len(WORKERS) * workers + max(2, connections)


def measured(
    estimate: Estimate, seconds: Mapping[str, float], per_mb: Mapping[str, float], **mail: float
) -> Estimate:
    """The same volume and prices, with durations and counts of a measurement."""
    table = estimate.table
    return replace(
        estimate,
        table=replace(table, seconds=seconds, seconds_per_mb=per_mb, mail={**table.mail, **mail}),
    )


def _whole(workers: float) -> int:
    """At least so many; what is over by a rounding error is none."""
    return ceil(workers - 1e-9)
