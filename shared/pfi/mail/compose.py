"""What every outgoing mail has in common: fields, boundary, the original kept byte for byte.

A received mail is never re-serialised: its bytes are joined between ours (design decision 4).
"""

import hashlib
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email.header import Header
from email.utils import format_datetime
from typing import Final
from urllib.parse import quote

from pfi.errors import Misconfigured, Unreadable
from pfi.mail import headers, text, transfer
from pfi.mail.inbound import Mail, Part
from pfi.names import OUTWARD_LABELS, Reason

CRLF: Final = b"\r\n"
_LONGEST_LINE: Final = 998
_STEP: Final = 1 << 20
_LONGEST_HEADER_BLOCK: Final = 64 * 1024
_LONGEST_VALUE: Final = 700
_LONGEST_NAME: Final = 600
_PLAIN_VALUE: Final = re.compile(r"[ -~]*")
_PLAIN_TYPE: Final = re.compile(r"[a-z0-9!#$&^_.+-]{1,60}/[a-z0-9!#$&^_.+-]{1,60}")
_PLAIN_CHARSET: Final = re.compile(r"[a-z0-9][a-z0-9_.:-]{0,39}")
_CODE: Final = re.compile(r"[A-Za-z0-9.-]{1,20}")
_DIGEST: Final = re.compile(r"[0-9a-f]{8,128}")
_UNQUOTABLE: Final = re.compile(r'["\\]')


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A mail ready for the relay. `envelope_from` '' is the null path ``<>``."""

    message_id: str
    envelope_from: str
    recipient: str
    content: bytes


@dataclass(frozen=True, slots=True)
class OwnMailbox:
    """The BAL applicative that answers. `nil` is the product reference of X-MSS-NIL (ECO.2.4.3).

    `reply_to` is the address a human reads, mandatory in a mail of a BAL APP (ECO.2.2.5).
    """

    address: str
    product: str = "PFI"
    nil: str = ""
    reply_to: str = ""

    @property
    def domain(self) -> str:
        """Right-hand side of our Message-IDs and the name of the reporting agent."""
        return headers.addr_spec(self.address).rpartition("@")[2]


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a mail was not integrated: outward code and label, own reason for staff only.

    `technical` is the (code, label) of an ERR-3 error, which goes to the ``Error`` field while the
    subject says 906 (mssante-mail §1.4). `checks` say which trait to check where, for staff only.
    """

    code: str
    label: str
    reason: str = ""
    technical: tuple[str, str] | None = None
    checks: tuple[str, ...] = ()

    @classmethod
    def of(cls, reason: Reason) -> "Cause":
        """The cause of a refusal by the PFI itself, with the volet's own label."""
        return cls(reason.outward, OUTWARD_LABELS[reason.outward], reason.value)


@dataclass(frozen=True, slots=True)
class Dispatch:
    """One mail that is owed: about which received mail, from which mailbox, to whom, when.

    `subject` is the ``XDM/1.0/DDM+…`` line rebuilt from the CDA, used when the original has none
    (N-07). `outcomes` are (document number, what became of it) lines of a mail with several
    documents; they hold no patient data.
    """

    mail: Mail
    digest: str
    own: OwnMailbox
    to: str
    now: datetime
    subject: str = ""
    outcomes: tuple[tuple[int, str], ...] = ()


def outgoing_id(kind: str, digest: str, recipient: str, domain: str) -> str:
    """The same cause always gives the same Message-ID, so that a repeated send is recognisable."""
    seal = hashlib.sha256(f"{kind}|{digest}|{recipient}".encode()).hexdigest()[:24]
    return f"<pfi.{kind}.{seal}@{domain}>"


def code_of(cause: Cause) -> str:
    """The code that leaves the hospital; a peer's code that is no code becomes 906."""
    return cause.code if _CODE.fullmatch(cause.code) else Reason.OTHER.value


def label_of(cause: Cause) -> str:
    """The label that goes with the code: the peer's own, else the volet's."""
    known = OUTWARD_LABELS.get(code_of(cause), OUTWARD_LABELS[Reason.OTHER.value])
    return text.clean(cause.label)[:200] or known


def addressed(dispatch: Dispatch) -> str:
    """The recipient, checked once more: strict, and never our own mailbox (F-06)."""
    own, to = headers.addr_spec(dispatch.own.address), headers.addr_spec(dispatch.to)
    if not own:
        raise Misconfigured(Reason.SETTING_MISSING)
    if not to or to.lower() == own.lower():
        raise Unreadable(Reason.NOT_ANSWERABLE)
    return to


def common_fields(dispatch: Dispatch, kind: str, subject: str) -> list[tuple[str, str]]:
    """Fields of all our mails, loop marks included (RFC 3834 §3, mail-edge §5)."""
    own, to = headers.addr_spec(dispatch.own.address), addressed(dispatch)
    original = dispatch.mail.message_id
    fields = [
        ("Date", format_datetime(dispatch.now)),
        ("From", own),
        ("To", to),
        ("Reply-To", headers.addr_spec(dispatch.own.reply_to)),
        ("Message-ID", outgoing_id(kind, dispatch.digest, to, dispatch.own.domain)),
        ("In-Reply-To", original if kind != "forward" else ""),
        ("References", original),
        ("Auto-Submitted", "auto-generated" if kind == "forward" else "auto-replied"),
        ("X-Loop", own),
        ("X-MSS-NIL", dispatch.own.nil),
        ("X-PFI-Mail", dispatch.digest if _DIGEST.fullmatch(dispatch.digest) else ""),
        ("Subject", subject),
        ("MIME-Version", "1.0"),
    ]
    return [(name, value) for name, value in fields if value]


def field_line(name: str, value: str) -> bytes:
    """One field; non-ASCII by RFC 2047, cut before it becomes unreasonable.

    A value that looks like an encoded word is encoded too: it must come out as it went in.
    """
    one_line = text.clean(value)[:_LONGEST_VALUE]
    if _PLAIN_VALUE.fullmatch(one_line) and "=?" not in one_line:
        return f"{name}: {one_line}".encode("ascii")
    word = Header(one_line, "utf-8", maxlinelen=76, header_name=name).encode(linesep="\r\n")
    return f"{name}: {word}".encode("ascii")


def whole_mail(
    fields: Sequence[tuple[str, str]], content_type: str, parts: Sequence[bytes], digest: str
) -> bytes:
    """Header block and parts; the boundary occurs nowhere in the parts (RFC 2046 §5.1.1).

    It is made from the digest of the original, so that the same answer has the same bytes.
    """
    line = _boundary(digest, parts)
    delimiter = b"--" + line
    width = b"7bit" if all(map(bytes.isascii, parts)) else b"8bit"
    head = [
        *(field_line(name, value) for name, value in fields),
        b"Content-Type: " + content_type.encode("ascii") + b';\r\n boundary="' + line + b'"',
        b"Content-Transfer-Encoding: " + width,
        b"",
    ]
    body = [piece for part in parts for piece in (delimiter, part)]
    return CRLF.join([*head, *body, delimiter + b"--", b""])


def _boundary(digest: str, parts: Sequence[bytes]) -> bytes:
    seed = hashlib.sha256(digest.encode()).hexdigest()
    while True:
        candidate = f"=_pfi_{seed[:32]}".encode("ascii")
        if not any(candidate in part for part in parts):
            return candidate
        seed = hashlib.sha256(seed.encode()).hexdigest()


def text_part(lines: Sequence[str]) -> bytes:
    """A text/plain part in UTF-8 (N-09)."""
    head = (
        b"Content-Type: text/plain; charset=UTF-8\r\n"
        b"Content-Transfer-Encoding: quoted-printable\r\n\r\n"
    )
    return head + transfer.to_quoted_printable("\n".join([*lines, ""]))


def embedded(original: bytes, name: str = "message_original.eml") -> bytes:
    """The original mail as one part, byte for byte.

    message/rfc822 admits no base64 (RFC 2046 §5.2.1), so what a relay would alter (bare line ends,
    NUL, long lines, header blocks that Postfix cuts) travels as an opaque base64 file.
    """
    disposition = f'Content-Disposition: attachment; filename="{name}"'.encode("ascii")
    if not _survives(original) or _header_block(original) > _LONGEST_HEADER_BLOCK:
        kind = f'application/octet-stream; name="{name}"'.encode("ascii")
        return _part(kind, b"base64", disposition, transfer.to_base64(original))
    encoding = b"7bit" if original.isascii() else b"8bit"
    return _part(b"message/rfc822", encoding, disposition, original)


def _part(kind: bytes, encoding: bytes, disposition: bytes, body: bytes) -> bytes:
    fields = (b"Content-Type: " + kind, b"Content-Transfer-Encoding: " + encoding, disposition)
    return CRLF.join([*fields, b"", body])


def _survives(body: bytes) -> bool:
    """True when SMTP carries these bytes unchanged: CRLF only, no NUL, lines of 998 at most."""
    return (
        body.strip() != b""
        and b"\0" not in body
        and not has_bare_line_ends(body)
        and not _has_a_long_line(body)
    )


def has_bare_line_ends(body: bytes) -> bool:
    """Whether a CR or an LF stands alone; the decoder of text files notes what ends its lines."""
    decoder = io.IncrementalNewlineDecoder(None, translate=False)
    for start in range(0, len(body), _STEP):
        decoder.decode(body[start : start + _STEP].decode("latin-1"))
    decoder.decode("", final=True)
    return decoder.newlines not in (None, "\r\n")


def _has_a_long_line(body: bytes) -> bool:
    """Lines are passed over in bundles of the length that one may have."""
    start, longest = 0, _LONGEST_LINE + len(CRLF)
    while len(body) - start > _LONGEST_LINE:
        end = body.rfind(CRLF, start, start + longest)
        if end < 0:
            return True
        start = end + len(CRLF)
    return False


def _header_block(original: bytes) -> int:
    end = original.find(b"\r\n\r\n")
    return end if end >= 0 else len(original)


def reattached(mail: Mail, part: Part) -> bytes:
    """An attachment with its own encoded bytes under fields of ours.

    Encoded again only when a relay would alter it (binary, bare line ends).
    """
    body = mail.raw[part.start : part.end]
    encoding = part.encoding
    seven_bit = encoding not in ("8bit", "binary")
    if not _survives(body) or (seven_bit and not body.isascii()):
        body, encoding = transfer.to_base64(mail.content(part)), "base64"
    named = text.plain_ascii(part.filename)[-100:]
    name = _UNQUOTABLE.sub("_", named) or "piece_jointe"
    kind = f'{_safe_type(part)}; name="{name}"'.encode("ascii")
    return _part(kind, encoding.encode("ascii"), _disposition(part.filename, name), body)


def _safe_type(part: Part) -> str:
    composite = part.content_type.startswith(("multipart/", "message/"))
    if composite or not _PLAIN_TYPE.fullmatch(part.content_type):
        return "application/octet-stream"
    if part.content_type.startswith("text/") and _PLAIN_CHARSET.fullmatch(part.charset):
        return f"{part.content_type}; charset={part.charset}"
    return part.content_type


def _disposition(filename: str, ascii_name: str) -> bytes:
    line = f'Content-Disposition: attachment; filename="{ascii_name}"'
    if filename == ascii_name or not filename:
        return line.encode("ascii")
    stem, dot, ending = filename.rpartition(".")
    kept = quote(filename, safe="")
    while len(kept) > _LONGEST_NAME:
        stem = stem[:-10] if dot else ""
        kept = quote(f"{stem}{dot}{ending[:20]}", safe="")
    return f"{line};\r\n filename*=UTF-8''{kept}".encode("ascii")
