"""The cost of a rehearsal is that of `pfi cost` for the same traffic and network."""

from dataclasses import replace
from pathlib import Path

import pytest

from infra.local.hospital import DEMO_FALLBACK, DEMO_MAILBOX, settings_of
from infra.operations.coherence import read_hospital
from infra.rehearsal.costing import estimate
from infra.rehearsal.tally import Line, Tally
from pfi.names import Environment

EXAMPLE = Path(__file__).parents[3] / "infra" / "operations" / "example" / "hospital.toml"
SETTINGS = settings_of(Environment.TEST, DEMO_MAILBOX, DEMO_FALLBACK)
TALLY = Tally(tuple(Line(rank=n, name="", size=200_000, route="filed") for n in range(1, 301)))


@pytest.mark.parametrize(("days", "per_day"), [(1, 300), (30, 10)])
def test_the_mails_are_spread_over_the_days(days, per_day):
    volume = estimate(TALLY, days, SETTINGS, None).volume
    assert (volume.mails_per_day, volume.kb, volume.mailboxes) == (per_day, 200, 1)


def test_the_network_and_the_retention_are_those_of_the_file():
    hospital = read_hospital(EXAMPLE).hospital
    network = replace(
        hospital.network, enabled=True, nat="one", zones=2, endpoints=False, link="vpn"
    )
    retention = replace(hospital.retention, bodies_days=7)
    other = replace(hospital, network=network, retention=retention)
    volume = estimate(TALLY, 30, hospital.settings, other).volume
    found = (volume.nats, volume.endpoints, volume.vpn, volume.retention_days)
    assert found == (1, 0, True, 7)
    apart = replace(other, network=replace(network, enabled=False))
    assert estimate(TALLY, 30, hospital.settings, apart).volume.nats == 0


def test_the_mailboxes_are_those_of_the_settings():
    hospital = read_hospital(EXAMPLE).hospital
    assert estimate(TALLY, 1, hospital.settings, hospital).volume.mailboxes == 3
