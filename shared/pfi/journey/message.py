"""The MDM of one document, from what the ledger and the dossier remember.

A pure function of stored facts and the target's settings: building it again gives the same
bytes, so a repeat can be recognised by the DPI (Q-24).
"""

import hashlib
from datetime import datetime
from zoneinfo import ZoneInfo

from pfi.hl7 import mdm
from pfi.hl7.mllp import Message
from pfi.journey.chains import Chain
from pfi.journey.keys import version_of
from pfi.journey.records import DocumentFacts, DocumentRecord, Dossier, MailRecord
from pfi.journey.settings import DpiSettings, MailboxSettings, Settings
from pfi.names import Event

PARIS = ZoneInfo("Europe/Paris")


def new_control_id(document: DocumentRecord) -> str:
    """MSH-10: the same for every attempt at this document of this mail."""
    return mdm.control_id(document.mail, f"{document.number}#{document.version}", document.event)


def local_time(moment: datetime | None) -> str:
    """Paris time without zone, as the profile's samples write it (Q-37)."""
    return moment.astimezone(PARIS).strftime("%Y%m%d%H%M%S") if moment else ""


def masks_changed(document: DocumentRecord, chain: Chain, parent: Chain | None) -> bool:
    """MODIF_CONF_CODE: a replacement whose masks differ from the last accepted version (Q-21)."""
    if document.event is not Event.REPLACE:
        return False
    last = chain.accepted or (parent.accepted if parent else None)
    return last is not None and last.masks != document.masks


def build_message(
    mail: MailRecord,
    document: DocumentRecord,
    dossier: Dossier,
    content: bytes,
    mailbox: MailboxSettings,
    target: DpiSettings,
    settings: Settings,
) -> Message:
    """The whole ER7 message in the target's charset, in pieces."""
    facts = dossier.documents[document.number - 1]
    order = mdm.Order(
        control_id=document.control_id or new_control_id(document),
        event=document.event,
        environment=settings.environment,
        built_at=local_time(document.built_at),
        document=_document(facts),
        content=content,
        traits=document.traits,
        mail=_mail(mail, dossier, mailbox),
        ipp=document.ipp,
        invisible_patient=facts.invisible_patient,
        invisible_rep_legaux=facts.invisible_rep_legaux,
        masks_changed=document.masks_changed,
    )
    return mdm.build(order, _target(target))


def decided_of(document: DocumentRecord, dossier: Dossier, content: bytes) -> bool:
    """Whether the store still holds what was decided: a mail read again under other settings may
    say something else, and then nothing leaves. A document that lies in its dossier is of it; of
    several, each lies beside it and is known by its digest."""
    if document.number > len(dossier.documents):
        return False
    facts = dossier.documents[document.number - 1]
    beside = len(dossier.documents) > 1
    same = not beside or hashlib.sha256(content).hexdigest() == facts.sha256
    return same and version_of(facts) == document.version


def fingerprint(message: Message) -> str:
    """SHA-256 of the bytes that leave, to know a repeat by (Q-24)."""
    seal = hashlib.sha256()
    for piece in message:
        seal.update(piece)
    return seal.hexdigest()


def _document(facts: DocumentFacts) -> mdm.DocumentFacts:
    return mdm.DocumentFacts(
        id_root=facts.id_root,
        id_extension=facts.id_extension,
        code=facts.code,
        code_system=facts.code_system,
        label=facts.label,
        effective_time=facts.effective_time,
        parent=facts.parent,
        legal_authenticator=facts.legal_authenticator,
        patient_ids=facts.identity.ids,
        address=mdm.Address(facts.street, facts.city, facts.postal_code, facts.country),
    )


def _mail(mail: MailRecord, dossier: Dossier, mailbox: MailboxSettings) -> mdm.MailFacts:
    facts = dossier.facts
    service = None
    if mailbox.service_name:
        service = mdm.Service(name=mailbox.service_name, code=mailbox.service_code)
    return mdm.MailFacts(
        message_id=facts.message_id,
        subject=facts.subject,
        sender=facts.sender,
        recipients=facts.recipients,
        received_at=local_time(facts.sent_at or mail.received_at),
        reply_to=facts.reply_to,
        text=facts.text,
        service=service,
    )


def _target(target: DpiSettings) -> mdm.Target:
    return mdm.Target(
        sending_application=target.sending_application,
        sending_facility=target.sending_facility,
        receiving_application=target.receiving_application,
        receiving_facility=target.receiving_facility,
        charset=target.charset,
        add_local_ipp=target.add_local_ipp,
        ipp_authority=target.ipp_authority,
        txa13_on_delete=target.txa13_on_delete,
    )
