"""No committed file tells of the machine or the hands that it passed through."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.pages import ROOT

_IGNORED = frozenset(
    line.strip().strip("/") for line in (ROOT / ".gitignore").read_text().splitlines()
) | {".git"}
_ENDINGS = (
    *(".py", ".md", ".toml", ".txt", ".json", ".cfg", ".yml", ".yaml", ".csv", ".hl7", ".sh"),
    *(".html", ".css", ".js"),
)
_TEXT_OF_OTHERS = {"LICENSE"}
# Written in halves, so that this file does not name what it forbids.
_REGISTRIES = tuple(
    "".join(halves)
    for halves in (
        ("pypi", ".org"), ("python", "hosted"), ("registry.", "npmjs"), ("registry.", "yarnpkg"),
        ("deb.", "debian"), ("index", "-url ="), ("proxy.", "golang"), ("crates", ".io"),
    )
)  # fmt: skip
_PLACES = tuple(f"/{name}/" for name in ("work", "root"))
_HANDS = re.compile(
    r"\b(?:A[I]|L[L]M|G[P]T|chat[b]ot|[Cc]o-?[p]ilot|[Aa]ssis[t]ant|langu[a]ge model"
    r"|[Gg]enerated [b]y|[Aa]uto-?generated c[o]de|prom[p]t engineering)\b"
)


def _ignored(name: str) -> bool:
    return name in _IGNORED or name.endswith(".egg-info")


def _files() -> Iterator[Path]:
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [name for name in folders if not _ignored(name)]
        for name in names:
            path = Path(folder) / name
            named = path.suffix in _ENDINGS or not path.suffix
            if named and not _ignored(name) and name not in _TEXT_OF_OTHERS:
                yield path


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    name = str(path.relative_to(ROOT))
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        yield f"{name}:{number}", line


LINES = [found for path in sorted(_files()) for found in _lines(path)]


def test_the_walk_sees_the_files_it_should():
    seen = {where.partition(":")[0] for where, _ in LINES}
    assert {"README.md", "Makefile", "package-lock.json", "tests/docs/test_committed.py"} <= seen
    assert not any(name.startswith((".venv", "node_modules", ".build")) for name in seen)


@pytest.mark.parametrize("word", [*_REGISTRIES, *_PLACES])
def test_no_file_names_a_registry_or_a_place_of_one_machine(word):
    assert [where for where, line in LINES if word in line] == []


def test_no_file_says_by_whom_or_how_it_was_written():
    # "Auto-Submitted: auto-generated" is a header field of mails (RFC 3834), without "code".
    assert [where for where, line in LINES if _HANDS.search(line)] == []
