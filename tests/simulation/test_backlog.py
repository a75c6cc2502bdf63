"""A backlog drains whole, at the pace of the DPI, and twice the mails take twice the time."""

import pytest

from tests.simulation import backlog

MAILS = 300
CONNECTIONS = 4
ACK_S = 2.0


@pytest.fixture(scope="module")
def drains():
    """The backlog, and one of twice the mails."""
    backlog.letters(2 * MAILS)
    backlog.one(20)  # what is loaded once is not counted
    return [backlog.one(size, CONNECTIONS, ACK_S) for size in (MAILS, 2 * MAILS)]


def test_every_mail_of_a_backlog_is_accepted_once_and_answered_once(drains):
    for run, drain in drains:
        assert run.backlog == {"dpi": drain.mails}
        assert run.ended() == {("integrated", 1): drain.mails}
        assert len(run.accepted_at) == drain.mails == drain.asked
        assert {len(times) for times in run.accepted_at.values()} == {1}


def test_a_backlog_uses_all_connections_of_the_dpi_and_not_one_more(drains):
    assert {drain.most_at_once for _, drain in drains} == {CONNECTIONS}


def test_nothing_of_a_backlog_is_sent_before_sending_resumes(drains):
    for run, _ in drains:
        assert min(times[0] for times in run.accepted_at.values()) >= run.resumes


def test_a_backlog_drains_in_the_time_of_its_answers_over_the_connections(drains):
    for _, drain in drains:
        assert 1.0 <= drain.ratio <= 1.1


def test_twice_the_mails_take_twice_the_time_and_twice_the_work(drains):
    """CPU with an allowance for a shared machine; the command holds 10 000 mails to 2.2."""
    (_, half), (_, whole) = drains
    growth = backlog.Growth.between(half, whole)
    assert growth.time <= 2.1
    assert growth.calls <= 2.1
    assert growth.cpu <= 2.2 * 1.25


def test_a_backlog_at_a_dpi_of_one_connection_goes_one_by_one():
    """What the turn costs: the other worker hands its job back, and it comes 1 to 3 seconds later
    (docs/decisions/0018-lanes.md)."""
    run, drain = backlog.one(60, connections=1)
    assert drain.most_at_once == 1
    assert run.ended() == {("integrated", 1): 60}
    assert 1.0 <= drain.ratio <= 2.0


def test_a_slow_dpi_holds_up_no_other():
    ours, theirs = backlog.letters(150), backlog.letters(50, first=backlog.FIRST + 5000)
    run, drains = backlog.drained(
        {"dpi": ours, "dpi2": theirs}, {"dpi": 2.0, "dpi2": 30.0}, CONNECTIONS
    )
    assert run.ended() == {("integrated", 1): 200}
    assert {each.most_at_once for each in drains.values()} == {CONNECTIONS}
    assert max(each.ratio for each in drains.values()) <= 1.1
    assert drains["dpi"].seconds < drains["dpi2"].seconds / 4
