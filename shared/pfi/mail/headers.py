"""Header blocks by byte range, parameters (RFC 2231) and addresses (strict addr-specs only)."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote_to_bytes

from pfi.mail.text import clean, decode_bytes, decode_words, raw_text

Fields = tuple[tuple[str, bytes], ...]

_MOST_LINES: Final = 10_000
"""Of one header block: ten times what a mail to a thousand people has."""
_NAME: Final = re.compile(rb"([!-9;-~]+)[ \t]*:")
_TYPE: Final = re.compile(r"\s*([A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+)")
# A quote that never closes swallows the rest: the scan stays linear whatever the value.
_PIECE: Final = re.compile(r'(?s)(?:[^";]|"(?:[^"\\]|\\.)*(?:"|\\?\Z))*')
_SECTION: Final = re.compile(r"([^*]+)(?:\*(\d{1,3}))?(\*)?")
_ESCAPED: Final = re.compile(r'\\(["\\])')
_LOST_BOUNDARY: Final = re.compile(r"(?i)\bboundary[ \t]{0,9}=[ \t]{0,9}\"?([^\";\s]{1,200})")
_ADDRESS_MARK: Final = re.compile(
    r'(?s)"(?:[^"\\]|\\.)*(?:"|\\?\Z)|\\.|[(),;:<>]|[^"\\(),;:<>]+|\\'
)
_ATOM: Final = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL: Final = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_ADDR_SPEC: Final = re.compile(rf"({_ATOM}(?:\.{_ATOM})*)@({_LABEL}(?:\.{_LABEL})*)")
_MESSAGE_ID: Final = re.compile(r"<[!-;=?A-~]+@[!-;=?A-~]+>")


@dataclass(frozen=True, slots=True)
class Block:
    """A header block: its fields, where the body starts, and whether its end was reached."""

    fields: Fields
    body: int
    whole: bool


def line_break(raw: bytes, start: int, limit: int) -> bytes:
    """LF (or CRLF) ends lines unless the header block has none: then a bare CR does."""
    stop = start + limit
    feed = raw.find(b"\n", start, stop + 1)
    blank = raw.find(b"\r\r", start, stop if feed < 0 else min(stop, max(start, feed - 1)))
    return b"\r" if blank >= 0 else b"\n"


def read_block(raw: bytes, start: int, end: int, newline: bytes, limit: int) -> Block:
    """Fields up to the blank line, unfolded (RFC 5322 §2.2.3).

    A line that is no field ends the block, as in the volet's own example without blank line,
    unless the next line is a field again: then it is noise between two fields.
    """
    fields: list[tuple[str, list[bytes]]] = []
    at, lines = start, 0
    while at < end:
        line, after = _line(raw, at, end, newline)
        lines += 1
        if after - start > limit or lines > _MOST_LINES:
            return Block(_joined(fields), after, whole=False)
        if not line:
            return Block(_joined(fields), after, whole=True)
        if not _took(fields, line) and not (fields and _field_follows(raw, after, end, newline)):
            return Block(_joined(fields), at, whole=True)
        at = after
    return Block(_joined(fields), end, whole=True)


def _line(raw: bytes, at: int, end: int, newline: bytes) -> tuple[bytes, int]:
    found = raw.find(newline, at, end)
    stop = found if found >= 0 else end
    return raw[at:stop].rstrip(b"\r"), stop + 1 if found >= 0 else end


def _took(fields: list[tuple[str, list[bytes]]], line: bytes) -> bool:
    """True when `line` is a field or the continuation of the last one."""
    if line[:1] in (b" ", b"\t"):
        if fields:
            fields[-1][1].append(line)
        return bool(fields)
    name = _NAME.match(line)
    if name is None:
        return False
    fields.append((name[1].decode("ascii").lower(), [line[name.end() :]]))
    return True


def _field_follows(raw: bytes, at: int, end: int, newline: bytes) -> bool:
    return _NAME.match(_line(raw, at, min(end, at + 1000), newline)[0]) is not None


def _joined(fields: list[tuple[str, list[bytes]]]) -> Fields:
    return tuple((name, b"".join(lines).strip(b" \t\r")) for name, lines in fields)


def first(fields: Fields, name: str) -> bytes:
    """First value of a field, empty when absent."""
    return next((value for key, value in fields if key == name), b"")


def media_type(value: bytes, default: str = "text/plain") -> str:
    """Lower-case ``type/subtype``; anything malformed is text (RFC 2045 §5.2)."""
    found = _TYPE.match(raw_text(value))
    return found[1].lower() if found else default


def parameters(value: bytes) -> dict[str, str]:
    """Parameters after the first ``;`` with RFC 2231 sections put together, RFC 2047 decoded.

    The extended form wins over the plain one of the same name (RFC 6266 §4.3 practice).
    """
    plain: dict[str, str] = {}
    sections: dict[str, dict[int, tuple[bool, str]]] = {}
    if b";" not in value:
        return plain
    for piece in list(_pieces(raw_text(value)))[1:]:
        name, _, content = piece.partition("=")
        section = _SECTION.fullmatch(name.strip().lower())
        if section is None:
            continue
        key, number, extended = section[1].strip(), section[2], section[3]
        if number is None and extended is None:
            plain.setdefault(key, clean(decode_words(_unquoted(content))))
        else:
            rows = sections.setdefault(key, {})
            rows.setdefault(int(number or 0), (bool(extended), _unquoted(content)))
    return plain | {key: _assembled(rows) for key, rows in sections.items()}


def _pieces(value: str) -> Iterator[str]:
    at = 0
    while at <= len(value):
        found = _PIECE.match(value, at)
        stop = found.end() if found else len(value)
        yield value[at:stop]
        at = stop + 1


def _unquoted(content: str) -> str:
    bare = content.strip()
    if not bare.startswith('"'):
        return bare
    return _ESCAPED.sub(r"\1", bare[1:].removesuffix('"')).strip()


def _assembled(rows: dict[int, tuple[bool, str]]) -> str:
    """RFC 2231 §3–§4: the charset stands in the first section, octets may be cut anywhere."""
    numbers = sorted(rows)
    extended, opening = rows[numbers[0]]
    charset = ""
    if extended and opening.count("'") >= 2:
        charset, _, opening = opening.split("'", 2)
    sections = [(extended, opening), *(rows[number] for number in numbers[1:])]
    content = b"".join(_octets(text, escaped) for escaped, text in sections)
    return clean(decode_bytes(content, charset or "utf-8"))


def _octets(text: str, escaped: bool) -> bytes:
    raw = text.encode("utf-8", "replace")
    return unquote_to_bytes(raw) if escaped else raw


def boundary(value: bytes, named: Mapping[str, str]) -> bytes:
    """The boundary of a multipart, even when the ``;`` before it was forgotten; empty if none.

    `value` is its Content-Type, `named` the parameters of it.
    """
    text = named.get("boundary", "")
    if not text:
        lost = _LOST_BOUNDARY.search(raw_text(value[:2000]))
        text = lost[1] if lost else ""
    return text.encode("utf-8", "replace")


def filename(disposition: bytes, named: Mapping[str, str]) -> str:
    """File name of a part, base name only: ``filename``, else the ``name`` of its Content-Type,
    whose parameters `named` are (RFC 2183 §2.3)."""
    name = parameters(disposition).get("filename") if disposition else ""
    name = name or named.get("name", "")
    return name.replace("\\", "/").rstrip("/").rpartition("/")[2].strip()


def addr_spec(text: str) -> str:
    """`text` when it is one strict addr-spec, its domain in lower case; else ''.

    Dot-atoms only (RFC 5322 §3.4.1): nothing that could carry a second address or a line end.
    """
    found = _ADDR_SPEC.fullmatch(text)
    if found is None or len(found[1]) > 64 or len(text) > 254:
        return ""
    return f"{found[1]}@{found[2].lower()}"


def addresses(value: bytes) -> tuple[str, ...]:
    """One entry per mailbox of an address list: its addr-spec, '' for one that is not strict.

    Parsed on the raw value, so that no encoded display name can bring an address (RFC 2047 §5).
    Fragments without ``@`` or ``<`` are pieces of an unquoted display name.
    """
    found = []
    for mailbox in _mailboxes(raw_text(value)):
        before, angle, inside = mailbox.partition("<")
        text, _, after = inside.partition(">") if angle else (before, "", "")
        if angle or "@" in text:
            found.append("" if "<" in after else addr_spec(text.rpartition(":")[2].strip()))
    return tuple(found)


def _mailboxes(value: str) -> list[str]:
    """Splits at top-level commas; comments, groups and quoted strings never hide an address."""
    boxes: list[list[str]] = [[]]
    comment, angle = 0, False
    for mark in _ADDRESS_MARK.findall(value):
        if mark in "()":
            comment = comment + 1 if mark == "(" else max(0, comment - 1)
        elif comment:
            continue
        elif mark in ",;:" and not angle:
            boxes.append([])
        else:
            angle = mark == "<" or (angle and mark != ">")
            boxes[-1].append("" if mark.startswith('"') and not angle else mark)
    return ["".join(box) for box in boxes]


def message_id(value: bytes) -> str:
    """`<left@right>` when well formed, else '': only such an id is ever written out again."""
    text = raw_text(value).strip()
    return text if len(text) <= 250 and _MESSAGE_ID.fullmatch(text) else ""
