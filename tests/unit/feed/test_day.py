"""A whole day of a hospital ends in the table that the reference model says."""

from collections import Counter
from random import Random

import pytest

from infra.local.invented.identity_messages import message
from pfi.journey.feed import feed
from tests.data.hospital_day import Day, delivered
from tests.data.patient_model import Model
from tests.doubles.patient_base import FEED, MemoryFeed


def told(seed, events):
    day = Day(seed).lived(events)
    return day, delivered(day.events, Random(seed + 1))


@pytest.mark.parametrize(("seed", "events"), [(3, 5200), (14, 700), (15, 700)])
def test_a_day_of_a_hospital_ends_as_the_model_says(seed, events):
    day, messages = told(seed, events)
    ports = MemoryFeed()
    ends = Counter(feed(message(each), FEED, ports).outcome.log.name for each in messages)
    assert len(messages) > events * 1.05
    assert ends["FEED_REPEATED"] > events // 20
    table = {ipp: filed.kept.record for (_, ipp), filed in ports.base.filed.items()}
    expected = Model(day.events).records()
    wrong = {ipp: (table.get(ipp), one) for ipp, one in expected.items() if table.get(ipp) != one}
    assert wrong == {}
    assert set(table) == set(expected)
    assert ends["FEED_REFUSED"] == 0


def test_a_day_holds_everything_that_a_feed_must_stand():
    day, messages = told(3, 5200)
    triggers = Counter(each.trigger for each in day.events)
    assert all(triggers[each] > 20 for each in ("A28", "A31", "A40", "A47", "A37", "A24", "A08"))
    assert [each.at for each in messages] != sorted(each.at for each in messages)
    records = Model(day.events).records().values()
    assert sum(bool(each.merged_into) for each in records) > 200
    assert sum(each.status == "VALI" and bool(each.matricule) for each in records) > 300
