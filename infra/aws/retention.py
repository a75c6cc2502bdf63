"""How long each store keeps what it holds: all durations of the stacks, in one place.

The ledger is not here: each of its lines carries its own date of expiry, which the product writes
(`ledger_days` of its settings). Nor is the patient base: its lines stay until the hospital replaces
or removes them.
"""

from dataclasses import dataclass
from typing import Final

from infra.aws.refused import RefusedContextError

LOG_DAYS: Final = (30, 60, 90, 120, 150, 180, 365, 400)
"""The durations that CloudWatch Logs knows, within reason."""

RECOVERY_DAYS: Final = 35
"""Point-in-time recovery of a table reaches this far back; AWS erases what is older."""
TRUST_DAYS: Final = 400
"""Revocation lists: public, and far longer than any list is in force."""
QUEUE_DAYS: Final = 14
"""The most SQS keeps. On the main queues too: a message keeps its first date when it moves to the
dead-letter queue, so a short retention before would cut the time left for a review."""


@dataclass(frozen=True, slots=True)
class Retention:
    """Days. Bodies are counted from their arrival; a version that was overwritten or expired can
    be brought back for `version_days` more, then it is erased."""

    mail_days: int = 30
    version_days: int = 7
    trace_days: int = 180
    """PGSSI-S 7.2.2.5: technical traces are kept six months, then erased."""
    audit_days: int = 365
    """Who read which body or line (CloudTrail), and nobody can shorten it: Object Lock."""

    def __post_init__(self) -> None:
        if min(self.mail_days, self.version_days, self.audit_days) < 1:
            raise RefusedContextError("retention: at least one day")
        if self.trace_days not in LOG_DAYS:
            accepted = ", ".join(map(str, LOG_DAYS))
            raise RefusedContextError(f"retention_traces: one of {accepted} (CloudWatch Logs)")
