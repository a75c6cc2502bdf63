"""How long a document is kept for a DPI that is away. Pure.

The hold counts while somebody tries. A document that nobody looked at for longer than the back-off
explains was paused (`pfi pause push`): its hold begins again with the next try, so that one refused
connection after three days of maintenance sends no backlog to the fallback mailbox.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from pfi.journey.records import DocumentRecord
from pfi.journey.settings import DpiSettings, RetrySettings

UNSEEN: Final = timedelta(hours=1)
"""Beyond the longest back-off: its jitter, the time that a killed worker hides its message, a
queue. Who is not seen for that long was paused."""
SOONEST_S: Final = 5
LATEST_S: Final = 300
_PATIENCE: Final = 20
"""An untried document comes back after this part of the time that it is already held."""


def attended(document: DocumentRecord, now: datetime, retry: RetrySettings) -> DocumentRecord:
    """The document as a worker has it in hand now: its hold goes on, or begins (again)."""
    first = document.first_attempt_at
    last = document.attended_at or first
    if first is None or last is None or now - last > _longest(retry) + UNSEEN:
        first = now
    return replace(document, first_attempt_at=first, attended_at=now)


def to_be_noted(document: DocumentRecord, now: datetime, retry: RetrySettings) -> bool:
    """Whether the ledger must hear of it: twice per longest back-off, not at each look."""
    last = document.attended_at
    return document.first_attempt_at is None or last is None or now - last >= _longest(retry) / 2


def held_too_long(document: DocumentRecord, now: datetime, target: DpiSettings) -> bool:
    """The hold is over."""
    first = document.first_attempt_at
    return first is not None and now - first >= timedelta(seconds=target.hold_s)


def untried_wait_s(document: DocumentRecord, now: datetime) -> int:
    """When a document comes back that was not tried because another one had just failed: soon
    while the DPI may only have hiccuped, later the longer it is away; spread up to the double."""
    held = now - (document.first_attempt_at or now)
    wait = min(LATEST_S, max(SOONEST_S, held.total_seconds() / _PATIENCE))
    return round(wait * (1 + (int(document.mail[:4], 16) + document.number) % 100 / 100))


def _longest(retry: RetrySettings) -> timedelta:
    return timedelta(seconds=max(retry.backoff_s, default=0))
