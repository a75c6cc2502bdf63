"""The forward to the fallback mailbox and the failure notice to the sender (mssante-mail §1.5)."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from pfi.ins.wording import advice
from pfi.mail import compose, text
from pfi.mail.archives import is_archive
from pfi.mail.compose import Cause, Dispatch, Outgoing, OwnMailbox, outgoing_id
from pfi.mail.inbound import Mail, Part
from pfi.mail.rules import opened

__all__ = [
    "Cause",
    "Dispatch",
    "ForwardStyle",
    "Layout",
    "Outgoing",
    "OwnMailbox",
    "failure_notice",
    "forward",
    "outgoing_id",
    "request_line",
]

_REQUEST: Final = re.compile(r"(?i)XDM/1\.0/DDM")
_OWN_REASON: Final = re.compile(r"[A-Z0-9-]{1,20}")
_TYPE_CODES: Final = re.compile(r"[A-Za-z0-9._-]+(?:\s*,\s*[A-Za-z0-9._-]+){0,49}")
_BODY_TYPES: Final = ("text/plain", "text/html")


class Layout(StrEnum):
    """How the original travels in a forward: whole, as loose attachments, or both.

    Some webmails only offer a message/rfc822 for download, hence the loose copies.
    """

    RFC822 = "rfc822"
    FLAT = "flat"
    BOTH = "both"


@dataclass(frozen=True, slots=True)
class ForwardStyle:
    """`deletion`: the mail asks a deletion that could not be done. `size_limit` in bytes, 0 = none:
    above it the loose copies stay out, the whole original being the one thing never left out.
    """

    layout: Layout = Layout.BOTH
    deletion: bool = False
    size_limit: int = 0


def forward(dispatch: Dispatch, cause: Cause, style: ForwardStyle | None = None) -> Outgoing:
    """The received mail for manual integration, with the reason and what to do (F-02).

    No trait of the hospital's base is in it: its reader may not be entitled to them.
    """
    style = style or ForwardStyle()
    mark = "[SUPPRESSION] " if style.deletion else ""
    title = dispatch.mail.subject or "(sans objet)"
    subject = f"[A intégrer manuellement][{compose.code_of(cause)}] {mark}{title}"
    parts = _forwarded_parts(dispatch.mail, style)
    loose = len(parts) > 1 or style.layout is Layout.FLAT
    fields = [
        *compose.common_fields(dispatch, "forward", subject),
        ("X-PFI-Reason", f"{compose.code_of(cause)} {_own_reason(cause)}".strip()),
        *(_document_fields(dispatch.mail) if loose else ()),
    ]
    lines = _forward_text(dispatch, cause, style)
    return _sealed(dispatch, "forward", fields, [compose.text_part(lines), *parts])


def _own_reason(cause: Cause) -> str:
    return cause.reason if _OWN_REASON.fullmatch(cause.reason) else ""


def _document_fields(mail: Mail) -> list[tuple[str, str]]:
    """X-MSS-INS and X-MSS-CODECDA go with the archive (ECO.2.4.1, 2.4.2)."""
    ins, codes = mail.header("x-mss-ins").upper(), mail.header("x-mss-codecda")
    fields = [("X-MSS-INS", ins if ins in ("O", "N") else "")]
    fields.append(("X-MSS-CODECDA", codes if _TYPE_CODES.fullmatch(codes) else ""))
    return [(name, value) for name, value in fields if value]


def _forwarded_parts(mail: Mail, style: ForwardStyle) -> list[bytes]:
    whole = [compose.embedded(mail.raw)]
    if style.layout is Layout.RFC822:
        return whole
    loose = loose_parts(mail)
    if style.layout is Layout.FLAT and loose and not _holds_messages(mail):
        return _loose_text(mail) + loose
    total = sum(map(len, whole + loose))
    return whole if style.size_limit and total > style.size_limit else whole + loose


def _holds_messages(mail: Mail) -> bool:
    """Attached messages have no loose copy: without the whole original they would be lost."""
    return any(part.content_type.startswith("message/") for part in mail.parts)


def loose_parts(mail: Mail) -> list[bytes]:
    """Attachments of the mail, and of the one message that was forwarded inside it (N-12)."""
    inner = opened(mail)
    sources = [mail] if inner is mail else [mail, inner]
    return [
        compose.reattached(source, part)
        for source in sources
        for part in source.parts
        if _is_attachment(source, part)
    ]


def _is_attachment(mail: Mail, part: Part) -> bool:
    if part.content_type.startswith("message/") or part.start >= part.end:
        return False
    unnamed_body = part.content_type in _BODY_TYPES and not part.filename
    return not unnamed_body or is_archive(mail, part)


def _loose_text(mail: Mail) -> list[bytes]:
    body = mail.text or opened(mail).text
    return [compose.text_part(["Texte du message d'origine :", "", body])] if body else []


def _forward_text(dispatch: Dispatch, cause: Cause, style: ForwardStyle) -> list[str]:
    code, own = compose.code_of(cause), _own_reason(cause)
    asked = (
        "Demande de SUPPRESSION d'un document : rien n'a été supprimé." if style.deletion else ""
    )
    return [
        "Bonjour,",
        "",
        "Le courriel joint n'a pas été intégré automatiquement dans le dossier patient "
        "informatisé.",
        "",
        f"Code : {code} - {compose.label_of(cause)}",
        *([f"Motif interne : {own}"] if own and own != code else []),
        *([asked] if asked else []),
        f"Expéditeur : {dispatch.mail.sender or 'non lisible'}",
        f"Date du courriel : {dispatch.mail.date[:80] or 'absente'}",
        *outcome_lines(dispatch),
        "",
        f"À faire : {advice(code, own)}",
        *(f"- Vérifier {text.clean(check)[:300]}" for check in cause.checks),
        "",
        "Message automatique de la plateforme d'intermédiation. Ne pas y répondre.",
    ]


def outcome_lines(dispatch: Dispatch) -> list[str]:
    """One line per document of a mail with several, numbers and labels only (Q-03, Q-19)."""
    lines = [f"- Document {n} : {text.clean(label)[:200]}" for n, label in dispatch.outcomes]
    return ["", "Détail par document :", *lines] if lines else []


def request_line(dispatch: Dispatch) -> str:
    """The original subject from ``XDM/1.0/DDM`` on, else the one rebuilt from the CDA (N-07)."""
    subject = dispatch.mail.subject
    found = _REQUEST.search(subject)
    if found:
        return subject[found.start() :]
    return text.clean(dispatch.subject) or subject or "(sans objet)"


def failed_subject(dispatch: Dispatch, code: str) -> str:
    """``[KO Intégration système !][code] XDM/1.0/DDM+…`` (N-07, F-03)."""
    return f"[KO Intégration système !][{code}] {request_line(dispatch)}"


def failure_notice(dispatch: Dispatch, cause: Cause, *, reattach: bool = False) -> Outgoing:
    """The *courriel standard* of failure, when no MDN was asked (F-01…F-06)."""
    code = compose.code_of(cause)
    fields = compose.common_fields(dispatch, "notice", failed_subject(dispatch, code))
    lines = [
        "Bonjour,",
        "",
        "Le document que vous avez transmis n'a pas pu être intégré automatiquement.",
        "",
        f"- Code d'erreur : {code}",
        f"- Libellé : {compose.label_of(cause)}",
        *outcome_lines(dispatch),
        "",
        "Le message d'origine est joint (message_original.eml) avec ses pièces jointes.",
    ]
    mail = dispatch.mail
    loose = loose_parts(mail) if reattach else []
    parts = [compose.text_part(lines), compose.embedded(mail.raw), *loose]
    return _sealed(dispatch, "notice", fields, parts)


def _sealed(
    dispatch: Dispatch, kind: str, fields: list[tuple[str, str]], parts: list[bytes]
) -> Outgoing:
    """Forwards bounce to our mailbox; answers have the null path and never bounce (F-06)."""
    to = compose.addressed(dispatch)
    return Outgoing(
        message_id=outgoing_id(kind, dispatch.digest, to, dispatch.own.domain),
        envelope_from=dispatch.own.address if kind == "forward" else "",
        recipient=to,
        content=compose.whole_mail(fields, "multipart/mixed", parts, dispatch.digest),
    )
