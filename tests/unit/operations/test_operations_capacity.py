"""Capacity is arithmetic: exact, growing with what it grows with, each limit where it is said."""

from dataclasses import astuple, replace
from itertools import pairwise
from math import ceil

import pytest

from infra.aws.names import STEPS, Deployment, Lane
from infra.cli.cost import LIMITS
from infra.cli.main import main
from infra.operations.capacity import (
    BUSY,
    DAY_S,
    HELD_PER_CONNECTION,
    PEAK,
    UNDER_WAY_PARTITIONS,
    WORKERS,
    Capacity,
    Limited,
    at_memory,
    executions,
    measured,
)
from infra.operations.cost import Estimate, Volume, read_prices
from pfi.journey.ledger import under_way
from pfi.journey.settings import OperatorSettings

SECONDS = {"collect": 0.1, "parse": 0.1, "match": 0.05, "push": 0.1, "forward": 0.2}
PER_MB = {"collect": 0.1, "parse": 0.2, "push": 0.5, "forward": 0.4}
VOLUMES = (0, 1e3, 1e4, 1e5, 1e6, 1e7)


def capacity(mails: float = 86_400, kb: float = 0, ack_s: float = 0.4, **more: object) -> Capacity:
    volume = Volume(mails_per_day=mails, kb=kb, ack_s=ack_s, **more)
    return Capacity(measured(Estimate(volume, read_prices()), SECONDS, PER_MB))


def limit(what: Limited, **more: object):
    [found] = [each for each in capacity(**more).limits() if each.what is what]
    return found


def test_work_takes_longer_where_memory_brings_less_than_a_processor():
    assert at_memory(1.0, 1769) == at_memory(1.0, 3538) == 1.0
    assert at_memory(1.0, 884.5) == 2.0


def test_executions_at_once_are_arrivals_times_seconds():
    one_a_second = capacity(DAY_S / PEAK)
    assert one_a_second.peak == 1.0
    assert one_a_second.at_once("parse") == pytest.approx(0.1)
    assert one_a_second.at_once("push") == pytest.approx(0.5)
    assert capacity(DAY_S / PEAK, kb=1000).at_once("push") == pytest.approx(1.0)


def test_gigabyte_seconds_are_each_steps_seconds_at_its_memory():
    month = capacity(1000).estimate.mails
    each = sum(s * STEPS[step].memory / 1024 for step, s in SECONDS.items()) + 0.4
    assert capacity(1000).gb_seconds == pytest.approx(month * each)
    lines = {line.item: line for line in capacity(1000).estimate.lines()}
    assert lines["Lambda, durée"].quantity == pytest.approx(capacity(1000).gb_seconds)


def test_what_is_needed_for_ten_mails_a_second():
    """10 × 0.5 s of push, 10 × 0.2 s of forward, over 0.8; 10 × 0.1 s of one collector."""
    needed = capacity(10 * DAY_S / PEAK).needed()
    assert needed.connections == ceil(5 / BUSY) == 7
    assert needed.workers == 10
    assert needed.collectors == 2
    assert needed.mails_per_run == 10 * 60 / 2
    assert needed.run_budget_s == OperatorSettings().run_budget_s
    assert needed.executions == executions(10, 7) + 100


def test_without_mails_everything_stays_as_installed():
    usual = OperatorSettings()
    assert astuple(capacity(0).needed()) == (
        2, 10, usual.mails_per_run, usual.run_budget_s, 1, executions(10, 2) + 100,
    )  # fmt: skip


def test_reserved_executions_are_those_of_the_stack():
    for workers, connections in ((10, 2), (10, 1), (40, 17), (300, 218)):
        place = Deployment(concurrency=workers, lanes=(Lane("dpi", connections),))
        reserved = sum(place.reserved(step) or 0 for step in STEPS)
        assert executions(workers, connections) == reserved


@pytest.mark.parametrize("kb", [50, 300, 2000])
def test_more_mails_never_need_less(kb):
    found = [astuple(capacity(mails, kb).needed()) for mails in VOLUMES]
    parts = [(needed[0], needed[1], needed[4], needed[5]) for needed in found]
    assert all(a <= b for less, more in pairwise(parts) for a, b in zip(less, more, strict=True))


def test_bigger_mails_and_slower_answers_never_need_less_nor_cost_less():
    for grown in ([{"kb": kb} for kb in (50, 300, 2000)], [{"ack_s": s} for s in (0.1, 1, 10)]):
        found = [capacity(1e6, **each) for each in grown]
        for less, more in pairwise(found):
            assert less.needed().connections < more.needed().connections
            assert less.needed().executions < more.needed().executions
            assert less.gb_seconds < more.gb_seconds
            assert less.estimate.total() < more.estimate.total()


def test_no_limit_comes_later_with_bigger_mails():
    small, large = (
        {each.what: each.mails_per_day for each in capacity(kb=kb, vpn=True).limits()}
        for kb in (50, 2000)
    )
    assert set(small) == set(large) == set(Limited)
    assert all(large[what] <= small[what] for what in small)


@pytest.mark.parametrize("what", list(Limited))
def test_a_limit_is_met_at_the_volume_that_it_states(what):
    found = limit(what, kb=300, vpn=True)
    there = capacity(found.mails_per_day, kb=300, vpn=True)
    assert there.peak * found.per_mail == pytest.approx(found.there)


def test_limits_come_in_the_order_in_which_they_are_met():
    met = [each.mails_per_day for each in capacity(kb=300, vpn=True).limits()]
    assert met == sorted(met)


def test_a_slow_dpi_is_the_first_limit_and_a_quick_one_the_mailbox():
    assert capacity(ack_s=5).limits()[0].what is Limited.DPI
    assert capacity(ack_s=0.1).limits()[0].what is Limited.MAILBOX


@pytest.mark.parametrize(
    ("what", "setting", "usual"),
    [
        (Limited.DPI, "connections", 2),
        (Limited.WORKERS, "workers", 10),
        (Limited.MAILBOX, "mails_per_run", 50),
        (Limited.COLLECTOR, "collectors", 1),
    ],
)
def test_just_beyond_a_limit_its_setting_must_be_raised(what, setting, usual):
    mails = limit(what).mails_per_day
    assert getattr(capacity(mails * 0.999).needed(), setting) == usual
    assert getattr(capacity(mails * 1.001).needed(), setting) == usual + 1


def test_the_account_is_full_at_the_volume_that_its_limit_states():
    mails = limit(Limited.EXECUTIONS, kb=300).mails_per_day
    assert capacity(mails * 0.98, kb=300).needed().executions <= 1000
    assert capacity(mails * 1.02, kb=300).needed().executions > 1000


def test_more_of_what_is_set_moves_its_limit_in_proportion():
    double = replace(capacity(), connections=4, workers=20, mails_per_run=100)
    met = {each.what: each.mails_per_day for each in double.limits()}
    for what in (Limited.DPI, Limited.WORKERS, Limited.MAILBOX):
        assert met[what] == pytest.approx(2 * limit(what).mails_per_day)


def test_every_quota_of_the_table_limits_something():
    asked = set()

    class Asked(dict):
        def __getitem__(self, name):
            asked.add(name)
            return super().__getitem__(name)

    estimate = capacity(vpn=True).estimate
    table = replace(estimate.table, quotas=Asked(estimate.table.quotas))
    Capacity(replace(estimate, table=table)).limits()
    assert asked == set(table.quotas)


def test_a_dpi_that_is_away_holds_at_most_so_many_in_flight_for_each_connection():
    """One try in 5 seconds, each of which waits up to an hour and a quarter."""
    assert HELD_PER_CONNECTION == 900
    connections = 120_000 / HELD_PER_CONNECTION
    assert limit(Limited.IN_FLIGHT).mails_per_day * PEAK / DAY_S * 0.5 / BUSY == pytest.approx(
        connections
    )


def test_the_index_of_mails_under_way_has_as_many_partitions_as_the_ledger_makes():
    assert len({under_way(digit) for digit in "0123456789abcdef"}) == UNDER_WAY_PARTITIONS


def test_workers_are_the_steps_that_one_setting_caps():
    place = Deployment(concurrency=77)
    assert {step for step in STEPS if place.pollers(step) == (77,)} - {"collect"} >= set(WORKERS)
    assert "push" not in WORKERS


def test_the_console_says_in_french_what_to_set_and_what_comes_first(capsys):
    assert set(LIMITS) == set(Limited)
    words = ["cost", "--mails-per-day", "100000", "--ack", "2"]
    assert main(words) == 0
    shown = capsys.readouterr().out
    assert "À régler pour la pointe (3 fois la moyenne), réponse du DPI en 2,0 s" in shown
    first = shown.split("Premières limites")[1].splitlines()[1]
    assert first.strip().startswith("[[dpis]] concurrency")
    volume = Volume(mails_per_day=100_000, kb=300, ack_s=2)
    wanted = Capacity(Estimate(volume, read_prices())).needed().connections
    [line] = [each for each in shown.splitlines() if each.startswith("  [[dpis]] concurrency   ")]
    assert int(line.split()[-1]) == wanted
