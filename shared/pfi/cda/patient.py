"""recordTarget: the identifiers and the strict traits as the document writes them (§3.3)."""

import re
from collections.abc import Iterable, Iterator
from typing import Final

from lxml import etree

from pfi import xml
from pfi.cda.paths import code_of, every, first
from pfi.ins.identity import DocumentIdentity, PatientId, Traits
from pfi.ins.traits import day, has_name, normal, separated

_ROLE: Final = "recordTarget/patientRole"
_BIRTH_PLACE: Final = "birthplace/place/addr/county"
_MISDECODED: Final = re.compile(
    "[\u00c2\u00c3][\u0080-\u00bf\u0152\u0153\u0160\u0161\u0178\u017d\u017e\u0192\u02c6\u02dc"
    "\u2013-\u203a\u20ac\u2122]"
)


def identity_of(document: etree._Element) -> DocumentIdentity:
    """Who the document is about. Two persons anywhere under recordTarget count as two (H-12), be
    they two elements, or two values of a strict trait in one.
    """
    role = first(document, _ROLE)
    patient = first(role, "patient")
    traits, legacy = _traits(patient)
    return DocumentIdentity(
        ids=tuple(_ids(role)),
        traits=traits,
        record_targets=max(_count(document), _described(patient)),
        legacy_given=legacy,
    )


def several_names(document: etree._Element) -> bool:
    """N is exactly one in the profile; the one with a birth name is read."""
    return len(every(document, f"{_ROLE}/patient/name")) > 1


def looks_misdecoded(document: etree._Element) -> bool:
    """P-02: UTF-8 bytes declared as latin-1 parse well and show as ``Ã`` + another sign."""
    names = every(document, f"{_ROLE}/patient/name")
    return any(_MISDECODED.search(xml.text(name)) for name in names)


def _count(document: etree._Element) -> int:
    paths = ("recordTarget", _ROLE, f"{_ROLE}/patient")
    return max(len(every(document, path)) for path in paths)


def _described(patient: etree._Element | None) -> int:
    """How many persons the strict traits describe. Each trait is one value in the profile (§3.3):
    the first of two would be matched, whoever the second belongs to.
    """
    names = every(patient, "name")
    return max(
        _distinct(value for name in names for value in _each_qualified(name, "family", "BR")),
        _distinct(_qualified(name, "given", "BR") for name in names),
        *map(_given_to, names),
        _distinct_codes(each.get("value", "") for each in every(patient, "birthTime")),
        _distinct_codes(map(code_of, every(patient, "administrativeGenderCode"))),
        _distinct_codes(map(xml.text, every(patient, _BIRTH_PLACE))),
    )


def _distinct(names: Iterable[str]) -> int:
    """A name said again in another spelling, or left empty, is no second one."""
    values = set(names)
    return len(values) if len(values) < 2 else len({separated(v) for v in values if has_name(v)})


def _given_to(name: etree._Element) -> int:
    """Some senders mark each given name of a person as a birth name. They are one person's where
    the list of given names, if there is one, holds them all."""
    values = {value for value in _each_qualified(name, "given", "BR") if has_name(value)}
    listed = _unqualified(name)
    if len(values) < 2 or not listed:
        return 1
    words = f" {separated(listed)} "
    strays = {separated(value) for value in values if f" {separated(value)} " not in words}
    return 1 + len(strays)


def _distinct_codes(written: Iterable[str]) -> int:
    """Of a time the day counts; a partial one is not the whole one."""
    return len({(day(value) or value.strip()).upper() for value in written} - {""})


def _ids(role: etree._Element | None) -> list[PatientId]:
    """In document order (PID-3 follows it); an id with a nullFlavor identifies nobody."""
    return [
        PatientId(each.get("root", "").strip(), each.get("extension", "").strip())
        for each in every(role, "id")
        if each.get("root", "").strip() and each.get("nullFlavor") is None
    ]


def _traits(patient: etree._Element | None) -> tuple[Traits, bool]:
    name = _name(patient)
    given = _qualified(name, "given", "BR")
    listed, legacy = _given_list(name, given)
    birth = first(patient, "birthTime")
    traits = Traits(
        birth_name=_qualified(name, "family", "BR"),
        first_given=given,
        given_list=listed,
        birth_date="" if birth is None else birth.get("value", "").strip(),
        sex=code_of(first(patient, "administrativeGenderCode")),
        birth_place=xml.text(first(patient, _BIRTH_PLACE)),
        used_name=_qualified(name, "family", "CL"),
        used_given=_qualified(name, "given", "CL"),
    )
    return traits, legacy


def _name(patient: etree._Element | None) -> etree._Element | None:
    names = every(patient, "name")
    with_birth_name = (name for name in names if _qualified(name, "family", "BR"))
    return next(with_birth_name, names[0] if names else None)


def _qualified(name: etree._Element | None, part: str, token: str) -> str:
    """First `part` whose qualifier, a set of tokens, holds `token`."""
    return next(_each_qualified(name, part, token), "")


def _each_qualified(name: etree._Element | None, part: str, token: str) -> Iterator[str]:
    for each in every(name, part):
        if token in each.get("qualifier", "").split():
            yield xml.text(each)


def _given_list(name: etree._Element | None, given: str) -> tuple[str, bool]:
    """Two generations (Q-10): unqualified `given` is the full list, or the other names only."""
    listed = _unqualified(name)
    if not (given and listed) or f"{_plain(listed)} ".startswith(f"{_plain(given)} "):
        return listed, False
    return f"{given} {listed}", True


def _unqualified(name: etree._Element | None) -> str:
    unqualified = (xml.text(each) for each in every(name, "given") if not each.get("qualifier"))
    return " ".join(part for part in unqualified if part)


def _plain(name: str) -> str:
    return normal(name).replace("-", " ").replace("'", " ")
