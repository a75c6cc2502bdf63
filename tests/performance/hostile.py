"""Mails made to cost: each must be refused, quickly and in little memory."""

import struct
import zipfile
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from io import BytesIO
from random import Random
from typing import Final

from infra.local.invented.archives import document, entry, metadata, xdm_zip, zip_of
from infra.local.invented.documents import cda
from infra.local.invented.mails import mail
from infra.local.invented.people import LEA

MB: Final = 1_000_000
_END: Final = struct.Struct("<4s4H2LH")
_FOLDER: Final = "IHE_XDM/SUBSET01/"
_HEADER_END: Final = b"  <component>"
_LAUGHS: Final = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
_DOCTYPES: Final = {
    "XXE": '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
    "a billion laughs": f'<!DOCTYPE a [<!ENTITY l0 "ha">{_LAUGHS}]>',
}


def mails() -> Iterator[tuple[str, bytes]]:
    """A name and a whole mail."""
    for name, build in _ARCHIVES.items():
        yield name, mail(build())
    for name, content in _documents():
        yield name, mail(xdm_zip([entry(LEA, content)]))
    for name, doctype in _DOCTYPES.items():
        content = cda(LEA, prolog=doctype, names="&x;&l9;")
        yield f"{name} in the document", mail(xdm_zip([entry(LEA, content)]))
        described = metadata([document(LEA)]).replace(b"?>\n", b"?>\n" + doctype.encode(), 1)
        yield f"{name} in METADATA.XML", mail(_with_metadata(described))
    for name, raw in _MESSAGES.items():
        yield name, raw()


# --- archives -----------------------------------------------------------------------------------


def _bomb() -> bytes:
    return _packed(bytes(60 * MB))


def _packed(content: bytes) -> bytes:
    return zip_of([(_FOLDER + "METADATA.XML", metadata([document(LEA)])), ("DOC.XML", content)])


def _last_of_directory(archive: bytes, announced: int) -> bytes:
    """The size that the directory announces for the last file, replaced."""
    at = archive.rfind(b"PK\x01\x02") + 24
    return archive[:at] + struct.pack("<L", announced) + archive[at + 4 :]


def _overlapping() -> bytes:
    """Three hundred names for the same bytes."""
    one = zip_of([("A.XML", b"<a/>" * 250_000)])
    end = one.rfind(b"PK\x05\x06")
    start = one.find(b"PK\x01\x02")
    line, head = one[start:end], one[:start]
    lines = b"".join(line.replace(b"A.XML", f"{n:05}".encode()) for n in range(300))
    return head + lines + _END.pack(b"PK\x05\x06", 0, 0, 300, 300, len(lines), start, 0)


def _crowded() -> bytes:
    """Forty thousand empty files."""
    out = BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for number in range(40_000):
            archive.writestr(zipfile.ZipInfo(f"{number}"), b"")
    return out.getvalue()


def _with_metadata(described: bytes) -> bytes:
    return xdm_zip([document(LEA)], metadata_bytes=described)


def _wide_metadata(size: int) -> bytes:
    end = b"</rim:RegistryObjectList>"
    return _with_metadata(metadata([document(LEA)]).replace(end, b"<x/>" * (size // 4) + end))


_ARCHIVES: Final[Mapping[str, Callable[[], bytes]]] = {
    "60 MB of zeros": _bomb,
    "60 MB of zeros announced as 1 kB": lambda: _last_of_directory(_bomb(), 1_000),
    "4 GB announced": lambda: _last_of_directory(_packed(b"<a/>"), 0xFFFF_FFF0),
    "overlapping files": _overlapping,
    "40,000 files": _crowded,
    "wide METADATA.XML, 0.9 MB": partial(_wide_metadata, 900_000),
    "no archive at all": lambda: b"PK\x03\x04" + bytes(MB),
}


# --- documents ----------------------------------------------------------------------------------


def _documents() -> Iterator[tuple[str, bytes]]:
    """What hides behind a ratio of at most 200: 90 kB of noise come with 15 MB."""
    noise = b"<!-- " + Random(14).randbytes(60_000).hex().encode() + b" -->"
    wide = b'<b c="1"/>' * (15 * MB // 10)
    sound = cda(LEA, level=3)
    end = b"</ClinicalDocument>"
    yield "wide header, 15 MB", sound.replace(_HEADER_END, wide + noise + _HEADER_END, 1)
    yield "wide behind the body, 15 MB", sound.replace(end, wide + noise + end)
    yield "deep header, 300,000 levels", sound.replace(_HEADER_END, b"<a>" * 300_000)
    attributes = b" ".join(b'a%d=""' % number for number in range(100_000))
    yield "endless tag", sound.replace(_HEADER_END, b"<b " + attributes + b"/>" + _HEADER_END)


# --- messages -----------------------------------------------------------------------------------


def _head(content_type: str = "text/plain") -> bytes:
    whole = mail(None)
    return whole[: whole.index(b"Content-Type")] + f"Content-Type: {content_type}\r\n".encode()


def _parts() -> bytes:
    return _head('multipart/mixed; boundary="a"') + b"\r\n--a\r\n\r\nx" * 100_000 + b"\r\n--a--\r\n"


def _nested() -> bytes:
    levels = (
        f'--{n}\r\nContent-Type: multipart/mixed; boundary="{n + 1}"\r\n\r\n' for n in range(5_000)
    )
    return _head('multipart/mixed; boundary="0"') + ("\r\n" + "".join(levels)).encode()


_MESSAGES: Final[Mapping[str, Callable[[], bytes]]] = {
    "header without end": lambda: _head() + b"X: y\r\n" * 500_000,
    "one field of 3 MB": lambda: _head() + b"Cc: " + b"(a,\r\n " * 500_000 + b"\r\n\r\n",
    "100,000 parts": _parts,
    "5,000 nested parts": _nested,
}
