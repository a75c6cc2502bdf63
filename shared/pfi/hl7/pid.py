"""PID and MRG of PAM.fr: identifiers, INS, traits, reliability (PAM §6.3)."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Final
from zoneinfo import ZoneInfo

from pfi.errors import Unreadable
from pfi.hl7.er7 import Segment, nth, unescape
from pfi.ins import matricule as ins
from pfi.ins.events import QUALIFIED, Note, Number, Person
from pfi.ins.identity import IDENTITY_CODES, InsKind
from pfi.ins.traits import place
from pfi.names import Reason

NULL: Final = '""'
"""Erased, as distinct from not said."""
_PARIS: Final = ZoneInfo("Europe/Paris")
_TIME: Final = re.compile(r"([12][0-9]{3,13})(?:\.([0-9]{1,6})[0-9]*)?([+-][0-9]{4})?")
_DEDUCED: Final = {
    "ASIP-SANTE-INS-NIR": InsKind.NIR, "ASIP-SANTE-INS-NIA": InsKind.NIA,
    "INS-NIR": InsKind.NIR, "INS-NIA": InsKind.NIA, "INS": InsKind.NIR,
}  # fmt: skip
_ORDER: Final = tuple(InsKind)


@dataclass(frozen=True, slots=True)
class Authority:
    """The hospital's own numbering: namespace and OID of CX-4."""

    namespace: str
    uid: str = ""

    @classmethod
    def of(cls, text: str) -> "Authority":
        """From ``NS&OID&ISO``."""
        namespace, uid, *_ = [*text.split("&"), "", ""]
        return cls(namespace.strip(), uid.strip())

    def gave(self, identifier: "Identifier") -> bool:
        """True for its own numbers: the OID decides when both give one, else the namespace."""
        if identifier.kind.upper() != "PI":
            return False
        if self.uid and identifier.uid:
            return self.uid == identifier.uid
        return bool(self.namespace) and self.namespace == identifier.namespace


@dataclass(frozen=True, slots=True)
class Identifier:
    """One repetition of PID-3 or MRG-1 (CX)."""

    value: str
    namespace: str
    uid: str
    kind: str
    expires: str

    @property
    def ins(self) -> InsKind | None:
        """The issuing scheme, by its OID; without OID by the words that feeds use."""
        if self.uid:
            return ins.kind_of(self.uid)
        return _DEDUCED.get(self.namespace.upper()) or _DEDUCED.get(self.kind.upper())

    @property
    def number(self) -> Number:
        """Matricule and OID."""
        return ins.clean(self.value), self.ins.value if self.ins else ""

    def old(self, at: str) -> bool:
        """Expired at that moment (CX-8); a day is over when it ends."""
        return "" < stamp(self.expires) < at and not _within(self.expires, at)


@dataclass(frozen=True, slots=True)
class Pid:
    """One segment, read under the hospital's authority."""

    segment: Segment
    authority: Authority
    ampersand: str = "&"

    def of(self, segment: Segment) -> "Pid":
        """Another segment of the same message."""
        return Pid(segment, self.authority, self.ampersand)

    def ipp(self, at: str) -> str:
        """The hospital's number of this identity: exactly one, nothing is written else."""
        found = self.identifiers(3, at)
        if len(found) != 1:
            raise Unreadable(Reason.FEED_WITHOUT_IPP, code="101")
        return found[0]

    def identifiers(self, number: int, at: str) -> list[str]:
        """The hospital's own numbers in a field, once each."""
        own = (each for each in self._identifiers(number) if self.authority.gave(each))
        return list(dict.fromkeys(e.value for e in own if e.value and not e.old(at)))

    def stated_at(self, at: str) -> str:
        """When the identity was last changed (PID-33); the time of the event when the feed does not
        say, or says no more than the day, the hour or the minute in which the event lies."""
        told = self.segment.component(33)
        return at if _within(told, at) else stamp(told) or at

    @property
    def named(self) -> bool:
        """True when the segment describes the person, and not only names a number."""
        return bool(self.segment.field(5))

    def person(self, at: str) -> Person:
        """What the segment says."""
        current, former = self._numbers(at)
        return Person(
            traits=dict(self._traits()),
            codes=self._codes(),
            ins=current[0] if len(current) == 1 else None,
            former=(*former, *(current if len(current) > 1 else ())),
            torn=len(current) > 1,
        )

    def notes(self, at: str) -> Iterator[Note]:
        """What was read leniently."""
        current, _ = self._numbers(at)
        codes = self._codes() or ()
        named = [each for each in self._identifiers(3) if each.ins]
        raised = {
            Note.INS_CONFLICT: len(current) > 1,
            Note.INS_WITHOUT_VALI: bool(current) and QUALIFIED not in codes,
            Note.INS_MALFORMED: any(ins.read(*each.number) is None for each in named),
            Note.OID_DEDUCED: any(not each.uid for each in named),
            Note.CODE_UNKNOWN: bool(set(codes) - IDENTITY_CODES),
        }
        yield from (note for note, here in raised.items() if here)

    # PID-3

    def _identifiers(self, number: int) -> Iterator[Identifier]:
        for repetition in self.segment.repetitions(number):
            parts = repetition.split(self.segment.separators[0])
            authority = nth(parts, 4).split(self.ampersand)
            words = (nth(parts, 1), nth(authority, 1), nth(authority, 2), nth(parts, 5))
            value, namespace, uid, kind = (unescape(word).strip() for word in words)
            yield Identifier(value, namespace, uid, kind, nth(parts, 8))

    def _numbers(self, at: str) -> tuple[tuple[Number, ...], tuple[Number, ...]]:
        """(current, former). Of a NIR and a NIA the NIR is current (I-08); two of one kind stay
        both current, which makes neither official. A malformed one is kept but never current."""
        named = [each for each in self._identifiers(3) if each.ins and each.value]
        well = [e for e in named if ins.read(*e.number) and not e.old(at)]
        kinds = sorted({each.ins for each in well if each.ins}, key=_ORDER.index)[:1]
        current = tuple(dict.fromkeys(each.number for each in well if each.ins in kinds))
        rest = dict.fromkeys(each.number for each in named)
        known = frozenset(current)  # a hostile field names ten thousand
        return current, tuple(number for number in rest if number not in known)

    # traits

    def _traits(self) -> Iterator[tuple[str, str]]:
        """What is said, trait by trait; nothing for an empty field."""
        yield from self._names("L", ("birth_name", "first_given", "given_list"))
        yield from self._names("D", ("used_name", "used_given"))
        yield from _said("birth_date", self.segment.component(7).strip(), _day)
        yield from _said("sex", self.segment.component(8).strip(), str.upper)
        yield from self._birth_place()

    def _names(self, kind: str, traits: tuple[str, ...]) -> Iterator[tuple[str, str]]:
        """The first name of a type; a name without a type is the birth name. `""` in PID-5 erases
        them all."""
        if self.segment.field(5) == NULL:
            yield from ((trait, "") for trait in traits)
            return
        for parts in self._repetitions(5):
            if (nth(parts, 7).strip().upper() or "L") == kind:
                words = (nth(parts, number).split(self.ampersand)[0] for number in (1, 2, 3))
                for trait, word in zip(traits, words, strict=False):
                    yield from _said(trait, " ".join(unescape(word).split()), str)
                return

    def _birth_place(self) -> Iterator[tuple[str, str]]:
        """The COG code in XAD-9 of the repetition BDL, and nowhere else."""
        if self.segment.field(11) == NULL:
            yield "birth_place", ""
        for parts in self._repetitions(11):
            code = nth(parts, 9).strip()
            if nth(parts, 7).strip().upper() == "BDL" and (place(code) or code == NULL):
                yield from _said("birth_place", code, place)
                return

    def _codes(self) -> tuple[str, ...] | None:
        """PID-32; None when the field says nothing."""
        field = self.segment.field(32).strip()
        if not field:
            return None
        values = (unescape(nth(parts, 1)).strip().upper() for parts in self._repetitions(32))
        return tuple(code for code in values if code and code != NULL)

    def _repetitions(self, number: int) -> Iterator[list[str]]:
        split = self.segment.repetitions(number)
        return (each.split(self.segment.separators[0]) for each in split)


def _said(trait: str, word: str, read: Callable[[str], str]) -> Iterator[tuple[str, str]]:
    if word:
        yield trait, "" if word == NULL else read(word)


def _day(date: str) -> str:
    """The first 8 digits: feeds with a time exist."""
    found = re.match(r"[0-9]{1,8}", date)
    return found.group() if found else ""


def stamp(text: str, *, second: bool = False) -> str:
    """A time of HL7 in UTC, written so that it sorts as text; '' when it is none. Without a zone
    it is Paris time (Q-37); in the hour that comes twice a year, the first or the second."""
    found = _TIME.fullmatch(text.strip())
    if not found:
        return ""
    digits, fraction, zone = found.groups(default="")
    try:
        moment = datetime.strptime(digits + _START[len(digits) :], "%Y%m%d%H%M%S")  # noqa: DTZ007
        moment = moment.replace(tzinfo=_zone(zone), fold=int(second)).astimezone(UTC)
    except (ValueError, OverflowError):
        return ""
    part = fraction.rstrip("0")
    return moment.strftime("%Y%m%d%H%M%S") + (f".{part}" if part else "")


_START: Final = "00000101000000"


def _within(text: str, at: str) -> bool:
    """True when a time without seconds names the day, hour or minute in which `at` (UTC) lies."""
    found = _TIME.fullmatch(text.strip())
    if not found or not stamp(text) or len(found[1]) >= len(_START):
        return False
    moment = datetime.strptime(at[: len(_START)], "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    return moment.astimezone(_zone(found[3] or "")).strftime("%Y%m%d%H%M%S").startswith(found[1])


def _zone(text: str) -> tzinfo:
    if not text:
        return _PARIS
    shift = timedelta(hours=int(text[1:3]), minutes=int(text[3:]))
    return timezone(-shift if text[0] == "-" else shift)
