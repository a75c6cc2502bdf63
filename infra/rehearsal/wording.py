"""French words of a rehearsal."""

from typing import Final

from infra.rehearsal.tally import UNREAD, Line
from pfi.ins.wording import LABELS_FR
from pfi.names import Mdn, Reason, Route

ROUTES_FR: Final = {
    Route.INTEGRATED.value: "intégrés dans le DPI",
    Route.FORWARDED.value: "transmis à la messagerie de repli",
    Route.REPLIED.value: "réponse à l'expéditeur",
    Route.REVIEW.value: "revue manuelle",
    Route.DUPLICATE.value: "doublons",
    Route.FILED.value: "courriels techniques, classés",
    UNREAD: "illisibles pour la répétition",
}
_ONE_FR: Final = {
    Route.INTEGRATED.value: "intégré",
    Route.FORWARDED.value: "repli",
    Route.REPLIED.value: "réponse",
    Route.REVIEW.value: "revue",
    Route.DUPLICATE.value: "doublon",
    Route.FILED.value: "classé",
    UNREAD: "illisible",
}
_MDN_FR: Final = {Mdn.PROCESSED: "MDN processed", Mdn.ERROR: "MDN error"}
PROMISE: Final = "Répétition : rien n'a été envoyé, déplacé ni écrit."
ASSUMED: Final = (
    "{} courriel(s) sans destinataire connu des paramètres : traités comme reçus par la première "
    "boîte."
)


def outcome(line: Line) -> str:
    """``repli 904, MDN error`` or ``intégré T02 T02 (dpi), MDN processed``."""
    words = [_ONE_FR[line.route], line.reason, *(each.value for each in line.events)]
    if line.events:
        words.append(f"({line.dpi})")
    if line.repeats:
        words.append(f"({line.repeats} déjà intégré(s))")
    marks = [_MDN_FR.get(line.mdn, ""), "à confirmer" if line.review else ""]
    return ", ".join([" ".join(filter(None, words)), *filter(None, marks)])


def meaning(reason: str) -> str:
    """The words of a code."""
    known = next((each for each in Reason if each.value == reason), None)
    return LABELS_FR[known] if known else reason


def number(value: float, digits: int = 0) -> str:
    """``12 345,6``, with narrow blanks that do not break."""
    return f"{value:,.{digits}f}".replace(",", "\u202f").replace(".", ",")


def percent(value: float) -> str:
    """``87,3 %``."""
    return f"{number(value, 1)}\u202f%"
