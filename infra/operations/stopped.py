"""What an act on a mail in review leaves behind when it stops between two transactions: pure."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from infra.operations.account import OperationRefused
from pfi.journey.ledger import Versioned
from pfi.journey.records import DocumentRecord
from pfi.names import Integration

HALF_REDRIVEN: Final = (
    "une relance arrêtée en route retient des documents de ce courriel et leurs versions "
    "suivantes : pfi review close les libère"
)


def left_waiting(documents: Iterable[Versioned[DocumentRecord]]) -> Iterator[DocumentRecord]:
    """Of a settled mail: those that a redrive turned back before it stopped. All documents of a
    mail have ended when it is settled, and the job of a push is sent once the mail is reopened: so
    nobody sends these."""
    return (each.record for each in documents if each.record.integration is Integration.WAITING)


def given_up(document: DocumentRecord, reason: str) -> DocumentRecord:
    """Nothing is sent for it any more."""
    return replace(document, integration=Integration.NOT_OWED, reason=reason)


def refuse_what_a_close_began(documents: Iterable[Versioned[DocumentRecord]]) -> None:
    """A mail goes whole or not at all (Q-19): `match` owes all its documents or none, so where some
    are given up and others still to be sent, a close was broken off."""
    states = {each.record.integration for each in documents}
    if Integration.NOT_OWED in states and not all(each.ended for each in states):
        raise OperationRefused(
            "une clôture de ce courriel s'est arrêtée en route : la terminer par pfi review close"
        )
