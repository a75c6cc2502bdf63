"""The two sides of a match: the identity a document carries, the record a hospital holds."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

IDENTITY_CODES: Final = frozenset(
    {"VIDE", "PROV", "VALI", "DOUB", "DESA", "DPOT", "DOUA", "COLP", "COLV", "FILI",
     "CACH", "ANOM", "IDVER", "RECD", "IDRA", "USUR", "HOMD", "INVA", "HOMA", "FICT",
     "DOUT"}
)  # fmt: skip
"""PID-32, table 0445 with its French extension (§4.5)."""


class InsKind(StrEnum):
    """The four issuing schemes of an INS; the value is the OID (ins-matching §4.2, I-05)."""

    NIR = "1.2.250.1.213.1.4.8"
    NIA = "1.2.250.1.213.1.4.9"
    NIR_TEST = "1.2.250.1.213.1.4.10"
    NIR_DEMO = "1.2.250.1.213.1.4.11"


@dataclass(frozen=True, slots=True)
class PatientId:
    """One ``patientRole/id`` of a CDA, in document order."""

    root: str
    extension: str


@dataclass(frozen=True, slots=True)
class Traits:
    """Strict traits (RNIV) and the used names. Empty string = absent. Values as written.

    `birth_date` keeps what the source says (``YYYYMMDD…``, or shorter when partial); `birth_place`
    is the 5-character COG code.
    """

    birth_name: str = ""
    first_given: str = ""
    given_list: str = ""
    birth_date: str = ""
    sex: str = ""
    birth_place: str = ""
    used_name: str = ""
    used_given: str = ""


@dataclass(frozen=True, slots=True)
class DocumentIdentity:
    """What one CDA says of its patient (CDA header §3.3).

    `record_targets` is the number of persons that recordTarget names, two for two values of one
    strict trait: anything but 1 is refused or has no identity. `metadata_patient` is the
    (matricule, OID) of METADATA.XML when it is an INS.
    """

    ids: tuple[PatientId, ...] = ()
    traits: Traits = field(default_factory=Traits)
    record_targets: int = 1
    metadata_patient: tuple[str, str] | None = None
    legacy_given: bool = False


@dataclass(frozen=True, slots=True)
class PatientRecord:
    """One identity of the hospital's patient base (ins-matching §4.5).

    `status` is the reliability (first code of PID-32, ``VALI`` = qualified); `attributes` the
    other codes; `aliases` are (matricule, OID) pairs once held (old INS, NIA).
    """

    ipp: str
    status: str = ""
    attributes: frozenset[str] = frozenset()
    matricule: str = ""
    oid: str = ""
    traits: Traits = field(default_factory=Traits)
    merged_into: str = ""
    active: bool = True
    aliases: tuple[tuple[str, str], ...] = ()
