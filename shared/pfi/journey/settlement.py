"""What is owed for a mail whose documents have all ended (mssante-mail §1.6).

Pure: `forward` and `pfi explain` both call `settle`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from pfi.journey.records import MailFacts
from pfi.journey.settings import MailboxSettings, Settings
from pfi.names import Integration, Mdn, Reason, Route


@dataclass(frozen=True, slots=True)
class Ending:
    """How one document ended; `reason` is the PFI's, `code` the DPI's."""

    integration: Integration
    reason: str | None = None
    code: str | None = None


@dataclass(frozen=True, slots=True)
class Settlement:
    """The route of the mail and the mails that it owes.

    `review` is why a person must look at it, beside or instead of the mails.
    """

    route: Route
    reason: str | None = None
    mdn: Mdn = Mdn.NONE
    mdn_to: str = ""
    forward_to: str = ""
    notice_to: str = ""
    review: Reason | None = None

    @property
    def replied_to(self) -> str:
        """Where an answer goes when no fallback mailbox takes the mail."""
        if self.route is not Route.REPLIED:
            return ""
        return self.notice_to or self.mdn_to


_ACCEPTED = frozenset({Integration.INTEGRATED, Integration.WOULD_INTEGRATE})
_FOR_A_PERSON = frozenset({Reason.DPI_SYNTAX.value, Reason.DPI_CONFIGURATION.value})


def outward(reason: str | None) -> str:
    """The code that a sender may see; an unknown code of a DPI passes through."""
    if reason is None:
        return Reason.OTHER.value
    known = next((each for each in Reason if each.value == reason), None)
    return known.outward if known else reason


def settle(
    facts: MailFacts,
    reason: str | None,
    endings: Iterable[Ending],
    mailbox: MailboxSettings,
    settings: Settings,
) -> Settlement:
    """One mail, one route: the worst document decides (M-11, Q-03, Q-19)."""
    endings = tuple(endings)
    worst = _worst(endings)
    if worst is not None:
        reason = worst.reason or worst.code or reason or Reason.OTHER.value
        if worst.integration is Integration.UNKNOWN:
            return Settlement(Route.REVIEW, reason, review=Reason.DPI_OUTCOME_UNKNOWN)
        if reason in _FOR_A_PERSON:
            return Settlement(Route.REVIEW, reason, review=Reason(reason))
    if reason is None and endings:
        return _integrated(facts)
    return _not_integrated(facts, reason or Reason.NO_XDM.value, mailbox, settings)


def _worst(endings: tuple[Ending, ...]) -> Ending | None:
    """Unknown before refused before not owed; None when all were accepted."""
    order = (Integration.UNKNOWN, Integration.REFUSED, Integration.NOT_OWED)
    for state in order:
        found = [ending for ending in endings if ending.integration is state]
        if found:
            return next((ending for ending in found if ending.reason), found[0])
    return next((e for e in endings if e.integration not in _ACCEPTED), None)


def _integrated(facts: MailFacts) -> Settlement:
    if facts.mdn_to:
        return Settlement(Route.INTEGRATED, mdn=Mdn.PROCESSED, mdn_to=facts.mdn_to)
    review = Reason.MDN_TO_CONFIRM if facts.mdn_confirm else None
    return Settlement(Route.INTEGRATED, review=review)


def _not_integrated(
    facts: MailFacts, reason: str, mailbox: MailboxSettings, settings: Settings
) -> Settlement:
    masked = reason == Reason.MASQUE_PS.value and not settings.forward_masked
    if mailbox.fallback and not masked:
        return _forwarded(facts, reason, mailbox.fallback, settings)
    if facts.mdn_to:
        return Settlement(Route.REPLIED, reason, Mdn.ERROR, facts.mdn_to)
    if facts.answer_to:
        return Settlement(Route.REPLIED, reason, notice_to=facts.answer_to)
    return Settlement(Route.REVIEW, reason, review=Reason.NOT_ANSWERABLE)


def _forwarded(facts: MailFacts, reason: str, fallback: str, settings: Settings) -> Settlement:
    """Forward, and an MDN error when one was asked (Q-06). What was forwarded before goes to a
    person instead: two mailboxes that send to each other would never end."""
    review = Reason.MDN_TO_CONFIRM if facts.mdn_confirm else None
    owed = Settlement(Route.FORWARDED, reason, forward_to=fallback, review=review)
    if facts.came_back:
        owed = Settlement(Route.REVIEW, reason, review=Reason.FORWARD_LOOP)
    if facts.mdn_to and settings.mdn.when_fallback == "error":
        return replace(owed, mdn=Mdn.ERROR, mdn_to=facts.mdn_to)
    return owed
