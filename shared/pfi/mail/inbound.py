"""Bytes of a received mail to `Mail`. Nothing here raises: a mail always becomes something."""

from dataclasses import dataclass
from typing import Final

from pfi.errors import Unreadable
from pfi.mail import headers, mime, text
from pfi.mail.mime import MailLimits, Part
from pfi.names import Reason

__all__ = ["DEFAULT_LIMITS", "Mail", "MailLimits", "Part", "read"]

DEFAULT_LIMITS: Final = MailLimits()
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_MAILBOX_LINES: Final = (b"From ", b">From ")


@dataclass(frozen=True, slots=True)
class Mail:
    """A received mail: its own bytes, its header fields, the byte ranges of its parts.

    Every `str` it gives is one clean line, except `text`. `fault` says why it cannot be read.
    """

    raw: bytes
    headers: headers.Fields
    parts: tuple[Part, ...]
    content_type: str
    report_type: str
    fault: Reason | None

    def header(self, name: str) -> str:
        """First value of a header, decoded (RFC 2047); '' when absent."""
        return text.decode(headers.first(self.headers, name.lower()))

    def all(self, name: str) -> tuple[str, ...]:
        """Every value of a header, decoded, in order."""
        return tuple(text.decode(value) for value in self.raw_values(name))

    def raw_values(self, name: str) -> tuple[bytes, ...]:
        """Every value of a header as it stands: addresses are parsed before decoding."""
        key = name.lower()
        return tuple(value for field, value in self.headers if field == key)

    def addresses(self, name: str) -> tuple[str, ...]:
        """Strict addr-specs of all headers of that name; '' stands for one that is not strict."""
        return tuple(a for value in self.raw_values(name) for a in headers.addresses(value))

    @property
    def message_id(self) -> str:
        """``<…@…>`` when well formed, else '': no MDN can be correlated then (§1.2)."""
        return headers.message_id(headers.first(self.headers, "message-id"))

    @property
    def subject(self) -> str:
        """Copied, never believed (mssante-mail §1.2)."""
        return self.header("subject")

    @property
    def sender(self) -> str:
        """The one address of From; '' when there is none, several, or one that is not strict."""
        found = self.addresses("from")
        return found[0] if len(found) == 1 else ""

    @property
    def recipients(self) -> tuple[str, ...]:
        """Addresses of To and Cc, each once."""
        found = self.addresses("to") + self.addresses("cc")
        return tuple(dict.fromkeys(address for address in found if address))

    @property
    def reply_to(self) -> str:
        """The address a human reads (ECO.2.2.5): shown to the DPI, never answered by us."""
        return next((address for address in self.addresses("reply-to") if address), "")

    @property
    def return_path(self) -> str | None:
        """The envelope sender the last server wrote: '' for ``<>`` or garbage, None if none."""
        values = self.raw_values("return-path")
        return ("".join(headers.addresses(values[0])[:1])) if values else None

    @property
    def date(self) -> str:
        """The Date header as written."""
        return self.header("date")

    @property
    def text(self) -> str:
        """The body a human reads: the first unnamed text/plain, else text/html without its tags."""
        plain = self._body("text/plain")
        return plain if plain.strip() else text.without_tags(self._body("text/html"))

    def _body(self, content_type: str) -> str:
        for part in self.parts:
            if part.content_type == content_type and not part.filename:
                return text.body_text(self.content(part), part.charset)
        return ""

    def content(self, part: Part) -> bytes:
        """Decoded bytes of a part (base64 and quoted-printable read with their noise)."""
        return mime.content(self.raw, part)


def read(raw: bytes, limits: MailLimits = DEFAULT_LIMITS) -> Mail:
    """Reads any bytes. Without header or over the limits: `fault`, no parts, headers if any."""
    start = _first_field(raw)
    newline = headers.line_break(raw, start, limits.header_block)
    block = headers.read_block(raw, start, len(raw), newline, limits.header_block)
    kind = headers.first(block.fields, "content-type")
    fault = _fault(raw, block, limits)
    parts: tuple[Part, ...] = ()
    if fault is None:
        try:
            parts = mime.leaves(raw, block.fields, block.body, newline, limits)
        except Unreadable as over:
            fault = over.reason
    return Mail(
        raw=raw,
        headers=block.fields,
        parts=parts,
        content_type=headers.media_type(kind),
        report_type=headers.parameters(kind).get("report-type", "").lower(),
        fault=fault,
    )


def _first_field(raw: bytes) -> int:
    """Skips a byte-order mark, blank lines and the ``From `` line of a mailbox file."""
    start = len(_BYTE_ORDER_MARK) if raw.startswith(_BYTE_ORDER_MARK) else 0
    while raw[start : start + 1] in (b"\r", b"\n"):
        start += 1
    if raw.startswith(_MAILBOX_LINES, start):
        start = raw.find(b"\n", start) + 1 or start
    return start


def _fault(raw: bytes, block: headers.Block, limits: MailLimits) -> Reason | None:
    if len(raw) > limits.size:
        return Reason.MAIL_TOO_LARGE
    return None if block.fields and block.whole else Reason.MAIL_UNREADABLE
