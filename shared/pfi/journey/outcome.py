"""What a step says of itself: one code of the catalogue, closed fields, counted facts.

Steps cannot log. They return `Outcome`s; the wrapper in `pfi.edge` writes one line and the
metrics. A field value is a digest, an enum, a number or a bool: never a free text.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from string import ascii_letters, digits
from typing import Final


class Log(Enum):
    """The catalogue: (level, sentence). The member name is the code in the log line."""

    MAILBOX_BUSY = ("INFO", "another collector holds the mailbox")
    MAILBOX_POLLED = ("INFO", "mailbox polled")
    POLL_DONE = ("INFO", "every mailbox had its turn")
    MAILBOX_FAILED = ("ERROR", "mailbox could not be polled")
    MAIL_COLLECTED = ("INFO", "mail stored, committed and moved")
    MAIL_SEEN = ("INFO", "mail already committed, only moved")
    MAIL_NOT_MOVED = ("WARNING", "mail already committed, its mailbox does not let it go")
    MAIL_SET_ASIDE = ("WARNING", "mail set aside in the mailbox, needs a person")
    MAIL_READ = ("INFO", "mail read, documents found")
    MAIL_NOT_READ = ("INFO", "mail cannot be integrated, goes to a person")
    MAIL_FILED = ("INFO", "technical mail filed, never answered")
    MAIL_DUPLICATE = ("INFO", "same mail already processed")
    MAIL_QUARANTINED = ("WARNING", "sender outside the trust space, kept for review")
    MAIL_BOUNCED = ("WARNING", "a mail that we sent came back")
    MAIL_DECIDED = ("INFO", "identity decided")
    MAIL_AWAITS_FEED = ("INFO", "identity not in the patient base yet, looked up again in a moment")
    MAIL_REPEATED = ("INFO", "job repeated, downstream message sent again")
    MAIL_SETTLED = ("INFO", "mail settled")
    MAIL_NOT_YET = ("INFO", "documents of the mail still in flight")
    DOCUMENT_INTEGRATED = ("INFO", "document accepted by the DPI")
    DOCUMENT_REPEATED = ("INFO", "document already accepted earlier, nothing sent")
    DOCUMENT_REFUSED = ("WARNING", "document refused by the DPI")
    DOCUMENT_PACED = ("INFO", "DPI takes one message at a time, document handed back")
    DOCUMENT_NOT_TRIED = ("INFO", "DPI failed another document just now, this one handed back")
    DOCUMENT_UNKNOWN = ("ERROR", "document may already be in the DPI")
    REVIEW_RECORDED = ("WARNING", "job recorded for manual review")
    JOB_RETRIED = ("WARNING", "job will be tried again")
    JOB_SET_ASIDE = ("ERROR", "job sent to the dead-letter queue")
    JOB_FAILED = ("ERROR", "unexpected error")
    CERTIFICATES_WATCHED = ("INFO", "certificates and revocation lists watched")
    CERTIFICATE_SEEN = ("INFO", "certificate examined")
    CERTIFICATE_FAULTY = ("ERROR", "certificate or revocation list unusable, needs a person")
    CRL_REFRESHED = ("INFO", "revocation list replaced by a newer one")
    CRL_KEPT = ("WARNING", "revocation list not replaced, the last good one is kept")
    FEED_APPLIED = ("INFO", "identity message applied to the patient base")
    FEED_REPEATED = ("INFO", "identity message already applied earlier")
    FEED_IGNORED = ("INFO", "message carries no identity, acknowledged")
    FEED_REFUSED = ("WARNING", "identity message needs a person, sender told")
    FEED_POSTPONED = ("WARNING", "patient base did not answer, sender will send again")
    FEED_FORBIDDEN = ("WARNING", "client certificate belongs to no feed, nothing was read")
    FEED_NO_MESSAGE = ("WARNING", "request to the feed is no HL7 message, refused")
    FILE_LOADED = ("INFO", "patient file loaded to its end")
    FILE_GOES_ON = ("INFO", "patient file loaded in part, the rest follows")
    FILE_REFUSED = ("WARNING", "patient file cannot be read at all")
    ACCOUNT_PROVEN = ("INFO", "the account of this part was looked through")
    ACCOUNT_PARTIAL = ("WARNING", "time did not suffice for the whole part, the rest is unproven")
    MAIL_UNACCOUNTED = ("ERROR", "the account does not close for this mail")
    BODIES_RETAINED = ("INFO", "bodies that are still needed live on")
    RETENTION_PARTIAL = ("WARNING", "not every body had its turn, the rest follows tomorrow")
    BODY_GONE = ("ERROR", "a body that is still needed is not in the store")
    BODY_NOT_RENEWED = ("ERROR", "a body that is still needed could not be renewed")
    EVENT_IGNORED = ("INFO", "event carries nothing to do")

    @property
    def level(self) -> str:
        """Level of the line."""
        return self.value[0]

    @property
    def sentence(self) -> str:
        """Fixed text of the line."""
        return self.value[1]


class Metric(StrEnum):
    """Every CloudWatch metric that the product emits (namespace PFI)."""

    MAILS_COLLECTED = "MailsCollected"
    MAILS_SETTLED = "MailsSettled"
    DOCUMENTS_INTEGRATED = "DocumentsIntegrated"
    DOCUMENTS_REFUSED = "DocumentsRefused"
    REVIEW_ENTRIES = "ReviewEntries"
    OUTCOME_UNKNOWN = "OutcomeUnknown"
    INTEGRATED_SHARE = "IntegratedShare"
    ARRIVAL_TO_ACK_MS = "ArrivalToAckMs"
    DPI_ROUND_TRIP_MS = "DpiRoundTripMs"
    HANDED_BACK_AGE_SECONDS = "HandedBackAgeSeconds"
    FEED_MESSAGES = "FeedMessages"
    INS_HELD_TWICE = "InsHeldTwice"
    FEED_FORBIDDEN = "FeedForbidden"
    FEED_AGE_SECONDS = "FeedAgeSeconds"
    IDENTITIES_LOADED = "IdentitiesLoaded"
    PATIENT_LINES_REFUSED = "PatientLinesRefused"
    POLL_AGE_SECONDS = "PollAgeSeconds"
    STEP_ERRORS = "StepErrors"
    MISCONFIGURED = "Misconfigured"
    CERTIFICATE_DAYS_LEFT = "CertificateDaysLeft"
    CRL_HOURS_LEFT = "CrlHoursLeft"
    CRL_AGE_HOURS = "CrlAgeHours"
    MAILS_UNACCOUNTED = "MailsUnaccounted"
    SLICES_UNPROVEN = "SlicesUnproven"
    BODIES_GONE = "BodiesGone"


@dataclass(frozen=True, slots=True)
class Digest:
    """A hexadecimal digest: the only free-looking text that a log field may be."""

    value: str

    def __post_init__(self) -> None:
        if not 8 <= len(self.value) <= 64 or set(self.value) - set("0123456789abcdef"):
            raise ValueError("not a digest")


@dataclass(frozen=True, slots=True)
class Code:
    """A peer's numeric code (ERR-5, SMTP reply): digits, at most six."""

    value: str

    def __post_init__(self) -> None:
        if not (self.value.isdigit() and self.value.isascii() and len(self.value) <= 6):
            raise ValueError("not a code")

    @classmethod
    def of(cls, text: str | None) -> "Code | None":
        """The code, unless a peer wrote something else there."""
        known = text and text.isascii() and text.isdigit() and len(text) <= 6
        return cls(text) if text and known else None


_CONFIGURED: Final = frozenset(ascii_letters + digits + "._-")


@dataclass(frozen=True, slots=True)
class Configured:
    """The id of an establishment, a mailbox or a DPI in the settings: a list that staff closed.

    An id that is no plain word is told as ``other``: counting must never stop a mail.
    """

    id: str

    @property
    def word(self) -> str:
        """What may be written down."""
        plain = 1 <= len(self.id) <= 64 and not set(self.id) - _CONFIGURED
        return self.id if plain else "other"


Fact = Digest | Code | Configured | StrEnum | int | bool | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a step did. `counts` are metric values; their dimensions are facts."""

    log: Log
    facts: Mapping[str, Fact] = field(default_factory=dict)
    counts: Mapping[Metric, float] = field(default_factory=dict)
