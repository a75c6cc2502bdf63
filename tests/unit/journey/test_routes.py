"""One mail through all steps, for each route (mssante-mail §1.6)."""

from dataclasses import replace

import pytest

from pfi.errors import OutcomeUnknown, Refused, Unavailable
from pfi.mail.inbound import read
from pfi.names import Event, Integration, Leg, Mdn, Reason, Route
from tests.data.builders import (
    AISSATA,
    ANDRE,
    LEA,
    NO_INS,
    SENDER,
    THEO,
    YANN,
    document,
    mail,
    xdm_zip,
)
from tests.doubles.drive import FALLBACK, HOSPITAL, Drive


def letter(*entries, number=1, **options):
    options.setdefault("message_id", f"<{number}@labo-invente.mssante.fr>")
    return mail(xdm_zip(list(entries)), **options)


def test_a_concordant_document_is_integrated_and_the_mdn_says_processed():
    drive = Drive()
    [found] = drive.process(letter(document(LEA)))
    assert (found.route, found.mdn, found.reason) == (Route.INTEGRATED, Mdn.PROCESSED, None)
    [accepted] = drive.ports.hospital.accepted
    assert accepted.split(b"|")[8] == b"MDM^T02^MDM_T02"
    [answer] = drive.ports.outbox.sent
    assert (answer.recipient, answer.envelope_from) == (SENDER, "")
    assert b"processed\r\n" in answer.content


def test_without_mdn_asked_nothing_is_sent_back():
    drive = Drive()
    [found] = drive.process(letter(document(LEA), mdn=False))
    assert (found.route, found.mdn, drive.ports.outbox.sent) == (Route.INTEGRATED, Mdn.NONE, [])


def test_the_mail_is_moved_only_after_the_commit_and_collected_once():
    drive = Drive()
    drive.process(letter(document(LEA)))
    assert drive.ports.inbox.inbox == {}
    assert len(drive.ports.inbox.folders["PFI-Traites"]) == 1
    drive.collect()
    assert drive.ports.inbox.fetches == 1


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (document(replace(LEA, body="2910775102003", birth_name="INCONNUE")), "902"),
        (document(LEA, ids=[("2.25.9", "LAB-1")], patient_id=""), "903"),
        (document(replace(THEO, birth_name="BENEZAR")), "904"),
        (document(replace(LEA, sex="UN")), "905"),
        (document(replace(LEA, sex="UN"), digest="0" * 40), "PFI-XDM-07"),
        (document(ANDRE, masks=("MASQUE_PS",)), "PFI-CONF-01"),
    ],
)
def test_what_cannot_be_integrated_is_forwarded_with_its_reason_and_an_mdn_error(entry, reason):
    drive = Drive()
    [found] = drive.process(letter(entry))
    assert (found.route, found.reason, found.mdn) == (Route.FORWARDED, reason, Mdn.ERROR)
    assert (found.forwarded_to, found.replied_to) == (FALLBACK, None)
    assert drive.ports.hospital.received == []
    assert [each.recipient for each in drive.ports.outbox.sent] == [FALLBACK, SENDER]


def test_without_fallback_and_mdn_the_sender_gets_the_failure_notice():
    drive = Drive()
    drive.set_fallback("")
    [found] = drive.process(letter(document(replace(LEA, sex="UN")), mdn=False))
    assert (found.route, found.replied_to, found.mdn) == (Route.REPLIED, SENDER, Mdn.NONE)
    assert "[905]" in read(drive.ports.outbox.sent[0].content).subject


def test_without_fallback_the_mdn_error_is_the_answer():
    drive = Drive()
    drive.set_fallback("")
    [found] = drive.process(letter(document(replace(LEA, sex="UN"))))
    assert (found.route, found.replied_to, found.mdn) == (Route.REPLIED, SENDER, Mdn.ERROR)
    assert len(drive.ports.outbox.sent) == 1


def test_without_fallback_an_unanswerable_mail_goes_to_review_and_not_to_silence():
    drive = Drive()
    drive.set_fallback("")
    raw = letter(document(replace(LEA, sex="UN")), mdn=False, headers=[("Precedence", "bulk")])
    [found] = drive.process(raw)
    assert (found.route, found.reason, found.review) == (Route.REVIEW, "905", True)
    assert drive.ports.outbox.sent == []
    assert [each.reason for each in drive.ledger.reviews(found.mail)] == ["PFI-MAIL-06"]


def test_an_mdn_to_another_address_than_the_return_path_waits_for_a_person():
    drive = Drive()
    [found] = drive.process(letter(document(LEA), mdn_to="autre@labo-invente.mssante.fr"))
    assert (found.route, found.mdn, found.review) == (Route.INTEGRATED, Mdn.NONE, True)
    assert drive.ports.outbox.sent == []


def test_one_document_that_fails_keeps_all_of_its_mail_from_the_dpi():
    drive = Drive()
    good = document(YANN, document_id="2.25.1.1")
    bad = document(replace(YANN, sex="UN"), document_id="2.25.1.2")
    [found] = drive.process(letter(good, bad))
    assert (found.route, found.reason) == (Route.FORWARDED, "905")
    states = [(each.integration, each.reason) for each in drive.documents(found)]
    assert states == [(Integration.NOT_OWED, None), (Integration.NOT_OWED, "905")]
    assert drive.ports.hospital.received == []


def test_two_documents_are_two_messages_and_one_mdn():
    drive = Drive()
    [found] = drive.process(
        letter(document(YANN, document_id="2.25.1.1"), document(YANN, document_id="2.25.1.2"))
    )
    assert (found.route, len(drive.ports.hospital.accepted)) == (Route.INTEGRATED, 2)
    assert len(drive.ports.outbox.sent) == 1


def test_a_replacement_then_a_deletion_are_t10_and_t04():
    drive = Drive()
    first = document(LEA, document_id="2.25.1.1")
    second = document(LEA, document_id="2.25.1.2", parent="2.25.1.1", version="2", action="C")
    gone = document(LEA, document_id="2.25.1.2", parent="2.25.1.1", version="2", action="D")
    found = drive.process(*(letter(e, number=n) for n, e in enumerate((first, second, gone))))
    assert [drive.documents(each)[0].event for each in found] == [
        Event.NEW,
        Event.REPLACE,
        Event.DELETE,
    ]
    kinds = [message.split(b"|")[8][4:7] for message in drive.ports.hospital.accepted]
    assert kinds == [b"T02", b"T10", b"T04"]


def test_masks_that_change_with_a_replacement_are_told_to_the_dpi():
    drive = Drive()
    first = document(LEA, document_id="2.25.1.1")
    second = document(
        LEA, document_id="2.25.1.2", parent="2.25.1.1", action="C", masks=("INVISIBLE_PATIENT",)
    )
    drive.process(letter(first, number=1), letter(second, number=2))
    told = [b"|MODIF_CONF_CODE^Modification Confidentiality Code^MetaDMPMSS||Y" in each
            for each in drive.ports.hospital.accepted]  # fmt: skip
    assert told == [False, True]


def test_the_dpi_has_the_last_word_and_its_code_is_the_reason():
    drive = Drive()
    drive.ports.hospital.answers = ["AE 207 902"]
    [found] = drive.process(letter(document(LEA)))
    [refused] = drive.documents(found)
    assert (found.route, found.reason, found.mdn) == (Route.FORWARDED, "902", Mdn.ERROR)
    assert (refused.integration, refused.ack, refused.code) == (Integration.REFUSED, "AE", "902")
    assert "base_differs_from_dpi" in refused.warnings


def test_an_unknown_code_of_the_dpi_passes_through():
    drive = Drive()
    drive.ports.hospital.answers = ["AE 207 950"]
    [found] = drive.process(letter(document(LEA)))
    assert found.reason == "950"
    assert b"Error: 950^" in drive.ports.outbox.sent[1].content


def test_a_syntax_error_of_ours_goes_to_review_and_not_to_the_sender():
    drive = Drive()
    drive.ports.hospital.answers = ["AE 101"]
    [found] = drive.process(letter(document(LEA)))
    assert (found.route, found.reason) == (Route.REVIEW, Reason.DPI_SYNTAX.value)
    assert drive.ports.outbox.sent == []


def test_ar_is_tried_again_with_the_same_bytes():
    drive = Drive()
    drive.ports.hospital.answers = ["AR", "AR"]
    [found] = drive.process(letter(document(LEA)))
    assert found.route is Route.INTEGRATED
    assert len(set(drive.ports.hospital.received)) == 1
    assert len(drive.ports.hospital.received) == 3


def test_ar_beyond_the_hold_goes_to_review_and_is_never_answered_to_the_sender():
    drive = Drive()
    drive.ports.hospital.answers = ["AR"] * 100
    [found] = drive.process(letter(document(LEA)))
    [document_] = drive.documents(found)
    assert (found.route, found.review, found.reason) == (Route.REVIEW, True, None)
    [item] = drive.ledger.reviews(found.mail)
    assert item.reason == Reason.DPI_RETRY_LATER.value
    assert (document_.integration, document_.ack) == (Integration.WAITING, "AR")
    assert drive.ports.outbox.sent == []


def test_a_dpi_that_cannot_be_reached_gets_the_message_later():
    drive = Drive()
    drive.ports.hospital.answers = [Unavailable(Reason.DPI_UNAVAILABLE)] * 3
    [found] = drive.process(letter(document(LEA)))
    assert (found.route, len(drive.ports.hospital.accepted)) == (Route.INTEGRATED, 1)
    assert drive.documents(found)[0].sends == 1


def test_a_lost_answer_is_asked_again_with_the_same_bytes_a_few_times_then_reviewed():
    drive = Drive()
    drive.ports.hospital.answers = [OutcomeUnknown(Reason.DPI_OUTCOME_UNKNOWN)] * 9
    [found] = drive.process(letter(document(LEA)))
    assert (found.route, found.reason) == (Route.REVIEW, Reason.DPI_OUTCOME_UNKNOWN.value)
    assert drive.documents(found)[0].integration is Integration.UNKNOWN
    assert len(drive.ports.hospital.received) == 4
    assert len(set(drive.ports.hospital.received)) == 1


def test_a_commit_acknowledgement_is_not_an_integration():
    drive = Drive()
    drive.ports.hospital.answers = ["CA"] * 9
    [found] = drive.process(letter(document(LEA)))
    assert found.route is Route.REVIEW


def test_the_same_bytes_delivered_three_times_are_one_mail():
    drive = Drive()
    raw = letter(document(LEA))
    found = drive.process(raw, raw, raw)
    assert len(drive.ports.hospital.accepted) == 1
    assert len(drive.ports.outbox.sent) == 1
    assert found[0].copies == 3


def test_the_same_mail_with_other_trace_headers_is_a_duplicate():
    drive = Drive()
    first = letter(document(LEA))
    second = b"Received: from elsewhere\r\n" + first
    found = drive.process(first, second)
    assert [each.route for each in found] == [Route.INTEGRATED, Route.DUPLICATE]
    assert (len(drive.ports.hospital.accepted), len(drive.ports.outbox.sent)) == (1, 1)


def test_the_same_document_in_another_mail_is_not_sent_again_but_acknowledged():
    drive = Drive()
    found = drive.process(letter(document(LEA), number=1), letter(document(LEA), number=2))
    assert [(each.route, each.mdn) for each in found] == [(Route.INTEGRATED, Mdn.PROCESSED)] * 2
    assert len(drive.ports.hospital.accepted) == 1
    repeat = drive.documents(found[1])[0]
    assert (repeat.repeated, repeat.ack) == (True, "AA")


def test_a_document_sent_again_after_its_deletion_is_sent_again_to_the_dpi():
    drive = Drive()
    first, gone = document(LEA), document(LEA, action="D")
    drive.process(letter(first, number=1), letter(gone, number=2), letter(first, number=3))
    kinds = [message.split(b"|")[8][4:7] for message in drive.ports.hospital.accepted]
    assert kinds == [b"T02", b"T04", b"T02"]


def test_a_document_refused_once_can_be_sent_again_by_another_mail():
    drive = Drive()
    drive.ports.hospital.answers = ["AE 207 902"]
    found = drive.process(letter(document(LEA), number=1), letter(document(LEA), number=2))
    assert [each.route for each in found] == [Route.FORWARDED, Route.INTEGRATED]


def test_a_document_whose_outcome_is_unknown_is_not_sent_by_another_mail():
    drive = Drive()
    drive.ports.hospital.answers = [OutcomeUnknown(Reason.DPI_OUTCOME_UNKNOWN)] * 4
    found = drive.process(letter(document(LEA), number=1), letter(document(LEA), number=2))
    assert [each.route for each in found] == [Route.REVIEW, Route.REVIEW]
    assert len(drive.ports.hospital.received) == 4


def test_an_unknown_sender_is_kept_for_a_person_and_never_answered():
    drive = Drive()
    raw = letter(document(LEA), sender="x@pirate.example", return_path="x@pirate.example")
    [found] = drive.process(raw)
    assert (found.route, found.reason) == (Route.REVIEW, "PFI-MAIL-01")
    assert (drive.ports.outbox.sent, drive.ports.hospital.received) == ([], [])


def test_a_zero_byte_mail_goes_to_a_person():
    drive = Drive()
    [found] = drive.process(b"")
    assert (found.route, found.reason) == (Route.FORWARDED, "PFI-MAIL-03")


def test_a_relay_that_refuses_the_forward_leaves_the_mail_in_review():
    drive = Drive()
    drive.ports.outbox.faults = [Refused(Reason.RELAY_REFUSED, code="550")]
    [found] = drive.process(letter(document(replace(LEA, sex="UN")), mdn=False))
    assert (found.route, found.forward, found.review) == (Route.REVIEW, Leg.FAILED, True)


def test_a_relay_that_is_down_gets_the_same_message_later_and_only_once():
    drive = Drive()
    drive.ports.outbox.faults = [Unavailable(Reason.RELAY_UNAVAILABLE)] * 3
    [found] = drive.process(letter(document(replace(LEA, sex="UN")), mdn=False))
    assert (found.route, len(drive.ports.outbox.sent)) == (Route.FORWARDED, 1)


def test_a_provisional_identity_is_never_integrated():
    drive = Drive(patients=tuple(replace(p.record, status="PROV") for p in (LEA, NO_INS)))
    [found] = drive.process(letter(document(LEA)))
    assert (found.route, found.reason) == (Route.FORWARDED, "PFI-ID-01")


def test_mode_dpi_sends_whatever_has_a_complete_ins_and_lets_the_dpi_decide():
    settings = replace(HOSPITAL, match=replace(HOSPITAL.match, who="dpi"))
    drive = Drive(settings, patients=())
    [found] = drive.process(letter(document(AISSATA)))
    assert found.route is Route.INTEGRATED


@pytest.mark.parametrize("action", ["C", "D"])
def test_a_document_of_another_patient_is_never_replaced_nor_deleted(action):
    drive = Drive()
    first = document(LEA, document_id="2.25.1.1")
    number = "2.25.1.2" if action == "C" else "2.25.1.1"
    other = document(YANN, document_id=number, parent="2.25.1.1", version="2", action=action)
    found = drive.process(letter(first, number=1), letter(other, number=2))
    assert [each.route for each in found] == [Route.INTEGRATED, Route.FORWARDED]
    assert found[1].reason == Reason.ANOTHER_PATIENT.value
    assert len(drive.ports.hospital.received) == 1
