"""Settle a mail whose documents have all ended: forward it, answer it, or nothing.

Each outgoing mail is a leg of its own with a stable Message-ID, written down before it leaves;
repeating the job never sends a leg that is known to be sent.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from pfi.errors import Misconfigured, OutcomeUnknown, Refused, Unavailable
from pfi.journey.answers import Answers
from pfi.journey.counting import counted
from pfi.journey.jobs import Job
from pfi.journey.ledger import Ledger, Versioned
from pfi.journey.outcome import Digest, Fact, Log, Outcome
from pfi.journey.ports import Ports
from pfi.journey.records import DocumentRecord, Dossier, MailRecord, MailState
from pfi.journey.settings import MailboxSettings
from pfi.journey.settlement import Ending, Settlement, settle
from pfi.mail.outbound import Outgoing
from pfi.names import Leg, Mdn, Reason, Route, Step

RESENDS = 3
"""How often a forward whose fate is unknown leaves again, under the same Message-ID: a second copy
in the fallback mailbox is better than none. An answer never does: one per mail (N-04)."""
NOTICES_PER_HOUR = 20
"""Failure notices to one address in an hour (F-06); beyond, a person looks."""
PATIENCE = 3
"""Relay time-outs, each per reply, before a leg is thought abandoned: its Lambda dies earlier."""


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
    dossier = ports.store.dossier(known.record.dossier_key)
    reason = known.record.reason
    owed = settle(dossier.facts, reason, endings(documents), mailbox, ports.settings)
    return _Forward(known, documents, dossier, owed, mailbox, ledger, ports).run()


@dataclass(frozen=True, slots=True)
class _Forward:
    known: Versioned[MailRecord]
    documents: tuple[DocumentRecord, ...]
    dossier: Dossier
    owed: Settlement
    mailbox: MailboxSettings
    ledger: Ledger
    ports: Ports

    def run(self) -> Outcome:
        record, owed = self.known.record, self.owed
        answers = Answers(
            record,
            self.dossier,
            self.documents,
            owed,
            self.mailbox,
            self.ports.settings,
            self.ports.now(),
        )
        answering = bool(owed.mdn_to or owed.notice_to)
        raw = self.ports.store.get(record.key) if owed.forward_to or answering else b""
        known = self.known
        if owed.forward_to:
            known = self._leg("forward", known, lambda: answers.forward(raw))
        if answering:
            known = self._leg("answer", known, lambda: answers.answer(raw))
        return self._settle(known, owed)

    def _leg(
        self, leg: str, known: Versioned[MailRecord], build: Callable[[], Outgoing]
    ) -> Versioned[MailRecord]:
        """Send one outgoing mail unless it is known to be sent or given up."""
        if getattr(known.record, leg) in (Leg.SENT, Leg.FAILED):
            return known
        busy_until, sends = self._busy(known), getattr(known.record, f"{leg}_sends")
        reason = self._given_up(leg, known.record)
        if reason is not None:
            return self._save(known, **{leg: Leg.FAILED}, leg_reason=reason.value)
        taken = {leg: Leg.OWED, f"{leg}_sends": sends + 1, "busy_until": busy_until}
        known = self._save(known, **taken)
        mail = build()
        try:
            self.ledger.remember_sent(mail.message_id, known.record.mail)
            self.ports.relay(self.mailbox).send(mail)
        except Refused as refused:
            return self._told(known, **{leg: Leg.FAILED}, leg_reason=refused.reason.value)
        except (Unavailable, Misconfigured):
            self._told(known, **{f"{leg}_sends": sends})  # nothing left
            raise
        except OutcomeUnknown:
            self._told(known)
            raise
        return self._told(known, **{leg: Leg.SENT})

    def _given_up(self, leg: str, record: MailRecord) -> Reason | None:
        """Why this leg does not leave (again)."""
        if leg == "forward":
            if not self._may_forward(record):
                return Reason.FORWARD_LOOP
            return Reason.RELAY_OUTCOME_UNKNOWN if record.forward_sends > RESENDS else None
        if record.answer_sends:
            return Reason.RELAY_OUTCOME_UNKNOWN
        return None if self._may_notify() else Reason.TOO_MANY_NOTICES

    def _may_forward(self, record: MailRecord) -> bool:
        """A rule of the fallback mailbox may send each forward back as a new mail, of which only
        the archive is known again (M-01 c). One that was let go once, or that a person sends on,
        stays so; a mail without archive bears its mark in its subject."""
        archive, to = self.dossier.archive_sha256, self.owed.forward_to
        if not archive or record.forward is not Leg.NOT_OWED:
            return True
        return self.ledger.may_forward(record.mail, record.mailbox, archive, to)

    def _may_notify(self) -> bool:
        if not self.owed.notice_to:
            return True
        return self.ledger.count_notice(self.owed.notice_to) <= NOTICES_PER_HOUR

    def _told(self, known: Versioned[MailRecord], **changes: Any) -> Versioned[MailRecord]:
        """What the relay said must not be lost because `collect` counted a copy or `review` put its
        mark meanwhile: only a claim that somebody took over stops it."""
        current: Versioned[MailRecord] | None = known
        while current is not None and current.record.busy_until == known.record.busy_until:
            told = replace(current.record, **changes, busy_until=None)
            if self.ledger.write(self.ledger.mail_put(told, current.revision)):
                return Versioned(told, (current.revision or 0) + 1)
            current = self.ledger.mail(known.record.mail)
        raise Unavailable(Reason.STORE_UNAVAILABLE)

    def _busy(self, known: Versioned[MailRecord]) -> datetime:
        """Until when nobody else may send: two jobs of one mail at once are usual, two last
        documents that end together make them."""
        busy, now = known.record.busy_until, self.ports.now()
        if busy is not None and busy > now:
            raise Unavailable(Reason.RELAY_UNAVAILABLE)  # another worker is on the wire
        return now + timedelta(seconds=PATIENCE * self.ports.settings.operator.timeout_s)

    def _settle(self, known: Versioned[MailRecord], owed: Settlement) -> Outcome:
        record = known.record
        failed = Leg.FAILED in (record.forward, record.answer)
        reason = Reason(record.leg_reason) if failed and record.leg_reason else owed.review
        if reason is not None:
            self.ports.jobs.to_review(Step.FORWARD, Job(record.mail), reason)
        settled = self._save(
            known,
            **_settled(record, owed, failed=failed),
            review=record.review or bool(reason),
            settled_at=self.ports.now(),
        ).record
        sender, route = self.dossier.facts.sender, settled.route or Route.REVIEW
        facts, counts = counted(route, settled.reason, sender, self.mailbox, self.ports.settings)
        more: dict[str, Fact] = {"mail": Digest(record.mail), "mdn": settled.mdn}
        return Outcome(Log.MAIL_SETTLED, {**facts, **more}, counts)

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
