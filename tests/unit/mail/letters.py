"""Mails built by hand, byte by byte: the stdlib would mend what these tests need broken."""

import base64
import io
import zipfile
from datetime import datetime, timedelta, timezone

from pfi.mail.inbound import read
from pfi.mail.outbound import Dispatch, OwnMailbox

OWN = "pfi.medecine@ch-fictif.mssante.fr"
SENDER = "labo@labo-fictif.mssante.fr"
FALLBACK = "secours@ch-fictif.mssante.fr"
MESSAGE_ID = "<20260514.1@labo-fictif.mssante.fr>"
REQUEST = "XDM/1.0/DDM+CR de biologie FICTIF ALIX 01/02/1980"
DIGEST = "5e" * 32
NOW = datetime(2026, 5, 14, 9, 32, 20, tzinfo=timezone(timedelta(hours=2)))


def archive(metadata="IHE_XDM/SUBSET01/METADATA.XML", filler=b"<x/>"):
    """A plain zip, the same bytes at every call."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as writer:
        for name, content in ((metadata, filler), ("IHE_XDM/SUBSET01/DOC0001.XML", b"<cda/>" * 9)):
            writer.writestr(zipfile.ZipInfo(name, (2026, 5, 14, 9, 0, 0)), content)
    return out.getvalue()


def lines(*rows):
    """CRLF-ended lines; str rows are UTF-8."""
    return b"".join((r.encode() if isinstance(r, str) else r) + b"\r\n" for r in rows)


def head(**changes):
    """Header block of a usual mail, without the blank line. `None` removes a field."""
    fields = {
        "Return-Path": f"<{SENDER}>",
        "Date": "Thu, 14 May 2026 09:31:45 +0200",
        "From": f"Labo Fictif <{SENDER}>",
        "To": OWN,
        "Message-ID": MESSAGE_ID,
        "Subject": REQUEST,
        "MIME-Version": "1.0",
    }
    fields |= {name.replace("_", "-"): value for name, value in changes.items()}
    rows = []
    for name, value in fields.items():
        for one in value if isinstance(value, list) else [value]:
            if one is not None:
                raw = one if isinstance(one, bytes) else one.encode()
                rows.append(name.encode() + b": " + raw)
    return lines(*rows)


def part(content_type, body, *fields, encoding="7bit"):
    """One MIME part: header lines, blank line, body already encoded."""
    rows = [f"Content-Type: {content_type}", f"Content-Transfer-Encoding: {encoding}", *fields, ""]
    return lines(*rows) + (body.encode() if isinstance(body, str) else body)


def in_base64(content):
    return base64.encodebytes(content).replace(b"\n", b"\r\n").rstrip(b"\r\n")


def zip_part(content=None, *, name="IHE_XDM.zip", content_type="application/zip"):
    content = archive() if content is None else content
    field = f'Content-Disposition: attachment; filename="{name}"' if name else "X-Nothing: 1"
    return part(content_type, in_base64(content), field, encoding="base64")


def text_part(text="Bonjour,\r\nCi-joint un compte rendu.\r\n"):
    return part("text/plain; charset=utf-8", text, encoding="8bit")


def pdf_part(name="20260514_CR_FICTIF_ALIX.pdf"):
    return part(
        f'application/pdf; name="{name}"',
        in_base64(b"%PDF-1.4 fictif\n" * 20),
        f'Content-Disposition: attachment; filename="{name}"',
        encoding="base64",
    )


def multipart(parts, *, subtype="mixed", boundary="=_fictif", closed=True, **changes):
    """A whole multipart mail."""
    delimiter = b"--" + boundary.encode()
    content_type = changes.pop("Content_Type", f'multipart/{subtype}; boundary="{boundary}"')
    body = b"".join(delimiter + b"\r\n" + one + b"\r\n" for one in parts)
    end = delimiter + b"--\r\n" if closed else b""
    return head(**changes) + lines(f"Content-Type: {content_type}", "") + body + end


def inner_multipart(parts, *, subtype="mixed", boundary="=_dedans"):
    """A multipart usable as a part of another one."""
    delimiter = b"--" + boundary.encode()
    body = b"".join(delimiter + b"\r\n" + one + b"\r\n" for one in parts)
    kind = f'Content-Type: multipart/{subtype}; boundary="{boundary}"'
    return lines(kind, "") + body + delimiter + b"--\r\n"


def letter(*more, **changes):
    """The usual mail: text and archive, then any further parts."""
    return multipart([text_part(), zip_part(), *more], **changes)


def plain(text="Bonjour\r\n", **changes):
    """A mail without structure."""
    return head(**changes) + lines("Content-Type: text/plain; charset=utf-8", "") + text.encode()


def forwarded(original, **changes):
    """`original` forwarded by staff as an attached message."""
    message = part("message/rfc822", original, "Content-Disposition: attachment")
    return multipart([text_part("Pour intégration.\r\n"), message], boundary="=_dehors", **changes)


def report(report_type, second, original=b"", **changes):
    """A multipart/report: text, machine part, original."""
    kind = f'multipart/report; report-type={report_type}; boundary="=_rapport"'
    parts = [text_part("Rapport.\r\n"), second]
    if original:
        parts.append(part("message/rfc822", original))
    return multipart(parts, boundary="=_rapport", Content_Type=kind, **changes)


def mdn_part(*rows):
    return lines("Content-Type: message/disposition-notification", "", *rows)


def dispatch(raw=None, **changes):
    """What is owed about one received mail."""
    values = {
        "mail": read(letter() if raw is None else raw),
        "digest": DIGEST,
        "own": OwnMailbox(OWN, "PFI 1.0", "PFI-FICTIF-1"),
        "to": SENDER,
        "now": NOW,
    }
    return Dispatch(**(values | changes))
