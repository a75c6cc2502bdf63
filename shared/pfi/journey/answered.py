"""What a document becomes by the answer of its DPI, or without one. Pure."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Final

from pfi.hl7.ack import Ack, Verdict
from pfi.journey.chains import Link
from pfi.journey.records import DocumentRecord, MailRecord, MailState
from pfi.names import Integration, Leg, Reason, Route

ENDS: Final[Mapping[Verdict, tuple[Integration, Reason | None]]] = {
    Verdict.INTEGRATED: (Integration.INTEGRATED, None),
    Verdict.FUNCTIONAL: (Integration.REFUSED, None),
    Verdict.SYNTAX: (Integration.REFUSED, Reason.DPI_SYNTAX),
    Verdict.CONFIGURATION: (Integration.REFUSED, Reason.DPI_CONFIGURATION),
}
"""The answers that end a document."""
BASE_DIFFERS: Final = "base_differs_from_dpi"
"""The PFI accepted the identity and the DPI refused it: the patient base must be looked at."""
_IDENTITY_CODES: Final = frozenset({"902", "903", "904", "905"})


def as_answered(
    document: DocumentRecord,
    integration: Integration,
    ack: Ack,
    reason: Reason | None,
    *,
    blind: bool,
) -> DocumentRecord:
    """The document with the DPI's word (hl7-mdm §5.4): `reason` is ours, when we have one.

    `blind`: the PFI alone decides identities, and the DPI's code is no verdict (Q-38).
    """
    code = None
    if integration is not Integration.INTEGRATED:
        code = ack.application_code or (ack.error_code or None if reason else Reason.OTHER.value)
    warnings = document.warnings
    if code in _IDENTITY_CODES and document.ipp:
        warnings = (*warnings, BASE_DIFFERS)
        reason = Reason.OTHER if blind else reason
    return replace(
        document,
        integration=integration,
        ack=ack.code,
        code=code,
        reason=reason.value if reason else code,
        warnings=warnings,
        busy_until=None,
    )


def as_repeated(document: DocumentRecord, accepted: Link | None) -> DocumentRecord:
    """Its version was accepted before, of another mail."""
    ack = accepted.ack if accepted else None
    return replace(document, integration=Integration.INTEGRATED, ack=ack, repeated=True)


def as_unknown(document: DocumentRecord) -> DocumentRecord:
    """The DPI may hold it, and nobody can tell."""
    reason = Reason.DPI_OUTCOME_UNKNOWN.value
    return replace(document, integration=Integration.UNKNOWN, reason=reason, busy_until=None)


def settled_with(mail: MailRecord, document: DocumentRecord, now: datetime) -> MailRecord | None:
    """The mail that ends with its only document: integrated, and nobody waits for an answer.

    `forward` has nothing to do for it (`pfi.journey.settlement` would say the same of its dossier,
    whose request for an MDN `sent` repeats).
    """
    alone = mail.state is MailState.DECIDED and mail.documents == 1 and mail.reason is None
    silent = mail.sent is not None and not mail.sent.mdn
    untouched = mail.forward is Leg.NOT_OWED and mail.answer is Leg.NOT_OWED
    integrated = document.integration is Integration.INTEGRATED
    if not (alone and silent and untouched and integrated):
        return None
    return replace(mail, state=MailState.SETTLED, route=Route.INTEGRATED, settled_at=now)
