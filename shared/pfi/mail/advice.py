"""What staff reads in a mail forwarded for manual integration: one sentence per reason."""

from typing import Final

from pfi.names import Reason

_BY_REASON: Final = {
    Reason.DPI_VERSION: "Comparer la version reçue à celle du dossier, puis remplacer ou supprimer "
    "le document à la main si la demande est légitime.",
    Reason.DPI_AUTHOR: "Vérifier auprès de l'expéditeur qu'il est bien l'auteur du document à "
    "remplacer ou à supprimer.",
    Reason.UNKNOWN_PATIENT: "Rechercher le patient, créer ou qualifier son identité si besoin, "
    "puis intégrer le document à la main.",
    Reason.NO_INS: "Le document ne porte pas d'INS : identifier le patient à partir du document, "
    "puis l'intégrer à la main.",
    Reason.INS_DIFFERS: "Comparer l'identité du document à celle du dossier. Ne pas intégrer sans "
    "certitude ; en cas de doute, saisir la cellule d'identitovigilance.",
    Reason.INS_INCOMPLETE: "Il manque un trait d'identité dans le document : identifier le patient "
    "par un autre moyen, puis intégrer le document à la main.",
    Reason.NO_XDM: "Ce courriel ne contient pas d'archive IHE_XDM : le traiter comme un courriel "
    "ordinaire.",
    Reason.MAIL_UNREADABLE: "La structure du courriel n'a pas pu être lue : ouvrir le message "
    "d'origine joint.",
    Reason.MAIL_TOO_LARGE: "Le courriel dépasse la taille admise : demander un envoi en plusieurs "
    "fois.",
    Reason.HASH_OR_SIZE_MISMATCH: "Le document ne correspond pas à son empreinte : demander un "
    "nouvel envoi à l'expéditeur.",
    Reason.REPLACE_WITHOUT_PARENT: "Demande de remplacement sans référence au document remplacé : "
    "retrouver ce document dans le dossier et faire le remplacement à la main.",
    Reason.MASQUE_PS: "Document masqué aux professionnels : ne pas l'intégrer au dossier sans "
    "l'accord du médecin responsable.",
    Reason.BASE_NOT_QUALIFIED: "L'identité locale n'est pas qualifiée : la qualifier, puis "
    "intégrer le document à la main.",
    Reason.BASE_INCOMPLETE: "L'identité locale est incomplète : la compléter, puis intégrer le "
    "document à la main.",
    Reason.AMBIGUOUS: "Plusieurs dossiers portent cet INS : saisir la cellule "
    "d'identitovigilance avant toute intégration.",
    Reason.FLAGGED: "L'identité locale porte une alerte : saisir la cellule d'identitovigilance "
    "avant toute intégration.",
    Reason.MULTIPLE_PATIENTS: "L'envoi concerne plusieurs patients : vérifier à qui appartient "
    "chaque document avant de l'intégrer.",
    Reason.TEST_INS_IN_PRODUCTION: "Le document porte un INS de test : ne pas l'intégrer, prévenir "
    "l'expéditeur.",
}
_BY_FAMILY: Final = {
    "PFI-XDM": "L'archive n'a pas pu être exploitée : utiliser la copie lisible jointe, ou "
    "demander un nouvel envoi à l'expéditeur.",
    "PFI-CDA": "Le document n'a pas pu être exploité : utiliser la copie lisible jointe, ou "
    "demander un nouvel envoi à l'expéditeur.",
    "PFI-CON": "La confidentialité du document ne permet pas son intégration automatique : suivre "
    "la procédure de l'établissement.",
    "PFI-DPI": "Vérifier d'abord si le document est déjà au dossier, puis l'intégrer à la main "
    "s'il n'y est pas.",
}
_OTHERWISE: Final = (
    "Lire le message d'origine joint et intégrer le document à la main s'il y a lieu."
)


def advice(code: str, reason: str) -> str:
    """What to do, by our own reason, else by its family, else by the outward code."""
    for known in (reason, code):
        if known in _BY_REASON:
            return _BY_REASON[Reason(known)]
        if known[:7] in _BY_FAMILY:
            return _BY_FAMILY[known[:7]]
    return _OTHERWISE
