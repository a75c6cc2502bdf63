"""A line of a patient file: what is taken, what is refused, and that no value is told."""

import json
from dataclasses import replace

import pytest

from pfi.ins.identity import InsKind
from pfi.ins.patient_lines import LONGEST, Fault, Flaw, Format, HeadRefused, layout
from tests.data.builders import LEA, NO_INS, SAMIR, YANN, patient_csv


def csv_line(person=LEA, **changes):
    header, row = patient_csv([person]).splitlines()
    values = dict(zip(header.split(","), row.split(","), strict=True)) | changes
    return ",".join(values.values()).encode()


def head(form=Format.CSV, *lines):
    given = [*lines, patient_csv([]).encode()] if form is Format.CSV else list(lines)
    return layout(given, form)


def read(raw, form=Format.CSV):
    return head(form).read(raw, 7)


def whole(person):
    record = person.record
    named = {"ipp": record.ipp, "status": record.status, "matricule": record.matricule}
    traits = {name: getattr(record.traits, name) for name in record.traits.__slots__}
    return {**named, "oid": record.oid, "attributes": sorted(record.attributes), **traits}


def test_a_line_of_csv_and_of_ndjson_are_the_same_record():
    assert read(csv_line()).record == LEA.record
    assert read(json.dumps(whole(LEA)).encode(), Format.NDJSON).record == LEA.record


def test_traits_may_stand_together_as_in_an_export():
    flat = whole(LEA)
    names = set(LEA.record.traits.__slots__)
    nested = {k: v for k, v in flat.items() if k not in names}
    nested["traits"] = {k: v for k, v in flat.items() if k in names}
    assert read(json.dumps(nested).encode(), Format.NDJSON).record == LEA.record


def test_former_numbers_and_the_end_of_an_identity_are_said_in_ndjson():
    more = {**whole(LEA), "aliases": [["190", InsKind.NIA.value]], "active": False}
    record = read(json.dumps(more).encode(), Format.NDJSON).record
    assert record == replace(LEA.record, aliases=(("190", InsKind.NIA.value),), active=False)


@pytest.mark.parametrize(
    ("field", "value", "fault"),
    [
        ("ipp", "", Fault.MISSING),
        ("status", "VALIDE", Fault.UNKNOWN),
        ("attributes", "DOUTE", Fault.UNKNOWN),
        ("birth_date", "12/04/1987", Fault.FORM),
        ("sex", "H", Fault.FORM),
        ("birth_place", "AJACCIO", Fault.FORM),
        ("oid", "1.2.3", Fault.NOT_AN_INS),
        ("oid", "", Fault.MISSING),
        ("merged_into", LEA.ipp, Fault.ITSELF),
    ],
)
def test_a_line_with_a_wrong_field_is_refused(field, value, fault):
    line = read(csv_line(**{field: value}))
    assert line.record is None
    assert line.flaws == (Flaw(7, field, fault),)


@pytest.mark.parametrize(
    ("value", "fault"), [("123", Fault.MALFORMED), (LEA.body + "00", Fault.FALSE_KEY)]
)
def test_a_doubtful_number_is_told_and_the_identity_taken(value, fault):
    line = read(csv_line(matricule=value))
    assert line.record.ipp == LEA.ipp
    assert line.flaws == (Flaw(7, "matricule", fault),)


@pytest.mark.parametrize(
    "raw",
    [
        b"\xff\xfe",
        b"one,two",
        csv_line() + b",more",
        csv_line().replace(b"L\xc3\x89A", b'"L\xc3\x89A', 1),
        csv_line() + b" " * LONGEST,
    ],
)
def test_a_line_that_cannot_be_read_costs_itself_only(raw):
    assert read(raw).flaws == (Flaw(7, "line", Fault.UNREADABLE),)


@pytest.mark.parametrize(
    "raw",
    [
        b"[]",
        b"{",
        b"[" * 20_000,
        json.dumps({**whole(LEA), "name": "X"}).encode(),
        json.dumps({**whole(LEA), "ipp": 9}).encode(),
        json.dumps({**whole(LEA), "attributes": "DOUT"}).encode(),
        json.dumps({**whole(LEA), "traits": []}).encode(),
        json.dumps({**whole(LEA), "aliases": [["1"]]}).encode(),
        json.dumps({**whole(LEA), "active": "no"}).encode(),
    ],
)
def test_json_of_another_form_is_refused(raw):
    assert read(raw, Format.NDJSON).flaws == (Flaw(7, "line", Fault.UNREADABLE),)


def test_a_blank_line_is_nobody_and_no_fault():
    assert read(b"  \r\n").flaws == ()
    assert read(b"  \r\n").record is None


def test_columns_may_stand_in_any_order_with_others_between_and_semicolons():
    names, values = patient_csv([YANN]).splitlines()
    names = ";".join([*reversed(names.split(",")), "note"])
    values = ";".join([*reversed(values.split(",")), "x"])
    found = layout([names.encode()], Format.CSV)
    assert found.read(values.encode(), 2).record == YANN.record


def test_a_file_says_its_time_before_its_lines():
    found = head(Format.CSV, b"# as_of=2026-05-14T02:00:00+02:00\n")
    assert found.as_of.isoformat() == "2026-05-14T02:00:00+02:00"
    assert found.lines == 2
    other = layout([b'{"as_of": "2026-05-14T00:00:00Z"}\n'], Format.NDJSON)
    assert (other.as_of, other.lines) == (found.as_of, 1)


@pytest.mark.parametrize(
    ("lines", "field"),
    [
        ([b"ipp,status\n"], "attributes"),
        ([], "ipp"),
        ([b"# as_of=2026-05-14T02:00:00\n"], "as_of"),
        ([b"# as_of=yesterday\n"], "as_of"),
    ],
)
def test_a_file_that_does_not_say_what_it_is_is_refused_at_once(lines, field):
    with pytest.raises(HeadRefused) as refused:
        layout(lines, Format.CSV)
    assert refused.value.flaw.field == field


def test_no_flaw_bears_a_value():
    lines = [read(csv_line(person, sex="???", ipp=person.ipp)) for person in (LEA, SAMIR, NO_INS)]
    told = repr([line.flaws for line in lines])
    for person in (LEA, SAMIR, NO_INS):
        assert person.birth_name not in told
        assert person.ipp not in told
