"""Identities that hang together by merges and changes of number, and the record each one gives.

A family is read whole, so that every absorbed record names its last survivor at once (§6.5, 4):
a match never walks a chain.
"""

from collections.abc import Mapping
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
    SPOKEN,
    STATED,
    STATUS,
    TRAITS,
    Identity,
    Said,
)

Family = Mapping[str, Identity]
_RENAMED: Final = "rename"
_MERGED: Final = "merge"
_TOMBSTONE: Final = frozenset({"DESA"})


def records(family: Family) -> dict[str, PatientRecord]:
    """The record of each identity of a whole family."""
    return {ipp: _record(identity, family) for ipp, identity in family.items()}


def in_circle(ipp: str, family: Family) -> bool:
    """True when merges lead back to where they began: nobody can say who survives."""
    return _survivor(ipp, family) is None


def reused(ipp: str, family: Family) -> bool:
    """True when a number was stated again after the identity had left it for another one: whether
    it is the same person, nobody can say."""
    at, target, kind = _relation(family[ipp])
    return bool(target) and kind == _RENAMED and family[ipp].at(STATED) > at


def _relation(identity: Identity) -> tuple[str, str, str]:
    """(time, target, merge or rename) of the latest relation in force, all '' for an identity of
    its own. An unlink undoes the merge of these two; a number given again undoes its change. Of
    two in one second the greater number is named: neither makes anybody official."""
    found = [
        (said[0], key.removeprefix(INTO), said[1])
        for key, said in identity.said.items()
        if key.startswith(INTO) and _in_force(identity, key.removeprefix(INTO), said)
    ]
    return max(found, default=("", "", ""))


def _in_force(identity: Identity, target: str, said: Said) -> bool:
    undone = APART + target in identity.said and identity.at(APART + target) >= said[0]
    again = said[1] == _RENAMED and NAMED in identity.said and identity.at(NAMED) >= said[0]
    return not (undone or again)


def _survivor(ipp: str, family: Family) -> str | None:
    """The identity that all relations lead to, itself when there are none; None in a circle."""
    seen: set[str] = set()
    while ipp not in seen:
        seen.add(ipp)
        target = _relation(family[ipp])[1] if ipp in family else ""
        if not target:
            return ipp
        ipp = target
    return None


def _numbers(identity: Identity, family: Family) -> frozenset[Number]:
    """Its own, and those of its former numbers: they are the same identity (A47), unless an INS was
    said there since. The change of number is a snapshot, so nothing else is taken."""
    former = (family[ipp] for ipp in _former(identity, family, frozenset()))
    kept = (one.numbers for one in former if one.at(SPOKEN) <= _relation(one)[0])
    return identity.numbers.union(*kept)


def _agreed(identity: Identity, family: Family) -> bool:
    """True when the last event that said an INS under this number said this, and no later one under
    a former number said another. A gain said there cannot stand for what is missing here."""
    if identity.value(SPOKEN) != identity.value(INS):
        return False
    same = (identity, *(family[ipp] for ipp in _former(identity, family, frozenset())))
    spoken = [one.said[SPOKEN] for one in same if SPOKEN in one.said]
    last = max((said[0] for said in spoken), default="")
    return {said[1:] for said in spoken if said[0] == last} == {identity.value(INS)}


def _former(identity: Identity, family: Family, seen: frozenset[str]) -> frozenset[str]:
    here = (identity.ipp, _RENAMED)
    known = (identity.absorbed - seen) & family.keys()
    found = {ipp for ipp in known if _relation(family[ipp])[1:] == here}
    seen |= found
    for ipp in found:
        seen = _former(family[ipp], family, seen)
    return seen


def _record(identity: Identity, family: Family) -> PatientRecord:
    survivor = _survivor(identity.ipp, family)
    status, *attributes = identity.value(STATUS) or ("",)
    absorbed = survivor != identity.ipp
    current = None if absorbed else _current(identity, family)
    matricule, oid = current or ("", "")
    return PatientRecord(
        ipp=identity.ipp,
        status=status,
        attributes=frozenset(attributes) | (_TOMBSTONE if absorbed else frozenset()),
        matricule=matricule,
        oid=oid,
        traits=Traits(**{name: (identity.value(name) or ("",))[0] for name in TRAITS}),
        merged_into=(survivor or "") if absorbed else "",
        active=not absorbed and identity.value(ACTIVE) != ("no",),
        aliases=tuple(sorted(n for n in _numbers(identity, family) if n != current)),
    )


def _current(identity: Identity, family: Family) -> Number | None:
    """The INS the record may show. One that never was official must not become so by a later VALI
    without INS (B-05), nor one from before the undoing of a merge until it is stated again, nor
    one that the last event did not say."""
    if not identity.value(INS):
        return None
    matricule, oid, grade = identity.value(INS)
    stated = grade == OFFICIAL and _since(identity) >= _undone_at(identity)
    qualified = identity.value(STATUS)[:1] == (QUALIFIED,)
    official = stated and _agreed(identity, family)
    return (matricule, oid) if official or not qualified else None


def _since(identity: Identity) -> str:
    """The INS stands since it was said, or since a snapshot of the same state confirmed it; one of
    an older state confirms nothing."""
    said = identity.at(INS)
    taken = identity.value(STATED)[:1] >= (said,)
    return max(said, identity.at(STATED)) if taken else said


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
