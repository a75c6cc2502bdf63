"""`pfi prove`: nothing lost, nothing twice, on an installed stack (design §6.1-2).

Everything is read once; what does not close then is read again, for mails move meanwhile. Only
what is wrong both times is a fault.
"""

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from botocore.exceptions import ClientError

from infra.local.dpi_store import accepted
from infra.operations.account import Stack, fault_code
from infra.operations.configuration import installed_settings
from infra.operations.flight import messages_in, scanned
from infra.operations.journal import utc_now
from infra.operations.proof_wording import sentences
from pfi.adapters.dynamodb import DynamoTable, row_of
from pfi.journey.accounts import (
    GRACE,
    Fault,
    Folder,
    Received,
    Terms,
    Unnamed,
    counted,
    faults_at_the_dpi,
    faults_of,
    faults_of_folder,
    faults_of_objects,
    faults_of_places,
    faults_of_recognition,
    faults_of_references,
    seals_of,
)
from pfi.journey.holdings import Book, held_now
from pfi.journey.keys import DOCUMENTS, INCOMING, digest, folder_of, owner_of
from pfi.journey.ledger import Ledger
from pfi.journey.records import MailRecord
from pfi.journey.stuck import longest_waits, stuck
from pfi.names import Step

QUEUED: Final = (Step.PARSE, Step.MATCH, Step.PUSH, Step.FORWARD)
PAUSE_S: Final = 20.0
"""Until the second look: SQS counts are up to a minute late, and rarely that."""
MOST_AGAIN: Final = 1000
"""Mails looked at twice; where more are wrong, it is no matter of a moment."""


@dataclass(frozen=True, slots=True)
class Proof:
    """The equation with its counts, and what does not close. Digests and codes only."""

    at: datetime
    places: Mapping[str, Mapping[str, int]]
    """Mails by mailbox and place."""
    queued: Mapping[str, int]
    open_reviews: int
    unread: int = 0
    """Objects of the store that are in review without ever having become a mail."""
    folders: Mapping[str, int] = field(default_factory=dict)
    """Processed mails seen in each mailbox; a mailbox that was not looked at is not here."""
    accepted: int | None = None
    """Messages that the simulated DPI holds; None where there is none to look at."""
    faults: tuple[Fault, ...] = ()

    @property
    def closes(self) -> bool:
        """True when every mail is in exactly one place."""
        return not self.faults

    @property
    def mails(self) -> int:
        """All mails of the ledger."""
        return sum(sum(each.values()) for each in self.places.values())

    def sentences(self) -> Iterator[str]:
        """The equation, then each fault, in French."""
        return sentences(self)


def proof_of(
    stack: Stack,
    *,
    grace: timedelta = GRACE,
    dpi_inbox: Path | None = None,
    folders: Iterable[Folder] = (),
    pause_s: float = PAUSE_S,
    now: Callable[[], datetime] = utc_now,
) -> Proof:
    """Read the installation and prove it. `dpi_inbox` is the folder of a simulated DPI, `folders`
    what was seen in the mailboxes."""
    settings = installed_settings(stack)
    table = DynamoTable(stack.client("dynamodb"), stack.output("LedgerTable"))
    inspection = _Inspection(
        stack,
        Ledger(table, now, settings.ledger_days),
        Terms(
            now=now(),
            grace=grace,
            body_days=body_days(stack),
            ledger_days=settings.ledger_days,
            longest=longest_waits(settings),
        ),
        tuple(folders),
        dpi_inbox,
    )
    first = inspection.proof()
    if first.closes:
        return first
    time.sleep(pause_s)
    return inspection.again(first)


def inbox_of(folder: Path | None) -> tuple[Received, ...] | None:
    """What a simulated DPI holds as accepted."""
    if folder is None:
        return None
    return tuple(Received(each.control_id, each.message_sha256) for each in accepted(folder))


def body_days(stack: Stack) -> int | None:
    """How long the bucket keeps mails, as it says itself; None when they never expire."""
    try:
        found = stack.client("s3").get_bucket_lifecycle_configuration(
            Bucket=stack.output("BucketName")
        )
    except ClientError as fault:
        if fault_code(fault) == "NoSuchLifecycleConfiguration":
            return None
        raise
    days = [
        int(rule["Expiration"]["Days"])
        for rule in found["Rules"]
        if rule["ID"] in ("mails", "documents") and "Days" in rule.get("Expiration", {})
    ]
    return min(days, default=None)


@dataclass(frozen=True, slots=True)
class _Inspection:
    """One reading of everything, compared."""

    stack: Stack
    ledger: Ledger
    terms: Terms
    folders: tuple[Folder, ...]
    dpi_inbox: Path | None

    def proof(self) -> Proof:
        """Store first: what is stored later has no fault to be found without its row."""
        objects = self._objects()
        book = self._book()
        unnamed = tuple(self._unnamed(objects, book))
        queued = messages_in(self.stack, QUEUED)
        inbox = inbox_of(self.dpi_inbox)
        faults = [*self._faults(objects, book, unnamed, queued)]
        faults += faults_at_the_dpi(book.all_documents, inbox) if inbox is not None else []
        return Proof(
            at=self.terms.now,
            places=counted(book.mails.values()),
            queued={step.value: count for step, count in queued.items()},
            open_reviews=book.open_reviews,
            unread=sum(each.reviewed for each in unnamed),
            folders={each.mailbox: each.processed.total() for each in self.folders},
            accepted=None if inbox is None else len(inbox),
            faults=tuple(dict.fromkeys(faults)),
        )

    def again(self, first: Proof) -> Proof:
        """The proof with those faults only that a second reading finds too."""
        second = self.proof()
        still = [each for each in second.faults if each in first.faults]
        subjects = list(dict.fromkeys(each.subject for each in still))
        if len(subjects) > MOST_AGAIN:
            return second
        gone = {each for each in subjects if not self._still(each, still)}
        faults = tuple(each for each in still if each.subject not in gone)
        return Proof(
            **{name: getattr(second, name) for name in Proof.__slots__ if name != "faults"},
            faults=faults,
        )

    def _still(self, subject: str, faults: Iterable[Fault]) -> bool:
        """A scan sees rows of one mail at different moments: read together they may agree."""
        own = {each for each in faults if each.subject == subject and each.doubt in _OF_ONE_MAIL}
        if not own:
            return True
        held = held_now(self.ledger, subject, self._stored)
        return held is None or bool(own & set(faults_of(held, self.terms)))

    def _stored(self, mail: MailRecord) -> frozenset[str]:
        """What the store holds of a mail now."""
        return frozenset({*self._listed(mail.key), *self._listed(folder_of(mail.dossier_key))})

    def _faults(
        self,
        objects: Mapping[str, datetime],
        book: Book,
        unnamed: tuple[Unnamed, ...],
        queued: Mapping[Step, int],
    ) -> Iterator[Fault]:
        mails, terms = book.mails.values(), self.terms
        folders = _by_folder(objects)
        for mail in mails:
            own = folders.get(folder_of(mail.dossier_key), frozenset())
            stored = own | ({mail.key} & objects.keys())
            yield from faults_of(book.held(mail, stored), terms)
        yield from stuck(mails, queued, terms, lambda mail: book.documents.get(mail, ()))
        yield from faults_of_objects(unnamed, terms)
        # A review item may be about bytes that never became a mail; no other row is.
        known, read = book.known(), {each.content for each in unnamed if isinstance(each, _Read)}
        yield from faults_of_references(book.named, known, terms)
        yield from faults_of_references(book.set_aside, known | read, terms)
        yield from faults_of_places(mails, book.places, terms)
        yield from faults_of_recognition(mails, book.same, book.out, terms)
        for folder in self.folders:
            yield from faults_of_folder(folder, mails)

    def _book(self) -> Book:
        book = Book()
        options = {"ConsistentRead": True}
        for item in scanned(self.stack, self.stack.output("LedgerTable"), options):
            book.enter(row_of(item), self._written(item))
        return book

    def _written(self, item: Mapping[str, Any]) -> datetime:
        """A row expires a known time after it was written."""
        if "expires_at" not in item:
            return self.terms.now
        expires = datetime.fromtimestamp(int(item["expires_at"]["N"]), UTC)
        return expires - timedelta(days=self.terms.ledger_days)

    def _objects(self) -> dict[str, datetime]:
        return {**self._listed(INCOMING), **self._listed(DOCUMENTS)}

    def _listed(self, prefix: str) -> dict[str, datetime]:
        """Keys and when each was stored."""
        if not prefix:
            return {}
        pages = self.stack.client("s3").get_paginator("list_objects_v2")
        bucket = self.stack.output("BucketName")
        return {
            each["Key"]: each["LastModified"]
            for page in pages.paginate(Bucket=bucket, Prefix=prefix)
            for each in page.get("Contents", ())
        }

    def _unnamed(self, objects: Mapping[str, datetime], book: Book) -> Iterator["Unnamed"]:
        """Objects that no row names. Of another producer's names the content decides."""
        keys = {mail.key for mail in book.mails.values()}
        sealed = {(mail.mailbox, seal) for mail in book.mails.values() for seal in seals_of(mail)}
        for key, at in objects.items():
            arrived = key.startswith(INCOMING) and key.endswith(".eml")
            if arrived and key not in keys and _named(key) not in sealed:
                yield from self._stranger(key, at, book)
        for folder, read in _by_folder(objects).items():
            seal, mailbox = owner_of(folder)
            if (mailbox, seal) in sealed or (not mailbox and seal in book.mails):
                continue
            another = mailbox and seal in book.mails  # that came to another mailbox
            mail = _second(mailbox, seal) if another else seal
            yield Unnamed(mail, max(objects[key] for key in read), reviewed=mail in book.reviews)

    def _stranger(self, key: str, at: datetime, book: Book) -> Iterator["Unnamed"]:
        content = self._sha256(key)
        mailbox, name = _named(key)
        identities = content, _second(mailbox, content)
        owners = [book.mails.get(each) for each in identities]
        if any(each and each.mailbox == mailbox for each in owners):
            return
        told = {hashlib.sha256(key.encode()).hexdigest(), name, *identities}
        yield _Read(content, at, reviewed=bool(told & book.reviews.keys()), content=content)

    def _sha256(self, key: str) -> str:
        bucket = self.stack.output("BucketName")
        body = self.stack.client("s3").get_object(Bucket=bucket, Key=key)["Body"]
        return hashlib.sha256(body.read()).hexdigest()


@dataclass(frozen=True, slots=True)
class _Read(Unnamed):
    """An object whose bytes were read to know it."""

    content: str = ""


_OF_ONE_MAIL: Final = frozenset(
    {
        "body_missing",
        "dossier_missing",
        "content_missing",
        "document_missing",
        "chain_missing",
        "chain_differs",
        "review_missing",
        "two_places",
    }
)


def _named(key: str) -> tuple[str, str]:
    """Mailbox and name of an object that arrived."""
    parts = key.split("/")
    return (parts[1] if len(parts) > 2 else "", parts[-1].removesuffix(".eml"))


def _second(mailbox: str, seal: str) -> str:
    """The mail of bytes that came to another mailbox before (`Ledger.mail_of`)."""
    return digest("mail", mailbox, seal)


def _by_folder(objects: Iterable[str]) -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for key in objects:
        if key.startswith(DOCUMENTS):
            found.setdefault(folder_of(key), set()).add(key)
    return {folder: frozenset(keys) for folder, keys in found.items()}
