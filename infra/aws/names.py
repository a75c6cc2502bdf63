"""Names and figures of a deployment: everything a stack takes from outside or decides once.

Metric names, routes and classes of senders are repeated from `pfi.names` because this package
does not import the product; `tests/infra` compares both lists.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from infra.aws.endpoint import EndpointPlan
from infra.aws.peers import NetworkPlan
from infra.aws.refused import RefusedContextError
from infra.aws.retention import Retention
from infra.aws.thresholds import Thresholds

EEA_REGIONS: Final = (
    "eu-west-3",  # Paris
    "eu-west-1",  # Dublin
    "eu-central-1",  # Frankfurt
    "eu-north-1",  # Stockholm
    "eu-south-1",  # Milan
    "eu-south-2",  # Spain
    "eusc-de-east-1",  # European Sovereign Cloud, Brandenburg
)
"""HDS, exigence 28: health data is stored in the EEA only. London and Zurich are not in it."""

BESIDE: Final = ("-queries", "-feed", "-guard", "-network")
"""Ends of the names of the stacks beside the core, whose name is that of the installation alone."""

METRICS_NAMESPACE: Final = "PFI"
ROUTES: Final = ("integrated", "forwarded", "replied", "review", "duplicate", "filed")

SENDERS: Final = ("hospital", "laboratory", "imaging", "practice", "other")
"""The classes of senders: the dimension `sender`."""

CERTIFICATES: Final = ("mssante", "dpi")
"""The peers whose certificates and revocation lists are watched: the dimension `certificate`."""

PYTHON: Final = "3.13"
LAYER_PLATFORM: Final = "aarch64-manylinux_2_28"


ARRIVING: Final = ("Put", "Post", "CompleteMultipartUpload")
"""The ways to make an object that announce a mail: all but `Copy`, which renews a body in place."""


class Target(StrEnum):
    """Where the stack lands: the hospital's account, or the emulator of a laptop."""

    AWS = "aws"
    LOCAL = "local"


class Environment(StrEnum):
    """Real patients, or invented ones. One account each (PGSSI-S 4.2.2.10)."""

    PRODUCTION = "production"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class GuardPlan:
    """What the guard rails around the core are made from."""

    malware: bool = False
    """Scan every mail that arrives (GuardDuty); a mail that is not clean cannot be read."""
    compliance: bool = True
    """Object Lock of the audit trail that not even the account's root can lift."""
    budget: int = 300
    """Monthly amount; 0 makes no budget."""
    break_glass: tuple[str, ...] = ()
    """ARNs of who may take the emergency role; empty: whoever IAM of the account allows to."""
    alarm_emails: tuple[str, ...] = ()


FEEDERS: Final = 5
"""Identity messages at once: 100 a second. A sender above that comes again."""
LOADERS: Final = 2
"""Patient files at once."""
LANE_RESERVED: Final = frozenset({"dlq"})
"""Of the queues named `<name>-push-…`, the one that is no lane."""


@dataclass(frozen=True, slots=True)
class Lane:
    """The queue that `push` has for one DPI, so that a silent one keeps no other waiting."""

    dpi: str
    connections: int = 2

    def __post_init__(self) -> None:
        plain = self.dpi.replace("-", "")
        if not (plain.isascii() and plain.isalnum() and plain.islower() and len(self.dpi) <= 40):
            raise RefusedContextError("lanes: a DPI is 1 to 40 lower-case letters, digits, hyphens")
        if self.dpi in LANE_RESERVED or not 1 <= self.connections <= 1000:
            raise RefusedContextError("lanes: dpi:connections, 1 to 1000, and no DPI named dlq")

    @property
    def pollers(self) -> int:
        """2 is the least that SQS accepts; one connection at a time is the ledger's affair."""
        return max(2, self.connections)

    @property
    def logical(self) -> str:
        """A word for CloudFormation, another one for every other DPI."""
        return f"Lane{self.dpi.replace('-', 'Dash')}"


@dataclass(frozen=True, slots=True)
class Deployment:
    """The context of one `cdk` command, checked."""

    target: Target = Target.AWS
    name: str = "pfi"
    region: str = "eu-west-3"
    environment: Environment = Environment.PRODUCTION
    concurrency: int = 10
    push_concurrency: int = 2
    lanes: tuple[Lane, ...] = ()
    collect: bool = True
    reserve: bool = True
    retention: Retention = field(default_factory=Retention)
    thresholds: Thresholds = field(default_factory=Thresholds)
    network: NetworkPlan | None = None
    endpoint: EndpointPlan | None = None
    guard: GuardPlan = field(default_factory=GuardPlan)

    @property
    def local(self) -> bool:
        """True in the emulator: nothing is protected from deletion, nothing is worth it."""
        return self.target is Target.LOCAL

    @property
    def scanned(self) -> bool:
        """Whether mails bear the verdict of a malware scan."""
        return self.guard.malware and not self.local

    @property
    def sovereign(self) -> bool:
        """True in the European Sovereign Cloud, a partition of its own."""
        return self.region.startswith("eusc-")

    @property
    def suffix(self) -> str:
        """Domain of the partition, for principals that bear a region in their name."""
        return "amazonaws.eu" if self.sovereign else "amazonaws.com"

    def __post_init__(self) -> None:
        if self.region not in EEA_REGIONS:
            raise RefusedContextError(
                f"region {self.region!r} refused: health data stays in the European Economic Area "
                f"(HDS, exigence 28). Accepted regions: {', '.join(EEA_REGIONS)}."
            )
        self._check_name()
        for figure in (self.concurrency, self.push_concurrency):
            if not 2 <= figure <= 1000:
                raise RefusedContextError("concurrency: 2 to 1000 (limits of an SQS event source)")
        if len({lane.dpi for lane in self.lanes}) < len(self.lanes):
            raise RefusedContextError("lanes: a DPI has one lane")

    def _check_name(self) -> None:
        name = self.name
        if not (name.isascii() and name.replace("-", "").isalnum()) or len(name) not in range(
            2, 25
        ):
            raise RefusedContextError("name: 2 to 24 letters, digits or hyphens")
        if not name[0].isalpha() or not name.islower():
            raise RefusedContextError("name: lower case, and a letter first")
        if name.endswith(BESIDE):
            raise RefusedContextError(
                f"name: {', '.join(BESIDE)} end the names of the stacks of an installation; `pfi "
                "destroy` of another one would take this one for a part of it"
            )
        test = self.environment is Environment.TEST
        if not self.local and name.endswith("-test") != test:
            raise RefusedContextError(
                "environment and name disagree: the name of a test installation ends in -test, "
                "and no other does"
            )

    def reserved(self, step: str) -> int | None:
        """Executions that belong to a function alone: what it may use is what it has, so that a
        flood elsewhere in the account cannot starve it, nor it the account.

        Of the account's quota AWS keeps 100 for functions without a reservation: an account with
        a quota too small for that needs ``reserve=off`` until it is raised.
        """
        if step in CLOCKED:
            return 1  # two at once would fetch every mail, or every list, twice
        return sum(self.pollers(step)) if self.reserve else None

    def pollers(self, step: str) -> tuple[int, ...]:
        """The cap of each event source of a step."""
        if step == "review":
            return (2,) * len(QUEUED)
        if step == "feed":
            return (FEEDERS,)
        if step == "load":
            return (LOADERS,)
        if STEPS[step].one_by_one:
            return (self.push_concurrency, *(lane.pollers for lane in self.lanes))
        return (self.concurrency,)


@dataclass(frozen=True, slots=True)
class StepFigures:
    """Time and memory of one step; `receives` is None for a step without a queue of its own.

    On AWS the visibility timeout is six times the function's, as AWS asks for SQS sources: a
    throttled poller then never shows a message twice while it is being worked on. In the emulator
    both are short, because a test waits for them.
    """

    timeout: int
    local_timeout: int
    memory: int
    receives: int | None = None
    local_visibility: int = 20
    one_by_one: bool = False
    batch: int = 10
    """1 where one mail may cost the whole time or memory of a call: its neighbours do not pay."""

    def timeout_on(self, target: Target) -> int:
        """Seconds a function may run."""
        return self.local_timeout if target is Target.LOCAL else self.timeout

    def visibility_on(self, target: Target) -> int:
        """Seconds a message stays hidden while it is being worked on."""
        return self.local_visibility if target is Target.LOCAL else 6 * self.timeout


STEPS: Final[Mapping[str, StepFigures]] = {
    "collect": StepFigures(timeout=120, local_timeout=45, memory=1024),
    "parse": StepFigures(timeout=60, local_timeout=15, memory=1024, receives=12, batch=1),
    "match": StepFigures(timeout=30, local_timeout=10, memory=512, receives=12),
    # 40 receives of 10 minutes: a DPI may be away for a working day before staff has to redrive.
    # One job at a time, because a DPI takes one message at a time on a connection.
    "push": StepFigures(
        timeout=100,
        local_timeout=20,
        memory=1024,
        receives=40,
        local_visibility=30,
        one_by_one=True,
    ),
    "forward": StepFigures(timeout=60, local_timeout=15, memory=1024, receives=12, batch=1),
    # A file takes as many calls as it needs; each goes on where the last one stopped.
    "load": StepFigures(
        timeout=300, local_timeout=20, memory=1024, receives=5, batch=1, local_visibility=30
    ),
    "review": StepFigures(timeout=30, local_timeout=10, memory=512),
    "certificates": StepFigures(timeout=120, local_timeout=30, memory=512),
    "prove": StepFigures(timeout=600, local_timeout=60, memory=1024),
    # API Gateway waits 30 seconds for an answer.
    "feed": StepFigures(timeout=25, local_timeout=20, memory=512),
    "retain": StepFigures(timeout=600, local_timeout=60, memory=512),
}

QUEUED: Final = tuple(step for step, figures in STEPS.items() if figures.receives)
"""The steps that have a queue and a dead-letter queue."""

CLOCKED: Final = ("collect", "certificates", "prove", "retain")
"""The steps that a clock starts."""
