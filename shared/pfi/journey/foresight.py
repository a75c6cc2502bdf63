"""What would happen to these mails, in order, and why: the journey without its effects.

The same pure functions as the steps (`read_mail`, `identify`, `refusal`, `settle`); where the DPI
decides, AA is assumed. `pfi explain` shows it; a test compares it with the deployed stack.
"""

import hashlib
from dataclasses import dataclass, field

from pfi.ins.concordance import Decision
from pfi.journey.chains import Chain, Link, Turn, turn
from pfi.journey.identification import (
    document_refusal,
    identify,
    ipp_oid,
    match_policy,
    refusal,
)
from pfi.journey.keys import chain_key, parent_id, patients_of, same_mail, version_of
from pfi.journey.ports import Patients
from pfi.journey.reading import read_mail
from pfi.journey.records import DocumentFacts, Dossier
from pfi.journey.settings import MailboxSettings, Settings
from pfi.journey.settlement import Ending, Settlement, settle
from pfi.names import Integration, Reason, Route


@dataclass(frozen=True, slots=True)
class DocumentForecast:
    """One document: its decision and what would become of it."""

    facts: DocumentFacts
    decision: Decision
    integration: Integration
    reason: Reason | None
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class Forecast:
    """One mail: its digest, its settlement, its documents."""

    mail: str
    dossier: Dossier
    settlement: Settlement
    documents: tuple[DocumentForecast, ...] = ()


@dataclass(slots=True)
class Foresight:
    """Remembers the mails already seen, so that duplicates are recognised in order."""

    settings: Settings
    patients: Patients
    _mails: set[str] = field(default_factory=set)
    _same: set[str] = field(default_factory=set)
    _chains: dict[str, Chain] = field(default_factory=dict)
    _arrivals: int = 0

    def foresee(self, raw: bytes, mailbox: MailboxSettings) -> Forecast:
        """What would happen to the next mail."""
        mail = hashlib.sha256(raw).hexdigest()
        dossier = read_mail(raw, mailbox, self.settings).dossier
        if self._seen_before(mail, dossier, mailbox):
            return _ended(mail, dossier, Route.DUPLICATE, Reason.SAME_MAIL.value)
        if dossier.route is not None:
            return _ended(mail, dossier, dossier.route, dossier.reason)
        documents, reason = self._documents(dossier, mailbox)
        endings = [Ending(each.integration, each.reason) for each in documents]
        settlement = settle(
            dossier.facts, dossier.reason or reason, endings, mailbox, self.settings
        )
        return Forecast(mail, dossier, settlement, documents)

    def _seen_before(self, mail: str, dossier: Dossier, mailbox: MailboxSettings) -> bool:
        same = same_mail(mailbox, dossier) if dossier.route is None else ""
        seen = mail in self._mails or (same and same in self._same)
        self._mails.add(mail)
        if same:
            self._same.add(same)
        return bool(seen)

    def _documents(
        self, dossier: Dossier, mailbox: MailboxSettings
    ) -> tuple[tuple[DocumentForecast, ...], Reason | None]:
        policy = match_policy(self.settings)
        decisions = [
            identify(each.identity, mailbox.establishment, self.patients, policy)
            for each in dossier.documents
        ]
        reason = refusal(dossier.documents, decisions, ipp_oid(mailbox, self.settings))
        return tuple(
            self._document(facts, decision, mailbox, owed=reason is None)
            for facts, decision in zip(dossier.documents, decisions, strict=True)
        ), reason

    def _document(
        self, facts: DocumentFacts, decision: Decision, mailbox: MailboxSettings, *, owed: bool
    ) -> DocumentForecast:
        reason = document_refusal(facts, decision, ipp_oid(mailbox, self.settings))
        if not owed:
            return DocumentForecast(facts, decision, Integration.NOT_OWED, reason)
        turn_taken = self._turn(facts, mailbox)
        if turn_taken is Turn.ANOTHER_PATIENT:
            reason = Reason.ANOTHER_PATIENT
            return DocumentForecast(facts, decision, Integration.REFUSED, reason)
        repeated = turn_taken is Turn.REPEAT
        return DocumentForecast(facts, decision, Integration.WOULD_INTEGRATE, None, repeated)

    def _turn(self, facts: DocumentFacts, mailbox: MailboxSettings) -> Turn:
        """The turn that the document would get; the DPI is assumed to accept what leaves."""
        self._arrivals += 1
        key, parent = chain_key(mailbox, facts.id), parent_id(facts)
        link = Link(
            holder=str(self._arrivals),
            order=f"{self._arrivals:09}",
            version=version_of(facts),
            masks=facts.masks,
            patients=patients_of(facts),
        )
        chain = self._chains.get(key, Chain()).joined(link)
        before = self._chains.get(chain_key(mailbox, parent)) if parent else None
        taken = turn(chain, link.holder, before)
        refused = taken is Turn.ANOTHER_PATIENT
        end = Integration.REFUSED if refused else Integration.INTEGRATED
        self._chains[key] = chain.moved(link.holder, end)
        return taken


def _ended(mail: str, dossier: Dossier, route: Route, reason: str | None) -> Forecast:
    return Forecast(mail, dossier, Settlement(route, reason))
