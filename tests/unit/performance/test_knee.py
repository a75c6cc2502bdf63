"""The curve of a DPI: where a doubling stops being worth it, and what is calculated beside it."""

from itertools import pairwise

import pytest

from tests.performance.durations import ASSUMED, Assumed, cpu_s, seconds, seconds_per_mb
from tests.performance.knee import PUSHES, Point, calculated, knee
from tests.performance.steps import measure


def test_a_knee_is_the_last_number_before_a_doubling_gains_less_than_a_tenth():
    rates = {1: 5, 2: 10, 4: 19, 8: 30, 16: 32.9, 32: 36, 64: 36}
    points = [Point(pushes, rate, 0.0, rate) for pushes, rate in rates.items()]
    assert knee(points) == 8
    assert knee(points[:4]) == 8


def test_the_calculated_rate_grows_up_to_what_the_dpi_serves():
    rates = [calculated(pushes, serves=8, ack_s=0.2, own_s=0.0) for pushes in PUSHES]
    assert rates == pytest.approx([5, 10, 20, 40, 40, 40, 40])
    assert all(less <= more for less, more in pairwise(rates))
    assert calculated(4, serves=8, ack_s=0.2, own_s=0.2) == pytest.approx(10)


@pytest.fixture(scope="module")
def costs():
    return measure(rounds=1, mails=1, sdk_ms=1.0)


def test_every_step_of_the_straight_path_is_measured_and_its_calls_are_counted(costs):
    assert all(each.ms > 0 and each.calls > 0 for each in costs.steps.values())
    assert sum(each.calls for each in costs.steps.values()) == costs.aws_calls


def test_durations_are_cpu_calls_and_what_is_assumed(costs):
    nothing = Assumed(1, 0, 0, 0, 0, 0, 0, 0)
    cpu = seconds(costs, nothing)
    assert cpu["match"] == pytest.approx(cpu_s("match", costs.steps["match"].ms))
    assert cpu["match"] == pytest.approx(costs.steps["match"].ms / 1000 * 1769 / 512)
    more = seconds(costs)
    assert all(more[step] > cpu[step] for step in cpu)
    calls = costs.steps["match"].calls
    assert more["match"] - cpu["match"] == pytest.approx(
        ASSUMED.invocation_s + calls * ASSUMED.call_s
    )
    assert all(value >= 0 for value in seconds_per_mb(costs).values())


def test_a_processor_twice_as_fast_halves_the_work_and_no_wait(costs):
    slow = seconds(costs, Assumed(1, 0, 0.5, 0, 0, 0, 0, 0))
    fast = seconds(costs, Assumed(2, 0, 0.5, 0, 0, 0, 0, 0))
    waits = 0.5 * costs.steps["parse"].calls
    assert fast["parse"] - waits == pytest.approx((slow["parse"] - waits) / 2)
