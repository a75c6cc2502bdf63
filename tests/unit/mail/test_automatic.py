"""Automatic mails that may hold a document, and our own forwards that come back (M-01 c)."""

import pytest

from pfi.mail.inbound import read
from pfi.mail.rules import Kind, archives, came_back, kind, may_answer, opened
from tests.unit.mail.awkward import FAULTY, ZIP
from tests.unit.mail.letters import (
    OWN,
    REQUEST,
    archive,
    forwarded,
    inner_multipart,
    letter,
    multipart,
    part,
    pdf_part,
    plain,
    text_part,
    zip_part,
)
from tests.unit.mail.test_rules import DSN, MDN, POLICY, kind_of

BY_A_RULE = [{"Auto_Submitted": "auto-generated"}, {"Return_Path": "<>"}]
ANSWERS = [
    {"Auto_Submitted": "auto-replied"},
    {"X_Autoreply": "yes"},
    {"From": "MAILER-DAEMON@ch-fictif.mssante.fr", "Return_Path": "<>"},
]


@pytest.mark.parametrize("changes", BY_A_RULE)
def test_what_the_rule_of_a_server_forwards_as_an_attached_message_is_a_document(changes):
    """M-01 (c)."""
    mail = read(forwarded(letter(), **changes))
    assert kind(mail, POLICY.own_addresses) is Kind.DOCUMENT
    assert archives(opened(mail, POLICY.own_addresses)) == (ZIP,)
    assert not may_answer(mail, POLICY)


@pytest.mark.parametrize("changes", ANSWERS)
def test_an_absence_or_a_bounce_that_quotes_a_mail_with_an_archive_is_for_a_person(changes):
    mail = read(forwarded(letter(), **changes))
    assert kind(mail, POLICY.own_addresses) is Kind.AUTO_UNSURE
    assert opened(mail, POLICY.own_addresses) is mail


@pytest.mark.parametrize(
    "parts",
    [
        [part("message/rfc822", plain())],
        [part("message/rfc822", letter()), part("message/rfc822", letter())],
        [part("message/rfc822", letter(X_Loop=OWN))],
        [part("message/rfc822", letter(X_PFI_Reason="902 902"))],
        [part("message/rfc822", forwarded(letter()))],
        [part("message/rfc822", FAULTY["too deep"])],
        [zip_part(archive()[:-30], name="documents.dat")],
        [zip_part(b"", name="documents.ZIP")],
        [part("application/octet-stream; name=a.eml", letter())],
    ],
)
def test_an_automatic_mail_that_may_hide_a_document_is_for_a_person(parts):
    raw = multipart([text_part(), *parts], boundary="=_dehors", Auto_Submitted="auto-generated")
    assert kind_of(raw) is Kind.AUTO_UNSURE


def test_an_automatic_mail_that_cannot_be_read_is_for_a_person():
    unread = FAULTY["too deep"]
    assert read(unread).fault is not None
    assert kind_of(b"Auto-Submitted: auto-generated\r\n" + unread) is Kind.AUTO_UNSURE


@pytest.mark.parametrize(
    "parts",
    [
        [pdf_part()],
        [part("message/rfc822", MDN)],
        [inner_multipart([part("message/rfc822", letter())], subtype="report")],
    ],
)
def test_an_automatic_mail_with_a_report_or_a_picture_alone_is_filed(parts):
    raw = multipart([text_part(), *parts], boundary="=_dehors", Auto_Submitted="auto-replied")
    assert kind_of(raw) is Kind.AUTO_REPLY


# A forward that comes back --------------------------------------------------------------------

TITLE = "[A intégrer manuellement][906] "


@pytest.mark.parametrize(
    "raw",
    [
        letter(X_PFI_Reason="902 902"),
        forwarded(letter(X_PFI_Reason="902 902")),
        multipart(
            [part("message/rfc822", m) for m in (plain(), letter(X_PFI_Reason="902 902"))],
            boundary="=_dehors",
        ),
    ],
)
def test_a_forward_of_a_pfi_is_known_by_its_mark_even_as_an_attached_message(raw):
    assert came_back(read(raw), archive=True)


@pytest.mark.parametrize(
    "subject", [f"TR: {TITLE}{REQUEST}", "Absence : [A INTEGRER MANUELLEMENT]"]
)
def test_the_subject_is_a_mark_only_where_no_archive_tells_more(subject):
    assert came_back(read(plain(Subject=subject)), archive=False)
    assert not came_back(read(letter(Subject=subject)), archive=True)


@pytest.mark.parametrize("raw", [letter(), plain(), forwarded(letter()), MDN, DSN])
def test_any_other_mail_has_not_come_back(raw):
    assert not came_back(read(raw), archive=False)
