"""The section of docs/reference/performance.md that a full run writes again."""

import os
import platform
import zlib
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from lxml import etree

from tests.performance.table import Row, markdown
from tests.performance.worker import SPEED

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "reference" / "performance.md"
BEGIN: Final = "<!-- bench: written by `pfi bench --full --write` from here -->"
END: Final = "<!-- bench: to here -->"


def machine() -> str:
    """What the figures depend on."""
    libxml2 = ".".join(map(str, etree.LIBXML_VERSION))
    extra = ", ".join(name if find_spec(name) else f"no {name}" for name in SPEED)
    return (
        f"{os.cpu_count()} cores ({platform.machine()}), Python {platform.python_version()}, "
        f"libxml2 {libxml2}, zlib {zlib.ZLIB_RUNTIME_VERSION}, {extra}"
    )


def written(page: str, rows: Iterable[Row]) -> str:
    """The page with what is between the marks replaced; each of them must stand there once."""
    if page.count(BEGIN) != 1 or page.count(END) != 1 or page.index(BEGIN) > page.index(END):
        raise ValueError("the page does not have both marks of the bench, once, in order")
    before, rest = page.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n\n{machine()}.\n\n{markdown(rows)}\n\n{END}{after}"


def write(rows: Iterable[Row], path: Path = PAGE) -> None:
    """Keep a table."""
    path.write_text(written(path.read_text(encoding="utf-8"), rows), encoding="utf-8")
