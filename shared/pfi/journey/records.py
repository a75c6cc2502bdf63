"""What the ledger and the store remember of a mail and of its documents.

Ledger axes are independent (design §3): per document `integration`, per mail `forward` and
`answer`; a failed MDN never pushes a document again.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from pfi.ins.concordance import TraitFinding
from pfi.ins.identity import DocumentIdentity, Traits
from pfi.names import Event, Integration, Leg, Mdn, Route


class MailState(StrEnum):
    """Which station last completed its work on the mail."""

    RECEIVED = "received"
    READ = "read"
    DECIDED = "decided"
    SETTLED = "settled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What the scorecard of senders counts of a mail (docs/decisions/0023): the domain of its
    sender and numbers, nothing of a patient. `usable`: documents whose INS is there, well formed
    and with its traits."""

    domain: str
    archive: bool
    mdn: bool = False
    documents: int = 0
    with_ins: int = 0
    usable: int = 0
    replacements: int = 0
    deletions: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class MailRecord:
    """One mail, by the SHA-256 of its bytes. `key` is where its bytes lie in the store, `dossier`
    where what was read of them does.

    `copies` counts how often these very bytes were collected from a mailbox; 0 for a mail that
    another producer dropped into the store. Until `busy_until` one worker alone sends its mails.
    `reviewed` names its review items, so that none can go unseen; `message` is the digest of its
    Message-ID, `sent` what its sender is told of, once read. `chains`: where it may stand with a
    link, written before it stands there; empty when it was decided in one transaction.
    """

    mail: str
    mailbox: str
    key: str
    received_at: datetime
    state: MailState = MailState.RECEIVED
    route: Route | None = None
    reason: str | None = None
    documents: int = 0
    copies: int = 0
    forward: Leg = Leg.NOT_OWED
    forward_sends: int = 0
    answer: Leg = Leg.NOT_OWED
    answer_sends: int = 0
    leg_reason: str | None = None
    busy_until: datetime | None = None
    mdn: Mdn = Mdn.NONE
    forwarded_to: str | None = None
    replied_to: str | None = None
    review: bool = False
    reviewed: tuple[str, ...] = ()
    message: str = ""
    sent: Sent | None = None
    settled_at: datetime | None = None
    dossier: str = ""
    chains: tuple[str, ...] = ()

    @property
    def dossier_key(self) -> str:
        """Key of its dossier. A mail collected by version 0.2 has it under its own digest."""
        return self.dossier or f"documents/{self.mail}/dossier.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentRecord:
    """One document of a mail: what was decided of it and what the DPI said.

    `dpi` and `establishment` are those that the mailbox served at the decision: the IPP, the traits
    and the chain are of them ('' in rows of version 0.2). The hold runs from `first_attempt_at`;
    `attended_at` says when a worker last had the document in hand (`pfi.journey.hold`).
    """

    mail: str
    number: int
    event: Event
    chain: str
    parent_chain: str | None
    version: str
    masks: str
    integration: Integration = Integration.WAITING
    reason: str | None = None
    ack: str | None = None
    code: str | None = None
    ipp: str = ""
    level: str | None = None
    findings: tuple[TraitFinding, ...] = ()
    warnings: tuple[str, ...] = ()
    traits: Traits = field(default_factory=Traits)
    decided_at: datetime | None = None
    control_id: str | None = None
    built_at: datetime | None = None
    message_sha256: str | None = None
    sends: int = 0
    busy_until: datetime | None = None
    first_attempt_at: datetime | None = None
    attended_at: datetime | None = None
    ended_at: datetime | None = None
    repeated: bool = False
    masks_changed: bool = False
    dpi: str = ""
    establishment: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MailFacts:
    """What the mail says of itself and later messages repeat (MDM PRT, OBX 2, EVN-6).

    `came_back`: a forward of a PFI, which is never forwarded a second time.
    """

    message_id: str = ""
    subject: str = ""
    sender: str = ""
    reply_to: str = ""
    recipients: tuple[str, ...] = ()
    answer_to: str = ""
    mdn_to: str = ""
    mdn_confirm: bool = False
    sent_at: datetime | None = None
    text: str = ""
    came_back: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentFacts:
    """Header of one CDA, as far as the journey needs it after parse."""

    id_root: str
    id_extension: str
    event: Event
    code: str
    code_system: str
    label: str
    effective_time: str
    identity: DocumentIdentity
    parent: tuple[str, str] | None = None
    legal_authenticator: str = ""
    street: str = ""
    city: str = ""
    postal_code: str = ""
    country: str = ""
    sha256: str = ""
    size: int = 0
    masque_ps: bool = False
    invisible_patient: bool = False
    invisible_rep_legaux: bool = False
    warnings: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """``root`` or ``root^extension``: the way XDS and the reports write it."""
        return f"{self.id_root}^{self.id_extension}" if self.id_extension else self.id_root

    @property
    def masks(self) -> str:
        """The masks as one comparable word (Q-21 compares versions)."""
        flags = (self.masque_ps, self.invisible_patient, self.invisible_rep_legaux)
        return "".join("Y" if flag else "N" for flag in flags)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dossier:
    """Everything that reading a mail taught, stored beside its documents.

    `route` is set when the mail ends here (filed, review); `reason` says why it cannot be
    integrated. `own_message_id` is that of a mail of ours, if it is ours, that a loop or a delivery
    report brings back. `key` is where the bytes of the mail lie, `arrived_at` since when.
    """

    facts: MailFacts
    documents: tuple[DocumentFacts, ...] = ()
    route: Route | None = None
    reason: str | None = None
    archive_sha256: str = ""
    own_message_id: str = ""
    key: str = ""
    arrived_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewItem:
    """One job that a person must look at. Holds codes and digests only."""

    mail: str
    step: str
    document: int | None
    reason: str
    attempts: int
    recorded_at: datetime
    status: str = "open"
    source: str = ""
    """Of an identity message: the feed that it came from."""

    @property
    def waits(self) -> bool:
        """True while a person has something to do; « redriving »: a redrive was broken off."""
        return self.status in ("open", "redriving")
