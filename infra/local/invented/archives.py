"""Build METADATA.XML and IHE_XDM.ZIP around CDA documents. Same arguments, same bytes."""

import hashlib
import io
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final
from xml.sax.saxutils import escape, quoteattr

from infra.local.invented.documents import DOCUMENT_ID, cda
from infra.local.invented.people import Patient

MASK_OID: Final = "1.2.250.1.213.1.1.4.13"


@dataclass(frozen=True, slots=True)
class Entry:
    """One DocumentEntry with the bytes it describes. `digest`/`size` None = true, '' = no slot."""

    content: bytes
    patient_id: str = ""
    unique_id: str = DOCUMENT_ID
    uri: str = ""
    mime_type: str = "text/xml"
    entry_id: str = ""
    action: str = ""
    action_slot: str = "action"
    masks: tuple[str, ...] = ()
    mask_oid: str = MASK_OID
    digest: str | None = None
    size: str | None = None
    no_uri: bool = False
    type_code: str = "11502-2"
    replaces: str = ""
    """entryUUID of the replaced fiche: adds an RPLC association."""
    association: str = "urn:ihe:iti:2007:AssociationType:RPLC"


def entry(patient: Patient, content: bytes, **options: object) -> Entry:
    """The fiche of `content`: any field of `Entry` as option."""
    return Entry(content, **{"patient_id": patient.cx, **options})  # type: ignore[arg-type]  # options by name


_ENTRY_OPTIONS: Final = frozenset(Entry.__slots__) - {"content"}


def document(patient: Patient, **options: object) -> Entry:
    """A CDA with its fiche; options of `cda` and of `Entry` together."""
    fiche = {name: value for name, value in options.items() if name in _ENTRY_OPTIONS}
    header = {name: value for name, value in options.items() if name not in _ENTRY_OPTIONS}
    identifier = header.get("document_id", DOCUMENT_ID)
    root, extension = identifier if isinstance(identifier, tuple) else (identifier, "")
    fiche.setdefault("unique_id", f"{root}^{extension}" if extension else root)
    return entry(patient, cda(patient, **header), **fiche)  # type: ignore[arg-type]  # options by name


def _slot(name: str, *values: str) -> str:
    listed = "".join(f"<rim:Value>{escape(value)}</rim:Value>" for value in values)
    return f'<rim:Slot name="{name}"><rim:ValueList>{listed}</rim:ValueList></rim:Slot>'


def _named(label: str) -> str:
    return f"<rim:Name><rim:LocalizedString value={quoteattr(label)}/></rim:Name>"


def _identifier(scheme: str, value: str, label: str) -> str:
    return (
        f'<rim:ExternalIdentifier identificationScheme="urn:uuid:{scheme}"'
        f" value={quoteattr(value)}>{_named(label)}</rim:ExternalIdentifier>"
    )


def _code(scheme: str, code: str, system: str) -> str:
    return (
        f'<rim:Classification classificationScheme="urn:uuid:{scheme}"'
        f" nodeRepresentation={quoteattr(code)}>{_slot('codingScheme', system)}"
        "</rim:Classification>"
    )


def _located(entries: Iterable[Entry]) -> list[tuple[Entry, str, str]]:
    return [
        (each, each.uri or f"DOC{rank:04d}.XML", each.entry_id or f"Document{rank:02d}")
        for rank, each in enumerate(entries, start=1)
    ]


def _extrinsic(each: Entry, uri: str, name: str) -> str:
    digest = hashlib.sha1(each.content).hexdigest() if each.digest is None else each.digest
    size = str(len(each.content)) if each.size is None else each.size
    slots = [("hash", digest), ("size", size), (each.action_slot, each.action)]
    if not each.no_uri:
        slots.append(("URI", uri))
    confidentiality = "f4f85eac-e6cb-4883-b524-f2705394840f"
    masks = "".join(_code(confidentiality, mask, each.mask_oid) for mask in each.masks)
    return (
        f'<rim:ExtrinsicObject id="{name}" mimeType="{each.mime_type}"'
        ' objectType="urn:uuid:7edca82f-054d-47f2-a032-9b2a5b5186c1">'
        + "".join(_slot(slot, value) for slot, value in slots if value)
        + _code(confidentiality, "N", "2.16.840.1.113883.5.25")
        + masks
        + _code("f0306f51-975f-434e-a61c-c59651d33983", each.type_code, "2.16.840.1.113883.6.1")
        + _identifier(
            "58a6f841-87b3-4a3e-92fd-a8ffeff98427", each.patient_id, "XDSDocumentEntry.patientId"
        )
        + _identifier(
            "2e82c1f6-a085-4c72-9da3-8640a32e42ab", each.unique_id, "XDSDocumentEntry.uniqueId"
        )
        + "</rim:ExtrinsicObject>\n"
    )


def _associations(each: Entry, name: str) -> str:
    member = (
        '<rim:Association associationType="urn:oasis:names:tc:ebxml-regrep:AssociationType:'
        f'HasMember" sourceObject="Lot01" targetObject="{name}"/>\n'
    )
    if not each.replaces:
        return member
    return (
        f'{member}<rim:Association associationType="{each.association}"'
        f' sourceObject="{name}" targetObject="{each.replaces}"/>\n'
    )


def metadata(
    entries: Sequence[Entry], *, patient_id: str | None = None, action: str = "", extra: str = ""
) -> bytes:
    """METADATA.XML. `patient_id`/`action` are those of the SubmissionSet, `extra` raw ebRIM."""
    located = _located(entries)
    of_set = entries[0].patient_id if patient_id is None and entries else patient_id or ""
    package = (
        '<rim:RegistryPackage id="Lot01">'
        + (_slot("action", action) if action else "")
        + _slot("submissionTime", "20260514073000")
        + '<rim:Classification classifiedObject="Lot01"'
        ' classificationNode="urn:uuid:a54d6aa5-d40d-43f9-88c5-b4633d873bdd"/>'
        + _identifier("6b5aea1a-874d-4603-a4bc-96a0a7b38446", of_set, "XDSSubmissionSet.patientId")
        + _identifier(
            "96fdda7c-d067-4183-912e-bf5ee74998a8", "2.25.7700.1", "XDSSubmissionSet.uniqueId"
        )
        + _identifier(
            "554ac39e-e3fe-47fe-b233-965d2a147832", "2.25.7700", "XDSSubmissionSet.sourceId"
        )
        + "</rim:RegistryPackage>\n"
    )
    body = "".join(_extrinsic(*each) for each in located)
    links = "".join(_associations(each, name) for each, _, name in located)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<lcm:SubmitObjectsRequest xmlns:lcm="urn:oasis:names:tc:ebxml-regrep:xsd:lcm:3.0"'
        ' xmlns:rim="urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0"><rim:RegistryObjectList>\n'
        f"{package}{body}{links}{extra}"
        "</rim:RegistryObjectList></lcm:SubmitObjectsRequest>\n"
    ).encode()


def zip_of(files: Iterable[tuple[str, bytes]], *, stored: bool = False) -> bytes:
    """A ZIP with fixed dates, in the order given."""
    out = io.BytesIO()
    method = zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, content in files:
            info = zipfile.ZipInfo(name, date_time=(2026, 5, 14, 9, 30, 0))
            info.compress_type, info.create_system = method, 3
            info.external_attr = 0o644 << 16
            archive.writestr(info, content)
    return out.getvalue()


def xdm_zip(
    entries: Sequence[Entry],
    *,
    folder: str = "IHE_XDM/SUBSET01/",
    metadata_name: str = "METADATA.XML",
    metadata_bytes: bytes | None = None,
    extra: Iterable[tuple[str, bytes]] = (),
    index: bool = True,
) -> bytes:
    """IHE_XDM.ZIP of one subset; `extra` further files, `metadata_bytes` a METADATA of yours."""
    described = metadata(entries) if metadata_bytes is None else metadata_bytes
    root = (("INDEX.HTM", _INDEX), ("README.TXT", b"Archive fictive.\r\n")) if index else ()
    documents = [(folder + uri, each.content) for each, uri, _ in _located(entries)]
    return zip_of([*root, (folder + metadata_name, described), *documents, *extra])


_INDEX: Final = (
    b'<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML Basic 1.1//EN" "xhtml-basic11.dtd">\r\n'
    b"<html><body><p>Fictif</p></body></html>\r\n"
)
