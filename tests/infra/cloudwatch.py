"""How CloudWatch judges an alarm, for what the emulator leaves out.

ministack pools all evaluation periods into one and never looks when no datum comes: it cannot say
whether two bad periods in a row are needed, nor what silence means. From "Using Amazon CloudWatch
alarms" (CloudWatch user guide): a period without data counts as the alarm says, and the alarm
rings when that many of the last periods are bad.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

Datum = tuple[float, float]
"""Second, value."""

_STATISTICS: Final[Mapping[str, Callable[[Sequence[float]], float]]] = {
    "Sum": sum,
    "Maximum": max,
    "Minimum": min,
    "Average": lambda values: sum(values) / len(values),
}
_BAD: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "GreaterThanThreshold": lambda value, limit: value > limit,
    "GreaterThanOrEqualToThreshold": lambda value, limit: value >= limit,
    "LessThanThreshold": lambda value, limit: value < limit,
    "LessThanOrEqualToThreshold": lambda value, limit: value <= limit,
}


def breaches(alarm: Mapping[str, Any], value: float) -> bool:
    """Whether a period of this value is a bad one."""
    return _BAD[alarm["ComparisonOperator"]](value, alarm["Threshold"])


def rings(alarm: Mapping[str, Any], data: Iterable[Datum], seconds: float) -> bool:
    """Whether the alarm rings once or more while these data arrive, from second 0 on."""
    period = alarm["Period"]
    seen: dict[int, list[float]] = {}
    for at, value in data:
        seen.setdefault(int(at // period), []).append(value)
    bad = [_bad(alarm, seen.get(number, ())) for number in range(int(seconds // period))]
    needed, looked_at = alarm.get("DatapointsToAlarm"), alarm["EvaluationPeriods"]
    windows = (bad[end - looked_at : end] for end in range(looked_at, len(bad) + 1))
    return any(sum(window) >= (needed or looked_at) for window in windows)


def _bad(alarm: Mapping[str, Any], values: Sequence[float]) -> bool:
    if not values:
        return bool(alarm["TreatMissingData"] == "breaching")
    return breaches(alarm, _STATISTICS[alarm["Statistic"]](values))
