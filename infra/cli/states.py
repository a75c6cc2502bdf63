"""French words of the ledger's states, one per member of each closed list (a test counts them)."""

from datetime import datetime
from typing import Final

from infra.cli.wording import WARNINGS_FR
from infra.operations.reviews import Act
from pfi.ins.wording import LABELS_FR
from pfi.journey.answered import BASE_DIFFERS
from pfi.journey.message import PARIS
from pfi.journey.records import MailState
from pfi.names import Integration, Leg, Reason

STATES_FR: Final = {
    MailState.RECEIVED: "reçu, identité à décider",
    MailState.READ: "lu, patient attendu de l'alimentation",
    MailState.DECIDED: "identité décidée, pas encore terminé",
    MailState.SETTLED: "terminé",
}
INTEGRATIONS_FR: Final = {
    Integration.WAITING: "attend l'envoi au DPI",
    Integration.SENT: "envoyé au DPI, réponse attendue",
    Integration.INTEGRATED: "intégré par le DPI",
    Integration.REFUSED: "refusé",
    Integration.UNKNOWN: "peut-être dans le DPI (réponse perdue)",
    Integration.NOT_OWED: "non envoyé au DPI",
    Integration.WOULD_INTEGRATE: "serait intégré",
}
LEGS_FR: Final = {
    Leg.NOT_OWED: "rien à envoyer",
    Leg.OWED: "à envoyer",
    Leg.SENT: "parti",
    Leg.FAILED: "échec",
}
STATUS_FR: Final = {
    "open": "à traiter",
    "redriving": "relance interrompue : recommencer",
    "redriven": "relancé",
    "closed": "clos",
}
_ACTIONS_FR: Final = {"redrive": "relance", "close": "clôture"}
_WARNINGS_FR: Final = {
    **{code.value: words for code, words in WARNINGS_FR.items()},
    BASE_DIFFERS: "le DPI a refusé une identité que la base patients accepte",
}


def labelled(reason: str) -> str:
    """A code with its words; a code of a DPI may have none."""
    known = next((each for each in Reason if each.value == reason), None)
    return f"{reason} {LABELS_FR[known]}" if known else reason


def warned(code: str) -> str:
    """The words of a warning, or its code."""
    return _WARNINGS_FR.get(code, code)


def moment(at: datetime) -> str:
    """A time as the hospital's clocks show it."""
    return at.astimezone(PARIS).strftime("%d/%m/%Y %H:%M:%S")


def act_line(act: Act) -> str:
    """What a person did."""
    steps = f" {', '.join(act.steps)}" if act.steps else ""
    at = moment(datetime.fromisoformat(act.at))
    return f"  {at}  {_ACTIONS_FR.get(act.action, act.action)}{steps} par {act.who} : {act.why}"
