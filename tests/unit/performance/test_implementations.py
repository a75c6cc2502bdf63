"""All that is compared does the same work."""

import re

import pytest

from pfi.hl7.ack import Verdict
from tests.performance import (
    bench,
    corpus,
    floor,
    heavy,
    hostile,
    lookup_jobs,
    ordinary,
    product,
    product_jobs,
)
from tests.performance.documents import ACK
from tests.performance.product import CONTROL_ID

DOCUMENT = re.compile(rb"\^XML\^Base64\^([A-Za-z0-9+/=]+)\|")


def made(path, raw: bytes) -> tuple[product.Traits, bytes]:
    traits, pieces = path(raw)
    return traits, b"".join(pieces)


@pytest.fixture(scope="module", params=[corpus.L1_10K, corpus.L3_50K], ids=lambda each: each.name)
def raw(request) -> bytes:
    return request.param.raw


@pytest.mark.parametrize("path", [floor.path, ordinary.path], ids=["floor", "common"])
def test_an_implementation_reads_the_traits_and_writes_the_message_of_the_product(path, raw):
    assert made(path, raw) == made(product.path, raw)


def test_hl7apy_gives_the_traits_the_document_and_every_segment_but_the_participants(raw):
    (traits, message), (expected, whole) = made(heavy.path, raw), made(product.path, raw)
    assert traits == expected
    assert DOCUMENT.findall(message) == DOCUMENT.findall(whole) != []
    others = [line for line in whole.split(b"\r") if not line.startswith(b"PRT")]
    assert message.rstrip(b"\r").split(b"\r") == [line for line in others if line]


def test_the_traits_are_those_of_the_patient(raw):
    traits = corpus.PATIENT.traits
    assert made(product.path, raw)[0][:3] == (
        traits.birth_name, traits.first_given, traits.given_list
    )  # fmt: skip


JOBS = [(module, name) for module in (product_jobs, floor) for name in module.JOBS]
STEPS = [(module, name) for module, name in JOBS if name.startswith("step")]


@pytest.mark.parametrize(("module", "name"), STEPS)
def test_every_step_of_the_profile_runs(module, name, raw):
    prepare, run = module.JOBS[name]
    run(prepare(raw))


def test_all_read_the_same_of_an_answer():
    ours = product_jobs.JOBS["ack"][1](ACK)
    told = (ours.code, ours.error_code, ours.application_code)
    assert told == ordinary.answered(ACK) == heavy.answered(ACK) == ("AE", "207", "902")
    assert ours.verdict is Verdict.FUNCTIONAL
    assert ours.control_id == CONTROL_ID


def test_an_answer_to_somebody_else_is_nobodys():
    other = ACK.replace(CONTROL_ID.encode(), b"ANOTHER")
    for read in (ordinary.answered, heavy.answered):
        with pytest.raises(ValueError):
            read(other)


def test_the_owed_mails_hold_the_original_once_and_its_pieces_are_all_of_it():
    raw = corpus.L1_10K.raw
    owed = product_jobs.Owed.of(raw)
    for mail in (owed.forward(), owed.answer()):
        pieces = product_jobs.pieces_of(mail, raw)
        assert pieces[1] == raw
        assert b"".join(pieces) == b"".join(product_jobs.wire(mail))


def test_a_sound_mail_is_not_refused():
    assert product_jobs.refused(corpus.L1_10K.raw) == ""


def test_hostile_mails_have_names_of_their_own():
    names = [name for name, _ in hostile.mails()]
    assert len(names) == len(set(names)) > 15


def test_a_match_asks_once_for_a_known_number_and_once_more_for_an_unknown_one():
    assert lookup_jobs.queries(lookup_jobs.KNOWN) == 1
    assert lookup_jobs.queries(lookup_jobs.UNKNOWN) == 2
    assert lookup_jobs.decided(lookup_jobs.base()).ipp == corpus.PATIENT.ipp


def test_a_load_writes_every_identity_of_its_file():
    content = lookup_jobs.patient_file(b"")
    assert lookup_jobs.load(content) == lookup_jobs.LINES
    read = lookup_jobs.lines(content)
    assert len([line for line in read if line.record]) == lookup_jobs.LINES


def test_what_is_not_installed_is_told_and_never_measured(monkeypatch):
    monkeypatch.setattr(bench, "find_spec", lambda name: None if name == "hl7apy" else name)
    assert bench.lacking("hl7apy") == "absent: hl7apy not installed"
    assert bench.able("floor", "common", "hl7apy") == ["floor", "common"]
    row = bench.absent("T5", "MDM build", 300, bench.lacking("hl7apy"), at_most=False)
    assert (row.verdict, row.met) == ("absent", True)
