"""Mails for the deployed stack: each route that needs no particular DPI, and bad input."""

import base64
import struct
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import count
from random import Random

from infra.local.demo import SENDER
from infra.local.hospital import DEMO_MAILBOX
from tests.data.builders import (
    AISSATA,
    ANDRE,
    LEA,
    NO_INS,
    SAMIR,
    THEO,
    YANN,
    document,
    forwarded,
    mail,
    xdm_zip,
    zip_of,
)

HUMAN = "secretariat@labo-demo.mssante.test"
STRANGER = replace(LEA, body="2910775102003", birth_name="INCONNUE", first_given="MARGOT")
OTHER_NAME = replace(THEO, birth_name="BENEZAR")
INCOMPLETE = replace(AISSATA, sex="UN")
XXE = '<!DOCTYPE c [<!ENTITY e SYSTEM "file:///etc/hostname">]>\n'

_numbers = count(1)


def fresh() -> int:
    """A number that no other mail of this session has."""
    return next(_numbers)


def written(patient, number=None, **options):
    """A document with identifiers of its own."""
    number = number or fresh()
    options.setdefault("document_id", f"2.25.8800.{number}.1")
    options.setdefault("set_id", f"2.25.8800.{number}")
    return document(patient, **options)


def enclosing(archive, number=None, **options):
    """A mail from the laboratory around an archive, with a Message-ID of its own."""
    options.setdefault("sender", SENDER)
    options.setdefault("recipient", DEMO_MAILBOX)
    options.setdefault("return_path", options["sender"])
    options.setdefault("reply_to", HUMAN)
    options.setdefault("message_id", f"<voyage.{number or fresh()}@labo-demo.mssante.test>")
    return mail(archive, **options)


def letter(*entries, **options):
    """A mail from the laboratory with these documents."""
    return enclosing(xdm_zip(list(entries)), **options)


@dataclass(frozen=True)
class Case:
    """A mail and where it must end: ``route events reason mdn``, as the demo writes it."""

    name: str
    build: Callable[[], bytes]
    expected: str
    mailbox: str = "reception"


def _replaced(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    def change(raw: bytes) -> bytes:
        assert old in raw
        return raw.replace(old, new)

    return change


def _many_parts() -> bytes:
    raw = letter(written(LEA))
    part = b"\r\n--=_invente_mixte\r\nContent-Type: text/plain\r\n\r\nx"
    head, mark, rest = raw.partition(b"\r\n\r\n")
    return head + mark + part * 2000 + rest


def _deep() -> bytes:
    head, _, _ = letter(written(LEA)).partition(b"MIME-Version")
    levels = b"".join(
        b'Content-Type: multipart/mixed; boundary="n%d"\r\n\r\n--n%d\r\n' % (level, level)
        for level in range(300)
    )
    return head + b"MIME-Version: 1.0\r\n" + levels + b"Content-Type: text/plain\r\n\r\nfond\r\n"


def _bomb() -> bytes:
    return enclosing(xdm_zip([written(LEA)], extra=[("IHE_XDM/SUBSET01/GROS.BIN", bytes(9**8))]))


def _climbing() -> bytes:
    return letter(written(LEA, uri="../../../../tmp/sorti.xml"))


def _encrypted() -> bytes:
    """Bit 0 of the general purpose flags set in every local and central header."""
    archive = bytearray(xdm_zip([written(LEA)]))
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = archive.find(mark)
        while at >= 0:
            (flags,) = struct.unpack_from("<H", archive, at + offset)
            struct.pack_into("<H", archive, at + offset, flags | 1)
            at = archive.find(mark, at + 4)
    return enclosing(bytes(archive))


def _broken_base64() -> bytes:
    archive = xdm_zip([written(LEA)])
    body = base64.encodebytes(archive).replace(b"\n", b"\r\n")
    raw = enclosing(archive)
    assert body in raw
    return raw.replace(body, body[: len(body) // 3] + b"\xff\xfe=== ceci n'est plus du base64\r\n")


def _in_metadata() -> bytes:
    archive = xdm_zip([written(LEA)], metadata_bytes=XXE.encode() + b"<c>&e;</c>")
    return enclosing(archive)


def _two_patients() -> bytes:
    return letter(written(LEA), written(YANN))


def _sent_on_by_staff() -> bytes:
    inner = letter(written(ANDRE, payload=b"%%PDF-1.4 %d" % fresh()))
    outer = forwarded(inner, sender=SENDER)
    return _replaced(b"<20260514.1002.f1@", b"<transfert.%d@" % fresh())(outer)


def _auto_reply() -> bytes:
    return enclosing(None, headers=[("Auto-Submitted", "auto-replied")])


def _automatic_letter() -> bytes:
    return letter(written(LEA), headers=[("Auto-Submitted", "auto-generated")])


def _bulk() -> bytes:
    return letter(written(INCOMPLETE), mdn=False, headers=[("Precedence", "bulk")])


ROUTES = (
    Case("nouveau", lambda: letter(written(LEA)), "integrated T02 - processed"),
    Case("sans MDN", lambda: letter(written(ANDRE), mdn=False), "integrated T02 - none"),
    Case(
        "remplacement",
        lambda: letter(written(YANN, version="2", parent="2.25.8800.0.1", action="C")),
        "integrated T10 - processed",
    ),
    Case("suppression", lambda: letter(written(YANN, action="D")), "integrated T04 - processed"),
    Case(
        "deux documents",
        lambda: letter(written(YANN), written(YANN, level=3)),
        "integrated T02+T02 - processed",
    ),
    Case("transmis par un agent", _sent_on_by_staff, "integrated T02 - processed"),
    Case(
        "MDN vers un tiers",
        lambda: letter(written(LEA), mdn_to="autre@labo-demo.mssante.test"),
        "integrated T02 - none",
    ),
    Case("902", lambda: letter(written(STRANGER)), "forwarded T02 902 error"),
    Case(
        "903",
        lambda: letter(written(NO_INS, patient_id="")),
        "forwarded T02 903 error",
    ),
    Case("904", lambda: letter(written(OTHER_NAME)), "forwarded T02 904 error"),
    Case("905", lambda: letter(written(INCOMPLETE)), "forwarded T02 905 error"),
    Case("base non qualifiée", lambda: letter(written(SAMIR)), "forwarded T02 PFI-ID-01 error"),
    Case(
        "masqué aux professionnels",
        lambda: letter(written(ANDRE, masks=("MASQUE_PS",))),
        "forwarded T02 PFI-CONF-01 error",
    ),
    Case("sans archive", lambda: enclosing(None), "forwarded - PFI-XDM-01 error"),
    Case("réponse automatique", _auto_reply, "filed - PFI-MAIL-02 none"),
    Case("envoi automatique avec archive", _automatic_letter, "integrated T02 - none"),
    Case(
        "expéditeur inconnu",
        lambda: letter(written(LEA), sender="x@pirate.example"),
        "review - PFI-MAIL-01 none",
    ),
    Case(
        "sans repli, avec MDN",
        lambda: letter(written(INCOMPLETE)),
        "replied T02 905 error",
        "direct",
    ),
    Case(
        "sans repli ni MDN",
        lambda: letter(written(INCOMPLETE), mdn=False),
        "replied T02 905 none",
        "direct",
    ),
    Case("sans repli ni réponse possible", _bulk, "review T02 905 none", "direct"),
)

BAD_INPUT = (
    Case("zéro octet", lambda: b"", "forwarded - PFI-MAIL-03 none"),
    Case("2 000 parties", _many_parts, "forwarded - PFI-MAIL-03 error"),
    Case("300 niveaux", _deep, "forwarded - PFI-MAIL-03 error"),
    Case("bombe", _bomb, "forwarded - PFI-XDM-03 error"),
    Case("chemin qui remonte", _climbing, "forwarded - PFI-XDM-03 error"),
    Case("chiffré", _encrypted, "forwarded - PFI-XDM-02 error"),
    Case("base64 cassé", _broken_base64, "forwarded - PFI-XDM-02 error"),
    Case("pas un ZIP", lambda: enclosing(b"PK\x03\x04 rien"), "forwarded - PFI-XDM-02 error"),
    Case("ZIP vide", lambda: enclosing(zip_of([])), "forwarded - PFI-XDM-04 error"),
    Case(
        "DTD et entité externe",
        lambda: letter(written(LEA, prolog=XXE)),
        "forwarded - PFI-CDA-02 error",
    ),
    Case("entité dans METADATA", _in_metadata, "forwarded - PFI-XDM-05 error"),
    Case(
        "empreinte fausse",
        lambda: letter(written(LEA, digest="0" * 40)),
        "forwarded - PFI-XDM-07 error",
    ),
    Case("deux patients", _two_patients, "forwarded - PFI-ID-05 error"),
    Case(
        "cinq mégaoctets",
        lambda: letter(written(LEA, payload=b"%PDF-1.4\n" + Random(7).randbytes(3_600_000))),
        "integrated T02 - processed",
    ),
)
CATALOGUE = ROUTES + BAD_INPUT
