"""Reports that come back: MDN in both syntaxes, bounces (mssante-mail §1.4, RFC 3464)."""

import pytest

from pfi.mail.inbound import read
from pfi.mail.reports import bounced_message_id, read_disposition
from tests.unit.mail.letters import (
    MESSAGE_ID,
    head,
    letter,
    lines,
    mdn_part,
    multipart,
    part,
    report,
    text_part,
)

AUTO = "Disposition: automatic-action/MDN-sent-automatically; "


def disposition(*rows):
    return read_disposition(read(report("disposition-notification", mdn_part(*rows))))


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([AUTO + "processed"], ("processed", "")),
        ([AUTO.replace(" ", "") + "processed"], ("processed", "")),
        ([AUTO + "Displayed"], ("displayed", "")),
        ([AUTO + "deleted"], ("deleted", "")),
        (
            [AUTO + "processed/error", "Error: 902^Identifiant patient inconnu^x| E^Error"],
            ("processed/error", "902"),
        ),
        ([AUTO + "processed/Error: 902^Identifiant patient inconnu"], ("processed/error", "902")),
        ([AUTO + "processed / error : 904"], ("processed/error", "904")),
        ([AUTO + "processed/", " error", "Error:905^x"], ("processed/error", "905")),
        ([AUTO + "processed/error", "Error: Boite pleine^x"], ("processed/error", "Boite pleine")),
        ([AUTO + "processed/Error: ^Erreur maison"], ("processed/error", "Erreur maison")),
        ([AUTO + "processed/error"], ("processed/error", "")),
    ],
)
def test_both_syntaxes_of_the_disposition_are_read(rows, expected):
    """Q-04."""
    assert disposition(*rows) == expected


def test_a_notification_without_its_blank_line_is_read():
    second = lines(
        "Content-Type: message/disposition-notification", AUTO + "processed/Error: 903^x"
    )
    raw = report("disposition-notification", second)
    assert read_disposition(read(raw)) == ("processed/error", "903")


@pytest.mark.parametrize(
    "raw",
    [
        letter(),
        b"",
        report("disposition-notification", mdn_part("Reporting-UA: x")),
        report("disposition-notification", mdn_part(AUTO + "failed")),
        multipart([mdn_part(AUTO + "processed")]),
    ],
)
def test_other_mails_have_no_disposition(raw):
    assert read_disposition(read(raw)) is None


def status(*groups):
    return part("message/delivery-status", "\r\n".join(groups))


FAILED = "Reporting-MTA: dns; mx\r\n", "Final-Recipient: rfc822; x@y\r\nAction: failed\r\n"


def test_a_bounce_names_our_mail_by_its_message_id():
    raw = report("delivery-status", status(*FAILED), letter())
    assert bounced_message_id(read(raw)) == MESSAGE_ID


def test_a_bounce_with_headers_only_names_our_mail_too():
    parts = [text_part(), status(*FAILED), part("text/rfc822-headers", head())]
    kind = 'multipart/report; report-type=delivery-status; boundary="=_r"'
    assert (
        bounced_message_id(read(multipart(parts, boundary="=_r", Content_Type=kind))) == MESSAGE_ID
    )


def test_one_failed_recipient_among_several_is_enough():
    groups = (*FAILED[:1], "Action: delivered\r\n", "ACTION:Failed\r\n")
    assert bounced_message_id(read(report("delivery-status", status(*groups), letter())))


@pytest.mark.parametrize(
    "raw",
    [
        report("delivery-status", status("Action: delayed\r\n"), letter()),
        report("delivery-status", status("Diagnostic-Code: x; Action: failed\r\n"), letter()),
        report("delivery-status", status(*FAILED)),
        report("delivery-status", status(*FAILED), letter(Message_ID="<a@b\x00>")),
        report("delivery-status", text_part("Action: failed"), letter()),
        multipart([status(*FAILED), part("message/rfc822", letter(boundary="=_x"))]),
        letter(),
        b"",
    ],
)
def test_anything_else_names_no_bounced_mail(raw):
    assert bounced_message_id(read(raw)) == ""
