"""A bug planted on purpose, and the list of them.

`found_by` are the invariants (first words of the message of `Broken`) that may find it; another
failure would mean that the change broke the run instead of a promise.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

PLANTED: "list[Bug]" = []


@dataclass(frozen=True)
class Bug:
    """A change (targets and their replacements) and what finds it."""

    name: str
    found_by: tuple[str, ...]
    changes: Callable[[], list[tuple[Any, str, Any]]]

    @contextmanager
    def planted(self) -> Iterator[None]:
        changes = [patch.object(*change, create=True) for change in self.changes()]
        for change in changes:
            change.start()
        try:
            yield
        finally:
            for change in reversed(changes):
                change.stop()


def bug(*found_by: str) -> Callable[[Callable[[], list[tuple[Any, str, Any]]]], None]:
    """Register a planted bug, named after its function."""

    def register(changes: Callable[[], list[tuple[Any, str, Any]]]) -> None:
        PLANTED.append(Bug(changes.__name__, found_by, changes))

    return register
