"""One door to the fixtures: patients, CDA, METADATA.XML, IHE_XDM.ZIP, mails (all invented)."""

from infra.local.invented.archives import Entry, document, entry, metadata, xdm_zip, zip_of
from infra.local.invented.documents import DOCUMENT_ID, PDF, SET_ID, cda
from infra.local.invented.mails import MAILBOX, SENDER, forwarded, mail
from infra.local.invented.people import (
    AISSATA,
    ANDRE,
    CSV_HEADER,
    EVERYBODY,
    LEA,
    NO_INS,
    SAMIR,
    THEO,
    YANN,
    Patient,
    nir_key,
    patient_csv,
)

__all__ = [
    "AISSATA",
    "ANDRE",
    "CSV_HEADER",
    "DOCUMENT_ID",
    "EVERYBODY",
    "LEA",
    "MAILBOX",
    "NO_INS",
    "PDF",
    "SAMIR",
    "SENDER",
    "SET_ID",
    "THEO",
    "YANN",
    "Entry",
    "Patient",
    "cda",
    "document",
    "entry",
    "forwarded",
    "mail",
    "metadata",
    "nir_key",
    "patient_csv",
    "xdm_zip",
    "zip_of",
]
