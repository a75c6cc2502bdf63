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


CH, OTHER = "CH-EXEMPLE&1.2.250.1.999.1&ISO", "AUTRE&1.9.9&ISO"
SHARED = "rien ne dit qu'ils ont les mêmes IPP"


def numbered(text, dpi, authority):
    """That DPI gets the IPP too."""
    line = f'id = "{dpi}"'
    head, _, tail = text.partition("[[dpis]]")
    assert line in tail
    told = f'{line}\nadd_local_ipp = true\nipp_authority = "{authority}"'
    return f"{head}[[dpis]]{tail.replace(line, told, 1)}"


def sent_to(text, mailbox, dpi):
    """That mailbox serves another DPI."""
    head, line, tail = text.partition(f'id = "{mailbox}"')
    assert line
    start = tail.index('dpi = "')
    end = tail.index("\n", start)
    return head + line + tail[:start] + f'dpi = "{dpi}"' + tail[end:]


@pytest.mark.parametrize("mailbox", ["medecine", "chirurgie"])
def test_every_mailbox_of_an_establishment_sends_to_a_dpi_of_its_numbering(mailbox):
    """Whichever comes last in the file."""
    text = numbered(numbered(GOOD, "dpi-ch", CH), "dpi-ehpad", OTHER)
    text = sent_to(sent_to(text, mailbox, "dpi-ehpad"), "ehpad", "dpi-ch")
    assert any(SENTENCE in told for told in refused(text))


def test_two_dpis_of_an_establishment_without_feed_mean_the_same_numbers():
    third = '[[dpis]]\nid = "dpi-3"\nhost = "h"\nport = 1\nsending_facility = "E"\n'
    box = '[[mailboxes]]\nid = "b"\naddress = "b@ehpad-exemple.mssante.fr"\n'
    box += 'establishment = "ehpad-exemple"\ndpi = "dpi-3"\n'
    text = numbered(GOOD, "dpi-ehpad", OTHER) + f'\n{third}receiving_facility = "E"\n{box}'
    assert review(numbered(text, "dpi-3", "X&1.9.9&ISO")).hospital
    [told] = refused(numbered(text, "dpi-3", "X&1.9.8&ISO"))
    assert SENTENCE in told


def test_a_dpi_of_two_establishments_takes_no_number_that_two_persons_may_have():
    text = sent_to(numbered(GOOD, "dpi-ch", CH), "ehpad", "dpi-ch")
    [told] = refused(text)
    assert SHARED in told
    assert review(sent_to(GOOD, "ehpad", "dpi-ch")).hospital


def test_two_establishments_whose_feeds_number_together_may_share_their_dpi():
    text = sent_to(numbered(GOOD, "dpi-ch", CH), "ehpad", "dpi-ch")
    assert review(text + FEED.format("ehpad-exemple", "GHT&1.2.250.1.999.1&ISO")).hospital
    told = refused(text + FEED.format("ehpad-exemple", OTHER))
    assert any(SHARED in each for each in told)
