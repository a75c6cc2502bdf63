"""From the bytes of IHE_XDM.ZIP to the CDA documents to transmit (xdm-archive §2.4–2.6)."""

import hashlib
import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, Literal
from urllib.parse import unquote

from pfi.errors import Unreadable
from pfi.names import Reason
from pfi.xdm import archive as xdm_archive
from pfi.xdm import metadata as xdm_metadata
from pfi.xdm.archive import Archive, XdmLimits
from pfi.xdm.metadata import DocumentEntry, Metadata, XdmWarning

_CDA_TYPES: Final = frozenset({"text/xml", "application/xml", "application/xslt+xml"})
_MASK_OID: Final = "1.2.250.1.213.1.1.4.13"
_CONFIDENTIALITY: Final = frozenset({"N", "R", "V"})
_MASKS: Final = {
    "MASQUE_PS": "masque_ps",
    "INVISIBLE_PATIENT": "invisible_patient",
    "INVISIBLE_REPRESENTANTS_LEGAUX": "invisible_rep_legaux",
    "INVISIBLE_REPRENSANTS_LEGAUX": "invisible_rep_legaux",
    "INVISIBLE_REP_LEGAUX": "invisible_rep_legaux",
}
"""JDV_J08 and the spellings seen elsewhere (§2.6), blanks removed."""


class Requested(StrEnum):
    """What the archive asks for a document; the event also needs the CDA (§2.4)."""

    DELETE = "delete"
    REPLACE = "replace"
    RPLC = "rplc"
    UNSAID = "unsaid"


_ACTIONS: Final = {"D": Requested.DELETE, "C": Requested.REPLACE}


@dataclass(frozen=True, slots=True)
class Masks:
    """Restrictions of access, carried by METADATA.XML alone (§2.6)."""

    masque_ps: bool = False
    invisible_patient: bool = False
    invisible_rep_legaux: bool = False


@dataclass(frozen=True, slots=True)
class XdmDocument:
    """One CDA of the archive, its bytes untouched, and what METADATA.XML says of it."""

    entry: DocumentEntry
    name: str
    content: bytes
    requested: Requested
    masks: Masks
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Submission:
    """One archive. `patient` is the (matricule, OID) common to all fiches, None when no INS."""

    documents: tuple[XdmDocument, ...]
    patient: tuple[str, str] | None
    warnings: tuple[str, ...] = ()


class _Reading:
    """The archive and the two choices of the establishment (Q-30, X-24).

    Every file is inflated once, however many fiches point at it.
    """

    def __init__(
        self, archive: Archive, hash_check: Literal["reject", "warn"], *, lenient_uri: bool
    ) -> None:
        self.archive = archive
        self.hash_check = hash_check
        self.lenient_uri = lenient_uri
        self._contents: dict[str, bytes] = {}
        self._digests: dict[str, str] = {}

    def content(self, name: str) -> bytes:
        if name not in self._contents:
            self._contents[name] = self.archive.read(name)
        return self._contents[name]

    def digest(self, name: str) -> str:
        """SHA-1, the hash of XDS."""
        if name not in self._digests:
            content = self._contents.get(name) or self.archive.read(name)
            self._digests[name] = hashlib.sha1(content, usedforsecurity=False).hexdigest()
        return self._digests[name]


def read(
    zip_bytes: bytes,
    limits: XdmLimits = XdmLimits(),  # noqa: B008 (frozen)
    *,
    hash_check: Literal["reject", "warn"] = "reject",
    lenient_uri: bool = False,
) -> Submission:
    """All CDA documents of an archive, of one patient. Unreadable says which rule is broken."""
    archive = xdm_archive.read(zip_bytes, limits)
    reading = _Reading(archive, hash_check, lenient_uri=lenient_uri)
    subsets = _subsets(archive, limits)
    patient = _one_patient([metadata for _, metadata in subsets])
    documents = _once([each for subset in subsets for each in _documents(reading, *subset)])
    if not documents:
        raise Unreadable(Reason.NO_CDA)
    warnings = dict.fromkeys(_warnings(archive, subsets, documents, patient))
    return Submission(tuple(documents), patient, tuple(str(warning) for warning in warnings))


def _subsets(archive: Archive, limits: XdmLimits) -> list[tuple[str, Metadata]]:
    """X-15: every METADATA.XML, whatever its folder and case, with the folder it stands in."""
    names = [name for name in archive.names if _is_metadata(name)]
    if not names:
        raise Unreadable(Reason.METADATA_MISSING)
    if sum(archive.size(name) for name in names) > limits.metadata_bytes:
        raise Unreadable(Reason.METADATA_INVALID)
    return [(posixpath.dirname(name), xdm_metadata.read(archive.read(name))) for name in names]


def _is_metadata(name: str) -> bool:
    return posixpath.basename(name).upper() == "METADATA.XML"


def _one_patient(subsets: list[Metadata]) -> tuple[str, str] | None:
    """X-28: one patientId over all fiches and lots; the empty ones say nothing (X-31)."""
    raw = {metadata.submission_set.patient_id for metadata in subsets}
    raw |= {entry.patient_id for metadata in subsets for entry in metadata.entries}
    values = [value for value in raw if value]
    if len({_person(value) for value in values}) > 1:
        raise Unreadable(Reason.MULTIPLE_PATIENTS)
    return xdm_metadata.patient(values[0]) if values else None


def _person(cx: str) -> tuple[str, ...]:
    """Whom a patientId designates: its number and authority; a real archive miscounts its ``^``."""
    parts = (part.strip() for part in re.split(r"[&^]", cx))
    return xdm_metadata.patient(cx) or tuple(part for part in parts if part)[:2]


def _documents(reading: _Reading, folder: str, metadata: Metadata) -> Iterator[XdmDocument]:
    """X-20, X-25: the fiches whose type says XML."""
    for entry in metadata.entries:
        if entry.mime_type in _CDA_TYPES:
            name, found = _located(reading, folder, metadata, entry)
            yield XdmDocument(
                entry,
                name,
                reading.content(name),
                _requested(entry, metadata.submission_set.action),
                _masks(entry),
                (*found, *_integrity(entry, name, reading)),
            )


def _located(
    reading: _Reading, folder: str, metadata: Metadata, entry: DocumentEntry
) -> tuple[str, tuple[str, ...]]:
    """X-24: a URI given and not found is never guessed."""
    if entry.uri:
        name = _by_uri(reading.archive, folder, entry.uri)
    else:
        name = _by_hash(reading, entry.hash)
        if name is None and reading.lenient_uri and len(metadata.entries) == 1:
            name = _only_document(reading.archive)
    if name is None:
        raise Unreadable(Reason.DOCUMENT_MISSING)
    return name, () if entry.uri else (XdmWarning.NO_URI,)


def _by_uri(archive: Archive, folder: str, uri: str) -> str | None:
    for spelling in (uri, unquote(uri)):
        path = posixpath.normpath(posixpath.join(folder, spelling.replace("\\", "/")))
        name = archive.find(path)
        if name is not None and not _is_metadata(name):
            return name
    return None


def _by_hash(reading: _Reading, digest: str) -> str | None:
    names = (name for name in reading.archive.names if digest and not _is_metadata(name))
    return next((name for name in names if reading.digest(name) == digest), None)


def _only_document(archive: Archive) -> str | None:
    names = [
        name for name in archive.names if name.lower().endswith(".xml") and not _is_metadata(name)
    ]
    return names[0] if len(names) == 1 else None


def _integrity(entry: DocumentEntry, name: str, reading: _Reading) -> Iterator[str]:
    """X-22: the bytes are those that the fiche announces."""
    if not entry.hash:
        yield XdmWarning.NO_HASH
    if entry.size is None:
        yield XdmWarning.NO_SIZE
    wrong_size = entry.size is not None and entry.size != len(reading.content(name))
    if wrong_size or (entry.hash and entry.hash != reading.digest(name)):
        if reading.hash_check == "reject":
            raise Unreadable(Reason.HASH_OR_SIZE_MISMATCH)
        yield XdmWarning.HASH_OR_SIZE_DIFFERS


def _requested(entry: DocumentEntry, action_of_set: str) -> Requested:
    """§2.4 lines 1–4: `action` of the fiche, else of the lot, else an RPLC association."""
    action = entry.action or action_of_set
    if action and action not in _ACTIONS:
        raise Unreadable(Reason.ACTION_UNKNOWN)
    if action:
        return _ACTIONS[action]
    return Requested.RPLC if entry.replaces else Requested.UNSAID


def _masks(entry: DocumentEntry) -> Masks:
    """A mask is a mask under any scheme; an unknown code of JDV_J08 is refused (X-52)."""
    masks = Masks()
    for code, system in entry.confidentiality:
        spelling = "".join(code.upper().split())
        if spelling in _MASKS:
            masks = replace(masks, **{_MASKS[spelling]: True})
        elif system == _MASK_OID and spelling not in _CONFIDENTIALITY:
            raise Unreadable(Reason.MASK_UNKNOWN)
    return masks


def _once(documents: list[XdmDocument]) -> list[XdmDocument]:
    """X-32: the same document twice goes once; one id over two contents is refused."""
    if len(documents) < 2:
        return documents
    kept: dict[bytes, XdmDocument] = {}
    for each in documents:
        known = kept.setdefault(each.content, each)
        if (known.requested, known.masks) != (each.requested, each.masks):
            raise Unreadable(Reason.METADATA_INVALID)
        if known is not each:
            warnings = (*known.warnings, XdmWarning.SAME_DOCUMENT_TWICE)
            kept[each.content] = replace(known, warnings=warnings)
    ids = [each.entry.unique_id.lower() for each in kept.values() if each.entry.unique_id]
    if len(set(ids)) != len(ids):
        raise Unreadable(Reason.METADATA_INVALID)
    return list(kept.values())


def _warnings(
    archive: Archive,
    subsets: list[tuple[str, Metadata]],
    documents: list[XdmDocument],
    patient: tuple[str, str] | None,
) -> Iterator[str]:
    for _, metadata in subsets:
        yield from metadata.warnings
        if any(entry.mime_type not in _CDA_TYPES for entry in metadata.entries):
            yield XdmWarning.NOT_CDA
    if _undescribed(archive, subsets, documents):
        yield XdmWarning.UNDESCRIBED_FILE
    if patient is None:
        yield XdmWarning.PATIENT_NOT_INS


def _undescribed(
    archive: Archive, subsets: list[tuple[str, Metadata]], documents: list[XdmDocument]
) -> bool:
    """X-26, by name only: an XML file that no fiche points at."""
    described = {each.name for each in documents} | {
        _by_uri(archive, folder, entry.uri)
        for folder, metadata in subsets
        for entry in metadata.entries
        if entry.uri
    }
    return any(
        name.lower().endswith(".xml") and not _is_metadata(name) and name not in described
        for name in archive.names
    )
