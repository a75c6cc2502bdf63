"""The product's jobs: the path, its ends, its steps one by one, and the mails that it owes."""

import hashlib
import smtplib
from dataclasses import dataclass
from typing import Final

from pfi.adapters.mail_access import MailAccess
from pfi.adapters.smtp import SmtpRelay
from pfi.cda.document import read as read_cda
from pfi.hl7 import ack
from pfi.journey.answers import Answers
from pfi.journey.settlement import settle
from pfi.mail import rules
from pfi.mail.inbound import MailLimits
from pfi.mail.inbound import read as read_mime
from pfi.mail.outbound import Outgoing
from pfi.names import Reason
from pfi.xdm import archive as xdm_archive
from pfi.xdm.metadata import read as read_metadata
from tests.performance import product, sink
from tests.performance.product import CONTROL_ID, MAIL, MAILBOX_A, NOW, SETTINGS

_METADATA: Final = "METADATA.XML"
_LIMITS: Final = MailLimits(size=SETTINGS.limits.mail_bytes)
Opened = tuple[bytes, bytes, bytes]
"""An archive, the document and the METADATA.XML in it."""


def archive_of(raw: bytes) -> bytes:
    """The only archive of a mail, as `read_mail` finds it."""
    (found,) = rules.archives(
        rules.opened(read_mime(raw, _LIMITS), SETTINGS.own_addresses, _LIMITS)
    )
    return bytes(found)


def opened(raw: bytes) -> Opened:
    """What the steps after the mail work on."""
    archive = archive_of(raw)
    return archive, document_of(archive), _file(archive, _METADATA)


def document_of(archive: bytes) -> bytes:
    """The document of an archive, every check of the directory made."""
    return _file(archive, "DOC0001.XML")


def _file(archive: bytes, ending: str) -> bytes:
    found = xdm_archive.read(archive)
    return bytes(found.read(next(name for name in found.names if name.endswith(ending))))


def digests(files: Opened) -> None:
    """Of the archive (same mail again), of the document (XDS hash, same document again)."""
    archive, document, _ = files
    hashlib.sha256(archive).hexdigest()
    hashlib.sha1(document, usedforsecurity=False).hexdigest()
    hashlib.sha256(document).hexdigest()


def refused(raw: bytes) -> str:
    """The reason for which a mail is not integrated; '' for one that would be."""
    return product.reading_of(raw).dossier.reason or ""


@dataclass(frozen=True, slots=True)
class Owed:
    """A mail that is owed for one that no patient was found for."""

    raw: bytes
    answers: Answers

    @classmethod
    def of(cls, raw: bytes) -> "Owed":
        """Its dossier is read, its settlement known."""
        dossier, reason = product.reading_of(raw).dossier, Reason.UNKNOWN_PATIENT.value
        owed = settle(dossier.facts, reason, (), MAILBOX_A, SETTINGS)
        return cls(raw, Answers(MAIL, dossier, (), owed, MAILBOX_A, SETTINGS, NOW))

    def forward(self) -> Outgoing:
        """To the fallback mailbox."""
        return self.answers.forward(self.raw)

    def answer(self) -> Outgoing:
        """To the sender."""
        return self.answers.answer(self.raw)


@dataclass(frozen=True, slots=True)
class Sending:
    """A forward, and a relay that takes it."""

    mail: Outgoing
    relay: SmtpRelay

    @classmethod
    def of(cls, raw: bytes) -> "Sending":
        """The relay is another process, without TLS."""
        access = MailAccess(sink.HOST, sink.started(), "pfi@invente.fr", tls="none", auth="none")
        return cls(Owed.of(raw).forward(), SmtpRelay(access, None, "invente.fr"))

    def send(self) -> None:
        """Hand it over."""
        self.relay.send(self.mail)

    def send_by_smtplib(self) -> None:
        """The same by the standard library."""
        with smtplib.SMTP(self.relay.access.host, self.relay.access.port) as client:
            content = b"".join(wire(self.mail))
            client.sendmail(self.mail.envelope_from, [self.mail.recipient], content)


def wire(mail: Outgoing) -> product.Pieces:
    """The content of an outgoing mail."""
    return product.pieces(mail.content)


def pieces_of(mail: Outgoing, raw: bytes) -> list[bytes]:
    """What is before the original, the original, what is behind it: all that a join needs."""
    whole = b"".join(wire(mail))
    start = whole.find(raw)
    return [whole[:start], raw, whole[start + len(raw) :]]


def _same(raw: bytes) -> bytes:
    return raw


JOBS: Final = {
    "path": (_same, product.path),
    "refused": (_same, refused),
    "header": (_same, read_cda),
    "ack": (_same, lambda raw: ack.read(raw, CONTROL_ID)),
    "mdm": (product.reading_of, product.message_of),
    "forward": (Owed.of, Owed.forward),
    "answer": (Owed.of, Owed.answer),
    "join forward": (lambda raw: pieces_of(Owed.of(raw).forward(), raw), b"".join),
    "join answer": (lambda raw: pieces_of(Owed.of(raw).answer(), raw), b"".join),
    "send": (Sending.of, Sending.send),
    "smtplib": (Sending.of, Sending.send_by_smtplib),
    "step mime": (_same, archive_of),
    "step digests": (opened, digests),
    "step archive": (archive_of, document_of),
    "step metadata": (opened, lambda files: read_metadata(files[2])),
    "step header": (opened, lambda files: read_cda(files[1])),
    "step message": (product.reading_of, product.message_of),
}
