"""Build whole mails, CRLF. Same arguments, same bytes."""

import base64
from collections.abc import Iterable, Sequence
from email.header import Header
from typing import Final

SENDER: Final = "cr.bio@labo-invente.mssante.fr"
MAILBOX: Final = "pfi.medecine@ch-invente.mssante.fr"


def mail(
    archive: bytes | None,
    *,
    sender: str = SENDER,
    recipient: str = MAILBOX,
    subject: str = "XDM/1.0/DDM+CR d'examens biologiques PATIENT Fictif 01/01/1980",
    message_id: str = "<20260514.0931.a1@labo-invente.mssante.fr>",
    mdn: bool = True,
    mdn_to: str = "",
    return_path: str | None = SENDER,
    reply_to: str = "secretariat@labo-invente.mssante.fr",
    date: str = "Thu, 14 May 2026 09:31:45 +0200",
    text: str = "Bonjour,\n\nVeuillez trouver ci-joint le résultat.\n",
    archive_name: str = "IHE_XDM.zip",
    headers: Sequence[tuple[str, str]] = (),
    attachments: Sequence[tuple[str, str, bytes]] = (),
) -> bytes:
    """A mail, CRLF. `return_path`: None = no header, '' = <>. `attachments`: (name, type, bytes).

    `mdn` asks a notification to the sender, or to `mdn_to`.
    """
    asked = mdn_to or (sender if mdn else "")
    fields = [
        ("Return-Path", None if return_path is None else f"<{return_path}>"),
        ("Date", date),
        ("From", sender),
        ("To", recipient),
        ("Reply-To", reply_to or None),
        ("Message-ID", message_id or None),
        ("Subject", subject if subject.isascii() else _encoded(subject)),
        ("Disposition-Notification-To", asked or None),
        *headers,
        ("MIME-Version", "1.0"),
        ("Content-Type", f'multipart/mixed; boundary="{_BOUNDARY}"'),
    ]
    parts = [_text_part(text)]
    if archive is not None:
        parts.append(_part(archive_name, "application/zip", archive))
    parts += [_part(*each) for each in attachments]
    return _head(fields) + _multipart(parts)


def forwarded(inner: bytes, *, sender: str = "secretariat@ch-invente.mssante.fr") -> bytes:
    """`inner` sent on by staff as message/rfc822 (design decision 11)."""
    fields = [
        ("Return-Path", f"<{sender}>"),
        ("Date", "Thu, 14 May 2026 10:02:00 +0200"),
        ("From", sender),
        ("To", MAILBOX),
        ("Message-ID", "<20260514.1002.f1@ch-invente.mssante.fr>"),
        ("Subject", "TR: XDM/1.0/DDM+document"),
        ("Disposition-Notification-To", sender),
        ("MIME-Version", "1.0"),
        ("Content-Type", 'multipart/mixed; boundary="=_invente_tr"'),
    ]
    attached = b"Content-Type: message/rfc822\r\nContent-Disposition: attachment\r\n\r\n" + inner
    return _head(fields) + _multipart([_text_part("Pour intégration."), attached], "=_invente_tr")


def _encoded(subject: str) -> str:
    return Header(subject, "utf-8").encode(linesep="\r\n")


_BOUNDARY: Final = "=_invente_mixte"


def _head(fields: Iterable[tuple[str, str | None]]) -> bytes:
    lines = [f"{name}: {value}\r\n" for name, value in fields if value is not None]
    return "".join(lines).encode()


def _multipart(parts: Iterable[bytes], boundary: str = _BOUNDARY) -> bytes:
    mark = f"--{boundary}".encode()
    body = b"".join(b"\r\n" + mark + b"\r\n" + part for part in parts)
    return body + b"\r\n" + mark + b"--\r\n"


def _text_part(text: str) -> bytes:
    head = 'Content-Type: text/plain; charset="utf-8"\r\nContent-Transfer-Encoding: 8bit\r\n\r\n'
    return (head + text.replace("\n", "\r\n")).encode()


def _part(name: str, content_type: str, content: bytes) -> bytes:
    head = (
        f'Content-Type: {content_type}; name="{name}"\r\nContent-Transfer-Encoding: base64\r\n'
        f'Content-Disposition: attachment; filename="{name}"\r\n\r\n'
    )
    return head.encode() + base64.encodebytes(content).replace(b"\n", b"\r\n")


def mdn_received(recipient: str) -> bytes:
    """An MDN that somebody sends us, with the whole original and its archive inside."""
    original = mail(b"PK\x03\x04 not opened", sender=recipient, recipient=SENDER, mdn=False)
    boundary = "=_mdn"
    fields = [
        ("Return-Path", "<>"),
        ("Date", "Thu, 14 May 2026 11:00:00 +0200"),
        ("From", SENDER),
        ("To", recipient),
        ("Message-ID", "<mdn.1@labo-invente.mssante.fr>"),
        ("Subject", "XDM/1.0/DDM+CR d'examens biologiques PATIENT Fictif 01/01/1980"),
        ("MIME-Version", "1.0"),
        (
            "Content-Type",
            f'multipart/report; report-type=disposition-notification; boundary="{boundary}"',
        ),
    ]
    notification = (
        b"Content-Type: message/disposition-notification\r\n\r\n"
        b"Disposition: automatic-action/MDN-sent-automatically; processed\r\n"
    )
    parts = [
        _text_part("Document intégré."),
        notification,
        b"Content-Type: message/rfc822\r\n\r\n" + original,
    ]
    return _head(fields) + _multipart(parts, boundary)
