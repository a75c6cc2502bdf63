"""Match the documents of a mail with the hospital's patient base: all of them, or none.

A mail is whole-or-fallback before the first MDM (Q-19): one document that fails identity sends
the whole mail to a person. Deciding all documents in one job makes that a single transaction;
a job per document would need a second meeting point (docs/decisions/0004).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from pfi.errors import Misconfigured, Unavailable
from pfi.ins.concordance import Decision, traits_to_send
from pfi.ins.identity import Traits
from pfi.journey.chains import Chain, Link
from pfi.journey.grace import may_wait, next_look_s, overtaken
from pfi.journey.identification import (
    document_refusal,
    identify,
    ipp_oid,
    match_policy,
    refusal,
)
from pfi.journey.jobs import Job
from pfi.journey.keys import chain_key, parent_id, version_of
from pfi.journey.ledger import Ledger, Versioned
from pfi.journey.onward import send_onward
from pfi.journey.outcome import Digest, Fact, Log, Outcome
from pfi.journey.ports import Ports
from pfi.journey.records import DocumentFacts, DocumentRecord, Dossier, MailRecord, MailState
from pfi.journey.settings import MailboxSettings
from pfi.names import Integration, Reason, Step


def match(job: Job, ports: Ports) -> Outcome:
    """Decide each document's identity and write the decisions down, all or nothing."""
    ledger = Ledger(ports.table, ports.now, ports.settings.ledger_days)
    known = ledger.mail(job.mail)
    if known is None:
        raise Unavailable(Reason.STORE_UNAVAILABLE)
    if known.record.state is not MailState.READ:
        documents = [each.record for each in ledger.documents(job.mail)]
        send_onward(known.record, documents, ports)
        return Outcome(Log.MAIL_REPEATED, {"mail": Digest(job.mail)})
    mailbox = ports.settings.mailbox(known.record.mailbox)
    if mailbox is None:
        raise Misconfigured(Reason.SETTING_MISSING)
    return _Match(known, mailbox, ledger, ports).run(ports.store.dossier(job.mail))


@dataclass(frozen=True, slots=True)
class _Match:
    known: Versioned[MailRecord]
    mailbox: MailboxSettings
    ledger: Ledger
    ports: Ports

    def run(self, dossier: Dossier) -> Outcome:
        decisions = self._decide(dossier)
        reason = refusal(dossier.documents, decisions, self._ipp_oid)
        if self._overtaken(dossier):
            reason = reason or self._awaited
        elif reason is not None and (pause := self._pause(dossier, decisions, reason)):
            return self._again(reason, pause)
        records = self._records(dossier, decisions, refused=reason)
        self._close_chains(records)
        mail = replace(
            self.known.record,
            state=MailState.DECIDED,
            reason=None if reason is None else reason.value,
        )
        puts = [self.ledger.document_put(record, None) for record in records]
        if not self.ledger.write(self.ledger.mail_put(mail, self.known.revision), *puts):
            raise Unavailable(Reason.STORE_UNAVAILABLE)
        send_onward(mail, records, self.ports)
        facts: dict[str, Fact] = {
            "mail": Digest(mail.mail),
            "documents": len(records),
            "reason": reason,
        }
        return Outcome(Log.MAIL_DECIDED, facts)

    def _pause(self, dossier: Dossier, decisions: Sequence[Decision], reason: Reason) -> int:
        """Seconds until the patient base is asked again; 0 when the decision stands."""
        pairs = zip(dossier.documents, decisions, strict=True)
        reasons = (document_refusal(*pair, self._ipp_oid) for pair in pairs)
        if not may_wait(dossier.documents, (reason, *reasons)):
            return 0
        waited = self.ports.now() - self.known.record.received_at
        return next_look_s(self.ports.settings.match.grace_s, waited)

    def _again(self, reason: Reason, pause: int) -> Outcome:
        """Nothing is decided yet. The job is handed back as a new one: waiting uses up no receive
        of its message, and the mail stays `read`, so that it is under way for everybody."""
        record = self.known.record
        if record.reason != reason.value:
            self.ledger.save_mail(self.known, reason=reason.value)  # for who looks; it may fail
        self.ports.jobs.send(Step.MATCH, Job(record.mail), delay_s=pause)
        return Outcome(Log.MAIL_AWAITS_FEED, {"mail": Digest(record.mail), "reason": reason})

    @property
    def _awaited(self) -> Reason | None:
        """What a mail that was looked at before was waiting for."""
        word = self.known.record.reason
        return None if word is None else Reason(word)

    def _overtaken(self, dossier: Dossier) -> bool:
        """The wait is over when somebody else has in hand what replaces or deletes one of the
        documents. Asked only of a mail that waited: all others go by the turns of the chain."""
        if self._awaited is None:
            return False
        pairs = enumerate(dossier.documents, start=1)
        keys = ((chain_key(self.mailbox, each.id), self._holder(number)) for number, each in pairs)
        return any(overtaken(self.ledger.chain(key).record, holder) for key, holder in keys)

    def _holder(self, number: int) -> str:
        return f"{self.known.record.mail}#{number:04}"

    @property
    def _ipp_oid(self) -> str:
        return ipp_oid(self.mailbox, self.ports.settings)

    def _decide(self, dossier: Dossier) -> tuple[Decision, ...]:
        policy = match_policy(self.ports.settings)
        return tuple(
            identify(each.identity, self.mailbox.establishment, self.ports.patients, policy)
            for each in dossier.documents
        )

    def _records(
        self, dossier: Dossier, decisions: Sequence[Decision], *, refused: Reason | None
    ) -> tuple[DocumentRecord, ...]:
        pairs = enumerate(zip(dossier.documents, decisions, strict=True), start=1)
        found = [self._record(number, *pair, integrate=not refused) for number, pair in pairs]
        if refused is not None and refused is self._awaited and not any(x.reason for x in found):
            return tuple(replace(each, reason=refused.value) for each in found)
        return tuple(found)

    def _record(
        self, number: int, facts: DocumentFacts, decision: Decision, *, integrate: bool
    ) -> DocumentRecord:
        """The decision as the ledger keeps it, with the traits that the message will carry."""
        parent = parent_id(facts, deletions=self._sends_parent_of_deletions)
        reason = document_refusal(facts, decision, self._ipp_oid)
        return DocumentRecord(
            mail=self.known.record.mail,
            number=number,
            event=facts.event,
            chain=chain_key(self.mailbox, facts.id),
            parent_chain=chain_key(self.mailbox, parent) if parent else None,
            version=version_of(facts),
            masks=facts.masks,
            integration=Integration.WAITING if integrate else Integration.NOT_OWED,
            reason=None if reason is None else reason.value,
            ipp=decision.ipp if integrate else "",
            level=decision.level.value,
            findings=decision.findings,
            warnings=tuple(str(word) for word in (*facts.warnings, *decision.warnings)),
            traits=traits_to_send(facts.identity, decision) if integrate else Traits(),
            decided_at=self.ports.now(),
        )

    @property
    def _sends_parent_of_deletions(self) -> bool:
        target = self.ports.settings.dpi(self.mailbox.dpi)
        return target is not None and target.txa13_on_delete

    def _close_chains(self, records: Sequence[DocumentRecord]) -> None:
        """A document that will not be sent must not hold back its replacement."""
        for record in records:
            if record.integration is Integration.NOT_OWED:
                holder = self._holder(record.number)
                self.ledger.change_chain(record.chain, partial(_released, holder=holder))
                if record.parent_chain and self.ports.settings.match.grace_s:
                    self._tell_parent(record.parent_chain, record.chain, holder)

    def _tell_parent(self, parent: str, chain: str, holder: str) -> None:
        """What is replaced may be waiting for the feed: it learns that its successor has ended."""
        mine = self.ledger.chain(chain).record.link(holder)
        if mine is not None:
            self.ledger.change_chain(parent, partial(_succeeded, link=mine))


def _released(chain: Chain, holder: str) -> Chain:
    return chain.moved(holder, Integration.NOT_OWED)


def _succeeded(chain: Chain, link: Link) -> Chain:
    """An ended link holds nobody back; of a document that nobody waits with there is no need."""
    if all(each.integration.ended for each in chain.links):
        return chain
    return chain.joined(link)
