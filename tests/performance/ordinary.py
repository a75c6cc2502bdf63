"""The path as it is usually written first: policy.default, zipfile, a whole lxml tree, python-hl7.

It reads no METADATA.XML either, and checks nothing.
"""

import io
import zipfile
from base64 import b64encode
from collections.abc import Callable, Iterable
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Final

import hl7
from lxml import etree

from tests.performance.product import CONTROL_ID, Pieces, Traits
from tests.performance.told import BUILT_AT, MASKS, MSH, RECEIVED_AT, ROLES, Told, escaped

try:
    from pybase64 import b64encode as quick_base64
except ImportError:
    quick_base64 = b64encode

_NS: Final = {"h": "urn:hl7-org:v3"}
_INS: Final = ["ASIP-SANTE-INS-NIR", "1.2.250.1.213.1.4.10", "ISO"]
Encode = Callable[[bytes], bytes]
Field = list[list[list[str]]]
"""Repetitions of components of subcomponents, not escaped."""


def path(raw: bytes) -> tuple[Traits, Pieces]:
    """The whole path."""
    told, document = opened(raw)
    return told.traits, message(told, document)


def opened(raw: bytes) -> tuple[Told, bytes]:
    """What the mail tells, and its document."""
    mail = message_from_bytes(raw, policy=policy.default)
    assert isinstance(mail, EmailMessage)
    archive = next(p for p in mail.iter_attachments() if p.get_filename() == "IHE_XDM.zip")
    with zipfile.ZipFile(io.BytesIO(archive.get_content())) as opened_archive:
        name = next(n for n in opened_archive.namelist() if n.endswith("DOC0001.XML"))
        document = opened_archive.read(name)
    return read(mail, document), document


def read(mail: EmailMessage, document: bytes) -> Told:
    """The values that the message repeats."""
    root = etree.fromstring(document, etree.XMLParser(resolve_entities=False, huge_tree=True))
    role = root.find("h:recordTarget/h:patientRole", _NS)
    address = role.find("h:addr", _NS)
    code = root.find("h:code", _NS)
    ins, local = role.findall("h:id", _NS)
    text = mail.get_body(("plain",))
    assert text is not None
    street = f"{_text(address, 'h:houseNumber')} {_text(address, 'h:streetName')}"
    return Told(
        message_id=str(mail["Message-ID"]),
        subject=str(mail["Subject"]),
        people=(str(mail["From"]), str(mail["To"]), str(mail["Reply-To"])),
        text=b64encode(text.get_content().replace("\r\n", "\n").encode()),
        ins=ins.get("extension", ""),
        local=(local.get("root", ""), local.get("extension", "")),
        traits=_traits(role.find("h:patient", _NS)),
        address=(street, _text(address, "h:city"), _text(address, "h:postalCode")),
        code=code.get("code", ""),
        label=code.get("displayName", ""),
        document_id=root.find("h:id", _NS).get("root", ""),
        effective_time=root.find("h:effectiveTime", _NS).get("value", "")[:14],
        signer=root.find("h:legalAuthenticator/h:assignedEntity/h:id", _NS).get("extension", ""),
    )


def _text(element: etree._Element, path: str) -> str:
    return element.findtext(path, "", _NS)


def _traits(patient: etree._Element) -> Traits:
    return (
        _text(patient, "h:name/h:family[@qualifier='BR']"),
        _text(patient, "h:name/h:given[@qualifier='BR']"),
        _text(patient, "h:name/h:given"),
        patient.find("h:birthTime", _NS).get("value", ""),
        patient.find("h:administrativeGenderCode", _NS).get("code", ""),
        _text(patient, "h:birthplace/h:place/h:addr/h:county"),
        _text(patient, "h:name/h:family[@qualifier='CL']"),
        _text(patient, "h:name/h:given[@qualifier='CL']"),
    )


def segments(told: Told, data: str) -> Iterable[tuple[str, dict[int, Field]]]:
    """Every segment after MSH: its name, and the fields that are filled."""
    birth, given, listed, born, sex, place, used, used_given = told.traits
    street, city, postal_code = told.address
    root, number = told.local
    kind = plain(told.code, told.label, "LN")
    yield "EVN", {2: plain(BUILT_AT), 6: plain(RECEIVED_AT)}
    yield (
        "PID",
        {
            3: [
                [
                    [told.ins],
                    [""],
                    [""],
                    ["ASIP-SANTE-INS-NIR", "1.2.250.1.213.1.4.10", "ISO"],
                    ["INS"],
                ],
                [[number], [""], [""], ["", root, "ISO"], ["PI"]],
            ],
            5: plain(birth, given, listed, "", "", "", "L")
            + plain(used, used_given, *[""] * 4, "D"),
            7: plain(born),
            8: plain(sex),
            11: plain(street, "", city, "", postal_code, "FRA", "H")
            + plain(*[""] * 6, "BDL", "", place),
            31: plain("N"),
            32: plain("VALI"),
        },
    )
    yield "PV1", {1: plain("1"), 2: plain("N")}
    yield "ORC", {1: plain("NW")}
    yield "OBR", {1: plain("1"), 4: kind}
    yield "TXA", {
        1: plain("1"), 2: plain(told.code), 3: plain("TEXT"), 4: plain(told.effective_time),
        12: plain(told.document_id), 17: plain("AU"), 22: plain(told.signer),
    }  # fmt: skip
    yield "OBX", _result(1, kind, plain("", "text", "XML", "Base64", data), "ED")
    for role, address in zip(ROLES, told.people, strict=True):
        yield "PRT", {
            2: plain("UC"), 4: plain(*role.split("^")), 15: plain("", "", "X.400", address)
        }  # fmt: skip
    text = plain("", "text", "", "Base64", told.text.decode())
    yield "OBX", _result(2, plain(told.message_id, told.subject), text, "ED")
    for rank, (mask, words) in enumerate(MASKS, start=3):
        answer = plain("N", "", "expandedYes-NoIndicator")
        yield "OBX", _result(rank, plain(mask, words, "MetaDMPMSS"), answer, "CWE")


def plain(*components: str) -> Field:
    """A field of one repetition."""
    return [[[each] for each in components]]


def _result(rank: int, kind: Field, value: Field, form: str) -> dict[int, Field]:
    return {1: plain(str(rank)), 2: plain(form), 3: kind, 5: value, 11: plain("F")}


def message(told: Told, document: bytes, encode: Encode = b64encode) -> Pieces:
    """The message by python-hl7.

    Its own `escape` goes through each character and writes accents as hexadecimal: text is escaped
    by one translation instead, and base64 not at all, as somebody would who cares.
    """
    built = hl7.parse(MSH + "\r")
    data = encode(document).decode()
    for name, fields in segments(told, data):
        built.append(_segment(name, fields, data))
    return (str(built).encode(),)


def _segment(name: str, fields: dict[int, Field], data: str) -> hl7.Segment:
    empty: Field = [[[""]]]
    listed = [_field(fields.get(number, empty), data) for number in range(1, max(fields) + 1)]
    return hl7.Segment("|", [hl7.Field("~", [name]), *listed])


def _field(repetitions: Field, data: str) -> hl7.Field:
    return hl7.Field("~", [hl7.Repetition("^", _components(each, data)) for each in repetitions])


def _components(components: list[list[str]], data: str) -> list[hl7.Component]:
    return [
        hl7.Component("&", [leaf if leaf is data else escaped(leaf) for leaf in parts])
        for parts in components
    ]


def answered(raw: bytes) -> tuple[str, str, str]:
    """Code, error and application code of an ACK by python-hl7."""
    read_answer = hl7.parse(raw.decode())
    answer = read_answer.segment("MSA")
    if str(answer[2]) != CONTROL_ID:
        raise ValueError
    try:
        error = read_answer.segment("ERR")
    except KeyError:
        return str(answer[1]), "", ""
    return str(answer[1]), str(error[3][0][0]), str(error[5][0][0])


JOBS: Final = {
    "path": (lambda raw: raw, path),
    "mdm": (opened, lambda told: message(*told, encode=quick_base64)),
    "ack": (lambda raw: raw, answered),
}
