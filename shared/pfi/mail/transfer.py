"""Content transfer encodings, read with all the noise that real mails carry (RFC 2045 §6).

Everything runs in C over the whole body: a Python loop per byte costs seconds on a scanned report.
"""

import binascii
from typing import Final

from pfi import codecs

_ALPHABET: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_NOISE: Final = bytes(set(range(256)) - set(_ALPHABET))
_PADS: Final = {0: b"", 1: b"", 2: b"==", 3: b"="}
_LINE: Final = 76


def from_base64(body: bytes, start: int = 0, end: int | None = None) -> bytes:
    """The bytes of a base64 body: other characters are ignored (RFC 2045 §6.8), padding optional.

    A body cut in the middle of a group gives what its whole bytes say.
    """
    content = codecs.from_base64(body, start, end)
    if content is not None:
        return content
    letters = body[start:end].partition(b"=")[0].translate(None, _NOISE)
    over = len(letters) % 4
    kept = letters[:-1] if over == 1 else letters
    return binascii.a2b_base64(kept + _PADS[over])


def from_quoted_printable(body: bytes) -> bytes:
    """The bytes of a quoted-printable body; a bad escape stays as written (RFC 2045 §6.7)."""
    return binascii.a2b_qp(body)


def to_base64(content: bytes) -> bytes:
    """Base64 in lines of 76 characters parted by CRLF (RFC 2045 §6.8)."""
    text = codecs.to_base64(content)
    return b"\r\n".join(text[at : at + _LINE] for at in range(0, len(text), _LINE))


def to_quoted_printable(text: str) -> bytes:
    """UTF-8 text as quoted-printable with CRLF line ends (RFC 2045 §6.7)."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").replace("\n", "\r\n")
    return binascii.b2a_qp(lines.encode("utf-8", "replace"), istext=True)
