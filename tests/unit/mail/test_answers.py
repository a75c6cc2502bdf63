"""The MDN (N-01…N-12) and the failure notice (F-01…F-07) as built."""

import email

import pytest

from pfi.mail import mdn
from pfi.mail.inbound import read
from pfi.mail.mdn import MdnForm, Syntax
from pfi.mail.outbound import Cause, OwnMailbox, failure_notice, forward
from pfi.mail.reports import read_disposition
from pfi.mail.rules import Kind, archives, kind
from pfi.names import OUTWARD_LABELS, Reason
from tests.unit.mail.letters import (
    DIGEST,
    MESSAGE_ID,
    OWN,
    REQUEST,
    SENDER,
    dispatch,
    letter,
    pdf_part,
)

UNKNOWN = Cause.of(Reason.UNKNOWN_PATIENT)
AUTHOR = Cause.of(Reason.DPI_AUTHOR)


def notification(out):
    """Second part as the stdlib reads it: (name, value) in order."""
    report = email.message_from_bytes(out.content)
    return report.get_payload(1).get_payload(0).items()


def subject(out):
    return read(out.content).subject


# N-04, N-06, N-08, N-11 -----------------------------------------------------------------------


def test_an_mdn_is_a_report_of_three_parts_with_the_original_last():
    out = mdn.error(dispatch(letter(pdf_part())), UNKNOWN)
    mail = read(out.content)
    assert (mail.content_type, mail.report_type) == ("multipart/report", "disposition-notification")
    assert [p.content_type for p in mail.parts] == [
        "text/plain",
        "message/disposition-notification",
        "message/rfc822",
    ]
    assert mail.content(mail.parts[2]) == letter(pdf_part())


def test_an_mdn_has_the_null_path_and_the_mailbox_that_processed_as_sender():
    out = mdn.processed(dispatch())
    assert (out.envelope_from, out.recipient) == ("", SENDER)
    mail = read(out.content)
    assert (mail.sender, mail.recipients) == (OWN, (SENDER,))


@pytest.mark.parametrize("build", [mdn.processed, lambda d: failure_notice(d, UNKNOWN)])
def test_answers_are_marked_and_threaded(build):
    """F-06."""
    mail = read(build(dispatch()).content)
    assert mail.header("auto-submitted") == "auto-replied"
    assert mail.header("in-reply-to") == mail.header("references") == MESSAGE_ID
    assert mail.header("x-loop") == OWN
    assert mail.header("x-mss-nil") == "PFI-FICTIF-1"
    assert mail.raw_values("disposition-notification-to") == ()


def test_our_answers_are_never_taken_for_documents():
    own = frozenset({"autre@ailleurs.mssante.fr"})
    error = read(mdn.error(dispatch(), UNKNOWN, MdnForm(reattach=True)).content)
    notice = read(failure_notice(dispatch(), UNKNOWN).content)
    assert (kind(error, own), archives(error)) == (Kind.MDN, ())
    assert (kind(notice, own), archives(notice)) == (Kind.FAILURE_NOTICE, ())


# Part 2 ---------------------------------------------------------------------------------------


def test_a_failure_says_code_and_label_in_the_error_field():
    """Form 1.1.3, and no accent in a header block (N-10)."""
    assert notification(mdn.error(dispatch(), AUTHOR)) == [
        ("Reporting-UA", "ch-fictif.mssante.fr; PFI 1.0"),
        ("Original-Recipient", f"rfc822;{OWN}"),
        ("Final-Recipient", f"rfc822;{OWN}"),
        ("Original-Message-ID", MESSAGE_ID),
        ("Disposition", "automatic-action/MDN-sent-automatically; processed/error"),
        (
            "Error",
            "901^Auteur non autorise a remplacer ou supprimer un document"
            "^applicationErrorCondition| E^Error^errorSeverity",
        ),
    ]


def test_the_legacy_form_says_it_inside_the_disposition():
    """Q-04."""
    fields = dict(notification(mdn.error(dispatch(), AUTHOR, MdnForm(Syntax.V112))))
    assert fields["Disposition"] == (
        "automatic-action/MDN-sent-automatically; processed/Error: "
        "901^Auteur non autorise a remplacer ou supprimer un document"
    )
    assert "Error" not in fields


def test_a_success_says_processed():
    fields = dict(notification(mdn.processed(dispatch())))
    assert fields["Disposition"] == "automatic-action/MDN-sent-automatically; processed"
    assert "Error" not in fields


def test_an_mdn_confirmed_by_a_human_says_so():
    """N-03."""
    for out in (
        mdn.processed(dispatch(), MdnForm(manual=True)),
        mdn.error(dispatch(), UNKNOWN, MdnForm(manual=True)),
    ):
        told = dict(notification(out))["Disposition"]
        assert told.startswith("manual-action/MDN-sent-manually; processed")


def test_a_technical_error_keeps_its_own_code_in_the_error_field():
    cause = Cause("906", "Erreur 'Autre'", "PFI-DPI-04", ("101", "Required field missing"))
    out = mdn.error(dispatch(), cause)
    assert dict(notification(out))["Error"].startswith(
        "101^Required field missing^messageErrorCondition|"
    )
    assert subject(out).startswith("[KO Intégration système !][906] ")


@pytest.mark.parametrize("syntax", Syntax)
@pytest.mark.parametrize("code", sorted(OUTWARD_LABELS))
def test_our_own_reader_understands_every_mdn_we_send(code, syntax):
    out = mdn.error(dispatch(), Cause(code, OUTWARD_LABELS[code]), MdnForm(syntax))
    assert read_disposition(read(out.content)) == ("processed/error", code)


def test_a_success_is_understood_too():
    assert read_disposition(read(mdn.processed(dispatch()).content)) == ("processed", "")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("rfc822;service@ch-fictif.mssante.fr", "service@ch-fictif.mssante.fr"),
        ("RFC822; service@ch-fictif.mssante.fr ", "service@ch-fictif.mssante.fr"),
        ("x400;service@ch-fictif.mssante.fr", OWN),
        ("rfc822;pas une adresse", OWN),
        (None, OWN),
    ],
)
def test_the_original_recipient_is_copied_when_well_formed(value, expected):
    out = mdn.processed(dispatch(letter(Original_Recipient=value)))
    assert dict(notification(out))["Original-Recipient"] == f"rfc822;{expected}"


def test_without_a_well_formed_message_id_none_is_invented():
    out = mdn.processed(dispatch(letter(Message_ID="<a b@c>")))
    assert "Original-Message-ID" not in dict(notification(out))
    assert read(out.content).raw_values("in-reply-to") == ()


# N-07, N-09, F-03 -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("original", "expected"),
    [
        (REQUEST, REQUEST),
        ("TR: " + REQUEST, REQUEST),
        ("Tr : RE: xdm/1.0/ddm+é", "xdm/1.0/ddm+é"),
        ("sans marque", "XDM/1.0/DDM+refait"),
        (None, "XDM/1.0/DDM+refait"),
    ],
)
def test_the_subject_is_the_request_line_of_the_original_or_the_rebuilt_one(original, expected):
    owed = dispatch(letter(Subject=original), subject="XDM/1.0/DDM+refait")
    assert subject(mdn.processed(owed)) == expected
    failed = f"[KO Intégration système !][902] {expected}"
    assert subject(mdn.error(owed, UNKNOWN)) == subject(failure_notice(owed, UNKNOWN)) == failed


def test_without_any_request_line_the_original_subject_is_kept():
    assert subject(mdn.processed(dispatch(letter(Subject="sans marque")))) == "sans marque"
    assert subject(mdn.processed(dispatch(letter(Subject=None)))) == "(sans objet)"


def test_a_subject_that_looks_encoded_comes_out_as_it_was():
    literal = "XDM/1.0/DDM+ =?utf-8?q?a?="
    twice = "XDM/1.0/DDM+ =?utf-8?q?=3D=3Futf-8=3Fq=3Fa=3F=3D?="
    assert subject(mdn.processed(dispatch(letter(Subject=twice)))) == literal


@pytest.mark.parametrize("build", [mdn.error, failure_notice])
def test_a_human_reads_code_label_and_each_document(build):
    """N-09, F-04, Q-03."""
    owed = dispatch(outcomes=((1, "intégré"), (2, "901 - refusé")))
    text = read(build(owed, AUTHOR).content).text
    assert "901" in text
    assert OUTWARD_LABELS["901"] in text
    assert "- Document 1 : intégré\n- Document 2 : 901 - refusé" in text


def test_a_code_that_is_no_code_becomes_906():
    for code in ("", "9 02", "902\r\nBcc: x", "x" * 30):
        assert "[906]" in subject(mdn.error(dispatch(), Cause(code, "")))


def test_an_unknown_code_of_the_dpi_is_passed_on_with_its_label():
    out = mdn.error(dispatch(), Cause("950", "Service fermé"))
    assert "[950]" in subject(out)
    assert dict(notification(out))["Error"].startswith("950^Service ferme^")


def test_an_answer_never_tells_our_own_reason():
    cause = Cause.of(Reason.FLAGGED)
    for build in (mdn.error, failure_notice):
        assert b"PFI-ID" not in build(dispatch(), cause).content


# N-12, F-04, F-05, F-06 -----------------------------------------------------------------------


def test_attachments_are_repeated_only_on_demand():
    """Q-05."""
    owed = dispatch(letter(pdf_part()))
    assert len(read(mdn.processed(owed).content).parts) == 3
    assert len(read(failure_notice(owed, UNKNOWN).content).parts) == 2
    again = read(mdn.processed(owed, MdnForm(reattach=True)).content)
    names = ["IHE_XDM.zip", "20260514_CR_FICTIF_ALIX.pdf"]
    assert [p.filename for p in again.parts[3:]] == names
    again = read(failure_notice(owed, UNKNOWN, reattach=True).content)
    assert [p.filename for p in again.parts[2:]] == names


def test_a_failure_notice_is_a_plain_mail_with_the_original_in_it():
    """F-04, F-05: the code stands in subject and text, there is no Disposition."""
    out = failure_notice(dispatch(), UNKNOWN)
    mail = read(out.content)
    assert mail.content_type == "multipart/mixed"
    assert [p.content_type for p in mail.parts] == ["text/plain", "message/rfc822"]
    assert mail.parts[1].filename == "message_original.eml"
    assert out.envelope_from == ""
    assert b"\r\nDisposition:" not in out.content


def test_each_kind_of_answer_has_its_own_stable_message_id():
    ids = [mdn.processed(dispatch()), mdn.error(dispatch(), UNKNOWN)]
    assert ids[0].message_id == ids[1].message_id  # one MDN per mail and recipient (N-04)
    assert failure_notice(dispatch(), UNKNOWN).message_id != ids[0].message_id
    assert ids[0].message_id == read(ids[0].content).message_id


# Nothing hostile comes through ----------------------------------------------------------------

EVIL = "x\r\nX-Evil: 1\r\n\r\n<evil>"
ENCODED = "=?utf-8?q?x=0D=0AX-Evil:_1=0D=0A=0D=0A<evil>?="
FIELDS = (
    "Subject",
    "From",
    "Reply_To",
    "Disposition_Notification_To",
    "Original_Recipient",
    "Message_ID",
    "References",
    "Date",
    "Return_Path",
    "X_MSS_INS",
    "X_MSS_CODECDA",
)
EXPECTED = {
    *("date", "from", "to", "message-id", "in-reply-to", "references", "auto-submitted"),
    *("x-loop", "x-mss-nil", "x-pfi-mail", "subject", "mime-version", "content-type"),
    *("content-transfer-encoding", "x-pfi-reason", "x-mss-ins", "x-mss-codecda"),
}


def _outgoing(owed, cause):
    yield forward(owed, cause)
    yield failure_notice(owed, cause, reattach=True)
    yield mdn.processed(owed)
    for syntax in Syntax:
        yield mdn.error(owed, cause, MdnForm(syntax))


def _check(out):
    message = email.message_from_bytes(out.content)
    names = [name.lower() for name in message.keys()]  # noqa: SIM118
    assert not set(names) - EXPECTED
    assert len(names) == len(set(names))
    for part in message.get_payload():
        assert all(name.startswith("Content-") for name in part.keys())  # noqa: SIM118
    block = out.content.partition(b"\r\n\r\n")[0]
    assert block.isascii()
    if message.get_content_type() == "multipart/report":
        fields = message.get_payload(1).get_payload(0)
        assert len(fields.keys()) == len(set(fields.keys())) <= 6
        assert fields["X-Evil"] is None
        assert not fields.get_payload().strip()


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize(
    "value",
    [
        EVIL,
        ENCODED,
        f"{ENCODED} <{SENDER}>",
        f"<{SENDER}\r\nX-Evil: 1>",
        "a\rX-Evil: 1",
        "a\x0bX-Evil: 1\x85\u2028X-Evil: 2",
        "=?utf-8?b?" + "DQpYLUV2aWw6IDE=" * 9 + "?=",
        "<a@b>\r\n <c@d>",
        "é" * 2000,
        "x" * 5000,
    ],
)
def test_no_field_of_the_original_injects_one_of_ours(field, value):
    raw = letter(pdf_part("a\r\nX-Evil: 1.pdf"), **{field: value})
    for out in _outgoing(dispatch(raw), UNKNOWN):
        _check(out)


@pytest.mark.parametrize(
    "value", [EVIL, "é\r\n.\r\n", "\x00\x85\u2029", "a^b|c&d~e", "\ud800", "x" * 9000]
)
def test_no_text_of_the_dpi_or_of_the_settings_injects_anything(value):
    cause = Cause(value, value, value, (value, value))
    own = OwnMailbox(OWN, value, value, value)
    owed = dispatch(letter(Subject="x"), own=own, subject=value, outcomes=((1, value),))
    for out in _outgoing(owed, cause):
        _check(out)
        assert b"X-Evil: 1\r\n" not in out.content.partition(b"\r\n\r\n")[0]


def test_separators_in_a_label_do_not_make_new_components():
    out = mdn.error(dispatch(), Cause("902", "a^b|c"))
    assert dict(notification(out))["Error"] == (
        "902^a b c^applicationErrorCondition| E^Error^errorSeverity"
    )


def test_a_hostile_digest_is_left_out_of_the_header():
    out = mdn.processed(dispatch(digest="../x\r\nX-Evil: 1"))
    assert read(out.content).raw_values("x-pfi-mail") == ()
    assert read(mdn.processed(dispatch()).content).header("x-pfi-mail") == DIGEST
