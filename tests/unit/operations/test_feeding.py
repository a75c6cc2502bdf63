"""One establishment, one numbering: two authorities would take two persons for one."""

import pytest

from infra.operations.coherence import review
from tests.unit.operations.test_operations_hospital_file import GOOD, refused

FEED = """
[[feeds]]
id = "other"
establishment = "{}"
ipp_authority = "{}"
"""
SENTENCE = "numérote déjà cet établissement"


def with_feed(establishment, authority):
    return GOOD + FEED.format(establishment, authority)


def test_two_feeds_of_one_establishment_under_two_authorities_are_refused():
    [told] = refused(with_feed("ch-exemple", "AUTRE&1.9.9&ISO"))
    assert SENTENCE in told


@pytest.mark.parametrize(
    ("establishment", "authority"),
    [
        ("ch-exemple", "CH-EXEMPLE&1.2.250.1.999.1&ISO"),
        ("ch-exemple", "CH&1.2.250.1.999.1&ISO"),
        ("ehpad-exemple", "AUTRE&1.9.9&ISO"),
    ],
)
def test_the_same_authority_twice_and_another_one_elsewhere_are_correct(establishment, authority):
    assert len(review(with_feed(establishment, authority)).hospital.feeds) == 2


def test_the_feed_and_the_dpi_of_an_establishment_mean_the_same_numbers():
    host = 'host = "dpi.ch-exemple.intranet"'
    assert host in GOOD
    own = GOOD.replace(host, f'{host}\nipp_authority = "X&{{}}&ISO"')
    assert review(own.replace("{}", "1.2.250.1.999.1")).hospital.feeds
    [told] = refused(own.replace("{}", "1.9.9"))
    assert SENTENCE in told
