"""Match the documents of a mail with the hospital's patient base: all of them, or none.

A mail is whole-or-fallback before the first MDM (Q-19): one document that fails identity sends
the whole mail to a person. Deciding all documents in one job makes that a single transaction;
a job per document would need a second meeting point (docs/decisions/0004).

The usual mail was collected once, of documents that nobody has heard of, of a patient who is known:
one transaction says so, and fails when any of it is not true. Then each thing is looked at in turn
(docs/decisions/0025).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Any, Final

from pfi.errors import Misconfigured, Unavailable
from pfi.ins.concordance import Decision, traits_to_send
from pfi.ins.identity import Traits
from pfi.journey.chains import Chain, Link, holder_of
from pfi.journey.counting import counted
from pfi.journey.grace import may_wait, next_look_s, overtaken
from pfi.journey.identification import (
    document_refusal,
    identify,
    ipp_oid,
    match_policy,
    refusal,
)
from pfi.journey.jobs import Job, ReadMail
from pfi.journey.keys import (
    chain_key,
    chain_keys,
    message_digest,
    parent_id,
    patients_of,
    same_mail,
    version_of,
)
from pfi.journey.ledger import Ledger, Versioned
from pfi.journey.onward import repeated, send_onward
from pfi.journey.outcome import Digest, Fact, Log, Outcome
from pfi.journey.ports import Change, Ports, Put
from pfi.journey.records import DocumentFacts, DocumentRecord, Dossier, MailRecord, MailState
from pfi.journey.sending import sent_of
from pfi.journey.settings import MailboxSettings
from pfi.names import Integration, Reason, Route, Step

MOST_AT_ONCE: Final = 40
"""Documents of a usual mail: with their chains they fit into one transaction of 100 writes."""
_UNDECIDED: Final = (MailState.RECEIVED, MailState.READ)


def match(work: Job | ReadMail, ports: Ports) -> Outcome:
    """Decide each document's identity and write the decisions down, all or nothing."""
    ledger = Ledger(ports.table, ports.now, ports.settings.ledger_days)
    if isinstance(work, ReadMail):
        mailbox = _mailbox(work.mailbox, ports)
        return _Match(work.key, ports.store.dossier(work.key), mailbox, ledger, ports).read(work)
    known = ledger.mail(work.mail)
    if known is None:
        raise Unavailable(Reason.STORE_UNAVAILABLE)
    if known.record.state not in _UNDECIDED:
        return repeated(known.record, ledger, ports)
    mailbox, key = _mailbox(known.record.mailbox, ports), known.record.dossier_key
    found = _Match(key, ports.store.dossier(key), mailbox, ledger, ports)
    return found.one_by_one(known, found.decisions())


def _mailbox(name: str, ports: Ports) -> MailboxSettings:
    mailbox = ports.settings.mailbox(name)
    if mailbox is None:
        raise Misconfigured(Reason.SETTING_MISSING)
    return mailbox


@dataclass(frozen=True, slots=True)
class _Match:
    key: str
    dossier: Dossier
    mailbox: MailboxSettings
    ledger: Ledger
    ports: Ports

    def read(self, work: ReadMail) -> Outcome:
        """A mail that was just read."""
        decisions = self.decisions()
        if self._refusal(decisions) is None and self._fits():
            outcome = self._at_once(work, decisions)
            if outcome is not None:
                return outcome
        known = self._row(work) or self._fresh_row(work) or self._row(work)
        if known is None:
            raise Unavailable(Reason.STORE_UNAVAILABLE)
        if known.record.state not in _UNDECIDED:
            return repeated(known.record, self.ledger, self.ports)
        return self.one_by_one(known, decisions)

    def _row(self, work: ReadMail) -> Versioned[MailRecord] | None:
        return self.ledger.mail_of(work.mailbox, work.seal)[1]

    def _fresh_row(self, work: ReadMail) -> Versioned[MailRecord] | None:
        """Of another producer, or `collect` has not committed it yet. Written before anything is
        claimed in its name; None when somebody was quicker, be it with the same bytes in another
        mailbox."""
        mail, _ = self.ledger.mail_of(work.mailbox, work.seal)
        fresh = MailRecord(
            mail=mail,
            mailbox=work.mailbox,
            key=self.dossier.key,
            received_at=self.dossier.arrived_at or self.ports.now(),
            dossier=work.key,
        )
        return Versioned(fresh, 1) if self.ledger.write(self.ledger.mail_put(fresh, None)) else None

    # the usual mail

    def _fits(self) -> bool:
        """Each document has a chain of its own, and one transaction holds them all."""
        return len(set(self._keys)) == len(self.dossier.documents) <= MOST_AT_ONCE

    def _at_once(self, work: ReadMail, decisions: Sequence[Decision]) -> Outcome | None:
        """Nothing was read before: each write says what it takes for granted."""
        arrived_at = self.dossier.arrived_at or self.ports.now()
        usual = MailRecord(
            mail=work.seal, mailbox=work.mailbox, key=self.dossier.key, received_at=arrived_at
        )
        decided = self._decided(None)
        mail = replace(usual, **decided)
        records = self._records(mail, decisions, refused=None)
        writes: list[Put | Change] = [self.ledger.mail_change(mail, usual.state, *decided)]
        if same := self._same:
            writes.append(self.ledger.claim_put(same, mail.mail))
        for record, facts in zip(records, self.dossier.documents, strict=True):
            joined = self._joined(Chain(), mail, record.number, facts)
            writes.append(self.ledger.chain_put(record.chain, joined, None))
            writes.append(self.ledger.document_put(record, None))
        if not self.ledger.write(*writes):
            return None
        return self._sent_onward(mail, records)

    # any other mail

    def one_by_one(self, known: Versioned[MailRecord], decisions: Sequence[Decision]) -> Outcome:
        """Claimed before the chains are joined: a duplicate must never stand in a chain, where its
        link would hold back every later version and never end."""
        ours = self._claimed(known)
        if ours is None:
            return self._duplicate(known)
        known = ours
        joined = self._join(known.record)
        reason = self._refusal(decisions)
        if self._overtaken(known.record, joined):
            reason = reason or _awaited(known.record)
        elif reason is not None and (pause := self._pause(known.record, decisions, reason)):
            return self._again(known, reason, pause)
        records = self._records(known.record, decisions, refused=reason)
        self._close_chains(known.record, records)
        puts = [self.ledger.document_put(record, None) for record in records]
        decided = self._advance(known, *puts, **self._decided(reason))
        return self._sent_onward(decided, records)

    @property
    def _keys(self) -> tuple[str, ...]:
        return tuple(chain_key(self.mailbox, each.id) for each in self.dossier.documents)

    def _claimed(self, known: Versioned[MailRecord]) -> Versioned[MailRecord] | None:
        """The mail as the first of its kind, with its chains named in its row; None: a duplicate.

        They are named before it stands in them: its mailbox may serve another DPI by the next look,
        and whoever ends the mail lets go of them all.
        """
        before, mail = known.record.chains, known.record.mail
        keys = (*self._keys, *self._unnamed(known.record))
        new = tuple(dict.fromkeys(each for each in keys if each not in before))
        named = Versioned(replace(known.record, chains=(*before, *new)), (known.revision or 0) + 1)
        if known.record.state is MailState.RECEIVED and (same := self._same):
            claim = self.ledger.claim_put(same, mail)
            if self.ledger.write(claim, self.ledger.mail_put(named.record, known.revision)):
                return named
            if self.ledger.claim(same, mail) != mail:
                return None
        if not new:
            return known
        return replace(named, record=self._advance(known, chains=named.record.chains))

    def _unnamed(self, mail: MailRecord) -> tuple[str, ...]:
        """Where a mail may stand that version 0.2 matched: its row names no chain."""
        if mail.chains or mail.state is not MailState.READ:
            return ()
        return chain_keys(self.dossier.documents, self.ports.settings)

    @property
    def _same(self) -> str:
        return same_mail(self.mailbox, self.dossier)

    def _join(self, mail: MailRecord) -> tuple[Chain, ...]:
        """Stand in the chain of each document, once; the chains as they are then."""
        pairs = zip(self._keys, self.dossier.documents, strict=True)
        return tuple(
            self.ledger.change_chain(
                key, partial(self._joined, mail=mail, number=number, document=document)
            )
            for number, (key, document) in enumerate(pairs, start=1)
        )

    def _joined(
        self, chain: Chain, mail: MailRecord, number: int, document: DocumentFacts
    ) -> Chain:
        grace = timedelta(seconds=self.ports.settings.retry.order_grace_s)
        link = Link(
            holder=holder_of(mail.mail, number),
            order=chain.place(document.event, mail.received_at, grace),
            version=version_of(document),
            masks=document.masks,
            patients=patients_of(document),
        )
        return chain.joined(link)

    def _duplicate(self, known: Versioned[MailRecord]) -> Outcome:
        route, reason = Route.DUPLICATE, Reason.SAME_MAIL
        settled: dict[str, Any] = {"route": route, "settled_at": self.ports.now()}
        told = {**self._decided(reason), "documents": 0, "state": MailState.SETTLED}
        mail = self._advance(known, **told, **settled)
        sender = self.dossier.facts.sender
        facts, counts = counted(route, reason, sender, self.mailbox, self.ports.settings)
        return Outcome(Log.MAIL_DUPLICATE, {"mail": Digest(mail.mail), **facts}, counts)

    def _advance(self, known: Versioned[MailRecord], *puts: Put, **changes: Any) -> MailRecord:
        """Change the mail, whose copies `collect` may count meanwhile; another `match` may not
        win."""
        current: Versioned[MailRecord] | None = known
        while current is not None and self._still_ours(current.record, known.record):
            record = replace(current.record, **changes)
            if self.ledger.write(self.ledger.mail_put(record, current.revision), *puts):
                return record
            current = self.ledger.mail(known.record.mail)
        raise Unavailable(Reason.STORE_UNAVAILABLE)  # somebody else decided: look again

    def _still_ours(self, now: MailRecord, before: MailRecord) -> bool:
        return now.state is before.state and now.mailbox == self.mailbox.id

    # the decision

    def _refusal(self, decisions: Sequence[Decision]) -> Reason | None:
        """Why the mail cannot be integrated: it was not readable, or not of a known patient."""
        if self.dossier.reason is not None:
            return Reason(self.dossier.reason)
        return refusal(self.dossier.documents, decisions, self._ipp_oid)

    def _decided(self, reason: Reason | None) -> dict[str, Any]:
        """What the mail becomes."""
        return {
            "state": MailState.DECIDED,
            "reason": None if reason is None else reason.value,
            "documents": len(self.dossier.documents),
            "message": message_digest(self.dossier.facts.message_id),
            "sent": sent_of(self.dossier, self.ports.settings),
            "dossier": self.key,
        }

    def _sent_onward(self, mail: MailRecord, records: Sequence[DocumentRecord]) -> Outcome:
        send_onward(mail, records, self.ports)
        facts: dict[str, Fact] = {
            "mail": Digest(mail.mail),
            "documents": len(records),
            "reason": None if mail.reason is None else Reason(mail.reason),
        }
        return Outcome(Log.MAIL_DECIDED, facts)

    def _pause(self, mail: MailRecord, decisions: Sequence[Decision], reason: Reason) -> int:
        """Seconds until the patient base is asked again; 0 when the decision stands."""
        if self.dossier.reason is not None:
            return 0
        pairs = zip(self.dossier.documents, decisions, strict=True)
        reasons = (document_refusal(*pair, self._ipp_oid) for pair in pairs)
        if not may_wait(self.dossier.documents, (reason, *reasons)):
            return 0
        waited = self.ports.now() - mail.received_at
        return next_look_s(self.ports.settings.match.grace_s, waited)

    def _again(self, known: Versioned[MailRecord], reason: Reason, pause: int) -> Outcome:
        """Nothing is decided yet. The job is handed back as a new one: waiting uses up no receive
        of its message, and the mail is `read`, so that it is under way for everybody."""
        record = known.record
        if record.state is MailState.RECEIVED:
            self._advance(known, **{**self._decided(reason), "state": MailState.READ})
        elif record.reason != reason.value:
            self.ledger.save_mail(known, reason=reason.value)  # for who looks; it may fail
        self.ports.jobs.send(Step.MATCH, Job(record.mail), delay_s=pause)
        return Outcome(Log.MAIL_AWAITS_FEED, {"mail": Digest(record.mail), "reason": reason})

    def _overtaken(self, mail: MailRecord, joined: Sequence[Chain]) -> bool:
        """The wait is over when somebody else has in hand what replaces or deletes one of the
        documents. Asked only of a mail that waited: all others go by the turns of the chain."""
        if _awaited(mail) is None:
            return False
        pairs = enumerate(joined, start=1)
        return any(overtaken(chain, holder_of(mail.mail, number)) for number, chain in pairs)

    @property
    def _ipp_oid(self) -> str:
        return ipp_oid(self.mailbox, self.ports.settings)

    def decisions(self) -> tuple[Decision, ...]:
        """The identity of each document."""
        policy = match_policy(self.ports.settings)
        return tuple(
            identify(each.identity, self.mailbox.establishment, self.ports.patients, policy)
            for each in self.dossier.documents
        )

    def _records(
        self, mail: MailRecord, decisions: Sequence[Decision], *, refused: Reason | None
    ) -> tuple[DocumentRecord, ...]:
        pairs = enumerate(zip(self.dossier.documents, decisions, strict=True), start=1)
        found = [self._record(mail, n, *pair, integrate=not refused) for n, pair in pairs]
        awaited = refused is not None and refused is _awaited(mail)
        if refused is not None and awaited and not any(each.reason for each in found):
            return tuple(replace(each, reason=refused.value) for each in found)
        return tuple(found)

    def _record(
        self,
        mail: MailRecord,
        number: int,
        facts: DocumentFacts,
        decision: Decision,
        *,
        integrate: bool,
    ) -> DocumentRecord:
        """The decision as the ledger keeps it, with the traits that the message will carry."""
        parent = parent_id(facts, deletions=self._sends_parent_of_deletions)
        reason = document_refusal(facts, decision, self._ipp_oid)
        return DocumentRecord(
            mail=mail.mail,
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
            dpi=self.mailbox.dpi,
            establishment=self.mailbox.establishment,
        )

    @property
    def _sends_parent_of_deletions(self) -> bool:
        target = self.ports.settings.dpi(self.mailbox.dpi)
        return target is not None and target.txa13_on_delete

    def _close_chains(self, mail: MailRecord, records: Sequence[DocumentRecord]) -> None:
        """A document that will not be sent must not hold back its replacement, nor one that goes to
        another DPI than at an earlier look."""
        ours = self._keys
        for key in mail.chains:
            if key not in ours:
                self.ledger.change_chain(key, partial(Chain.without, mail=mail.mail))
        for record in records:
            if record.integration is Integration.NOT_OWED:
                holder = holder_of(mail.mail, record.number)
                self.ledger.change_chain(record.chain, partial(_released, holder=holder))
                if record.parent_chain and self.ports.settings.match.grace_s:
                    self._tell_parent(record.parent_chain, record.chain, holder)

    def _tell_parent(self, parent: str, chain: str, holder: str) -> None:
        """What is replaced may be waiting for the feed: it learns that its successor has ended."""
        mine = self.ledger.chain(chain).record.link(holder)
        if mine is not None:
            self.ledger.change_chain(parent, partial(_succeeded, link=mine))


def _awaited(mail: MailRecord) -> Reason | None:
    """What a mail that was looked at before was waiting for."""
    return None if mail.reason is None else Reason(mail.reason)


def _released(chain: Chain, holder: str) -> Chain:
    return chain.moved(holder, Integration.NOT_OWED)


def _succeeded(chain: Chain, link: Link) -> Chain:
    """An ended link holds nobody back; of a document that nobody waits with there is no need."""
    if all(each.integration.ended for each in chain.links):
        return chain
    return chain.joined(link)
