"""One line of a patient file, CSV or NDJSON: a record, or what is wrong with it.

A line is one identity; nothing in it goes over to the next line, so a file can be taken up again at
any line. What is wrong is told by line, field and fault, never by a value
(docs/reference/patient-file.md).
"""

import csv
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from pfi.ins.identity import IDENTITY_CODES, PatientRecord, Traits
from pfi.ins.matricule import kind_of, read

COLUMNS: Final = (
    "ipp", "status", "attributes", "matricule", "oid", "birth_name", "first_given", "given_list",
    "used_name", "used_given", "birth_date", "sex", "birth_place", "merged_into",
)  # fmt: skip
LONGEST: Final = 65_536
"""Bytes of a line. A longer one is no identity."""
_TRAITS: Final = COLUMNS[5:13]
_WHOLE: Final = "line"
"""The field of a flaw that is the whole line's."""


class Format(StrEnum):
    """How the lines of a file are written; the ending of its name."""

    CSV = "csv"
    NDJSON = "ndjson"


class Fault(StrEnum):
    """What is wrong with a field."""

    UNREADABLE = "unreadable"
    MISSING = "missing"
    FORM = "form"
    UNKNOWN = "unknown"
    NOT_AN_INS = "not_an_ins"
    REPEATED = "repeated"
    ITSELF = "itself"
    MALFORMED = "malformed"
    FALSE_KEY = "false_key"
    CIRCLE = "circle"

    @property
    def refuses(self) -> bool:
        """The identity is not taken; else it is, and somebody should look."""
        return self not in {Fault.MALFORMED, Fault.FALSE_KEY, Fault.CIRCLE}


@dataclass(frozen=True, slots=True)
class Flaw:
    """Where and what, without any value."""

    line: int
    field: str
    fault: Fault


@dataclass(frozen=True, slots=True)
class Line:
    """One line as it was read; without a record it was refused."""

    number: int
    record: PatientRecord | None
    flaws: tuple[Flaw, ...] = ()


class HeadRefused(Exception):
    """The beginning of the file does not say what its lines are."""

    def __init__(self, flaw: Flaw) -> None:
        super().__init__(f"line {flaw.line}: {flaw.field}: {flaw.fault.value}")
        self.flaw = flaw


@dataclass(frozen=True, slots=True)
class Layout:
    """What the beginning of a file says: the time of its content, the columns of a CSV."""

    format: Format
    as_of: datetime | None = None
    columns: tuple[str, ...] = ()
    separator: str = ","
    size: int = 0
    lines: int = 0

    def read(self, raw: bytes, number: int) -> Line:
        """The identity of a line, or why it has none; a blank line is neither."""
        if not raw.strip():
            return Line(number, None)
        try:
            text = raw.decode("utf-8").removeprefix("\ufeff")
            cells = self._csv(text) if self.format is Format.CSV else _json(text)
        except (ValueError, RecursionError, csv.Error):
            cells = None
        if cells is None or len(raw) > LONGEST:
            return Line(number, None, (Flaw(number, _WHOLE, Fault.UNREADABLE),))
        flaws = tuple(Flaw(number, *found) for found in _flaws(cells))
        refused = any(each.fault.refuses for each in flaws)
        return Line(number, None if refused else _record(cells), flaws)

    def _csv(self, text: str) -> "Cells | None":
        row = _row(text, self.separator)
        if len(row) != len(self.columns):
            return None
        found = dict(zip(self.columns, map(str.strip, row), strict=True))
        return Cells(
            {name: found[name] for name in COLUMNS},
            tuple(re.split(r"[\s,;]+", found["attributes"].upper())),
        )


@dataclass(frozen=True, slots=True)
class Cells:
    """The fields of a line as text."""

    texts: Mapping[str, str]
    attributes: tuple[str, ...] = ()
    aliases: tuple[tuple[str, str], ...] = ()
    active: bool = True

    @property
    def codes(self) -> frozenset[str]:
        """The attributes that are there."""
        return frozenset(filter(None, self.attributes))

    @property
    def status(self) -> str:
        """The reliability."""
        return self.texts["status"].upper()


def layout(head: list[bytes], form: Format) -> Layout:
    """From the first lines of a file: whole lines with their ends, two are enough."""
    lines = [raw.decode("utf-8", "replace").removeprefix("\ufeff").strip() for raw in head]
    as_of = _as_of(lines[0], form) if lines else None
    taken = 1 if as_of else 0
    if form is Format.NDJSON:
        return Layout(form, as_of, size=sum(map(len, head[:taken])), lines=taken)
    header = lines[taken] if len(lines) > taken else ""
    separator = max(",;", key=header.count)
    columns = tuple(name.strip() for name in _row(header, separator))
    missing = next((name for name in COLUMNS if name not in columns), None)
    if missing or len(set(columns)) < len(columns):
        raise HeadRefused(Flaw(taken + 1, missing or _WHOLE, Fault.MISSING))
    size = sum(map(len, head[: taken + 1]))
    return Layout(form, as_of, columns, separator, size, taken + 1)


def _as_of(line: str, form: Format) -> datetime | None:
    """The time that the file gives itself: ``# as_of=…``, or ``{"as_of": "…"}``."""
    try:
        if form is Format.CSV:
            name, _, value = line.removeprefix("#").strip().partition("=")
            given = value.strip() if line.startswith("#") and name.strip() == "as_of" else ""
        else:
            found = json.loads(line)
            given = found.get("as_of", "") if isinstance(found, dict) else ""
    except (ValueError, RecursionError):
        return None
    if not given:
        return None
    try:
        moment = datetime.fromisoformat(str(given))
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:  # an hour would be guessed, and the wrong one wins
        raise HeadRefused(Flaw(1, "as_of", Fault.FORM))
    return moment


def _row(text: str, separator: str) -> list[str]:
    return next(csv.reader([text.rstrip("\r\n")], delimiter=separator, strict=True), [])


def _json(text: str) -> Cells | None:
    """The same names as in CSV; attributes and aliases as lists, traits together if wished."""
    found = json.loads(text)
    if not isinstance(found, dict):
        return None
    traits = found.pop("traits", {})
    found |= traits if isinstance(traits, dict) else {"": ""}
    lists = {"attributes": found.pop("attributes", []), "aliases": found.pop("aliases", [])}
    active = found.pop("active", True)
    texts = {name: found.pop(name, "") for name in COLUMNS if name != "attributes"}
    strange = [each for each in texts.values() if not isinstance(each, str)]
    if found or strange or not isinstance(active, bool):
        return None
    attributes, aliases = _words(lists["attributes"]), _pairs(lists["aliases"])
    if attributes is None or aliases is None:
        return None
    stripped = {name: text.strip() for name, text in texts.items()}
    return Cells({**stripped, "attributes": ""}, attributes, aliases, active)


def _words(given: Any) -> tuple[str, ...] | None:
    known = isinstance(given, list) and all(isinstance(each, str) for each in given)
    return tuple(each.strip().upper() for each in given) if known else None


def _pairs(given: Any) -> tuple[tuple[str, str], ...] | None:
    known = isinstance(given, list) and all(
        isinstance(each, list) and len(each) == 2 and _words(each) is not None for each in given
    )
    return tuple((each[0], each[1]) for each in given) if known else None


def _flaws(cells: Cells) -> Iterator[tuple[str, Fault]]:
    texts = cells.texts
    if not texts["ipp"]:
        yield "ipp", Fault.MISSING
    if cells.status and cells.status not in IDENTITY_CODES:
        yield "status", Fault.UNKNOWN
    if cells.codes - IDENTITY_CODES:  # one that is not recognised must not silently stop blocking
        yield "attributes", Fault.UNKNOWN
    for name, form in _FORMS.items():
        if not form.fullmatch(texts[name]):
            yield name, Fault.FORM
    if texts["merged_into"] and texts["merged_into"] == texts["ipp"]:
        yield "merged_into", Fault.ITSELF
    yield from _number_flaws(texts["matricule"], texts["oid"])


def _number_flaws(matricule: str, oid: str) -> Iterator[tuple[str, Fault]]:
    """As in the feed: a malformed number never becomes the current one, a false key is told."""
    if not matricule:
        return
    number = read(matricule, oid)
    if not kind_of(oid):
        yield "oid", Fault.NOT_AN_INS if oid else Fault.MISSING
    elif number is None:
        yield "matricule", Fault.MALFORMED
    elif not number.key_ok:
        yield "matricule", Fault.FALSE_KEY


_FORMS: Final = {
    "birth_date": re.compile(r"(\d{4}(\d\d(\d\d(\d{6})?)?)?)?"),
    "sex": re.compile(r"(F|M|U|UN|A|O|N|I)?"),
    "birth_place": re.compile(r"([0-9][0-9A-Za-z]\d{3})?"),
}
"""A value in another form would later look like a trait that the sender got wrong."""


def _record(cells: Cells) -> PatientRecord:
    texts = cells.texts
    return PatientRecord(
        ipp=texts["ipp"],
        status=cells.status,
        attributes=cells.codes,
        matricule=texts["matricule"],
        oid=texts["oid"] if texts["matricule"] else "",
        traits=Traits(**{name: texts[name] for name in _TRAITS}),
        merged_into=texts["merged_into"],
        active=cells.active,
        aliases=cells.aliases,
    )


@dataclass(slots=True)
class Counted:
    """The flaws of a file: counted by field and fault, and as many listed as a report may hold."""

    most: int
    listed: list[Flaw] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)

    def add(self, flaws: tuple[Flaw, ...]) -> None:
        """Each is counted; those beyond the most are not listed."""
        for flaw in flaws:
            name = f"{flaw.field}:{flaw.fault.value}"
            self.counts[name] = self.counts.get(name, 0) + 1
        self.listed.extend(flaws[: max(0, self.most - len(self.listed))])
