"""Read an arrived mail: kind, archive, METADATA, CDA headers; one match job, or none.

The arrival is an ObjectCreated event of the store. A mail dropped there by another producer than
`collect` has no ledger row yet: it gets one here.
"""

import hashlib
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial

from pfi.errors import Unavailable
from pfi.journey.chains import Chain, Link
from pfi.journey.counting import counted
from pfi.journey.jobs import Job
from pfi.journey.keys import chain_key, message_digest, patients_of, same_mail, version_of
from pfi.journey.ledger import Ledger, Versioned
from pfi.journey.onward import send_onward
from pfi.journey.outcome import Digest, Fact, Log, Outcome
from pfi.journey.ports import Ports
from pfi.journey.reading import Reading, read_mail
from pfi.journey.records import DocumentFacts, Dossier, MailRecord, MailState, Sent
from pfi.journey.sending import sent_of
from pfi.journey.settings import MailboxSettings
from pfi.names import Reason, Route, Step


@dataclass(frozen=True, slots=True)
class Arrival:
    """Where the bytes of a mail lie, and for which mailbox they came."""

    key: str
    mailbox: str


def parse(arrival: Arrival, ports: Ports) -> Outcome:
    """Read the mail and write down what it is; repeated, only send the next job again."""
    ledger = Ledger(ports.table, ports.now, ports.settings.ledger_days)
    raw = ports.store.get(arrival.key)
    mail, known = ledger.mail_of(arrival.mailbox, hashlib.sha256(raw).hexdigest())
    if known is not None and known.record.state is not MailState.RECEIVED:
        documents = [each.record for each in ledger.documents(mail)]
        send_onward(known.record, documents, ports)
        return Outcome(Log.MAIL_REPEATED, {"mail": Digest(mail)})
    mailbox = ports.settings.mailbox(arrival.mailbox)
    if mailbox is None:
        ports.jobs.to_review(Step.PARSE, Job(mail), Reason.SETTING_MISSING)
        return Outcome(Log.JOB_SET_ASIDE, {"mail": Digest(mail), "reason": Reason.SETTING_MISSING})
    if known is None:
        fresh = MailRecord(mail=mail, mailbox=mailbox.id, key=arrival.key, received_at=ports.now())
        known = Versioned(fresh, None)
    reading = read_mail(raw, mailbox, ports.settings)
    message = message_digest(reading.dossier.facts.message_id)
    return _Parse(known, mailbox, ledger, ports, message).run(reading)


@dataclass(frozen=True, slots=True)
class _Parse:
    known: Versioned[MailRecord]
    mailbox: MailboxSettings
    ledger: Ledger
    ports: Ports
    message: str

    @property
    def mail(self) -> str:
        return self.known.record.mail

    def run(self, reading: Reading) -> Outcome:
        dossier = reading.dossier
        ours = self.ledger.sent_by_us(dossier.own_message_id) if dossier.own_message_id else None
        if ours is not None:
            return self._came_back(dossier, ours)
        if dossier.route is Route.FILED:
            return self._filed(Log.MAIL_FILED, dossier)
        if dossier.route is Route.REVIEW:
            return self._quarantined(dossier)
        # Claimed before the chains are joined: a duplicate must never stand in a chain, where its
        # link would hold back every later version and never end.
        same = same_mail(self.mailbox, dossier)
        if same and self.ledger.claim(same, self.mail) != self.mail:
            return self._duplicate(dossier)
        self._store(reading)
        return self._advance(dossier)

    def _store(self, reading: Reading) -> None:
        """Bodies before states: a state never points at bytes that are not there."""
        for number, content in enumerate(reading.contents, start=1):
            self.ports.store.put_document(self.mail, number, content)
        self.ports.store.put_dossier(self.mail, reading.dossier)
        for number, document in enumerate(reading.dossier.documents, start=1):
            key = chain_key(self.mailbox, document.id)
            self.ledger.change_chain(key, partial(self._joined, number=number, document=document))

    def _joined(self, chain: Chain, number: int, document: DocumentFacts) -> Chain:
        grace = timedelta(seconds=self.ports.settings.retry.order_grace_s)
        order = chain.place(document.event, self.known.record.received_at, grace)
        return chain.joined(self._link(number, document, order))

    def _link(self, number: int, document: DocumentFacts, order: str) -> Link:
        return Link(
            holder=f"{self.mail}#{number:04}",
            order=order,
            version=version_of(document),
            masks=document.masks,
            patients=patients_of(document),
        )

    def _advance(self, dossier: Dossier) -> Outcome:
        state = MailState.READ if dossier.reason is None else MailState.DECIDED
        record = self._write(
            state=state,
            reason=dossier.reason,
            documents=len(dossier.documents),
            sent=sent_of(dossier, self.ports.settings),
        )
        send_onward(record, (), self.ports)
        if dossier.reason is not None:
            facts: dict[str, Fact] = {
                "mail": Digest(self.mail),
                "reason": Reason(dossier.reason),
            }
            return Outcome(Log.MAIL_NOT_READ, facts)
        count = len(dossier.documents)
        return Outcome(Log.MAIL_READ, {"mail": Digest(self.mail), "documents": count})

    def _came_back(self, dossier: Dossier, ours: str) -> Outcome:
        """A mail that we sent: a copy of it is filed, its bounce brings its mail to a person."""
        if dossier.reason != Reason.BOUNCED.value:
            return self._filed(Log.MAIL_FILED, dossier)
        self.ports.jobs.to_review(Step.FORWARD, Job(ours), Reason.BOUNCED)
        return self._filed(Log.MAIL_BOUNCED, dossier)

    def _filed(self, log: Log, dossier: Dossier) -> Outcome:
        self._end(Route.FILED, Reason.AUTO_GENERATED.value)
        return self._ended(log, dossier, Route.FILED, Reason.AUTO_GENERATED)

    def _quarantined(self, dossier: Dossier) -> Outcome:
        reason = Reason(dossier.reason) if dossier.reason else Reason.UNEXPECTED
        self.ports.jobs.to_review(Step.PARSE, Job(self.mail), reason)
        self._end(Route.REVIEW, reason.value, review=True)
        return self._ended(Log.MAIL_QUARANTINED, dossier, Route.REVIEW, reason)

    def _duplicate(self, dossier: Dossier) -> Outcome:
        sent = sent_of(dossier, self.ports.settings)
        self._end(Route.DUPLICATE, Reason.SAME_MAIL.value, sent=sent)
        return self._ended(Log.MAIL_DUPLICATE, dossier, Route.DUPLICATE, Reason.SAME_MAIL)

    def _ended(self, log: Log, dossier: Dossier, route: Route, reason: Reason) -> Outcome:
        sender = dossier.facts.sender
        facts, counts = counted(route, reason, sender, self.mailbox, self.ports.settings)
        return Outcome(log, {"mail": Digest(self.mail), **facts}, counts)

    def _end(
        self, route: Route, reason: str | None, *, review: bool = False, sent: Sent | None = None
    ) -> None:
        self._write(
            state=MailState.SETTLED,
            route=route,
            reason=reason,
            **({"review": True} if review else {}),  # a mark that is there stays
            settled_at=self.ports.now(),
            sent=sent,
        )

    def _write(self, **changes: object) -> MailRecord:
        """Advance the mail. `collect` may count a copy meanwhile; another `parse` may not win."""
        known: Versioned[MailRecord] | None = self.known
        while known is not None and self._still_ours(known.record):
            record = replace(known.record, message=self.message, **changes)  # type: ignore[arg-type]  # by name
            if self.ledger.write(self.ledger.mail_put(record, known.revision)):
                return record
            known = self.ledger.mail(self.mail)
        raise Unavailable(Reason.STORE_UNAVAILABLE)  # somebody else read it: look again

    def _still_ours(self, record: MailRecord) -> bool:
        return record.state is MailState.RECEIVED and record.mailbox == self.mailbox.id
