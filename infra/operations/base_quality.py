"""What a patient base is worth for matching: counts, and on demand the IPPs behind each count.

Read through once, in bounded memory: who holds which matricule goes over files of a private folder
that is gone at the end.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import IO, Final, Self

from pfi.ins.concordance import STRICT, inactive, qualified
from pfi.ins.identity import InsKind, PatientRecord
from pfi.ins.matricule import read
from pfi.ins.statements import INTO
from pfi.ins.traits import day, has_name, place, sex
from pfi.journey.patient_base import Filed

BUCKETS: Final = 64
LOOKED_UP: Final = 100
Get = Callable[[list[str]], dict[str, PatientRecord]]
Tell = Callable[["Finding", str], None]


class Finding(StrEnum):
    """What keeps documents of a patient from being integrated, or will one day."""

    UNQUALIFIED = "non_qualifiee"
    VALI_WITHOUT_INS = "validee_sans_ins"
    FALSE_KEY = "cle_fausse"
    MALFORMED = "matricule_malforme"
    INS_HELD_TWICE = "ins_en_double"
    MISSING_BIRTH_NAME = "nom_absent"
    MISSING_FIRST_GIVEN = "prenom_absent"
    MISSING_BIRTH_DATE = "date_absente"
    MISSING_SEX = "sexe_absent"
    MISSING_BIRTH_PLACE = "lieu_absent"
    PLACEHOLDER_DATE = "date_provisoire"
    MERGED_NOWHERE = "fusion_sans_suite"
    MERGED_IN_CIRCLE = "fusion_en_boucle"
    TEST_INS = "ins_de_test"


_MISSING: Final = dict(
    zip(
        STRICT,
        (
            Finding.MISSING_BIRTH_NAME,
            Finding.MISSING_FIRST_GIVEN,
            Finding.MISSING_BIRTH_DATE,
            Finding.MISSING_SEX,
            Finding.MISSING_BIRTH_PLACE,
        ),
        strict=True,
    )
)
_PRESENT: Final[dict[str, Callable[[str], object]]] = {
    "birth_name": has_name,
    "first_given": has_name,
    "birth_date": day,
    "sex": sex,
    "birth_place": place,
}
_TRIAL: Final = frozenset({InsKind.NIR_TEST.value, InsKind.NIR_DEMO.value})
_PLACEHOLDERS: Final = frozenset(
    {"18000101", "18500101", "18991231", "19000101", "19001231", "19010101", "20000101"}
)
"""Days on which too many people were born."""


@dataclass(slots=True)
class Quality:
    """The counts of a base."""

    identities: int = 0
    active: int = 0
    ready: int = 0
    """Qualified, with a good number and all five traits: documents can join these."""
    findings: Counter[Finding] = field(default_factory=Counter)


def quality(filed: Iterable[Filed], get: Get, tell: Tell) -> Quality:
    """Look at every identity of one establishment; `get` finds records by their IPPs."""
    found = Quality()

    def note(finding: Finding, ipp: str) -> None:
        found.findings[finding] += 1
        tell(finding, ipp)

    with _Holders() as holders:
        merged: list[PatientRecord] = []
        for each in filed:
            record = each.kept.record
            found.identities += 1
            faults = list(_faults(each))
            for finding in faults:
                note(finding, record.ipp)
            if not inactive(record):
                found.active += 1
                found.ready += not set(faults) - {Finding.TEST_INS, Finding.PLACEHOLDER_DATE}
                holders.add(record)
            elif record.merged_into:
                merged.append(record)
            if len(merged) == LOOKED_UP:
                _note_lost(merged, get, note)
                merged = []
        _note_lost(merged, get, note)
        for ipp in holders.twice():
            note(Finding.INS_HELD_TWICE, ipp)
    return found


def _faults(filed: Filed) -> Iterator[Finding]:
    record = filed.kept.record
    if inactive(record):
        if _in_circle(filed):
            yield Finding.MERGED_IN_CIRCLE
        return
    yield from _number_faults(record)
    for name, normal in _PRESENT.items():
        if not normal(getattr(record.traits, name)):
            yield _MISSING[name]
    if day(record.traits.birth_date) in _PLACEHOLDERS:
        yield Finding.PLACEHOLDER_DATE


def _in_circle(filed: Filed) -> bool:
    """Absorbed, and nobody survives: the mark of a merge, and no identity that it leads to."""
    record, said = filed.kept.record, filed.kept.identity.said
    marked = "DESA" in record.attributes and not (record.active or record.merged_into)
    return marked and any(key.startswith(INTO) for key in said)


def _number_faults(record: PatientRecord) -> Iterator[Finding]:
    if not qualified(record):
        without = record.status == "VALI" and not record.matricule
        yield Finding.VALI_WITHOUT_INS if without else Finding.UNQUALIFIED
    if not record.matricule:
        return
    number = read(record.matricule, record.oid)
    if number is None:
        yield Finding.MALFORMED
    elif not number.key_ok:
        yield Finding.FALSE_KEY
    if record.oid in _TRIAL:
        yield Finding.TEST_INS


def _note_lost(merged: list[PatientRecord], get: Get, note: Tell) -> None:
    """Absorbed by an identity that is not there, or that is not active itself."""
    last = get(sorted({record.merged_into for record in merged})) if merged else {}
    for record in merged:
        survivor = last.get(record.merged_into)
        if survivor is None or inactive(survivor):
            note(Finding.MERGED_NOWHERE, record.ipp)


class _Holders:
    """Active, qualified holders of each number, on disk by a digest of the number."""

    def __enter__(self) -> Self:
        self._folder = TemporaryDirectory()
        self._paths = [Path(self._folder.name) / str(n) for n in range(BUCKETS)]
        self._files: list[IO[str]] = [path.open("w", encoding="utf-8") for path in self._paths]
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        for file in self._files:
            file.close()
        self._folder.cleanup()

    def add(self, record: PatientRecord) -> None:
        """Keep who holds which number."""
        if qualified(record):
            digest = hashlib.sha256(f"{record.oid}|{record.matricule}".encode()).hexdigest()[:24]
            self._files[int(digest[:8], 16) % BUCKETS].write(f"{digest} {record.ipp}\n")

    def twice(self) -> Iterator[str]:
        """The identities that share their number with another one."""
        for file, path in zip(self._files, self._paths, strict=True):
            file.close()
            held: dict[str, list[str]] = defaultdict(list)
            with path.open(encoding="utf-8") as lines:
                for line in lines:
                    digest, _, ipp = line.rstrip("\n").partition(" ")
                    held[digest].append(ipp)
            for ipps in held.values():
                if len(ipps) > 1:
                    yield from ipps
