"""Peers that are away for hours, in virtual time: nothing lost, order kept, no stampede after."""

from dataclasses import replace

import pytest

from pfi.names import Integration, Reason
from tests.simulation.queues import CONCURRENCY, Step
from tests.simulation.scenarios import HOUR, Run, arriving, ordinary, versions

WAITING = 5000
CHAINS = 100
AWAY = 6 * HOUR


def _backlog() -> list:
    """Five thousand mails; three hundred of them are versions of a hundred documents."""
    letters = [ordinary(6000 + number) for number in range(WAITING - 3 * CHAINS)]
    every = len(letters) // CHAINS
    for number in range(CHAINS):
        place = number * every + 3 * number
        letters[place:place] = versions(20_000 + number)
    return letters


@pytest.fixture(scope="module")
def outage():
    """The DPI is away for six hours, and 5 000 mails arrive meanwhile."""
    run = Run(arriving(_backlog(), 0, 2.0))
    run.dpi.away_until = AWAY
    run.world.after(AWAY, lambda: setattr(run, "asked_while_away", run.dpi.asked))
    return run.done()


def test_nothing_is_lost_and_nothing_twice_after_six_hours_without_dpi(outage):
    letters = [each.letter for each in outage.plan]
    assert len(letters) == WAITING
    assert outage.ended(letters) == {("integrated", None)}
    assert {len(times) for times in outage.accepted_at.values()} == {1}
    assert len(outage.accepted_at) == WAITING


def test_versions_keep_their_order_through_the_outage(outage):
    for number in range(CHAINS):
        times = [outage.accepted_at[each.digest][0] for each in versions(20_000 + number)]
        assert times == sorted(times)


def test_the_dpi_that_comes_back_is_not_stampeded(outage):
    """Never more messages at once than the push function may run, and each mail asks once."""
    assert min(times[0] for times in outage.accepted_at.values()) >= AWAY
    assert 1 <= outage.dpi.most_inside <= CONCURRENCY[Step.PUSH]
    assert outage.dpi.asked - outage.asked_while_away <= 1.01 * WAITING


def test_a_dpi_that_is_away_is_asked_no_oftener_than_the_back_off_says(outage):
    """After 1, 6 and 21 minutes, then hourly: nine times in six hours, a tenth more for jitter."""
    assert outage.asked_while_away <= 9 * 1.1 * WAITING


def test_a_paced_dpi_that_comes_back_gets_one_message_at_a_time():
    letters = [ordinary(6000 + number) for number in range(100)]
    run = Run(arriving(letters, 0, 2), concurrency=1)
    run.dpi.away_until = HOUR
    run.done()
    assert run.dpi.most_inside == 1
    assert run.ended(letters) == {("integrated", None)}


def test_the_backlog_is_gone_in_the_time_that_the_dpi_needs_for_it(outage):
    """One message takes it two seconds; the longest back-off is an hour and a quarter."""
    last = max(times[0] for times in outage.accepted_at.values())
    assert last <= AWAY + 1.25 * HOUR + WAITING * 2 * 1.5


def test_what_never_left_goes_to_a_person_with_its_reason_when_the_hold_ends():
    letters = [ordinary(6000 + number) for number in range(20)]
    run = Run(arriving(letters, 0, 60), hold_s=int(2 * HOUR))
    run.witness.gives_up = True
    run.dpi.away_until = 12 * HOUR
    run.done()
    assert run.ended(letters) == {("forwarded", Reason.DPI_UNAVAILABLE.value)}
    assert not run.accepted()
    settled = [run.record(each).settled_at for each in letters]
    assert all(at is not None for at in settled)
    late = [
        (at - run.record(each).received_at).total_seconds()
        for at, each in zip(settled, letters, strict=True)
    ]
    assert min(late) >= 2 * HOUR
    assert max(late) <= 4 * HOUR


def test_an_operator_away_for_hours_costs_time_and_nothing_else():
    """No mail can be collected, no answer can leave: then all of it happens, once."""
    letters = [ordinary(6000 + number) for number in range(200)]
    run = Run(arriving(letters, 0, 30))
    for box in run.boxes.values():
        box.away_until = 5 * HOUR
    run.relay.away_until = 7 * HOUR
    run.done()
    assert run.ended(letters) == {("integrated", None)}
    assert {run.answers(each) for each in letters} == {1}
    assert {len(times) for times in run.accepted_at.values()} == {1}
    assert min(times[0] for times in run.accepted_at.values()) >= 5 * HOUR
    assert not run.report.routes["review"]


def test_a_wrong_certificate_of_the_dpi_consumes_nothing_and_mends_by_itself():
    letters = [ordinary(6000 + number) for number in range(100)]
    run = Run(arriving(letters, 0, 30))
    run.dpi.mistrusted_until = 4 * HOUR
    seen: list[set] = []
    run.world.after(4 * HOUR - 1, lambda: seen.append(_states(run)))
    run.done()
    assert seen == [{Integration.WAITING}]
    assert min(times[0] for times in run.accepted_at.values()) >= 4 * HOUR
    assert run.ended(letters) == {("integrated", None)}
    assert max(times[0] for times in run.accepted_at.values()) <= 4 * HOUR + 2 * HOUR


def _states(run) -> set:
    mails = [each.letter.digest for each in run.plan]
    return {d.record.integration for mail in mails for d in run.witness.ledger.documents(mail)}


def test_an_outage_shorter_than_the_hold_gives_nobody_work():
    letters = [replace(ordinary(6000 + number)) for number in range(50)]
    run = Run(arriving(letters, 0, 10), hold_s=int(24 * HOUR))
    run.dpi.away_until = 20 * HOUR
    run.done()
    assert run.ended(letters) == {("integrated", None)}
    assert not run.report.routes["review"]
