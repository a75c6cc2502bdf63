"""Identities that survive rewrapping: of a mail, of a document, of a document's version."""

import hashlib
from collections.abc import Iterable
from typing import Final

from pfi.ins.matricule import read
from pfi.journey.records import DocumentFacts, Dossier
from pfi.journey.settings import MailboxSettings, Settings
from pfi.names import Event

INCOMING: Final = "incoming/"
"""Where mails arrive in the store: ``incoming/<mailbox>/<name>.eml``."""
DOCUMENTS: Final = "documents/"
"""What was read of them: ``documents/<digest of the bytes>/<mailbox>/``; by version 0.2
``documents/<mail>/``."""


def digest(*parts: str) -> str:
    """SHA-256 of the parts, unambiguous whatever they hold."""
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()


def dossier_key(mailbox: str, seal: str) -> str:
    """Where what was read of these bytes (SHA-256) for this mailbox is stored, told by them alone:
    the same bytes say another thing to another mailbox."""
    return f"{DOCUMENTS}{seal}/{mailbox}/dossier.json"


def folder_of(key: str) -> str:
    """The folder of a dossier, and of the documents that lie beside it."""
    return key.rpartition("/")[0] + "/"


def owner_of(folder: str) -> tuple[str, str]:
    """Whose folder it is: the digest of the bytes and the mailbox; of version 0.2 the digest of
    the mail and ''."""
    seal, _, mailbox = folder.removeprefix(DOCUMENTS).removesuffix("/").partition("/")
    return seal, mailbox


def document_key(dossier: str, number: int) -> str:
    """Where a document lies that is stored beside its dossier."""
    return f"{folder_of(dossier)}{number:04}.xml"


def place_key(
    mailbox: MailboxSettings, imap_host: str, uid_validity: int, uid: int, size: int
) -> tuple[str, str]:
    """The row of one mail's place in the mailbox. UIDVALIDITY and UID name a mail within one
    account only (RFC 3501 §2.3.1.1), and a restored server may give them anew: another operator,
    address or RFC822.SIZE is another place, and what lies there is unknown until it is read."""
    account = digest("account", imap_host.lower(), mailbox.address.lower())
    return f"PLACE#{mailbox.id}#{account}", f"{uid_validity}#{uid}#{size}"


def same_mail(mailbox: MailboxSettings, dossier: Dossier) -> str:
    """Message-ID + archive in one mailbox: the identity of a mail for its sender (Q-29).

    A relay that delivers twice changes the trace headers, hence the SHA-256, but not these.
    Empty when the mail has no Message-ID or no archive: then it is only itself.
    """
    if not (dossier.facts.message_id and dossier.archive_sha256):
        return ""
    return digest("same", mailbox.id, dossier.facts.message_id, dossier.archive_sha256)


def message_digest(message_id: str) -> str:
    """A Message-ID, with or without its brackets, as a key; '' for a mail that has none."""
    bare = message_id.strip().removeprefix("<").removesuffix(">")
    return digest("message", bare) if bare else ""


def chain_key(mailbox: MailboxSettings, document_id: str) -> str:
    """One chain per document identifier and DPI. Identifiers compare without case (P-10), and
    ``root^extension`` is the ``root.extension`` that others write. Under another id of the DPI
    nothing of this is known: `infra.operations.successors` refuses it."""
    return _chain_key(mailbox.dpi, document_id)


def _chain_key(dpi: str, document_id: str) -> str:
    return digest("chain", dpi, document_id.lower().replace("^", "."))


def chain_keys(documents: Iterable[DocumentFacts], settings: Settings) -> tuple[str, ...]:
    """Every chain that these documents may stand in, whichever DPI their mailbox served."""
    ids = [each.id for each in documents]
    return tuple(_chain_key(dpi.id, each) for dpi in settings.dpis for each in ids)


def version_of(document: DocumentFacts) -> str:
    """Same id + bytes + event + masks = the same version, sent once (Q-29, X-44)."""
    return digest("version", document.event.value, document.sha256, document.masks)


def parent_id(document: DocumentFacts, *, deletions: bool = False) -> str | None:
    """The identifier that TXA-13 will name: of a replacement, and of a deletion if so set."""
    named = document.event is Event.REPLACE or (deletions and document.event is Event.DELETE)
    if not named or document.parent is None:
        return None
    root, extension = document.parent
    return f"{root}^{extension}" if extension else root


def patients_of(document: DocumentFacts) -> tuple[str, ...]:
    """Digests of the INS that the document carries, to tell two patients apart in a chain."""
    found = (read(each.extension, each.root) for each in document.identity.ids)
    return tuple(sorted({digest("ins", ins.kind, ins.value) for ins in found if ins}))
