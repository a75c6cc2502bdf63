"""On which line of a TOML text a value stands; tomllib does not say.

Table headers and keys at the start of a line are enough: `hospital.toml` needs no more, and what
is not found (a missing key, an element of an array) is reported on the line of its parent.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

Path = tuple[str | int, ...]

_NAME: Final = r"(?:[A-Za-z0-9_-]+|\"[^\"]*\"|'[^']*')"
_DOTTED: Final = rf"{_NAME}(?:\s*\.\s*{_NAME})*"
_HEADER: Final = re.compile(rf"\s*(\[\[?)\s*({_DOTTED})\s*\]")
_KEY: Final = re.compile(rf"\s*({_DOTTED})\s*=\s*")
_STRING: Final = re.compile(r"\"(?:[^\"\\]|\\.)*\"|'[^']*'")
_TRIPLE: Final = re.compile(r"\"\"\"|'''")


@dataclass(slots=True)
class Positions:
    """Line numbers (from 1) of the tables and keys of one text."""

    lines: dict[Path, int] = field(default_factory=dict)

    @classmethod
    def of(cls, text: str) -> "Positions":
        """Read the text once; it may be broken, tomllib has the last word on that."""
        found = cls()
        found.lines[()] = 1
        table: Path = ()
        for number, line in _logical_lines(text):
            if header := _HEADER.match(line):
                table = found._opened(_names(header[2]), repeated=header[1] == "[[")
                found.lines.setdefault(table, number)
            elif key := _KEY.match(line):
                found.lines.setdefault(table + _names(key[1]), number)
        return found

    def line(self, path: Path) -> int:
        """Line of that value, else of the nearest thing around it."""
        while path not in self.lines:
            path = path[:-1]
        return self.lines[path]

    def _opened(self, names: Path, *, repeated: bool) -> Path:
        """Where a header leads: `[[dpis]]` opens one more element, `[dpis.x]` the last one's."""
        path: Path = ()
        for name in names[:-1]:
            path = self._last((*path, name))
        path = (*path, names[-1])
        return (*path, self._count(path)) if repeated else path

    def _last(self, path: Path) -> Path:
        count = self._count(path)
        return (*path, count - 1) if count else path

    def _count(self, path: Path) -> int:
        count = 0
        while (*path, count) in self.lines:
            count += 1
        return count


def _names(dotted: str) -> Path:
    return tuple(name.strip("\"'") for name in re.findall(_NAME, dotted))


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines that begin something: not those inside an open array or a multi-line string."""
    closing, depth = "", 0
    for number, line in enumerate(text.splitlines(), start=1):
        rest = line
        if closing:
            _, closed, rest = line.partition(closing)
            if not closed:
                continue
        elif not depth:
            yield number, line
            rest = line[found.end() :] if (found := _KEY.match(line)) else ""
        closing, bare = _stripped(rest)
        depth = max(0, depth + sum(map(bare.count, "[{")) - sum(map(bare.count, "]}")))


def _stripped(text: str) -> tuple[str, str]:
    """The delimiter of a string left open, and the text without strings and comment."""
    opened = _TRIPLE.search(text)
    if opened:
        before, rest = text[: opened.start()], text[opened.end() :]
        _, closed, after = rest.partition(opened[0])
        return ("" if closed else opened[0]), _STRING.sub("", before + after).partition("#")[0]
    return "", _STRING.sub("", text).partition("#")[0]
