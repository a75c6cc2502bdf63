"""Settle a mail whose documents have all ended: forward it, answer it, or nothing.

Each outgoing mail is a leg of its own with a stable Message-ID, written down before it leaves;
repeating the job never sends a leg that is known to be sent.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from pfi.errors import Misconfigured, Refused, Unavailable
from pfi.journey.answers import Answers
from pfi.journey.jobs import Job
from pfi.journey.ledger import Ledger, Versioned
from pfi.journey.outcome import Digest, Log, Metric, Outcome
from pfi.journey.ports import Ports
from pfi.journey.records import DocumentRecord, MailRecord, MailState
from pfi.journey.settings import MailboxSettings
from pfi.journey.settlement import Ending, Settlement, settle
from pfi.mail.outbound import Outgoing
from pfi.names import Leg, Mdn, Reason, Route, Step

ATTEMPTS = 8
"""Tries of one outgoing mail before a person must look (mail-edge §4.3)."""


def forward(job: Job, ports: Ports) -> Outcome:
    """Send what is owed, then settle."""
    ledger = Ledger(ports.table, ports.now, ports.settings.ledger_days)
    known = ledger.mail(job.mail)
    if known is None:
        raise Unavailable(Reason.STORE_UNAVAILABLE)
    if known.record.state is MailState.SETTLED:
        return Outcome(Log.MAIL_REPEATED, {"mail": Digest(job.mail)})
    documents = tuple(each.record for each in ledger.documents(job.mail))
    ended = all(each.integration.ended for each in documents)
    if known.record.state is not MailState.DECIDED or not ended:
        return Outcome(Log.MAIL_NOT_YET, {"mail": Digest(job.mail)})
    mailbox = ports.settings.mailbox(known.record.mailbox)
    if mailbox is None:
        raise Misconfigured(Reason.SETTING_MISSING)
    return _Forward(known, documents, mailbox, ledger, ports).run()


@dataclass(frozen=True, slots=True)
class _Forward:
    known: Versioned[MailRecord]
    documents: tuple[DocumentRecord, ...]
    mailbox: MailboxSettings
    ledger: Ledger
    ports: Ports

    def run(self) -> Outcome:
        record, ports = self.known.record, self.ports
        dossier = ports.store.dossier(record.mail)
        owed = settle(
            dossier.facts, record.reason, endings(self.documents), self.mailbox, ports.settings
        )
        answers = Answers(
            record, dossier, self.documents, owed, self.mailbox, ports.settings, ports.now()
        )
        raw = (
            ports.store.get(record.key) if owed.forward_to or owed.mdn_to or owed.notice_to else b""
        )
        known = self.known
        if owed.forward_to:
            known = self._leg("forward", known, lambda: answers.forward(raw))
        if owed.mdn_to or owed.notice_to:
            known = self._leg("answer", known, lambda: answers.answer(raw))
        return self._settle(known, owed)

    def _leg(
        self, leg: str, known: Versioned[MailRecord], build: Callable[[], Outgoing]
    ) -> Versioned[MailRecord]:
        """Send one outgoing mail unless it is known to be sent or given up."""
        if getattr(known.record, leg) in (Leg.SENT, Leg.FAILED):
            return known
        attempts = getattr(known.record, f"{leg}_attempts")
        if attempts >= ATTEMPTS:
            return self._save(known, **{leg: Leg.FAILED})
        known = self._save(known, **{leg: Leg.OWED, f"{leg}_attempts": attempts + 1})
        mail = build()
        self.ledger.remember_sent(mail.message_id, known.record.mail)
        try:
            self.ports.relay(self.mailbox).send(mail)
        except Refused:
            return self._save(known, **{leg: Leg.FAILED})
        return self._save(known, **{leg: Leg.SENT})

    def _settle(self, known: Versioned[MailRecord], owed: Settlement) -> Outcome:
        record = known.record
        failed = Leg.FAILED in (record.forward, record.answer)
        reason = Reason.RELAY_REFUSED if failed else owed.review
        if reason is not None:
            self.ports.jobs.to_review(Step.FORWARD, Job(record.mail), reason)
        settled = self._save(
            known,
            **_settled(record, owed, failed=failed),
            review=bool(reason),
            settled_at=self.ports.now(),
        ).record
        facts = {"mail": Digest(record.mail), "route": settled.route, "mdn": settled.mdn}
        return Outcome(Log.MAIL_SETTLED, facts, {Metric.MAILS_SETTLED: 1})

    def _save(self, known: Versioned[MailRecord], **changes: Any) -> Versioned[MailRecord]:
        if not self.ledger.save_mail(known, **changes):
            raise Unavailable(Reason.STORE_UNAVAILABLE)  # another worker settles it
        return Versioned(replace(known.record, **changes), (known.revision or 0) + 1)


def _settled(record: MailRecord, owed: Settlement, *, failed: bool) -> dict[str, Any]:
    """The end of the mail. A forward that the relay refused leaves it to a person."""
    lost = record.forward is Leg.FAILED or (failed and owed.route is Route.REPLIED)
    answered = record.answer is Leg.SENT
    return {
        "state": MailState.SETTLED,
        "route": Route.REVIEW if lost else owed.route,
        "reason": owed.reason,
        "mdn": owed.mdn if answered else Mdn.NONE,
        "forwarded_to": owed.forward_to if record.forward is Leg.SENT else None,
        "replied_to": owed.replied_to or None if answered else None,
    }


def endings(documents: tuple[DocumentRecord, ...]) -> tuple[Ending, ...]:
    """How the documents ended, as the settlement reads it."""
    return tuple(Ending(each.integration, each.reason, each.code) for each in documents)
