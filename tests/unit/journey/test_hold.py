"""How long documents wait for a DPI that is away, and what a pause or a refused connection of
another document does to it: nothing."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest

from pfi.adapters.circuit import Circuits
from pfi.errors import Misconfigured, NotAsked, OutcomeUnknown, Unavailable
from pfi.journey.hold import LATEST_S, SOONEST_S, untried_wait_s
from pfi.journey.outcome import Log, Metric
from pfi.journey.push import push
from pfi.journey.settings import RetrySettings
from pfi.names import Integration, Reason, Step
from tests.data.builders import LEA, document
from tests.unit.journey.test_pace import drive, ready
from tests.unit.journey.test_routes import letter

DAY, HOUR = 86_400, 3600
AWAY = Unavailable(Reason.DPI_UNAVAILABLE)


def behind_a_circuit(**changes):
    one = drive(**changes)
    one.circuits = Circuits(lambda: one.clock().timestamp())
    interface = one.ports.dpi
    one.ports.dpi = lambda target: one.circuits.fuse(target, lambda: interface(target))
    return one


def backlog(one, size=5):
    """Documents of as many mails, ready for their push."""
    return [ready(one, letter(_document(n), message_id=f"<m{n}@l.fr>")) for n in range(size)]


def _document(number):
    return document(LEA, document_id=f"2.25.9.{number}.1", set_id=f"2.25.9.{number}")


def failed(one, job):
    one.ports.hospital.answers = [AWAY]
    with pytest.raises(Unavailable):
        push(job, one.ports)
    return known(one, job)


def known(one, job):
    return one.ledger.document(job.mail, job.document).record


def test_after_a_pause_one_refused_connection_sends_no_backlog_to_the_fallback():
    one = behind_a_circuit(hold_s=DAY)
    jobs = backlog(one)
    for job in jobs:
        failed(one, job)
        one.clock.advance(6)
    one.clock.advance(3 * DAY)  # pfi pause push
    failed(one, jobs[0])
    logs = Counter(push(job, one.ports).log for job in jobs[1:])
    assert logs == {Log.DOCUMENT_NOT_TRIED: 4}
    one.clock.advance(6)
    logs = Counter(push(job, one.ports).log for job in jobs)
    assert logs == {Log.DOCUMENT_INTEGRATED: 5}


def test_after_a_pause_a_document_has_its_whole_hold_again():
    one = drive(hold_s=DAY)
    job = ready(one)
    failed(one, job)
    one.clock.advance(23 * HOUR)
    failed(one, job)
    for _ in range(23):
        one.clock.advance(HOUR)
        failed(one, job)
    one.clock.advance(HOUR)
    one.ports.hospital.answers = [AWAY]
    assert push(job, one.ports).log is Log.DOCUMENT_REFUSED


def test_the_pauses_between_failed_tries_are_part_of_the_hold():
    one = drive(hold_s=DAY)
    job = ready(one)
    first = failed(one, job).first_attempt_at
    for _ in range(12):
        one.clock.advance(1.9 * HOUR)
        assert failed(one, job).first_attempt_at == first
    one.clock.advance(1.9 * HOUR)
    one.ports.hospital.answers = [AWAY]
    assert push(job, one.ports).log is Log.DOCUMENT_REFUSED


@pytest.mark.parametrize(("longest", "gap"), [(3600, 7200), (5, 3605)])
def test_a_pause_is_longer_than_any_back_off_with_what_may_delay_it(longest, gap):
    one = drive(hold_s=DAY)
    one.ports.settings = replace(one.ports.settings, retry=RetrySettings(backoff_s=(1, longest)))
    job = ready(one)
    first = failed(one, job).first_attempt_at
    one.clock.advance(gap)
    assert failed(one, job).first_attempt_at == first
    one.clock.advance(gap + 1)
    assert failed(one, job).first_attempt_at == one.clock.now


def test_a_document_that_is_handed_back_for_hours_is_not_paused():
    """Among thousands its own next try may be hours away; its hold goes on all the same."""
    one = behind_a_circuit(hold_s=DAY)
    job = ready(one)
    first = failed(one, job).first_attempt_at
    for _ in range(50):
        one.clock.advance(HOUR / 2)
        one.circuits.broke(one.ports.settings.dpis[0], Reason.DPI_UNAVAILABLE)
        assert push(job, one.ports).log is Log.DOCUMENT_NOT_TRIED
        assert known(one, job).first_attempt_at == first
    one.clock.advance(6)
    one.ports.hospital.answers = [AWAY]
    assert push(job, one.ports).log is Log.DOCUMENT_REFUSED


def test_a_fault_without_a_try_does_not_end_the_hold_and_costs_no_write():
    one = behind_a_circuit(hold_s=0)
    job, other = backlog(one, 2)
    failed_as = Counter()
    one.ports.hospital.answers = [AWAY]
    failed_as[push(other, one.ports).log] += 1
    before = one.ledger.document(job.mail, 1)
    failed_as[push(job, one.ports).log] += 1
    assert failed_as == {Log.DOCUMENT_REFUSED: 1, Log.DOCUMENT_NOT_TRIED: 1}
    assert one.ledger.document(job.mail, 1) == before
    assert len(one.ports.hospital.received) == 1


@pytest.mark.parametrize("fault", [AWAY, Misconfigured(Reason.CERTIFICATE)])
def test_what_comes_just_after_a_failed_connection_is_handed_back_and_soon_there_again(fault):
    one = behind_a_circuit()
    job, other = backlog(one, 2)
    one.ports.hospital.answers = [fault]
    with pytest.raises(type(fault)):
        push(other, one.ports)
    one.ports.jobs.delays.clear()
    outcome = push(job, one.ports)
    assert (outcome.log, outcome.facts["reason"]) == (Log.DOCUMENT_NOT_TRIED, fault.reason)
    assert one.ports.jobs.queues[Step.PUSH].popleft() == job
    assert one.ports.jobs.lanes[-1] == "dpi"
    assert SOONEST_S <= one.ports.jobs.delays[0] <= 2 * SOONEST_S


def test_an_untried_document_comes_back_later_the_longer_its_dpi_is_away_and_not_with_all_others():
    one = drive()
    tried = replace(known(one, ready(one)), first_attempt_at=one.clock.now)
    waits = [
        [
            untried_wait_s(replace(tried, mail=f"{n:04x}" + "0" * 60), one.clock.now + held)
            for n in range(200)
        ]
        for held in (timedelta(0), timedelta(minutes=20), timedelta(days=9))
    ]
    assert [(min(each), max(each)) for each in waits] == [(5, 10), (60, 119), (300, 597)]
    assert all(len(set(each)) > 5 for each in waits)
    assert max(waits[-1]) <= 2 * LATEST_S < 900, "SQS hides a new message for 900 s at most"


def test_a_document_of_unknown_outcome_is_handed_back_too_and_stays_unknown():
    one = behind_a_circuit()
    job, other = backlog(one, 2)
    one.ports.hospital.answers = [OutcomeUnknown(Reason.DPI_OUTCOME_UNKNOWN)]
    with pytest.raises(OutcomeUnknown):
        push(job, one.ports)
    failed(one, other)
    assert push(job, one.ports).log is Log.DOCUMENT_NOT_TRIED
    assert (known(one, job).integration, known(one, job).sends) == (Integration.SENT, 1)


def test_a_try_that_failed_is_no_end_of_its_document():
    one = drive()
    assert failed(one, ready(one)).ended_at is None


def test_an_end_has_its_moment():
    one = drive()
    job = ready(one)
    push(job, one.ports)
    assert known(one, job).ended_at == one.clock.now


@pytest.mark.parametrize("handed", ["its turn", "just failed"])
def test_a_job_that_was_handed_back_does_not_come_back_itself(handed):
    """The ledger failing just then, each round would double the messages of one document."""
    one = behind_a_circuit(concurrency=1) if handed == "its turn" else behind_a_circuit()
    job, other = backlog(one, 2)
    if handed == "just failed":
        failed(one, other)
    else:
        one.ledger.write(one.ledger.free_at_put("dpi", one.clock.now + timedelta(hours=1), None))

    def failing(*_):
        raise Unavailable(Reason.STORE_UNAVAILABLE)

    one.ports.table.partition = failing
    one.ports.jobs.queues[Step.PUSH].clear()
    push(job, one.ports)
    assert list(one.ports.jobs.queues[Step.PUSH]) == [job]


def test_a_backlog_in_a_paced_lane_tells_its_age():
    one = drive(concurrency=1)
    job = ready(one)
    one.ledger.write(one.ledger.free_at_put("dpi", one.clock.now + timedelta(days=1), None))
    one.clock.advance(2 * HOUR)
    counts = push(job, one.ports).counts
    assert counts == {Metric.HANDED_BACK_AGE_SECONDS: 2 * HOUR}


def test_a_hand_back_leaves_the_row_of_a_document_alone_that_may_be_on_the_wire():
    one = drive(concurrency=1, hold_s=DAY)
    job = ready(one)
    failed(one, job)
    one.clock.advance(HOUR)
    row = one.ledger.document(job.mail, 1)
    claim = replace(
        row.record, integration=Integration.SENT, busy_until=one.clock.now + timedelta(seconds=60)
    )
    one.ledger.write(one.ledger.document_put(claim, row.revision))
    one.ledger.write(one.ledger.free_at_put("dpi", one.clock.now + timedelta(days=1), 2))
    claimed = one.ledger.document(job.mail, 1)
    assert push(job, one.ports).log is Log.DOCUMENT_PACED
    assert one.ledger.document(job.mail, 1) == claimed


def test_what_was_not_asked_is_a_fault_of_the_peer_to_whoever_does_not_know_it():
    assert issubclass(NotAsked, Unavailable)
