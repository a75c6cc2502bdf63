"""Normal forms of the strict traits and their comparison (ins-matching §4.3, §4.4).

Nothing is fuzzy here: two values are equal in one of three named ways, or they differ.
"""

import re
import unicodedata
from enum import StrEnum
from typing import Final

_LIGATURES: Final = {
    "œ": "OE", "Œ": "OE", "æ": "AE", "Æ": "AE", "ß": "SS", "ẞ": "SS", "ø": "O", "Ø": "O",
    "đ": "D", "Đ": "D", "ð": "D", "Ð": "D", "ł": "L", "Ł": "L", "þ": "TH", "Þ": "TH", "ı": "I",
}  # fmt: skip
_APOSTROPHES: Final = "\u2019\u2018\u02bc\u00b4\u0060\u2032\uff07"
_DASHES: Final = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\uff0d"
_INVISIBLE: Final = "\u00ad\u200b\u200c\u200d\u2060\ufeff"
_FOLD: Final = str.maketrans(
    _LIGATURES
    | dict.fromkeys(_APOSTROPHES, "'")
    | dict.fromkeys(_DASHES, "-")
    | dict.fromkeys(_INVISIBLE, "")
)
_AROUND_SEPARATOR: Final = re.compile(r" *([-']) *")
_HYPHENS: Final = re.compile(r"-{2,}")
_SEPARATORS: Final = re.compile(r"[-' ]+")
_DATE: Final = re.compile(r"[0-9]{8}")
_COG: Final = re.compile(r"(?:[0-9]{2}|2A|2B)[0-9]{3}")
_SEXES: Final = frozenset({"F", "M"})


class Level(StrEnum):
    """How two values of a trait compare, from the closest to the farthest."""

    EXACT = "exact"
    NORMALISED = "normalised"
    SEPARATORS = "separators"
    MISSING = "missing"
    DIFFERENT = "different"

    @property
    def equal(self) -> bool:
        """True for the three levels that accept."""
        return self in _EQUAL


_ORDER: Final = tuple(Level)
_EQUAL: Final = frozenset({Level.EXACT, Level.NORMALISED, Level.SEPARATORS})


def worst(levels: tuple[Level, ...]) -> Level:
    """The farthest of several levels; EXACT for none."""
    return max(levels, key=_ORDER.index, default=Level.EXACT)


def _without_marks(text: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))


def normal(name: str) -> str:
    """A name as RNIV records it: capitals, no diacritic, hyphens and apostrophes kept (§4.3 1-4).

    Folded twice: an accented ligature, or a compatibility form of a dash, only shows its plain
    character once decomposed.
    """
    text = _without_marks(name.translate(_FOLD)).translate(_FOLD).upper()
    text = _without_marks(text)
    text = _AROUND_SEPARATOR.sub(r"\1", " ".join(text.split()))
    return _HYPHENS.sub("-", text).strip()


def _same_class(normal_name: str) -> str:
    return _SEPARATORS.sub(" ", normal_name).strip()


def separated(name: str) -> str:
    """The widest form in which two names may still be equal: hyphen, apostrophe, blank alike."""
    return _same_class(normal(name))


def compare_names(one: str, other: str, *, separators: bool) -> Level:
    """Compare two names; with `separators`, hyphen, apostrophe and blank are one class (Q-11).

    A missing separator is a difference; a name without a letter is missing, and equals nothing.
    """
    a, b = normal(one), normal(other)
    if not (_has_letter(a) and _has_letter(b)):
        return Level.MISSING
    if a == b:
        return Level.EXACT if one == other else Level.NORMALISED
    if separators and _same_class(a) == _same_class(b):
        return Level.SEPARATORS
    return Level.DIFFERENT


def _has_letter(text: str) -> bool:
    return any(c.isalpha() for c in text)


def has_name(name: str) -> bool:
    """True when something that can be compared is left of the name."""
    return _has_letter(normal(name))


def day(date: str) -> str:
    """The first 8 digits of a date; '' when partial. Time and zone are cut as text (§4.4)."""
    found = _DATE.match(date.strip())
    return found.group() if found else ""


def sex(code: str) -> str:
    """F or M; '' for anything else: the INS knows no third value (§4.4)."""
    letter = code.strip().upper()
    return letter if letter in _SEXES else ""


def place(code: str) -> str:
    """The COG code of birth, 5 characters in capitals; '' when it is none (§4.4)."""
    cog = code.strip().upper()
    return cog if _COG.fullmatch(cog) else ""


def compare_codes(one: str, other: str, normal_one: str, normal_other: str) -> Level:
    """Compare two coded values given raw and in normal form ('' = missing)."""
    if not (normal_one and normal_other):
        return Level.MISSING
    if normal_one != normal_other:
        return Level.DIFFERENT
    return Level.EXACT if one == other else Level.NORMALISED
