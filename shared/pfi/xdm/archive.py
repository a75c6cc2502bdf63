"""IHE_XDM.ZIP opened safely: every check on the central directory comes before inflating (§2.2).

Own reader rather than `zipfile`: the number of entries is bounded before they are listed, and no
entry can inflate beyond what the directory announced. Nothing is ever written to a disk (X-12).
"""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from pfi import codecs
from pfi.errors import Unreadable
from pfi.names import Reason

_END: Final = struct.Struct("<4s4H2LH")
_CENTRAL: Final = struct.Struct("<4s6H3L5H2L")
_LOCAL: Final = struct.Struct("<4s5H3L2H")
_END_MARK, _CENTRAL_MARK, _LOCAL_MARK = b"PK\x05\x06", b"PK\x01\x02", b"PK\x03\x04"
_ENCRYPTED: Final = 0x2041  # bit 0, strong encryption (6), masked directory (13)
_UTF8_NAME: Final = 0x800
_STORED, _DEFLATED = 0, 8
_DRIVE: Final = re.compile(r"[A-Za-z]:")


@dataclass(frozen=True, slots=True)
class XdmLimits:
    """What an archive may weigh (M-15). Entries under `ratio_free_bytes` are free of the ratio."""

    unzipped_bytes: int = 200_000_000
    entries: int = 500
    ratio: int = 200
    ratio_free_bytes: int = 1_000_000
    metadata_bytes: int = 4_000_000


@dataclass(frozen=True, slots=True)
class _Entry:
    """One line of the central directory."""

    name: str
    folder: bool
    spellings: frozenset[str]
    flags: int
    method: int
    crc: int
    packed: int
    size: int
    mode: int
    offset: int


@dataclass(frozen=True, slots=True)
class Archive:
    """The files of an archive that passed every check, by normalised name."""

    _zip: bytes
    _entries: dict[str, _Entry]

    @property
    def names(self) -> tuple[str, ...]:
        """Normalised names, in the order of the directory."""
        return tuple(self._entries)

    def size(self, name: str) -> int:
        """Announced size; `read` gives exactly this or refuses."""
        return self._entries[name].size

    def find(self, path: str) -> str | None:
        """The entry of this path: exact, else the only one equal without case (X-24, X-14)."""
        if path in self._entries:
            return path
        wanted = path.casefold()
        found = [name for name, entry in self._entries.items() if wanted in entry.spellings]
        return found[0] if len(found) == 1 else None

    def read(self, name: str) -> bytes:
        """Bytes of one entry; size and CRC must be those announced (X-13)."""
        entry = self._entries[name]
        content = _inflate(_packed(self._zip, entry), entry)
        if content is None or len(content) != entry.size or codecs.crc32(content) != entry.crc:
            raise Unreadable(Reason.ZIP_UNREADABLE)
        return content


def read(content: bytes, limits: XdmLimits = XdmLimits()) -> Archive:
    """Open an archive (X-10, X-11). Unreadable: ZIP_UNREADABLE or ZIP_UNSAFE."""
    if not content.startswith(b"PK"):
        raise Unreadable(Reason.ZIP_UNREADABLE)
    try:
        entries = list(_directory(content, limits))
    except struct.error:
        raise Unreadable(Reason.ZIP_UNREADABLE) from None
    for entry in entries:
        _refuse_unreadable(entry)
        _refuse_unsafe_name(entry)
        _refuse_bomb(entry.size, entry.packed, limits)
    _refuse_oversize(entries, len(content), limits)
    return Archive(content, _by_name(entries))


def _directory(content: bytes, limits: XdmLimits) -> Iterator[_Entry]:
    # The end record may be followed by a comment, or by line ends left by the mail.
    end = content.rfind(_END_MARK, max(0, len(content) - 65_600))
    if end < 0:
        raise Unreadable(Reason.ZIP_UNREADABLE)
    _, disk, _, here, count, length, at, _ = _END.unpack_from(content, end)
    if disk or here != count or at + length > end:
        raise Unreadable(Reason.ZIP_UNREADABLE)
    if count > limits.entries:
        raise Unreadable(Reason.ZIP_UNSAFE)
    stop = at + length
    for _ in range(count):
        entry, at = _central(content, at)
        yield entry
    if at != stop:
        raise Unreadable(Reason.ZIP_UNREADABLE)


def _central(content: bytes, at: int) -> tuple[_Entry, int]:
    fields = _CENTRAL.unpack_from(content, at)
    mark, _, _, flags, method, _, _, crc, packed, size, named, extra, comment = fields[:13]
    if mark != _CENTRAL_MARK:
        raise Unreadable(Reason.ZIP_UNREADABLE)
    start = at + _CENTRAL.size
    raw = content[start : start + named]
    name, spellings = _names(raw, utf8=bool(flags & _UTF8_NAME))
    folder, mode, offset = raw.endswith((b"/", b"\\")), fields[15] >> 16, fields[16]
    entry = _Entry(name, folder, spellings, flags, method, crc, packed, size, mode, offset)
    return entry, start + named + extra + comment


def _names(raw: bytes, *, utf8: bool) -> tuple[str, frozenset[str]]:
    """X-14: UTF-8 flag, else CP437; the other readings only serve to find a URI with accents."""
    charsets = ("utf-8", "cp437") if utf8 else ("cp437", "utf-8", "cp850", "cp1252")
    readings = [_decoded(raw, charset) for charset in charsets]
    known = [_tidy(reading) for reading in readings if reading is not None]
    return known[0], frozenset(name.casefold() for name in known)


def _decoded(raw: bytes, charset: str) -> str | None:
    try:
        return raw.decode(charset)
    except UnicodeDecodeError:
        return None


def _tidy(name: str) -> str:
    """`\\` as `/`; no empty or `.` segment, except the leading one of an absolute path."""
    first, *others = name.replace("\\", "/").split("/")
    start = [] if first == "." else [first]
    return "/".join([*start, *(part for part in others if part not in ("", "."))])


def _refuse_unreadable(entry: _Entry) -> None:
    if entry.flags & _ENCRYPTED or entry.method not in (_STORED, _DEFLATED):
        raise Unreadable(Reason.ZIP_UNREADABLE)


def _refuse_unsafe_name(entry: _Entry) -> None:
    name = entry.name
    outside = name.startswith("/") or _DRIVE.match(name) or ".." in name.split("/")
    linked = entry.mode & 0o170000 == 0o120000
    nameless = not name and not entry.folder
    if nameless or outside or linked or "\x00" in name:
        raise Unreadable(Reason.ZIP_UNSAFE)


def _refuse_bomb(size: int, packed: int, limits: XdmLimits) -> None:
    if size > limits.ratio_free_bytes and size > limits.ratio * max(packed, 1):
        raise Unreadable(Reason.ZIP_UNSAFE)


def _refuse_oversize(entries: list[_Entry], packed: int, limits: XdmLimits) -> None:
    """Overlapping entries announce together more than the archive weighs: also a bomb."""
    total = sum(entry.size for entry in entries)
    if total > limits.unzipped_bytes or sum(entry.packed for entry in entries) > packed:
        raise Unreadable(Reason.ZIP_UNSAFE)
    _refuse_bomb(total, packed, limits)


def _by_name(entries: list[_Entry]) -> dict[str, _Entry]:
    files = [entry for entry in entries if not entry.folder]
    named = {entry.name: entry for entry in files}
    if len(named) != len(files):
        raise Unreadable(Reason.ZIP_UNSAFE)
    return named


def _packed(content: bytes, entry: _Entry) -> memoryview:
    try:
        local = _LOCAL.unpack_from(content, entry.offset)
    except struct.error:
        raise Unreadable(Reason.ZIP_UNREADABLE) from None
    start = entry.offset + _LOCAL.size + local[9] + local[10]
    packed = memoryview(content)[start : start + entry.packed]
    if local[0] != _LOCAL_MARK or len(packed) != entry.packed:
        raise Unreadable(Reason.ZIP_UNREADABLE)
    return packed


def _inflate(packed: memoryview, entry: _Entry) -> bytes | None:
    """Never more than one byte beyond the announced size, which is enough to see the lie."""
    if entry.method == _STORED:
        return bytes(packed) if entry.packed == entry.size else b""
    return codecs.inflate(packed, entry.size)
