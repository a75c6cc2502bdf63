"""After an answer was lost: what may leave again, for whom, and who hears of two acceptances."""

from dataclasses import replace
from datetime import timedelta

import pytest

from infra.operations.redriving import _as_before_the_push, chain_change
from pfi.adapters.csv_patients import ListedPatients
from pfi.errors import OutcomeUnknown, Unavailable
from pfi.journey.outcome import Log
from pfi.journey.push import LIFE_S, MARGIN_S, push
from pfi.names import Integration, Reason, Route, Step
from tests.data.builders import LEA, document
from tests.unit.journey.test_pace import drive, ready
from tests.unit.journey.test_routes import letter

LOST = OutcomeUnknown(Reason.DPI_OUTCOME_UNKNOWN)
AWAY = Unavailable(Reason.DPI_UNAVAILABLE)
LONG = 11 * 60
"""Seconds after which a decision is taken again before anything leaves."""
RENUMBERED = replace(LEA.record, ipp="IPP-OF-ANOTHER")


def lost(**changes):
    """A hospital whose DPI took a document and whose answer was lost; and the job."""
    one = drive(hold_s=86_400, **changes)
    job = ready(one)
    one.ports.hospital.answers = [LOST]
    with pytest.raises(OutcomeUnknown):
        push(job, one.ports)
    return one, job


def row(one, job):
    return one.ledger.document(job.mail, job.document).record


def base(one, *patients):
    one.ports.patients = ListedPatients(patients)


@pytest.mark.parametrize(
    "patients",
    [(), (replace(LEA.record, status="PROV"),), (RENUMBERED,)],
    ids=["gone", "no longer qualified", "another IPP"],
)
def test_a_repeat_never_leaves_for_a_patient_that_the_base_no_longer_names(patients):
    one, job = lost()
    one.clock.advance(LONG)
    base(one, *patients)
    assert push(job, one.ports).log is Log.DOCUMENT_UNKNOWN
    assert len(one.ports.hospital.received) == 1
    assert row(one, job).integration is Integration.UNKNOWN


def test_a_repeat_leaves_while_the_decision_is_fresh_or_still_stands():
    for wait in (60, LONG):
        one, job = lost()
        one.clock.advance(wait)
        assert push(job, one.ports).log is Log.DOCUMENT_INTEGRATED
        assert len(set(one.ports.hospital.received)) == 1


def test_a_first_message_never_leaves_for_an_ipp_that_the_base_gave_to_another():
    """The same identity is found again, under another number: the message would name the old."""
    one = drive()
    job = ready(one)
    one.clock.advance(LONG)
    base(one, RENUMBERED)
    assert push(job, one.ports).log is Log.DOCUMENT_REFUSED
    assert one.ports.hospital.received == []
    assert row(one, job).reason == Reason.BASE_CHANGED.value


@pytest.mark.parametrize("sent", [True, False], ids=["still sent", "of unknown outcome"])
def test_a_redrive_weeks_later_sends_nothing_to_a_patient_of_then(sent):
    one, job = lost()
    known = one.ledger.document(job.mail, 1)
    if not sent:
        again = _as_before_the_push(replace(known.record, integration=Integration.UNKNOWN))
        one.ledger.write(one.ledger.document_put(again, known.revision))
        one.ledger.change_chain(again.chain, chain_change(again))
    one.clock.advance(20 * 86_400)
    base(one)
    log = push(job, one.ports).log
    assert log is (Log.DOCUMENT_UNKNOWN if sent else Log.DOCUMENT_REFUSED)
    assert len(one.ports.hospital.received) == 1


def test_a_document_of_lost_answer_whose_patient_changed_goes_to_a_person():
    one = drive(hold_s=86_400)
    one.ports.hospital.answers = [LOST]
    one.ports.inbox.deliver(letter(document(LEA)))
    one.collect()
    one.work(rounds=1, pause_s=LONG)
    base(one)
    one.work()
    [key] = [pk for pk, sk in one.ports.table.rows if sk == "MAIL"]
    found = one.mail(key.removeprefix("MAIL#"))
    assert (found.route, found.reason) == (Route.REVIEW, Reason.DPI_OUTCOME_UNKNOWN.value)


def test_a_refusal_to_be_tried_later_says_nothing_of_the_earlier_answer_that_was_lost():
    one, job = lost()
    one.ports.hospital.answers = ["AR 207"]
    one.clock.advance(120)
    with pytest.raises(Unavailable):
        push(job, one.ports)
    assert (row(one, job).integration, row(one, job).ack) == (Integration.SENT, None)


# a second acceptance


def test_a_repeat_that_the_dpi_may_hold_twice_is_integrated_and_told():
    one, job = lost()
    assert push(job, one.ports).log is Log.DOCUMENT_INTEGRATED
    assert one.ports.jobs.review == [(Step.PUSH, job, Reason.DPI_MAYBE_TWICE)]
    assert row(one, job).integration is Integration.INTEGRATED


def test_a_dpi_that_recognises_repeats_holds_it_once_and_nobody_is_asked():
    one, job = lost(recognises_repeats=True)
    assert push(job, one.ports).log is Log.DOCUMENT_INTEGRATED
    assert one.ports.jobs.review == []


def test_a_document_that_left_once_is_nobodys_doubt():
    one = drive()
    job = ready(one)
    one.ports.hospital.answers = [AWAY]
    with pytest.raises(Unavailable):
        push(job, one.ports)
    assert push(job, one.ports).log is Log.DOCUMENT_INTEGRATED
    assert one.ports.jobs.review == []


def test_a_repeat_that_the_dpi_refuses_is_no_second_acceptance():
    one, job = lost()
    one.ports.hospital.answers = ["AE 207 902"]
    assert push(job, one.ports).log is Log.DOCUMENT_REFUSED
    assert one.ports.jobs.review == []


def test_a_crash_between_the_telling_and_the_writing_tells_it_again_and_not_twice():
    one, job = lost()
    write = one.ports.table.write

    def failing(*puts):
        if any(put.data.get("integration") == "integrated" for put in puts):
            raise Unavailable(Reason.STORE_UNAVAILABLE)
        return write(*puts)

    one.ports.table.write = failing
    with pytest.raises(Unavailable):
        push(job, one.ports)
    assert [reason for *_, reason in one.ports.jobs.review] == [Reason.DPI_MAYBE_TWICE]
    one.ports.table.write = write
    one.clock.advance(LIFE_S + MARGIN_S)
    push(job, one.ports)
    one._review()
    assert [each.reason for each in one.ledger.reviews(job.mail)] == [Reason.DPI_MAYBE_TWICE.value]
    assert row(one, job).integration is Integration.INTEGRATED


# how long a worker may be on the wire


def claimed_until(one, job):
    """What the ledger says while the message is on its way."""
    seen = []

    class Wire:
        def exchange(self, message, control_id):
            seen.append(row(one, job).busy_until - one.clock.now)
            raise AWAY

    one.ports.dpi = lambda _target: Wire()
    with pytest.raises(Unavailable):
        push(job, one.ports)
    return seen[0]


@pytest.mark.parametrize(
    ("life", "exchange", "claimed"),
    [(105, (10, 60), 105), (25, (5, 10), 25), (25, (10, 60), 75), (900, (10, 60), LIFE_S)],
)
def test_a_worker_is_thought_dead_after_its_life_where_it_runs_never_during_an_exchange(
    life, exchange, claimed
):
    connect, answer = exchange
    one = drive(connect_timeout_s=connect, ack_timeout_s=answer)
    one.ports.life_s = life
    assert claimed_until(one, ready(one)) == timedelta(seconds=claimed)
