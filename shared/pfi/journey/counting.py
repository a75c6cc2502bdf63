"""What is counted of a mail that ends: its route and reason, whose it was, what sort of sender.

Every dimension is a closed list: routes, reasons, classes of senders, and the establishments of
the settings. An address never gets near a metric.
"""

from typing import Final

from pfi.journey.outcome import Configured, Fact, Metric
from pfi.journey.settings import MailboxSettings, Settings
from pfi.mail.domains import within
from pfi.names import Reason, Route, SenderClass

Counted = tuple[dict[str, Fact], dict[Metric, float]]
_TECHNICAL: Final = frozenset({Route.DUPLICATE, Route.FILED})
"""Nobody waits for these to be integrated: they have no part in the share."""


def counted(
    route: Route,
    reason: str | None,
    sender: str,
    mailbox: MailboxSettings,
    settings: Settings,
) -> Counted:
    """Facts and counts of one mail that ended here."""
    facts: dict[str, Fact] = {
        "route": route,
        "reason": None if reason is None else known(reason),
        "establishment": Configured(mailbox.establishment),
        "sender": sender_class(sender, settings),
    }
    counts = {Metric.MAILS_SETTLED: 1.0}
    if route not in _TECHNICAL:
        counts[Metric.INTEGRATED_SHARE] = float(route is Route.INTEGRATED)
    return facts, counts


def sender_class(sender: str, settings: Settings) -> SenderClass:
    """The class whose domains the settings list; of several the first that lists it. `sender` is
    an address or its domain."""
    domain = sender.rpartition("@")[2].lower()
    found = (each.kind for each in settings.senders if within(domain, each.suffixes))
    return next(found, SenderClass.OTHER)


def known(reason: str) -> Reason:
    """A code that only the DPI knows is counted as 906."""
    return Reason(reason) if reason in list(Reason) else Reason.OTHER
