"""What a received mail is, and whether anything may be answered to it.

Decided on headers and structure. The subject is never believed, but for one mark: a failure notice
of another platform (``[KO Intégration…]``) carries a valid archive that must not be integrated.
"""

import re
import unicodedata
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from pfi.mail import headers
from pfi.mail.archives import archives, is_archive, may_hide_one
from pfi.mail.domains import within
from pfi.mail.inbound import DEFAULT_LIMITS, Mail, MailLimits, Part, read
from pfi.mail.reports import bounced_message_id, read_disposition, says_failed

__all__ = [
    "Kind",
    "MailPolicy",
    "MdnRequest",
    "answer_address",
    "archives",
    "bounced_message_id",
    "came_back",
    "is_archive",
    "kind",
    "may_answer",
    "mdn_request",
    "opened",
    "read_disposition",
    "says_failed",
    "trusted",
]

_KO: Final = re.compile(r"\[\s*(?:ko\s+int.{0,4}gration|erreur\s+d'int.{0,4}gration)")
_SYSTEM_SENDER: Final = re.compile(r"(?i)(?:mailer-daemon|postmaster)@")
_ROBOT: Final = re.compile(
    r"(?i)(?:mailer-daemon|postmaster|no[-_.]?reply|do[-_.]?not[-_.]?reply"
    r"|ne[-_.]?pas[-_.]?repondre|pas[-_.]?de[-_.]?reponse|bounces?)(?:[-_.+].*)?@"
)
_BULK: Final = frozenset(("bulk", "junk", "list"))
_REQUIRED: Final = re.compile(r"(?i)=\s*required\b")
_FORWARDED_BY_PFI: Final = "x-pfi-reason"
_FORWARD: Final = re.compile(r"\[\s*a int.{0,4}grer manuellement\s*\]")


class Kind(StrEnum):
    """What a mail is before anybody looks for an archive (mssante-mail §1.3)."""

    DOCUMENT = "document"
    MDN = "mdn"
    DSN = "dsn"
    AUTO_REPLY = "auto_reply"
    AUTO_UNSURE = "auto_unsure"
    OWN = "own"
    FAILURE_NOTICE = "failure_notice"


@dataclass(frozen=True, slots=True)
class MailPolicy:
    """What the establishment settled about its mail.

    A trusted suffix that starts with a dot stands for all domains below it, any other is one
    domain (list of the trust space, M-05).
    """

    own_addresses: frozenset[str]
    trusted_suffixes: tuple[str, ...] = (".mssante.fr",)
    trust_missing_return_path: bool = False


@dataclass(frozen=True, slots=True)
class MdnRequest:
    """What Disposition-Notification-To asks (N-02, N-03).

    `to` is where an automatic MDN may go, else ''. With `confirm` a human decides, and `proposed`
    is the one address asked for, '' when there is not exactly one that may be answered.
    """

    asked: bool
    to: str = ""
    confirm: bool = False
    proposed: str = ""


def kind(mail: Mail, own_addresses: frozenset[str], limits: MailLimits = DEFAULT_LIMITS) -> Kind:
    """Technical mails first: an MDN repeats our subject and carries our archive (§1.3 step 1).

    A rule of a server that forwards an attached message (M-01 c) may say that it is automatic: the
    attached message decides. What only may hold a document, an absence or a bounce that quotes a
    mail among others, is `AUTO_UNSURE`.
    """
    found = _kind(mail, own_addresses)
    if found is not Kind.AUTO_REPLY:
        return found
    inner = None if _is_reply(mail) else _attached(mail, own_addresses, limits)
    if inner is not None and archives(inner):
        return Kind.DOCUMENT
    unsure = mail.fault is not None or may_hide_one(mail)
    unsure = unsure or any(_is_no_report(mail, part, limits) for part in _messages(mail))
    return Kind.AUTO_UNSURE if unsure else Kind.AUTO_REPLY


def _kind(mail: Mail, own_addresses: frozenset[str]) -> Kind:
    """By the mail itself, its attached messages left closed."""
    if mail.content_type == "multipart/report":
        return Kind.MDN if _is_mdn(mail) else Kind.DSN
    if _is_own(mail, own_addresses):
        return Kind.OWN
    if _is_failure_notice(mail):
        return Kind.FAILURE_NOTICE
    if _is_automatic(mail) and not archives(mail):
        return Kind.AUTO_REPLY
    return Kind.DOCUMENT


def _messages(mail: Mail) -> list[Part]:
    return [p for p in mail.parts if p.content_type == "message/rfc822" and not p.in_report]


def _is_no_report(mail: Mail, part: Part, limits: MailLimits) -> bool:
    return read(mail.content(part), limits).content_type != "multipart/report"


def _is_mdn(mail: Mail) -> bool:
    types = {part.content_type for part in mail.parts}
    asked = mail.report_type or ""
    return asked == "disposition-notification" or (
        not asked and "message/disposition-notification" in types
    )


def _is_own(mail: Mail, own_addresses: frozenset[str]) -> bool:
    """Marked as ours (X-Loop). A mail merely *from* a BAL of ours may be a document that one
    service sends to another: it is read, and never answered."""
    own = {address.lower() for address in own_addresses}
    looped = {value.strip(" <>").lower() for value in mail.all("x-loop")}
    return bool(own & looped)


def _is_failure_notice(mail: Mail) -> bool:
    return _KO.search(_bare_subject(mail)) is not None


def _bare_subject(mail: Mail) -> str:
    """Without accents and capitals."""
    decomposed = unicodedata.normalize("NFKD", mail.subject.replace("’", "'"))
    bare = "".join(c for c in decomposed if not unicodedata.combining(c))
    return bare.casefold()


def _auto_submitted(mail: Mail) -> set[str]:
    """Any value but ``no`` (RFC 3834 §5); parameters and comments do not count."""
    values = (re.split(r"[;(\s]", v.strip(), maxsplit=1)[0] for v in mail.all("auto-submitted"))
    return {value.lower() for value in values} - {"", "no"}


def _is_automatic(mail: Mail) -> bool:
    return bool(_auto_submitted(mail)) or mail.return_path == "" or _is_reply(mail)


def _is_reply(mail: Mail) -> bool:
    """An automatic mail that answers another one, or says that it did not arrive."""
    return (
        "auto-replied" in _auto_submitted(mail)
        or _SYSTEM_SENDER.match(mail.sender) is not None
        or bool(mail.raw_values("x-autoreply"))
    )


def opened(
    mail: Mail,
    own_addresses: frozenset[str] = frozenset(),
    limits: MailLimits = DEFAULT_LIMITS,
) -> Mail:
    """The mail that staff forwarded as message/rfc822, one level deep, else `mail` (decision 11).

    Bytes, parts and text are those of the inner mail, the headers stay those of the outer one:
    sender, Message-ID and answers of record belong to who forwarded (M-03, M-04). An inner report,
    failure notice, auto-reply or forward of a PFI stays closed.
    """
    if not _messages(mail) or kind(mail, own_addresses, limits) is not Kind.DOCUMENT:
        return mail
    inner = None if archives(mail) else _attached(mail, own_addresses, limits)
    return mail if inner is None else replace(inner, headers=mail.headers)


def _attached(mail: Mail, own_addresses: frozenset[str], limits: MailLimits) -> Mail | None:
    """The one message that stands for the whole mail; None for any other, and for a mark of ours.

    What is attached to it in its turn stays closed."""
    messages = [part for part in mail.parts if part.content_type == "message/rfc822"]
    if len(messages) != 1 or messages[0].in_report:
        return None
    inner = read(mail.content(messages[0]), limits)
    readable = inner.fault is None and not inner.raw_values(_FORWARDED_BY_PFI)
    return inner if readable and _kind(inner, own_addresses) is Kind.DOCUMENT else None


def came_back(mail: Mail, *, archive: bool, limits: MailLimits = DEFAULT_LIMITS) -> bool:
    """A forward of a PFI that the fallback mailbox, or another platform, sends on to a PFI.

    The mark is on the mail or on one that it attaches. Who forwards the text alone keeps no more
    than the subject: it counts where no `archive` tells the rounds of a loop.
    """
    if mail.raw_values(_FORWARDED_BY_PFI):
        return True
    inner = (read(mail.content(part), limits) for part in _messages(mail))
    if any(each.raw_values(_FORWARDED_BY_PFI) for each in inner):
        return True
    return not archive and _FORWARD.search(_bare_subject(mail)) is not None


def trusted(address: str, suffixes: tuple[str, ...]) -> bool:
    """True when the domain of a strict address belongs to the trust space (M-05)."""
    return within(headers.addr_spec(address).rpartition("@")[2], suffixes)


def may_answer(mail: Mail, policy: MailPolicy) -> bool:
    """Loop safety (RFC 3834 §2, F-06): no robot, list, report, own mail or stranger is answered."""
    if kind(mail, policy.own_addresses) is not Kind.DOCUMENT or _is_automatic(mail):
        return False
    return not _is_bulk(mail) and _answerable(mail.sender, policy)


def _is_bulk(mail: Mail) -> bool:
    listed = any(name.startswith("list-") for name, _ in mail.headers)
    return listed or any(value.lower() in _BULK for value in mail.all("precedence"))


def _answerable(address: str, policy: MailPolicy) -> bool:
    """A strict address of the trust space that is neither ours nor a robot's."""
    own = {own.lower() for own in policy.own_addresses}
    return (
        trusted(address, policy.trusted_suffixes)
        and address.lower() not in own
        and _ROBOT.match(address) is None
    )


def answer_address(mail: Mail, policy: MailPolicy, *, may: bool | None = None) -> str:
    """Where a failure notice goes: Return-Path, else From, never Reply-To (F-07); '' = nowhere.

    `may` is what `may_answer` said, for who has asked it already.
    """
    if not (may_answer(mail, policy) if may is None else may):
        return ""
    address = mail.return_path if mail.return_path is not None else mail.sender
    return address if _answerable(address, policy) else ""


def mdn_request(mail: Mail, policy: MailPolicy, *, may: bool | None = None) -> MdnRequest:
    """May the MDN leave by itself? (N-02, N-03, RFC 8098 §2.1–2.2).

    `may` as in `answer_address`.
    """
    if not mail.raw_values("disposition-notification-to"):
        return MdnRequest(asked=False)
    asked = mail.addresses("disposition-notification-to")
    address = asked[0] if len(asked) == 1 else ""
    allowed = may_answer(mail, policy) if may is None else may
    if address and _ROBOT.match(address):  # nobody reads it, and nobody can confirm it
        return MdnRequest(asked=True)
    may_go = bool(address) and _answerable(address, policy)
    if allowed and (not address or _needs_human(mail, address, policy)):
        return MdnRequest(asked=True, confirm=True, proposed=address if may_go else "")
    if not allowed or not may_go:
        return MdnRequest(asked=True)
    return MdnRequest(asked=True, to=address, proposed=address)


def _needs_human(mail: Mail, address: str, policy: MailPolicy) -> bool:
    """Another Return-Path, an option we do not know, or nothing to correlate the MDN with."""
    path = mail.return_path
    same = policy.trust_missing_return_path if path is None else path == address
    options = mail.all("disposition-notification-options")
    return not same or not mail.message_id or any(_REQUIRED.search(o) for o in options)
