"""How old the patient base is: told by the clock, because a feed that stopped tells nothing."""

from datetime import timedelta
from typing import Final

from pfi.edge.telemetry import Telemetry
from pfi.edge.wiring import Services
from pfi.journey.outcome import Configured, Metric

NEVER: Final = timedelta(days=400)
"""The age of a base whose feed was configured and never alive: above every threshold."""


def tell_ages(ports: Services, telemetry: Telemetry) -> None:
    """Seconds since the last message of each establishment that has a feed, and of the oldest of
    them: the alarm sees one that is silent among many that speak."""
    now = ports.now()
    for establishment in dict.fromkeys(each.establishment for each in ports.settings.feeds):
        fed_at = ports.patients.fed_at(establishment)
        age = (now - fed_at if fed_at else NEVER).total_seconds()
        for dimensions in ({}, {"establishment": Configured(establishment).word}):
            telemetry.measure(Metric.FEED_AGE_SECONDS, age, dimensions)
