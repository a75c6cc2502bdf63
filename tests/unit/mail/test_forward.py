"""The forward to the fallback mailbox (F-02, mssante-mail §1.5 Fallback forward)."""

import re
from dataclasses import replace

import pytest

from pfi.errors import Misconfigured, Unreadable
from pfi.ins.wording import ADVICE_FR, advice
from pfi.mail import mdn
from pfi.mail.inbound import read
from pfi.mail.outbound import (
    Cause,
    ForwardStyle,
    Layout,
    OwnMailbox,
    failure_notice,
    forward,
    outgoing_id,
)
from pfi.mail.rules import Kind, kind
from pfi.names import Reason
from tests.unit.mail.letters import (
    DIGEST,
    FALLBACK,
    MESSAGE_ID,
    OWN,
    REQUEST,
    SENDER,
    dispatch,
    letter,
    multipart,
    part,
    pdf_part,
    plain,
    text_part,
)

CAUSE = Cause.of(Reason.AMBIGUOUS)


def forwarded(raw=None, cause=CAUSE, style=None, **changes):
    out = forward(dispatch(raw, **({"to": FALLBACK} | changes)), cause, style)
    return out, read(out.content)


def test_a_forward_goes_from_our_mailbox_so_that_bounces_come_back():
    out, mail = forwarded()
    assert (out.envelope_from, out.recipient) == (OWN, FALLBACK)
    assert (mail.sender, mail.recipients) == (OWN, (FALLBACK,))
    assert mail.header("date") == "Thu, 14 May 2026 09:32:20 +0200"


def test_the_subject_tells_the_code_before_the_original_subject():
    assert forwarded()[1].subject == f"[A intégrer manuellement][906] {REQUEST}"
    assert forwarded(letter(Subject=None))[1].subject.endswith("[906] (sans objet)")


def test_a_deletion_that_was_not_done_is_marked():
    _, mail = forwarded(style=ForwardStyle(deletion=True))
    assert mail.subject == f"[A intégrer manuellement][906] [SUPPRESSION] {REQUEST}"
    assert "SUPPRESSION" in mail.text


def test_the_forward_is_marked_against_loops_and_for_support():
    _, mail = forwarded()
    assert mail.header("x-pfi-reason") == "906 PFI-ID-02"
    assert mail.header("auto-submitted") == "auto-generated"
    assert mail.header("x-loop") == OWN
    assert mail.header("x-mss-nil") == "PFI-FICTIF-1"
    assert mail.header("x-pfi-mail") == DIGEST
    assert kind(mail, frozenset({OWN})) is Kind.OWN


def test_the_forward_asks_for_no_mdn_whatever_the_original_asked():
    content = forwarded(letter(Disposition_Notification_To=SENDER))[0].content
    assert b"disposition-notification-to" not in content.partition(b"\r\n\r\n")[0].lower()


def test_the_product_reference_and_the_human_address_are_optional():
    own = OwnMailbox(OWN, reply_to="dim@ch-fictif.mssante.fr")
    _, mail = forwarded(own=own)
    assert mail.raw_values("x-mss-nil") == ()
    assert mail.reply_to == "dim@ch-fictif.mssante.fr"
    assert forwarded()[1].raw_values("reply-to") == ()


def test_the_text_tells_code_label_own_reason_and_what_to_do():
    _, mail = forwarded()
    assert "Code : 906 - Erreur 'Autre'" in mail.text
    assert "Motif interne : PFI-ID-02" in mail.text
    assert f"À faire : {advice('906', 'PFI-ID-02')}" in mail.text
    assert f"Expéditeur : {SENDER}" in mail.text


def test_a_code_of_the_dpi_is_told_once():
    _, mail = forwarded(cause=Cause("902", "Identifiant patient inconnu", "902"))
    assert mail.header("x-pfi-reason") == "902 902"
    assert "Motif interne" not in mail.text


def test_each_document_has_its_line_when_there_are_several():
    """Q-19."""
    _, mail = forwarded(outcomes=((1, "intégré"), (2, "refusé\r\n901")))
    assert "- Document 1 : intégré\n- Document 2 : refusé 901\n" in mail.text


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_a_sentence_for_staff_and_the_volet_s_label(reason):
    cause = Cause.of(reason)
    assert len(advice(cause.code, cause.reason)) > 40
    assert re.fullmatch("90[0-6]", cause.code)
    assert cause.label


def test_what_to_do_follows_our_reason_then_its_family_then_the_code():
    assert advice("906", "PFI-XDM-05") == ADVICE_FR[Reason.METADATA_INVALID]
    assert advice("903", "") == ADVICE_FR[Reason.NO_INS]
    assert advice("999", "inconnu") == ADVICE_FR[Reason.OTHER]


@pytest.mark.parametrize(
    ("layout", "expected"),
    [
        (Layout.RFC822, ["message_original.eml"]),
        (Layout.FLAT, ["", "IHE_XDM.zip", "20260514_CR_FICTIF_ALIX.pdf"]),
        (
            Layout.BOTH,
            ["message_original.eml", "IHE_XDM.zip", "20260514_CR_FICTIF_ALIX.pdf"],
        ),
    ],
)
def test_the_layout_says_how_the_original_travels(layout, expected):
    _, mail = forwarded(letter(pdf_part()), style=ForwardStyle(layout))
    assert [p.filename for p in mail.parts[1:]] == expected
    assert mail.header("content-type").startswith("multipart/mixed")


def test_both_is_the_layout_by_default():
    assert len(forwarded(letter(pdf_part()))[1].parts) == 4


def test_loose_attachments_alone_come_with_the_text_of_the_original():
    _, mail = forwarded(letter(), style=ForwardStyle(Layout.FLAT))
    assert "Ci-joint un compte rendu." in mail.content(mail.parts[1]).decode()


@pytest.mark.parametrize("raw", [plain(), b"", b"illisible"])
def test_without_attachment_the_whole_original_is_embedded_in_any_layout(raw):
    for layout in Layout:
        _, mail = forwarded(raw, style=ForwardStyle(layout))
        assert mail.content(mail.parts[1]) == raw
        assert len(mail.parts) == 2


def test_an_attached_message_is_never_lost_in_the_flat_layout():
    messages = [part("message/rfc822", letter(boundary=b)) for b in ("=_a", "=_b")]
    raw = multipart([text_part(), pdf_part(), *messages], boundary="=_dehors")
    _, mail = forwarded(raw, style=ForwardStyle(Layout.FLAT))
    assert mail.content(mail.parts[1]) == raw


def test_above_the_size_limit_only_the_loose_copies_are_left_out():
    small = ForwardStyle(size_limit=len(letter(pdf_part())) + 1000)
    _, mail = forwarded(letter(pdf_part()), style=small)
    assert [p.filename for p in mail.parts[1:]] == ["message_original.eml"]
    assert len(forwarded(style=ForwardStyle(size_limit=10**7))[1].parts) == 3


def test_the_archive_s_own_fields_go_with_it():
    raw = letter(X_MSS_INS="o", X_MSS_CODECDA="11502-2, 34133-9")
    _, mail = forwarded(raw)
    assert (mail.header("x-mss-ins"), mail.header("x-mss-codecda")) == ("O", "11502-2, 34133-9")
    _, mail = forwarded(letter(X_MSS_INS="oui", X_MSS_CODECDA="=?utf-8?q?a=0Ab?="))
    assert not mail.raw_values("x-mss-ins") + mail.raw_values("x-mss-codecda")
    assert not forwarded(raw, style=ForwardStyle(Layout.RFC822))[1].raw_values("x-mss-ins")


def test_the_message_id_depends_on_kind_mail_and_recipient_only():
    seen = {
        outgoing_id(k, d, r, "x.fr")
        for k in ("forward", "mdn")
        for d in ("a" * 64, "b" * 64)
        for r in (SENDER, FALLBACK)
    }
    assert len(seen) == 8
    assert all(re.fullmatch(r"<pfi\.(forward|mdn)\.[0-9a-f]{24}@x\.fr>", i) for i in seen)
    out, mail = forwarded()
    assert out.message_id == mail.message_id == forwarded(cause=Cause("904", ""))[0].message_id
    assert out.message_id == outgoing_id("forward", DIGEST, FALLBACK, OWN.partition("@")[2])


def test_the_same_dispatch_always_gives_the_same_bytes():
    assert forwarded()[0] == forwarded()[0]


@pytest.mark.parametrize("to", ["", OWN, OWN.upper(), "a@b, c@d", "x\r\nBcc: y@z"])
def test_a_recipient_that_is_not_one_other_mailbox_is_refused(to):
    for build in (forward, failure_notice, mdn.error):
        with pytest.raises(Unreadable) as refused:
            build(dispatch(to=to), CAUSE)
        assert refused.value.reason is Reason.NOT_ANSWERABLE


def test_our_own_mailbox_must_be_an_address():
    with pytest.raises(Misconfigured):
        forward(replace(dispatch(), own=OwnMailbox("pas une adresse")), CAUSE)


def test_only_a_well_formed_message_id_is_referred_to():
    assert forwarded()[1].header("references") == MESSAGE_ID
    assert forwarded()[1].raw_values("in-reply-to") == ()
    assert forwarded(letter(Message_ID="<a b@c>"))[1].raw_values("references") == ()
