"""The dates of X.509 certificates and revocation lists (RFC 5280 §4.1, §5.1), from PEM texts.

The functions carry no cryptography library: the standard library's `ssl` verifies, but tells no
date of a certificate that it has not just met. So the few DER fields are read here, and nothing
is trusted on their account: signatures are OpenSSL's business.
"""

import base64
import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

_PEM: Final = re.compile(
    r"-----BEGIN (?P<label>[A-Z0-9 ]+)-----\s*(?P<body>[A-Za-z0-9+/=\s]+?)-----END (?P=label)-----"
)
_SEQUENCE: Final = 0x30
_INTEGER: Final = 0x02
_UTC_TIME: Final = 0x17
_GENERALIZED_TIME: Final = 0x18
_VERSION: Final = 0xA0


class DerUnreadable(ValueError):
    """Not a certificate or a revocation list; the text says nothing of its content."""

    def __init__(self) -> None:
        super().__init__("not DER")


@dataclass(frozen=True, slots=True)
class Certificate:
    """What is needed to warn: who issued it, its number, until when it is valid."""

    serial: int
    issuer: bytes
    subject: bytes
    not_before: datetime
    not_after: datetime


@dataclass(frozen=True, slots=True)
class RevocationList:
    """Of which issuer, from when, until when (None: it never says, RFC 5280 forbids that)."""

    issuer: bytes
    this_update: datetime
    next_update: datetime | None


@dataclass(frozen=True, slots=True)
class _Field:
    tag: int
    content: bytes
    whole: bytes


def certificates(pem: str) -> tuple[Certificate, ...]:
    """The certificates of a PEM text, in order."""
    return tuple(_certificate(der) for der in _blocks(pem, "CERTIFICATE"))


def revocation_lists(pem: str) -> tuple[RevocationList, ...]:
    """The revocation lists of a PEM text, in order."""
    return tuple(_revocation_list(der) for der in _blocks(pem, "X509 CRL"))


def lists_with_pem(pem: str) -> tuple[tuple[RevocationList, str], ...]:
    """The same, each with its own PEM text."""
    return tuple((_revocation_list(der), list_pem(der)) for der in _blocks(pem, "X509 CRL"))


def list_pem(content: bytes) -> str:
    """A downloaded revocation list as PEM: authorities publish DER, some PEM."""
    if b"-----BEGIN" in content[:4096]:
        return content.decode("ascii", "replace")
    body = base64.encodebytes(content).decode("ascii")
    return f"-----BEGIN X509 CRL-----\n{body}-----END X509 CRL-----\n"


def _blocks(pem: str, label: str) -> Iterator[bytes]:
    for block in _PEM.finditer(pem):
        if block["label"] == label:
            try:
                yield base64.b64decode(block["body"])
            except binascii.Error:
                raise DerUnreadable from None


def _certificate(der: bytes) -> Certificate:
    fields = _inside(_inside(_one(der))[0])
    if fields and fields[0].tag == _VERSION:
        fields = fields[1:]
    serial, _, issuer, validity, subject = _expected(fields, 5)
    if serial.tag != _INTEGER:
        raise DerUnreadable
    start, end = _expected(_inside(validity), 2)
    return Certificate(
        int.from_bytes(serial.content, signed=True),
        issuer.whole,
        subject.whole,
        _time(start),
        _time(end),
    )


def _revocation_list(der: bytes) -> RevocationList:
    fields = _inside(_inside(_one(der))[0])
    if fields and fields[0].tag == _INTEGER:
        fields = fields[1:]
    _, issuer, this_update = _expected(fields, 3)
    rest = fields[3:4]
    dated = bool(rest) and rest[0].tag in {_UTC_TIME, _GENERALIZED_TIME}
    return RevocationList(issuer.whole, _time(this_update), _time(rest[0]) if dated else None)


def _expected(fields: tuple[_Field, ...], count: int) -> tuple[_Field, ...]:
    if len(fields) < count:
        raise DerUnreadable
    return fields[:count]


def _one(der: bytes) -> _Field:
    field, end = _field(der, 0)
    if end != len(der):
        raise DerUnreadable
    return field


def _inside(field: _Field) -> tuple[_Field, ...]:
    """The fields of a sequence; never empty."""
    if field.tag != _SEQUENCE:
        raise DerUnreadable
    found, at = [], 0
    while at < len(field.content):
        each, at = _field(field.content, at)
        found.append(each)
    _expected(tuple(found), 1)
    return tuple(found)


def _field(data: bytes, at: int) -> tuple[_Field, int]:
    """One tag-length-value, and where the next one starts (X.690 §8.1)."""
    if at + 2 > len(data):
        raise DerUnreadable
    tag, length, start = data[at], data[at + 1], at + 2
    if length & 0x80:
        size = length & 0x7F
        if not 1 <= size <= 4 or start + size > len(data):
            raise DerUnreadable
        length, start = int.from_bytes(data[start : start + size]), start + size
    end = start + length
    if end > len(data):
        raise DerUnreadable
    return _Field(tag, data[start:end], data[at:end]), end


def _time(field: _Field) -> datetime:
    """UTCTime means 1950 to 2049 (RFC 5280 §4.1.2.5.1)."""
    text = field.content.decode("ascii", "replace")
    try:
        if field.tag == _GENERALIZED_TIME:
            return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)
        if field.tag == _UTC_TIME:
            century = "20" if int(text[:2]) < 50 else "19"
            return datetime.strptime(century + text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        pass
    raise DerUnreadable
