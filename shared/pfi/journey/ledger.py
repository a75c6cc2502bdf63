"""The ledger: the one truth about where every mail and document is.

Rows carry revisions; every change is compare-and-set, so a job delivered twice, or two workers
at once, cannot both advance a state. Nothing is ever "put if absent, then sent": a repeated job
whose state has already advanced sends its downstream message again (design §1).

Partitions: ``MAIL#<digest>`` (the mail and its documents), ``CHAIN#<digest>`` (every mail that
carries one document identifier), ``PLACE#<mailbox>#<digest>`` (what was seen in the account),
``SAME#<digest>`` (Message-ID + archive), ``OUT#<digest>`` (mails that we sent),
``FORWARDS#<digest>`` (which mails brought one archive to the fallback mailbox), ``REVIEW#…``.
Keys are digests, numbers and configured ids.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cache
from typing import Any, Final, Generic, TypeVar

from pydantic import TypeAdapter

from pfi.journey.chains import Chain
from pfi.journey.keys import digest
from pfi.journey.ports import Change, Put, Row, Table
from pfi.journey.records import DocumentRecord, MailRecord, MailState, ReviewItem

T = TypeVar("T")

OPEN_REVIEWS: Final = "REVIEW#open"
"""Index partition of the items that wait for a person, oldest first."""
FORWARDS: Final = 3
"""How many mails with one archive go from one mailbox to its fallback; the next one is thought a
loop."""
FORWARDS_DAYS: Final = 7
"""Within so long: a round may take as long as a DPI is waited for (`dpis[].hold_s`)."""


@dataclass(frozen=True, slots=True)
class Versioned(Generic[T]):
    """A record with the revision that a later write must still find."""

    record: T
    revision: int | None


@dataclass(frozen=True, slots=True)
class Place:
    """What is known of one mail in its mailbox: how often tried, and the digest once committed;
    `aside`: the digest of one that was set aside, which its mailbox has not let go yet."""

    tries: int = 0
    mail: str | None = None
    aside: str | None = None

    @property
    def dealt_with(self) -> bool:
        """It has only to be moved."""
        return self.mail is not None or self.aside is not None


@dataclass(frozen=True, slots=True)
class InHand:
    """What a push needs to know."""

    mail: Versioned[MailRecord] | None
    document: Versioned[DocumentRecord] | None
    chains: Mapping[str, Versioned[Chain]]


class Lease(StrEnum):
    """A mailbox for a while: taken, or busy in the hands of another collector. `ANEW`: the poll
    before this one did not come to a good end."""

    TAKEN = "taken"
    ANEW = "anew"
    BUSY = "busy"


@dataclass(frozen=True, slots=True)
class Ledger:
    """Named operations over the `Table` port. Rows expire `days` after they are written."""

    table: Table
    now: Callable[[], datetime]
    days: int = 400

    # mails

    def mail(self, mail: str) -> Versioned[MailRecord] | None:
        """The mail of that digest."""
        row = self.table.get(f"MAIL#{mail}", "MAIL")
        return None if row is None else Versioned(mail_of_row(row), row.revision)

    def mail_of(self, mailbox: str, seal: str) -> tuple[str, Versioned[MailRecord] | None]:
        """The identity, and the row, of the mail with these bytes (SHA-256) in this mailbox.

        The same bytes in the mailboxes of two establishments are two mails: the second one gets a
        digest of its own.
        """
        known = self.mail(seal)
        if known is None or known.record.mailbox == mailbox:
            return seal, known
        mail = digest("mail", mailbox, seal)
        return mail, self.mail(mail)

    def mail_put(self, record: MailRecord, revision: int | None) -> Put:
        """The write of a mail, to be combined with others."""
        data = _mails().dump_python(record, mode="json")
        put = self._put(f"MAIL#{record.mail}", "MAIL", data, revision)
        return replace(put, index=index_of(record))

    def save_mail(self, known: Versioned[MailRecord], **changes: Any) -> bool:
        """Change a mail; False when somebody else changed it since it was read."""
        return self.write(self.mail_put(replace(known.record, **changes), known.revision))

    def mail_change(self, record: MailRecord, was: MailState, *fields: str) -> Change:
        """The write of these fields of a mail that is in that state still, and stands in no other
        chains, to be combined with others. It needs no look at the row; that of another mailbox is
        left alone."""
        data = _mails().dump_python(record, mode="json")
        found = {"state": was.value, "mailbox": record.mailbox, "chains": data["chains"]}
        return Change(f"MAIL#{record.mail}", "MAIL", found, {name: data[name] for name in fields})

    def write(self, *writes: Put | Change) -> bool:
        """All or nothing."""
        return self.table.write(*writes)

    # documents

    def in_hand(self, mail: str, number: int, chains: tuple[str, ...]) -> "InHand":
        """A mail, one of its documents and these chains, in one call."""
        own = (f"MAIL#{mail}", "MAIL"), (f"MAIL#{mail}", _document_key(number))
        keys = ((f"CHAIN#{each}", "CHAIN") for each in chains)
        found, document, *links = self.table.get_all(*own, *keys)
        return InHand(
            None if found is None else Versioned(mail_of_row(found), found.revision),
            None if document is None else _versioned_document(document),
            {key: _versioned_chain(row) for key, row in zip(chains, links, strict=True)},
        )

    def documents(self, mail: str) -> tuple[Versioned[DocumentRecord], ...]:
        """All documents of a mail, in order."""
        rows = self.table.partition(f"MAIL#{mail}", "DOC#")
        return tuple(_versioned_document(row) for row in rows)

    def document(self, mail: str, number: int) -> Versioned[DocumentRecord] | None:
        """One document of a mail."""
        row = self.table.get(f"MAIL#{mail}", _document_key(number))
        return None if row is None else _versioned_document(row)

    def document_put(self, record: DocumentRecord, revision: int | None) -> Put:
        """The write of a document, to be combined with others."""
        data = _documents().dump_python(record, mode="json")
        return self._put(f"MAIL#{record.mail}", _document_key(record.number), data, revision)

    # chains: one document identifier, all mails that carry it

    def chain(self, key: str) -> Versioned[Chain]:
        """The chain of a document identifier, empty when never seen."""
        return _versioned_chain(self.table.get(f"CHAIN#{key}", "CHAIN"))

    def chain_put(self, key: str, chain: Chain, revision: int | None) -> Put:
        """The write of a chain."""
        return self._put(
            f"CHAIN#{key}", "CHAIN", _chains().dump_python(chain, mode="json"), revision
        )

    def change_chain(self, key: str, change: Callable[[Chain], Chain]) -> Chain:
        """Compare-and-set until it succeeds; a pure change may be computed again. The chain as it
        is then."""
        while True:
            known = self.chain(key)
            changed = change(known.record)
            if changed == known.record:
                return changed
            if self.write(self.chain_put(key, changed, known.revision)):
                return changed

    # mailbox places and leases (mail-edge §4.1)

    def place(self, key: tuple[str, str]) -> Versioned[Place]:
        """What is known of one place (`keys.place_key`)."""
        return _versioned_place(self.table.get(*key))

    def places(self, keys: Iterable[tuple[str, str]]) -> Iterator[Versioned[Place]]:
        """What is known of some places, at most 100, in one call."""
        yield from map(_versioned_place, self.table.get_all(*keys))

    def place_put(self, key: tuple[str, str], place: Place, revision: int | None) -> Put:
        """The write of a place."""
        data = {"tries": place.tries, "mail": place.mail}
        data |= {"aside": place.aside} if place.aside is not None else {}
        return self._put(*key, data, revision)

    def lease(self, mailbox: str, owner: str, seconds: float) -> Lease:
        """Take the mailbox for a while. Of a poll that died no row says that it ended well."""
        row = self.table.get(f"LEASE#{mailbox}", "LEASE")
        now = self.now()
        if row is not None and datetime.fromisoformat(row.data["until"]) > now:
            return Lease.BUSY
        until = (now + timedelta(seconds=seconds)).isoformat()
        polled = row.data["polled_at"] if row is not None else now.isoformat()
        data = {"owner": owner, "until": until, "polled_at": polled}
        if not self.write(self._put(f"LEASE#{mailbox}", "LEASE", data, _revision(row))):
            return Lease.BUSY
        return Lease.TAKEN if row is None or row.data.get("well") else Lease.ANEW

    def release(self, mailbox: str, owner: str, *, polled: bool, well: bool) -> None:
        """Give the mailbox back, if it is still ours, and note a complete poll; `well`: each mail
        that it took was filed too."""
        row = self.table.get(f"LEASE#{mailbox}", "LEASE")
        if row is not None and row.data["owner"] == owner:
            now = self.now().isoformat()
            data = {**row.data, "until": now, "well": well} | ({"polled_at": now} if polled else {})
            self.write(self._put(f"LEASE#{mailbox}", "LEASE", data, row.revision))

    def poll_age(self, mailbox: str) -> float:
        """Seconds since the last complete poll; 0 for a mailbox never tried."""
        row = self.table.get(f"LEASE#{mailbox}", "LEASE")
        if row is None:
            return 0.0
        return (self.now() - datetime.fromisoformat(row.data["polled_at"])).total_seconds()

    # the pace of a DPI that takes one message at a time (docs/decisions/0018)

    def free_at(self, dpi: str) -> Versioned[datetime | None]:
        """From when on the DPI may be spoken to; None when nobody ever did."""
        row = self.table.get(f"PACE#{dpi}", "PACE")
        if row is None:
            return Versioned(None, None)
        return Versioned(datetime.fromisoformat(row.data["free_at"]), row.revision)

    def free_at_put(self, dpi: str, free_at: datetime, revision: int | None) -> Put:
        """The write of that moment."""
        return self._put(f"PACE#{dpi}", "PACE", {"free_at": free_at.isoformat()}, revision)

    # the same mail under another wrapping; mails that we sent

    def claim(self, same: str, mail: str) -> str:
        """The mail that first carried this Message-ID and archive: `mail`, if none did before."""
        if self.write(self.claim_put(same, mail)):
            return mail
        row = self.table.get(f"SAME#{same}", "SAME")
        return mail if row is None else str(row.data["mail"])

    def claim_put(self, same: str, mail: str) -> Put:
        """The write of that claim, to be combined with others."""
        return self._put(f"SAME#{same}", "SAME", {"mail": mail}, None)

    def sent_by_us(self, message_id: str) -> str | None:
        """The mail for which we sent this Message-ID, None when it is not ours."""
        row = self.table.get(f"OUT#{digest(message_id)}", "OUT")
        return None if row is None else str(row.data["mail"])

    def remember_sent(self, message_id: str, mail: str) -> None:
        """Note an outgoing Message-ID before it leaves, so that a bounce finds its mail."""
        self.write(self._put(f"OUT#{digest(message_id)}", "OUT", {"mail": mail}, None))

    def count_notice(self, address: str) -> int:
        """How many failure notices this address was sent in this hour, this one included."""
        hour = self.now().strftime("%Y%m%d%H")
        pk = f"NOTICES#{digest(address.lower())}"
        while True:
            row = self.table.get(pk, hour)
            count = 1 + (row.data["count"] if row is not None else 0)
            if self.write(self._put(pk, hour, {"count": count}, _revision(row))):
                return int(count)

    def may_forward(self, mail: str, mailbox: str, archive: str, address: str) -> bool:
        """False when as many other mails as `FORWARDS` brought this archive from this mailbox to
        this address within `FORWARDS_DAYS`. A mail counts once, however often it is tried."""
        way = digest("forward", mailbox, archive, address.lower())
        pk, now = f"FORWARDS#{way}", self.now()
        since = now - timedelta(days=FORWARDS_DAYS)
        while True:
            row = self.table.get(pk, "FORWARDS")
            told = row.data["mails"].items() if row is not None else ()
            mails = {each: at for each, at in told if datetime.fromisoformat(at) > since}
            if mail in mails or len(mails) >= FORWARDS:
                return mail in mails
            data = {"mails": {**mails, mail: now.isoformat()}}
            if self.write(self._put(pk, "FORWARDS", data, _revision(row))):
                return True

    # review

    def record_review(self, item: ReviewItem) -> bool:
        """Record a job for review once; False when it is already open. A person's act on the same
        item may come between."""
        pk, key = f"REVIEW#{item.mail}", review_key(item)
        data = _reviews().dump_python(item, mode="json")
        index = (OPEN_REVIEWS, f"{item.recorded_at.isoformat()}#{item.mail}")
        while (row := self.table.get(pk, key)) is None or row.data["status"] != "open":
            put = self._put(pk, key, data, _revision(row))
            if self.write(replace(put, index=index)):
                return True
        return False

    def reviews(self, mail: str) -> tuple[ReviewItem, ...]:
        """Review items of one mail."""
        rows = self.table.partition(f"REVIEW#{mail}")
        return tuple(review_of_row(row) for row in rows)

    def _put(self, pk: str, sk: str, data: Any, revision: int | None) -> Put:
        return Put(pk, sk, data, revision, self.now() + timedelta(days=self.days))


@cache
def _mails() -> TypeAdapter[MailRecord]:
    return TypeAdapter(MailRecord)


@cache
def _documents() -> TypeAdapter[DocumentRecord]:
    return TypeAdapter(DocumentRecord)


@cache
def _chains() -> TypeAdapter[Chain]:
    return TypeAdapter(Chain)


@cache
def _reviews() -> TypeAdapter[ReviewItem]:
    return TypeAdapter(ReviewItem)


def index_of(mail: MailRecord) -> tuple[str, str] | None:
    """Where the index lists a mail: among those under way, spread over sixteen partitions, and
    under its Message-ID once it is settled. It costs no call of its own."""
    place = f"{mail.received_at.isoformat()}#{mail.mail}"
    if mail.state is not MailState.SETTLED:
        return under_way(mail.mail[0]), place
    return (message_index(mail.message), place) if mail.message else None


def under_way(digit: str) -> str:
    """Index partition of the mails without an end whose digest begins so."""
    return f"MAIL#open#{digit}"


def mails_under_way(table: Table) -> Iterator[MailRecord]:
    """Every mail without an end, partition by partition of the index."""
    for digit in "0123456789abcdef":
        yield from map(mail_of_row, table.indexed(under_way(digit)))


def message_index(message: str) -> str:
    """Index partition of the settled mails with this digest of a Message-ID."""
    return f"MESSAGE#{message}"


def review_key(item: ReviewItem) -> str:
    """Sort key of a review item: one per step, document and reason."""
    return f"{item.step}#{item.document or 0:04}#{item.reason}"


def mail_of_row(row: Row) -> MailRecord:
    """The mail of its row."""
    return _mails().validate_python(row.data)


def document_of_row(row: Row) -> DocumentRecord:
    """The document of its row."""
    return _documents().validate_python(row.data)


def chain_of_row(row: Row) -> Chain:
    """The chain of its row."""
    return _chains().validate_python(row.data)


def review_of_row(row: Row) -> ReviewItem:
    """The review item of its row."""
    return _reviews().validate_python(row.data)


def _revision(row: Row | None) -> int | None:
    return None if row is None else row.revision


def _versioned_place(row: Row | None) -> Versioned[Place]:
    if row is None:
        return Versioned(Place(), None)
    data = row.data
    return Versioned(Place(data["tries"], data["mail"], data.get("aside")), row.revision)


def _versioned_chain(row: Row | None) -> Versioned[Chain]:
    return Versioned(Chain(), None) if row is None else Versioned(chain_of_row(row), row.revision)


def _versioned_document(row: Row) -> Versioned[DocumentRecord]:
    return Versioned(document_of_row(row), row.revision)


def _document_key(number: int) -> str:
    return f"DOC#{number:04}"
