"""The MDN: accusé de lecture/traitement, forms 1.1.3 and 1.1.2 (mssante-mail §1.4, RFC 8098)."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from pfi.mail import compose, headers, text
from pfi.mail.compose import Cause, Dispatch, Outgoing, outgoing_id
from pfi.mail.outbound import failed_subject, loose_parts, outcome_lines, request_line

__all__ = ["MdnForm", "Syntax", "error", "processed"]

_REPORT: Final = "multipart/report; report-type=disposition-notification"
_SEVERITY: Final = "| E^Error^errorSeverity"
_SEPARATORS: Final = str.maketrans("^|~&", "    ")


class Syntax(StrEnum):
    """Where the code stands: `Error` field (1.1.3) or inside `Disposition` (1.1.2), Q-04."""

    V113 = "v113"
    V112 = "v112"


@dataclass(frozen=True, slots=True)
class MdnForm:
    """`manual`: a human confirmed the sending (N-03). `reattach`: attachments once more (N-12)."""

    syntax: Syntax = Syntax.V113
    manual: bool = False
    reattach: bool = False


_DEFAULT: Final = MdnForm()


def processed(dispatch: Dispatch, form: MdnForm = _DEFAULT) -> Outgoing:
    """All documents were accepted by the DPI: ``processed``, subject of the original (N-07)."""
    lines = [
        "Bonjour,",
        "",
        "Votre envoi a été intégré dans le dossier patient informatisé.",
        *outcome_lines(dispatch),
    ]
    return _mdn(dispatch, form, request_line(dispatch), lines, _disposition(form, ""))


def error(dispatch: Dispatch, cause: Cause, form: MdnForm = _DEFAULT) -> Outgoing:
    """Integration failed: ``processed/error`` with code and label, (N-09)."""
    code = compose.code_of(cause)
    lines = [
        "Bonjour,",
        "",
        "Le message ci-dessous n'a pas pu être intégré automatiquement dans le dossier patient "
        "informatisé pour la raison suivante :",
        "",
        f"{code} - {compose.label_of(cause)}",
        *outcome_lines(dispatch),
    ]
    fields = _failure(cause, form)
    return _mdn(dispatch, form, failed_subject(dispatch, code), lines, fields)


def _disposition(form: MdnForm, failure: str) -> list[tuple[str, str]]:
    mode = (
        "manual-action/MDN-sent-manually"
        if form.manual
        else ("automatic-action/MDN-sent-automatically")
    )
    return [("Disposition", f"{mode}; processed{failure}")]


def _failure(cause: Cause, form: MdnForm) -> list[tuple[str, str]]:
    """The block is ASCII: labels lose their accents here and keep them in the text part."""
    code, label = cause.technical or (compose.code_of(cause), compose.label_of(cause))
    table = "messageErrorCondition" if cause.technical else "applicationErrorCondition"
    told = f"{_component(code, 20)}^{_component(label, 200)}"
    if form.syntax is Syntax.V112:
        return _disposition(form, f"/Error: {told}")
    return [*_disposition(form, "/error"), ("Error", f"{told}^{table}{_SEVERITY}")]


def _component(value: str, longest: int) -> str:
    return " ".join(text.plain_ascii(value).translate(_SEPARATORS).split())[:longest]


def _mdn(
    dispatch: Dispatch, form: MdnForm, subject: str, lines: list[str], told: list[tuple[str, str]]
) -> Outgoing:
    """Three parts: text, notification, original (N-08…N-11); null envelope sender (N-04)."""
    mail, to = dispatch.mail, compose.addressed(dispatch)
    parts = [
        compose.text_part(lines),
        _notification(dispatch, told),
        compose.embedded(mail.raw),
        *(loose_parts(mail) if form.reattach else []),
    ]
    fields = compose.common_fields(dispatch, "mdn", subject)
    return Outgoing(
        message_id=outgoing_id("mdn", dispatch.digest, to, dispatch.own.domain),
        envelope_from="",
        recipient=to,
        content=compose.whole_mail(fields, _REPORT, parts, dispatch.digest),
    )


def _notification(dispatch: Dispatch, told: list[tuple[str, str]]) -> bytes:
    """Fields of the volet, in its order; an id or an address only when well formed."""
    own = headers.addr_spec(dispatch.own.address)
    product = text.plain_ascii(dispatch.own.product)[:100]
    fields = [
        ("Reporting-UA", f"{dispatch.own.domain}; {product}"),
        ("Original-Recipient", f"rfc822;{_original_recipient(dispatch) or own}"),
        ("Final-Recipient", f"rfc822;{own}"),
        ("Original-Message-ID", dispatch.mail.message_id),
        *told,
    ]
    block = [f"{name}: {value}".encode("ascii") for name, value in fields if value]
    return compose.CRLF.join([b"Content-Type: message/disposition-notification", b"", *block, b""])


def _original_recipient(dispatch: Dispatch) -> str:
    """Address of the header Original-Recipient (ORCPT, RFC 8098 §2.3), '' when not strict."""
    kind, _, address = dispatch.mail.header("original-recipient").partition(";")
    return headers.addr_spec(address.strip()) if kind.strip().lower() == "rfc822" else ""
