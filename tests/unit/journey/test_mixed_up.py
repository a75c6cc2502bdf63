"""What an adversary or an accident may mix up: patients, requests, hospitals, loops."""

import hashlib
from dataclasses import replace

import pytest

from pfi.adapters.csv_patients import ListedPatients
from pfi.errors import OutcomeUnknown, Unavailable
from pfi.journey.outcome import Log
from pfi.names import Mdn, Reason, Route
from tests.data.builders import (
    LEA,
    MAILBOX,
    SAMIR,
    YANN,
    document,
    mail,
    xdm_zip,
)
from tests.doubles.drive import FALLBACK, HOSPITAL, Drive
from tests.unit.journey.test_routes import letter

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


def test_a_document_with_the_birth_names_of_two_patients_is_refused():
    born = [
        f'<family qualifier="BR">{each.birth_name}</family>'
        f'<given qualifier="BR">{each.first_given}</given>'
        for each in (LEA, YANN)
    ]
    for names in (f"{born[0]}{born[1]}", f"{born[0]}</name><name>{born[1]}"):
        [found] = Drive().process(letter(document(LEA, names=names)))
        assert (found.route, found.reason) == (Route.FORWARDED, Reason.MULTIPLE_PATIENTS.value)
    [found] = Drive().process(letter(document(LEA, names=f"{born[0]}</name><name>{born[0]}")))
    assert found.route is Route.INTEGRATED


def test_a_nia_known_as_somebody_elses_beside_a_nir_is_a_conflict():
    drive = Drive()
    ids = [(LEA.oid, LEA.matricule), (SAMIR.oid, SAMIR.matricule)]
    [found] = drive.process(letter(document(LEA, ids=ids)))
    assert (found.route, found.reason) == (Route.FORWARDED, "PFI-ID-07")


@pytest.mark.parametrize(
    ("into", "route"), [(LEA, Route.INTEGRATED), (YANN, Route.FORWARDED)], ids=["own", "another's"]
)
def test_a_nia_of_a_record_that_was_merged_is_of_the_patient_it_was_merged_into(into, route):
    merged = replace(SAMIR.record, merged_into=into.ipp)
    drive = Drive(patients=(LEA.record, YANN.record, merged))
    ids = [(LEA.oid, LEA.matricule), (SAMIR.oid, SAMIR.matricule)]
    [found] = drive.process(letter(document(LEA, ids=ids)))
    assert (found.route, found.reason) == (route, None if into is LEA else "PFI-ID-07")


class Renumbering(ListedPatients):
    """A base in which the feed gives a patient another number between two looks."""

    def find(self, establishment, matricule, oid):
        found = super().find(establishment, matricule, oid)
        renumbered = [replace(each, ipp=f"{each.ipp}-after") for each in found]
        self.__init__(renumbered)
        return found


def test_two_documents_of_one_mail_that_were_matched_to_two_ipps_are_not_sent():
    drive = Drive()
    drive.ports.patients = Renumbering([LEA.record])
    entries = [document(LEA, document_id=f"2.25.1.{n}") for n in range(2)]
    [found] = drive.process(letter(*entries))
    [told] = [each for each in drive.outcomes if each.log is Log.MAIL_DECIDED]
    assert told.facts["reason"] is Reason.MULTIPLE_PATIENTS
    assert (found.route, found.reason) == (Route.FORWARDED, Reason.MULTIPLE_PATIENTS.value)
    assert [each.integration.value for each in drive.documents(found)] == ["not_owed"] * 2
    assert drive.ports.hospital.accepted == []


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


def test_a_document_sent_again_after_its_ipp_was_corrected_is_neither_swallowed_nor_sent_twice():
    """The DPI holds it for the patient of the other number: a person must move it."""
    drive = Drive(patients=(replace(LEA.record, ipp="WRONG"),))
    drive.process(letter(document(LEA), number=1))
    drive.ports.patients = ListedPatients([replace(LEA.record, ipp="RIGHT")])
    for number in (2, 3):
        [found] = drive.process(letter(document(LEA), number=number))
        assert (found.route, found.reason) == (Route.FORWARDED, Reason.ANOTHER_PATIENT.value)
        assert found.mdn is Mdn.ERROR
    assert len(drive.ports.hospital.accepted) == 1


MERGED = [replace(LEA.record, merged_into="HUB"), replace(LEA.record, ipp="HUB")]
TWICE = [*MERGED[:1], replace(LEA.record, ipp="HUB", merged_into="RIM"),
         replace(LEA.record, ipp="RIM")]  # fmt: skip
BACK = [LEA.record, replace(LEA.record, ipp="HUB", merged_into=LEA.ipp)]
NOT_MERGED = [replace(LEA.record, status="PROV"), replace(LEA.record, ipp="HUB")]
ELSEWHERE = [replace(LEA.record, merged_into="GONE"), replace(LEA.record, ipp="HUB")]


def integrated_before(*later):
    """LEA's document was integrated under her IPP; her records are others now."""
    drive = Drive()
    drive.process(letter(document(LEA), number=1))
    drive.ports.patients = ListedPatients(later)
    return drive


@pytest.mark.parametrize("later", [MERGED, TWICE], ids=["once", "twice"])
def test_a_document_sent_again_after_a_merge_of_its_patient_is_a_repeat_each_time(later):
    drive = integrated_before(*later)
    for number in (2, 3):
        [found] = drive.process(letter(document(LEA), number=number))
        assert (found.route, found.reason, found.mdn) == (Route.INTEGRATED, None, Mdn.PROCESSED)
        [again] = drive.documents(found)
        assert (again.repeated, again.ipp) == (True, later[-1].ipp)
    assert len(drive.ports.hospital.accepted) == 1


def test_a_document_decided_before_a_merge_and_pushed_after_it_is_a_repeat_too():
    drive = integrated_before(replace(LEA.record, ipp="HUB"))
    raw = letter(document(LEA), number=2)
    drive.ports.inbox.deliver(raw)
    drive.collect()
    drive.read()
    drive.ports.patients = ListedPatients(BACK)
    drive.work()
    [again] = drive.documents(drive.mail(hashlib.sha256(raw).hexdigest()))
    assert (again.repeated, again.ipp) == (True, "HUB")


@pytest.mark.parametrize("later", [NOT_MERGED, ELSEWHERE], ids=["no merge", "merged elsewhere"])
def test_two_numbers_that_no_merge_joins_are_two_patients(later):
    [found] = integrated_before(*later).process(letter(document(LEA), number=2))
    assert (found.route, found.reason) == (Route.FORWARDED, Reason.ANOTHER_PATIENT.value)


@pytest.mark.parametrize("said", [None, "HUB"], ids=["gone", "of another number"])
def test_a_merge_is_not_believed_where_the_row_of_the_accepted_document_does_not_tell_its_ipp(said):
    drive = integrated_before(*MERGED)
    [at] = [at for at in drive.ports.table.rows if at[1] == "DOC#0001"]
    row = drive.ports.table.rows.pop(at)
    if said:
        drive.ports.table.rows[at] = replace(row, data={**row.data, "ipp": said})
    [found] = drive.process(letter(document(LEA), number=2))
    assert (found.route, found.reason) == (Route.FORWARDED, Reason.ANOTHER_PATIENT.value)


def test_the_same_document_for_two_establishments_of_one_dpi_is_a_repeat():
    """Each has a number of its own for the patient: they tell nothing of each other."""
    other = replace(
        HOSPITAL.mailboxes[0], id="other", address="b@ch-invente.mssante.fr", establishment="b"
    )
    drive = Drive(replace(HOSPITAL, mailboxes=(*HOSPITAL.mailboxes, other)))
    drive.process(letter(document(LEA), number=1))
    drive.ports.patients = ListedPatients([replace(LEA.record, ipp="OF-B")])
    raw = letter(document(LEA), number=2)
    mail = hashlib.sha256(raw).hexdigest()
    drive.ports.store.put_mail("other", mail, raw)
    drive.work()
    assert drive.mail(mail).route is Route.INTEGRATED
    assert len(drive.ports.hospital.accepted) == 1


def test_where_the_dpi_alone_decides_a_document_of_another_patient_is_not_replaced_either():
    """Nobody has an IPP there: that is nothing that two patients have in common."""
    settings = replace(HOSPITAL, match=replace(HOSPITAL.match, who="dpi"))
    drive = Drive(settings, patients=())
    first = document(LEA, document_id="2.25.1.1")
    other = document(YANN, document_id="2.25.1.2", parent="2.25.1.1", action="C")
    again = document(LEA, document_id="2.25.1.3", parent="2.25.1.1", action="C")
    found = drive.process(*(letter(e, number=n) for n, e in enumerate((first, other, again))))
    assert [each.reason for each in found] == [None, Reason.ANOTHER_PATIENT.value, None]


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
