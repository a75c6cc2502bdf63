"""Where the table keeps a record: what leads nowhere has no row."""

from dataclasses import replace

import pytest

from pfi.ins.keys import pointers
from tests.data.builders import LEA

RECORD = LEA.record


def kinds(record):
    return sorted(key.split("#")[0] for key in pointers("ch", record))


def test_a_whole_record_is_found_by_its_number_its_ins_and_its_traits():
    assert kinds(replace(RECORD, aliases=(("1", "2"),))) == ["INS", "INS", "IPP", "TRAITS"]


@pytest.mark.parametrize("trait", ["birth_name", "first_given", "birth_date", "sex", "birth_place"])
def test_a_record_that_lacks_a_trait_is_nobodys_twin(trait):
    lacking = replace(RECORD, traits=replace(RECORD.traits, **{trait: ""}))
    assert kinds(lacking) == ["INS", "IPP"]


@pytest.mark.parametrize(
    "gone", [{"active": False}, {"merged_into": "9"}, {"attributes": frozenset({"DESA"})}]
)
def test_a_record_that_is_no_more_is_nobodys_twin(gone):
    assert kinds(replace(RECORD, **gone)) == ["INS", "IPP"]
