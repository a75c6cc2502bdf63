"""The reference model of the patient base: one day in order, one plain rule after the other.

It shares nothing with the product but the record that both end in: no times, no joins, no
families. Whoever receives the same day shuffled must end with the same records.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from infra.local.invented.identity_messages import Told
from infra.local.invented.people import Patient
from pfi.ins.identity import PatientRecord, Traits

SNAPSHOTS = ("A28", "A31", "A40", "A47", "A24", "A37")
AMENDMENTS = ("A01", "A04", "A05", "A08")
TRAITS = ("birth_name", "first_given", "given_list", "birth_date", "sex", "birth_place",
          "used_name", "used_given")  # fmt: skip


@dataclass
class Known:
    """What is known of one number."""

    traits: dict[str, str] = field(default_factory=lambda: dict.fromkeys(TRAITS, ""))
    status: str = ""
    attributes: tuple[str, ...] = ()
    ins: tuple[str, str] | None = None
    official: bool = False
    heard: tuple[tuple[str, str] | None, bool] = (None, False)
    taken_back: bool = False
    numbers: set[tuple[str, str]] = field(default_factory=set)
    merged: str = ""
    renamed: str = ""
    active: bool = True


class Model:
    """All numbers of one hospital."""

    def __init__(self, events: Iterable[Told]) -> None:
        self.known: dict[str, Known] = {}
        for told in events:
            self._happens(told)

    def records(self) -> dict[str, PatientRecord]:
        """What the table must hold at the end."""
        return {ipp: self._record(ipp, one) for ipp, one in self.known.items()}

    def _happens(self, told: Told) -> None:
        if told.trigger not in (*SNAPSHOTS, *AMENDMENTS, "A29"):
            return
        for old in map(self._one, told.replaced):
            if told.trigger == "A40":
                old.merged = told.patient.ipp
            elif told.trigger == "A47":
                old.renamed = told.patient.ipp
            elif told.trigger == "A37" and old.merged == told.patient.ipp:
                old.merged, old.official = "", False
        self._said(told)

    def _said(self, told: Told) -> None:
        one = self._one(told.patient.ipp)
        if told.trigger == "A29":
            one.active = False
        elif told.trigger in AMENDMENTS:
            self._amended(one, told)
        else:
            self._stated(one, told.patient)
            one.active = one.active or told.trigger not in ("A24", "A37")

    def _heard(self, one: Known) -> None:
        """An INS was said. Under a number that was left it never helps the one who left it."""
        one.heard = (one.ins, one.official)
        one.taken_back = bool(one.renamed)
        following = one.renamed
        while following:
            self._one(following).heard = one.heard
            following = self._one(following).renamed

    def _stated(self, one: Known, who: Patient) -> None:
        one.traits = {name: getattr(who, name) for name in TRAITS}
        one.status, one.attributes = who.status, who.attributes
        one.ins = (who.matricule, str(who.oid)) if who.body else None
        one.official = who.status == "VALI"
        one.numbers |= {one.ins} if one.ins else set()
        self._heard(one)

    def _amended(self, one: Known, told: Told) -> None:
        who = told.patient
        ins = (who.matricule, str(who.oid)) if who.body else None
        one.numbers |= {ins} if ins else set()
        if told.sparse:
            return
        one.traits |= {name: getattr(who, name) for name in TRAITS if getattr(who, name)}
        one.status, one.attributes = who.status, who.attributes
        if ins or who.status != "VALI":
            one.ins, one.official = ins, who.status == "VALI"
            self._heard(one)

    def _one(self, ipp: str) -> Known:
        return self.known.setdefault(ipp, Known())

    def _last(self, ipp: str) -> str:
        one = self._one(ipp)
        following = one.merged or one.renamed
        return self._last(following) if following else ipp

    def _record(self, ipp: str, one: Known) -> PatientRecord:
        last = self._last(ipp)
        absorbed = last != ipp
        official = one.official and one.heard == (one.ins, True)
        shown = one.ins if not absorbed and (official or one.status != "VALI") else None
        return PatientRecord(
            ipp=ipp,
            status=one.status,
            attributes=frozenset([*one.attributes, *(["DESA"] if absorbed else [])]),
            matricule=shown[0] if shown else "",
            oid=shown[1] if shown else "",
            traits=Traits(**one.traits),
            merged_into=last if absorbed else "",
            active=one.active and not absorbed,
            aliases=tuple(sorted(n for n in one.numbers | self._numbers(ipp) if n != shown)),
        )

    def _numbers(self, ipp: str) -> set[tuple[str, str]]:
        """Its own, unless they were taken back from whoever asks, and those it had before."""
        found = set() if self._one(ipp).taken_back else set(self._one(ipp).numbers)
        for old, one in self.known.items():
            if one.renamed == ipp:
                found |= self._numbers(old)
        return found
