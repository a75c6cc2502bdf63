"""METADATA.XML: ebRIM objects to XDS SubmissionSet and DocumentEntry (xdm-archive §2.3).

Elements are known by namespace and local name, whatever the prefix, the order and the case.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import Final

from lxml import etree

from pfi import xml
from pfi.errors import Unreadable
from pfi.ins.matricule import clean, kind_of
from pfi.names import Reason

_EBRIM: Final = "urn:oasis:names:tc:ebxml-regrep:"
_ROOTS: Final = frozenset({"submitobjectsrequest", "provideandregisterdocumentsetrequest"})
_ON_DEMAND: Final = "34268e47-fdf5-41a6-ba33-82133c465248"
_SUBMISSION_SET: Final = "a54d6aa5-d40d-43f9-88c5-b4633d873bdd"
_CONFIDENTIALITY: Final = "f4f85eac-e6cb-4883-b524-f2705394840f"
_TYPE_CODE: Final = "f0306f51-975f-434e-a61c-c59651d33983"
_UNIQUE_ID: Final = "2e82c1f6-a085-4c72-9da3-8640a32e42ab"
_PATIENT_ID: Final = "58a6f841-87b3-4a3e-92fd-a8ffeff98427"
_SET_UNIQUE_ID: Final = "96fdda7c-d067-4183-912e-bf5ee74998a8"
_SET_PATIENT_ID: Final = "6b5aea1a-874d-4603-a4bc-96a0a7b38446"
_SOURCE_ID: Final = "554ac39e-e3fe-47fe-b233-965d2a147832"
_PART: Final = re.compile(r"([0-9]{1,4})\|(.*)", re.DOTALL)
_MOST_FICHES: Final = 500
"""As many as an archive may hold files; each is looked for among all of them."""
_MOST_TAGS: Final = 60_000
"""A hundred fiches of six hundred tags, twice what real ones have."""

Children = dict[str, list[etree._Element]]

_REPLACES: Final = frozenset({"rplc", "xfrm_rplc"})
_IGNORED: Final = frozenset({"apnd", "xfrm", "signs"})


class XdmWarning(StrEnum):
    """What was accepted although it is not as the profile wants it."""

    NO_SUBMISSION_SET = "xdm_no_submission_set"
    NO_MEMBER = "xdm_no_has_member"
    ASSOCIATION_IGNORED = "xdm_association_ignored"
    NO_HASH = "xdm_no_hash"
    NO_SIZE = "xdm_no_size"
    HASH_OR_SIZE_DIFFERS = "xdm_hash_or_size_differs"
    NO_URI = "xdm_no_uri"
    NOT_CDA = "xdm_not_cda"
    UNDESCRIBED_FILE = "xdm_undescribed_file"
    SAME_DOCUMENT_TWICE = "xdm_same_document_twice"
    PATIENT_NOT_INS = "xdm_patient_not_ins"


@dataclass(frozen=True, slots=True)
class DocumentEntry:
    """One fiche (XDS DocumentEntry). Empty string = absent; `size` -1 = not a number."""

    entry_uuid: str
    mime_type: str
    unique_id: str = ""
    patient_id: str = ""
    uri: str = ""
    hash: str = ""
    size: int | None = None
    type_code: str = ""
    title: str = ""
    creation_time: str = ""
    action: str = ""
    confidentiality: tuple[tuple[str, str], ...] = ()
    """(code, coding scheme) of every confidentialityCode: N/R/V, then the masks."""
    replaces: tuple[str, ...] = ()
    """Targets of the RPLC and XFRM_RPLC associations that start from this fiche."""


@dataclass(frozen=True, slots=True)
class SubmissionSet:
    """The lot de soumission of one METADATA.XML."""

    entry_uuid: str = ""
    unique_id: str = ""
    patient_id: str = ""
    source_id: str = ""
    action: str = ""
    submission_time: str = ""


@dataclass(frozen=True, slots=True)
class Metadata:
    """One METADATA.XML."""

    submission_set: SubmissionSet
    entries: tuple[DocumentEntry, ...]
    warnings: tuple[XdmWarning, ...] = ()


@dataclass(slots=True)
class _Links:
    """The associations, sorted by what they mean."""

    members: set[str] = field(default_factory=set)
    replaces: dict[str, tuple[str, ...]] = field(default_factory=dict)
    withdrawn: list[str] = field(default_factory=list)
    ignored: bool = False


def read(content: bytes) -> Metadata:
    """Read one METADATA.XML (X-16). Unreadable: METADATA_INVALID or ACTION_UNKNOWN."""
    objects = _Objects(_registry_objects(content))
    links = _links(objects)
    nodes = objects.all("extrinsicobject")
    ids = {node.get("id", "") for node in nodes}
    # An availability update of a document that is not here is not part of the volet (§2.4, 5).
    if any(target not in ids for target in links.withdrawn):
        raise Unreadable(Reason.ACTION_UNKNOWN)
    if not 0 < len(nodes) <= _MOST_FICHES:
        raise Unreadable(Reason.METADATA_INVALID)
    entries = tuple(_entry(node, objects, links) for node in nodes)
    submission_set = _submission_set(objects)
    return Metadata(submission_set, entries, tuple(_warnings(submission_set, entries, links)))


def _registry_objects(content: bytes) -> etree._Element:
    if content.count(b"<") > _MOST_TAGS:
        raise Unreadable(Reason.METADATA_INVALID)
    try:
        root = xml.parse(content)
    except Unreadable:
        raise Unreadable(Reason.METADATA_INVALID) from None
    # At the root's own level, or inside the request that a Provide and Register holds.
    lists = [node for at in [root, *root] for node in _by_name(at).get("registryobjectlist", ())]
    if etree.QName(root).localname.lower() not in _ROOTS or len(lists) != 1:
        raise Unreadable(Reason.METADATA_INVALID)
    return lists[0]


def _by_name(node: etree._Element) -> Children:
    """The children of ebRIM by their name in small letters, each kind in document order."""
    found: Children = {}
    for child in node:
        name = _ebrim_name(str(child.tag))
        if name:
            found.setdefault(name, []).append(child)
    return found


@lru_cache(maxsize=256)
def _ebrim_name(tag: str) -> str:
    """Local name in small letters; '' outside of the namespaces of ebRIM."""
    namespace, _, name = tag.rpartition("}")
    return name.lower() if namespace.startswith("{" + _EBRIM) else ""


_OWNERS: Final = ("extrinsicobject", "registrypackage")


class _Objects:
    """The list of registry objects; what hangs on one of them may also stand beside it.

    Beside, it names its owner: an id that two objects share would name neither.
    """

    def __init__(self, listed: etree._Element) -> None:
        self._listed = _by_name(listed)
        self._within: dict[etree._Element, Children] = {}
        self._beside: dict[tuple[str, str], list[etree._Element]] = {}
        for kind, owner in (
            ("classification", "classifiedObject"),
            ("externalidentifier", "registryObject"),
        ):
            for node in self.all(kind):
                if node.get(owner):
                    self._beside.setdefault((node.get(owner, ""), kind), []).append(node)
        owners = Counter(node.get("id", "") for kind in _OWNERS for node in self.all(kind))
        if any(owners[name] > 1 for name, _ in self._beside):
            raise Unreadable(Reason.METADATA_INVALID)

    def all(self, kind: str) -> list[etree._Element]:
        """The objects of a kind."""
        return self._listed.get(kind, [])

    def within(self, node: etree._Element) -> Children:
        """What hangs on an object, sorted once."""
        if node not in self._within:
            self._within[node] = _by_name(node)
        return self._within[node]

    def of(self, node: etree._Element, kind: str) -> list[etree._Element]:
        """What belongs to an object, inside and beside it."""
        beside = self._beside.get((node.get("id", ""), kind), [])
        return [*self.within(node).get(kind, ()), *beside]


def _links(objects: _Objects) -> _Links:
    links, replaces = _Links(), defaultdict[str, list[str]](list)
    for node in objects.all("association"):
        source, target = node.get("sourceObject", ""), node.get("targetObject", "")
        kind = node.get("associationType", "").strip().rpartition(":")[2].lower()
        if kind == "hasmember":
            links.members.add(target)
        elif kind in _REPLACES:
            replaces[source].append(target)
        elif kind == "updateavailabilitystatus":
            links.withdrawn.append(target)
        links.ignored |= kind in _IGNORED or kind == "updateavailabilitystatus"
    links.replaces = {source: tuple(targets) for source, targets in replaces.items()}
    return links


def _entry(node: etree._Element, objects: _Objects, links: _Links) -> DocumentEntry:
    if _uuid(node.get("objectType", "")) == _ON_DEMAND:
        raise Unreadable(Reason.METADATA_INVALID)
    name, slots = node.get("id", ""), _slots(objects.of(node, "slot"))
    known = _identifiers(node, objects)
    return DocumentEntry(
        entry_uuid=name,
        mime_type=node.get("mimeType", "").partition(";")[0].strip().lower(),
        unique_id=_identifier(known, _UNIQUE_ID, "uniqueid"),
        patient_id=_identifier(known, _PATIENT_ID, "patientid"),
        uri=_joined(slots.get("uri", [])),
        hash="".join(slots.get("hash", [])).lower(),
        size=_size(slots.get("size", [])),
        type_code=next((code for code, _ in _codes(node, objects, _TYPE_CODE)), ""),
        title=_name(node),
        creation_time="".join(slots.get("creationtime", [])),
        action=_action(slots),
        confidentiality=tuple(_codes(node, objects, _CONFIDENTIALITY)),
        replaces=links.replaces.get(name, ()),
    )


def _submission_set(objects: _Objects) -> SubmissionSet:
    """Exactly one per METADATA.XML; a Folder is another RegistryPackage, ignored."""
    sets = [
        node
        for node in objects.all("registrypackage")
        for each in objects.of(node, "classification")
        if _uuid(each.get("classificationNode", "")) == _SUBMISSION_SET
    ]
    if not sets:
        return SubmissionSet()
    if any(node is not sets[0] for node in sets):
        raise Unreadable(Reason.METADATA_INVALID)
    node, slots = sets[0], _slots(objects.of(sets[0], "slot"))
    known = _identifiers(node, objects)
    return SubmissionSet(
        entry_uuid=node.get("id", ""),
        unique_id=_identifier(known, _SET_UNIQUE_ID, "uniqueid"),
        patient_id=_identifier(known, _SET_PATIENT_ID, "patientid"),
        source_id=_identifier(known, _SOURCE_ID, "sourceid"),
        action=_action(slots),
        submission_time="".join(slots.get("submissiontime", [])),
    )


def _warnings(
    submission_set: SubmissionSet, entries: tuple[DocumentEntry, ...], links: _Links
) -> Iterator[XdmWarning]:
    if submission_set == SubmissionSet():
        yield XdmWarning.NO_SUBMISSION_SET
    if any(entry.entry_uuid not in links.members for entry in entries):
        yield XdmWarning.NO_MEMBER
    if links.ignored:
        yield XdmWarning.ASSOCIATION_IGNORED


def _uuid(value: str) -> str:
    return value.strip().lower().removeprefix("urn:uuid:")


def _below(node: etree._Element, name: str, *further: str) -> Iterator[etree._Element]:
    for child in node:
        if _ebrim_name(str(child.tag)) == name:
            yield from _below(child, *further) if further else (child,)


def _slots(slots: Iterable[etree._Element]) -> dict[str, list[str]]:
    """Values by slot name in small letters; empty values left out."""
    found: dict[str, list[str]] = {}
    for slot in slots:
        values = [xml.text(value) for value in _below(slot, "valuelist", "value")]
        known = found.setdefault(slot.get("name", "").strip().lower(), [])
        known.extend(value for value in values if value)
    return found


def _name(node: etree._Element) -> str:
    labels = _below(node, "name", "localizedstring")
    return next((label.get("value", "").strip() for label in labels), "")


def _codes(node: etree._Element, objects: _Objects, scheme: str) -> Iterator[tuple[str, str]]:
    for each in objects.of(node, "classification"):
        if _uuid(each.get("classificationScheme", "")) == scheme:
            system = _slots(_below(each, "slot")).get("codingscheme", [""])
            yield each.get("nodeRepresentation", "").strip(), _oid("".join(system[:1]))


def _oid(system: str) -> str:
    """A coding scheme may be written as the URN of its OID."""
    return re.sub(r"(?i)\A\s*urn:oid:", "", system).strip()


def _identifiers(node: etree._Element, objects: _Objects) -> list[tuple[str, str, str]]:
    """Scheme, Name and value of each external identifier of an object."""
    return [
        (_uuid(each.get("identificationScheme", "")), _label(each), each.get("value", "").strip())
        for each in objects.of(node, "externalidentifier")
    ]


def _identifier(known: list[tuple[str, str, str]], scheme: str, label: str) -> str:
    """By scheme and by Name; then by Name alone, because a style sheet in use mixes the schemes.

    The scheme alone is enough only when the Name does not say something else.
    """
    ranked = (
        *(value for uuid, named, value in known if uuid == scheme and named == label),
        *(value for _, named, value in known if named == label),
        *(value for uuid, named, value in known if uuid == scheme and named not in _LABELS),
    )
    return next(iter(ranked), "")


_LABELS: Final = frozenset({"uniqueid", "patientid", "sourceid"})


def _label(node: etree._Element) -> str:
    return _name(node).rpartition(".")[2].strip().lower()


def _joined(values: list[str]) -> str:
    """A long URI may be split in numbered parts ``1|…``, ``2|…``."""
    parts = [_PART.fullmatch(value) for value in values]
    if not all(parts):
        return "".join(values[:1])
    numbered = sorted((int(part[1]), part[2]) for part in parts if part)
    return "".join(text for _, text in numbered)


def _size(values: list[str]) -> int | None:
    if not values:
        return None
    text = "".join(values)
    return int(text) if text.isascii() and text.isdigit() and len(text) < 12 else -1


def _action(slots: dict[str, list[str]]) -> str:
    """Q-01: slot ``action`` or ``…:action``, any case; several different values are none."""
    names = (name for name in slots if name == "action" or name.endswith(":action"))
    values = {value.upper() for name in names for value in slots[name]}
    if len(values) > 1:
        raise Unreadable(Reason.ACTION_UNKNOWN)
    return next(iter(values), "")


def patient(cx: str) -> tuple[str, str] | None:
    """(matricule, OID) of an XDS patientId ``<matricule>^^^&<OID>&ISO^NH``; None when no INS."""
    fields = [*cx.split("^"), "", "", "", ""]
    oid = [*fields[3].split("&"), ""][1].strip()
    matricule = clean(fields[0])
    return (matricule, oid) if matricule and kind_of(oid) is not None else None


def describes(entry: DocumentEntry, root: str, extension: str) -> bool:
    """X-27: uniqueId is the id of the CDA, spelt ``root``, ``root^ext`` or ``root.ext``."""
    spellings = {f"{root}^{extension}", f"{root}.{extension}"} if extension else {root}
    return entry.unique_id.lower() in {spelling.lower() for spelling in spellings}
