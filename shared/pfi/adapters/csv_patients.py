"""A patient base from a CSV file: for `pfi explain`, for rehearsals, for loading the table.

Header line: ``ipp,status,attributes,matricule,oid,birth_name,first_given,given_list,used_name,
used_given,birth_date,sex,birth_place,merged_into``; UTF-8; attributes separated by blanks.
"""

import csv
import io
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from pfi.ins.concordance import inactive
from pfi.ins.identity import IDENTITY_CODES, PatientRecord, Traits
from pfi.ins.keys import ins_key, ipp_key, pointers, traits_key

COLUMNS: Final = (
    "ipp", "status", "attributes", "matricule", "oid", "birth_name", "first_given", "given_list",
    "used_name", "used_given", "birth_date", "sex", "birth_place", "merged_into",
)  # fmt: skip


class PatientFileRefused(Exception):
    """The file is not a patient CSV; `line` and `fault` (a column name) hold no patient data."""

    def __init__(self, line: int, fault: str) -> None:
        super().__init__(f"line {line}: {fault}")
        self.line = line
        self.fault = fault


def read_patients(text: str) -> tuple[PatientRecord, ...]:
    """Records of a CSV text, in file order; one IPP appears once."""
    rows = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")), strict=True)
    missing = [name for name in COLUMNS if name not in (rows.fieldnames or ())]
    if missing:
        raise PatientFileRefused(1, missing[0])
    try:
        records = [_record(row, number) for number, row in enumerate(rows, start=2)]
    except csv.Error:
        raise PatientFileRefused(rows.line_num, "csv") from None
    seen: set[str] = set()
    for number, record in enumerate(records, start=2):
        if record.ipp in seen:
            raise PatientFileRefused(number, "ipp")
        seen.add(record.ipp)
    return tuple(records)


def _record(row: Mapping[str, str | None], line: int) -> PatientRecord:
    values = {name: (row[name] or "").strip() for name in COLUMNS}
    if not values["ipp"] or None in row:
        raise PatientFileRefused(line, "ipp")
    status, attributes = values["status"].upper(), _attributes(values["attributes"])
    if status and status not in IDENTITY_CODES:
        raise PatientFileRefused(line, "status")
    if attributes - IDENTITY_CODES:
        raise PatientFileRefused(line, "attributes")
    wrong = next((name for name, form in _FORMS.items() if not form.fullmatch(values[name])), "")
    if wrong:
        raise PatientFileRefused(line, wrong)
    return PatientRecord(
        ipp=values["ipp"],
        status=status,
        attributes=attributes,
        matricule=values["matricule"],
        oid=values["oid"],
        traits=Traits(**{name: values[name] for name in _TRAITS}),
        merged_into=values["merged_into"],
    )


_FORMS: Final = {
    "birth_date": re.compile(r"(\d{4}(\d\d(\d\d(\d{6})?)?)?)?"),
    "sex": re.compile(r"(F|M|U|UN|A|O|N|I)?"),
    "birth_place": re.compile(r"([0-9][0-9A-Za-z]\d{3})?"),
}
"""A value in another form would later look like a trait that the sender got wrong."""


def _attributes(text: str) -> frozenset[str]:
    """A code that is not recognised must not silently stop blocking: it is refused above."""
    return frozenset(text.upper().replace(";", " ").replace(",", " ").split())


_TRAITS: Final = COLUMNS[5:13]


@dataclass(slots=True)
class ListedPatients:
    """The `Patients` port over records in memory, any establishment."""

    records: Iterable[PatientRecord]
    _found: dict[str, list[PatientRecord]] = field(init=False)

    def __post_init__(self) -> None:
        self._found = defaultdict(list)
        for record in sorted(self.records, key=lambda each: each.ipp):
            for key in pointers("", record):
                self._found[key].append(record)

    def find(
        self,
        establishment: str,  # noqa: ARG002 (the port has it, a file is one)
        matricule: str,
        oid: str,
    ) -> tuple[PatientRecord, ...]:
        """Records whose current or former INS this is."""
        return tuple(self._found.get(ins_key("", matricule, oid), ()))

    def get(
        self,
        establishment: str,  # noqa: ARG002 (as above)
        ipp: str,
    ) -> PatientRecord | None:
        """One record."""
        return next(iter(self._found.get(ipp_key("", ipp), ())), None)

    def twins(
        self,
        establishment: str,  # noqa: ARG002 (as above)
        traits: Traits,
    ) -> tuple[PatientRecord, ...]:
        """Active records equal on the five strict traits."""
        found = self._found.get(traits_key("", traits), ())
        return tuple(record for record in found if not inactive(record))
