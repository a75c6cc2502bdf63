"""The matricule INS: 13 characters and a key, issued under one of four OIDs (ins-matching §4.2)."""

import re
from dataclasses import dataclass
from typing import Final

from pfi.ins.identity import InsKind

_IGNORED: Final = re.compile(r"[\s.\-‐-―\u200b\u2060\ufeff]+")
_SHAPE: Final = re.compile(
    r"[1-478]"  # sex, or a temporary number of old
    r"[0-9]{2}"  # year
    r"[0-9]{2}"  # month: 20, 30-42, 50-99 exist too
    r"(?:[0-9]{2}|2A|2B)"  # department, 99 abroad
    r"[0-9]{3}[0-9]{3}"  # commune or country, order
    r"[0-9]{2}"  # key
)
_KINDS: Final = {kind.value: kind for kind in InsKind}
_TRIAL: Final = frozenset({InsKind.NIR_TEST, InsKind.NIR_DEMO})


@dataclass(frozen=True, slots=True)
class Matricule:
    """A well-formed matricule. A wrong key is a fact to report, not a malformation (I-03)."""

    value: str
    kind: InsKind
    key_ok: bool

    @property
    def trial(self) -> bool:
        """True for the test and demonstration schemes, refused on a production site (I-06)."""
        return self.kind in _TRIAL


def clean(text: str) -> str:
    """Without blanks, dots and hyphens, in capitals (I-01)."""
    return _IGNORED.sub("", text).upper()


def kind_of(oid: str) -> InsKind | None:
    """The issuing scheme, or None when the root is no INS: NSS, INS-C, a local number (I-07)."""
    return _KINDS.get(oid.strip())


def nir_key(body: str) -> int:
    """Key of the 13 characters: 97 - (N mod 97), Corsica 2A as 19 and 2B as 18."""
    return 97 - int(body.replace("2A", "19").replace("2B", "18")) % 97


def read(extension: str, oid: str) -> Matricule | None:
    """The matricule under an INS root; None when its shape is wrong or the root no INS (I-02)."""
    kind = kind_of(oid)
    value = clean(extension)
    if kind is None or not _SHAPE.fullmatch(value):
        return None
    return Matricule(value, kind, key_ok=nir_key(value[:13]) == int(value[13:]))
