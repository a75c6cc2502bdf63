"""The CDA header: what the PFI reads of a document that it never rewrites (cda-header §3).

Absolute child paths and qualified names only: the same document holds other persons' names,
identifiers and codes (guardian, participants, body).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from lxml import etree

from pfi import xml
from pfi.cda.paths import code_of, every, first, h
from pfi.cda.patient import identity_of, looks_misdecoded, several_names
from pfi.errors import Unreadable
from pfi.ins.identity import DocumentIdentity
from pfi.names import Reason

_ROOT: Final = h("ClinicalDocument")
_STYLESHEET: Final = "{http://www.w3.org/1999/XSL/Transform}stylesheet"
_CONTENT: Final = "{urn:asip-sante:ci-sis}Contenu"
_BODIES: Final = {h("nonXMLBody"): "", h("structuredBody"): h("entry")}
"""The bodies, and what makes one a coded body (level 3)."""


class CdaWarning(StrEnum):
    """What was accepted although it is not as the profile wants it."""

    NOT_FRENCH = "cda_realm_not_fr"
    NO_TITLE = "cda_no_title"
    NO_EFFECTIVE_TIME = "cda_no_effective_time"
    NO_CONFIDENTIALITY = "cda_no_confidentiality"
    NO_SET_ID = "cda_no_set_id"
    NO_VERSION = "cda_no_version"
    NO_AUTHOR = "cda_no_author"
    NO_CUSTODIAN = "cda_no_custodian"
    NO_LEGAL_AUTHENTICATOR = "cda_no_legal_authenticator"
    NO_BODY = "cda_no_body"
    SEVERAL_PARENTS = "cda_several_parents"
    SEVERAL_NAMES = "cda_several_patient_names"
    SUSPECT_ENCODING = "cda_suspect_encoding"


@dataclass(frozen=True, slots=True)
class ClinicalDocument:
    """The header of one CDA. Empty string = absent; times are kept as written."""

    id_root: str
    id_extension: str
    code: str
    code_system: str
    display_name: str
    title: str
    effective_time: str
    confidentiality: str
    set_id: str
    version: int | None
    identity: DocumentIdentity
    parent: tuple[str, str] | None
    """(root, extension) of relatedDocument[RPLC]/parentDocument/id."""
    author_ids: tuple[tuple[str, str], ...]
    custodian_id: tuple[str, str] | None
    legal_authenticator: str
    """Extension of the first id; its root and the person's name (family, given) follow."""
    legal_authenticator_root: str
    legal_authenticator_name: tuple[str, str]
    level: int
    """1 = enclosed file, 2 = sections, 3 = sections with coded entries, 0 = no body."""
    self_presenting: bool
    street: str
    city: str
    postal_code: str
    country: str
    warnings: tuple[CdaWarning, ...] = ()


def read(content: bytes) -> ClinicalDocument:
    """Read the header. Unreadable: NOT_WELL_FORMED, FORBIDDEN_CONSTRUCT or HEADER_INCOMPLETE."""
    root, coded = xml.parse_header(content, (_ROOT, _STYLESHEET), _BODIES)
    document = root if root.tag == _ROOT else _presented(root)
    identifier, code = first(document, "id"), first(document, "code")
    if identifier is None or not identifier.get("root", "").strip() or not code_of(code):
        raise Unreadable(Reason.HEADER_INCOMPLETE)
    return _header(document, coded=coded, self_presenting=document is not root)


def _presented(root: etree._Element) -> etree._Element:
    """Auto-présentable: a style sheet that encloses its CDA (§3.1). Anything else is no CDA."""
    found = root.findall(f"{_CONTENT}/{_ROOT}") if root.tag == _STYLESHEET else []
    if len(found) != 1:  # a second one could be another patient's
        raise Unreadable(Reason.HEADER_INCOMPLETE)
    return found[0]


def _header(document: etree._Element, *, coded: bool, self_presenting: bool) -> ClinicalDocument:
    identifier, code = _ii(first(document, "id")), first(document, "code")
    signer = first(document, "legalAuthenticator/assignedEntity")
    street, city, postal_code, country = _address(document)
    signer_root, signer_extension = _ii(first(signer, "id"))
    custodian = "custodian/assignedCustodian/representedCustodianOrganization/id"
    return ClinicalDocument(
        id_root=identifier[0],
        id_extension=identifier[1],
        code=code_of(code),
        code_system=_attribute(code, "codeSystem"),
        display_name=_attribute(code, "displayName"),
        title=xml.text(first(document, "title")),
        effective_time=_attribute(first(document, "effectiveTime"), "value"),
        confidentiality=code_of(first(document, "confidentialityCode")),
        set_id="^".join(part for part in _ii(first(document, "setId")) if part),
        version=_version(document),
        identity=identity_of(document),
        parent=next(iter(_parents(document)), None),
        author_ids=tuple(_ii(each) for each in every(document, "author/assignedAuthor/id")),
        custodian_id=_some(_ii(first(document, custodian))),
        legal_authenticator=signer_extension,
        legal_authenticator_root=signer_root,
        legal_authenticator_name=_person(signer),
        level=_level(document, coded=coded),
        self_presenting=self_presenting,
        street=street,
        city=city,
        postal_code=postal_code,
        country=country,
        warnings=tuple(_warnings(document)),
    )


def _attribute(element: etree._Element | None, name: str) -> str:
    return "" if element is None else element.get(name, "").strip()


def _ii(element: etree._Element | None) -> tuple[str, str]:
    return _attribute(element, "root"), _attribute(element, "extension")


def _some(identifier: tuple[str, str]) -> tuple[str, str] | None:
    return identifier if identifier[0] else None


def _version(document: etree._Element) -> int | None:
    text = _attribute(first(document, "versionNumber"), "value")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def _parents(document: etree._Element) -> Iterator[tuple[str, str]]:
    """H-17: the replaced document; other relations (APND, XFRM) say nothing here."""
    for related in every(document, "relatedDocument"):
        if related.get("typeCode", "").strip() == "RPLC":
            for parent in every(related, "parentDocument/id"):
                if parent.get("root", "").strip():
                    yield _ii(parent)


def _person(entity: etree._Element | None) -> tuple[str, str]:
    name = first(entity, "assignedPerson/name")
    return xml.text(first(name, "family")), xml.text(first(name, "given"))


def _level(document: etree._Element, *, coded: bool) -> int:
    if first(document, "component/nonXMLBody") is not None:
        return 1
    if first(document, "component/structuredBody") is not None:
        return 3 if coded else 2
    return 0


_STREET: Final = ("houseNumber", "streetNameType", "streetName", "additionalLocator")


def _address(document: etree._Element) -> tuple[str, str, str, str]:
    """First address of the patient, for PID-11: street, city, postal code, country."""
    address = first(document, "recordTarget/patientRole/addr")
    lines = [xml.text(each) for each in every(address, "streetAddressLine")]
    parts = [xml.text(first(address, name)) for name in _STREET]
    street = " ".join(part for part in (parts if any(parts) else lines) if part)
    city, postal_code, country = (
        xml.text(first(address, name)) for name in ("city", "postalCode", "country")
    )
    return street, city, postal_code, country


_EXPECTED: Final = (
    ("title", CdaWarning.NO_TITLE),
    ("effectiveTime[@value]", CdaWarning.NO_EFFECTIVE_TIME),
    ("confidentialityCode[@code]", CdaWarning.NO_CONFIDENTIALITY),
    ("setId[@root]", CdaWarning.NO_SET_ID),
    ("author/assignedAuthor/id[@root]", CdaWarning.NO_AUTHOR),
    (
        "custodian/assignedCustodian/representedCustodianOrganization/id[@root]",
        CdaWarning.NO_CUSTODIAN,
    ),
    ("legalAuthenticator/assignedEntity/id[@root]", CdaWarning.NO_LEGAL_AUTHENTICATOR),
)


def _warnings(document: etree._Element) -> Iterator[CdaWarning]:
    yield from (warning for path, warning in _EXPECTED if first(document, path) is None)
    met = {
        CdaWarning.NOT_FRENCH: code_of(first(document, "realmCode")) != "FR",
        CdaWarning.NO_VERSION: _version(document) is None,
        CdaWarning.NO_BODY: _level(document, coded=False) == 0,
        CdaWarning.SEVERAL_PARENTS: len(set(_parents(document))) > 1,
        CdaWarning.SEVERAL_NAMES: several_names(document),
        CdaWarning.SUSPECT_ENCODING: looks_misdecoded(document),
    }
    yield from (warning for warning, seen in met.items() if seen)
