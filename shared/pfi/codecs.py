"""Inflate, CRC-32 and base64: by `isal` and `pybase64` where they are installed (decision 0024).

What comes out never depends on it. An accelerator's refusal is not final: the standard library is
asked again. What it accepts is still to be measured against size and CRC-32 (`pfi.xdm.archive`).
"""

import binascii
import zlib
from contextlib import suppress
from typing import Any, Final

_zlib: Any = zlib
_base64: Any = None
with suppress(ImportError):
    from isal import isal_zlib as _zlib
with suppress(ImportError):
    import pybase64 as _base64

ACCELERATED: Final = (_zlib is not zlib, _base64 is not None)
"""Whether inflating and base64 are accelerated here."""
_LONGEST_PADDING: Final = 64
_PADDING: Final = b"=\r\n\t "


def inflate(packed: bytes | memoryview, size: int) -> bytes | None:
    """What a raw deflate stream holds; None when it is damaged, cut, or longer than `size`.

    Never more than one byte beyond `size` is written, which is enough to see the lie.
    """
    for library in dict.fromkeys((_zlib, zlib)):
        try:
            return _inflated(library, packed, size)
        except library.error:
            continue
    return None


def _inflated(library: Any, packed: bytes | memoryview, size: int) -> bytes | None:
    inflater = library.decompressobj(-zlib.MAX_WBITS)
    content: bytes = inflater.decompress(packed, size + 1)
    return content if inflater.eof and len(content) <= size else None


def crc32(content: bytes) -> int:
    """The checksum of a zip entry."""
    return int(_zlib.crc32(content))


def to_base64(content: bytes) -> bytes:
    """Base64 without line ends."""
    if _base64 is None:
        return binascii.b2a_base64(content, newline=False)
    return bytes(_base64.b64encode(content))


def from_base64(body: bytes, start: int = 0, end: int | None = None) -> bytes | None:
    """The bytes of ``body[start:end]``, what is no letter ignored; None for odd padding.

    Read where it lies: a mail is not copied to decode its parts. Only padding that ends the body
    is the accelerator's: libraries differ in what follows it elsewhere.
    """
    stop = len(body) if end is None else end
    encoded = memoryview(body)[start:stop]
    try:
        if _base64 is None or not _ends_padded(body, start, stop):
            return binascii.a2b_base64(encoded)
        return bytes(_base64.b64decode(encoded))
    except binascii.Error:
        return None


def _ends_padded(body: bytes, start: int, stop: int) -> bool:
    first = body.find(b"=", start, stop)
    if first < 0:
        return True
    return stop - first <= _LONGEST_PADDING and not body[first:stop].strip(_PADDING)
