"""Where each target starts from: sound and awkward inputs, built by code when a run begins."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

from infra.local.invented.identity_messages import AUTHORITY as NUMBERING
from infra.local.invented.identity_messages import Told
from infra.local.invented.identity_messages import message as identity_message
from infra.local.invented.mails import forwarded, mdn_received
from pfi.edge.settings import dump_settings
from pfi.hl7 import mllp
from pfi.hl7.pid import Authority
from pfi.journey.jobs import Job
from pfi.journey.message import build_message, new_control_id
from pfi.journey.records import DocumentFacts, DocumentRecord, Dossier, MailRecord
from pfi.journey.settings import DpiSettings, MailboxSettings, Settings, XdmSettings
from tests.data.builders import (
    LEA,
    MAILBOX,
    SAMIR,
    YANN,
    cda,
    document,
    mail,
    metadata,
    xdm_zip,
    zip_of,
)
from tests.unit.hl7.orders import order, written
from tests.unit.mail.awkward import ORIGINALS

NOW = datetime(2026, 5, 14, 9, 30, tzinfo=UTC)
DIGEST = "5e" * 32
AUTHORITY = Authority.of(NUMBERING)
BETWEEN = b"\0"
"""Parts METADATA.XML from its document in one input: XML holds no NUL."""
SMALL = 6_000
"""A large seed teaches nothing that a small one does not, and slows every mutation of it."""
MAILBOXES = (
    MailboxSettings(
        id="a",
        address=MAILBOX,
        establishment="ch",
        dpi="dpi",
        fallback="secours@ch-invente.mssante.fr",
    ),
)
SETTINGS = Settings(
    mailboxes=MAILBOXES,
    dpis=(
        DpiSettings(
            id="dpi", host="dpi.invalid", port=2575, sending_facility="CH", receiving_facility="CH"
        ),
    ),
)
WARNED = replace(SETTINGS, xdm=XdmSettings(hash="warn", lenient_uri=True))
DOCUMENTS = (
    (document(LEA),),
    (document(LEA, action="C", masks=("INVISIBLE_PATIENT",), replaces="urn:uuid:ancien"),),
    (document(LEA), document(LEA, document_id="2.25.9", uri="2|.XML")),
    (document(YANN, level=3, document_id=("2.25.8", "x"), no_uri=True),),
    (document(SAMIR, self_presenting=True, mime_type="application/xslt+xml"),),
)


def mails() -> Iterator[bytes]:
    """Mails of every shape, and those that carry a real archive."""
    yield from (raw for raw in ORIGINALS.values() if len(raw) < SMALL)
    for entries in DOCUMENTS:
        yield mail(xdm_zip(entries, index=False), subject="Résultat d'Élodie")
    yield forwarded(mail(xdm_zip(DOCUMENTS[0])))
    yield mdn_received(MAILBOX)


def archives() -> Iterator[bytes]:
    """Packed, stored, commented, empty, with folders and odd names."""
    for entries in DOCUMENTS:
        yield xdm_zip(entries)
        yield zip_of([("METADATA.XML", metadata(entries))], stored=True)
    yield zip_of([]) + b"\r\n"
    yield zip_of([("IHE_XDM/", b""), ("./été.XML", b"<a/>"), ("B\\C.XML", b"")], stored=True)


def descriptions() -> Iterator[bytes]:
    """METADATA.XML."""
    for entries in DOCUMENTS:
        yield metadata(entries)
        yield metadata(entries, action="D", patient_id="")


def documents() -> Iterator[bytes]:
    """CDA headers."""
    yield cda(LEA)
    yield cda(YANN, level=3, parent="2.25.8", version="2")
    yield cda(SAMIR, level=2, self_presenting=True)
    yield cda(LEA, encoding="UTF-16", record_targets=2)
    yield cda(LEA, encoding="ISO-8859-1", prolog="<!-- a --><?b c?>\n")
    yield cda(LEA, prolog="<!DOCTYPE a [<!ENTITY e 'x'>]>")


def submissions() -> Iterator[bytes]:
    """METADATA.XML and one document, which the target packs into an archive."""
    for entries in DOCUMENTS:
        yield metadata(entries[:1]) + BETWEEN + entries[0].content


def answers() -> Iterator[bytes]:
    """ACK messages, of version 2.5 and of older ones."""
    head = "MSH|^~\\&|DPI|CH|PFI|CH|20260417||ACK^T02^ACK|9|P|2.5\r"
    errors = ("", "ERR|||207^a^HL70357|E|902^b^x\r", "ERR|PID^1^3^101&x\r", "ERR|||205|W\rERR|||1")
    for code in ("AA", "AE", "AR", "CA"):
        yield from (f"{head}MSA|{code}|ID|x\\F\\y~z&t\r{error}".encode() for error in errors)
    yield head.replace("|", "#").replace("^", "*").encode() + b"MSA#AA#ID\r"
    yield b"\xef\xbb\xbf" + head.encode("latin-1").replace(b"\r", b"\r\n") + b"MSA|AE|ID||||207"


def feed() -> Iterator[bytes]:
    """ADT messages of the identity repository."""
    for trigger in ("A28", "A31", "A05", "A40", "A47", "A24", "A37", "A29", "A99"):
        told = Told(trigger=trigger, at="20260514093000", patient=LEA, replaced=("7", "8"))
        yield identity_message(told)
    named = replace(told, trigger="A31", numbers=((YANN.matricule, str(YANN.oid)),), sparse=True)
    yield identity_message(named, "8859/15").replace(b"|^~\\&|", b"|^~|")
    erased = identity_message(replace(told, trigger="A31", changed_at="20260514+0200"))
    yield erased.replace(b"20260514093000", b"20260514093000.12+0200").replace(b"F|", b'""|')


def streams() -> Iterator[bytes]:
    """Bytes of a connection."""
    yield b"".join(map(mllp.frame, answers()))
    yield b"noise" + mllp.frame(b"a\x1cb") + b"\r\n" + mllp.frame(b"") + mllp.START + b"half"


def messages() -> Iterator[bytes]:
    """ER7 messages: the product's own, and answers."""
    yield written(order())
    yield written(replace(order(), masks_changed=True))
    yield from answers()


def message(number: int, facts: DocumentFacts, dossier: Dossier, content: bytes) -> bytes:
    """The MDM of one document of a dossier, as `push` builds it."""
    traits = facts.identity.traits
    received = MailRecord(mail=DIGEST, mailbox="a", key="k", received_at=NOW)
    record = DocumentRecord(
        mail=DIGEST, number=number, event=facts.event, chain="", parent_chain=None,
        version="1", masks=facts.masks, traits=traits, built_at=NOW,
    )  # fmt: skip
    record = replace(record, control_id=new_control_id(record))
    place = (MAILBOXES[0], SETTINGS.dpis[0], SETTINGS)
    return b"".join(build_message(received, record, dossier, content, *place))


def jobs() -> Iterator[bytes]:
    """Bodies of queue messages."""
    yield Job(DIGEST).dump().encode()
    yield Job(DIGEST, 2).dump().encode()
    key = {"s3": {"object": {"key": f"incoming/a/{DIGEST}.eml"}}}
    yield json.dumps({"Records": [key, {"s3": {"object": {"key": "autre%20chose+x"}}}]}).encode()
    yield json.dumps({"Service": "Amazon S3", "Event": "s3:TestEvent"}).encode()


def settings() -> Iterator[bytes]:
    """The settings of a hospital."""
    yield dump_settings(SETTINGS).encode()
    yield dump_settings(SETTINGS, whole=True).encode()
