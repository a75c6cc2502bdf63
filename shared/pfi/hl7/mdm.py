"""The MDM message of profile CISIS_CDA_HL7_LPS 1.1, field by field (hl7-mdm §5.3).

A pure function of its inputs: the same order gives the same bytes, so that a message whose fate
is unknown can be sent again and recognised (L-07, Q-24).
"""

import hashlib
import re
from base64 import b32encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
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
    head = "\r".join(_head(order, target, pen))
    tail = "".join(f"{segment}\r" for segment in _tail(order, pen))
    before, after = _document_result(order, pen)
    return (
        er7.encode(f"{head}\r{before}", target.charset),
        codecs.to_base64(order.content),
        er7.encode(f"{after}\r{tail}", target.charset),
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
    """Writes text, components and segments in one charset."""

    def __init__(self, charset: str) -> None:
        self._charset = charset

    def text(self, value: str) -> str:
        return er7.text(value, self._charset)

    def components(self, *values: str) -> str:
        return "^".join(map(self.text, values)).rstrip("^")

    def authority(self, value: str, between: str = "&") -> str:
        """An HD that an operator configured: its own delimiters stay."""
        return between.join(self.text(part) for part in value.split(between))


def _segment(name: str, fields: Mapping[int, str]) -> str:
    """A segment from its numbered fields; nothing after the last one that is filled (L-05)."""
    filled = [number for number, value in fields.items() if value]
    line = [name] + [""] * max(filled, default=0)
    for number in filled:
        line[number] = fields[number]
    return "|".join(line)


def _head(order: Order, target: Target, pen: _Pen) -> Iterator[str]:
    yield _header(order, target, pen)
    mail = order.mail
    yield _segment("EVN", {2: pen.text(order.built_at), 6: pen.text(mail.received_at)})
    yield _patient(order, target, pen)
    yield "PV1|1|N"
    yield _segment("ORC", {1: _ORDER_CONTROL[order.event]})
    yield _segment("OBR", {1: "1", 4: _document_type(order.document, pen)})
    yield _document_header(order, target, pen)


def _header(order: Order, target: Target, pen: _Pen) -> str:
    production = order.environment is Environment.PRODUCTION
    fields = {
        2: pen.authority(target.sending_application, "^"),
        3: pen.authority(target.sending_facility, "^"),
        4: pen.authority(target.receiving_application, "^"),
        5: pen.authority(target.receiving_facility, "^"),
        6: pen.text(order.built_at),
        8: f"MDM^{order.event.value}^MDM_T02",
        9: pen.text(order.control_id),
        10: "P" if production else "T",
        11: "2.6",
        16: "FRA",
        17: target.charset,
        20: PROFILE,
    }
    # MSH-1 is the bar itself: what `_segment` counts as 1 is MSH-2.
    return _segment("MSH", {1: r"^~\&", **fields})


# --- PID ----------------------------------------------------------------------------------------


def _patient(order: Order, target: Target, pen: _Pen) -> str:
    traits, ids = order.traits, order.document.patient_ids
    with_ins = any(matricule.kind_of(one.root) for one in ids)
    fields = {
        3: "~".join(_identifiers(order, target, pen)),
        5: "~".join(_names(traits, pen)),
        7: rules.day(traits.birth_date),
        8: rules.sex(traits.sex) or "U",
        11: "~".join(_places(order.document.address, traits, pen)),
        31: "N",
        32: "VALI" if with_ins else "",
    }
    return _segment("PID", fields)


def _identifiers(order: Order, target: Target, pen: _Pen) -> Iterator[str]:
    """PID-3: one CX per id of the CDA, in its order; the local number last, if asked (Q-16)."""
    for one in order.document.patient_ids:
        if one.extension.strip():
            yield _identifier(one, pen)
    if target.add_local_ipp and order.ipp:
        yield f"{pen.text(order.ipp)}^^^{pen.authority(target.ipp_authority)}^PI"


def _identifier(one: PatientId, pen: _Pen) -> str:
    kind = matricule.kind_of(one.root)
    if kind is None:
        return f"{pen.text(one.extension)}^^^&{pen.text(one.root)}&ISO^PI"
    number = pen.text(matricule.clean(one.extension))
    return f"{number}^^^{_INS_NAMESPACE[kind]}&{kind.value}&ISO^INS"


def _names(traits: Traits, pen: _Pen) -> Iterator[str]:
    yield pen.components(traits.birth_name, traits.first_given, traits.given_list, "", "", "", "L")
    if traits.used_name or traits.used_given:
        yield pen.components(traits.used_name, traits.used_given, "", "", "", "", "D")


def _places(address: Address, traits: Traits, pen: _Pen) -> Iterator[str]:
    """PID-11: the address, then the birthplace as a repetition of type BDL (XAD-7, XAD-9)."""
    if address.street or address.city or address.postal_code:
        country = _country(address.country)
        yield pen.components(
            address.street, "", address.city, "", address.postal_code, country, "H"
        )
    if traits.birth_place:
        yield f"^^^^^^BDL^^{pen.text(traits.birth_place)}"


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
    document = order.document
    time = _TIMESTAMP.match(document.effective_time.strip())
    fields = {
        1: "1",
        2: pen.text(document.code),
        3: "TEXT",
        4: time.group() if time else "",
        12: _entity(document.id_root, document.id_extension, pen),
        13: _parent(order, target, pen),
        17: "AU",
        22: pen.text(document.legal_authenticator),
    }
    return _segment("TXA", fields)


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


def _document_result(order: Order, pen: _Pen) -> tuple[str, str]:
    """OBX 1 around its base64: everything before it, everything after it."""
    kind = _document_type(order.document, pen)
    return f"OBX|1|ED|{kind}||^text^XML^Base64^", f"||||||{_RESULT_STATUS[order.event]}"


# --- the mail and the masks ---------------------------------------------------------------------


def _tail(order: Order, pen: _Pen) -> Iterator[str]:
    mail = order.mail
    yield _participant("SB", mail.sender, pen)
    for rank, recipient in enumerate(mail.recipients):
        service = mail.service if rank == 0 else None
        yield _participant("RCT", recipient, pen, service)
    if mail.reply_to:
        yield _participant("REPLY", mail.reply_to, pen)
    yield _mail_result(mail, pen)
    yield from _mask_results(order)


def _participant(role: str, address: str, pen: _Pen, service: Service | None = None) -> str:
    fields = {
        2: "UC",
        4: _ROLES[role],
        8: _organisation(service, pen) if service else "",
        15: f"^^X.400^{pen.text(address)}",
    }
    return _segment("PRT", fields)


def _organisation(service: Service, pen: _Pen) -> str:
    """XON: name, authority (.6), type (.7) and code (.10) of the service."""
    kind = service.kind if service.code else ""
    start = f"{pen.text(service.name)}^^^^^{pen.authority(service.authority)}"
    return f"{start}^{pen.components(kind, '', '', service.code)}".rstrip("^")


def _mail_result(mail: MailFacts, pen: _Pen) -> str:
    text = codecs.to_base64(er7.encode(er7.fit(mail.text, er7.UTF8), er7.UTF8)).decode()
    fields = {
        1: "2",
        2: "ED",
        3: pen.components(mail.message_id, mail.subject),
        5: f"^text^^Base64^{text}",
        11: "F",
    }
    return _segment("OBX", fields)


def _mask_results(order: Order) -> Iterator[str]:
    """OBX 3…6, all four in this order; MASQUE_PS is always N: a Y is never transmitted."""
    masks = (
        (_MASQUE_PS, False),
        (_INVISIBLE_PATIENT, order.invisible_patient),
        (_INVISIBLE_LEGAL, order.invisible_rep_legaux),
        (_MASKS_CHANGED, order.masks_changed),
    )
    for number, ((code, label), masked) in enumerate(masks, start=3):
        answer = "Y" if masked else "N"
        kind = f"{code}^{label}^MetaDMPMSS"
        yield f"OBX|{number}|CWE|{kind}||{answer}^^expandedYes-NoIndicator||||||F"
