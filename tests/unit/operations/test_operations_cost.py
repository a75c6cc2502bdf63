"""The estimate: dated, whole, and in proportion."""

from itertools import pairwise

import pytest

from infra.cli.cost import french, table
from infra.cli.main import main
from infra.operations.cost import Estimate, Volume, read_prices


def estimate(mails: float = 1000, kb: float = 300, **more: object) -> Estimate:
    return Estimate(Volume(mails_per_day=mails, kb=kb, **more), read_prices())


def test_every_price_is_used_and_those_from_memory_are_marked():
    used = " ".join(table(estimate(vpn=True)))
    prices = read_prices()
    assert prices.memory <= prices.prices.keys()
    assert used.count("*") == len(prices.memory) + 1  # and the foot-note
    assert len(list(estimate(vpn=True).lines())) == len(prices.prices) + 2  # nat_gb…; logs twice


def test_services_and_network_grow_with_mails_and_the_fixed_part_does_not():
    small, large = estimate(1000), estimate(10_000)
    for section in ("services", "réseau"):
        assert large.total(section) == pytest.approx(10 * small.total(section))
    assert large.total("fixe") == small.total("fixe")
    assert estimate(0).total("services") == 0


def test_bigger_mails_longer_retention_and_more_zones_cost_more():
    costs = [
        estimate().total(),
        estimate(kb=2000).total(),
        estimate(kb=2000, retention_days=60).total(),
        estimate(kb=2000, retention_days=60, nats=3).total(),
        estimate(kb=2000, retention_days=60, nats=3, vpn=True).total(),
    ]
    assert all(a < b for a, b in pairwise(costs))


def test_a_thousand_mails_cost_what_performance_4_3_says_within_a_factor():
    million = estimate(1e6 / 30.4)
    assert 17 < million.total("services") < 120, "the lean model is 17 to 28 $ per million"
    assert 30 < million.total("réseau") < 100


def test_what_the_index_writes_is_billed_beside_what_the_table_writes():
    """That the counts are those of a mail: tests/unit/performance/test_steps.py."""
    month, model = estimate(1000), read_prices().mail
    [writes] = [line for line in month.lines() if line.item == "DynamoDB, écritures"]
    assert writes.quantity == month.mails * (model["writes"] + model["index_writes"])
    assert model["index_writes"] > 0


def test_the_table_is_french_and_ends_with_the_total(capsys):
    assert main(["cost", "--mails-per-day", "1000", "--kb", "300"]) == 0
    shown = capsys.readouterr().out
    assert "tarifs du 09/10/2026" in shown
    assert "TOTAL" in shown
    assert french(12345.678, 2) == "12\u202f345,68"
    with pytest.raises(SystemExit):
        main(["cost", "--mails-per-day", "-1"])
