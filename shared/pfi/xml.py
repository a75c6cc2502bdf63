"""The only XML parser settings of the product (cda-header §3.4, P-01…P-06).

The parser gets bytes, never text. A DOCTYPE is refused before any entity is looked at; comments
and processing instructions never enter the tree, so that they cannot cut a text in two.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from lxml import etree

from pfi.errors import Unreadable
from pfi.names import Reason

_STEP: Final = 65_536
_OPENING_STEP: Final = 16_384
_OPENING_LIMIT: Final = 131_072
_USUAL_PROLOG: Final = 4_096
_PROLOG_LIMIT: Final = 262_144
_HEADER_LIMIT: Final = 1_048_576
_ATTRIBUTES_PER_STEP: Final = 512

_PROLOG: Final = re.compile(r"\ufeff?(?:\s|<\?.*?\?>|<!--.*?-->)*+", re.DOTALL)
_ELEMENT: Final = re.compile(r"<[^!?\x00]")
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
_END_TAGS: Final = re.compile(rb"(?:</[\w.:-]++(?<=\w)\s*+>\s*+)++")
_FEW_TAGS: Final = 8
_SECURE: Final[dict[str, Any]] = {
    "resolve_entities": False,
    "no_network": True,
    "load_dtd": False,
    "huge_tree": True,
}
_FAULTS: Final = (etree.LxmlError, LookupError, ValueError, OSError)


def parse(content: bytes) -> etree._Element:
    """Root of a small document, whole. Bound its size first: a tree weighs up to 40 times it."""
    refuse_dtd(content)
    parser = etree.XMLParser(**_SECURE, remove_comments=True, remove_pis=True)
    try:
        root = etree.fromstring(content, parser)
    except _FAULTS:
        raise Unreadable(Reason.NOT_WELL_FORMED) from None
    _refuse_internal_dtd(root)
    return root


def refuse_dtd(content: bytes) -> None:
    """P-04: no DOCTYPE, seen before the parser; no encoding that could hide one (UTF-7…)."""
    prolog, end = _prolog(content, _USUAL_PROLOG)
    if not _ELEMENT.match(prolog, end):  # a long prolog, or one that is to be refused
        prolog, end = _prolog(content, _PROLOG_LIMIT)
    declared = _DECLARED.match(prolog)
    if declared and not _ENCODING.fullmatch(declared[1].strip()):
        raise Unreadable(Reason.FORBIDDEN_CONSTRUCT)
    if prolog.startswith("<!DOCTYPE", end):
        raise Unreadable(Reason.FORBIDDEN_CONSTRUCT)
    if not prolog.startswith("<", end) or "\x00" in prolog[: end + 2]:
        raise Unreadable(Reason.NOT_WELL_FORMED)


def _prolog(content: bytes, limit: int) -> tuple[str, int]:
    """The beginning of a document, and where its first element or its DOCTYPE stands."""
    codec = _UTF16.get(content[:2], "latin-1")
    prolog = content[: limit + 3].removeprefix(b"\xef\xbb\xbf")[:limit].decode(codec, "replace")
    start = _PROLOG.match(prolog)
    return prolog, start.end() if start else 0


def _refuse_internal_dtd(root: etree._Element) -> None:
    if root.getroottree().docinfo.internalDTD is not None:
        raise Unreadable(Reason.FORBIDDEN_CONSTRUCT)


def parse_header(
    content: bytes, roots: Iterable[str], bodies: Mapping[str, str]
) -> tuple[etree._Element, bool]:
    """Root of a large document, for what stands outside of its first body; and whether the mark
    that `bodies` names for that body ('' = none) was met.

    The tree ends where the body begins. A fault after it is seen all the same: the rest is parsed
    for its form alone, without a tree, so that memory follows the header.
    """
    refuse_dtd(content)
    try:
        header = _header_alone(content, bodies)
        if header is None:
            return _HeaderReading(frozenset(roots), bodies).read(content)
        _refuse_faults(content)
        return header
    except _FAULTS:
        raise Unreadable(Reason.NOT_WELL_FORMED) from None


class _Unheard:
    """A target that asks for no event: nothing is built, everything is checked."""

    def close(self) -> None:
        """The end of the document."""


def _refuse_faults(content: bytes) -> None:
    """Well-formed from end to end, namespaces too; lxml only notes the latter for a target."""
    if any(_is_inside_an_endless_tag(content, at) for at in range(0, len(content), _STEP)):
        raise Unreadable(Reason.FORBIDDEN_CONSTRUCT)
    parser = etree.XMLParser(target=_Unheard(), **_SECURE)  # type: ignore[arg-type]  # no event
    etree.fromstring(content, parser)
    if any(entry.level >= etree.ErrorLevels.ERROR for entry in parser.error_log):
        raise Unreadable(Reason.NOT_WELL_FORMED)


def _header_alone(content: bytes, bodies: Mapping[str, str]) -> tuple[etree._Element, bool] | None:
    """Root and mark, read no further than needed; None when only the whole document tells."""
    elements = _started(content, [*bodies, *filter(None, bodies.values())])
    body = next(elements, None)
    if body is None:
        _refuse_endless_header(content, bodies)
        return None
    inside = _inside(content, body) if body.tag in bodies else None  # a mark outside is odd
    if inside is None:
        return None
    root = body.getroottree().getroot()
    _refuse_internal_dtd(root)
    mark = bodies[str(body.tag)]
    if not mark or content.find(etree.QName(mark).localname.encode(), *inside) < 0:
        return root, False
    return (root, True) if any(each.tag == mark for each in elements) else None


def _refuse_endless_header(content: bytes, bodies: Iterable[str]) -> None:
    """Said without building its tree. In UTF-16 the names are not found as bytes: it is built."""
    if len(content) <= _HEADER_LIMIT or content[:2] in _UTF16:
        return
    names = (etree.QName(body).localname.encode() for body in bodies)
    if all(content.find(name, 0, _HEADER_LIMIT) < 0 for name in names):
        raise Unreadable(Reason.FORBIDDEN_CONSTRUCT)


def _started(content: bytes, tags: list[str]) -> Iterator[etree._Element]:
    """The elements of these names that begin in the first part of a document, as it is parsed."""
    parser = etree.XMLPullParser(
        events=("start",), tag=tags, **_SECURE, remove_comments=True, remove_pis=True
    )
    for start in range(0, min(len(content), _OPENING_LIMIT), _OPENING_STEP):
        parser.feed(content[start : start + _OPENING_STEP])
        for _, element in parser.read_events():
            if isinstance(element, etree._Element):
                yield element


def _inside(content: bytes, body: etree._Element) -> tuple[int, int] | None:
    """From the start tag of `body` to its end tag, where nothing but end tags follows it.

    Both are sure in a well-formed document: its name stands in no other tag, and no comment that
    began before could end among those end tags.
    """
    name = etree.QName(body).localname
    tag = (f"{body.prefix}:{name}" if body.prefix else name).encode()
    start, end = content.find(b"<" + tag), content.rfind(b"</" + tag)
    if end >= 0 and len(content) - end > _HEADER_LIMIT + _STEP:
        raise Unreadable(Reason.FORBIDDEN_CONSTRUCT)
    if not 0 <= start < end or _next_tag(content, tag, start + 1, end) >= 0:
        return None
    return (start, end) if _END_TAGS.fullmatch(content, end) else None


def _next_tag(content: bytes, tag: bytes, start: int, end: int) -> int:
    """Where this name may stand in a tag, -1 if nowhere. A long text is passed over at once."""
    at = start
    for _ in range(_FEW_TAGS):
        at = content.find(b"<", at, end)
        if at < 0 or content.startswith((b"<" + tag, b"</" + tag), at):
            return at
        at += 1
    return content.find(tag, at, end)


class _HeaderReading:
    """The whole document with a tree, what lies inside the first body dropped as it comes."""

    def __init__(self, roots: frozenset[str], bodies: Mapping[str, str]) -> None:
        self.parser = etree.XMLPullParser(
            events=("start",), tag=[*roots, *filter(None, bodies.values())], **_SECURE,
            remove_comments=True, remove_pis=True,
        )  # fmt: skip
        self._bodies = bodies
        self._met: set[str] = set()
        self._root: etree._Element | None = None
        self._body: etree._Element | None = None
        self._outside = 0

    def read(self, content: bytes) -> tuple[etree._Element, bool]:
        """Root, and whether a mark was met."""
        for start in range(0, len(content), _STEP):
            if _is_inside_an_endless_tag(content, start):
                raise Unreadable(Reason.FORBIDDEN_CONSTRUCT)
            self._feed(content[start : start + _STEP])
        root = self.parser.close()
        return root, not self._met.isdisjoint(self._bodies.values())

    def _feed(self, chunk: bytes) -> None:
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
        self._met.add(str(element.tag))

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


def _is_inside_an_endless_tag(content: bytes, start: int) -> bool:
    """64 kB without one ``<`` and full of ``="``: a tag of endless attributes, 30 times its size.

    Base64 has neither quotes nor many ``=``, French prose has apostrophes but no ``=``.
    """
    stop = start + _STEP
    if stop > len(content) or content.find(b"<", start, stop) >= 0:
        return False
    if content.find(b"=", start, stop) < 0:
        return False
    quotes = content.count(b'"', start, stop) + content.count(b"'", start, stop)
    return min(quotes // 2, content.count(b"=", start, stop)) > _ATTRIBUTES_PER_STEP


def text(element: etree._Element | None) -> str:
    """All the text inside an element, white space collapsed; '' without element (P-06)."""
    if element is None:
        return ""
    whole = "".join(map(str, element.itertext())) if len(element) else element.text or ""
    return " ".join(whole.split())
