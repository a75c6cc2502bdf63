"""What each reason code means, in French, for the people who read `pfi explain` and the review.

A label says what happened, an advice what a secretary or an identity cell can do about it.
Neither ever names a patient.
"""

from collections.abc import Iterable
from typing import Final

from pfi.ins.traits import Level
from pfi.names import OUTWARD_LABELS, Reason

LABELS_FR: Final[dict[Reason, str]] = {
    Reason.DPI_VERSION: OUTWARD_LABELS["900"],
    Reason.DPI_AUTHOR: OUTWARD_LABELS["901"],
    Reason.UNKNOWN_PATIENT: OUTWARD_LABELS["902"],
    Reason.NO_INS: OUTWARD_LABELS["903"],
    Reason.INS_DIFFERS: OUTWARD_LABELS["904"],
    Reason.INS_INCOMPLETE: OUTWARD_LABELS["905"],
    Reason.OTHER: OUTWARD_LABELS["906"],
    Reason.SENDER_NOT_TRUSTED: "Expéditeur hors de l'espace de confiance MSSanté",
    Reason.AUTO_GENERATED: "Courriel automatique (réponse d'absence, rapport, notification)",
    Reason.MAIL_UNREADABLE: "Courriel illisible",
    Reason.MAIL_TOO_LARGE: "Courriel trop volumineux",
    Reason.MDN_TO_CONFIRM: "Accusé demandé vers une adresse à confirmer",
    Reason.NOT_ANSWERABLE: "Aucune réponse possible à ce courriel",
    Reason.BOUNCED: "Courriel envoyé par la plateforme et revenu non remis",
    Reason.SAME_MAIL: "Courriel déjà reçu",
    Reason.NO_XDM: "Aucune archive IHE_XDM dans le courriel",
    Reason.ZIP_UNREADABLE: "Archive illisible",
    Reason.ZIP_UNSAFE: "Archive refusée par sécurité",
    Reason.METADATA_MISSING: "Fichier METADATA.XML absent de l'archive",
    Reason.METADATA_INVALID: "Fichier METADATA.XML invalide",
    Reason.DOCUMENT_MISSING: "Document annoncé mais absent de l'archive",
    Reason.HASH_OR_SIZE_MISMATCH: "Document différent de celui annoncé (empreinte ou taille)",
    Reason.ACTION_UNKNOWN: "Action demandée inconnue",
    Reason.NO_CDA: "Aucun document CDA dans l'archive",
    Reason.NOT_WELL_FORMED: "Document CDA mal formé",
    Reason.FORBIDDEN_CONSTRUCT: "Document CDA avec une construction interdite",
    Reason.HEADER_INCOMPLETE: "En-tête du document CDA incomplet",
    Reason.REPLACE_WITHOUT_PARENT: "Remplacement sans référence au document remplacé",
    Reason.MASQUE_PS: "Document masqué aux professionnels de santé",
    Reason.MASK_UNKNOWN: "Restriction de visibilité inconnue",
    Reason.BASE_NOT_QUALIFIED: "Identité du patient non qualifiée dans la base locale",
    Reason.AMBIGUOUS: "Plusieurs identités locales qualifiées portent ce matricule",
    Reason.FLAGGED: "Identité locale signalée (douteuse, fictive, usurpée, en anomalie…)",
    Reason.META_CDA_PATIENT_MISMATCH: "Patient différent entre METADATA.XML et le document",
    Reason.MULTIPLE_PATIENTS: "Plusieurs patients, ou des traits contradictoires, "
    "dans le document ou l'archive",
    Reason.TEST_INS_IN_PRODUCTION: "INS de test ou de démonstration reçue en production",
    Reason.INS_CONFLICT_IN_DOCUMENT: "Deux matricules INS différents dans le même document",
    Reason.MATRICULE_MALFORMED: "Matricule INS mal formé",
    Reason.BASE_INCOMPLETE: "Trait strict absent de l'identité locale qualifiée",
    Reason.BASE_CHANGED: "L'identité locale, ou le DPI de la boîte, a changé avant l'envoi",
    Reason.ANOTHER_PATIENT: "Le DPI a ce document, ou celui à remplacer, pour un autre patient",
    Reason.FEED_UNREADABLE: "Message d'identité illisible",
    Reason.FEED_WITHOUT_IPP: "Message d'identité sans IPP unique de l'établissement",
    Reason.FEED_CONTRADICTORY: "Fusions d'identités contradictoires",
    Reason.FEED_TIME: "Message d'identité sans date, ou daté du futur",
    Reason.DPI_UNAVAILABLE: "DPI injoignable",
    Reason.DPI_RETRY_LATER: "DPI momentanément indisponible (AR)",
    Reason.DPI_OUTCOME_UNKNOWN: "Envoi au DPI sans acquittement : issue inconnue",
    Reason.DPI_SYNTAX: "Message refusé par le DPI pour sa syntaxe",
    Reason.DPI_CONFIGURATION: "Message refusé par le DPI pour sa configuration",
    Reason.PARENT_IN_FLIGHT: "Version précédente du document encore en cours d'envoi",
    Reason.DPI_MAYBE_TWICE: "Document accepté par le DPI, peut-être deux fois",
    Reason.MAILBOX_UNAVAILABLE: "Boîte aux lettres MSSanté injoignable",
    Reason.RELAY_UNAVAILABLE: "Relais d'envoi MSSanté injoignable",
    Reason.RELAY_REFUSED: "Envoi refusé par le relais MSSanté",
    Reason.STORE_UNAVAILABLE: "Stockage indisponible",
    Reason.CERTIFICATE: "Certificat refusé, expiré ou invalide",
    Reason.AUTHENTICATION: "Authentification refusée",
    Reason.SETTING_MISSING: "Paramètre absent ou invalide",
    Reason.JOB_UNREADABLE: "Tâche interne illisible",
    Reason.UNEXPECTED: "Erreur inattendue",
    Reason.RELAY_OUTCOME_UNKNOWN: "Envoi sans confirmation du relais MSSanté",
    Reason.TOO_MANY_NOTICES: "Trop d'avis d'échec vers la même adresse",
    Reason.FORWARD_LOOP: "Courriel ou archive déjà transférés à la messagerie de repli",
    Reason.AUTO_UNSURE: "Courriel automatique qui contient peut-être un document",
}
"""A short label per reason code."""

_ASK_SENDER: Final = "Demander à l'expéditeur de renvoyer le document corrigé."
_BY_HAND: Final = "Ouvrir le courriel dans la boîte de secours et classer le document à la main."
_WAIT: Final = (
    "Rien à faire : un nouvel essai est automatique. Prévenir l'exploitation si cela dure."
)
_OPERATE: Final = "Prévenir l'exploitation : le courriel attend et rien n'est perdu."
_NOTHING: Final = "Rien à faire : le courriel est classé et n'appelle pas de réponse."
_IDENTITY: Final = "Prévenir la cellule d'identitovigilance"

ADVICE_FR: Final[dict[Reason, str]] = {
    Reason.DPI_VERSION: f"Chercher dans le DPI la version à remplacer ou à supprimer. {_BY_HAND}",
    Reason.DPI_AUTHOR: f"Vérifier avec l'expéditeur qui a émis la première version. {_BY_HAND}",
    Reason.UNKNOWN_PATIENT: (
        f"Chercher le patient dans le DPI ; s'il existe, faire qualifier son INS. {_BY_HAND}"
    ),
    Reason.NO_INS: f"Identifier le patient à partir du document. {_BY_HAND} "
    "Rappeler à l'expéditeur de joindre l'INS qualifiée.",
    Reason.INS_DIFFERS: f"{_IDENTITY} : comparer les traits du document et du DPI. "
    "Ne rien classer avant sa réponse.",
    Reason.INS_INCOMPLETE: f"Il manque un trait strict dans le document. {_ASK_SENDER}",
    Reason.OTHER: f"Lire le motif donné par le DPI. {_BY_HAND}",
    Reason.SENDER_NOT_TRUSTED: "Vérifier l'adresse de l'expéditeur. Ne pas ouvrir les pièces "
    "jointes sans l'accord du responsable de la sécurité.",
    Reason.AUTO_GENERATED: _NOTHING,
    Reason.MAIL_UNREADABLE: f"Le courriel ne peut pas être lu. {_ASK_SENDER}",
    Reason.MAIL_TOO_LARGE: "Demander à l'expéditeur un envoi en plusieurs courriels.",
    Reason.MDN_TO_CONFIRM: "Confirmer ou refuser l'accusé dans la liste de revue.",
    Reason.NOT_ANSWERABLE: "Le courriel ne permet pas de répondre : joindre l'expéditeur "
    "par un autre moyen si nécessaire.",
    Reason.BOUNCED: "Vérifier l'adresse de l'expéditeur et le joindre par un autre moyen.",
    Reason.SAME_MAIL: "Rien à faire : le premier exemplaire a été traité.",
    Reason.NO_XDM: "Lire le courriel dans la boîte de secours et le traiter comme un message "
    "ordinaire.",
    Reason.ZIP_UNREADABLE: f"L'archive est abîmée. {_ASK_SENDER}",
    Reason.ZIP_UNSAFE: "Ne pas ouvrir l'archive. Prévenir le responsable de la sécurité.",
    Reason.METADATA_MISSING: f"L'archive est incomplète. {_ASK_SENDER}",
    Reason.METADATA_INVALID: f"L'archive est mal construite. {_ASK_SENDER}",
    Reason.DOCUMENT_MISSING: f"L'archive est incomplète. {_ASK_SENDER}",
    Reason.HASH_OR_SIZE_MISMATCH: f"Le document a pu être altéré. {_ASK_SENDER}",
    Reason.ACTION_UNKNOWN: f"Demander à l'expéditeur ce qu'il souhaite. {_BY_HAND}",
    Reason.NO_CDA: _BY_HAND,
    Reason.NOT_WELL_FORMED: f"Le document ne peut pas être lu. {_ASK_SENDER}",
    Reason.FORBIDDEN_CONSTRUCT: "Ne pas ouvrir le document. Prévenir le responsable de la "
    "sécurité.",
    Reason.HEADER_INCOMPLETE: f"L'en-tête du document est incomplet. {_ASK_SENDER}",
    Reason.REPLACE_WITHOUT_PARENT: "Demander à l'expéditeur quel document est remplacé. "
    f"{_BY_HAND}",
    Reason.MASQUE_PS: "Le patient a masqué ce document : ne pas l'intégrer au dossier. "
    "Suivre la procédure de l'établissement.",
    Reason.MASK_UNKNOWN: f"Demander à l'expéditeur quelle restriction s'applique. {_BY_HAND}",
    Reason.BASE_NOT_QUALIFIED: "Faire qualifier l'identité du patient dans le DPI "
    "(téléservice INSi et pièce d'identité), puis classer le document du repli à la main.",
    Reason.AMBIGUOUS: f"{_IDENTITY} : deux dossiers portent le même INS, un doublon est à traiter.",
    Reason.FLAGGED: f"{_IDENTITY} : l'identité locale porte un signalement à lever.",
    Reason.META_CDA_PATIENT_MISMATCH: f"L'envoi se contredit sur le patient. {_ASK_SENDER}",
    Reason.MULTIPLE_PATIENTS: "Demander à l'expéditeur un envoi par patient, "
    "avec une seule valeur de chaque trait.",
    Reason.TEST_INS_IN_PRODUCTION: "Ne pas intégrer. Prévenir l'expéditeur que son logiciel est "
    "réglé en mode test.",
    Reason.INS_CONFLICT_IN_DOCUMENT: f"Le document porte deux INS. {_ASK_SENDER}",
    Reason.MATRICULE_MALFORMED: f"Le matricule n'a pas 15 caractères valides. {_ASK_SENDER}",
    Reason.BASE_CHANGED: f"Vérifier l'identité actuelle du patient. {_BY_HAND}",
    Reason.ANOTHER_PATIENT: f"{_IDENTITY} : la version déjà intégrée porte un autre INS ou un "
    "autre IPP. Ne rien remplacer ni supprimer avant sa réponse.",
    Reason.BASE_INCOMPLETE: f"{_IDENTITY} : compléter les traits de l'identité qualifiée, "
    "puis classer le document du repli à la main.",
    Reason.FEED_UNREADABLE: "Prévenir l'éditeur du référentiel d'identités : le message est à "
    "corriger et à renvoyer.",
    Reason.FEED_WITHOUT_IPP: "Vérifier l'autorité d'affectation des IPP dans les paramètres et "
    "dans le référentiel d'identités, puis faire renvoyer le message.",
    Reason.FEED_CONTRADICTORY: f"{_IDENTITY} : des fusions se contredisent ou un "
    "numéro est repris après un changement de numéro, aucune de ces identités ne reçoit de "
    "document avant correction.",
    Reason.FEED_TIME: "Vérifier l'heure du référentiel d'identités, puis faire renvoyer "
    "le message.",
    Reason.DPI_UNAVAILABLE: f"Prévenir l'exploitation : le DPI est resté injoignable. {_BY_HAND}",
    Reason.DPI_RETRY_LATER: _WAIT,
    Reason.DPI_OUTCOME_UNKNOWN: "Vérifier dans le DPI si le document y est déjà, puis clore ou "
    "rejouer depuis la liste de revue.",
    Reason.DPI_SYNTAX: "Prévenir l'éditeur du DPI et l'exploitation. Une fois l'interface "
    "corrigée, rejouer depuis la liste de revue.",
    Reason.DPI_CONFIGURATION: _OPERATE,
    Reason.PARENT_IN_FLIGHT: _WAIT,
    Reason.DPI_MAYBE_TWICE: "Vérifier dans le DPI que le document n'y est qu'une fois, supprimer "
    "l'exemplaire en trop, puis clore depuis la liste de revue.",
    Reason.MAILBOX_UNAVAILABLE: _WAIT,
    Reason.RELAY_UNAVAILABLE: _WAIT,
    Reason.RELAY_REFUSED: "Vérifier l'adresse du destinataire avec l'exploitation, puis renvoyer "
    "depuis la liste de revue.",
    Reason.STORE_UNAVAILABLE: _WAIT,
    Reason.CERTIFICATE: _OPERATE,
    Reason.AUTHENTICATION: _OPERATE,
    Reason.SETTING_MISSING: _OPERATE,
    Reason.JOB_UNREADABLE: _OPERATE,
    Reason.UNEXPECTED: _OPERATE,
    Reason.RELAY_OUTCOME_UNKNOWN: "Vérifier que le destinataire a reçu le courriel : "
    "il a pu partir sans que le relais le confirme.",
    Reason.TOO_MANY_NOTICES: "Joindre l'expéditeur : ses envois échouent en série.",
    Reason.FORWARD_LOOP: "Le document est déjà dans la messagerie de repli : l'y traiter à la "
    "main. Y chercher une règle qui renvoie ces courriels à la plateforme, et la retirer ; s'il "
    "n'y en a pas, l'expéditeur renvoie toujours la même archive : le joindre.",
    Reason.AUTO_UNSURE: "Lire le courriel : s'il porte un document, le classer à la main et "
    "demander à l'expéditeur d'envoyer l'archive sans message intermédiaire.",
}
"""What a person can do, per reason code."""

TRAITS_FR: Final = {
    "birth_name": "nom de naissance",
    "first_given": "premier prénom de naissance",
    "given_list": "liste des prénoms de naissance",
    "birth_date": "date de naissance",
    "sex": "sexe",
    "birth_place": "lieu de naissance (code INSEE)",
}
LEVELS_FR: Final = {
    Level.EXACT: "identique",
    Level.NORMALISED: "identique aux accents et à la casse près",
    Level.SEPARATORS: "identique au trait d'union, à l'apostrophe ou à l'espace près",
    Level.MISSING: "absent",
    Level.DIFFERENT: "différent",
}

CHECKED_FR: Final = {
    "birth_name": "le nom de naissance (et non le nom utilisé)",
    "first_given": "le premier prénom de l'acte de naissance (et non le prénom utilisé)",
    "given_list": "la liste des prénoms, complète et dans l'ordre de l'acte de naissance",
    "birth_date": "la date de naissance (jour, mois, année)",
    "sex": "le sexe (F ou M)",
    "birth_place": "le code INSEE du lieu de naissance à cette date (99… pour un pays)",
}
"""What to look at, trait by trait."""
_OUR_SIDE: Final = "l'identité du DPI (référentiel d'identités), puis rappeler l'INSi"
_CHECKS: Final = {
    Reason.INS_INCOMPLETE.value: (
        Level.MISSING,
        "absent ou inexploitable dans le document, à faire compléter par l'expéditeur",
    ),
    Reason.BASE_INCOMPLETE.value: (Level.MISSING, f"à compléter dans {_OUR_SIDE}"),
    Reason.INS_DIFFERS.value: (Level.DIFFERENT, f"comparer le document et {_OUR_SIDE}"),
}
_MATRICULE: Final = f"le matricule, puis les cinq traits : comparer le document et {_OUR_SIDE}"
_TWO_BASES: Final = (
    "les cinq traits : la base patients les accepte et le DPI les refuse, comparer le DPI et le "
    "référentiel d'identités"
)


def checks(reason: str, findings: Iterable[tuple[str, Level]]) -> tuple[str, ...]:
    """Which trait a person checks, in which system. Traits are named, never shown, and only to
    staff: what differs stays inside the hospital (ins-matching §4.6)."""
    found = tuple(findings)
    faulty, where = _CHECKS.get(reason, (Level.DIFFERENT, ""))
    told = tuple(f"{CHECKED_FR[t]} : {where}" for t, level in found if where and level is faulty)
    if told or reason != Reason.INS_DIFFERS.value:
        return told
    return (_TWO_BASES if found else _MATRICULE,)


def advice(code: str, reason: str) -> str:
    """What a person can do: by our own reason, else by the outward code, else read the original."""
    known = {each.value: text for each, text in ADVICE_FR.items()}
    return known.get(reason) or known.get(code) or ADVICE_FR[Reason.OTHER]
