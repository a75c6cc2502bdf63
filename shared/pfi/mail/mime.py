"""Byte-range MIME reader: the tree of a mail as offsets into its own bytes (RFC 2046 §5.1).

The header blocks are read line by line, the bodies only by `bytes.find`. ``message/rfc822`` is a
leaf: reports and failure notices carry a whole original that must not be integrated again.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from pfi.errors import Unreadable
from pfi.mail.headers import (
    Fields,
    boundary,
    filename,
    first,
    media_type,
    parameters,
    read_block,
)
from pfi.mail.transfer import from_base64, from_quoted_printable
from pfi.names import Reason

_ENCODING: Final = re.compile(r"[A-Za-z0-9-]+")
_ENCODINGS: Final = frozenset(("base64", "quoted-printable", "7bit", "8bit", "binary"))
_ZIP_IN_BASE64: Final = b"UEsDB"
_AFTER_DELIMITER: Final = re.compile(rb"(--)?[ \t]*(?:\r*\n|\r|\Z)")
_FALSE_DELIMITERS: Final = 10_000
_FEW_DASHES: Final = 40
"""More than the fields of a part hold."""


@dataclass(frozen=True, slots=True)
class MailLimits:
    """What a mail may cost before it goes to a human (mssante-mail M-15, mail-edge §3.2)."""

    size: int = 50 * 1024 * 1024
    header_block: int = 512 * 1024
    depth: int = 20
    parts: int = 300


@dataclass(frozen=True, slots=True)
class Part:
    """One leaf. ``start:end`` is the still encoded body, ``head`` the start of its own headers."""

    content_type: str
    filename: str
    encoding: str
    charset: str
    start: int
    end: int
    depth: int
    in_report: bool
    head: int


@dataclass(slots=True)
class _Walk:
    raw: bytes
    newline: bytes
    limits: MailLimits
    parts: list[Part] = field(default_factory=list)
    entities: int = 0


@dataclass(frozen=True, slots=True)
class _Place:
    """Where an entity stands: header start, body range, depth, what encloses it."""

    head: int
    start: int
    end: int
    depth: int = 0
    in_report: bool = False


def leaves(
    raw: bytes, fields: Fields, body: int, newline: bytes, limits: MailLimits
) -> tuple[Part, ...]:
    """Leaf parts in document order; raises `Unreadable` over the limits."""
    walk = _Walk(raw, newline, limits)
    _enter(walk, fields, _Place(head=0, start=min(body, len(raw)), end=len(raw)), "text/plain")
    return tuple(walk.parts)


def _enter(walk: _Walk, fields: Fields, place: _Place, default_type: str) -> None:
    walk.entities += 1
    if place.depth > walk.limits.depth or walk.entities > walk.limits.parts:
        raise Unreadable(Reason.MAIL_UNREADABLE)
    value = first(fields, "content-type")
    content_type = media_type(value, default_type)
    named = parameters(value)
    delimiter = boundary(value, named) if content_type.startswith("multipart/") else b""
    ranges = _ranges(walk, b"--" + delimiter, place) if delimiter else []
    if not ranges:
        walk.parts.append(_leaf(fields, content_type, named, place))
        return
    inner_type = "message/rfc822" if content_type == "multipart/digest" else "text/plain"
    in_report = place.in_report or content_type == "multipart/report"
    for start, end in ranges:
        block = read_block(walk.raw, start, end, walk.newline, walk.limits.header_block)
        if not block.whole:
            raise Unreadable(Reason.MAIL_UNREADABLE)
        inner = _Place(start, min(block.body, end), end, place.depth + 1, in_report)
        _enter(walk, block.fields, inner, inner_type)


def _leaf(fields: Fields, content_type: str, named: Mapping[str, str], place: _Place) -> Part:
    return Part(
        content_type=content_type,
        filename=filename(first(fields, "content-disposition"), named),
        encoding=_encoding(first(fields, "content-transfer-encoding")),
        charset=named.get("charset", "").lower(),
        start=place.start,
        end=place.end,
        depth=place.depth,
        in_report=place.in_report,
        head=place.head,
    )


def _encoding(value: bytes) -> str:
    """Absent, misspelt or unknown means 7bit (mssante-mail §1.3, MIME traps)."""
    word = _ENCODING.search(value.decode("ascii", "replace"))
    name = word[0].lower() if word else ""
    return name if name in _ENCODINGS else "7bit"


def _ranges(walk: _Walk, delimiter: bytes, place: _Place) -> list[tuple[int, int]]:
    """Byte ranges between delimiter lines; a missing closing line ends with the enclosing part."""
    ranges: list[tuple[int, int]] = []
    opened = -1
    for line, after, closing in _delimiters(walk, delimiter, place):
        if opened >= 0:
            ranges.append((opened, max(opened, line)))
        opened = after
        if closing:
            return ranges
        if len(ranges) > walk.limits.parts:
            raise Unreadable(Reason.MAIL_UNREADABLE)
    if opened >= 0:
        ranges.append((opened, place.end))
    return ranges


def _delimiters(walk: _Walk, delimiter: bytes, place: _Place) -> Iterator[tuple[int, int, bool]]:
    """(end of the part before, start of the part after, is it the closing one) per line."""
    raw, end, false = walk.raw, place.end, 0
    at = place.start
    found = at if raw.startswith(delimiter, at, end) else _next(walk, delimiter, at, end)
    while found >= 0:
        at = found + len(delimiter)
        tail = _AFTER_DELIMITER.match(raw, at, end)
        if tail:
            yield _before(raw, found, place.start), tail.end(), tail[1] is not None
            at = max(at, tail.end() - 1)
        else:
            false += 1
        if false > _FALSE_DELIMITERS:
            raise Unreadable(Reason.MAIL_UNREADABLE)
        found = _next(walk, delimiter, at, end)


def _next(walk: _Walk, delimiter: bytes, at: int, end: int) -> int:
    """Base64 has no dash: from dash to dash a long body is passed over ten times faster."""
    raw, line, dash = walk.raw, walk.newline + delimiter, at
    for _ in range(_FEW_DASHES):
        dash = raw.find(b"-", dash + 1, end)
        if dash < 0 or raw.startswith(line, dash - 1, end):
            return dash
    found = raw.find(line, max(at, dash - 1), end)
    return found + 1 if found >= 0 else -1


def _before(raw: bytes, found: int, start: int) -> int:
    """The line break before a delimiter belongs to the delimiter (RFC 2046 §5.1.1)."""
    if raw.startswith(b"\r\n", max(start, found - 2)):
        return max(start, found - 2)
    return max(start, found - 1)


def content(raw: bytes, part: Part) -> bytes:
    """Decoded bytes of a part; junk never raises.

    A body that says 7bit and holds a zip in base64 is decoded: the encoding field was misspelt.
    """
    return _decoded(raw, part, part.end)


def opening(raw: bytes, part: Part, length: int) -> bytes:
    """What the first `length` encoded bytes of a part hold."""
    return _decoded(raw, part, min(part.end, part.start + length))


def _decoded(raw: bytes, part: Part, end: int) -> bytes:
    start = part.start
    if part.encoding == "base64":
        return from_base64(raw, start, end)
    if part.encoding == "quoted-printable":
        return from_quoted_printable(raw[start:end])
    if raw[start : min(end, start + 400)].lstrip().startswith(_ZIP_IN_BASE64):
        return from_base64(raw, start, end)
    return raw[start:end]
