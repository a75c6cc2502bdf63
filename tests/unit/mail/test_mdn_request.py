"""May the MDN leave by itself? (N-02, N-03, RFC 8098 §2)."""

import pytest

from pfi.mail.inbound import read
from pfi.mail.rules import MailPolicy, MdnRequest, mdn_request
from tests.unit.mail.letters import OWN, SENDER, forwarded, letter, mdn_part, report
from tests.unit.mail.test_rules import NEVER_ANSWERED

POLICY = MailPolicy(own_addresses=frozenset({OWN}))
AUTOMATIC = MdnRequest(asked=True, to=SENDER, proposed=SENDER)
NEVER = MdnRequest(asked=True)


def request(policy=POLICY, **changes):
    return mdn_request(read(letter(**({"Disposition_Notification_To": SENDER} | changes))), policy)


def test_no_request_no_mdn():
    """N-02, F-01."""
    assert mdn_request(read(letter()), POLICY) == MdnRequest(asked=False)


@pytest.mark.parametrize(
    "value",
    [
        SENDER,
        f"Labo <{SENDER}>",
        SENDER.replace("labo-fictif", "LABO-Fictif"),
        f"=?utf-8?q?Labo=2C_accueil?= <{SENDER}>",
    ],
)
def test_the_mdn_is_automatic_when_the_address_is_the_return_path(value):
    """N-03: addr-specs are compared, the domain without case."""
    assert request(Disposition_Notification_To=value) == AUTOMATIC


def test_the_local_part_is_compared_with_its_case():
    assert request(Disposition_Notification_To=SENDER.replace("labo@", "LABO@")).confirm


def test_another_return_path_needs_a_human():
    found = request(Return_Path="<autre@labo-fictif.mssante.fr>")
    assert found == MdnRequest(asked=True, confirm=True, proposed=SENDER)


def test_an_absent_return_path_counts_as_another_one_unless_trusted():
    """Q-07."""
    trusting = MailPolicy(own_addresses=frozenset({OWN}), trust_missing_return_path=True)
    assert request(Return_Path=None).confirm
    assert request(trusting, Return_Path=None) == AUTOMATIC
    assert request(trusting, Return_Path="<autre@labo-fictif.mssante.fr>").confirm


@pytest.mark.parametrize(
    "value",
    [f"{SENDER}, autre@x.mssante.fr", [SENDER, SENDER], "pas une adresse", "", f"{SENDER}, a@@b"],
)
def test_anything_but_one_address_needs_a_human_and_names_nobody(value):
    found = request(Disposition_Notification_To=value)
    assert found == MdnRequest(asked=True, confirm=True)


def test_an_unknown_required_option_needs_a_human():
    options = "signed-receipt-protocol=optional,pkcs7; importance = REQUIRED,haute"
    assert request(Disposition_Notification_Options=options).confirm
    assert request(Disposition_Notification_Options="importance=optional,haute") == AUTOMATIC


@pytest.mark.parametrize("value", [None, "sans chevrons@x", "<a b@c>"])
def test_without_a_message_id_the_mdn_cannot_be_correlated(value):
    assert request(Message_ID=value).confirm


@pytest.mark.parametrize("changes", NEVER_ANSWERED)
def test_who_must_not_be_answered_gets_no_mdn_even_confirmed(changes):
    """N-04, design §6.4."""
    assert request(**changes) == NEVER


@pytest.mark.parametrize("address", ["x@gmail.example", OWN, "no-reply@labo-fictif.mssante.fr"])
def test_an_mdn_never_goes_outside_the_trust_space_nor_to_ourselves(address):
    assert request(Disposition_Notification_To=address, Return_Path=f"<{address}>") == NEVER


@pytest.mark.parametrize("address", ["x@gmail.example", OWN])
def test_such_an_address_that_is_not_the_return_path_is_told_to_a_person_and_proposed_to_nobody(
    address,
):
    """N-03, §1.6."""
    found = request(Disposition_Notification_To=address)
    assert found == MdnRequest(asked=True, confirm=True)


def test_a_robot_that_asks_for_an_mdn_gets_none_and_nobody_has_to_confirm_it():
    """A laboratory that always asks it would fill the review list with one item for each mail."""
    robot = "no-reply@labo-fictif.mssante.fr"
    assert request(Disposition_Notification_To=robot) == NEVER


def test_a_report_asking_for_an_mdn_gets_none():
    disposition = mdn_part("Disposition: automatic-action/MDN-sent-automatically; processed")
    raw = report("disposition-notification", disposition, Disposition_Notification_To=SENDER)
    assert mdn_request(read(raw), POLICY) == NEVER


def test_a_forwarded_mail_is_judged_by_its_outer_headers():
    """M-04."""
    inner = letter(Disposition_Notification_To="dedans@autre.mssante.fr")
    assert mdn_request(read(forwarded(inner)), POLICY) == MdnRequest(asked=False)
    outer = forwarded(inner, Disposition_Notification_To=SENDER)
    assert mdn_request(read(outer), POLICY) == AUTOMATIC
