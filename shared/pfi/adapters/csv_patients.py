"""A patient base from a CSV file, whole in memory: for `pfi explain` and for rehearsals.

Lines and columns are those of `pfi.ins.patient_lines`; one refused line refuses the file.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from pfi.ins.concordance import inactive
from pfi.ins.identity import PatientRecord, Traits
from pfi.ins.keys import ins_key, ipp_key, pointers, traits_key
from pfi.ins.patient_lines import Format, HeadRefused, Layout, layout


class PatientFileRefused(Exception):
    """The file is not a patient CSV; `line` and `fault` (a column name) hold no patient data."""

    def __init__(self, line: int, fault: str) -> None:
        super().__init__(f"line {line}: {fault}")
        self.line = line
        self.fault = fault


def read_patients(text: str) -> tuple[PatientRecord, ...]:
    """Records of a CSV text, in file order; one IPP appears once."""
    raws = text.encode().splitlines(keepends=True)
    try:
        head = layout(raws[:2], Format.CSV)
    except HeadRefused as refused:
        raise PatientFileRefused(refused.flaw.line, refused.flaw.field) from None
    records = list(_records(raws, head))
    if len({record.ipp for _, record in records}) < len(records):
        raise PatientFileRefused(_second(records), "ipp")
    return tuple(record for _, record in records)


def _records(raws: list[bytes], head: Layout) -> Iterator[tuple[int, PatientRecord]]:
    for number, raw in enumerate(raws[head.lines :], start=head.lines + 1):
        line = head.read(raw, number)
        refused = [flaw for flaw in line.flaws if flaw.fault.refuses]
        if refused:
            raise PatientFileRefused(number, refused[0].field)
        if line.record:
            yield number, line.record


def _second(records: list[tuple[int, PatientRecord]]) -> int:
    """The line that gives an IPP again."""
    seen: set[str] = set()
    for number, record in records:
        if record.ipp in seen:
            return number
        seen.add(record.ipp)
    return 0


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
