"""The MDM message of profile CISIS_CDA_HL7_LPS 1.1, field by field (hl7-mdm §5.3).

A pure function of its inputs: the same order gives the same bytes, so that a message whose fate
is unknown can be sent again and recognised (L-07, Q-24).
"""

import hashlib
import re
from base64 import b32encode
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import Final

from pfi import codecs
from pfi.errors import Unreadable
from pfi.hl7 import document_types, er7
from pfi.hl7.mllp import Message
from pfi.ins import matricule
from pfi.ins import traits as rules
from pfi.ins.identity import InsKind, PatientId, Traits
from pfi.names import Environment, Event, Reason

PROFILE: Final = "1.1^CISIS_CDA_HL7_LPS"
_ORDER_CONTROL: Final = {Event.NEW: "NW", Event.REPLACE: "RO", Event.DELETE: "CA"}
_RESULT_STATUS: Final = {Event.NEW: "F", Event.REPLACE: "C", Event.DELETE: "D"}
"""ORC-1 and OBX(document)-11: both must agree with MSH-9 (§5.1)."""
_ROLES: Final = {
    "SB": "SB^Send by^participation",
    "RCT": "RCT^Result Copies To^participation",
    "REPLY": "REPLY^Reply To^participation",
}
_INS_NAMESPACE: Final = {kind: "ASIP-SANTE-INS-NIR" for kind in InsKind} | {
    InsKind.NIA: "ASIP-SANTE-INS-NIA"
}
_MASQUE_PS: Final = ("MASQUE_PS", "Masqué aux professionnels de Santé")
_INVISIBLE_PATIENT: Final = ("INVISIBLE_PATIENT", "Document Non Visible par le patient")
_INVISIBLE_LEGAL: Final = (
    "INVISIBLE_REP_LEGAUX",
    "Non visible par les représentants Légaux du patient",
)
_MASKS_CHANGED: Final = ("MODIF_CONF_CODE", "Modification Confidentiality Code")
_TIMESTAMP: Final = re.compile(r"[0-9]{4,14}")
_FRANCE: Final = frozenset({"", "FR", "FRA", "FRANCE"})
_COUNTRY_SIZE: Final = 3
_CONTROL_ID_SIZE: Final = 20


@dataclass(frozen=True, slots=True)
class Target:
    """One DPI interface: MSH-3…6 (``NS`` or ``NS^OID^ISO``), charset, and its peculiarities.

    `ipp_authority` is ``NS&OID&ISO``: the hospital's own number is only added when asked (Q-16).
    """

    sending_application: str
    sending_facility: str
    receiving_application: str
    receiving_facility: str
    charset: str = er7.UTF8
    add_local_ipp: bool = False
    ipp_authority: str = ""
    txa13_on_delete: bool = False


@dataclass(frozen=True, slots=True)
class Service:
    """The hospital service behind a mailbox (PRT RCT-8): name, authority ``NS&id&type``, code."""

    name: str
    authority: str = ""
    code: str = ""
    kind: str = "UF"


@dataclass(frozen=True, slots=True)
class MailFacts:
    """The mail that brought the document; `recipients` begin with our own mailbox."""

    message_id: str
    subject: str
    sender: str
    recipients: tuple[str, ...]
    received_at: str
    reply_to: str = ""
    text: str = ""
    service: Service | None = None


@dataclass(frozen=True, slots=True)
class Address:
    """The patient's address of the CDA."""

    street: str = ""
    city: str = ""
    postal_code: str = ""
    country: str = ""


@dataclass(frozen=True, slots=True)
class DocumentFacts:
    """What the message repeats of the CDA header, values as the CDA writes them."""

    id_root: str
    code: str
    code_system: str
    patient_ids: tuple[PatientId, ...]
    id_extension: str = ""
    label: str = ""
    effective_time: str = ""
    parent: tuple[str, str] | None = None
    legal_authenticator: str = ""
    address: Address = field(default_factory=Address)


@dataclass(frozen=True, slots=True)
class Order:
    """One document to transmit, replace or delete. Times are local, ``YYYYMMDDHHMMSS`` (Q-37).

    There is no MASQUE_PS here: a document under that mask is never sent (Q-20).
    """

    control_id: str
    event: Event
    environment: Environment
    built_at: str
    document: DocumentFacts
    content: bytes
    traits: Traits
    mail: MailFacts
    ipp: str = ""
    invisible_patient: bool = False
    invisible_rep_legaux: bool = False
    masks_changed: bool = False


def control_id(mail_digest: str, document_key: str, event: Event) -> str:
    """MSH-10: one per document operation, the same for each attempt, 20 characters (Q-24)."""
    seed = "\x1f".join((mail_digest, document_key, event.value)).encode()
    return ("PFI" + b32encode(hashlib.sha256(seed).digest()).decode())[:_CONTROL_ID_SIZE]


def build(order: Order, target: Target) -> Message:
    """The whole message, every segment ended by CR: the document's base64 between its two ends."""
    pen = _Pen(target.charset)
    kind = _document_type(order.document, pen)
    before = (*_head(order, target, pen, kind), f"OBX|1|ED|{kind}||^text^XML^Base64^")
    after = (f"||||||{_RESULT_STATUS[order.event]}", *_tail(order, pen), "")
    return (
        er7.encode("\r".join(before), target.charset),
        codecs.to_base64(order.content),
        er7.encode("\r".join(after), target.charset),
    )


def unencodable(order: Order, target: Target) -> int:
    """How many characters leave as ``?`` because the target's charset lacks them (L-04)."""
    traits, mail, address = order.traits, order.mail, order.document.address
    written = (
        *(traits.birth_name, traits.first_given, traits.given_list),
        *(traits.used_name, traits.used_given, address.street, address.city),
        *(order.document.label, mail.subject, mail.service.name if mail.service else ""),
    )
    return sum(er7.lost(text, target.charset) for text in written)


class _Pen:
    """Writes text and components in one charset."""

    def __init__(self, charset: str) -> None:
        self._charset = charset

    def text(self, value: str) -> str:
        return er7.text(value, self._charset)

    def components(self, *values: str) -> str:
        """The components of a field, nothing after the last one that is filled."""
        plain = er7.ordinary("".join(values))
        return "^".join(values if plain else map(self.text, values)).rstrip("^")

    def authority(self, value: str, between: str = "&") -> str:
        """An HD that an operator configured: its own delimiters stay."""
        return between.join(map(self.text, value.split(between)))


def _trimmed(segment: str) -> str:
    """Nothing after the last field that is filled (L-05); no text ends with a bar of its own."""
    return segment.rstrip("|")


def _head(order: Order, target: Target, pen: _Pen, kind: str) -> tuple[str, ...]:
    """The segments before the document."""
    built_at, received_at = pen.text(order.built_at), pen.text(order.mail.received_at)
    return (
        _header(order, target, pen, built_at),
        _trimmed(f"EVN||{built_at}||||{received_at}"),
        _patient(order, target, pen),
        "PV1|1|N",
        f"ORC|{_ORDER_CONTROL[order.event]}",
        _trimmed(f"OBR|1|||{kind}"),
        _document_header(order, target, pen),
    )


def _header(order: Order, target: Target, pen: _Pen, built_at: str) -> str:
    """MSH-3…7, 9…12, 17, 18 and 21."""
    mode = "P" if order.environment is Environment.PRODUCTION else "T"
    return (
        f"MSH|^~\\&|{_ends(target)}|{built_at}||MDM^{order.event}^MDM_T02"
        f"|{pen.text(order.control_id)}|{mode}|2.6|||||FRA|{target.charset}|||{PROFILE}"
    )


@lru_cache
def _ends(target: Target) -> str:
    """MSH-3…6, the same in every message to a target."""
    pen = _Pen(target.charset)
    sender = (target.sending_application, target.sending_facility)
    receiver = (target.receiving_application, target.receiving_facility)
    return "|".join(pen.authority(each, "^") for each in (*sender, *receiver))


# --- PID ----------------------------------------------------------------------------------------


def _patient(order: Order, target: Target, pen: _Pen) -> str:
    """PID-3, 5, 7, 8, 11, 31 and 32."""
    traits, ids = order.traits, order.document.patient_ids
    with_ins = any([matricule.kind_of(one.root) for one in ids])
    return _trimmed(
        f"PID|||{_identifiers(order, target, pen)}||{_names(traits, pen)}"
        f"||{rules.day(traits.birth_date)}|{rules.sex(traits.sex) or 'U'}"
        f"|||{_places(order.document.address, traits, pen)}"
        f"{'|' * (31 - 11)}N|{'VALI' if with_ins else ''}"
    )


def _identifiers(order: Order, target: Target, pen: _Pen) -> str:
    """PID-3: one CX per id of the CDA, in its order; the local number last, if asked (Q-16)."""
    ids = order.document.patient_ids
    written = [_identifier(one, pen) for one in ids if one.extension.strip()]
    if target.add_local_ipp and order.ipp:
        written.append(f"{pen.text(order.ipp)}^^^{pen.authority(target.ipp_authority)}^PI")
    return "~".join(written)


def _identifier(one: PatientId, pen: _Pen) -> str:
    kind = matricule.kind_of(one.root)
    if kind is None:
        return f"{pen.text(one.extension)}^^^&{pen.text(one.root)}&ISO^PI"
    number = pen.text(matricule.clean(one.extension))
    return f"{number}^^^{_INS_NAMESPACE[kind]}&{kind.value}&ISO^INS"


def _names(traits: Traits, pen: _Pen) -> str:
    """PID-5: the name of birth, then the used one as a repetition of type D."""
    birth = (traits.birth_name, traits.first_given, traits.given_list, "", "", "", "L")
    if not (traits.used_name or traits.used_given):
        return pen.components(*birth)
    used = (traits.used_name, traits.used_given, "", "", "", "", "D")
    return f"{pen.components(*birth)}~{pen.components(*used)}"


def _places(address: Address, traits: Traits, pen: _Pen) -> str:
    """PID-11: the address, then the birthplace as a repetition of type BDL (XAD-7, XAD-9)."""
    written = []
    if address.street or address.city or address.postal_code:
        end = (address.postal_code, _country(address.country), "H")
        written.append(pen.components(address.street, "", address.city, "", *end))
    if traits.birth_place:
        written.append(f"^^^^^^BDL^^{pen.text(traits.birth_place)}")
    return "~".join(written)


def _country(name: str) -> str:
    """XAD-6 is a three-letter code; a country written in words is left out."""
    code = name.strip().upper()
    if code in _FRANCE:
        return "FRA"
    return code if len(code) == _COUNTRY_SIZE and code.isalpha() and code.isascii() else ""


# --- the document -------------------------------------------------------------------------------


def _document_type(document: DocumentFacts, pen: _Pen) -> str:
    """OBR-4 and OBX-3: the coding system is mandatory with any code (CWE of 2.7)."""
    label = document.label.strip() or document_types.label(document.code)
    system = document_types.coding_system(document.code, document.code_system)
    return pen.components(document.code, label, system)


def _document_header(order: Order, target: Target, pen: _Pen) -> str:
    """TXA-1…4, 12, 13, 17 and 22."""
    document = order.document
    time = _TIMESTAMP.match(document.effective_time.strip())
    entity = _entity(document.id_root, document.id_extension, pen)
    return _trimmed(
        f"TXA|1|{pen.text(document.code)}|TEXT|{time.group() if time else ''}"
        f"||||||||{entity}|{_parent(order, target, pen)}"
        f"||||AU|||||{pen.text(document.legal_authenticator)}"
    )


def _entity(root: str, extension: str, pen: _Pen) -> str:
    """TXA-12/13: ``extension^^root^ISO``, or the root alone (Q-22)."""
    return pen.components(extension, "", root, "ISO") if extension else pen.text(root)


def _parent(order: Order, target: Target, pen: _Pen) -> str:
    """TXA-13: required in a replacement, sent in a deletion only where a DPI wants it (Q-22)."""
    parent = order.document.parent
    if order.event is Event.REPLACE and parent is None:
        raise Unreadable(Reason.REPLACE_WITHOUT_PARENT)
    wanted = order.event is Event.REPLACE or (
        order.event is Event.DELETE and target.txa13_on_delete
    )
    return _entity(*parent, pen) if parent and wanted else ""


# --- the mail and the masks ---------------------------------------------------------------------


def _tail(order: Order, pen: _Pen) -> Iterator[str]:
    """The segments after the document."""
    mail = order.mail
    yield _participant("SB", mail.sender, pen)
    for rank, recipient in enumerate(mail.recipients):
        service = mail.service if rank == 0 else None
        yield _participant("RCT", recipient, pen, service)
    if mail.reply_to:
        yield _participant("REPLY", mail.reply_to, pen)
    yield _mail_result(mail, pen)
    yield _restrictions(order.invisible_patient, order.invisible_rep_legaux, order.masks_changed)


def _participant(role: str, address: str, pen: _Pen, service: Service | None = None) -> str:
    """PRT-2, 4, 8 and 15."""
    organisation = _organisation(service, pen) if service else ""
    return f"PRT||UC||{_ROLES[role]}||||{organisation}|||||||^^X.400^{pen.text(address)}"


def _organisation(service: Service, pen: _Pen) -> str:
    """XON: name, authority (.6), type (.7) and code (.10) of the service."""
    kind = service.kind if service.code else ""
    start = f"{pen.text(service.name)}^^^^^{pen.authority(service.authority)}"
    return f"{start}^{pen.components(kind, '', '', service.code)}".rstrip("^")


def _mail_result(mail: MailFacts, pen: _Pen) -> str:
    """OBX 2: the text of the mail, in UTF-8 whatever the target's charset."""
    text = codecs.to_base64(mail.text.encode(errors="replace")).decode()
    mail_name = pen.components(mail.message_id, mail.subject)
    return f"OBX|2|ED|{mail_name}||^text^^Base64^{text}||||||F"


@cache
def _restrictions(patient: bool, legal: bool, changed: bool) -> str:
    """OBX 3…6, all four in this order; MASQUE_PS is always N: a Y is never transmitted."""
    masks = (
        (_MASQUE_PS, False),
        (_INVISIBLE_PATIENT, patient),
        (_INVISIBLE_LEGAL, legal),
        (_MASKS_CHANGED, changed),
    )
    return "\r".join(
        f"OBX|{number}|CWE|{code}^{label}^MetaDMPMSS"
        f"||{'Y' if masked else 'N'}^^expandedYes-NoIndicator||||||F"
        for number, ((code, label), masked) in enumerate(masks, start=3)
    )
