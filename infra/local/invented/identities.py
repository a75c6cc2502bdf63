"""Invented identities by the million, for loading and matching at scale: streamed, by seed.

Names are syllables, numbers are of the test scheme and have right keys. A small share is what
bases are full of: provisional, without a place of birth, merged into another.
"""

import csv
from collections.abc import Iterator
from random import Random
from typing import IO, Final

from infra.local.invented.people import CSV_HEADER, Patient, csv_row
from pfi.ins.identity import InsKind

_SYLLABLES: Final = (
    "BRA", "CLO", "DU", "FER", "GAU", "JOU", "KER", "LAN", "MOR", "NEL",
    "PÉ", "QUI", "ROU", "SAL", "TEN", "VI", "ZAR", "BEL", "COU", "DRÉ",
)  # fmt: skip
_GIVEN: Final = (
    "ALIX", "BASILE", "CÉLIE", "DORIAN", "ELVIRE", "FÉLICIEN", "GUILAIN", "HERMINE", "IDA",
    "JOACHIM", "LÉOPOLD", "MAHAUT", "NORBERT", "OPHÉLIE", "PRUNE", "QUENTIN", "RÉMY", "SIDONIE",
    "TANGUY", "VIOLETTE",
)  # fmt: skip
_DEPARTMENTS: Final = (*range(1, 20), *range(21, 96))


def identities(count: int, seed: int = 1) -> Iterator[Patient]:
    """`count` persons, each with an IPP of its own; the same ones for the same seed."""
    random = Random(seed)  # noqa: S311 - invented people, not a secret
    for number in range(1, count + 1):
        yield _person(number, random)


def _person(number: int, random: Random) -> Patient:
    sex, year = random.choice("MF"), random.randrange(1925, 2026)
    month, day = random.randrange(1, 13), random.randrange(1, 29)
    place = f"{random.choice(_DEPARTMENTS):02}{random.randrange(1, 900):03}"
    order = f"{number % 1000:03}"
    body = f"{1 if sex == 'M' else 2}{year % 100:02}{month:02}{place}{order}"
    given = random.choice(_GIVEN)
    kind = random.random()
    return Patient(
        ipp=f"7{number:08}",
        body="" if kind < 0.05 else body,
        birth_name="".join(random.choices(_SYLLABLES, k=3)),
        first_given=given,
        given_list=f"{given} {random.choice(_GIVEN)}",
        birth_date=f"{year}{month:02}{day:02}",
        sex=sex,
        birth_place="" if kind > 0.98 else place,
        oid=InsKind.NIR_TEST,
        status="PROV" if kind < 0.05 else "VALI",
        merged_into=f"7{number - 1:08}" if 0.5 < kind < 0.51 and number > 1 else "",
    )


def write_csv(file: IO[str], count: int, seed: int = 1) -> None:
    """The patient file of these persons, line by line."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(CSV_HEADER.split(","))
    writer.writerows(map(csv_row, identities(count, seed)))
