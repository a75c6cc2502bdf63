"""A DPI of one connection, or that wants a pause: one message at a time, nothing else changes."""

from dataclasses import replace
from datetime import timedelta

import pytest

from pfi.errors import Unavailable
from pfi.journey.jobs import Job
from pfi.journey.outcome import Log
from pfi.journey.pace import Pace
from pfi.journey.push import push
from pfi.names import Integration, Reason, Route, Step
from tests.data.builders import LEA, document
from tests.doubles.drive import HOSPITAL, Drive
from tests.unit.journey.test_routes import letter

LIFE = timedelta(seconds=105)


def drive(**changes):
    dpi = replace(HOSPITAL.dpis[0], **changes)
    return Drive(replace(HOSPITAL, dpis=(dpi,)))


def pace(of):
    return Pace(of.ports.settings.dpis[0], of.ledger)


def ready(of, raw=None):
    """A mail whose document waits for its push."""
    of.ports.inbox.deliver(raw or letter(document(LEA)))
    of.collect()
    of.read()
    return of.ports.jobs.queues[Step.PUSH].popleft()


def test_a_turn_is_had_by_one_worker_at_a_time():
    one = drive(concurrency=1)
    with pace(one).turn(LIFE) as mine:
        with pace(one).turn(LIFE) as other:
            assert (mine, other) == (True, False)
        assert pace(one).busy()
    assert not pace(one).busy()


def test_after_an_exchange_comes_the_pause_that_the_dpi_wants():
    one = drive(concurrency=1, min_interval_s=3)
    with pace(one).turn(LIFE):
        one.clock.advance(10)
    one.clock.advance(2.9)
    assert pace(one).busy()
    one.clock.advance(0.1)
    assert not pace(one).busy()


def test_a_worker_that_dies_holds_the_others_up_for_its_life_and_the_pause():
    one = drive(min_interval_s=3)
    pace(one)._take(LIFE)
    one.clock.advance(107)
    assert pace(one).busy()
    one.clock.advance(1)
    assert not pace(one).busy()


def test_of_two_workers_that_look_at_once_one_has_the_turn():
    one = drive(concurrency=1)
    known = one.ledger.free_at("dpi")
    pace(one)._take(LIFE)
    late = one.ledger.free_at_put("dpi", one.clock.now, known.revision)
    assert not one.ledger.write(late)


def test_the_end_of_a_turn_does_not_end_that_of_somebody_else():
    one = drive(concurrency=1)
    with pace(one).turn(LIFE):
        one.clock.advance(200)
        with pace(one).turn(LIFE) as other:
            assert other
            pace(one)._free(1)
            assert pace(one).busy()


def test_an_answer_is_kept_when_the_end_of_the_turn_cannot_be_written():
    one = drive(concurrency=1)
    job = ready(one)
    write = one.ports.table.write

    def failing(*puts):
        if one.ports.hospital.accepted and puts[0].pk.startswith("PACE#"):
            raise Unavailable(Reason.STORE_UNAVAILABLE)
        return write(*puts)

    one.ports.table.write = failing
    assert push(job, one.ports).log is Log.DOCUMENT_INTEGRATED


def test_a_dpi_without_a_pace_costs_no_call():
    usual = drive()
    push(ready(usual), usual.ports)
    assert not any(pk.startswith("PACE#") for pk, _ in usual.ports.table.rows)


def test_a_job_that_is_not_its_turn_is_handed_back_as_a_new_one_a_little_later():
    one = drive(concurrency=1)
    job = ready(one)
    one.ports.jobs.lanes.clear()
    one.ports.jobs.delays.clear()
    with pace(one).turn(LIFE):
        outcome = push(job, one.ports)
    assert outcome.log is Log.DOCUMENT_PACED
    assert list(one.ports.jobs.queues[Step.PUSH]) == [job]
    assert one.ports.jobs.lanes == ["dpi"]
    assert 1 <= one.ports.jobs.delays[0] <= 3
    assert one.ports.hospital.received == []


def test_waiting_for_a_turn_is_no_try_and_does_not_use_up_the_hold():
    one = drive(concurrency=1)
    job = ready(one)
    with pace(one).turn(timedelta(days=30)):
        for _ in range(200):
            push(job, one.ports)
            one.clock.advance(600)
    known = one.ledger.document(job.mail, 1).record
    assert (known.first_attempt_at, known.sends) == (None, 0)
    assert push(job, one.ports).log is Log.DOCUMENT_INTEGRATED


def test_a_job_that_finds_the_turn_taken_only_at_the_last_moment_changes_nothing(monkeypatch):
    one = drive(concurrency=1)
    job = ready(one)
    before = one.ledger.document(job.mail, 1)
    monkeypatch.setattr(Pace, "busy", lambda _self: False)
    with pace(one).turn(LIFE):
        assert push(job, one.ports).log is Log.DOCUMENT_PACED
    assert one.ledger.document(job.mail, 1) == before


def test_a_whole_mail_goes_through_a_dpi_of_one_connection():
    one = drive(concurrency=1, min_interval_s=5)
    [found] = one.process(letter(document(LEA)))
    assert found.route is Route.INTEGRATED
    assert one.failures == []


def test_a_push_takes_the_lane_of_the_dpi_of_its_mailbox():
    one = drive()
    ready(one)
    assert one.ports.jobs.lanes == ["dpi"]


def test_a_document_whose_dpi_stayed_away_beyond_the_hold_goes_to_the_fallback_with_the_reason():
    one = drive()
    one.ports.hospital.answers = [Unavailable(Reason.DPI_UNAVAILABLE)] * 99
    [found] = one.process(letter(document(LEA)))
    [held] = one.documents(found)
    assert (found.route, found.reason, found.review) == (Route.FORWARDED, "PFI-DPI-01", False)
    assert (held.integration, held.sends) == (Integration.REFUSED, 0)
    assert one.ports.hospital.accepted == []
    assert one.ledger.reviews(found.mail) == ()


def test_a_document_that_waits_for_a_dpi_that_comes_back_within_the_hold_is_integrated():
    one = drive(hold_s=600)
    one.ports.hospital.answers = [Unavailable(Reason.DPI_UNAVAILABLE)] * 9
    [found] = one.process(letter(document(LEA)))
    assert found.route is Route.INTEGRATED


def test_a_handed_back_job_says_the_same_as_the_one_that_it_replaces():
    one = drive(concurrency=1)
    job = ready(one)
    with pace(one).turn(LIFE):
        push(job, one.ports)
    assert one.ports.jobs.queues[Step.PUSH].popleft() == Job(job.mail, 1)


@pytest.mark.parametrize(
    ("changes", "paced"),
    [({}, False), ({"concurrency": 1}, True), ({"min_interval_s": 0.5}, True)],
)
def test_only_what_asks_for_it_is_paced(changes, paced):
    assert replace(HOSPITAL.dpis[0], **changes).paced is paced


def test_a_fault_inside_a_turn_ends_it_too():
    one = drive(concurrency=1)
    with pytest.raises(Unavailable), pace(one).turn(LIFE):
        raise Unavailable(Reason.DPI_UNAVAILABLE)
    assert not pace(one).busy()


def test_a_worker_that_comes_second_at_the_very_moment_has_no_turn(monkeypatch):
    """Both read the row before either wrote: the one whose write fails must not speak."""
    one = drive(concurrency=1)
    seen = one.ledger.free_at("dpi")
    with pace(one).turn(LIFE):
        monkeypatch.setattr(Pace, "_known", lambda _self: seen)
        with pace(one).turn(LIFE) as late:
            assert not late
