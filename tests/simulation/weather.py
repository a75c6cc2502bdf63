"""Which faults a run meets, and how often (swarm testing: each seed draws its own mixture)."""

import random
from dataclasses import dataclass, fields
from enum import StrEnum


class Fate(StrEnum):
    """What happens to one port call."""

    FINE = "fine"
    PAUSE = "pause"
    STALL = "stall"
    CRASH_BEFORE = "crash before"
    CRASH_AFTER = "crash after"
    UNAVAILABLE = "unavailable"
    LOST = "effect done, answer lost"


@dataclass
class Weather:
    """Probabilities per call. `fair_after` is when all faults end."""

    fair_after: float = 0.0
    # every port call
    crash_before: float = 0.0
    crash_after: float = 0.0
    unavailable: float = 0.0
    lost: float = 0.0
    stall: float = 0.0
    throttle: float = 0.0
    # queues and events
    ghost: float = 0.0
    undeleted: float = 0.0
    slow_poll: float = 0.0
    late_event: float = 0.0
    # mailbox
    imap_cut: float = 0.0
    imap_half_move: float = 0.0
    imap_renumber: float = 0.0
    imap_gone: float = 0.0
    two_collectors: float = 0.0
    lease_lost: float = 0.0
    # patient base
    stale_read: float = 0.0
    # DPI
    dpi_drop: float = 0.0
    dpi_deaf: float = 0.0
    dpi_late: float = 0.0
    dpi_busy: float = 0.0
    dpi_stranger: float = 0.0
    dpi_misconfigured: float = 0.0
    dpi_outage: float = 0.0
    dpi_restart: float = 0.0
    # relay
    smtp_drop: float = 0.0
    smtp_deaf: float = 0.0
    smtp_4xx: float = 0.0
    smtp_5xx: float = 0.0
    smtp_bounce: float = 0.0
    # how the DPI meets a message that it has already accepted: accepts | answers | 205
    dpi_repeats: str = "accepts"
    resends: int = 3
    """How often the hospital lets a message whose answer was lost be sent again."""
    base_changes_at: float = float("inf")
    """When the hospital corrects its patient base."""
    pauses: float = 0.15
    """How often others run in the middle of a port call that goes well."""

    def fate(self, rng: random.Random, elapsed: float) -> Fate:
        """Draw the fate of one call."""
        draw = rng.random()
        if draw >= 0.5:
            return Fate.FINE
        if elapsed < self.fair_after:
            for fate, rate in (
                (Fate.CRASH_BEFORE, self.crash_before),
                (Fate.CRASH_AFTER, self.crash_after),
                (Fate.UNAVAILABLE, self.unavailable),
                (Fate.LOST, self.lost),
                (Fate.STALL, self.stall),
            ):
                if draw < rate:
                    return fate
                draw -= rate
        return Fate.PAUSE if draw < self.pauses else Fate.FINE


_SMALL = frozenset({"crash_before", "crash_after", "unavailable", "lost", "stall"})
_RARE = frozenset({"throttle"})
_NOT_DRAWN = frozenset({"fair_after", "dpi_repeats", "resends", "base_changes_at", "pauses"})
KINDS = tuple(each.name for each in fields(Weather) if each.name not in _NOT_DRAWN)
"""Every kind of fault that a seed may draw."""
CALM_EVERY = 8
"""One seed of eight has no fault at all: there every mail must end exactly as foreseen."""


def drawn(seed: int, rng: random.Random) -> Weather:
    """The weather of a seed: about half of the kinds of fault, each rare or frequent."""
    weather = Weather()
    if seed % CALM_EVERY == 0:
        return weather
    weather.fair_after = rng.choice((1800.0, 3 * 3600.0, 9 * 3600.0))
    weather.dpi_repeats = rng.choice(("accepts", "accepts", "answers", "205"))
    weather.resends = rng.choice((3, 3, 0))
    weather.base_changes_at = rng.uniform(60, 900)
    for kind in KINDS:
        if rng.random() < 0.5:
            setattr(weather, kind, rng.choice(_rates(kind)))
    return weather


def _rates(kind: str) -> tuple[float, float, float]:
    if kind in _RARE:
        return (0.0005, 0.002, 0.005)
    return (0.002, 0.01, 0.04) if kind in _SMALL else (0.03, 0.1, 0.3)
