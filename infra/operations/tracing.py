"""The journey of one mail, as the ledger and the store remember it."""

from dataclasses import dataclass

from infra.operations.account import OperationRefused
from infra.operations.reviews import Act, Desk
from pfi.errors import Unavailable
from pfi.journey.records import DocumentRecord, Dossier, MailRecord, ReviewItem


@dataclass(frozen=True, slots=True)
class Trace:
    """Everything known of a mail. The dossier goes when the bodies do, long before the ledger."""

    mail: MailRecord | None
    dossier: Dossier | None
    documents: tuple[DocumentRecord, ...]
    items: tuple[ReviewItem, ...]
    acts: tuple[Act, ...]


def trace_of(desk: Desk, mail: str) -> Trace:
    """Read it all; a mail that nobody ever heard of is refused."""
    known = desk.ledger.mail(mail)
    items = desk.ledger.reviews(mail)
    if known is None and not items:
        raise OperationRefused("le registre ne connaît pas ce courriel")
    record = None if known is None else known.record
    return Trace(
        record,
        _dossier(desk, record),
        tuple(each.record for each in desk.ledger.documents(mail)),
        items,
        desk.acts(mail),
    )


def _dossier(desk: Desk, mail: MailRecord | None) -> Dossier | None:
    if mail is None:
        return None
    try:
        return desk.store.dossier(mail.dossier_key)
    except Unavailable:
        return None
