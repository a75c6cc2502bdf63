"""The only XML parser settings of the product (cda-header §3.4, P-01…P-06).

The parser gets bytes, never text. A DOCTYPE is refused before any entity is looked at; comments
and processing instructions never enter the tree, so that they cannot cut a text in two.
"""

import re
from collections.abc import Iterable
from typing import Final

from lxml import etree

from pfi.errors import Unreadable
from pfi.names import Reason

_STEP: Final = 65_536
_PROLOG_LIMIT: Final = 262_144
_HEADER_LIMIT: Final = 1_048_576
_ATTRIBUTES_PER_STEP: Final = 512

_PROLOG: Final = re.compile(r"\ufeff?(?:\s|<\?.*?\?>|<!--.*?-->)*+", re.DOTALL)
_DECLARED: Final = re.compile(r"\ufeff?<\?xml\s[^>]*?encoding\s*=\s*[\"']([^\"'>]*)[\"']")
_ENCODING: Final = re.compile(
    r"utf-?8|utf-?16(le|be)?|(us-)?ascii|iso[-_]?8859-\d{1,2}|latin-?\d|windows-125\d|cp-?125\d",
    re.IGNORECASE,
)
_UTF16: Final = {
    b"\xff\xfe": "utf-16-le",
    b"\xfe\xff": "utf-16-be",
    b"<\x00": "utf-16-le",
    b"\x00<": "utf-16-be",
}
_FAULTS: Final = (etree.LxmlError, LookupError, ValueError, OSError)


def parse(content: bytes) -> etree._Element:
    """Root of a small document, whole. Bound its size first: a tree weighs up to 40 times it."""
    refuse_dtd(content)
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=True,
        remove_comments=True, remove_pis=True,
    )  # fmt: skip
    try:
        root = etree.fromstring(content, parser)
    except _FAULTS:
        raise Unreadable(Reason.NOT_WELL_FORMED) from None
    _refuse_internal_dtd(root)
    return root


def refuse_dtd(content: bytes) -> None:
    """P-04: no DOCTYPE, seen before the parser; no encoding that could hide one (UTF-7…)."""
    codec = _UTF16.get(content[:2], "latin-1")
    prolog = content.removeprefix(b"\xef\xbb\xbf")[:_PROLOG_LIMIT].decode(codec, "replace")
    declared = _DECLARED.match(prolog)
    if declared and not _ENCODING.fullmatch(declared[1].strip()):
        raise Unreadable(Reason.FORBIDDEN_CONSTRUCT)
    start = _PROLOG.match(prolog)
    end = start.end() if start else 0
    if prolog.startswith("<!DOCTYPE", end):
        raise Unreadable(Reason.FORBIDDEN_CONSTRUCT)
    if not prolog.startswith("<", end) or "\x00" in prolog[: end + 2]:
        raise Unreadable(Reason.NOT_WELL_FORMED)


def _refuse_internal_dtd(root: etree._Element) -> None:
    if root.getroottree().docinfo.internalDTD is not None:
        raise Unreadable(Reason.FORBIDDEN_CONSTRUCT)


def parse_header(
    content: bytes, roots: Iterable[str], bodies: frozenset[str], marks: Iterable[str]
) -> tuple[etree._Element, frozenset[str]]:
    """Root of a large document, emptied of what lies inside `bodies`; and the `marks` met.

    The whole document is parsed, so that a fault after the header is seen, but the content of a
    body is dropped as it comes: memory follows the header, whatever the size (performance §2.3).
    """
    refuse_dtd(content)
    reading = _HeaderReading(frozenset(roots), bodies, frozenset(marks))
    try:
        for start in range(0, len(content), _STEP):
            reading.feed(content[start : start + _STEP])
        return reading.parser.close(), frozenset(reading.met)
    except _FAULTS:
        raise Unreadable(Reason.NOT_WELL_FORMED) from None


class _HeaderReading:
    """State of one `parse_header`."""

    def __init__(
        self, roots: frozenset[str], bodies: frozenset[str], marks: frozenset[str]
    ) -> None:
        self.parser = etree.XMLPullParser(
            events=("start",), tag=[*roots, *marks],
            resolve_entities=False, no_network=True, load_dtd=False, huge_tree=True,
            remove_comments=True, remove_pis=True,
        )  # fmt: skip
        self.met: set[str] = set()
        self._bodies = bodies
        self._root: etree._Element | None = None
        self._body: etree._Element | None = None
        self._outside = 0

    def feed(self, chunk: bytes) -> None:
        if _is_inside_an_endless_tag(chunk):
            raise Unreadable(Reason.FORBIDDEN_CONSTRUCT)
        self.parser.feed(chunk)
        for _, element in self.parser.read_events():
            if isinstance(element, etree._Element):
                self._started(element)
        if not self._in_first_body():
            self._outside += len(chunk)
        if self._outside > _HEADER_LIMIT:
            raise Unreadable(Reason.FORBIDDEN_CONSTRUCT)

    def _started(self, element: etree._Element) -> None:
        if self._root is None:
            self._root = element.getroottree().getroot()
            _refuse_internal_dtd(self._root)
        self.met.add(str(element.tag))

    def _in_first_body(self) -> bool:
        """Drop what was read of the body; False when the parser stands outside of it.

        Only elements followed by a sibling are dropped: the parser still writes into the last.
        """
        node, inside = self._root, False
        while node is not None and len(node):
            node = node[-1]
            if not inside and node.tag in self._bodies:
                self._body = node if self._body is None else self._body
                inside = node is self._body
            if inside:
                del node[:-1]
        return inside


def _is_inside_an_endless_tag(chunk: bytes) -> bool:
    """64 kB without one ``<`` and full of ``="``: a tag of endless attributes, 30 times its size.

    Base64 has neither quotes nor many ``=``, French prose has apostrophes but no ``=``.
    """
    if b"<" in chunk or len(chunk) < _STEP:
        return False
    quotes = chunk.count(b'"') + chunk.count(b"'")
    return min(quotes // 2, chunk.count(b"=")) > _ATTRIBUTES_PER_STEP


def text(element: etree._Element | None) -> str:
    """All the text inside an element, white space collapsed; '' without element (P-06)."""
    return "" if element is None else " ".join("".join(map(str, element.itertext())).split())
