"""Targets that are broken on purpose: the run must find each, else it proves nothing."""

from typing import Final

from pfi.cda import document as cda
from tests.fuzz import seeds
from tests.fuzz.targets import Target

TITLE: Final = "CR d'examens biologiques"
"""Of every seed: one changed letter reaches the fault, so luck does not decide the test."""


def escapes(data: bytes) -> None:
    """An exception of another family, behind a document that must still be readable."""
    if cda.read(data).title != TITLE:
        raise KeyError("title")


def grows(data: bytes) -> None:
    """An input that costs a thousand times its size in memory."""
    if b"<>" in data:
        bytearray(400_000_000)[::4096] = bytes(97_657)


def lingers(data: bytes) -> None:
    """A cost that grows with the square of the input."""
    sum(1 for _ in data for _ in data for _ in range(2))


WORDS: Final = (b"<title", b"<>", b"x")
PLANTED: Final = {
    "escapes": Target(escapes, seeds.documents, WORDS),
    "grows": Target(grows, seeds.documents, WORDS),
    "lingers": Target(lingers, seeds.documents, WORDS),
}
