"""The closed vocabulary of the product: reason codes, routes, states, steps.

Nothing here does anything. Every word that crosses a border (ledger, queue, log, metric,
report, mail) is a member of one of these enums, so that no free text can carry patient data.
"""

from enum import StrEnum
from typing import Final


class Reason(StrEnum):
    """Why a mail or a document did not go the straight way.

    ``9xx`` are the codes of the volet Transmission au LPS (error-codes), given by the PFI or by
    the DPI; ``PFI-…`` are our own, for staff and dashboards. `outward` gives the code that a
    sender may see.
    """

    DPI_VERSION = "900"
    DPI_AUTHOR = "901"
    UNKNOWN_PATIENT = "902"
    NO_INS = "903"
    INS_DIFFERS = "904"
    INS_INCOMPLETE = "905"
    OTHER = "906"

    SENDER_NOT_TRUSTED = "PFI-MAIL-01"
    AUTO_GENERATED = "PFI-MAIL-02"
    MAIL_UNREADABLE = "PFI-MAIL-03"
    MAIL_TOO_LARGE = "PFI-MAIL-04"
    MDN_TO_CONFIRM = "PFI-MAIL-05"
    NOT_ANSWERABLE = "PFI-MAIL-06"
    BOUNCED = "PFI-MAIL-07"
    SAME_MAIL = "PFI-MAIL-08"
    TOO_MANY_NOTICES = "PFI-MAIL-09"
    FORWARD_LOOP = "PFI-MAIL-10"
    AUTO_UNSURE = "PFI-MAIL-11"
    NO_XDM = "PFI-XDM-01"
    ZIP_UNREADABLE = "PFI-XDM-02"
    ZIP_UNSAFE = "PFI-XDM-03"
    METADATA_MISSING = "PFI-XDM-04"
    METADATA_INVALID = "PFI-XDM-05"
    DOCUMENT_MISSING = "PFI-XDM-06"
    HASH_OR_SIZE_MISMATCH = "PFI-XDM-07"
    ACTION_UNKNOWN = "PFI-XDM-08"
    NO_CDA = "PFI-XDM-09"
    NOT_WELL_FORMED = "PFI-CDA-01"
    FORBIDDEN_CONSTRUCT = "PFI-CDA-02"
    HEADER_INCOMPLETE = "PFI-CDA-03"
    REPLACE_WITHOUT_PARENT = "PFI-CDA-04"
    MASQUE_PS = "PFI-CONF-01"
    MASK_UNKNOWN = "PFI-CONF-02"
    BASE_NOT_QUALIFIED = "PFI-ID-01"
    AMBIGUOUS = "PFI-ID-02"
    FLAGGED = "PFI-ID-03"
    META_CDA_PATIENT_MISMATCH = "PFI-ID-04"
    MULTIPLE_PATIENTS = "PFI-ID-05"
    TEST_INS_IN_PRODUCTION = "PFI-ID-06"
    INS_CONFLICT_IN_DOCUMENT = "PFI-ID-07"
    MATRICULE_MALFORMED = "PFI-ID-08"
    BASE_INCOMPLETE = "PFI-ID-09"
    ANOTHER_PATIENT = "PFI-ID-10"
    BASE_CHANGED = "PFI-ID-11"
    FEED_UNREADABLE = "PFI-PAM-01"
    FEED_WITHOUT_IPP = "PFI-PAM-02"
    FEED_CONTRADICTORY = "PFI-PAM-03"
    FEED_TIME = "PFI-PAM-04"
    DPI_UNAVAILABLE = "PFI-DPI-01"
    DPI_RETRY_LATER = "PFI-DPI-02"
    DPI_OUTCOME_UNKNOWN = "PFI-DPI-03"
    DPI_SYNTAX = "PFI-DPI-04"
    DPI_CONFIGURATION = "PFI-DPI-05"
    PARENT_IN_FLIGHT = "PFI-DPI-06"
    DPI_MAYBE_TWICE = "PFI-DPI-07"
    MAILBOX_UNAVAILABLE = "PFI-EDGE-01"
    RELAY_UNAVAILABLE = "PFI-EDGE-02"
    RELAY_REFUSED = "PFI-EDGE-03"
    STORE_UNAVAILABLE = "PFI-EDGE-04"
    CERTIFICATE = "PFI-EDGE-05"
    AUTHENTICATION = "PFI-EDGE-06"
    SETTING_MISSING = "PFI-EDGE-07"
    JOB_UNREADABLE = "PFI-EDGE-08"
    UNEXPECTED = "PFI-EDGE-09"
    RELAY_OUTCOME_UNKNOWN = "PFI-EDGE-10"

    @property
    def outward(self) -> str:
        """The code that leaves the hospital: 900…906 (ins-matching §4.8)."""
        return self.value if self.value.isdigit() else _OUTWARD.get(self.value, "906")


_OUTWARD: Final = {"PFI-ID-04": "904", "PFI-ID-07": "904", "PFI-ID-08": "904"}

OUTWARD_LABELS: Final = {
    "900": "Version du document incorrecte lors d'une demande de remplacement/suppression",
    "901": "Auteur non autorisé à remplacer ou supprimer un document",
    "902": "Identifiant patient inconnu",
    "903": "INS non présent dans le document",
    "904": "L'INS transmis ne correspond pas exactement à celui stocké dans la base du "
    "consommateur",
    "905": "L'INS transmis n'est pas complet",
    "906": "Erreur 'Autre'",
}
"""Labels of the volet; an unknown code of a DPI keeps the label of 906."""


class Step(StrEnum):
    """A station of the journey: one Lambda, one queue, one dead-letter queue."""

    COLLECT = "collect"
    PARSE = "parse"
    MATCH = "match"
    PUSH = "push"
    FORWARD = "forward"
    REVIEW = "review"
    CERTIFICATES = "certificates"
    PROVE = "prove"
    RETAIN = "retain"
    FEED = "feed"
    LOAD = "load"


class Event(StrEnum):
    """MDM trigger event: what the sender asks (volet, evenements-declenchants)."""

    NEW = "T02"
    REPLACE = "T10"
    DELETE = "T04"


class Route(StrEnum):
    """Where a mail ended. Exactly one per mail (design §6.1)."""

    INTEGRATED = "integrated"
    FORWARDED = "forwarded"
    REPLIED = "replied"
    REVIEW = "review"
    DUPLICATE = "duplicate"
    FILED = "filed"


class SenderClass(StrEnum):
    """What sort of house a mail comes from, by the domains that the settings list."""

    HOSPITAL = "hospital"
    LABORATORY = "laboratory"
    IMAGING = "imaging"
    PRACTICE = "practice"
    OTHER = "other"


class Integration(StrEnum):
    """State of one document towards the DPI (design §3). `sent` is never terminal."""

    WAITING = "waiting"
    SENT = "sent"
    INTEGRATED = "integrated"
    REFUSED = "refused"
    UNKNOWN = "unknown"
    NOT_OWED = "not_owed"
    WOULD_INTEGRATE = "would_integrate"

    @property
    def ended(self) -> bool:
        """True when nothing more will be sent for this document by itself."""
        return self in _ENDED


_ENDED: Final = frozenset(
    {Integration.INTEGRATED, Integration.REFUSED, Integration.UNKNOWN, Integration.NOT_OWED}
)


class Leg(StrEnum):
    """State of one outgoing mail: the forward or the answer."""

    NOT_OWED = "not_owed"
    OWED = "owed"
    SENT = "sent"
    FAILED = "failed"


class Mdn(StrEnum):
    """What the MDN said to the sender, if one left (RFC 8098 disposition)."""

    NONE = "none"
    PROCESSED = "processed"
    ERROR = "error"


class Environment(StrEnum):
    """Production or test site: decides MSH-11 and whether test INS are refused."""

    PRODUCTION = "production"
    TEST = "test"
