"""What the texts ask of those who send, and what to mend, per reason that lies with the sender."""

from dataclasses import dataclass
from typing import Final

from pfi.names import Reason


@dataclass(frozen=True, slots=True)
class Rule:
    """One demand: its text, what it asks, what to mend in the sending software."""

    source: str
    asks: str
    mend: str


_XDM: Final = "IHE ITI-32 (XDM, option ZIP over E-mail) ; CI-SIS, volet Échange de documents"
_CDA: Final = "CI-SIS, volet Structuration minimale des documents de santé (en-tête CDA)"
_VOLET: Final = "CI-SIS, volet Transmission d'un document CDA-R2 en HL7v2"
_INS: Final = "Référentiel INS ; référentiel national d'identitovigilance (RNIV)"
_MSS: Final = "Référentiel socle MSSanté #2"

RULES_FR: Final[dict[Reason, Rule]] = {
    Reason.NO_INS: Rule(
        f"{_INS} ; {_VOLET}, code 903",
        "le document d'un patient dont l'identité est qualifiée porte son INS dans l'en-tête CDA "
        "(recordTarget/patientRole/id : matricule et OID de l'autorité d'affectation).",
        "appeler le téléservice INSi, qualifier l'identité, et transmettre le matricule sous l'OID "
        "de l'INS, non le seul identifiant local ou un numéro de sécurité sociale.",
    ),
    Reason.INS_DIFFERS: Rule(
        f"{_INS} ; {_VOLET}, code 904",
        "le matricule et les traits stricts transmis sont exactement ceux que rend l'INSi.",
        "transmettre les traits rendus par l'INSi (nom de naissance, prénoms de naissance) et non "
        "les traits saisis ou utilisés ; rappeler l'INSi pour ces patients. L'écart peut aussi "
        "être de notre côté : nous le vérifions de même.",
    ),
    Reason.INS_INCOMPLETE: Rule(
        f"{_INS} ; {_VOLET}, code 905",
        "l'INS s'accompagne de tous ses traits stricts : nom de naissance, premier prénom de "
        "naissance (given qualifier BR), date de naissance complète, sexe F ou M, code INSEE du "
        "lieu de naissance.",
        "alimenter chacun de ces champs, code INSEE du lieu de naissance et qualificatif BR du "
        "premier prénom compris.",
    ),
    Reason.META_CDA_PATIENT_MISMATCH: Rule(
        f"{_XDM} ; {_MSS}",
        "METADATA.XML (patientId) et le document CDA désignent le même patient par la même INS.",
        "construire METADATA.XML à partir de l'en-tête du CDA transmis.",
    ),
    Reason.MULTIPLE_PATIENTS: Rule(
        f"{_MSS}, ECO.2.1.1",
        "une archive et un document concernent un seul patient, dont chaque trait strict n'a "
        "qu'une valeur.",
        "faire un envoi par patient ; n'écrire qu'une valeur de chaque trait strict.",
    ),
    Reason.TEST_INS_IN_PRODUCTION: Rule(
        f"{_INS} (OID de test et de démonstration)",
        "les INS de test ou de démonstration ne circulent pas en production.",
        "passer le logiciel en mode production (OID 1.2.250.1.213.1.4.8 ou .9).",
    ),
    Reason.INS_CONFLICT_IN_DOCUMENT: Rule(
        _INS,
        "un patient a une seule INS en vigueur par nature (NIR ou NIA).",
        "ne transmettre que l'INS en vigueur, non les précédentes.",
    ),
    Reason.MATRICULE_MALFORMED: Rule(
        _INS,
        "le matricule a 15 caractères, clé comprise, sans espace.",
        "transmettre les 13 caractères suivis de la clé à deux chiffres.",
    ),
    Reason.NO_XDM: Rule(
        f"{_MSS} ; {_VOLET}",
        "un document destiné au dossier est joint dans une archive IHE_XDM.ZIP contenant un CDA.",
        "joindre l'archive ; un courriel de correspondance s'adresse à une boîte nominative ou "
        "organisationnelle, non à la boîte applicative.",
    ),
    Reason.ZIP_UNREADABLE: Rule(
        f"{_XDM}",
        "l'archive est un fichier ZIP lisible, sans chiffrement.",
        "vérifier que l'archive n'est ni tronquée, ni chiffrée, ni modifiée par le relais d'envoi.",
    ),
    Reason.ZIP_UNSAFE: Rule(
        f"{_XDM}",
        "les fichiers de l'archive ont des chemins relatifs simples, et une taille raisonnable.",
        "retirer les chemins absolus, les « .. », les liens et les fichiers démesurés.",
    ),
    Reason.METADATA_MISSING: Rule(
        f"{_XDM}",
        "l'archive contient IHE_XDM/SUBSET01/METADATA.XML.",
        "produire METADATA.XML dans chaque lot de soumission.",
    ),
    Reason.METADATA_INVALID: Rule(
        f"{_XDM}",
        "METADATA.XML est un SubmitObjectsRequest ebRIM bien formé, sans DOCTYPE, avec au moins "
        "une fiche de document.",
        "valider METADATA.XML avant l'envoi (Gazelle) ; deux fiches ne partagent pas un même "
        "identifiant de document avec des contenus différents.",
    ),
    Reason.DOCUMENT_MISSING: Rule(
        f"{_XDM}",
        "chaque fiche nomme par URI un fichier présent dans l'archive.",
        "corriger l'URI, relative au dossier de METADATA.XML, ou joindre le fichier.",
    ),
    Reason.HASH_OR_SIZE_MISMATCH: Rule(
        f"{_XDM}",
        "hash (SHA-1) et size d'une fiche sont ceux du fichier joint.",
        "calculer l'empreinte et la taille sur les octets finalement joints, après toute "
        "transformation.",
    ),
    Reason.ACTION_UNKNOWN: Rule(
        "CI-SIS, volet Échange de documents ; exemples de la vague 2",
        "la métadonnée action vaut C (remplacement) ou D (suppression), ou est absente.",
        "n'écrire que C ou D.",
    ),
    Reason.NO_CDA: Rule(
        f"{_VOLET}",
        "l'archive contient au moins un document CDA R2.",
        "transmettre un CDA (niveau 1 avec PDF au moins), non un PDF seul.",
    ),
    Reason.NOT_WELL_FORMED: Rule(
        f"{_CDA}",
        "le document est un XML bien formé.",
        "vérifier l'encodage déclaré et valider le document avant l'envoi.",
    ),
    Reason.FORBIDDEN_CONSTRUCT: Rule(
        f"{_CDA}",
        "le document ne déclare ni DTD ni entité.",
        "retirer la déclaration DOCTYPE.",
    ),
    Reason.HEADER_INCOMPLETE: Rule(
        f"{_CDA}",
        "l'en-tête porte au moins id, code, effectiveTime et recordTarget.",
        "valider l'en-tête par les schématrons du CI-SIS.",
    ),
    Reason.REPLACE_WITHOUT_PARENT: Rule(
        f"{_CDA} ; {_VOLET}",
        "un remplacement nomme le document remplacé : relatedDocument typeCode RPLC, "
        "parentDocument/id.",
        "porter dans le CDA l'identifiant de la version précédente.",
    ),
    Reason.MASK_UNKNOWN: Rule(
        "CI-SIS, JDV_J08 (confidentialityCode de la fiche)",
        "une restriction de visibilité est un code du jeu de valeurs.",
        "n'employer que les codes du jeu de valeurs en vigueur.",
    ),
    Reason.MASQUE_PS: Rule(
        f"{_VOLET}",
        "un document masqué aux professionnels de santé n'est pas intégré.",
        "ne pas adresser à la boîte applicative les documents masqués aux professionnels.",
    ),
    Reason.MAIL_UNREADABLE: Rule(
        "RFC 5322 et 2045",
        "le courriel est un message MIME bien formé.",
        "vérifier la construction du message (frontières, encodages).",
    ),
    Reason.MAIL_TOO_LARGE: Rule(
        f"{_MSS}",
        "la taille d'un courriel ne dépasse pas celle que les opérateurs acheminent.",
        "répartir les documents en plusieurs courriels.",
    ),
}
"""Reasons that lie with the sender. 902, PFI-ID-01, 02, 03 and 09 lie in the hospital's own base:
they are not told outside."""
