"""The scorecard of senders: what each house sent in a month, and how well it could be taken.

Read from the rows of the ledger alone: parse noted what a mail says of its sender, the later steps
how it ended. Technical mails and strangers have no part in it: their domain proves nothing.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from infra.operations.account import Stack
from infra.operations.flight import scanned
from pfi.adapters.dynamodb import row_of
from pfi.journey.ledger import mail_of_row
from pfi.journey.message import PARIS
from pfi.journey.records import MailRecord, MailState, Sent
from pfi.names import Reason, Route


@dataclass(frozen=True, slots=True)
class Month:
    """A month of the hospital's clocks."""

    first: datetime
    after: datetime

    @classmethod
    def of(cls, word: str) -> "Month":
        """From ``YYYY-MM``; anything else is a ValueError."""
        first = datetime.strptime(word, "%Y-%m").replace(tzinfo=PARIS)
        over = (first + timedelta(days=32)).replace(day=1)
        return cls(first, over)

    @property
    def word(self) -> str:
        """``YYYY-MM``."""
        return f"{self.first:%Y-%m}"

    def holds(self, at: datetime) -> bool:
        """Whether something happened in it."""
        return self.first <= at < self.after


@dataclass(slots=True)
class Card:
    """One sender domain in one month. `faults` are mails that were not integrated, by reason;
    `under_way` have not ended yet and have no part in the share."""

    domain: str
    mails: int = 0
    integrated: int = 0
    under_way: int = 0
    duplicates: int = 0
    without_archive: int = 0
    mdn_asked: int = 0
    documents: int = 0
    with_ins: int = 0
    usable: int = 0
    replacements: int = 0
    deletions: int = 0
    faults: Counter[str] = field(default_factory=Counter)

    @property
    def share(self) -> float | None:
        """Integrated among the mails that ended; None before one did."""
        ended = self.mails - self.under_way
        return self.integrated / ended if ended else None

    @property
    def archive_faults(self) -> int:
        """Mails whose archive or document could not be read as the texts ask."""
        return sum(count for reason, count in self.faults.items() if is_archive_fault(reason))

    def add(self, mail: MailRecord, sent: Sent) -> None:
        """One more mail. A repeat counts as such and nowhere else."""
        if mail.route is Route.DUPLICATE:
            self.duplicates += 1
            return
        self.mails += 1
        self.integrated += mail.route is Route.INTEGRATED
        self.under_way += mail.state is not MailState.SETTLED
        self.without_archive += not sent.archive
        self.mdn_asked += sent.mdn
        for name in ("documents", "with_ins", "usable", "replacements", "deletions"):
            setattr(self, name, getattr(self, name) + getattr(sent, name))
        if mail.state is MailState.SETTLED and mail.reason:
            self.faults[mail.reason] += 1


def is_archive_fault(reason: str) -> bool:
    """An archive or a CDA that does not follow its texts; no archive at all is none."""
    return reason.startswith(("PFI-XDM-", "PFI-CDA-")) and reason != Reason.NO_XDM.value


def tally(mails: Iterable[MailRecord], month: Month) -> tuple[Card, ...]:
    """The cards of a month, those who send most first."""
    cards: dict[str, Card] = {}
    for mail in mails:
        if mail.sent is not None and mail.sent.domain and month.holds(mail.received_at):
            cards.setdefault(mail.sent.domain, Card(mail.sent.domain)).add(mail, mail.sent)
    return tuple(sorted(cards.values(), key=lambda card: (-card.mails, card.domain)))


def mails_of(stack: Stack, month: Month) -> Iterator[MailRecord]:
    """The mails of a month, in one walk through the ledger: once a month it may cost that."""
    for item in scanned(stack, stack.output("LedgerTable"), _asked(month)):
        yield mail_of_row(row_of(item))


def _asked(month: Month) -> Mapping[str, Any]:
    """Days around the month as the rows write them, in UTC; `tally` cuts to the hour."""
    day = timedelta(days=1)
    return {
        "FilterExpression": "sk = :mail AND #data.#at BETWEEN :first AND :after",
        "ExpressionAttributeNames": {"#data": "data", "#at": "received_at"},
        "ExpressionAttributeValues": {
            ":mail": {"S": "MAIL"},
            ":first": {"S": f"{month.first - day:%Y-%m-%d}"},
            ":after": {"S": f"{month.after + day:%Y-%m-%d}"},
        },
    }
