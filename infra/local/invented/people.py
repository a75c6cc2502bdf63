"""Invented patients. No real person, no name or number taken from a sample."""

import csv
import io
from dataclasses import dataclass
from typing import Final

from pfi.ins.identity import InsKind, PatientRecord, Traits

CSV_HEADER: Final = (
    "ipp,status,attributes,matricule,oid,birth_name,first_given,given_list,used_name,used_given,"
    "birth_date,sex,birth_place,merged_into"
)


def nir_key(body: str) -> str:
    """Key of a NIR or NIA of 13 characters: 97 - (N mod 97), Corsica 2A→19, 2B→18."""
    number = int(body.upper().replace("2A", "19").replace("2B", "18"))
    return f"{97 - number % 97:02d}"


@dataclass(frozen=True, slots=True)
class Patient:
    """One invented person, as the hospital and (by default) the sender know them."""

    ipp: str
    body: str
    birth_name: str
    first_given: str
    given_list: str
    birth_date: str
    sex: str
    birth_place: str
    oid: str = InsKind.NIR_TEST
    used_name: str = ""
    used_given: str = ""
    city: str = ""
    status: str = "VALI"
    attributes: tuple[str, ...] = ()
    merged_into: str = ""
    key: str = ""

    @property
    def matricule(self) -> str:
        """The 15 characters; empty without INS. `key` forces a (wrong) key."""
        return self.body and self.body + (self.key or nir_key(self.body))

    @property
    def cx(self) -> str:
        """XDS patientId of METADATA.XML."""
        return f"{self.matricule}^^^&{self.oid}&ISO^NH" if self.body else ""

    @property
    def traits(self) -> Traits:
        """The traits as written, for comparing with what was read."""
        return Traits(
            birth_name=self.birth_name,
            first_given=self.first_given,
            given_list=self.given_list,
            birth_date=self.birth_date,
            sex=self.sex,
            birth_place=self.birth_place,
            used_name=self.used_name,
            used_given=self.used_given,
        )

    @property
    def record(self) -> PatientRecord:
        """The same person in the patient base."""
        return PatientRecord(
            ipp=self.ipp,
            status=self.status,
            attributes=frozenset(self.attributes),
            matricule=self.matricule,
            oid=self.oid if self.body else "",
            traits=self.traits,
            merged_into=self.merged_into,
        )


LEA: Final = Patient(
    ipp="900001",
    body="287042A041012",
    birth_name="D'ARTIGUELOUVE",
    first_given="LÉA",
    given_list="LÉA MARIE-SOLÈNE",
    birth_date="19870412",
    sex="F",
    birth_place="2A041",
    used_name="CASABELLONI",
    used_given="LÉA",
    city="BONIFACIO",
)
"""Corsica, apostrophe, accents, a used name."""

YANN: Final = Patient(
    ipp="900002",
    body="1540929019233",
    birth_name="KERGOUSTIN",
    first_given="JEAN-YANN",
    given_list="JEAN-YANN MALO",
    birth_date="19540930",
    sex="M",
    birth_place="29019",
    city="BREST",
)
"""A man with a compound first given name."""

AISSATA: Final = Patient(
    ipp="900003",
    body="2910199331104",
    birth_name="OUEDRABO-TIENDRE",
    first_given="AÏSSATA",
    given_list="AÏSSATA FATOU",
    birth_date="19910115",
    sex="F",
    birth_place="99331",
    city="BURKINA FASO",
)
"""Born abroad: country code 99xxx in the place; compound birth name."""

THEO: Final = Patient(
    ipp="900004",
    body="1150634172045",
    birth_name="BÉNÉZARD DE L'AUBÉPINÈDE",
    first_given="THÉO",
    given_list="THÉO LOUIS GASPARD",
    birth_date="20150606",
    sex="M",
    birth_place="34172",
    city="MONTPELLIER",
)
"""A child whose birth name has blanks, an apostrophe and accents."""

ANDRE: Final = Patient(
    ipp="900005",
    body="1320259350067",
    birth_name="LECŒURDIER",
    first_given="ANDRÉ",
    given_list="ANDRÉ",
    birth_date="19320229",
    sex="M",
    birth_place="59350",
    city="LILLE",
)
"""A ligature and a 29 February."""

SAMIR: Final = Patient(
    ipp="900006",
    body="7880399351512",
    birth_name="HADDALI",
    first_given="SAMIR",
    given_list="SAMIR",
    birth_date="19880317",
    sex="M",
    birth_place="99351",
    oid=InsKind.NIA,
    city="TUNISIE",
)
"""A NIA, which has no test OID."""

NO_INS: Final = Patient(
    ipp="900007",
    body="",
    birth_name="PROVISORET",
    first_given="CLAUDE",
    given_list="CLAUDE",
    birth_date="19701231",
    sex="F",
    birth_place="75056",
    status="PROV",
    city="PARIS",
)
"""A provisional identity without INS."""

EVERYBODY: Final = (LEA, YANN, AISSATA, THEO, ANDRE, SAMIR, NO_INS)


def patient_csv(patients: tuple[Patient, ...] | list[Patient] = EVERYBODY) -> str:
    """The patient base as the CSV drop of the feed (one row per patient, CSV_HEADER first)."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(CSV_HEADER.split(","))
    for person in patients:
        writer.writerow(csv_row(person))
    return out.getvalue()


def csv_row(person: Patient) -> list[str]:
    """The cells of a person in the order of CSV_HEADER."""
    base = [person.ipp, person.status, " ".join(person.attributes), person.matricule]
    names = [person.birth_name, person.first_given, person.given_list]
    used = [person.used_name, person.used_given]
    civil = [person.birth_date, person.sex, person.birth_place, person.merged_into]
    return [*base, person.oid if person.body else "", *names, *used, *civil]
