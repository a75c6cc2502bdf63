"""The patient CSV: nothing in it is silently read otherwise than it was meant."""

import pytest

from pfi.adapters.csv_patients import PatientFileRefused, read_patients
from tests.data.builders import LEA, YANN, patient_csv


def csv(**changes):
    text = patient_csv([LEA])
    header, row = text.splitlines()[:2]
    values = dict(zip(header.split(","), row.split(","), strict=True)) | changes
    return header + "\n" + ",".join(values.values()) + "\n"


def test_a_file_is_read_back_as_the_records_it_was_made_of():
    assert read_patients(patient_csv([LEA, YANN])) == (LEA.record, YANN.record)


@pytest.mark.parametrize("text", ["DOUT;FICT", "dout fict", "DOUT FICT"])
def test_attributes_block_however_they_are_separated_or_written(text):
    [record] = read_patients(csv(attributes=text))
    assert record.attributes == {"DOUT", "FICT"}


@pytest.mark.parametrize(
    ("column", "value"), [("attributes", "DOUTE"), ("status", "VALIDE"), ("ipp", "")]
)
def test_a_code_that_nobody_knows_is_refused_with_its_line_and_column(column, value):
    with pytest.raises(PatientFileRefused) as fault:
        read_patients(csv(**{column: value}))
    assert (fault.value.line, fault.value.fault) == (2, column)


def test_a_second_row_for_one_ipp_is_refused():
    with pytest.raises(PatientFileRefused, match="line 3: ipp"):
        read_patients(patient_csv([LEA, LEA]))


def test_a_missing_column_is_named():
    with pytest.raises(PatientFileRefused, match="line 1: sex"):
        read_patients(patient_csv([LEA]).replace(",sex,", ",gender,"))
