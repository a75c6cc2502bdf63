"""The pages of the repository, read as data."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
REFERENCE: Final = ROOT / "docs" / "reference"
_FENCE: Final = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_CODE: Final = re.compile(r"`([^`]+)`")


def pages() -> list[Path]:
    """Every page that a reader may open."""
    return sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def text(path: Path) -> str:
    """A page."""
    return path.read_text(encoding="utf-8")


def prose(path: Path) -> str:
    """A page without its blocks of code."""
    return _FENCE.sub("", text(path))


def blocks(path: Path) -> list[tuple[str, str]]:
    """(language, content) of each block of code."""
    return _FENCE.findall(text(path))


def headings(path: Path) -> list[str]:
    """Headings, without their signs."""
    return [line.lstrip("# ") for line in prose(path).splitlines() if line.startswith("#")]


def section(path: Path, heading: str) -> str:
    """What stands under one heading of the second level."""
    parts = re.split(r"^## ", text(path), flags=re.MULTILINE)
    found = [part for part in parts[1:] if part.splitlines()[0] == heading]
    assert len(found) == 1, f"{path.name}: {heading}"
    return found[0]


def rows(content: str) -> Iterator[list[str]]:
    """Cells of each table row, without heads and rulers."""
    lines = content.splitlines()
    for before, line in zip(["", *lines], lines, strict=False):
        ruler = re.fullmatch(r"[|\- :]+", line) is not None
        if line.startswith("|") and not ruler and before.startswith("|"):
            yield [cell.strip().replace(r"\|", "|") for cell in _cells(line)]


def _cells(line: str) -> list[str]:
    return re.split(r"(?<!\\)\|", line.strip().strip("|"))


def codes(content: str) -> list[str]:
    """Everything set as code on a line."""
    return _CODE.findall(content)


def first_column(path: Path) -> list[str]:
    """The first cell of each table row of a page."""
    return [row[0].strip("`") for row in rows(text(path))]
