"""Identities that hang together by merges and changes of number, and the record each one gives.

A family is read whole, so that every absorbed record names its last survivor at once (§6.5, 4):
a match never walks a chain.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from pfi.ins.events import QUALIFIED, Number
from pfi.ins.identity import PatientRecord, Traits
from pfi.ins.statements import (
    ACTIVE,
    APART,
    INS,
    INTO,
    NAMED,
    OFFICIAL,
    STATED,
    STATUS,
    TRAITS,
    WITH,
    Identity,
    Said,
)

Family = Mapping[str, Identity]
_RELATIONS: Final = (INTO, APART, WITH, NAMED)
_RENAMED: Final = "rename"
_MERGED: Final = "merge"
_TOMBSTONE: Final = frozenset({"DESA"})


def records(family: Family) -> dict[str, PatientRecord]:
    """The record of each identity of a whole family."""
    return {ipp: _record(identity, family) for ipp, identity in family.items()}


def in_circle(ipp: str, family: Family) -> bool:
    """True when merges lead back to where they began: nobody can say who survives."""
    return _survivor(ipp, family) is None


def _pointer(identity: Identity) -> tuple[str, str]:
    """(target, merge or rename) of the latest relation in force, ('', '') for an identity of its
    own. An unlink undoes the merge of these two; a number given again undoes its change."""
    found = [
        (said[0], key.removeprefix(INTO), said[1])
        for key, said in identity.said.items()
        if key.startswith(INTO) and _in_force(identity, key.removeprefix(INTO), said)
    ]
    return max(found)[1:] if found else ("", "")


def _in_force(identity: Identity, target: str, said: Said) -> bool:
    undone = APART + target in identity.said and identity.at(APART + target) >= said[0]
    again = said[1] == _RENAMED and NAMED in identity.said and identity.at(NAMED) >= said[0]
    return not (undone or again)


def _survivor(ipp: str, family: Family) -> str | None:
    """The identity that all relations lead to, itself when there are none; None in a circle."""
    seen: set[str] = set()
    while ipp not in seen:
        seen.add(ipp)
        target = _pointer(family[ipp])[0] if ipp in family else ""
        if not target:
            return ipp
        ipp = target
    return None


def _whole(identity: Identity, family: Family) -> Identity:
    """With what was said under its former numbers: they are the same identity (A47)."""
    for ipp in sorted(_former(identity, family, frozenset())):
        former = family[ipp]
        later = {
            key: said
            for key, said in former.said.items()
            if not key.startswith(_RELATIONS)
            and (key not in identity.said or identity.at(key) < said[0])
        }
        numbers = identity.numbers | former.numbers
        identity = replace(identity, said={**identity.said, **later}, numbers=numbers)
    return identity


def _former(identity: Identity, family: Family, seen: frozenset[str]) -> frozenset[str]:
    here = (identity.ipp, _RENAMED)
    found = {i for i in identity.absorbed - seen if i in family and _pointer(family[i]) == here}
    seen |= found
    for ipp in found:
        seen = _former(family[ipp], family, seen)
    return seen


def _record(identity: Identity, family: Family) -> PatientRecord:
    survivor = _survivor(identity.ipp, family)
    stated = _whole(identity, family)
    status, *attributes = stated.value(STATUS) or ("",)
    absorbed = survivor != identity.ipp
    current = None if absorbed else _current(stated, identity)
    matricule, oid = current or ("", "")
    return PatientRecord(
        ipp=identity.ipp,
        status=status,
        attributes=frozenset(attributes) | (_TOMBSTONE if absorbed else frozenset()),
        matricule=matricule,
        oid=oid,
        traits=Traits(**{name: (stated.value(name) or ("",))[0] for name in TRAITS}),
        merged_into=(survivor or "") if absorbed else "",
        active=not absorbed and stated.value(ACTIVE) != ("no",),
        aliases=tuple(sorted(n for n in stated.numbers if n != current)),
    )


def _current(stated: Identity, identity: Identity) -> Number | None:
    """The INS the record may show. One that never was official must not become so by a later VALI
    without INS (B-05), nor one from before the undoing of a merge until it is stated again."""
    if not stated.value(INS):
        return None
    matricule, oid, grade = stated.value(INS)
    since = max(stated.at(INS), stated.at(STATED))  # a snapshot of the same state confirms it
    official = grade == OFFICIAL and since >= _undone_at(identity)
    qualified = stated.value(STATUS)[:1] == (QUALIFIED,)
    return (matricule, oid) if official or not qualified else None


def _undone_at(identity: Identity) -> str:
    """When the last merge of this identity was undone; '' for one that never was."""
    times = [
        identity.at(APART + key.removeprefix(INTO))
        for key, said in identity.said.items()
        if key.startswith(INTO)
        and said[1] == _MERGED
        and not _in_force(identity, key.removeprefix(INTO), said)
    ]
    return max(times, default="")
