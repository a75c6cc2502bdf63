"""The stored decision, told to a person: rule, finding per trait, what to check and where."""

from dataclasses import replace

from infra.cli.trace import trace_lines
from infra.operations.tracing import trace_of
from pfi.adapters.csv_patients import ListedPatients
from pfi.ins.wording import ADVICE_FR, CHECKED_FR
from pfi.names import Reason
from tests.data.builders import LEA, document
from tests.unit.operations.test_reviews import Hospital, letter


def traced(*base, entry=None):
    hospital = Hospital()
    hospital.ports.patients = ListedPatients(base)
    [found] = hospital.process(letter(entry or document(LEA), mdn=False))
    return "\n".join(trace_lines(found.mail, trace_of(hospital.desk, found.mail)))


def test_a_trace_says_which_trait_differs_and_where_to_check_it():
    told = traced(replace(LEA, birth_date="19850902").record)
    assert "identité décidée : 904" in told
    assert "≠ date de naissance" in told
    assert f"à faire : {ADVICE_FR[Reason.INS_DIFFERS]}" in told
    assert f"à vérifier : {CHECKED_FR['birth_date']} : comparer le document" in told
    assert "19850902" not in told


def test_a_trace_says_at_which_level_an_accepted_trait_is_equal():
    told = traced(replace(LEA, birth_name=LEA.birth_name.lower()).record)
    assert "identité décidée : concordante" in told
    assert "identique aux accents et à la casse près" in told
    assert "à vérifier" not in told


def test_a_trait_that_the_document_lacks_is_to_be_mended_by_the_sender():
    told = traced(LEA.record, entry=document(replace(LEA, sex="UN")))
    assert f"à vérifier : {CHECKED_FR['sex']} : absent ou inexploitable dans le document" in told
