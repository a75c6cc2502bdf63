"""Keys under which the patient base finds a record: digests, never the matricule or a name.

Digests are scoped by establishment: the same person in two establishments is two records.
"""

import hashlib

from pfi.ins.concordance import inactive
from pfi.ins.identity import PatientRecord, Traits
from pfi.ins.matricule import clean
from pfi.ins.traits import day, place, separated, sex


def pointers(establishment: str, record: PatientRecord) -> frozenset[str]:
    """Every key under which a record is found. Traits only lead to an active record that has all
    five: the others equal nobody, and would crowd under one key."""
    keys = {ipp_key(establishment, record.ipp)}
    if not inactive(record) and all(_normal(record.traits)):
        keys.add(traits_key(establishment, record.traits))
    numbers = [(record.matricule, record.oid), *record.aliases]
    keys |= {ins_key(establishment, *each) for each in numbers if each[0]}
    return frozenset(keys)


def ipp_key(establishment: str, ipp: str) -> str:
    """Key of the record itself."""
    return f"IPP#{_digest(establishment, ipp)}"


def ins_key(establishment: str, matricule: str, oid: str) -> str:
    """Key of an INS: issuing scheme and matricule together (I-05)."""
    return f"INS#{_digest(establishment, oid, clean(matricule))}"


def traits_key(establishment: str, traits: Traits) -> str:
    """Key of the five strict traits in their widest equality class (separators equivalent)."""
    return f"TRAITS#{_digest(establishment, *_normal(traits))}"


def _normal(traits: Traits) -> tuple[str, ...]:
    return (
        separated(traits.birth_name),
        separated(traits.first_given),
        day(traits.birth_date),
        sex(traits.sex),
        place(traits.birth_place),
    )


def heard_key(establishment: str, message: str) -> str:
    """Key of a message already applied."""
    return f"HEARD#{_digest(establishment, message)}"


def fed_key(establishment: str) -> str:
    """Key of the last sign of life of an establishment's feed."""
    return f"FED#{_digest(establishment)}"


def load_key(establishment: str, file: str) -> str:
    """Key of the progress of a patient file."""
    return f"LOAD#{_digest(establishment, file)}"


def _digest(*parts: str) -> str:
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()
