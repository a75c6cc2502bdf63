"""What is counted of a mail that ends, and that nothing of it can be an address."""

from dataclasses import replace

import pytest

from pfi.journey.counting import counted, sender_class
from pfi.journey.outcome import Configured, Metric
from pfi.journey.settings import MailboxSettings, SenderSettings, Settings
from pfi.names import Reason, Route, SenderClass

MAILBOX = MailboxSettings(id="m", address="m@ch.mssante.fr", establishment="ch-a", dpi="d")
SETTINGS = Settings(
    senders=(
        SenderSettings(kind=SenderClass.LABORATORY, suffixes=(".labo.mssante.fr",)),
        SenderSettings(kind=SenderClass.HOSPITAL, suffixes=(".mssante.fr",)),
    )
)


def of(route, reason=None, sender="bio@x.labo.mssante.fr"):
    return counted(route, reason, sender, MAILBOX, SETTINGS)


def test_an_integrated_mail_is_a_whole_share_and_has_no_reason():
    facts, counts = of(Route.INTEGRATED)
    assert counts == {Metric.MAILS_SETTLED: 1.0, Metric.INTEGRATED_SHARE: 1.0}
    assert facts["reason"] is None
    assert facts["establishment"] == Configured("ch-a")


@pytest.mark.parametrize("route", [Route.FORWARDED, Route.REPLIED, Route.REVIEW])
def test_a_mail_that_went_elsewhere_lowers_the_share(route):
    assert of(route, "902")[1][Metric.INTEGRATED_SHARE] == 0.0


@pytest.mark.parametrize("route", [Route.DUPLICATE, Route.FILED])
def test_duplicates_and_technical_mails_have_no_part_in_the_share(route):
    assert of(route, Reason.SAME_MAIL)[1] == {Metric.MAILS_SETTLED: 1.0}


def test_a_code_that_only_the_dpi_knows_is_counted_as_906():
    assert of(Route.FORWARDED, "99417")[0]["reason"] is Reason.OTHER
    assert of(Route.FORWARDED, "902")[0]["reason"] is Reason.UNKNOWN_PATIENT


@pytest.mark.parametrize(
    ("sender", "expected"),
    [
        ("bio@x.labo.mssante.fr", SenderClass.LABORATORY),
        ("dr@chu.mssante.fr", SenderClass.HOSPITAL),
        ("dr@elsewhere.example", SenderClass.OTHER),
        ("", SenderClass.OTHER),
    ],
)
def test_a_sender_is_of_the_first_class_that_lists_its_domain(sender, expected):
    assert sender_class(sender, SETTINGS) is expected
    assert sender_class(sender, replace(SETTINGS, senders=())) is SenderClass.OTHER


@pytest.mark.parametrize("text", ["", "dr@chu.fr", "ch a", "é", "x" * 65])
def test_an_id_that_is_no_plain_word_is_told_as_other_and_stops_nothing(text):
    assert Configured(text).word == "other"
    assert Configured("ch-a.2_b").word == "ch-a.2_b"
