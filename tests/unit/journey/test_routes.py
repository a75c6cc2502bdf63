"""One mail through all steps, for each route (mssante-mail §1.6)."""

import hashlib
from dataclasses import replace

import pytest

from pfi.adapters.csv_patients import ListedPatients
from pfi.errors import OutcomeUnknown, Refused, Unavailable
from pfi.mail.inbound import read
from pfi.names import Event, Integration, Leg, Mdn, Reason, Route
from tests.data.builders import (
    AISSATA,
    ANDRE,
    LEA,
    MAILBOX,
    NO_INS,
    SAMIR,
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


# --- one patient, one request, one hospital: what an adversary or an accident may mix


def test_the_same_document_in_two_archives_with_other_masks_is_refused():
    drive = Drive()
    raw = mail(
        xdm_zip([document(LEA)]),
        attachments=[
            ("IHE_XDM2.zip", "application/zip", xdm_zip([document(LEA, masks=("MASQUE_PS",))]))
        ],
    )
    [found] = drive.process(raw)
    assert (found.route, found.reason) == (Route.FORWARDED, Reason.METADATA_INVALID.value)


def test_two_archives_that_name_two_patients_for_one_document_are_refused():
    drive = Drive()
    second = xdm_zip([document(LEA, patient_id=YANN.cx)])
    raw = mail(xdm_zip([document(LEA)]), attachments=[("IHE_XDM2.zip", "application/zip", second)])
    [found] = drive.process(raw)
    assert (found.route, found.reason) == (Route.FORWARDED, Reason.MULTIPLE_PATIENTS.value)


def test_two_numbers_of_one_scheme_are_two_patients_even_with_a_nia_in_common():
    drive = Drive()
    nia = (SAMIR.oid, SAMIR.matricule)
    entries = [
        document(p, ids=[(p.oid, p.matricule), nia], document_id=f"2.25.1.{n}", patient_id="")
        for n, p in enumerate((LEA, YANN))
    ]
    [found] = drive.process(letter(*entries))
    assert (found.route, found.reason) == (Route.FORWARDED, Reason.MULTIPLE_PATIENTS.value)


def test_a_nia_known_as_somebody_elses_beside_a_nir_is_a_conflict():
    drive = Drive()
    ids = [(LEA.oid, LEA.matricule), (SAMIR.oid, SAMIR.matricule)]
    [found] = drive.process(letter(document(LEA, ids=ids)))
    assert (found.route, found.reason) == (Route.FORWARDED, "PFI-ID-07")


def test_a_document_with_the_hospital_number_of_another_patient_is_refused():
    target = replace(HOSPITAL.dpis[0], ipp_authority="CH&2.25.4242&ISO")
    drive = Drive(replace(HOSPITAL, dpis=(target,)))
    ids = [(LEA.oid, LEA.matricule), ("2.25.4242", YANN.ipp)]
    [found] = drive.process(letter(document(LEA, ids=ids)))
    assert (found.route, found.reason) == (Route.FORWARDED, "PFI-ID-10")
    [good] = Drive(replace(HOSPITAL, dpis=(target,))).process(
        letter(document(LEA, ids=[(LEA.oid, LEA.matricule), ("2.25.4242", LEA.ipp)]))
    )
    assert good.route is Route.INTEGRATED


def test_a_failure_notice_with_its_archive_at_top_level_is_never_integrated():
    drive = Drive()
    raw = letter(document(LEA), subject="[KO Intégration système !][902] XDM/1.0/DDM+CR")
    [found] = drive.process(raw)
    assert (found.route, found.reason) == (Route.FORWARDED, Reason.AUTO_GENERATED.value)
    assert [each.recipient for each in drive.ports.outbox.sent] == [FALLBACK]


def test_the_same_bytes_in_the_mailboxes_of_two_establishments_are_two_mails():
    other = replace(
        HOSPITAL.mailboxes[0], id="other", address="b@ch-invente.mssante.fr", establishment="b"
    )
    drive = Drive(replace(HOSPITAL, mailboxes=(*HOSPITAL.mailboxes, other)))
    raw = letter(document(replace(LEA, sex="UN")))
    drive.process(raw)
    drive.ports.store.put_mail("other", hashlib.sha256(raw).hexdigest(), raw)
    drive.work()
    mails = [r.data for (pk, sk), r in drive.ports.table.rows.items() if sk == "MAIL"]
    assert sorted((m["mailbox"], m["route"]) for m in mails) == [
        ("app", "forwarded"),
        ("other", "forwarded"),
    ]


def test_our_own_forward_that_a_rule_sends_back_is_filed_and_a_forged_one_is_reviewed():
    drive = Drive()
    [first] = drive.process(letter(document(replace(LEA, sex="UN")), mdn=False))
    [ours] = drive.ports.outbox.sent
    forged = ours.content.replace(b"Message-ID: <pfi.", b"Message-ID: <pfx.")
    back, strange = drive.process(ours.content, forged)
    assert (first.route, back.route, strange.route) == (
        Route.FORWARDED,
        Route.FILED,
        Route.REVIEW,
    )


def test_a_document_sent_between_two_bals_of_the_hospital_is_integrated_and_not_answered():
    drive = Drive()
    [found] = drive.process(letter(document(LEA), sender=MAILBOX, return_path=MAILBOX))
    assert (found.route, found.mdn, drive.ports.outbox.sent) == (Route.INTEGRATED, Mdn.NONE, [])


def test_a_delivery_failure_that_names_no_mail_of_ours_goes_to_a_person():
    drive = Drive()
    raw = (
        b"Return-Path: <>\r\nFrom: mailer-daemon@op.mssante.fr\r\nTo: x\r\nMessage-ID: <d@op>\r\n"
        b"Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n"
        b"--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; op\r\n\r\n"
        b"Action: failed\r\nStatus: 5.1.1\r\n\r\n--b--\r\n"
    )
    [found] = drive.process(raw)
    assert (found.route, found.reason) == (Route.REVIEW, Reason.BOUNCED.value)


def test_a_decision_that_waited_is_taken_again_before_the_message_leaves():
    drive = Drive()
    drive.ports.hospital.answers = [Unavailable(Reason.DPI_UNAVAILABLE)]
    drive.ports.settings = replace(HOSPITAL, dpis=(replace(HOSPITAL.dpis[0], hold_s=86_400),))
    raw = letter(document(LEA))
    drive.ports.inbox.deliver(raw)
    drive.collect()
    drive.work(rounds=1, pause_s=3600)
    drive.ports.patients = ListedPatients([replace(LEA.record, status="PROV")])
    drive.work()
    found = drive.mail(hashlib.sha256(raw).hexdigest())
    assert (found.route, found.reason) == (Route.FORWARDED, Reason.BASE_CHANGED.value)
    assert drive.ports.hospital.accepted == []


def test_a_parent_whose_outcome_is_unknown_protects_its_patient_too():
    drive = Drive()
    drive.ports.hospital.answers = [OutcomeUnknown(Reason.DPI_OUTCOME_UNKNOWN)] * 4
    first = document(LEA, document_id="2.25.1.1")
    other = document(YANN, document_id="2.25.1.2", parent="2.25.1.1", action="C")
    found = drive.process(letter(first, number=1), letter(other, number=2))
    assert found[1].reason == Reason.ANOTHER_PATIENT.value


def test_a_nia_that_became_a_nir_is_the_same_patient_for_a_replacement():
    became = replace(LEA.record, oid="1.2.250.1.213.1.4.8", aliases=((SAMIR.matricule, SAMIR.oid),))
    drive = Drive(patients=(became,))
    before = replace(LEA, body=SAMIR.body, oid=SAMIR.oid)
    after = replace(LEA, oid="1.2.250.1.213.1.4.8")
    first = document(before, document_id="2.25.1.1")
    second = document(after, document_id="2.25.1.2", parent="2.25.1.1", action="C")
    found = drive.process(letter(first, number=1), letter(second, number=2))
    assert [each.route for each in found] == [Route.INTEGRATED] * 2


def test_failure_notices_to_one_address_are_capped_and_the_rest_goes_to_a_person():
    drive = Drive()
    drive.set_fallback("")
    broken = replace(LEA, sex="UN")
    raws = [letter(document(broken), number=n, mdn=False) for n in range(22)]
    for raw in raws:
        drive.ports.inbox.deliver(raw)
    drive.collect()
    drive.work(pause_s=1)
    routes = [drive.mail(hashlib.sha256(raw).hexdigest()).route for raw in raws]
    assert routes.count(Route.REPLIED) == len(drive.ports.outbox.sent) == 20
    assert routes.count(Route.REVIEW) == 2


def test_a_mail_without_message_id_is_integrated_under_one_of_ours_and_gets_no_mdn():
    drive = Drive()
    [found] = drive.process(letter(document(LEA), message_id=""))
    assert (found.route, found.mdn, found.review) == (Route.INTEGRATED, Mdn.NONE, True)
    assert b"OBX|2|ED|<pfi." in drive.ports.hospital.accepted[0]


def test_the_message_names_only_our_own_mailboxes_as_recipients():
    drive = Drive()
    raw = letter(document(LEA)).replace(b"\r\nTo: ", b"\r\nCc: patient@exemple.fr\r\nTo: ", 1)
    drive.process(raw)
    assert b"patient@exemple.fr" not in drive.ports.hospital.accepted[0]


def test_the_time_of_the_event_is_the_date_of_the_mail():
    drive = Drive()
    drive.process(letter(document(LEA), date="Thu, 14 May 2026 09:30:12 +0200"))
    evn = drive.ports.hospital.accepted[0].split(b"\r")[1].split(b"|")
    assert evn[6] == b"20260514093012"
