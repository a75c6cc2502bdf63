"""The age of the patient base, as the clock tells it."""

from datetime import timedelta
from types import SimpleNamespace

import pytest

from pfi.edge import prove
from pfi.edge.freshness import NEVER, tell_ages
from pfi.errors import Unavailable
from pfi.journey.outcome import Metric
from pfi.journey.settings import FeedSettings, Settings
from pfi.names import Reason
from tests.doubles.memory import Clock

AUTHORITY = "CH&1.2.3&ISO"
FEEDS = tuple(
    FeedSettings(id=each, establishment=establishment, ipp_authority=AUTHORITY)
    for each, establishment in (("gam", "ch"), ("labo", "ch"), ("ehpad", "ehpad"))
)


class Told:
    def __init__(self):
        self.ages = []

    def measure(self, metric, value, dimensions):
        assert metric is Metric.FEED_AGE_SECONDS
        self.ages.append((dimensions.get("establishment", ""), value))


def ages(settings, fed):
    clock, told = Clock(), Told()
    patients = SimpleNamespace(fed_at=lambda each: fed.get(each) and clock() - fed[each])
    tell_ages(SimpleNamespace(now=clock, settings=settings, patients=patients), told)
    return told.ages


def test_each_establishment_has_its_age_and_the_alarm_sees_all_of_them():
    found = ages(Settings(feeds=FEEDS), {"ch": timedelta(minutes=5), "ehpad": timedelta(days=2)})
    assert found == [("", 300), ("ch", 300), ("", 172_800), ("ehpad", 172_800)]


def test_a_feed_that_never_spoke_is_older_than_any_threshold():
    assert ages(Settings(feeds=FEEDS[:1]), {}) == [
        ("", NEVER.total_seconds()), ("ch", NEVER.total_seconds()),
    ]  # fmt: skip


def test_without_a_feed_nothing_is_told():
    assert ages(Settings(), {}) == []


def test_a_base_that_does_not_answer_keeps_the_account_from_nothing(monkeypatch):
    def away(*_):
        raise Unavailable(Reason.STORE_UNAVAILABLE)

    ran = []
    monkeypatch.setattr(prove, "tell_ages", away)
    monkeypatch.setattr(prove, "services", SimpleNamespace)
    monkeypatch.setattr(prove.Audit, "run", lambda _: ran.append(1))
    prove.prove_function()({}, SimpleNamespace(get_remaining_time_in_millis=lambda: 1))
    assert ran == [1]


@pytest.mark.parametrize("name", ["Centre d'Exemple", "é"])
def test_an_establishment_that_is_no_plain_word_is_told_as_other(name):
    feed = FeedSettings(id="a", establishment=name, ipp_authority=AUTHORITY)
    assert ages(Settings(feeds=(feed,)), {})[1][0] == "other"
