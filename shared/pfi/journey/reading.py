"""From the bytes of a mail to a dossier: what it is, what it holds, why it cannot go on.

Pure: `parse` and `pfi explain` both call `read_mail`.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from pfi.cda.document import ClinicalDocument
from pfi.cda.document import read as read_cda
from pfi.errors import Unreadable
from pfi.hl7.document_types import LABELS
from pfi.ins.identity import DocumentIdentity
from pfi.ins.matricule import read as read_matricule
from pfi.journey.records import DocumentFacts, Dossier, MailFacts
from pfi.journey.settings import MailboxSettings, Settings
from pfi.mail import rules
from pfi.mail.inbound import Mail, MailLimits
from pfi.mail.inbound import read as read_mime
from pfi.names import Event, Reason, Route
from pfi.xdm.archive import XdmLimits
from pfi.xdm.metadata import describes
from pfi.xdm.submission import Requested, Submission, XdmDocument
from pfi.xdm.submission import read as read_xdm

UNIQUE_ID_DIFFERS = "xdm_unique_id_differs"
TYPE_NOT_IN_JDV_J07 = "cda_type_not_in_jdv_j07"
MAX_DOCUMENTS = 90
"""Documents that one ledger transaction can decide together (DynamoDB: 100 rows)."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A dossier and the bytes of its documents, in the same order."""

    dossier: Dossier
    contents: tuple[bytes, ...] = ()


def mail_policy(settings: Settings) -> rules.MailPolicy:
    """The rules of answering that the settings ask for."""
    return rules.MailPolicy(
        own_addresses=settings.own_addresses,
        trusted_suffixes=settings.trusted_suffixes,
        trust_missing_return_path=settings.mdn.trust_missing_return_path,
    )


def read_mail(raw: bytes, mailbox: MailboxSettings, settings: Settings) -> Reading:
    """Kind first, then trust, then the archive (mssante-mail §1.3)."""
    limits = MailLimits(size=settings.limits.mail_bytes)
    mail = read_mime(raw, limits)
    policy = mail_policy(settings)
    facts = _facts(mail, mailbox, policy)
    ended = _ended_by_kind(mail, policy)
    archives = () if ended else _archives(mail, settings)
    facts = replace(facts, came_back=rules.came_back(mail, archive=bool(archives), limits=limits))
    if ended is not None:
        return Reading(replace(ended, facts=facts))
    dossier = Dossier(facts=facts, archive_sha256=_archive_digest(archives))
    try:
        documents, contents = _read_documents(archives, settings)
    except Unreadable as fault:
        return Reading(replace(dossier, reason=fault.reason.value))
    return Reading(replace(dossier, documents=documents), contents)


def _facts(mail: Mail, mailbox: MailboxSettings, policy: rules.MailPolicy) -> MailFacts:
    may = rules.may_answer(mail, policy)
    request = rules.mdn_request(mail, policy, may=may)
    return MailFacts(
        message_id=mail.message_id or _synthetic_id(mail, mailbox),
        subject=mail.subject,
        sender=mail.sender,
        reply_to=mail.reply_to,
        recipients=_own_recipients(mail.recipients, mailbox.address, policy.own_addresses),
        answer_to=rules.answer_address(mail, policy, may=may),
        mdn_to=request.to,
        mdn_confirm=request.confirm,
        sent_at=_date(mail.date),
        text=mail.text,
    )


def _synthetic_id(mail: Mail, mailbox: MailboxSettings) -> str:
    """A mail without Message-ID gets one of ours; its MDN could not be correlated (§1.2)."""
    seal = hashlib.sha256(mail.raw).hexdigest()[:16]
    return f"<pfi.{seal}@{mailbox.address.rpartition('@')[2]}>"


def _own_recipients(
    recipients: Sequence[str], address: str, own: frozenset[str]
) -> tuple[str, ...]:
    """PRT RCT names the BAL of this hospital only (§1.2 To, Cc); the one that processes first."""
    others = (each for each in recipients if each.lower() in own)
    return tuple(dict.fromkeys([address, *(each for each in others if each != address)]))


def _date(header: str) -> datetime | None:
    """The time of the mail, for EVN-6; None when the header cannot be read (§1.2 Date).

    Nor in the first and last years of the calendar, where it has no Paris time.
    """
    try:
        found = parsedate_to_datetime(header)
        found = found if found.tzinfo else found.replace(tzinfo=UTC)
        return found if 1 < found.astimezone(UTC).year < 9999 else None
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _ended_by_kind(mail: Mail, policy: rules.MailPolicy) -> Dossier | None:
    """Technical mails are filed; what looks like one but may hide a loss goes to a person."""
    kind = rules.kind(mail, policy.own_addresses)
    if kind is rules.Kind.AUTO_UNSURE:
        return _unsure(mail, policy)
    if kind not in (rules.Kind.DOCUMENT, rules.Kind.FAILURE_NOTICE):
        return _technical(mail, kind)
    if mail.fault is not None and not mail.sender:
        return _ended(mail.fault)
    if not rules.trusted(mail.sender, policy.trusted_suffixes):
        return _ended(Reason.SENDER_NOT_TRUSTED, Route.REVIEW)
    if kind is rules.Kind.FAILURE_NOTICE:
        return _ended(Reason.AUTO_GENERATED)  # it embeds a valid archive: never opened
    return None if mail.fault is None else _ended(mail.fault)


def _technical(mail: Mail, kind: rules.Kind) -> Dossier:
    if kind is rules.Kind.DSN:
        return _delivery_report(mail)
    if kind is rules.Kind.OWN:
        ended = _ended(Reason.AUTO_GENERATED, Route.REVIEW)
        return replace(ended, own_message_id=mail.message_id)
    return _ended(Reason.AUTO_GENERATED, Route.FILED)  # an MDN, an automatic answer


def _unsure(mail: Mail, policy: rules.MailPolicy) -> Dossier:
    """Of an automatic mail nobody knows whether it is a document or a bounce of ours: filed it may
    be a loss, forwarded a loop. A person looks (§1.3 step 5)."""
    trusted = rules.trusted(mail.sender, policy.trusted_suffixes)
    return _ended(Reason.AUTO_UNSURE if trusted else Reason.SENDER_NOT_TRUSTED, Route.REVIEW)


def _delivery_report(mail: Mail) -> Dossier:
    """A mail of ours that did not arrive is somebody's lost document: never filed silently."""
    if not rules.says_failed(mail):
        return _ended(Reason.AUTO_GENERATED, Route.FILED)
    ended = _ended(Reason.BOUNCED, Route.REVIEW)
    return replace(ended, own_message_id=rules.bounced_message_id(mail))


def _ended(reason: Reason, route: Route | None = None) -> Dossier:
    return Dossier(facts=MailFacts(), route=route, reason=reason.value)


def _read_documents(
    archives: Sequence[bytes], settings: Settings
) -> tuple[tuple[DocumentFacts, ...], tuple[bytes, ...]]:
    if not archives:
        raise Unreadable(Reason.NO_XDM)
    limits = _archive_limits(settings, len(archives))
    submissions = [
        read_xdm(
            archive, limits, hash_check=settings.xdm.hash, lenient_uri=settings.xdm.lenient_uri
        )
        for archive in archives
    ]
    found = _documents(submissions, settings)
    _one_patient([facts for facts, _ in found])
    documents, contents = _distinct(found)
    if len(documents) > MAX_DOCUMENTS:
        raise Unreadable(Reason.ZIP_UNSAFE)
    return documents, contents


def _archive_limits(settings: Settings, archives: int) -> XdmLimits:
    """The limits hold for a whole mail (M-15): its archives share them, else many small bombs
    would weigh what one may not."""
    return XdmLimits(
        unzipped_bytes=settings.limits.unzipped_bytes // archives,
        entries=settings.limits.entries // archives,
        ratio=settings.limits.ratio,
        metadata_bytes=XdmLimits().metadata_bytes // archives,
    )


def _archives(mail: Mail, settings: Settings) -> tuple[bytes, ...]:
    """Of the mail, or of the one message that staff forwarded with it (decision 11)."""
    limits = MailLimits(size=settings.limits.mail_bytes)
    return rules.archives(rules.opened(mail, settings.own_addresses, limits))


def _archive_digest(archives: Sequence[bytes]) -> str:
    digests = sorted(hashlib.sha256(archive).hexdigest() for archive in archives)
    return hashlib.sha256("".join(digests).encode()).hexdigest() if digests else ""


def _documents(
    submissions: Sequence[Submission], settings: Settings
) -> list[tuple[DocumentFacts, bytes]]:
    return [
        (_document(document, submission.patient, settings), document.content)
        for submission in submissions
        for document in submission.documents
    ]


def _distinct(
    found: Sequence[tuple[DocumentFacts, bytes]],
) -> tuple[tuple[DocumentFacts, ...], tuple[bytes, ...]]:
    """X-32: the same document twice counts once; with other bytes, another request or other masks
    it is refused: one of the two would silently win."""
    kept: dict[str, tuple[DocumentFacts, bytes]] = {}
    for facts, content in found:
        known = kept.setdefault(facts.id.lower(), (facts, content))
        if known != (replace(facts, warnings=known[0].warnings), content):
            raise Unreadable(Reason.METADATA_INVALID)
    return (
        tuple(facts for facts, _ in kept.values()),
        tuple(content for _, content in kept.values()),
    )


def _document(
    document: XdmDocument, patient: tuple[str, str] | None, settings: Settings
) -> DocumentFacts:
    cda = read_cda(document.content)
    event = requested_event(document.requested, cda, settings.xdm.rplc_without_action)
    identity = replace(cda.identity, metadata_patient=patient)
    return DocumentFacts(
        id_root=cda.id_root,
        id_extension=cda.id_extension,
        event=event,
        code=cda.code,
        code_system=cda.code_system,
        label=cda.display_name,
        effective_time=cda.effective_time,
        identity=identity,
        parent=cda.parent if event is not Event.NEW else None,
        legal_authenticator=cda.legal_authenticator,
        street=cda.street,
        city=cda.city,
        postal_code=cda.postal_code,
        country=cda.country,
        sha256=hashlib.sha256(document.content).hexdigest(),
        size=len(document.content),
        masque_ps=document.masks.masque_ps,
        invisible_patient=document.masks.invisible_patient,
        invisible_rep_legaux=document.masks.invisible_rep_legaux,
        warnings=_warnings(document, cda),
    )


def _warnings(document: XdmDocument, cda: ClinicalDocument) -> tuple[str, ...]:
    """What was accepted although it is not as the profile wants it (X-27, H-05 among others)."""
    found = [str(word) for word in (*document.warnings, *cda.warnings)]
    if not describes(document.entry, cda.id_root, cda.id_extension):
        found.append(UNIQUE_ID_DIFFERS)
    if cda.code not in LABELS:
        found.append(TYPE_NOT_IN_JDV_J07)
    return tuple(found)


def requested_event(requested: Requested, cda: ClinicalDocument, unsaid_rplc: str) -> Event:
    """Which operation is asked, first line that matches (xdm-archive §2.4).

    The archive's `action` decides; RPLC in the CDA alone means a replacement only when nothing
    else was said, because deletion samples carry it too.
    """
    if requested is Requested.DELETE:
        return Event.DELETE
    if requested in (Requested.REPLACE, Requested.RPLC):
        if cda.parent is None:
            raise Unreadable(Reason.REPLACE_WITHOUT_PARENT)
        return Event.REPLACE
    if cda.parent is not None and unsaid_rplc == "replace":
        return Event.REPLACE
    return Event.NEW


def _one_patient(documents: Sequence[DocumentFacts]) -> None:
    """M-10: one patient per mail, over all archives and documents.

    Two numbers of one scheme are two patients, whatever else links them; documents that share no
    number at all are not known to be of one patient either.
    """
    found = [_ins_ids(document.identity) for document in documents]
    everything = frozenset[tuple[str, str]]().union(*found)
    schemes = [scheme for _, scheme in everything]
    if len(documents) > 1 and len(schemes) != len(set(schemes)):
        raise Unreadable(Reason.MULTIPLE_PATIENTS)
    with_ins = [ids for ids in found if ids]
    if with_ins and not frozenset.intersection(*with_ins):
        raise Unreadable(Reason.MULTIPLE_PATIENTS)
    if len({document.identity.metadata_patient for document in documents} - {None}) > 1:
        raise Unreadable(Reason.MULTIPLE_PATIENTS)


def _ins_ids(identity: DocumentIdentity) -> frozenset[tuple[str, str]]:
    found = (read_matricule(each.extension, each.root) for each in identity.ids)
    return frozenset((ins.value, ins.kind.value) for ins in found if ins is not None)
