"""French words of the commands, one per member of each closed list (a test counts them)."""

from pfi.ins.concordance import Warn
from pfi.ins.wording import LEVELS_FR, TRAITS_FR
from pfi.names import Event, Mdn, Route

__all__ = ["EVENTS_FR", "LEVELS_FR", "MDN_FR", "ROUTES_FR", "TRAITS_FR", "WARNINGS_FR"]

ROUTES_FR = {
    Route.INTEGRATED: "intégré dans le DPI",
    Route.FORWARDED: "transmis à la messagerie de repli",
    Route.REPLIED: "réponse à l'expéditeur",
    Route.REVIEW: "revue manuelle",
    Route.DUPLICATE: "doublon : déjà traité",
    Route.FILED: "classé sans réponse (courriel technique)",
}
WARNINGS_FR = {
    Warn.FALSE_KEY: "clé du matricule fausse",
    Warn.LEGACY_GIVEN: "ancienne écriture de la liste des prénoms",
    Warn.DEDUCED_GIVEN: "premier prénom déduit de la liste",
    Warn.GIVEN_LIST: "liste des prénoms différente (sans effet)",
    Warn.NIA_ALIAS: "NIA connu comme ancien numéro de ce patient",
    Warn.PRODUCTION_INS: "INS de production sur un site de test",
    Warn.NO_INS_IN_METADATA: "pas d'INS dans METADATA.XML, celui du CDA est utilisé",
    Warn.ATTRIBUTES: "attributs d'identité à titre d'information",
}
EVENTS_FR = {
    Event.NEW: "transmission initiale (T02)",
    Event.REPLACE: "remplacement (T10)",
    Event.DELETE: "suppression (T04)",
}
MDN_FR = {
    Mdn.NONE: "aucun",
    Mdn.PROCESSED: "« processed »",
    Mdn.ERROR: "« processed/error »",
}
