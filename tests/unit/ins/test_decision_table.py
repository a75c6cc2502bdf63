"""The decision table of the match (ins-matching §4.7), one test per cell."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from pfi.ins.identity import DocumentIdentity, PatientRecord
from pfi.names import Reason
from tests.unit.ins.people import (
    FALSE_KEY,
    NIA,
    NIR,
    NSS,
    OLD,
    OTHER,
    OTHER_WAITING,
    OWN,
    TEST,
    TRAITS,
    WAITING,
    document,
    match,
    record,
)

DIFFERENT = replace(TRAITS, birth_date="19850902")
TWIN = "TWIN"


def columns(ins: tuple[str, str], twin: tuple[str, str]) -> dict[str, tuple[PatientRecord, ...]]:
    """The nine states of the base for a document's INS, when records hold it as their own."""
    held = record(ins=ins)
    return {
        "none, no trait twin": (record(ins=twin, traits=DIFFERENT),),
        "none, trait twin with other INS": (record(TWIN, ins=twin),),
        "none, trait twin without INS": (record(TWIN, ins=("", ""), status="PROV"),),
        "1 qualified, 5 traits equal": (held, record("P", ins=ins, status="PROV")),
        "1 qualified, a trait differs": (replace(held, traits=DIFFERENT),),
        "only not qualified": (replace(held, status="PROV"),),
        "2 qualified": (held, record("IPP2", ins=ins)),
        "merged": (record("GONE", ins=ins, status="DESA", merged_into="IPP1"), held),
        "blocking attribute": (replace(held, attributes=frozenset({"DOUT"})),),
    }


def by_alias(
    official: tuple[str, str], alias: tuple[str, str]
) -> dict[str, tuple[PatientRecord, ...]]:
    """The same states when the document's INS is a former number of the record."""
    held = record(ins=official, aliases=(alias,))
    return columns(alias, (OTHER_WAITING, NIA)) | {
        "1 qualified, 5 traits equal": (held,),
        "1 qualified, a trait differs": (replace(held, traits=DIFFERENT),),
        "only not qualified": (replace(held, status="PROV"),),
        "2 qualified": (held, replace(held, ipp="IPP2")),
        "merged": (
            record("GONE", ins=official, aliases=(alias,), status="DESA", merged_into="IPP1"),
            record(ins=official),
        ),
        "blocking attribute": (replace(held, attributes=frozenset({"DOUT"})),),
    }


INTEGRATE = "I"
ROWS: dict[str, tuple[DocumentIdentity, Mapping[str, tuple[PatientRecord, ...]], str]] = {
    "no INS": (
        document(("LAB-77", "2.25.1234"), (OWN, NSS), ("X", "1.2.250.1.213.1.4.2")),
        columns((OWN, NIR), (OTHER, NIR)),
        "903 903 903 903 903 903 903 903 903",
    ),
    "a trait missing": (
        document(traits=replace(TRAITS, birth_name="")),
        columns((OWN, NIR), (OTHER, NIR)),
        "905 905 905 905 905 905 905 905 905",
    ),
    "sex UN": (
        document(traits=replace(TRAITS, sex="UN")),
        columns((OWN, NIR), (OTHER, NIR)),
        "905 905 905 905 905 905 905 905 905",
    ),
    "partial date": (
        document(traits=replace(TRAITS, birth_date="198502")),
        columns((OWN, NIR), (OTHER, NIR)),
        "905 905 905 905 905 905 905 905 905",
    ),
    "INS malformed": (
        document((OWN[:13], NIR)),
        columns((OWN, NIR), (OTHER, NIR)),
        "PFI-ID-08 PFI-ID-08 PFI-ID-08 PFI-ID-08 PFI-ID-08 PFI-ID-08 PFI-ID-08 PFI-ID-08 PFI-ID-08",
    ),
    "INS complete": (
        document(),
        columns((OWN, NIR), (OTHER, NIR)),
        "902 904 902 I 904 PFI-ID-01 PFI-ID-02 I PFI-ID-03",
    ),
    "INS complete, false key": (
        document((FALSE_KEY, NIR)),
        columns((FALSE_KEY, NIR), (OTHER, NIR)),
        "902 904 902 I 904 PFI-ID-01 PFI-ID-02 I PFI-ID-03",
    ),
    "NIA, base holds the NIR that followed": (
        document((WAITING, NIA)),
        by_alias((OWN, NIR), (WAITING, NIA)),
        "902 904 902 I 904 PFI-ID-01 PFI-ID-02 I PFI-ID-03",
    ),
    "old NIR, base holds another NIR now": (
        document((OLD, NIR)),
        by_alias((OWN, NIR), (OLD, NIR)),
        "902 902 902 904 904 PFI-ID-01 PFI-ID-02 904 PFI-ID-03",
    ),
    "NIR and NIA": (
        document((WAITING, NIA), (OWN, NIR)),
        columns((OWN, NIR), (OTHER, NIR)),
        "902 904 902 I 904 PFI-ID-01 PFI-ID-02 I PFI-ID-03",
    ),
    "two different NIR": (
        document((OWN, NIR), (OTHER, NIR)),
        columns((OWN, NIR), (OTHER, NIR)),
        "PFI-ID-07 PFI-ID-07 PFI-ID-07 PFI-ID-07 PFI-ID-07 PFI-ID-07 PFI-ID-07 PFI-ID-07 PFI-ID-07",
    ),
    "METADATA names another matricule": (
        document(metadata_patient=(OTHER, NIR)),
        columns((OWN, NIR), (OTHER, NIR)),
        "PFI-ID-04 PFI-ID-04 PFI-ID-04 PFI-ID-04 PFI-ID-04 PFI-ID-04 PFI-ID-04 PFI-ID-04 PFI-ID-04",
    ),
    "test OID in production": (
        document((OWN, TEST)),
        columns((OWN, TEST), (OTHER, NIR)),
        "PFI-ID-06 PFI-ID-06 PFI-ID-06 PFI-ID-06 PFI-ID-06 PFI-ID-06 PFI-ID-06 PFI-ID-06 PFI-ID-06",
    ),
}
CELLS = [
    pytest.param(identity, base, expected, id=f"{row} / {column}")
    for row, (identity, bases, outcomes) in ROWS.items()
    for (column, base), expected in zip(bases.items(), outcomes.split(), strict=True)
]


@pytest.mark.parametrize(("identity", "base", "expected"), CELLS)
def test_the_decision_table(
    identity: DocumentIdentity, base: tuple[PatientRecord, ...], expected: str
) -> None:
    decision = match(identity, base)
    assert (INTEGRATE if decision.integrate else decision.reason) == expected
    assert decision.integrate == (decision.reason is None)
    if decision.integrate:
        assert decision.ipp == "IPP1"
        assert decision.record is not None


def test_a_twin_under_another_nir_refuses_a_document_with_a_nir_nobody_holds() -> None:
    decision = match(document((OLD, NIR)), (record(TWIN, ins=(OTHER, NIR)),))
    assert decision.reason is Reason.INS_DIFFERS
    assert decision.twins == (TWIN,)
