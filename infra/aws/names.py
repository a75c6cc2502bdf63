"""Names and figures of a deployment: everything a stack takes from outside or decides once.

Metric names and routes are repeated from `pfi.names` because this package does not import the
product; `tests/infra` compares both lists.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

EEA_REGIONS: Final = (
    "eu-west-3",  # Paris
    "eu-west-1",  # Dublin
    "eu-central-1",  # Frankfurt
    "eu-north-1",  # Stockholm
    "eu-south-1",  # Milan
    "eu-south-2",  # Spain
)
"""HDS, exigence 28: health data is stored in the EEA only. London and Zurich are not in it."""

METRICS_NAMESPACE: Final = "PFI"
ROUTES: Final = ("integrated", "forwarded", "replied", "review", "duplicate", "filed")

PYTHON: Final = "3.13"
LAYER_PLATFORM: Final = "aarch64-manylinux_2_28"


class Target(StrEnum):
    """Where the stack lands: the hospital's account, or the emulator of a laptop."""

    AWS = "aws"
    LOCAL = "local"


class RefusedContextError(ValueError):
    """A context value that no stack may be synthesised with; the text is for the operator."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """The context of one `cdk` command, checked."""

    target: Target = Target.AWS
    name: str = "pfi"
    region: str = "eu-west-3"
    retention_days: int = 30
    concurrency: int = 10
    collect: bool = True

    @property
    def local(self) -> bool:
        """True in the emulator: nothing is protected from deletion, nothing is worth it."""
        return self.target is Target.LOCAL

    def __post_init__(self) -> None:
        if self.region not in EEA_REGIONS:
            raise RefusedContextError(
                f"region {self.region!r} refused: health data stays in the European Economic Area "
                f"(HDS, exigence 28). Accepted regions: {', '.join(EEA_REGIONS)}."
            )
        if not (self.name.isascii() and self.name.replace("-", "").isalnum()) or len(
            self.name
        ) not in range(2, 25):
            raise RefusedContextError("name: 2 to 24 letters, digits or hyphens")
        if not self.name[0].isalpha() or not self.name.islower():
            raise RefusedContextError("name: lower case, and a letter first")
        if self.retention_days < 1:
            raise RefusedContextError("retention: at least one day")
        if not 2 <= self.concurrency <= 1000:
            raise RefusedContextError("concurrency: 2 to 1000 (limits of an SQS event source)")


def deployment(context: Mapping[str, Any]) -> Deployment:
    """Read the context keys target, name, region, retention, concurrency and collect."""
    try:
        return Deployment(
            target=Target(context.get("target") or "aws"),
            name=str(context.get("name") or "pfi"),
            region=str(context.get("region") or "eu-west-3"),
            retention_days=int(context.get("retention") or 30),
            concurrency=int(context.get("concurrency") or 10),
            collect=str(context.get("collect") or "on") != "off",
        )
    except RefusedContextError:
        raise
    except ValueError as wrong:
        raise RefusedContextError(f"context: {wrong}") from None


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
    oldest_alarm: int = 900
    one_by_one: bool = False

    def timeout_on(self, target: Target) -> int:
        """Seconds a function may run."""
        return self.local_timeout if target is Target.LOCAL else self.timeout

    def visibility_on(self, target: Target) -> int:
        """Seconds a message stays hidden while it is being worked on."""
        return self.local_visibility if target is Target.LOCAL else 6 * self.timeout


STEPS: Final[Mapping[str, StepFigures]] = {
    "collect": StepFigures(timeout=120, local_timeout=45, memory=1024),
    "parse": StepFigures(timeout=60, local_timeout=15, memory=1024, receives=5),
    "match": StepFigures(timeout=30, local_timeout=10, memory=512, receives=5),
    # 40 receives of 10 minutes: a DPI may be away for a working day before staff has to redrive.
    # One job at a time, because a DPI takes one message at a time on a connection.
    "push": StepFigures(
        timeout=100,
        local_timeout=20,
        memory=1024,
        receives=40,
        local_visibility=30,
        oldest_alarm=3600,
        one_by_one=True,
    ),
    "forward": StepFigures(timeout=60, local_timeout=15, memory=1024, receives=12),
    "review": StepFigures(timeout=30, local_timeout=10, memory=512),
}

QUEUED: Final = tuple(step for step, figures in STEPS.items() if figures.receives)
"""The steps that have a queue and a dead-letter queue."""
