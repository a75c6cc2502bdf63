"""Reports that come back: what an MDN says, which of our mails a DSN speaks of."""

import re
from typing import Final

from pfi.mail import headers, text
from pfi.mail.inbound import Mail, Part

_DISPOSITION: Final = re.compile(
    r"(?i);\s*(displayed|deleted|dispatched|processed)\s*(/\s*error)?\s*:?\s*(\d{3})?(?:\^([^|^]*))?"
)
_ERROR_CODE: Final = re.compile(r"\s*(\d{3})\b")
_MDN_TYPE: Final = "message/disposition-notification"
_DSN_TYPES: Final = ("message/delivery-status", "message/global-delivery-status")
_RETURNED: Final = ("message/rfc822", "text/rfc822-headers", "message/rfc822-headers")
_LONGEST_STATUS: Final = 64 * 1024


def read_disposition(mail: Mail) -> tuple[str, str] | None:
    """(disposition, code) of an MDN, in the 1.1.3 and in the 1.1.2 syntax (mssante-mail §1.4).

    Disposition is ``processed``, ``processed/error``…; the code is the three digits, else the
    text that stands in its place, else ''. None when the mail is no MDN.
    """
    for part in _of_type(mail, (_MDN_TYPE,)):
        fields = _fields(mail, part)
        found = _DISPOSITION.search(_value(fields, "disposition"))
        if found:
            error = _value(fields, "error")
            failed = found[2] is not None
            code = found[3] or _error_code(error) or (text.clean(found[4] or "") if failed else "")
            return found[1].lower() + ("/error" if failed else ""), code
    return None


def _error_code(error: str) -> str:
    digits = _ERROR_CODE.match(error)
    return digits[1] if digits else error.partition("^")[0].strip()


def bounced_message_id(mail: Mail) -> str:
    """Message-ID of the mail that a DSN says undeliverable (RFC 3464 §2.3.3), '' otherwise."""
    if mail.content_type != "multipart/report" or not says_failed(mail):
        return ""
    for part in _of_type(mail, _RETURNED):
        found = headers.message_id(headers.first(_fields(mail, part), "message-id"))
        if found:
            return found
    return ""


def says_failed(mail: Mail) -> bool:
    """Any ``Action: failed`` among the per-recipient groups, which blank lines separate."""
    return any(
        re.search(rb"(?im)^action[ \t]*:[ \t]*failed\b", mail.content(part)[:_LONGEST_STATUS])
        for part in _of_type(mail, _DSN_TYPES)
    )


def _of_type(mail: Mail, types: tuple[str, ...]) -> list[Part]:
    return [part for part in mail.parts if part.in_report and part.content_type in types]


def _fields(mail: Mail, part: Part) -> headers.Fields:
    """Fields of a part that is itself a header block.

    They are read from the part's own headers on when no blank line separates the two, as in the
    volet's example.
    """
    content = mail.content(part)[: 2 * _LONGEST_STATUS].lstrip(b"\r\n")
    if not content:
        content = mail.raw[part.head : part.end][: 2 * _LONGEST_STATUS]
    newline = headers.line_break(content, 0, _LONGEST_STATUS)
    return headers.read_block(content, 0, len(content), newline, 2 * _LONGEST_STATUS).fields


def _value(fields: headers.Fields, name: str) -> str:
    return text.decode(headers.first(fields, name))
