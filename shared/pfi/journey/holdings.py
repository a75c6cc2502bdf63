"""What the ledger holds, sorted for the account: read through, or one mail at a time."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from pfi.journey.accounts import Held, seals_of
from pfi.journey.chains import Chain
from pfi.journey.ledger import (
    Ledger,
    chain_of_row,
    document_of_row,
    mail_of_row,
    review_key,
    review_of_row,
)
from pfi.journey.ports import Row
from pfi.journey.records import DocumentRecord, MailRecord, ReviewItem
from pfi.names import Reason

_SET_ASIDE: Final = frozenset({Reason.MAIL_TOO_LARGE.value, Reason.MAILBOX_UNAVAILABLE.value})


@dataclass
class Book:
    """Every row of a ledger that speaks of a mail.

    `named`: mails that other rows than their own speak of; `set_aside`: those of review items,
    which may be about bytes that never became a mail. `same` and `out` count the rows by which a
    mail is recognised.
    """

    mails: dict[str, MailRecord] = field(default_factory=dict)
    documents: dict[str, list[DocumentRecord]] = field(default_factory=lambda: defaultdict(list))
    chains: dict[str, Chain] = field(default_factory=dict)
    reviews: dict[str, dict[str, ReviewItem]] = field(default_factory=lambda: defaultdict(dict))
    places: Counter[tuple[str, str]] = field(default_factory=Counter)
    same: Counter[str] = field(default_factory=Counter)
    out: Counter[str] = field(default_factory=Counter)
    named: list[tuple[str, datetime]] = field(default_factory=list)
    set_aside: list[tuple[str, datetime]] = field(default_factory=list)

    def enter(self, row: Row, written: datetime) -> None:
        """One row, and when it was written."""
        kind, _, subject = row.pk.partition("#")
        match kind:
            case "MAIL" if row.sk == "MAIL":
                self.mails[subject] = mail_of_row(row)
            case "MAIL":
                self.documents[subject].append(document_of_row(row))
                self.named.append((subject, written))
            case "CHAIN":
                self._chain(subject, chain_of_row(row))
            case "REVIEW":
                self._review(subject, row, written)
            case "PLACE" if row.data["mail"]:
                self.places[subject.partition("#")[0], row.data["mail"]] += 1
                self.named.append((row.data["mail"], written))
            case "SAME" | "OUT":
                (self.same if kind == "SAME" else self.out)[row.data["mail"]] += 1
                self.named.append((row.data["mail"], written))

    def _chain(self, key: str, chain: Chain) -> None:
        """A chain lives longer than its oldest links' mails."""
        self.chains[key] = chain
        self.named += [(link.mail, datetime.fromisoformat(link.order)) for link in chain.links]

    def _review(self, mail: str, row: Row, written: datetime) -> None:
        """A job of no mail may be reviewed; a mail that was set aside has its row."""
        item = review_of_row(row)
        self.reviews[mail][row.sk] = item
        if item.reason in _SET_ASIDE:
            self.set_aside.append((mail, written))

    def held(self, mail: MailRecord, stored: frozenset[str]) -> Held:
        """All of one mail."""
        documents = tuple(self.documents.get(mail.mail, ()))
        keys = {each.chain for each in documents}
        return Held(
            mail=mail,
            documents=documents,
            reviews=self.reviews.get(mail.mail, {}),
            chains={key: self.chains[key] for key in keys if key in self.chains},
            stored=stored,
        )

    @property
    def all_documents(self) -> Iterator[DocumentRecord]:
        """Of all mails."""
        for documents in self.documents.values():
            yield from documents

    @property
    def open_reviews(self) -> int:
        """Items that wait for a person."""
        items = (item for items in self.reviews.values() for item in items.values())
        return sum(item.waits for item in items)

    def known(self) -> frozenset[str]:
        """Digests under which a mail of the ledger may be spoken of: its own, its bytes'."""
        return frozenset(seal for mail in self.mails.values() for seal in seals_of(mail))


def held_now(
    ledger: Ledger, mail: str, stored_of: Callable[[MailRecord], frozenset[str]]
) -> Held | None:
    """All of one mail, read afresh and consistently: one call, one more for each chain."""
    known = ledger.mail(mail)
    if known is None:
        return None
    stored = stored_of(known.record)
    documents = tuple(each.record for each in ledger.documents(mail))
    chains = {each.chain: ledger.chain(each.chain) for each in documents}
    needs_reviews = (
        known.record.review
        or known.record.reviewed
        or len(documents) != known.record.documents
        or known.record.dossier_key not in stored
        or any(each.reason for each in documents)
    )
    reviews = ledger.reviews(mail) if needs_reviews else ()
    return Held(
        mail=known.record,
        documents=documents,
        reviews={review_key(each): each for each in reviews},
        chains={key: each.record for key, each in chains.items() if each.revision is not None},
        stored=stored,
    )
