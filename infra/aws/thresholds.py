"""When alarms ring: every figure in one place, changed by the context and never in the console.

A threshold changed by hand in the console is lost at the next deployment. One that stands in the
context file of the hospital (`thresholds`) is not.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from infra.aws.refused import RefusedContextError


@dataclass(frozen=True, slots=True)
class Thresholds:
    """An alarm rings above its figure; what runs out (certificate, list) at or below it."""

    review_entries: int = 0
    outcome_unknown: int = 0
    misconfigured: int = 0
    mails_unaccounted: int = 0
    slices_unproven: int = 0
    """In each of two spells of two hours in a row."""
    poll_age_s: int = 300
    queue_age_s: int = 900
    dpi_age_s: int = 3600
    """Age of the oldest job of `push`: a DPI under maintenance for less is nobody's alarm."""
    feed_age_s: int = 86_400
    """Age of the last identity message of the establishment that has been silent the longest."""
    dead_letters: int = 0
    step_errors: int = 0
    """In each of two quarters of an hour in a row; `certificates` and `retain`, in a day."""
    function_errors: int = 0
    function_throttles: int = 0
    certificate_notice_days: int = 60
    certificate_warning_days: int = 30
    certificate_urgent_days: int = 7
    crl_age_h: int = 48
    """Fetched daily: two days without a newer list, and soon every connection is refused."""
    budget_percent: int = 80

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 0:
                raise RefusedContextError(f"thresholds: {each.name} is a whole number, 0 or more")
        days = (
            self.certificate_urgent_days,
            self.certificate_warning_days,
            self.certificate_notice_days,
        )
        if sorted(set(days)) != list(days):
            raise RefusedContextError("thresholds: certificate days, urgent < warning < notice")

    def age(self, step: str) -> int:
        """Seconds a job of this step may wait."""
        return self.dpi_age_s if step == "push" else self.queue_age_s


def thresholds(given: object) -> Thresholds:
    """From the context: a mapping, its JSON text, or the path of a JSON file."""
    found = _mapping(given)
    known = {each.name for each in fields(Thresholds)}
    if unknown := sorted(found.keys() - known):
        raise RefusedContextError(f"thresholds: unknown {', '.join(unknown)}")
    return Thresholds(**found)


def _mapping(given: object) -> Mapping[str, Any]:
    if not given:
        return {}
    if isinstance(given, Mapping):
        return given
    text = str(given)
    try:
        read = json.loads(text if text.lstrip().startswith("{") else Path(text).read_text("utf-8"))
    except (OSError, ValueError):
        raise RefusedContextError("thresholds: no JSON object and no readable file") from None
    if not isinstance(read, dict):
        raise RefusedContextError("thresholds: a JSON object is expected")
    return read
