"""Whom a refused document may be about: what the reviewer sees, and nobody else."""

from dataclasses import replace

import pytest

from infra.cli.review import candidate_lines
from pfi.adapters.csv_patients import ListedPatients
from pfi.errors import Unavailable
from pfi.names import Reason
from tests.data.builders import LEA, document
from tests.unit.operations.test_reviews import Hospital, letter


@pytest.fixture
def hospital():
    return Hospital()


def told_of(hospital, patient, *base):
    hospital.ports.patients = ListedPatients(tuple(base))
    [found] = hospital.process(letter(document(patient), mdn=False))
    return "\n".join(candidate_lines(hospital.desk, found.mail, hospital.ports.patients))


def test_the_reviewer_of_a_904_sees_the_holder_and_which_trait_differs(hospital):
    other = replace(LEA, birth_date="19850902")
    told = told_of(hospital, LEA, other.record)
    assert f"IPP {LEA.ipp} (qualifiée) tient ce matricule ; diffère : date de naissance" in told
    assert not any(value in told for value in (LEA.birth_name, LEA.birth_date, "19850902"))


def test_the_reviewer_of_a_902_sees_who_has_the_same_traits(hospital):
    twin = replace(LEA.record, matricule="", oid="", ipp="IPP777")
    told = told_of(hospital, LEA, twin)
    assert "IPP IPP777 (non qualifiée) ne tient pas ce matricule ; traits identiques" in told


def test_the_survivor_of_a_merge_is_the_candidate(hospital):
    gone = replace(LEA.record, ipp="IPP1", status="DESA", merged_into="IPP2")
    stays = replace(LEA.record, ipp="IPP2", status="PROV")
    told = told_of(hospital, LEA, gone, stays)
    assert "IPP IPP2 (non qualifiée) tient ce matricule" in told
    assert "IPP IPP1" not in told


def test_a_survivor_that_is_inactive_too_is_no_candidate(hospital):
    gone = replace(LEA.record, ipp="IPP1", status="DESA", merged_into="IPP2")
    gone_too = replace(LEA.record, ipp="IPP2", status="DESA", merged_into="IPP3")
    told = told_of(hospital, LEA, gone, gone_too)
    assert "IPP IPP" not in told


def test_nobody_is_told_as_nobody_and_an_integrated_mail_has_no_candidates(hospital):
    assert "candidats de la base : aucun" in told_of(hospital, LEA)
    assert told_of(hospital, replace(LEA, used_name="AUTRE"), LEA.record) == ""


def test_candidates_of_a_mail_whose_documents_have_expired_are_told_as_unreadable(hospital):
    hospital.ports.patients = ListedPatients(())
    [found] = hospital.process(letter(mdn=False))
    hospital.ports.store.dossier = gone_from_the_store
    assert "ne peut pas être lu" in "\n".join(
        candidate_lines(hospital.desk, found.mail, hospital.ports.patients)
    )


def gone_from_the_store(_mail):
    raise Unavailable(Reason.STORE_UNAVAILABLE)
