"""What is refused is told with its code, its label and its advice, and nothing of the base.

The records of these cases hold values that no document has: one of them in a mail that leaves, or
in the ledger, came from the patient base.
"""

from collections.abc import Iterator
from dataclasses import replace
from email import message_from_bytes, policy

import pytest

from pfi.ins.identity import PatientRecord, Traits
from pfi.ins.wording import ADVICE_FR, CHECKED_FR
from pfi.names import OUTWARD_LABELS, Reason
from tests.data.builders import LEA, THEO, document
from tests.doubles.drive import Drive
from tests.unit.journey.test_routes import letter

OWN = {"ipp": "IPP-QZ-7741", "used": "TREBAOLEC", "given": "GWENDAL"}
STRANGE = Traits(
    birth_name="QUILLEVEROU",
    first_given="HYACINTHIN",
    given_list="HYACINTHIN CORENTINO",
    birth_date="19310407",
    sex="M",
    birth_place="29019",
    used_name=OWN["used"],
    used_given=OWN["given"],
)
ALIKE = replace(LEA.traits, used_name=OWN["used"], used_given=OWN["given"])
BASE = PatientRecord(
    ipp=OWN["ipp"], status="VALI", matricule=LEA.matricule, oid=LEA.oid, traits=STRANGE
)
TWIN = replace(BASE, matricule=THEO.matricule, traits=ALIKE)
CASES: dict[str, tuple[Reason, tuple[PatientRecord, ...]]] = {
    "unknown": (Reason.UNKNOWN_PATIENT, (replace(BASE, matricule=THEO.matricule),)),
    "a twin without INS": (Reason.UNKNOWN_PATIENT, (replace(TWIN, matricule="", oid=""),)),
    "a twin with another INS": (Reason.INS_DIFFERS, (TWIN,)),
    "every trait differs": (Reason.INS_DIFFERS, (BASE,)),
    "one trait differs": (Reason.INS_DIFFERS, (replace(BASE, traits=replace(
        ALIKE, birth_date=STRANGE.birth_date)),)),
    "an old number": (Reason.INS_DIFFERS, (replace(
        BASE, matricule=THEO.matricule, aliases=((LEA.matricule, LEA.oid),)),)),
    "not qualified": (Reason.BASE_NOT_QUALIFIED, (replace(BASE, status="PROV"),)),
    "two of them": (Reason.AMBIGUOUS, (BASE, replace(BASE, ipp="IPP-QZ-7742"))),
    "flagged": (Reason.FLAGGED, (replace(BASE, attributes=frozenset({"DOUT"})),)),
    "incomplete": (Reason.BASE_INCOMPLETE, (replace(
        BASE, traits=replace(STRANGE, birth_place="")),)),
}  # fmt: skip


def secrets(base: tuple[PatientRecord, ...]) -> set[str]:
    """Values of these records that the document does not have."""
    ours = {value for record in base for value in _values(record)}
    return {value for value in ours - set(_values(LEA.record)) if len(value) > 1}


def _values(record: PatientRecord) -> Iterator[str]:
    traits = record.traits
    yield from (record.ipp, record.matricule, traits.birth_name, traits.first_given)
    yield from (traits.given_list, traits.birth_date, traits.birth_place)
    yield from (traits.used_name, traits.used_given)


def readable(content: bytes) -> str:
    """Everything of a mail that a person or a program reads, nested mails included."""
    parsed = message_from_bytes(content, policy=policy.default)
    heads = [f"{name}: {value}" for part in parsed.walk() for name, value in part.items()]
    leaves = [part.get_payload(decode=True) for part in parsed.walk() if not part.is_multipart()]
    texts = [each.decode("utf-8", "replace") for each in leaves if isinstance(each, bytes)]
    return "\n".join([content.decode("utf-8", "replace"), *heads, *texts])


def refused(
    base: tuple[PatientRecord, ...], *, fallback: bool, mdn: bool, answers: tuple[str, ...] = ()
) -> Drive:
    drive = Drive(patients=base)
    drive.ports.hospital.answers = list(answers)
    if not fallback:
        drive.set_fallback("")
    drive.process(letter(document(LEA), mdn=mdn))
    return drive


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(
    ("fallback", "mdn", "kinds"),
    [(True, True, 2), (False, True, 1), (False, False, 1)],
    ids=["forward and MDN", "MDN", "notice"],
)
def test_no_mail_that_leaves_holds_a_value_of_the_base(case, fallback, mdn, kinds):
    reason, base = CASES[case]
    sent = refused(base, fallback=fallback, mdn=mdn).ports.outbox.sent
    assert len(sent) == kinds
    for each in sent:
        told = readable(each.content)
        assert {value for value in secrets(base) if value in told} == set()
        assert reason.outward in told


@pytest.mark.parametrize("case", CASES)
def test_the_ledger_holds_no_value_of_the_base_of_what_was_refused(case):
    _, base = CASES[case]
    rows = repr(refused(base, fallback=True, mdn=True).ports.table.rows)
    assert {value for value in secrets(base) if value in rows} == set()


def test_a_document_that_the_dpi_refuses_tells_nothing_of_the_base_either():
    base = (replace(BASE, traits=ALIKE),)
    sent = refused(base, fallback=True, mdn=True, answers=("AE 207 902",)).ports.outbox.sent
    told = "".join(readable(each.content) for each in sent)
    assert len(sent) == 2
    assert {value for value in secrets(base) if value in told} == set()


@pytest.mark.parametrize("case", CASES)
def test_the_forward_carries_code_label_and_what_to_do(case):
    reason, base = CASES[case]
    drive = refused(base, fallback=True, mdn=False)
    told = readable(drive.ports.outbox.sent[0].content)
    assert f"Code : {reason.outward} - {OUTWARD_LABELS[reason.outward]}" in told
    assert ADVICE_FR[reason] in told


def test_staff_is_told_which_trait_to_check_and_the_sender_is_not():
    _, base = CASES["one trait differs"]
    forward, answer = refused(base, fallback=True, mdn=True).ports.outbox.sent
    assert f"- Vérifier {CHECKED_FR['birth_date']} : comparer" in readable(forward.content)
    assert not any(words in readable(answer.content) for words in CHECKED_FR.values())
    notice = refused(base, fallback=False, mdn=False).ports.outbox.sent[0]
    assert not any(words in readable(notice.content) for words in CHECKED_FR.values())


def test_of_an_integrated_document_values_stand_in_the_attribute_of_the_traits_alone():
    base = replace(BASE, traits=ALIKE)
    rows = refused((base,), fallback=True, mdn=True).ports.table.rows
    [document] = [row.data for (_, sk), row in rows.items() if sk.startswith("DOC#")]
    assert document["traits"]["birth_name"] == LEA.birth_name
    assert document["ipp"] == base.ipp
    others = {name: value for name, value in document.items() if name not in ("traits", "ipp")}
    rest = repr([others, *(row.data for (_, sk), row in rows.items() if not sk.startswith("DOC#"))])
    assert {value for value in _values(base) if len(value) > 1 and value in rest} == set()
