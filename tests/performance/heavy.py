"""The path on hl7apy: everything else as in `ordinary`.

hl7apy knows no PRT segment in version 2.6 and its grammar of MDM^T02 admits none, so that the
participants are left out: what can be compared are the traits and the document.
"""

from base64 import b64encode
from typing import Final

from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.core import Message, Segment
from hl7apy.parser import parse_message

from tests.performance.ordinary import Encode, Field, opened, quick_base64, segments
from tests.performance.product import CONTROL_ID, Pieces, Traits
from tests.performance.told import MSH, Told

_LENIENT: Final = VALIDATION_LEVEL.TOLERANT


def path(raw: bytes) -> tuple[Traits, Pieces]:
    """The whole path."""
    told, document = opened(raw)
    return told.traits, message(told, document)


def message(told: Told, document: bytes, encode: Encode = b64encode) -> Pieces:
    """The message, without participants."""
    built = Message("MDM_T02", version="2.6", validation_level=_LENIENT)
    built.msh = MSH
    data = encode(document).decode()
    for name, fields in segments(told, data):
        if name != "PRT":
            _add(built, name, fields)
    return (built.to_er7().encode(),)


def _add(built: Message, name: str, fields: dict[int, Field]) -> None:
    segment = Segment(name, version="2.6", validation_level=_LENIENT)
    for number, repetitions in fields.items():
        for repetition in repetitions:
            field = segment.add_field(f"{name.lower()}_{number}")
            field.value = "^".join("&".join(parts) for parts in repetition)
    built.add(segment)


def answered(raw: bytes) -> tuple[str, str, str]:
    """Code, error and application code of an ACK by hl7apy."""
    read = parse_message(raw.decode(), validation_level=_LENIENT, find_groups=False)
    if read.msa.msa_2.to_er7() != CONTROL_ID:
        raise ValueError
    errors = [each for each in read.children if each.name == "ERR"]
    if not errors:
        return read.msa.msa_1.to_er7(), "", ""
    error = errors[0]
    return (
        read.msa.msa_1.to_er7(),
        error.err_3.to_er7().split("^")[0],
        error.err_5.to_er7().split("^")[0],
    )


JOBS: Final = {
    "path": (lambda raw: raw, path),
    "mdm": (opened, lambda told: message(*told, encode=quick_base64)),
    "ack": (lambda raw: raw, answered),
}
