"""The floor: the best available implementation of each step, one after the other, no check.

Nothing is looked for that the corpus does not have; no digest is made, METADATA.XML is not read,
what follows the header of the document is not looked at. A product cannot go below; how far above
it stays is what its checks and its generality cost.
"""

import struct
from binascii import b2a_base64
from email.header import decode_header
from typing import Final

from lxml import etree

from tests.performance.product import Pieces, Traits
from tests.performance.told import BUILT_AT, MASKS, MSH, RECEIVED_AT, ROLES, Told, escaped

try:
    import pybase64
    from isal import isal_zlib
except ImportError:  # the floor of a machine without the extra
    import base64 as pybase64  # type: ignore[no-redef]
    import zlib as isal_zlib  # type: ignore[no-redef]

_DIRECTORY: Final = struct.Struct("<4s6H3L5H2L")
_NAMESPACE: Final = "{urn:hl7-org:v3}"
_BODIES: Final = (_NAMESPACE + "nonXMLBody", _NAMESPACE + "structuredBody")
_STEP: Final = 16_384


def path(raw: bytes) -> tuple[Traits, Pieces]:
    """The whole path."""
    document = inflated(attached(raw))
    told = read(raw, header(document))
    return told.traits, message(told, document)


def attached(raw: bytes) -> bytes:
    """The archive: the body of the part that bears its name, up to the boundary."""
    said = raw.find(b'boundary="') + len(b'boundary="')
    boundary = b"\r\n--" + raw[said : raw.find(b'"', said)]
    named = raw.find(b'filename="IHE_XDM.zip"')
    start = raw.find(b"\r\n\r\n", named) + 4
    end = raw.find(boundary, start)
    return pybase64.b64decode(memoryview(raw)[start:end])


def inflated(archive: bytes) -> bytes:
    """The document, by the central directory, in one call; its CRC is compared."""
    at = archive.rfind(b"PK\x01\x02")  # the document comes last
    fields = _DIRECTORY.unpack_from(archive, at)
    crc, packed, size, offset = fields[7], fields[8], fields[9], fields[16]
    named, extra = struct.unpack_from("<2H", archive, offset + 26)
    start = offset + 30 + named + extra
    view = memoryview(archive)[start : start + packed]
    document: bytes = isal_zlib.decompress(view, -15, size)
    if isal_zlib.crc32(document) != crc:
        raise ValueError
    return document


def header(document: bytes) -> etree._Element:
    """The tree of the document up to its body."""
    parser = etree.XMLPullParser(events=("start",), tag=_BODIES, resolve_entities=False)
    for start in range(0, len(document), _STEP):
        parser.feed(document[start : start + _STEP])
        for _, element in parser.read_events():
            return element.getroottree().getroot()  # type: ignore[union-attr]
    raise ValueError


def read(raw: bytes, root: etree._Element) -> Told:
    """The values that the message repeats."""
    role = root.find(_path("recordTarget/patientRole"))
    patient = role.find(_path("patient"))
    name, address = patient.find(_path("name")), role.find(_path("addr"))
    ids = {each.get("root", ""): each.get("extension", "") for each in role.iterfind(_path("id"))}
    (_, ins), *local = ids.items()
    code = root.find(_path("code"))
    top = raw[: raw.find(b"\r\n\r\n")]
    street = f"{_text(address, 'houseNumber')} {_text(address, 'streetName')}"
    return Told(
        message_id=_field(top, b"Message-ID"),
        subject=_field(top, b"Subject"),
        people=(_field(top, b"From"), _field(top, b"To"), _field(top, b"Reply-To")),
        text=_mail_text(raw),
        ins=ins,
        local=local[0],
        traits=_traits(patient, name),
        address=(street, _text(address, "city"), _text(address, "postalCode")),
        code=code.get("code"),
        label=code.get("displayName"),
        document_id=root.find(_path("id")).get("root"),
        effective_time=root.find(_path("effectiveTime")).get("value")[:14],
        signer=root.find(_path("legalAuthenticator/assignedEntity/id")).get("extension"),
    )


def _path(path: str) -> str:
    return "/".join(_NAMESPACE + step for step in path.split("/"))


def _text(element: etree._Element, path: str) -> str:
    return element.findtext(_path(path), "")


def _traits(patient: etree._Element, name: etree._Element) -> Traits:
    parts = {(each.tag[16:], each.get("qualifier", "")): each.text or "" for each in name}
    return (
        parts["family", "BR"],
        parts["given", "BR"],
        parts["given", ""],
        patient.find(_path("birthTime")).get("value"),
        patient.find(_path("administrativeGenderCode")).get("code"),
        _text(patient, "birthplace/place/addr/county"),
        parts["family", "CL"],
        parts["given", "CL"],
    )


def _field(top: bytes, name: bytes) -> str:
    start = top.find(b"\r\n" + name + b": ") + len(name) + 4
    end = top.find(b"\r\n", start)
    value = (top[start:end] if end >= 0 else top[start:]).decode()
    if "=?" in value:
        return "".join(each.decode(charset or "ascii") for each, charset in decode_header(value))
    return value


def _mail_text(raw: bytes) -> bytes:
    start = raw.find(b"\r\n\r\n", raw.find(b"Content-Type: text/plain")) + 4
    return b2a_base64(
        raw[start : raw.find(b"\r\n--", start)].replace(b"\r\n", b"\n"), newline=False
    )


def message(told: Told, document: bytes) -> Pieces:
    """Every segment as text, the document in the middle as a piece of its own."""
    birth, given, listed, born, sex, place, used, used_given = map(escaped, told.traits)
    street, city, postal_code = map(escaped, told.address)
    code, label = escaped(told.code), escaped(told.label)
    root, number = map(escaped, told.local)
    before = (
        f"{MSH}\rEVN||{BUILT_AT}||||{RECEIVED_AT}\r"
        f"PID|||{told.ins}^^^ASIP-SANTE-INS-NIR&1.2.250.1.213.1.4.10&ISO^INS"
        f"~{number}^^^&{root}&ISO^PI||{birth}^{given}^{listed}^^^^L~{used}^{used_given}^^^^^D"
        f"||{born}|{sex}|||{street}^^{city}^^{postal_code}^FRA^H~^^^^^^BDL^^{place}"
        "||||||||||||||||||||N|VALI\rPV1|1|N\rORC|NW\r"
        f"OBR|1|||{code}^{label}^LN\r"
        f"TXA|1|{code}|TEXT|{told.effective_time}||||||||{told.document_id}|||||AU"
        f"|||||{escaped(told.signer)}\rOBX|1|ED|{code}^{label}^LN||^text^XML^Base64^"
    )
    after = "||||||F\r" + "".join(
        f"PRT||UC||{role}|||||||||||^^X.400^{escaped(address)}\r"
        for role, address in zip(ROLES, told.people, strict=True)
    )
    mail = f"OBX|2|ED|{escaped(told.message_id)}^{escaped(told.subject)}||^text^^Base64^"
    masks = "||||||F\r" + "".join(
        f"OBX|{rank}|CWE|{mask}^{words}^MetaDMPMSS||N^^expandedYes-NoIndicator||||||F\r"
        for rank, (mask, words) in enumerate(MASKS, start=3)
    )
    return (
        before.encode(),
        pybase64.b64encode(document),
        f"{after}{mail}".encode(),
        told.text,
        masks.encode(),
    )


def _same(raw: bytes) -> bytes:
    return raw


def _unpacked(raw: bytes) -> tuple[bytes, bytes]:
    return raw, inflated(attached(raw))


def _told(raw: bytes) -> tuple[Told, bytes]:
    document = inflated(attached(raw))
    return read(raw, header(document)), document


JOBS: Final = {
    "path": (_same, path),
    "header": (_same, header),
    "step mime": (_same, attached),
    "step archive": (attached, inflated),
    "step header": (_unpacked, lambda both: read(both[0], header(both[1]))),
    "step message": (_told, lambda told: message(*told)),
}
