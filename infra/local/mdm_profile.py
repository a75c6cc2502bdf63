"""What a DPI expects of an MDM under profile CISIS_CDA_HL7_LPS 1.1, written from the profile.

Deliberately not derived from the builder in `pfi.hl7.mdm`: each can catch the other's mistakes.
"""

import base64
import binascii
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from pfi.hl7 import er7
from pfi.hl7.er7 import Segment

_base64: Any = base64
with suppress(ImportError):
    import pybase64 as _base64

_LATIN: Final = b"|8859/15|"
_HEADER: Final = 500
_BASE64: Final = b"^Base64^"
_LONG: Final = 1_024
_MARK: Final = "\x1f"
"""Stands, with a number, for a body that was set aside; no message has it (it is a control)."""


class Segments:
    """The segments of one message, found by their names.

    Long base64 is not turned into text: it is set aside as the bytes that came.
    """

    __slots__ = ("_bodies", "_named", "names")

    def __init__(self, segments: tuple[Segment, ...], bodies: Mapping[str, memoryview]) -> None:
        self.names = tuple(segment.name for segment in segments)
        self._bodies = bodies
        self._named: dict[str, list[Segment]] = {}
        for name, segment in zip(self.names, segments, strict=True):
            self._named.setdefault(name, []).append(segment)

    def all_of(self, name: str) -> list[Segment]:
        """Every segment of a name, in order."""
        return self._named.get(name, [])

    def first(self, name: str) -> Segment:
        """The first segment of a name; an empty one when there is none."""
        found = self._named.get(name)
        return found[0] if found else Segment((name,), "^~")

    def decoded(self, segment: Segment) -> bytes | None:
        """The bytes of an ED in OBX-5; None when they are not one clean line of base64."""
        text = segment.component(5, 5)
        try:
            return bytes(_base64.b64decode(self._bodies.get(text, text), validate=True))
        except (binascii.Error, ValueError):
            return None


def read(message: bytes) -> Segments:
    """A message in the character set that it names."""
    charset = "iso8859-15" if _LATIN in message[:_HEADER] else "utf-8"
    text, bodies = _set_aside(message)
    return Segments(er7.segments(text.decode(charset, "replace")), bodies)


def _set_aside(message: bytes) -> tuple[bytes, Mapping[str, memoryview]]:
    """The message with a token for each long base64, and what the tokens stand for."""
    bodies: dict[str, memoryview] = {}
    pieces, at = [], 0
    while (begin := message.find(_BASE64, at) + len(_BASE64)) >= len(_BASE64):
        end = message.find(b"|", begin)
        pieces.append(message[at:begin])
        if end - begin < _LONG or message.find(b"\r", begin, end) >= 0:
            at = begin
            continue
        token = f"{_MARK}{len(bodies)}"
        bodies[token] = memoryview(message)[begin:end]
        pieces.append(token.encode())
        at = end
    text = b"".join((*pieces, message[at:]))
    return (text, bodies) if text.count(_MARK.encode()) == len(bodies) else (message, {})


@dataclass(frozen=True, slots=True)
class Fault:
    """ERR-3 (table 0357), ERR-2 and the text of ERR-3.2."""

    code: str
    location: str
    text: str


@dataclass(frozen=True, slots=True)
class Coherence:
    """What the event imposes on ORC-1, OBX-11 and TXA-13."""

    control: str
    status: str
    parent: bool | None


EVENTS: Final = {
    "T02": Coherence("NW", "F", parent=False),
    "T10": Coherence("RO", "C", parent=True),
    "T04": Coherence("CA", "D", parent=None),
}
_ORDER: Final = re.compile(
    r"MSH( SFT)*( UAC)? EVN PID PV1 ORC( TQ1( TQ2)*)* OBR( NTE)* TXA OBX( PRT)+( NTE)*( OBX){5}"
)
_REQUIRED: Final = (
    *(("MSH", number) for number in (3, 4, 5, 6, 7, 10, 17, 18)),
    *(("EVN", 2), ("PID", 3), ("PID", 5), ("PV1", 2), ("ORC", 1), ("OBR", 4)),
    *(("TXA", number) for number in (1, 2, 3, 12, 17)),
)
_FIXED: Final = (
    ("MSH", 12, "2.6", "203"),
    ("MSH", 17, "FRA", "103"),
    ("MSH", 21, "1.1^CISIS_CDA_HL7_LPS", "103"),
    ("PV1", 2, "N", "103"),
    ("TXA", 3, "TEXT", "103"),
    ("TXA", 17, "AU", "103"),
)
_CHARSETS: Final = frozenset({"UNICODE UTF-8", "8859/15"})
_TIMESTAMP: Final = re.compile(r"[0-9]{8}([0-9]{2}){0,3}")
_INS: Final = re.compile(r"ASIP-SANTE-INS-NI[RA]&1\.2\.250\.1\.213\.1\.4\.(8|9|10|11)&ISO")
_MASKS: Final = ("MASQUE_PS", "INVISIBLE_PATIENT", "INVISIBLE_REP_LEGAUX", "MODIF_CONF_CODE")
_ROLES: Final = frozenset({"SB", "RCT", "REPLY"})
_CONTROL_ID_SIZE: Final = 20


def check(segments: Segments) -> Fault | None:
    """The first fault of a message, None when it follows the profile."""
    return next((fault for rule in _RULES for fault in rule(segments)), None)


def _kind(segments: Segments) -> Iterator[Fault]:
    kind = segments.first("MSH").field(9).split("^")
    if kind[0] != "MDM":
        yield Fault("200", "MSH^1^9", "Unsupported message type")
    elif len(kind) != 3 or kind[1] not in EVENTS or kind[2] != "MDM_T02":
        yield Fault("201", "MSH^1^9", "Unsupported event code")
    if segments.first("MSH").field(11) not in {"P", "T", "D"}:
        yield Fault("202", "MSH^1^11", "Unsupported processing id")


def _order(segments: Segments) -> Iterator[Fault]:
    if not _ORDER.fullmatch(" ".join(segments.names)):
        yield Fault("100", "", "Segment sequence error")


def _required(segments: Segments) -> Iterator[Fault]:
    for name, number in _REQUIRED:
        if not segments.first(name).field(number):
            yield Fault("101", f"{name}^1^{number}", "Required field missing")


def _fixed(segments: Segments) -> Iterator[Fault]:
    for name, number, value, code in _FIXED:
        if segments.first(name).field(number) != value:
            yield Fault(code, f"{name}^1^{number}", "Table value not found")
    header = segments.first("MSH")
    if header.field(18) not in _CHARSETS:
        yield Fault("103", "MSH^1^18", "Table value not found")
    if len(header.field(10)) > _CONTROL_ID_SIZE:
        yield Fault("102", "MSH^1^10", "Data type error")
    for name, number in (("MSH", 7), ("EVN", 2)):
        if not _TIMESTAMP.fullmatch(segments.first(name).field(number)):
            yield Fault("102", f"{name}^1^{number}", "Data type error")


def _coherent(segments: Segments) -> Iterator[Fault]:
    expected = EVENTS[segments.first("MSH").component(9, 2)]
    parent = bool(segments.first("TXA").field(13))
    if segments.first("ORC").field(1) != expected.control:
        yield Fault("103", "ORC^1^1", "Table value not found")
    if segments.first("OBX").field(11) != expected.status:
        yield Fault("103", "OBX^1^11", "Table value not found")
    if expected.parent is not None and parent != expected.parent:
        yield Fault("101" if expected.parent else "198", "TXA^1^13", "Required field missing")


def _patient(segments: Segments) -> Iterator[Fault]:
    patient = segments.first("PID")
    identifiers = [one.split("^") for one in patient.repetitions(3)]
    if any(len(one) < 5 or not (one[0] and one[3] and one[4]) for one in identifiers):
        yield Fault("101", "PID^1^3", "Required field missing")
        return
    ins = [one for one in identifiers if one[4] == "INS"]
    if any(not _INS.fullmatch(one[3]) for one in ins):
        yield Fault("103", "PID^1^3", "Table value not found")
    if ins and patient.component(32) != "VALI":
        yield Fault("101", "PID^1^32", "Required field missing")


def _coded(segments: Segments) -> Iterator[Fault]:
    kind = segments.first("OBR")
    if not all(kind.component(4, n) for n in (1, 2, 3)):
        yield Fault("101", "OBR^1^4", "Required field missing")
    if segments.first("OBX").field(3) != kind.field(4):
        yield Fault("199", "OBX^1^3", "Document type differs")
    if segments.first("TXA").component(2) != kind.component(4):
        yield Fault("199", "TXA^1^2", "Document type differs")


def _document(segments: Segments) -> Iterator[Fault]:
    document = segments.first("OBX")
    shape = [document.field(2), *(document.component(5, n) for n in range(1, 5))]
    if document.field(1) != "1" or shape != ["ED", "", "text", "XML", "Base64"]:
        yield Fault("102", "OBX^1^5", "Data type error")
    elif not segments.decoded(document):
        yield Fault("102", "OBX^1^5^1^5", "Data type error")


def _participants(segments: Segments) -> Iterator[Fault]:
    parts = segments.all_of("PRT")
    roles = [part.component(4) for part in parts]
    if roles.count("SB") != 1 or not set(roles) <= _ROLES:
        yield Fault("198", "PRT^1^4", "Non-conformant cardinality")
    for rank, part in enumerate(parts, start=1):
        if part.field(2) != "UC" or not (part.component(15, 3) and part.component(15, 4)):
            yield Fault("101", f"PRT^{rank}^15", "Required field missing")


def _mail(segments: Segments) -> Iterator[Fault]:
    mail = segments.all_of("OBX")[1]
    if mail.field(1) != "2" or mail.field(2) != "ED" or not mail.component(3):
        yield Fault("101", "OBX^2^3", "Required field missing")
    if mail.component(5, 4) != "Base64" or segments.decoded(mail) is None:
        yield Fault("102", "OBX^2^5", "Data type error")


def _masks(segments: Segments) -> Iterator[Fault]:
    for number, (result, code) in enumerate(
        zip(segments.all_of("OBX")[2:], _MASKS, strict=True), start=3
    ):
        named = (result.field(1), result.field(2), result.component(3), result.component(3, 3))
        if named != (str(number), "CWE", code, "MetaDMPMSS"):
            yield Fault("103", f"OBX^{number}^3", "Table value not found")
        allowed = {"N"} if code == "MASQUE_PS" else {"Y", "N"}
        if result.component(5) not in allowed or result.field(11) != "F":
            yield Fault("103", f"OBX^{number}^5", "Table value not found")


_RULES: Final[tuple[Callable[[Segments], Iterator[Fault]], ...]] = (
    _kind,
    _order,
    _required,
    _fixed,
    _coherent,
    _patient,
    _coded,
    _document,
    _participants,
    _mail,
    _masks,
)
