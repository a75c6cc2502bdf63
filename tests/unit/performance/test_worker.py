"""A measured process answers, and is what it says it is."""

from collections.abc import Iterator

import pytest

from tests.performance.bench import Bench, in_turn, lacking, ratios
from tests.performance.worker import SPEED, WARM


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    with Bench(()) as opened:
        yield opened


def test_processes_agree_on_a_mail(bench):
    assert bench.worker("floor").result(WARM) == bench.worker("stdlib").result(WARM)


def test_the_process_of_the_standard_library_has_nothing_else(bench):
    assert bench.worker("stdlib").extras() == []
    assert bench.worker("floor").extras() == [name for name in SPEED if not lacking("product")]


def test_a_peak_is_about_the_mail_when_it_is_refused_at_once(bench):
    bench.keep("large", b"x" * 8_000_000)
    worker = bench.worker("stdlib")
    size = bench.size("large")
    assert 0.9 * size < worker.peak("refused", "large") < 4 * size
    assert worker.peak("refused", WARM) < size / 4


def test_a_hostile_mail_is_told_by_its_reason(bench):
    bench.keep("nothing", b"From: a@b.invalid\r\n\r\nno archive\r\n")
    spent, extra, reason = bench.worker("stdlib").cost("refused", "nothing")
    assert reason.startswith("PFI-")
    assert spent > 0
    assert extra < 20e6


def test_many_calls_cost_more_than_one(bench):
    worker = bench.worker("floor")
    assert worker.times("path", WARM, 50) > 5 * worker.ms("path", WARM, 0.01) > 0


def test_a_process_that_dies_is_noticed(bench):
    with Bench(()) as other, pytest.raises(RuntimeError, match="ended"):
        other.worker("floor").ms("nothing", WARM, 0.01)


def test_rounds_keep_their_order():
    told = iter(range(6))
    seen = in_turn(3, {"a": lambda: next(told), "b": lambda: 10 + next(told)})
    assert seen == {"a": (0, 2, 4), "b": (11, 13, 15)}
    assert ratios(seen["b"], (1, 2, 5)) == (11, 6.5, 3)
