"""Read an arrived mail: kind, archive, METADATA, CDA headers; a dossier, or the end of the mail.

The arrival is an ObjectCreated event of the store, and so is that of the dossier, which starts
`match`: a mail that goes on costs no call of the ledger here. One that ends here (technical, or of
a sender outside the trust space) is written down. A mail dropped into the store by another producer
than `collect` has no ledger row yet: whoever first writes about it makes one.
"""

import hashlib
from dataclasses import dataclass, replace

from pfi.errors import Unavailable
from pfi.journey.counting import counted
from pfi.journey.jobs import Job
from pfi.journey.keys import dossier_key, message_digest
from pfi.journey.ledger import Ledger, Versioned
from pfi.journey.onward import repeated
from pfi.journey.outcome import Digest, Fact, Log, Outcome
from pfi.journey.ports import Ports
from pfi.journey.reading import Reading, read_mail
from pfi.journey.records import Dossier, MailRecord, MailState
from pfi.journey.settings import MailboxSettings
from pfi.names import Reason, Route, Step


@dataclass(frozen=True, slots=True)
class Arrival:
    """Where the bytes of a mail lie, and for which mailbox they came."""

    key: str
    mailbox: str


def parse(arrival: Arrival, ports: Ports) -> Outcome:
    """Read the mail and store what it is, or write down its end."""
    raw, stored_at = ports.store.arrived(arrival.key)
    seal = hashlib.sha256(raw).hexdigest()
    mailbox = ports.settings.mailbox(arrival.mailbox)
    if mailbox is None:
        return _of_no_mailbox(arrival, seal, ports)
    reading = read_mail(raw, mailbox, ports.settings)
    dossier = replace(reading.dossier, key=arrival.key, arrived_at=stored_at)
    if dossier.route is None:
        return _store(dossier, reading, mailbox.id, seal, ports)
    return _ended(dossier, seal, mailbox, ports)


def _of_no_mailbox(arrival: Arrival, seal: str, ports: Ports) -> Outcome:
    mail, _ = _ledger(ports).mail_of(arrival.mailbox, seal)
    ports.jobs.to_review(Step.PARSE, Job(mail), Reason.SETTING_MISSING)
    return Outcome(Log.JOB_SET_ASIDE, {"mail": Digest(mail), "reason": Reason.SETTING_MISSING})


def _ledger(ports: Ports) -> Ledger:
    return Ledger(ports.table, ports.now, ports.settings.ledger_days)


def _store(dossier: Dossier, reading: Reading, mailbox: str, seal: str, ports: Ports) -> Outcome:
    """The dossier is the job of `match`. One that is there already was announced; it is written
    anew only while nothing was decided by it."""
    key = dossier_key(mailbox, seal)
    if not ports.store.put_dossier(key, dossier, reading.contents):
        _, known = _ledger(ports).mail_of(mailbox, seal)
        if known is not None and known.record.state is not MailState.RECEIVED:
            return repeated(known.record, _ledger(ports), ports)
        ports.store.put_dossier(key, dossier, reading.contents, anew=True)
    if dossier.reason is None:
        facts: dict[str, Fact] = {"mail": Digest(seal), "documents": len(dossier.documents)}
        return Outcome(Log.MAIL_READ, facts)
    return Outcome(Log.MAIL_NOT_READ, {"mail": Digest(seal), "reason": Reason(dossier.reason)})


def _ended(dossier: Dossier, seal: str, mailbox: MailboxSettings, ports: Ports) -> Outcome:
    ledger = _ledger(ports)
    mail, known = ledger.mail_of(mailbox.id, seal)
    if known is not None and known.record.state is not MailState.RECEIVED:
        return repeated(known.record, _ledger(ports), ports)
    if known is None:
        fresh = MailRecord(mail=mail, mailbox=mailbox.id, key=dossier.key, received_at=ports.now())
        known = Versioned(fresh, None)
    return _End(known, dossier, mailbox, ledger, ports).run()


@dataclass(frozen=True, slots=True)
class _End:
    known: Versioned[MailRecord]
    dossier: Dossier
    mailbox: MailboxSettings
    ledger: Ledger
    ports: Ports

    @property
    def mail(self) -> str:
        return self.known.record.mail

    def run(self) -> Outcome:
        dossier = self.dossier
        ours = self.ledger.sent_by_us(dossier.own_message_id) if dossier.own_message_id else None
        if ours is not None:
            return self._came_back(ours)
        if dossier.route is Route.FILED:
            return self._filed(Log.MAIL_FILED)
        return self._quarantined()

    def _came_back(self, ours: str) -> Outcome:
        """A mail that we sent: a copy of it is filed, its bounce brings its mail to a person."""
        if self.dossier.reason != Reason.BOUNCED.value:
            return self._filed(Log.MAIL_FILED)
        self.ports.jobs.to_review(Step.FORWARD, Job(ours), Reason.BOUNCED)
        return self._filed(Log.MAIL_BOUNCED)

    def _filed(self, log: Log) -> Outcome:
        return self._settled(log, Route.FILED, Reason.AUTO_GENERATED)

    def _quarantined(self) -> Outcome:
        reason = Reason(self.dossier.reason) if self.dossier.reason else Reason.UNEXPECTED
        self.ports.jobs.to_review(Step.PARSE, Job(self.mail), reason)
        return self._settled(Log.MAIL_QUARANTINED, Route.REVIEW, reason, review=True)

    def _settled(self, log: Log, route: Route, reason: Reason, *, review: bool = False) -> Outcome:
        known: Versioned[MailRecord] | None = self.known
        while known is not None and known.record.state is MailState.RECEIVED:
            record = self._record(known.record, route, reason, review=review)
            if self.ledger.write(self.ledger.mail_put(record, known.revision)):
                sender = self.dossier.facts.sender
                facts, counts = counted(route, reason, sender, self.mailbox, self.ports.settings)
                return Outcome(log, {"mail": Digest(self.mail), **facts}, counts)
            known = self.ledger.mail(self.mail)  # `collect` counted a copy meanwhile
        raise Unavailable(Reason.STORE_UNAVAILABLE)  # somebody else read it: look again

    def _record(
        self, record: MailRecord, route: Route, reason: Reason, *, review: bool
    ) -> MailRecord:
        return replace(
            record,
            state=MailState.SETTLED,
            route=route,
            reason=reason.value,
            review=review or record.review,  # a mark that is there stays
            settled_at=self.ports.now(),
            message=message_digest(self.dossier.facts.message_id),
        )
