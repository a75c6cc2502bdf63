"""What could not be decided. Normal endings are values; these are not.

    PfiError(reason)
    ├─ Unreadable        what was sent can never be processed
    ├─ Unavailable       the peer got nothing (mailbox, relay, DPI, store)
    │  └─ NotAsked       it was not even asked: another try had failed a moment before
    ├─ Refused           the peer said no for good
    ├─ OutcomeUnknown    bytes left, no matching answer
    └─ Misconfigured     an operator must act

`pfi.edge.lambdas` maps each family to what happens to the queue message (design §4).
"""

from pfi.names import Reason


class PfiError(Exception):
    """``str()`` is the reason code and nothing else, so that no log can leak a mail."""

    def __init__(self, reason: Reason, *, code: str | None = None) -> None:
        super().__init__(reason.value)
        self.reason = reason
        self.code = code
        """The peer's own code (ERR-5, SMTP reply code); digits and dots only."""


class Unreadable(PfiError):
    """What was sent can never be processed: consumed, forwarded with its reason."""


class Unavailable(PfiError):
    """The peer got nothing: the job comes back later, nothing is lost."""


class NotAsked(Unavailable):
    """The peer was not even asked, because another try had failed a moment before. It says nothing
    of the peer now: nobody's hold may end by it."""


class Refused(PfiError):
    """The peer said no for good: consumed, forwarded with the peer's code."""


class OutcomeUnknown(PfiError):
    """Bytes left and no matching answer came: the effect may or may not have happened."""


class Misconfigured(PfiError):
    """An operator must act; mails wait."""
