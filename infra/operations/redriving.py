"""What sending a reviewed job back into the journey changes: pure, one item at a time.

A job re-enters at the step that failed, only when its state allows it. What the DPI or the relay
may already hold leaves again only when a person says that it was looked for and is not there.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from infra.operations.account import OperationRefused
from pfi.journey.chains import Chain, holder_of
from pfi.journey.jobs import Job
from pfi.journey.records import DocumentRecord, MailRecord, MailState, ReviewItem
from pfi.names import Integration, Leg, Mdn, Reason, Route, Step

_AFTER_THE_FIX: Final = frozenset({Reason.DPI_SYNTAX.value, Reason.DPI_CONFIGURATION.value})
_ENDED_AT_THE_DPI: Final = _AFTER_THE_FIX | {Reason.DPI_OUTCOME_UNKNOWN.value}
_BY_HAND: Final = frozenset({Reason.MDN_TO_CONFIRM.value, Reason.BOUNCED.value})
_MAY_BE_HELD: Final = frozenset({Integration.INTEGRATED, Integration.UNKNOWN, Integration.SENT})


@dataclass(frozen=True, slots=True)
class Move:
    """What one redrive writes and sends. `arrival` is the key that `parse` reads again."""

    mail: Mapping[str, Any] = field(default_factory=dict)
    documents: tuple[DocumentRecord, ...] = ()
    jobs: tuple[tuple[Step, Job], ...] = ()
    arrival: str | None = None


def step_of(item: ReviewItem) -> Step:
    """The step that failed. A mail settled for what the DPI answered was reviewed by `forward`,
    but it is the push that must be done again."""
    if item.step == Step.FORWARD.value and item.reason in _ENDED_AT_THE_DPI:
        return Step.PUSH
    return Step(item.step)


def move_of(
    item: ReviewItem, mail: MailRecord, documents: tuple[DocumentRecord, ...], *, checked: bool
) -> Move:
    """The move of one item, or why there is none. `checked`: a person looked at the other side."""
    match step_of(item):
        case Step.PARSE:
            return _read_again(mail)
        case Step.MATCH:
            return _match_again(mail)
        case Step.PUSH if item.document:
            return _push_one(item.document, mail, documents)
        case Step.PUSH:
            return _push_ended(mail, documents, checked=checked)
        case Step.FORWARD:
            return _settle_again(item, mail, checked=checked)
    raise OperationRefused(f"l'étape « {item.step} » ne se relance pas : traiter à la main, clore")


def _read_again(mail: MailRecord) -> Move:
    """Never read, or put aside before anything was read of it (sender not trusted)."""
    aside = mail.state is MailState.SETTLED and mail.route is Route.REVIEW and not mail.documents
    sent = Leg.SENT in (mail.forward, mail.answer)
    if mail.state is MailState.RECEIVED:
        return Move(arrival=mail.key)
    if not aside or sent:
        raise OperationRefused("le courriel a déjà été lu : rien à relancer à cette étape")
    changes = {"state": MailState.RECEIVED, "reason": None, "settled_at": None}
    return Move(changes, arrival=mail.key)


def _match_again(mail: MailRecord) -> Move:
    """By the mail itself; one whose row does not say where its dossier lies is read again."""
    if mail.state not in (MailState.RECEIVED, MailState.READ):
        raise OperationRefused("l'identité est déjà décidée : rien à relancer à cette étape")
    if mail.state is MailState.RECEIVED and not mail.dossier:
        return Move(arrival=mail.key)
    return Move(jobs=((Step.MATCH, Job(mail.mail)),))


def _push_one(number: int, mail: MailRecord, documents: tuple[DocumentRecord, ...]) -> Move:
    """A document that could not leave gets its whole hold again; one on the wire keeps its rule."""
    found = next((each for each in documents if each.number == number), None)
    if mail.state is not MailState.DECIDED or found is None or found.integration.ended:
        raise OperationRefused(f"le document {number} n'attend plus l'envoi au DPI")
    jobs = ((Step.PUSH, Job(mail.mail, number)),)
    if found.integration is Integration.SENT:
        return Move(jobs=jobs)
    return Move(documents=(replace(found, first_attempt_at=None),), jobs=jobs)


def _push_ended(mail: MailRecord, documents: tuple[DocumentRecord, ...], *, checked: bool) -> Move:
    """Documents that the DPI refused for a fault that was repaired, or may not have got."""
    unknown = [each for each in documents if each.integration is Integration.UNKNOWN]
    if unknown and not checked:
        raise OperationRefused(
            "le DPI a peut-être déjà ce document : le chercher dans le DPI ; s'il n'y est pas, "
            "relancer avec --already-checked"
        )
    again = [*unknown, *(each for each in documents if _refused_by_a_fault(each))]
    waiting = [each for each in documents if each.integration is Integration.WAITING]
    if Leg.SENT in (mail.forward, mail.answer) or not (again or waiting):
        raise OperationRefused("aucun document à renvoyer : le courriel a déjà eu son issue")
    jobs = tuple((Step.PUSH, Job(mail.mail, each.number)) for each in [*again, *waiting])
    changes = {**_reopened(), "reason": None}
    return Move(changes, tuple(map(_as_before_the_push, again)), jobs)


def _refused_by_a_fault(document: DocumentRecord) -> bool:
    return document.integration is Integration.REFUSED and document.reason in _AFTER_THE_FIX


def _as_before_the_push(document: DocumentRecord) -> DocumentRecord:
    """MSH-10 stays that of this document of this mail. After a lost answer the bytes stay too, so
    that a DPI can recognise them; after a refusal they are built anew, for the settings changed."""
    unknown = document.integration is Integration.UNKNOWN
    return replace(
        document,
        integration=Integration.WAITING,
        reason=None,
        ack=None,
        code=None,
        sends=0,
        busy_until=None,
        first_attempt_at=None,
        ended_at=None,
        built_at=document.built_at if unknown else None,
        message_sha256=document.message_sha256 if unknown else None,
    )


def _settle_again(item: ReviewItem, mail: MailRecord, *, checked: bool) -> Move:
    """The mails that are owed: those that left stay sent, those that failed leave once more."""
    jobs = ((Step.FORWARD, Job(mail.mail)),)
    if item.reason in _BY_HAND:
        raise OperationRefused("ce motif se traite à la main, puis se clôt (pfi review close)")
    if mail.state is MailState.DECIDED:
        return Move(jobs=jobs)
    failed = [leg for leg in ("forward", "answer") if getattr(mail, leg) is Leg.FAILED]
    if mail.state is not MailState.SETTLED or not (failed or mail.route is Route.REVIEW):
        raise OperationRefused("le courriel a déjà eu son issue : rien à relancer")
    unknown = mail.leg_reason == Reason.RELAY_OUTCOME_UNKNOWN.value
    if "answer" in failed and unknown and not checked:
        raise OperationRefused(
            "l'expéditeur a peut-être déjà la réponse : le vérifier auprès de l'opérateur ; "
            "sinon relancer avec --already-checked"
        )
    legs: dict[str, Any] = {leg: Leg.OWED for leg in failed}
    sends = {f"{leg}_sends": 0 for leg in failed}
    return Move({**_reopened(), **legs, **sends, "leg_reason": None}, jobs=jobs)


def _reopened() -> dict[str, Any]:
    return {"state": MailState.DECIDED, "mdn": Mdn.NONE, "settled_at": None}


def chain_change(document: DocumentRecord) -> Callable[[Chain], Chain]:
    """The document's link takes its state again; it does not wait anew when the DPI went on without
    it. One that is given up hinders nobody."""
    holder = holder_of(document.mail, document.number)

    def change(chain: Chain) -> Chain:
        mine = chain.link(holder)
        if mine is None or mine.integration is document.integration:
            return chain
        again = document.integration is Integration.WAITING
        later = chain.links[chain.links.index(mine) + 1 :]
        if again and any(
            x.integration in _MAY_BE_HELD and x.version != mine.version for x in later
        ):
            raise OperationRefused(
                f"document {document.number} : le DPI a, ou a peut-être, une version arrivée après"
            )
        return chain.moved(holder, document.integration)

    return change
