"""Push one document to the DPI and read its answer.

The ledger says `sent` before the first byte leaves. From then on the same bytes with the same
MSH-10 may be sent again, at most `resend_on_unknown` times, and nothing else: a DPI can then
recognise the repeat, and a person is told when the outcome stays unknown (design §4).
"""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from pfi.errors import Misconfigured, NotAsked, OutcomeUnknown, Unavailable
from pfi.hl7 import ack as acks
from pfi.hl7.ack import Ack, Verdict
from pfi.hl7.mllp import Message
from pfi.journey.answered import ENDS, as_answered, as_repeated, as_unknown, settled_with
from pfi.journey.chains import Chain, Turn, turn
from pfi.journey.counting import Counted, counted
from pfi.journey.entry import Entry
from pfi.journey.hold import attended, held_too_long, to_be_noted, untried_wait_s
from pfi.journey.identification import identify, match_policy, same_by_merges
from pfi.journey.jobs import Job
from pfi.journey.ledger import Ledger, Versioned
from pfi.journey.message import (
    build_message,
    decided_of,
    fingerprint,
    masks_changed,
    new_control_id,
)
from pfi.journey.onward import close_if_ended
from pfi.journey.outcome import Code, Configured, Digest, Fact, Log, Metric, Outcome
from pfi.journey.pace import Pace
from pfi.journey.ports import Dpi, Ports
from pfi.journey.records import DocumentRecord, MailRecord
from pfi.journey.settings import DpiSettings, MailboxSettings
from pfi.names import Event, Integration, Reason, Route, Step

FRESH: Final = timedelta(minutes=10)
"""How long a decision is trusted before it is taken again, just before the message leaves."""
MARGIN_S: Final = 5
"""Added to the DPI's time-outs before a `sent` document is thought abandoned."""
LIFE_S: Final = 105
"""No worker lives longer, wherever it runs: on AWS its function is stopped after 100 s
(infra.aws.names), on a laptop earlier (`Ports.life_s`). Before that, one that is only slow could
still send, or still write down an answer that it holds."""

_HANDED_BACK: Final = frozenset({Log.DOCUMENT_PACED, Log.DOCUMENT_NOT_TRIED})


def push(job: Job, ports: Ports) -> Outcome:
    """Send one document, once; repeated, only close the mail again."""
    ledger = Ledger(ports.table, ports.now, ports.settings.ledger_days)
    found = ledger.in_hand(job.mail, job.document or 0, job.chains)
    mail, document = found.mail, found.document
    if mail is None or document is None:
        raise Unavailable(Reason.STORE_UNAVAILABLE)
    if document.record.integration.ended:
        _close(job.mail, ledger, ports)
        return Outcome(Log.MAIL_REPEATED, {"mail": Digest(job.mail)})
    mailbox = ports.settings.mailbox(mail.record.mailbox)
    target = ports.settings.dpi(mailbox.dpi) if mailbox else None
    if mailbox is None or target is None:
        raise Misconfigured(Reason.SETTING_MISSING)
    establishment = document.record.establishment or mailbox.establishment
    entry = Entry(mail, document, found.chains, establishment, ledger)
    outcome = _Push(entry, mailbox, target, ports).run()
    # A job handed back would come twice if closing failed; a mail that was settled together with
    # its document has nothing to be closed.
    if outcome.log not in _HANDED_BACK and Metric.MAILS_SETTLED not in outcome.counts:
        _close(job.mail, ledger, ports)
    return outcome


def _close(mail: str, ledger: Ledger, ports: Ports) -> None:
    close_if_ended(mail, [each.record for each in ledger.documents(mail)], ports.jobs)


@dataclass(frozen=True, slots=True)
class _Push:
    """`entry` is the document as this try found it."""

    entry: Entry
    mailbox: MailboxSettings
    target: DpiSettings
    ports: Ports

    @property
    def mail(self) -> MailRecord:
        return self.entry.mail.record

    @property
    def document(self) -> DocumentRecord:
        return self.entry.record

    @property
    def _job(self) -> Job:
        return Job(self.document.mail, self.document.number)

    def _age_s(self) -> float:
        return (self.ports.now() - self.mail.received_at).total_seconds()

    @property
    def _pace(self) -> Pace:
        return Pace(self.target, self.entry.ledger)

    def run(self) -> Outcome:
        if self._pace.busy():
            return self._later()
        if self.document.integration is Integration.SENT:
            return self._after_a_lost_answer()
        if self._decided_for_others():
            return self._refused(Reason.BASE_CHANGED)
        chain, holder = self.entry.chain(), self.entry.holder
        if chain.record.link(holder) is None:
            raise Unavailable(Reason.STORE_UNAVAILABLE)  # match always joins the chain first
        parent = self.entry.parent()
        if self._too_early(chain.record, parent):
            raise Unavailable(Reason.PARENT_IN_FLIGHT)
        taken = turn(chain.record, holder, parent)
        if taken is Turn.GO:
            return self._go(chain, parent)
        return self._not_now(taken)

    def _decided_for_others(self) -> bool:
        """The mailbox serves another DPI or establishment than at the decision, by the settings of
        whoever is behind: nothing leaves under one number with the patient of another."""
        document, mailbox = self.document, self.mailbox
        pairs = ((document.dpi, mailbox.dpi), (document.establishment, mailbox.establishment))
        return any(then and then != now for then, now in pairs)

    def _too_early(self, chain: Chain, parent: Chain | None) -> bool:
        """A replacement or deletion of a document that nobody has heard of: the mail that brings
        it may be collected and not yet read. It gets a moment; then the DPI decides (Q-32)."""
        mine = chain.link(self.entry.holder)
        heard_of = mine is not None and chain.links[0] is not mine
        if self.document.event is Event.NEW or heard_of or (parent and parent.links):
            return False
        grace = timedelta(seconds=self.ports.settings.retry.order_grace_s)
        return self.ports.now() - self.mail.received_at < grace

    def _not_now(self, taken: Turn) -> Outcome:
        match taken:
            case Turn.WAIT:
                return self._wait(Reason.PARENT_IN_FLIGHT)
            case Turn.REPEAT:
                return self._repeat()
            case Turn.ANOTHER_PATIENT if self._held_before_a_merge():
                return self._repeat()
            case Turn.ANOTHER_PATIENT:
                return self._refused(Reason.ANOTHER_PATIENT)
            case _:
                return self._unknown(self.entry)

    def _go(self, chain: Versioned[Chain], parent: Chain | None) -> Outcome:
        if self._stale() and not self._still_concordant():
            return self._refused(Reason.BASE_CHANGED)
        document = replace(
            self.document,
            control_id=self.document.control_id or new_control_id(self.document),
            built_at=self.document.built_at or self.ports.now(),
            masks_changed=masks_changed(self.document, chain.record, parent),
        )
        message = self._message(document)
        document = replace(document, message_sha256=fingerprint(message))
        return self._exchange(document, chain, message)

    def _after_a_lost_answer(self) -> Outcome:
        """Bytes may have left: the same bytes again while allowed, then a person. They name the
        patient of the decision, so they leave only while it stands."""
        busy = self.document.busy_until
        if busy is not None and busy > self.ports.now():
            raise Unavailable(Reason.DPI_UNAVAILABLE)  # another worker is on the wire
        if self._decided_for_others():
            return self._unknown(self.entry)
        chain = self.entry.chain()
        message = self._message(self.document)
        same = fingerprint(message) == self.document.message_sha256
        if self.document.sends > self.target.resend_on_unknown or not same:
            return self._unknown(self.entry)
        if self._stale() and not self._still_concordant():
            return self._unknown(self.entry)
        return self._exchange(self.document, chain, message)

    def _message(self, document: DocumentRecord) -> Message:
        key = self.mail.dossier_key
        dossier, content = self.ports.store.document(key, document.number)
        if not decided_of(document, dossier, content):
            raise Unavailable(Reason.STORE_UNAVAILABLE)
        return build_message(
            self.mail, document, dossier, content, self.mailbox, self.target, self.ports.settings
        )

    def _exchange(
        self, document: DocumentRecord, chain: Versioned[Chain], message: Message
    ) -> Outcome:
        try:
            dpi = self.ports.dpi(self.target)
        except NotAsked as fault:
            return self._untried(fault.reason)
        with self._pace.turn(self._patience) as ours:
            return self._spoken(document, chain, message, dpi) if ours else self._later()

    @property
    def _patience(self) -> timedelta:
        """How long an exchange may last before it is thought abandoned."""
        life = min(LIFE_S, self.ports.life_s)
        return timedelta(seconds=max(life, self.target.exchange_s + MARGIN_S))

    def _later(self) -> Outcome:
        """Another message is on its way."""
        wait = 1 + int(self.document.mail[:4], 16) % 3  # spread: they do not all come at once
        return self._handed_back(Log.DOCUMENT_PACED, wait)

    def _untried(self, reason: Reason) -> Outcome:
        """The DPI failed another document a moment ago."""
        wait = untried_wait_s(self.document, self.ports.now())
        return self._handed_back(Log.DOCUMENT_NOT_TRIED, wait, reason=reason)

    def _handed_back(self, log: Log, wait_s: int, **facts: Fact) -> Outcome:
        """The job goes back as a new one: this is no failed try, and no receive of the message that
        brought it. SQS no longer sees how old it is, so this metric tells."""
        if self.document.first_attempt_at is not None:  # what was never tried has no hold yet
            self._attend()
        self.ports.jobs.send(Step.PUSH, self._job, self.mailbox.dpi, wait_s)
        return Outcome(log, self._facts(**facts), {Metric.HANDED_BACK_AGE_SECONDS: self._age_s()})

    def _attend(self) -> DocumentRecord:
        """The document with its hold going on; the ledger hears of it now and then. A worker that
        may be on the wire with this document must find the row as it left it."""
        document, now, retry = self.document, self.ports.now(), self.ports.settings.retry
        seen = attended(document, now, retry)
        claimed = document.busy_until is not None and document.busy_until > now
        if to_be_noted(document, now, retry) and not claimed:
            ledger = self.entry.ledger
            ledger.write(ledger.document_put(seen, self.entry.document.revision))
        return seen

    def _spoken(
        self, document: DocumentRecord, chain: Versioned[Chain], message: Message, dpi: Dpi
    ) -> Outcome:
        started = self.ports.now()
        sent = self.entry.save(
            replace(
                attended(document, started, self.ports.settings.retry),
                integration=Integration.SENT,
                sends=document.sends + 1,
                busy_until=started + self._patience,
            ),
            chain,
        )
        try:
            raw = dpi.exchange(message, document.control_id or "")
        except (Unavailable, Misconfigured) as nothing_left:
            return self._nothing_left(sent, nothing_left)
        except OutcomeUnknown:
            return self._lost(sent)
        took = (self.ports.now() - started).total_seconds() * 1000
        return self._answered(sent, acks.read(raw, document.control_id or ""), took)

    def _answered(self, sent: Entry, ack: Ack, took_ms: float) -> Outcome:
        if ack.verdict in ENDS:
            return self._end(sent, *ENDS[ack.verdict], ack, took_ms)
        if ack.verdict is Verdict.RETRY:
            return self._nothing_left(sent, Unavailable(Reason.DPI_RETRY_LATER), ack.code)
        if ack.verdict is Verdict.DUPLICATE:
            return self._unknown(sent)  # 205: in the DPI, but our journal does not say so
        return self._lost(sent)  # not ours, accept-level only, or unreadable

    def _nothing_left(
        self, sent: Entry, cause: Unavailable | Misconfigured, said: str | None = None
    ) -> Outcome:
        """The DPI got nothing, or asks to come back: as before this try, within the hold.

        A document whose earlier answer was lost stays `sent`: this try proves nothing about it.
        """
        before = self.document
        restored = replace(
            sent.record,
            integration=before.integration,
            sends=before.sends,
            ack=before.ack if before.integration is Integration.SENT else said or before.ack,
            busy_until=None,
        )
        sent.settle(restored)
        if not held_too_long(restored, self.ports.now(), self.target):
            raise cause
        now = replace(sent, document=Versioned(restored, (sent.document.revision or 0) + 1))
        if restored.integration is Integration.SENT:  # an earlier answer was lost
            return self._unknown(now)
        if cause.reason is Reason.DPI_UNAVAILABLE:  # away all that time: others must read it
            return self._refused(cause.reason, now)
        return self._to_review(cause.reason)  # it answers, or we must mend something: a person

    def _lost(self, sent: Entry) -> Outcome:
        if sent.record.sends > self.target.resend_on_unknown:
            return self._unknown(sent)
        sent.settle(replace(sent.record, busy_until=None))
        raise OutcomeUnknown(Reason.DPI_OUTCOME_UNKNOWN)

    def _wait(self, reason: Reason) -> Outcome:
        """Come back later, or after the hold go to a person."""
        if held_too_long(self._attend(), self.ports.now(), self.target):
            return self._to_review(reason)
        raise Unavailable(reason)

    def _to_review(self, reason: Reason) -> Outcome:
        self.ports.jobs.to_review(Step.PUSH, self._job, reason)
        return Outcome(Log.JOB_SET_ASIDE, self._facts(reason=reason))

    def _repeat(self) -> Outcome:
        """Q-29: this version is already in the DPI; the sender is told so, nothing is sent."""
        accepted = self.entry.chain().record.accepted
        self.entry.settle(as_repeated(self.document, accepted))
        return Outcome(Log.DOCUMENT_REPEATED, self._facts())

    def _held_before_a_merge(self) -> bool:
        """The DPI has this version under an IPP that is one with ours since."""
        former, ipp = self.entry.former_ipp(), self.document.ipp
        whose, patients = self.entry.establishment, self.ports.patients
        return bool(former) and same_by_merges(former, ipp, whose, patients)

    def _stale(self) -> bool:
        """The decision is old: the patient base may have changed while the DPI was away."""
        decided = self.document.decided_at
        return decided is not None and self.ports.now() - decided > FRESH

    def _still_concordant(self) -> bool:
        """The same identity, decided again, is still the same patient."""
        dossier = self.ports.store.dossier(self.mail.dossier_key)
        facts = dossier.documents[self.document.number - 1]
        policy = match_policy(self.ports.settings)
        establishment = self.mailbox.establishment
        again = identify(facts.identity, establishment, self.ports.patients, policy)
        return again.integrate and again.ipp == self.document.ipp

    def _refused(self, reason: Reason, now: Entry | None = None) -> Outcome:
        """Nothing leaves, or leaves any more: the mail goes to the fallback mailbox."""
        entry = now or self.entry
        ended = replace(entry.record, integration=Integration.REFUSED, reason=reason.value)
        entry.settle(ended)
        return Outcome(Log.DOCUMENT_REFUSED, self._facts(reason=reason))

    def _unknown(self, entry: Entry) -> Outcome:
        entry.settle(as_unknown(entry.record))
        return Outcome(Log.DOCUMENT_UNKNOWN, self._facts(), {Metric.OUTCOME_UNKNOWN: 1})

    def _end(
        self,
        sent: Entry,
        integration: Integration,
        reason: Reason | None,
        ack: Ack,
        took_ms: float,
    ) -> Outcome:
        accepted = integration is Integration.INTEGRATED
        ended = as_answered(
            sent.record, integration, ack, reason, blind=self.ports.settings.match.who == "pfi"
        )
        if accepted and sent.record.sends > 1 and not self.target.recognises_repeats:
            self._maybe_twice()  # before it is written: after a crash told again, never not at all
        mail_facts, mail_counts = self._ended(sent, ended)
        metric = Metric.DOCUMENTS_INTEGRATED if accepted else Metric.DOCUMENTS_REFUSED
        log = Log.DOCUMENT_INTEGRATED if accepted else Log.DOCUMENT_REFUSED
        dpi = Configured(self.target.id)
        facts = self._facts(peer_code=Code.of(ended.code), round_trip_ms=int(took_ms), dpi=dpi)
        counts = {Metric.DPI_ROUND_TRIP_MS: took_ms, metric: 1, **mail_counts}
        if accepted:
            counts[Metric.ARRIVAL_TO_ACK_MS] = self._age_s() * 1000
        return Outcome(log, {**facts, **mail_facts}, counts)

    def _ended(self, sent: Entry, ended: DocumentRecord) -> Counted:
        """Write the end of the document, and of its mail where nothing more is owed."""
        mail = settled_with(self.mail, ended, self.ports.now())
        if mail is None or not sent.settle_mail(ended, mail):
            sent.settle(ended)
            return {}, {}
        sender = mail.sent.domain if mail.sent else ""
        return counted(Route.INTEGRATED, None, sender, self.mailbox, self.ports.settings)

    def _maybe_twice(self) -> None:
        """An earlier answer was lost: the DPI may hold the document twice (design §6.2)."""
        self.ports.jobs.to_review(Step.PUSH, self._job, Reason.DPI_MAYBE_TWICE)

    def _facts(self, **more: Fact) -> dict[str, Fact]:
        document = self.document
        return {
            "mail": Digest(document.mail),
            "document": document.number,
            "event": document.event,
            **more,
        }
