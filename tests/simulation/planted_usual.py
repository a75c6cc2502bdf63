"""Bugs in what the usual mail takes for granted: one transaction, and an end with its document."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from pfi.journey import push
from pfi.journey.keys import digest
from pfi.journey.ledger import Ledger
from tests.simulation.bugs import bug


@bug("wrong route", "duplicate", "accepted from two mails", "not as foreseen")
def the_usual_mail_claims_nothing() -> list[tuple[Any, str, Any]]:
    real = Ledger.claim_put
    return [
        (Ledger, "claim_put", lambda self, same, mail: real(self, digest(same, mail), mail)),
    ]


@bug("answer missing")
def a_mail_ends_with_its_document_although_an_answer_is_owed() -> list[tuple[Any, str, Any]]:
    return [(push, "settled_with", _settled_as(lambda mail: replace(mail, sent=_silent(mail))))]


@bug("integrated without", "answer missing")
def a_mail_ends_with_the_first_of_its_documents() -> list[tuple[Any, str, Any]]:
    def alone(mail: Any) -> Any:
        return replace(mail, sent=_silent(mail), documents=min(1, mail.documents))

    return [(push, "settled_with", _settled_as(alone))]


def _silent(mail: Any) -> Any:
    return mail.sent and replace(mail.sent, mdn=False)


def _settled_as(taken_for: Callable[[Any], Any]) -> Callable[..., Any]:
    """The end of a mail, decided of another one that it is taken for."""
    real = push.settled_with

    def settled(mail: Any, document: Any, now: Any) -> Any:
        ended = real(taken_for(mail), document, now)
        return ended and replace(ended, sent=mail.sent, documents=mail.documents)

    return settled
