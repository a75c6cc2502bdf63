"""Figures of metrics, recorded while a laptop runs, and the statistics that are made of them.

What the emulator has no metric for (durations of functions, bytes) is not invented: such a line of
a dashboard stays empty.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from infra.local.feeder import Feeder

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mypy_boto3_cloudwatch.type_defs import MetricDatumTypeDef

Values = list[float | None]
"""One value for each slice of the time that was recorded; None without any figure."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One value of one metric."""

    namespace: str
    name: str
    dimensions: dict[str, str]
    at: float
    value: float


class Recorder(Feeder):
    """Keeps what a feeder would publish; beside it the laptop's own feeder goes on."""

    def __init__(
        self, environment: Mapping[str, str], queues: Mapping[str, str], prefix: str
    ) -> None:
        """Queues are name → URL; log groups by their prefix."""
        super().__init__(environment, queues, prefix, interval_s=1.0)
        self.figures: list[Figure] = []

    def _publish(self, namespace: str, data: list[MetricDatumTypeDef]) -> None:
        now = datetime.now(UTC)
        for datum in data:
            named = {each["Name"]: each["Value"] for each in datum.get("Dimensions", ())}
            at = datum.get("Timestamp", now)
            moment = at.timestamp() if isinstance(at, datetime) else now.timestamp()
            values = datum["Values"] if "Values" in datum else [datum["Value"]]
            for value in values:
                self.figures.append(Figure(namespace, datum["MetricName"], named, moment, value))


@dataclass(frozen=True, slots=True)
class Recording:
    """Figures of a while, in slices of equal length."""

    figures: Sequence[Figure]
    slices: int = 12

    @property
    def began(self) -> float:
        """When the first figure was taken."""
        return min((each.at for each in self.figures), default=0.0)

    @property
    def length(self) -> float:
        """Seconds of one slice."""
        last = max((each.at for each in self.figures), default=1.0)
        return max(last - self.began, 1.0) / self.slices

    def values(
        self, namespace: str, name: str, dimensions: Mapping[str, str], statistic: str
    ) -> Values:
        """A statistic of exactly this metric, slice by slice."""
        found: list[list[float]] = [[] for _ in range(self.slices)]
        for each in self.figures:
            if (each.namespace, each.name, each.dimensions) == (namespace, name, dimensions):
                slot = int((each.at - self.began) / self.length)
                found[min(slot, self.slices - 1)].append(each.value)
        return [_statistic(values, statistic) if values else None for values in found]

    def combinations(
        self, namespace: str, name: str, by: Sequence[str]
    ) -> Iterator[dict[str, str]]:
        """The values of these dimensions that the metric was seen with, in order."""
        seen = {
            tuple(each.dimensions[word] for word in by)
            for each in self.figures
            if (each.namespace, each.name) == (namespace, name) and set(each.dimensions) == set(by)
        }
        for words in sorted(seen):
            yield dict(zip(by, words, strict=True))


def _statistic(values: list[float], statistic: str) -> float:
    if statistic.startswith("p"):
        rank = float(statistic[1:]) / 100 * (len(values) - 1)
        return sorted(values)[round(rank)]
    made: dict[str, Any] = {
        "Sum": sum(values),
        "Average": sum(values) / len(values),
        "Minimum": min(values),
        "Maximum": max(values),
        "SampleCount": len(values),
    }
    return float(made[statistic])
