"""Deliver mails to the laptop's application mailbox and follow them to their end in the ledger."""

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from infra.local.laptop import Laptop
from pfi.errors import Unavailable
from pfi.journey.ledger import Ledger
from pfi.journey.records import DocumentRecord, Dossier, MailRecord, MailState

PATIENCE_S = 150.0
PAUSE_S = 0.05


class NotSettled(RuntimeError):
    """A mail did not come to an end in time; the text says how many, never which patient."""


@dataclass(frozen=True, slots=True)
class Followed:
    """One delivered file and what the ledger says of it; `repeat` = bytes collected before.

    `reviewed_for` is the reason of the review item, for a mail that a stuck job keeps from ending.
    """

    name: str
    record: MailRecord
    dossier: Dossier | None
    documents: tuple[DocumentRecord, ...]
    repeat: bool
    reviewed_for: str | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """Puts mails into one mailbox, the first by default, one after the other and waits for them."""

    laptop: Laptop
    progress: Callable[[str], None]
    mailbox: str = ""

    def run(self, files: Sequence[tuple[str, bytes]]) -> list[Followed]:
        """Deliver all files in order, wait until each has ended."""
        ledger = Ledger(self.laptop.table(), lambda: datetime.now(UTC))
        digests: list[str] = []
        for number, (name, raw) in enumerate(files, start=1):
            self.progress(f"Courriel {number}/{len(files)} : {name}")
            digests.append(self._deliver(ledger, raw, copies=_copies(digests, raw)))
        self.progress("Attente de la fin de chaque courriel…")
        followed, seen = [], set[str]()
        for (name, _), mail in zip(files, digests, strict=True):
            followed.append(self._follow(ledger, name, mail, repeat=mail in seen))
            seen.add(mail)
        return followed

    def _deliver(self, ledger: Ledger, raw: bytes, copies: int) -> str:
        """The next mail leaves only when this one is read: their order is then known."""
        mail = hashlib.sha256(raw).hexdigest()
        settings = self.laptop.settings
        mailbox = settings.mailbox(self.mailbox) or settings.mailboxes[0]
        self.laptop.operator.store.deliver(mailbox.address, raw)
        deadline = time.monotonic() + PATIENCE_S
        while not _read(ledger, mail, copies):
            if time.monotonic() > deadline:
                raise NotSettled("courriel non collecté")
            self._collect()
            self._pause_until_read(ledger, mail, copies)
        return mail

    def _collect(self) -> None:
        """The schedule does this each minute; here nobody waits for it."""
        function = self.laptop.outputs["FunctionCollect"]
        self.laptop.client("lambda").invoke(FunctionName=function, Payload=b"{}")

    def _pause_until_read(self, ledger: Ledger, mail: str, copies: int) -> None:
        for _ in range(int(3 / PAUSE_S)):
            if _read(ledger, mail, copies):
                return
            time.sleep(PAUSE_S)

    def _follow(self, ledger: Ledger, name: str, mail: str, *, repeat: bool) -> Followed:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            known = ledger.mail(mail)
            if known and (known.record.state is MailState.SETTLED or known.record.review):
                break
            if time.monotonic() > deadline:
                raise NotSettled("un courriel n'a pas été réglé à temps")
            time.sleep(PAUSE_S)
        documents = tuple(each.record for each in ledger.documents(mail))
        reasons = [item.reason for item in ledger.reviews(mail)]
        reviewed_for = reasons[0] if reasons else None
        dossier = self._dossier(known.record)
        return Followed(name, known.record, dossier, documents, repeat, reviewed_for)

    def _dossier(self, mail: MailRecord) -> Dossier | None:
        try:
            return self.laptop.store().dossier(mail.dossier_key)
        except Unavailable:
            return None


def _copies(digests: Sequence[str], raw: bytes) -> int:
    return digests.count(hashlib.sha256(raw).hexdigest()) + 1


def _read(ledger: Ledger, mail: str, copies: int) -> bool:
    known = ledger.mail(mail)
    if known is None or known.record.copies < copies:
        return False
    return known.record.state is not MailState.RECEIVED or known.record.review
