"""Build CDA documents. Same arguments, same bytes."""

import base64
from collections.abc import Sequence
from typing import Final
from xml.sax.saxutils import escape, quoteattr

from infra.local.invented.people import Patient

DOCUMENT_ID: Final = "2.25.7100200300400500.1"
SET_ID: Final = "2.25.7100200300400500"
LOCAL_OID: Final = "2.25.90909090909090"
RPPS_OID: Final = "1.2.250.1.71.4.2.1"
STRUCTURE_OID: Final = "1.2.250.1.71.4.2.2"
PDF: Final = b"%PDF-1.4\n% compte rendu fictif\n%%EOF\n"


def cda(
    patient: Patient,
    *,
    document_id: str | tuple[str, str] = DOCUMENT_ID,
    set_id: str = SET_ID,
    version: str = "1",
    parent: str | tuple[str, str] = "",
    level: int = 1,
    code: tuple[str, str, str] = ("11502-2", "2.16.840.1.113883.6.1", "CR d'examens biologiques"),
    effective_time: str = "20260514091500+0200",
    ids: Sequence[tuple[str, str]] | None = None,
    names: str | None = None,
    record_targets: int = 1,
    payload: bytes = PDF,
    encoding: str = "UTF-8",
    declared: str | None = None,
    prolog: str = "",
    self_presenting: bool = False,
) -> bytes:
    """One CDA. `names` replaces the content of patient/name; `declared` lies on the encoding.

    `ids` replaces the patientRole identifiers (default: the INS, then the sender's own number).
    """
    target = _record_target(patient, ids, names)
    text = (
        '<ClinicalDocument xmlns="urn:hl7-org:v3">\n'
        '  <realmCode code="FR"/>\n'
        '  <typeId root="2.16.840.1.113883.1.3" extension="POCD_HD000040"/>\n'
        '  <templateId root="2.16.840.1.113883.2.8.2.1"/>\n'
        '  <templateId root="1.2.250.1.213.1.1.1.1"/>\n'
        f"  <id{_ii(document_id)}/>\n"
        f'  <code code={quoteattr(code[0])} codeSystem="{code[1]}"'
        f" displayName={quoteattr(code[2])}/>\n"
        f"  <title>{escape(code[2])}</title>\n"
        f'  <effectiveTime value="{effective_time}"/>\n'
        '  <confidentialityCode code="N" codeSystem="2.16.840.1.113883.5.25"/>\n'
        '  <languageCode code="fr-FR"/>\n'
        + (f'  <setId root="{set_id}"/>\n' if set_id else "")
        + (f'  <versionNumber value="{version}"/>\n' if version else "")
        + target * record_targets
        + _PARTICIPANTS
        + (_RELATED.format(_ii(parent)) if parent else "")
        + _body(level, payload)
        + "</ClinicalDocument>"
    )
    if self_presenting:
        text = _STYLESHEET.format(text)
    label = declared or encoding
    return f'<?xml version="1.0" encoding="{label}"?>\n{prolog}{text}\n'.encode(encoding)


_STYLESHEET: Final = (
    '<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">\n'
    '<xsl:template match="/"><html/></xsl:template>\n'
    '<c:Contenu xmlns:c="urn:asip-sante:ci-sis">\n{}\n</c:Contenu>\n</xsl:stylesheet>'
)
_RELATED: Final = (
    '  <relatedDocument typeCode="RPLC"><parentDocument><id{}/>'
    "</parentDocument></relatedDocument>\n"
)
_QUALIFIER: Final = ' qualifier="{}"'
_PERSON: Final = "<assignedPerson><name><family>FICTIF</family><given>Camille</given></name>"
_PARTICIPANTS: Final = f"""\
  <author><time value="20260514091500+0200"/><assignedAuthor>
    <id root="{RPPS_OID}" extension="899700000017"/>
    {_PERSON}</assignedPerson>
  </assignedAuthor></author>
  <custodian><assignedCustodian><representedCustodianOrganization>
    <id root="{STRUCTURE_OID}" extension="1990000099"/><name>Laboratoire INVENTÉ</name>
  </representedCustodianOrganization></assignedCustodian></custodian>
  <legalAuthenticator><time value="20260514091500+0200"/><signatureCode code="S"/><assignedEntity>
    <id root="{RPPS_OID}" extension="899700000017"/>
    {_PERSON}</assignedPerson>
  </assignedEntity></legalAuthenticator>
"""


def _ii(identifier: str | tuple[str, str]) -> str:
    root, extension = (identifier, "") if isinstance(identifier, str) else identifier
    return f' root="{root}"' + (f' extension="{extension}"' if extension else "")


def _record_target(
    patient: Patient, ids: Sequence[tuple[str, str]] | None, names: str | None
) -> str:
    if ids is None:
        ins = [(str(patient.oid), patient.matricule)] if patient.body else []
        ids = [*ins, (LOCAL_OID, f"LAB-{patient.ipp}")]
    place = (
        f"<birthplace><place><addr><county>{patient.birth_place}</county>"
        f"<city>{escape(patient.city)}</city></addr></place></birthplace>"
    )
    return (
        "  <recordTarget><patientRole>\n"
        + "".join(f"    <id{_ii(each)}/>\n" for each in ids)
        + "    <addr><houseNumber>4</houseNumber><streetName>rue des Essais</streetName>"
        "<postalCode>99990</postalCode><city>VILLEFICTIVE</city><country>FRANCE</country></addr>\n"
        f"    <patient><name>{_names(patient) if names is None else names}</name>\n"
        f'      <administrativeGenderCode code="{patient.sex}"'
        ' codeSystem="2.16.840.1.113883.5.1"/>\n'
        f'      <birthTime value="{patient.birth_date}"/>\n'
        f"      {place if patient.birth_place else ''}\n"
        "    </patient></patientRole></recordTarget>\n"
    )


def _names(patient: Patient) -> str:
    parts = (
        ("family", "BR", patient.birth_name),
        ("given", "", patient.given_list),
        ("given", "BR", patient.first_given),
        ("family", "CL", patient.used_name),
        ("given", "CL", patient.used_given),
    )
    return "".join(
        f"<{tag}{mark and _QUALIFIER.format(mark)}>{escape(value)}</{tag}>"
        for tag, mark, value in parts
        if value
    )


def _body(level: int, payload: bytes) -> str:
    if level == 1:
        data = base64.b64encode(payload).decode()
        text = f'<text mediaType="application/pdf" representation="B64">{data}</text>'
        return f"  <component><nonXMLBody>{text}</nonXMLBody></component>\n"
    fact = '<entry><observation classCode="OBS" moodCode="EVN"/></entry>' if level == 3 else ""
    section = f"<section><title>Résultats</title><text>Fictif</text>{fact}</section>"
    inner = f"<structuredBody><component>{section}</component></structuredBody>"
    return f"  <component>{inner}</component>\n"
