"""What a message repeats of a mail and of its document, as the compared implementations read it.

They know the profile's segments for one new document; the product knows the rest as well.
"""

from dataclasses import dataclass
from typing import Final

from tests.performance.product import CONTROL_ID, Traits

BUILT_AT: Final = "20260514113000"
RECEIVED_AT: Final = "20260514093145"
MASKS: Final = (
    ("MASQUE_PS", "Masqué aux professionnels de Santé"),
    ("INVISIBLE_PATIENT", "Document Non Visible par le patient"),
    ("INVISIBLE_REP_LEGAUX", "Non visible par les représentants Légaux du patient"),
    ("MODIF_CONF_CODE", "Modification Confidentiality Code"),
)
ROLES: Final = (
    "SB^Send by^participation",
    "RCT^Result Copies To^participation",
    "REPLY^Reply To^participation",
)
MSH: Final = (
    r"MSH|^~\&|PFI|CH|DPI|CH|" + BUILT_AT + "||MDM^T02^MDM_T02|" + CONTROL_ID + "|P|2.6"
    "|||||FRA|UNICODE UTF-8|||1.1^CISIS_CDA_HL7_LPS"
)

_ESCAPES: Final = str.maketrans(
    {"\\": "\\E\\", "|": "\\F\\", "^": "\\S\\", "~": "\\R\\", "&": "\\T\\"}
)


@dataclass(frozen=True, slots=True)
class Told:
    """Values as they were read, not yet escaped."""

    message_id: str
    subject: str
    people: tuple[str, str, str]
    """Sender, recipient, address for replies."""
    text: bytes
    """Base64 of the mail's own text."""
    ins: str
    local: tuple[str, str]
    """Root and extension of the sender's own number."""
    traits: Traits
    address: tuple[str, str, str]
    """Street, city, postal code."""
    code: str
    label: str
    document_id: str
    effective_time: str
    signer: str


def escaped(value: str) -> str:
    """One text component."""
    return value.translate(_ESCAPES)
