"""One document in the ledger and the chain that it stands in: they change together, so a turn is
taken exactly once; with the last of them, the mail.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from pfi.errors import Unavailable
from pfi.journey.chains import Chain, holder_of
from pfi.journey.keys import digest
from pfi.journey.ledger import Ledger, Versioned
from pfi.journey.ports import Put
from pfi.journey.records import DocumentRecord, MailRecord
from pfi.names import Integration, Reason


@dataclass(frozen=True, slots=True)
class Entry:
    """`mail`, `document` and the chains `seen` are as they were last read or written: a write of
    them proves that they are so still. `establishment` is whose patients these are."""

    mail: Versioned[MailRecord]
    document: Versioned[DocumentRecord]
    seen: Mapping[str, Versioned[Chain]]
    establishment: str
    ledger: Ledger

    @property
    def record(self) -> DocumentRecord:
        """The document."""
        return self.document.record

    @property
    def holder(self) -> str:
        """Its name in its chain."""
        return holder_of(self.record.mail, self.record.number)

    def chain(self) -> Versioned[Chain]:
        """Its chain, as far as it is known."""
        return self._named(self._seen(self.record.chain))

    def chain_now(self) -> Versioned[Chain]:
        """Its chain, read again."""
        return self._named(self.ledger.chain(self.record.chain))

    def parent(self) -> Chain | None:
        """The chain of the document that it replaces."""
        key = self.record.parent_chain
        return self._seen(key).record if key else None

    def former_ipp(self) -> str:
        """The other IPP of our establishment under which the DPI has this version; '' when there is
        none, or when the row of that document does not prove it."""
        held = self.chain().record.under_another_ipp(self.holder)
        if held is None:
            return ""
        found = self.ledger.document(held.mail, held.number)
        ipp = found.record.ipp if found else ""
        return ipp if self._digest(ipp) == held.ipp else ""

    def save(self, document: DocumentRecord, chain: Versioned[Chain]) -> "Entry":
        """Write the document and its state in that chain; the entry as it is then."""
        if not self._write(document, chain):
            raise Unavailable(Reason.STORE_UNAVAILABLE)  # somebody else moved: look again
        moved = Versioned(self._moved(document, chain), (chain.revision or 0) + 1)
        return replace(
            self,
            document=Versioned(document, (self.document.revision or 0) + 1),
            seen={**self.seen, document.chain: moved},
        )

    def settle(self, document: DocumentRecord) -> None:
        """Write what the DPI said. The answer must not be lost because the chain moved meanwhile;
        only a change of the document itself (an expired claim taken over) stops it."""
        document = self._ended(document)
        if self._write(document, self.chain()):
            return
        while not self._write(document, self.chain_now()):
            current = self.ledger.document(document.mail, document.number)
            if current is None or current.revision != self.document.revision:
                raise Unavailable(Reason.STORE_UNAVAILABLE)

    def settle_mail(self, document: DocumentRecord, mail: MailRecord) -> bool:
        """Write the end of the document and of its mail; False when anything moved meanwhile, or
        somebody else is just writing the mail: the answer of the DPI must not wait for that."""
        put = self.ledger.mail_put(mail, self.mail.revision)
        try:
            return self._write(self._ended(document), self.chain(), put)
        except Unavailable:
            return False

    def _seen(self, key: str) -> Versioned[Chain]:
        return self.seen[key] if key in self.seen else self.ledger.chain(key)

    def _named(self, known: Versioned[Chain]) -> Versioned[Chain]:
        """With our patient known by the IPP that was matched."""
        if not self.record.ipp:
            return known
        ipp = self._digest(self.record.ipp)
        named = known.record.known_as(self.holder, ipp, self.establishment)
        return Versioned(named, known.revision)

    def _digest(self, ipp: str) -> str:
        return digest("ipp", self.establishment, ipp)

    def _ended(self, document: DocumentRecord) -> DocumentRecord:
        if not document.integration.ended:
            return document
        return replace(document, ended_at=self.ledger.now())

    def _moved(self, document: DocumentRecord, chain: Versioned[Chain]) -> Chain:
        return chain.record.moved(self.holder, document.integration, document.ack)

    def _write(self, document: DocumentRecord, chain: Versioned[Chain], *also: Put) -> bool:
        moved = self._moved(document, chain)
        puts = [self.ledger.document_put(document, self.document.revision), *also]
        if moved != chain.record or document.integration is Integration.SENT:
            puts.append(self.ledger.chain_put(document.chain, moved, chain.revision))
        return self.ledger.write(*puts)
