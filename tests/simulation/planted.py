"""Bugs planted on purpose: each is a small change of the product that the simulation must find.

`found_by` are the invariants (first words of the message of `Broken`) that may find it; another
failure would mean that the change broke the run instead of a promise.
"""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from itertools import count
from typing import Any

from pfi.errors import OutcomeUnknown, Unavailable
from pfi.journey import collect, forward, hold, identification, match, push, review
from pfi.journey import onward as onwards
from pfi.journey.chains import Chain, Turn, turn
from pfi.journey.entry import Entry
from pfi.journey.forward import _Forward
from pfi.journey.jobs import Job
from pfi.journey.ledger import Lease, Ledger, Versioned
from pfi.journey.onward import send_onward
from pfi.journey.pace import Pace
from pfi.journey.ports import Change
from pfi.journey.push import _Push
from pfi.journey.records import MailState
from pfi.names import Leg, Reason
from tests.simulation import planted_usual
from tests.simulation.bugs import PLANTED, bug
from tests.simulation.ports import FaultyRelay

__all__ = ["PLANTED", "planted_usual"]


@bug("state goes back", "settled mail changed", "ended document", "chain and", "nobody carries",
     "sent while", "not as foreseen", "two exchanges at once", "accepted twice")  # fmt: skip
def the_ledger_writes_without_its_condition() -> list[tuple[Any, str, Any]]:
    def unconditional(self: Ledger, write: Any) -> Any:
        if isinstance(write, Change):
            return replace(write, found={})
        row = self.table.get(write.pk, write.sk)
        return replace(write, revision=row.revision if row else None)

    def write(self: Ledger, *writes: Any) -> bool:
        return self.table.write(*(unconditional(self, each) for each in writes))

    return [(Ledger, "write", write)]


@bug("session without", "lease taken")
def the_lease_is_ignored() -> list[tuple[Any, str, Any]]:
    return [(Ledger, "lease", lambda _self, _mailbox, _owner, _seconds: Lease.TAKEN)]


@bug("mail neither", "mail lost", "nobody carries")
def a_mail_is_committed_before_it_is_stored() -> list[tuple[Any, str, Any]]:
    def take(self: Any, waiting: Any) -> None:
        tried, raw, mail = _fetched(self, waiting)
        self._commit(waiting, tried, mail, f"incoming/{self.mailbox.id}/{mail}.eml")
        self.ports.store.put_mail(self.mailbox.id, mail, raw)
        self._file(waiting.uid, self.ports.settings.operator.processed_folder)

    return [(collect._Poll, "_take", take)]


@bug("mail lost")
def a_mail_is_moved_before_it_is_committed() -> list[tuple[Any, str, Any]]:
    def take(self: Any, waiting: Any) -> None:
        tried, raw, mail = _fetched(self, waiting)
        self._file(waiting.uid, self.ports.settings.operator.processed_folder)
        key = self.ports.store.put_mail(self.mailbox.id, mail, raw)
        self._commit(waiting, tried, mail, key)

    return [(collect._Poll, "_take", take)]


def _fetched(poll: Any, waiting: Any) -> tuple[Any, bytes, str]:
    tried = poll._tried(waiting) if poll.warned else waiting.known
    raw = poll.session.fetch(waiting.uid, waiting.size)
    return tried, raw, hashlib.sha256(raw).hexdigest()


@bug("nobody carries", "mail neither")
def a_repeated_job_sends_nothing_onward() -> list[tuple[Any, str, Any]]:
    def onward(mail: Any, documents: Any, ports: Any) -> None:
        if not isinstance(documents, list):  # a list is what a repeated job reads
            send_onward(mail, documents, ports)

    return [(onwards, "send_onward", onward)]


@bug("child accepted", "accepted twice")
def nobody_waits_for_the_parent() -> list[tuple[Any, str, Any]]:
    def impatient(chain: Chain, holder: str, parent: Chain | None) -> Turn:
        taken = turn(chain, holder, parent)
        return Turn.GO if taken is Turn.WAIT else taken

    return [(push, "turn", impatient)]


@bug("accepted twice", "accepted from two mails")
def a_repeat_is_sent_again() -> list[tuple[Any, str, Any]]:
    def forgetful(chain: Chain, holder: str, parent: Chain | None) -> Turn:
        taken = turn(chain, holder, parent)
        return Turn.GO if taken is Turn.REPEAT else taken

    return [(push, "turn", forgetful)]


@bug("accepted twice", "accepted from two mails")
def a_version_of_unknown_outcome_is_sent_by_another_mail() -> list[tuple[Any, str, Any]]:
    def careless(chain: Chain, holder: str, parent: Chain | None) -> Turn:
        taken = turn(chain, holder, parent)
        return Turn.GO if taken is Turn.DOUBTFUL else taken

    return [(push, "turn", careless)]


@bug("bytes left before", "sent while")
def the_message_leaves_before_the_ledger_says_so() -> list[tuple[Any, str, Any]]:
    def exchange(self: Any, document: Any, chain: Any, message: Any) -> Any:
        self.ports.dpi(self.target).exchange(message, document.control_id)
        return real(self, document, chain, message)

    real = _Push._exchange
    return [(_Push, "_exchange", exchange)]


def _without_memory(self: Any) -> Any:
    fresh = Versioned(replace(self.document, control_id=None), self.entry.document.revision)
    return replace(self, entry=replace(self.entry, document=fresh))


@bug("MSH-10 changed", "accepted from two mails", "other bytes")
def each_attempt_has_a_new_control_id() -> list[tuple[Any, str, Any]]:
    numbers = count(1)
    go = _Push._go

    def again(self: Any) -> Any:
        return go(_without_memory(self), self.entry.chain_now(), self.entry.parent())

    return [
        (push, "new_control_id", lambda _document: f"PFI{next(numbers):017}"),
        (_Push, "_go", lambda self, chain, parent: go(_without_memory(self), chain, parent)),
        (_Push, "_after_a_lost_answer", again),
    ]


@bug("other bytes")
def a_repeat_has_new_bytes() -> list[tuple[Any, str, Any]]:
    def again(self: Any) -> Any:
        busy = self.document.busy_until
        if busy is not None and busy > self.ports.now():
            raise Unavailable(Reason.DPI_UNAVAILABLE)
        if self.document.sends > self.target.resend_on_unknown:
            return self._unknown(self.entry)
        fresh = replace(self.document, built_at=self.ports.now())
        return self._exchange(fresh, self.entry.chain_now(), self._message(fresh))

    return [(_Push, "_after_a_lost_answer", again)]


@bug("sent again after too many", "resent too often", "in doubt but not in review")
def a_lost_answer_is_taken_for_nothing_sent() -> list[tuple[Any, str, Any]]:
    def lost(self: Any, sent: Any) -> Any:
        return self._nothing_left(sent, Unavailable(Reason.DPI_UNAVAILABLE))

    return [(_Push, "_lost", lost)]


@bug(
    "chain and document differ", "accepted twice", "accepted from two", "link of", "child accepted"
)
def the_chain_is_not_told() -> list[tuple[Any, str, Any]]:
    def write(self: Any, document: Any, _chain: Any, *also: Any) -> bool:
        put = self.ledger.document_put(document, self.document.revision)
        return bool(self.ledger.write(put, *also))

    return [(Entry, "_write", write)]


@bug("integrated without", "wrong route", "integrated but not", "mail neither", "at the DPI but")
def a_mail_is_settled_before_its_documents_end() -> list[tuple[Any, str, Any]]:
    def always(mail: str, documents: Any, jobs: Any) -> None:
        close(mail, (each for each in documents if each.integration.ended), jobs)

    close = push.close_if_ended
    return [(forward, "all", lambda _: True), (push, "close_if_ended", always)]


@bug("forward left twice", "answer left twice")
def a_leg_is_not_written_down_when_it_is_sent() -> list[tuple[Any, str, Any]]:
    def told(self: Any, known: Any, **changes: Any) -> Any:
        if Leg.SENT in changes.values():
            told = replace(known.record, **changes, busy_until=None)
            return Versioned(told, (known.revision or 0) + 1)
        return real(self, known, **changes)

    real = _Forward._told
    return [(_Forward, "_told", told)]


@bug("forward left twice", "answer left twice", "settled mail changed")
def two_jobs_may_send_one_mail_at_once() -> list[tuple[Any, str, Any]]:
    return [(_Forward, "_busy", lambda self, _known: self.ports.now())]


@bug("forward left twice", "answer left twice")
def a_copy_counted_meanwhile_makes_a_mail_leave_again() -> list[tuple[Any, str, Any]]:
    def told(self: Any, known: Any, **changes: Any) -> Any:
        _count_a_copy(self.ledger, known.record.mail)
        return self._save(known, **changes, busy_until=None)

    return [(_Forward, "_told", told)]


def _count_a_copy(ledger: Ledger, mail: str) -> None:
    """As `collect` may at this very moment."""
    known = ledger.mail(mail)
    assert known is not None
    ledger.save_mail(known, copies=known.record.copies + 1)


@bug("forward said sent", "answer said sent", "forward missing", "answer missing")
def a_lost_reply_of_the_relay_counts_as_sent() -> list[tuple[Any, str, Any]]:
    def send(self: Any, mail: Any) -> None:
        try:
            real(self, mail)
        except OutcomeUnknown:
            return

    real = FaultyRelay.send
    return [(FaultyRelay, "send", send)]


@bug("review item without mark", "mail neither")
def a_review_item_does_not_mark_its_mail() -> list[tuple[Any, str, Any]]:
    return [(review, "_mark", lambda *_: None)]


@bug("review mark lost")
def settling_forgets_the_review_mark() -> list[tuple[Any, str, Any]]:
    def save(self: Any, known: Any, **changes: Any) -> Any:
        if "settled_at" in changes:
            changes["review"] = False
        return real(self, known, **changes)

    real = _Forward._save
    return [(_Forward, "_save", save)]


@bug("wrong route", "not as foreseen", "MDN processed", "contradicting")
def the_reason_of_a_review_item_becomes_that_of_the_mail() -> list[tuple[Any, str, Any]]:
    def mark(ledger: Ledger, mail: str, key: str) -> None:
        real(ledger, mail, key)
        known = ledger.mail(mail)
        open_still = known is not None and known.record.state is not MailState.SETTLED
        if open_still and known.record.reason is None:
            ledger.save_mail(known, reason=key.rpartition("#")[2])

    real = review._mark
    return [(review, "_mark", mark)]


@bug("link of a settled mail")
def a_duplicate_stands_in_the_chain() -> list[tuple[Any, str, Any]]:
    def one_by_one(self: Any, known: Any, decisions: Any) -> Any:
        self._join(known.record)
        return real(self, known, decisions)

    real = match._Match.one_by_one
    return [(match._Match, "one_by_one", one_by_one)]


@bug("MDM of a mail that does not match")
def identity_is_not_looked_at() -> list[tuple[Any, str, Any]]:
    return [(match, "refusal", lambda *_: None)]


@bug("in doubt but not in review")
def a_second_acceptance_is_told_to_nobody() -> list[tuple[Any, str, Any]]:
    return [(_Push, "_maybe_twice", lambda _self: None)]


@bug("two exchanges at once", "exchanges too close")
def the_turn_of_another_worker_is_not_waited_for() -> list[tuple[Any, str, Any]]:
    @contextmanager
    def turn(_self: Pace, _life: timedelta) -> Iterator[bool]:
        yield True

    return [(Pace, "busy", lambda _self: False), (Pace, "turn", turn)]


@bug("nobody carries", "mail neither")
def a_held_document_is_dropped_silently() -> list[tuple[Any, str, Any]]:
    def give_up(_self: Any, _reason: Reason) -> Any:
        return push.Outcome(push.Log.JOB_SET_ASIDE, {})

    return [
        (_Push, "_to_review", give_up),
        (_Push, "_refused", lambda _self, _reason, _now=None: give_up(_self, _reason)),
        (hold, "timedelta", lambda seconds: timedelta(seconds=min(seconds, 3600))),
    ]


@bug("accepted twice", "accepted from two mails", "sent while", "two exchanges at once")
def a_slow_worker_is_thought_dead() -> list[tuple[Any, str, Any]]:
    return [(push, "LIFE_S", 0), (push, "MARGIN_S", -1000)]


@bug("patient data in a ledger key")
def a_chain_is_filed_under_the_identifier_of_its_document() -> list[tuple[Any, str, Any]]:
    return [(match, "chain_key", lambda _mailbox, document: document)]


@bug("patient data in a queue")
def a_job_carries_the_name_of_its_patient() -> list[tuple[Any, str, Any]]:
    def dump(self: Job) -> str:
        return json.dumps({"mail": self.mail, "document": self.document, "of": "QUEMENEVEN"})

    return [(Job, "dump", dump)]


@bug("patient data in a text of an error")
def an_error_quotes_the_mail() -> list[tuple[Any, str, Any]]:
    real = identification.identify

    def identify(identity: Any, *more: Any) -> Any:
        decision = real(identity, *more)
        if not decision.integrate:
            raise Unavailable(Reason.STORE_UNAVAILABLE, code=identity.traits.birth_name)
        return decision

    return [(match, "identify", identify)]


@bug("MDM of a mail that does not match")
def an_old_decision_is_not_taken_again() -> list[tuple[Any, str, Any]]:
    return [(_Push, "_stale", lambda _self: False)]
