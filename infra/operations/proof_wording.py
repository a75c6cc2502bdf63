"""The proof in French, and as plain data."""

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final, Protocol

from pfi.journey.accounts import IN_FLIGHT, Doubt, Fault
from pfi.names import Route


class Counted(Protocol):
    """What there is to say of a proof."""

    @property
    def at(self) -> datetime: ...
    @property
    def places(self) -> Mapping[str, Mapping[str, int]]: ...
    @property
    def queued(self) -> Mapping[str, int]: ...
    @property
    def open_reviews(self) -> int: ...
    @property
    def unread(self) -> int: ...
    @property
    def folders(self) -> Mapping[str, int]: ...
    @property
    def accepted(self) -> int | None: ...
    @property
    def faults(self) -> tuple[Fault, ...]: ...

    @property
    def closes(self) -> bool: ...
    @property
    def mails(self) -> int: ...


PLACES_FR: Final = {
    IN_FLIGHT: "en cours",
    Route.INTEGRATED.value: "intégrés au DPI",
    Route.FORWARDED.value: "transmis à la boîte de repli",
    Route.REPLIED.value: "répondus à l'expéditeur",
    Route.REVIEW.value: "en revue manuelle",
    Route.DUPLICATE.value: "doublons",
    Route.FILED.value: "classés",
}
DOUBTS_FR: Final = {
    Doubt.BODY_MISSING: "le corps du courriel n'est plus dans le stockage",
    Doubt.DOSSIER_MISSING: "le résultat de la lecture n'est plus dans le stockage",
    Doubt.CONTENT_MISSING: "le document n'est plus dans le stockage",
    Doubt.MAIL_MISSING: "le registre ne connaît pas ce courriel",
    Doubt.DOCUMENT_MISSING: "le document n'a pas sa ligne au registre",
    Doubt.CHAIN_MISSING: "le document n'est pas dans sa chaîne de versions",
    Doubt.CHAIN_DIFFERS: "deux sources disent autre chose de l'issue du document",
    Doubt.REVIEW_MISSING: "un élément de revue manque",
    Doubt.STUCK: "sans issue, et aucun travail en file : bloqué",
    Doubt.COPIES_DIFFER: "le nombre de relèves ne correspond pas à la boîte",
    Doubt.TWO_PLACES: "terminé, mais sans issue",
    Doubt.ACCEPTED_TWICE: "accepté plus d'une fois par le DPI",
    Doubt.NOT_ACCEPTED: "intégré selon le registre, absent du DPI",
    Doubt.ACCEPTED_UNKNOWN: "message accepté par le DPI, inconnu du registre",
    Doubt.NOT_COLLECTED: "courriel(s) de la boîte non relevé(s)",
    Doubt.CLAIM_MISSING: "la ligne qui reconnaît une seconde remise n'est plus au registre",
    Doubt.SENT_MISSING: "la ligne d'un envoi du PFI n'est plus au registre",
}


def sentences(proof: Counted) -> Iterator[str]:
    """The equation, mailbox by mailbox, then what does not close."""
    for mailbox, places in sorted(proof.places.items()):
        yield f"boîte {mailbox} : {_equation(Counter(places))}"
    every: Counter[str] = sum((Counter(each) for each in proof.places.values()), Counter())
    yield f"total : {_equation(every)}"
    waiting = ", ".join(f"{step} {count}" for step, count in proof.queued.items())
    yield f"files, lettres mortes comprises : {waiting}"
    yield f"revue manuelle : {proof.open_reviews} élément(s) ouvert(s)"
    if proof.unread:
        yield f"objets déposés jamais devenus courriels, en revue : {proof.unread}"
    for mailbox, count in sorted(proof.folders.items()):
        yield f"boîte {mailbox}, dossier des traités : {count} courriel(s), tous au registre"
    if proof.accepted is not None:
        yield f"DPI simulé : {proof.accepted} message(s) accepté(s)"
    yield from map(fault_line, proof.faults)
    yield verdict(proof)


def _equation(places: Counter[str]) -> str:
    """collected = each place."""
    terms = [f"{places[key]} {words}" for key, words in PLACES_FR.items() if places[key]]
    return f"{places.total()} reçus = " + (" + ".join(terms) or "0")


def fault_line(fault: Fault) -> str:
    """One thing that does not close, by its digest."""
    which = f", document {fault.document}" if fault.document else ""
    times = f" ({fault.count} fois)" if fault.count > 1 else ""
    return f"  ≠ {fault.subject}{which} : {DOUBTS_FR[fault.doubt]}{times}"


def verdict(proof: Counted) -> str:
    """The last line."""
    if proof.closes:
        return "le compte est bon : chaque courriel est à un endroit et un seul"
    return f"le compte n'est PAS bon : {len(proof.faults)} écart(s)"


def plain(proof: Counted) -> dict[str, Any]:
    """For `--json`."""
    return {
        "closes": proof.closes,
        "at": proof.at.isoformat(),
        "mails": proof.mails,
        "places": {mailbox: dict(places) for mailbox, places in proof.places.items()},
        "queued": dict(proof.queued),
        "open_reviews": proof.open_reviews,
        "unread": proof.unread,
        "folders": dict(proof.folders),
        "accepted": proof.accepted,
        "faults": [
            {
                "doubt": each.doubt.value,
                "subject": each.subject,
                "document": each.document,
                "count": each.count,
            }
            for each in proof.faults
        ],
    }
