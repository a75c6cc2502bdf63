"""Which modules make the table, in its order: each has a `PART`."""

from collections.abc import Sequence
from importlib import import_module
from typing import Final

from tests.performance.table import Part

MODULES: Final = (
    "documents",
    "memory",
    "refusing",
    "sending",
    "lookups",
    "capacity",
    "mllp_rows",
    "end_to_end",
)
"""Modules of this package."""


def parts(only: Sequence[str] = ()) -> list[Part]:
    """Every part, or those named."""
    found = [import_module(f"{__package__}.{name}").PART for name in MODULES]
    return [part for part in found if not only or part.name in only]
