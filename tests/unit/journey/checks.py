"""What is looked at in each mail, line by line: the function that looks, the word that it says, and
the smallest mail that makes it say so. Here the mail and its archive.

The lists of this module, of `checks_of_documents` and of `checks_of_identity` are closed
(test_checks_applied.py): a check that goes, for speed or by accident, leaves a line that no longer
comes true.
"""

import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

from pfi.ins.identity import PatientRecord
from pfi.journey.settings import LimitSettings, Settings
from pfi.names import Reason
from tests.data.builders import (
    EVERYBODY,
    LEA,
    MAILBOX,
    document,
    forwarded,
    mail,
    xdm_zip,
    zip_of,
)
from tests.doubles.drive import HOSPITAL

BASE = tuple(person.record for person in EVERYBODY)
FOLDER = "IHE_XDM/SUBSET01/"


@dataclass(frozen=True)
class Check:
    """`by` is the function that says `word` when these mails come one after the other."""

    by: str
    word: StrEnum | str
    mails: tuple[bytes, ...]
    settings: Settings = HOSPITAL
    base: tuple[PatientRecord, ...] = BASE
    dpi: tuple[object, ...] = ()
    relay: tuple[Exception, ...] = ()
    dropped: bool = False
    """Stored by another producer than `collect`."""
    later: tuple[PatientRecord, ...] | None = None
    """The patient base after the decision."""

    def __str__(self) -> str:
        return f"{self.by.removeprefix('pfi.')}-{self.word}"


def letter(*entries, number=1, **options):
    """A mail with one archive of these fiches."""
    options.setdefault("message_id", f"<{number}@labo-invente.mssante.fr>")
    return mail(xdm_zip(list(entries)), **options)


def checked(by: str, word, *mails: bytes, **options) -> Check:
    return Check(f"pfi.{by}", word, mails, **options)


def limited(**limits: int) -> Settings:
    return replace(HOSPITAL, limits=replace(LimitSettings(), **limits))


# --- the mail

_PARTS = [("a.txt", "text/plain", b"a")] * 301


def _nested(depth):
    """Multiparts inside each other."""
    inner = b"Content-Type: text/plain\r\n\r\nfin\r\n"
    for level in range(depth):
        edge = f"=_{level}".encode()
        head = b'Content-Type: multipart/mixed; boundary="' + edge + b'"\r\n\r\n'
        inner = head + b"--" + edge + b"\r\n" + inner + b"\r\n--" + edge + b"--\r\n"
    return b"From: cr.bio@labo-invente.mssante.fr\r\n" + inner


def _before_the_end(raw, lines):
    """Lines put into the body of a mail, before its first delimiter."""
    head, blank, body = raw.partition(b"\r\n\r\n")
    return head + blank + lines + body


_REPORT = (
    "From: MAILER-DAEMON@labo-invente.mssante.fr\r\nMessage-ID: <d@labo-invente.mssante.fr>\r\n"
    'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n\r\n'
    "--b\r\nContent-Type: text/plain\r\n\r\nx\r\n--b\r\n"
    "Content-Type: message/delivery-status\r\n\r\nFinal-Recipient: rfc822; a@b.fr\r\n"
    "Action: {}\r\n\r\n--b--\r\n"
)


def _quoting(sender):
    """An automatic mail that attaches another one without archive."""
    return b"Auto-Submitted: auto-generated\r\n" + forwarded(mail(None), sender=sender)


OF_THE_MAIL = (
    checked(
        "mail.inbound._fault",
        Reason.MAIL_TOO_LARGE,
        letter(document(LEA)),
        settings=limited(mail_bytes=1000),
        dropped=True,
    ),
    checked("mail.inbound._fault", Reason.MAIL_UNREADABLE, b"\r\n\r\nrien", dropped=True),
    checked("mail.mime._enter", Reason.MAIL_UNREADABLE, _nested(21)),
    checked(
        "mail.mime._ranges",
        Reason.MAIL_UNREADABLE,
        letter(document(LEA), attachments=_PARTS),
    ),
    checked(
        "mail.mime._delimiters",
        Reason.MAIL_UNREADABLE,
        _before_the_end(letter(document(LEA)), b"--=_invente_mixteX\r\n" * 10_001),
    ),
    checked(
        "mail.mime._enter",
        Reason.MAIL_UNREADABLE,
        letter(document(LEA), attachments=[("a", "x/y" + "\r\nX-A: b" * 100_000, b"a")]),
    ),
    checked(
        "journey.reading._ended_by_kind",
        Reason.SENDER_NOT_TRUSTED,
        letter(document(LEA), sender="a@ailleurs.fr", return_path="a@ailleurs.fr"),
    ),
    checked(
        "journey.reading._technical",
        Reason.AUTO_GENERATED,
        mail(None, headers=[("Auto-Submitted", "auto-replied")]),
    ),
    checked("journey.reading._unsure", Reason.AUTO_UNSURE, _quoting(MAILBOX)),
    checked("journey.reading._unsure", Reason.SENDER_NOT_TRUSTED, _quoting("a@ailleurs.fr")),
    checked(
        "journey.reading._ended_by_kind",
        Reason.AUTO_GENERATED,
        letter(document(LEA), subject="[KO Integration] CR"),
    ),
    checked("journey.reading._delivery_report", Reason.BOUNCED, _REPORT.format("failed").encode()),
    checked(
        "journey.reading._delivery_report",
        Reason.AUTO_GENERATED,
        _REPORT.format("delivered").encode(),
    ),
    checked("journey.reading._read_documents", Reason.NO_XDM, mail(None)),
)


# --- the archive


def archived(*files, **options):
    """A mail whose archive holds just these files."""
    return mail(zip_of(files, **options))


def broken(change: Callable[[bytes], bytes]):
    """A mail whose archive was changed after it was made."""
    return mail(change(xdm_zip([document(LEA)])))


def _patched(mark, offset, value):
    """Bytes put at an offset from the last `mark`."""

    def change(content):
        at = content.rfind(mark) + offset
        return content[:at] + value + content[at + len(value) :]

    return change


def _shorter(content):
    """A directory that ends before its last entry does."""
    at = content.rfind(_END) + 12
    length = int.from_bytes(content[at : at + 4], "little") - 1
    return _patched(_END, 12, length.to_bytes(4, "little"))(content)


_END, _CENTRAL, _LOCAL = b"PK\x05\x06", b"PK\x01\x02", b"PK\x03\x04"
_ZEROS = (FOLDER + "ZEROS.BIN", b"\0" * 2_000_000)
_LINK = (0o120777 << 16).to_bytes(4, "little")

OF_THE_ARCHIVE = (
    checked("xdm.archive.read", Reason.ZIP_UNREADABLE, mail(b"ceci n'est pas un zip")),
    checked("xdm.archive.read", Reason.ZIP_UNREADABLE, broken(lambda c: c[: c.rfind(_END) + 9])),
    checked("xdm.archive._directory", Reason.ZIP_UNREADABLE, broken(lambda c: c[:-30])),
    checked("xdm.archive._directory", Reason.ZIP_UNREADABLE, broken(_patched(_END, 8, b"\x09"))),
    checked("xdm.archive._directory", Reason.ZIP_UNREADABLE, broken(_shorter)),
    checked(
        "xdm.archive._directory",
        Reason.ZIP_UNSAFE,
        letter(document(LEA)),
        settings=limited(entries=3),
    ),
    checked("xdm.archive._central", Reason.ZIP_UNREADABLE, broken(_patched(_CENTRAL, 0, b"XX"))),
    checked(
        "xdm.archive._refuse_unreadable",
        Reason.ZIP_UNREADABLE,
        broken(_patched(_CENTRAL, 8, b"\x01\x00")),
    ),
    checked(
        "xdm.archive._refuse_unsafe_name",
        Reason.ZIP_UNSAFE,
        mail(xdm_zip([document(LEA)], extra=[("../hors.xml", b"<a/>")])),
    ),
    checked(
        "xdm.archive._refuse_unsafe_name",
        Reason.ZIP_UNSAFE,
        broken(_patched(_CENTRAL, 38, _LINK)),
    ),
    checked(
        "xdm.archive._refuse_bomb",
        Reason.ZIP_UNSAFE,
        mail(xdm_zip([document(LEA)], extra=[_ZEROS])),
    ),
    checked(
        "xdm.archive._refuse_oversize",
        Reason.ZIP_UNSAFE,
        letter(document(LEA)),
        settings=limited(unzipped_bytes=1000),
    ),
    checked(
        "xdm.archive._by_name",
        Reason.ZIP_UNSAFE,
        archived(("A.TXT", b""), ("./A.TXT", b"")),
    ),
    checked("xdm.archive._packed", Reason.ZIP_UNREADABLE, broken(_patched(_LOCAL, 0, b"XX"))),
    checked(
        "xdm.archive._packed",
        Reason.ZIP_UNREADABLE,
        broken(_patched(_CENTRAL, 42, b"\xff\xff\xff\x7f")),
    ),
    checked(
        "xdm.archive.Archive.read",
        Reason.ZIP_UNREADABLE,
        broken(_patched(_CENTRAL, 16, zlib.crc32(b"autre").to_bytes(4, "little"))),
    ),
)
