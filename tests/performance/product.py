"""The product's own path of one mail: read it, then build the message of its document.

The one place that knows how `read_mail` and `build_message` are called, and what they return.
"""

from collections.abc import Sequence
from dataclasses import astuple
from datetime import UTC, datetime
from typing import Any, Final

from infra.local.invented.mails import MAILBOX
from pfi.journey.message import build_message
from pfi.journey.reading import Reading, read_mail
from pfi.journey.records import DocumentRecord, MailRecord
from pfi.journey.settings import DpiSettings, MailboxSettings, Settings

Traits = tuple[str, ...]
Pieces = Sequence[bytes]
"""A message as it goes on the wire: joined, it is the message."""

DIGEST: Final = "5e" * 32
CONTROL_ID: Final = "PFI5E5E5E5E5E5E5E5E5"
NOW: Final = datetime(2026, 5, 14, 9, 30, tzinfo=UTC)
IPP: Final = "900001"
DPI: Final = DpiSettings(
    id="dpi", host="dpi.invalid", port=2575, sending_facility="CH", receiving_facility="CH"
)
MAILBOX_A: Final = MailboxSettings(
    id="a",
    address=MAILBOX,
    establishment="ch",
    dpi=DPI.id,
    fallback="secours@ch-invente.mssante.fr",
)
SETTINGS: Final = Settings(mailboxes=(MAILBOX_A,), dpis=(DPI,))
MAIL: Final = MailRecord(mail=DIGEST, mailbox="a", key="k", received_at=NOW)


def path(raw: bytes) -> tuple[Traits, Pieces]:
    """The whole path: the traits that were read, the message of the only document."""
    reading = reading_of(raw)
    del raw
    facts = reading.dossier.documents[0]
    return astuple(facts.identity.traits), message_of(reading)


def reading_of(raw: bytes) -> Reading:
    """What `parse` does with the bytes of a mail."""
    return read_mail(raw, MAILBOX_A, SETTINGS)


def message_of(reading: Reading) -> Pieces:
    """What `push` sends of the first document."""
    return pieces(
        build_message(
            MAIL, record_of(reading), reading.dossier, reading.contents[0], MAILBOX_A, DPI, SETTINGS
        )
    )


def record_of(reading: Reading) -> DocumentRecord:
    """The first document as the ledger knows it once it was matched."""
    facts = reading.dossier.documents[0]
    return DocumentRecord(
        mail=DIGEST, number=1, event=facts.event, chain="", parent_chain=None, version="1",
        masks=facts.masks, traits=facts.identity.traits, ipp=IPP, control_id=CONTROL_ID,
        built_at=NOW,
    )  # fmt: skip


def pieces(message: Any) -> Pieces:
    """One string of bytes, a sequence of them, or an object that has `pieces`."""
    if isinstance(message, bytes):
        return (message,)
    found = getattr(message, "pieces", message)
    return tuple(found)
