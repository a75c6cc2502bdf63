"""The page of capacity is of the present prices, limits and settings, and its arithmetic holds."""

import pytest

from infra.operations.capacity import Limited
from infra.operations.cost import read_prices
from tests.docs.pages import REFERENCE, codes, first_column, rows, section, text
from tests.performance.capacity_page import SETS, SIZES_KB, VOLUMES
from tests.performance.durations import ASSUMED, told

PAGE = REFERENCE / "capacity.md"


def _number(cell: str) -> float:
    return float(cell.replace(" ", "").replace(",", ""))


def test_the_page_is_of_the_prices_that_are_in_force():
    prices = read_prices()
    assert f"{prices.region}, {prices.day:%Y-%m-%d}" in text(PAGE)


def test_every_volume_and_size_has_its_settings_and_its_price():
    wanted = {(mails, f"{kb} kB") for mails in VOLUMES for kb in SIZES_KB}
    for heading in ("What to set", "Executions at once, and what it costs"):
        found = [(_number(row[0]), row[1]) for row in rows(section(PAGE, heading))]
        assert set(found) == wanted
        assert len(found) == len(wanted)


def test_services_network_and_the_fixed_part_are_the_total():
    for row in rows(section(PAGE, "Executions at once, and what it costs")):
        *parts, total = map(_number, row[-4:])
        assert sum(parts) == pytest.approx(total, abs=2)


def test_every_limit_says_when_it_is_met_and_what_to_set_in_order():
    found = [row for row in rows(section(PAGE, "Limits, in the order in which they are met"))
             if row[0].isdigit()]  # fmt: skip
    assert set(SETS) == set(Limited)
    assert {(row[1], row[-1]) for row in found} == set(SETS.values())
    middle = [_number(row[3]) for row in found]
    assert middle == sorted(middle)


def test_settings_that_the_page_names_exist():
    known = set(first_column(REFERENCE / "settings.md"))
    deployment = {"deployment.concurrency", "network.zones", "network.link"}
    named = {word.split(" = ")[0] for word in codes(text(PAGE))}
    about = {word for word in named if word.startswith(("dpis[].", "operator.", "deployment.",
                                                        "network."))}  # fmt: skip
    assert about <= known | deployment


def test_everything_assumed_stands_on_the_page():
    for what, value in told(ASSUMED).items():
        assert f"| {what} | {value} |" in text(PAGE)
