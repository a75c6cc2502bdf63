"""The account of an installation: every mail is in exactly one place (design §6.1-2).

Pure: readers bring what ledger, store, queues, mailboxes and DPI hold; here it is compared. Mails
move while they are counted: what is younger than the grace is never a fault, and a mail under way
is one only when no queue can hold its job.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from pfi.journey.chains import Chain, holder_of
from pfi.journey.keys import document_key, folder_of, owner_of
from pfi.journey.records import DocumentRecord, MailRecord, MailState, ReviewItem
from pfi.names import Integration, Leg, Route, Step

GRACE: Final = timedelta(minutes=15)
"""What is younger may still be between two writes."""
MARGIN: Final = timedelta(days=2)
"""Rows and bodies this near to their expiry may go one after the other; and so long may a mail stay
under way beyond the waits of the settings."""


class Doubt(StrEnum):
    """What does not close."""

    BODY_MISSING = "body_missing"
    DOSSIER_MISSING = "dossier_missing"
    CONTENT_MISSING = "content_missing"
    MAIL_MISSING = "mail_missing"
    DOCUMENT_MISSING = "document_missing"
    CHAIN_MISSING = "chain_missing"
    CHAIN_DIFFERS = "chain_differs"
    REVIEW_MISSING = "review_missing"
    STUCK = "stuck"
    COPIES_DIFFER = "copies_differ"
    TWO_PLACES = "two_places"
    ACCEPTED_TWICE = "accepted_twice"
    NOT_ACCEPTED = "not_accepted"
    ACCEPTED_UNKNOWN = "accepted_unknown"
    NOT_COLLECTED = "not_collected"
    CLAIM_MISSING = "claim_missing"
    SENT_MISSING = "sent_missing"


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that does not close: a digest, a document number, how many."""

    doubt: Doubt
    subject: str
    document: int | None = None
    count: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """When it is, and what may be gone already. `body_days` None: bodies never expire."""

    now: datetime
    grace: timedelta = GRACE
    body_days: int | None = None
    ledger_days: int = 400
    longest: Mapping[MailState, timedelta] = field(default_factory=dict)
    """No job comes back for as long: after this, a mail in this state is lost whatever the queues
    hold."""

    def settled_down(self, at: datetime) -> bool:
        """So old that every write about it has been made."""
        return self.now - at > self.grace

    def keeps_rows(self, at: datetime) -> bool:
        """What was written then is still in the ledger."""
        return self.now - at < timedelta(days=self.ledger_days) - MARGIN

    def keeps_bodies(self, at: datetime) -> bool:
        """What was stored then is still in the store."""
        return self.body_days is None or self.now - at < timedelta(days=self.body_days)


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What the ledger and the store hold of one mail.

    `reviews` by the sort key of their rows; `chains` by their key, as far as they exist; `stored`
    the keys of the store that are about this mail.
    """

    mail: MailRecord
    documents: tuple[DocumentRecord, ...] = ()
    reviews: Mapping[str, ReviewItem] = field(default_factory=dict)
    chains: Mapping[str, Chain] = field(default_factory=dict)
    stored: frozenset[str] = frozenset()


def place_of(mail: MailRecord) -> str:
    """The one place of a mail: its route once settled, else in review, else under way."""
    if mail.state is MailState.SETTLED:
        return mail.route.value if mail.route else IN_FLIGHT
    return Route.REVIEW.value if mail.review else IN_FLIGHT


IN_FLIGHT: Final = "in_flight"


def seals_of(mail: MailRecord) -> frozenset[str]:
    """Digests that its bytes may have: its own, or, when the same bytes came to another mailbox
    before, that under which `collect` stored them, and `parse` what it read of them."""
    name = mail.key.rpartition("/")[2].removesuffix(".eml")
    seal, _ = owner_of(folder_of(mail.dossier_key))
    return frozenset({mail.mail, name, seal})


def counted(mails: Iterable[MailRecord]) -> dict[str, Counter[str]]:
    """Mails by mailbox and place."""
    found: dict[str, Counter[str]] = {}
    for mail in mails:
        found.setdefault(mail.mailbox, Counter())[place_of(mail)] += 1
    return found


def documents_beside(mail: MailRecord) -> dict[int, str]:
    """Keys of its documents by number, as far as they are objects of their own: a single one lies
    within the dossier, unless version 0.2 stored it."""
    _, mailbox = owner_of(folder_of(mail.dossier_key))
    if mailbox and mail.documents == 1:
        return {}
    return {n: document_key(mail.dossier_key, n) for n in range(1, mail.documents + 1)}


def faults_of(held: Held, terms: Terms) -> Iterator[Fault]:
    """What does not close about one mail of the ledger."""
    mail = held.mail
    if not (terms.settled_down(mail.received_at) and terms.keeps_rows(mail.received_at)):
        return
    if mail.state is MailState.SETTLED and mail.route is None:
        yield Fault(Doubt.TWO_PLACES, mail.mail)
    if terms.keeps_bodies(mail.received_at):
        yield from bodies_missing(held)
    yield from _documents(held)
    yield from _chains(held)
    yield from _reviews(held)


def bodies_missing(held: Held) -> Iterator[Fault]:
    """What the store should hold. A mail set aside in its mailbox has no body here."""
    mail = held.mail
    if mail.key and mail.key not in held.stored:
        yield Fault(Doubt.BODY_MISSING, mail.mail)
    if not _was_read(held):
        return
    if mail.dossier_key not in held.stored:
        yield Fault(Doubt.DOSSIER_MISSING, mail.mail)
    for number, key in documents_beside(mail).items():
        if key not in held.stored:
            yield Fault(Doubt.CONTENT_MISSING, mail.mail, number)


def _was_read(held: Held) -> bool:
    """Whether parse stored what it learnt: not of a mail that it filed or quarantined."""
    mail = held.mail
    if mail.documents or mail.state in (MailState.READ, MailState.DECIDED):
        return True
    if mail.state is MailState.RECEIVED or mail.route in (Route.FILED, Route.DUPLICATE):
        return False
    told = {*held.reviews, *mail.reviewed}
    ended_unread = any(each.startswith(f"{Step.PARSE.value}#") for each in told)
    return not (mail.route is Route.REVIEW and ended_unread) and bool(mail.key)


def _documents(held: Held) -> Iterator[Fault]:
    """Decided means one row per document; a person may have closed the mail before."""
    mail = held.mail
    known = {each.number for each in held.documents}
    decided = mail.state in (MailState.DECIDED, MailState.SETTLED)
    closed = not known and any(
        each.step == Step.MATCH.value and each.status == "closed" for each in held.reviews.values()
    )
    if decided and not closed:
        for number in sorted(set(range(1, mail.documents + 1)) - known):
            yield Fault(Doubt.DOCUMENT_MISSING, mail.mail, number)


def _chains(held: Held) -> Iterator[Fault]:
    """Each document stands in its chain; once the mail is settled, in the same state."""
    for document in held.documents:
        chain = held.chains.get(document.chain)
        link = chain.link(holder_of(document.mail, document.number)) if chain else None
        if link is None:
            yield Fault(Doubt.CHAIN_MISSING, document.mail, document.number)
        elif held.mail.state is MailState.SETTLED and link.integration != document.integration:
            yield Fault(Doubt.CHAIN_DIFFERS, document.mail, document.number)


def _reviews(held: Held) -> Iterator[Fault]:
    """The mail remembers each of its review items; a lost answer of the DPI always has one."""
    mail = held.mail
    lost = [sk for sk in mail.reviewed if sk not in held.reviews]
    unknown = any(each.integration is Integration.UNKNOWN for each in held.documents)
    marked = mail.review or (unknown and mail.state is MailState.SETTLED)
    if lost or (marked and not held.reviews):
        yield Fault(Doubt.REVIEW_MISSING, mail.mail, count=max(1, len(lost)))


@dataclass(frozen=True, slots=True)
class Received:
    """One message that a DPI holds as accepted."""

    control_id: str
    message_sha256: str


def faults_at_the_dpi(
    documents: Iterable[DocumentRecord], inbox: Iterable[Received]
) -> Iterator[Fault]:
    """Accepted at most once, and what the ledger calls integrated is there (design §6.2).

    A document whose answer was lost may be there or not: its review item says so.
    """
    sent = {each.control_id: each for each in documents if each.control_id}
    times = Counter(each.control_id for each in inbox)
    for control_id, count in times.items():
        document = sent.get(control_id)
        if document is None:
            yield Fault(Doubt.ACCEPTED_UNKNOWN, control_id, count=count)
        elif count > 1:
            yield Fault(Doubt.ACCEPTED_TWICE, document.mail, document.number, count)
        elif document.integration in (Integration.REFUSED, Integration.NOT_OWED):
            yield Fault(Doubt.CHAIN_DIFFERS, document.mail, document.number)
    for document in sent.values():
        integrated = document.integration is Integration.INTEGRATED and not document.repeated
        if integrated and document.control_id not in times:
            yield Fault(Doubt.NOT_ACCEPTED, document.mail, document.number)


@dataclass(frozen=True, slots=True)
class Unnamed:
    """An object of the store that no row of a mail names."""

    subject: str
    stored_at: datetime
    reviewed: bool = False


def faults_of_objects(objects: Iterable[Unnamed], terms: Terms) -> Iterator[Fault]:
    """Bytes without a mail in the ledger: lost, unless a person was told of them."""
    for each in objects:
        old = terms.settled_down(each.stored_at) and terms.keeps_rows(each.stored_at)
        if old and not each.reviewed:
            yield Fault(Doubt.MAIL_MISSING, each.subject)


def faults_of_references(
    named: Iterable[tuple[str, datetime]], known: frozenset[str], terms: Terms
) -> Iterator[Fault]:
    """Rows that speak of a mail which the ledger does not know."""
    missing = {
        mail
        for mail, written in named
        if mail not in known and terms.settled_down(written) and terms.keeps_rows(written)
    }
    yield from (Fault(Doubt.MAIL_MISSING, mail) for mail in sorted(missing))


def faults_of_places(
    mails: Iterable[MailRecord], places: Mapping[tuple[str, str], int], terms: Terms
) -> Iterator[Fault]:
    """A mail was collected as often as places of its mailbox name its bytes: one transaction."""
    for mail in mails:
        if not (terms.settled_down(mail.received_at) and terms.keeps_rows(mail.received_at)):
            continue
        seen = sum(places.get((mail.mailbox, seal), 0) for seal in seals_of(mail))
        if seen != mail.copies:
            yield Fault(Doubt.COPIES_DIFFER, mail.mail, count=mail.copies)


def faults_of_recognition(
    mails: Iterable[MailRecord], same: Mapping[str, int], out: Mapping[str, int], terms: Terms
) -> Iterator[Fault]:
    """The rows by which a second delivery and a bounce are recognised; `same` and `out` count those
    that name a mail. Whoever was read with an archive and a Message-ID claimed both, unless another
    did before; what left bears a Message-ID that was noted first."""
    for mail in mails:
        if not (terms.settled_down(mail.received_at) and terms.keeps_rows(mail.received_at)):
            continue
        archive = mail.sent is not None and mail.sent.archive
        claims = bool(archive and mail.message and mail.route is not Route.DUPLICATE)
        if claims and not same.get(mail.mail):
            yield Fault(Doubt.CLAIM_MISSING, mail.mail)
        left = (mail.forward, mail.answer).count(Leg.SENT)
        if out.get(mail.mail, 0) < left:
            yield Fault(Doubt.SENT_MISSING, mail.mail)


@dataclass(frozen=True, slots=True)
class Folder:
    """What a mailbox holds: digests of the processed folder, and how many wait in INBOX for
    longer than the grace."""

    mailbox: str
    processed: Counter[str]
    overdue: int = 0


def faults_of_folder(folder: Folder, mails: Iterable[MailRecord]) -> Iterator[Fault]:
    """Each mail of the processed folder was collected as often as it lies there; the operator or
    a person may have emptied the folder, so fewer is no fault."""
    own = [mail for mail in mails if mail.mailbox == folder.mailbox]
    copies = {seal: mail.copies for mail in own for seal in seals_of(mail)}
    for seal, count in folder.processed.items():
        if seal not in copies:
            yield Fault(Doubt.MAIL_MISSING, seal, count=count)
        elif count > copies[seal]:
            yield Fault(Doubt.COPIES_DIFFER, seal, count=count)
    if folder.overdue:
        yield Fault(Doubt.NOT_COLLECTED, folder.mailbox, count=folder.overdue)
