"""What the simulated DPI keeps: one file per accepted message and two journals without names."""

import hashlib
import json
import re
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from infra.local.dpi_disk import Disk, Write
from infra.local.mdm_profile import Segments, read

INDEX: Final = "index.jsonl"
EXCHANGES: Final = "exchanges.jsonl"
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9._-]")


@dataclass(frozen=True, slots=True)
class Accepted:
    """One line of the index: what was integrated, by a digest and technical ids."""

    folder: Path
    file: str
    control_id: str
    event: str
    document: str
    parent: str
    patient_sha256: str
    received_at: str

    @property
    def message(self) -> bytes:
        """What came."""
        return (self.folder / self.file).read_bytes()

    @property
    def message_sha256(self) -> str:
        """The digest of what came; made when asked for, not before the answer."""
        return _sha256(self.message)

    @property
    def cda_sha256(self) -> str:
        """The digest of the document in it."""
        segments = read(self.message)
        return _sha256(segments.decoded(segments.first("OBX")) or b"")


def accepted(folder: Path) -> tuple[Accepted, ...]:
    """The index of a DPI's folder, readable while it runs."""
    return tuple(Accepted(folder, **line) for line in _lines(folder / INDEX))


def exchanges(folder: Path) -> tuple[dict[str, Any], ...]:
    """Every message received: control_id, event, answer given, `repeat` of an accepted one."""
    return tuple(_lines(folder / EXCHANGES))


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    if path.exists():
        yield from map(json.loads, path.read_text("utf-8").splitlines())


@dataclass(frozen=True, slots=True)
class Message:
    """A message to keep."""

    raw: bytes
    segments: Segments
    received_at: str


class Kept:
    """The folder of one DPI; messages are known by MSH-10 and by their bytes."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.chmod(0o700)
        self._folder = folder
        self._index, self._exchanges = str(folder / INDEX), str(folder / EXCHANGES)
        self._disk = Disk()
        self._lock = threading.Lock()
        self._files = {one.control_id: one.file for one in accepted(folder)}

    @property
    def folder(self) -> Path:
        """Where it lies, all that was accepted so far."""
        self.settle()
        return self._folder

    def settle(self) -> None:
        """Wait for the disk."""
        self._disk.settle()

    def knows(self, control_id: str, message: bytes) -> bool | None:
        """True: these very bytes were accepted; False: others under that id; None: new."""
        known = self._files.get(control_id)
        return None if known is None else (self.folder / known).read_bytes() == message

    def note(self, exchange: Mapping[str, Any], message: Message | None) -> None:
        """Journal one exchange, and keep its message, once per MSH-10."""
        with self._lock:
            kept = self._accept(message) if message else ()
            self._disk.write(*kept, (self._exchanges, exchange))

    def _accept(self, message: Message) -> tuple[Write, ...]:
        header, document = message.segments.first("MSH"), message.segments.first("TXA")
        control_id = header.field(10)
        if control_id in self._files:
            return ()
        name = f"{len(self._files) + 1:06d}-{_UNSAFE.sub('_', control_id)}.hl7"
        line = {
            "file": name,
            "control_id": control_id,
            "event": header.component(9, 2),
            "document": document.field(12),
            "parent": document.field(13),
            "patient_sha256": _sha256(_matricule(message.segments).encode()),
            "received_at": message.received_at,
        }
        self._files[control_id] = name
        return (f"{self._folder}/{name}", message.raw), (self._index, line)


def _matricule(segments: Segments) -> str:
    """The INS of PID-3, else its first identifier."""
    identifiers = [one.split("^") for one in segments.first("PID").repetitions(3)]
    ins = [one[0] for one in identifiers if one[4:5] == ["INS"]]
    return next(iter([*ins, *(one[0] for one in identifiers)]), "")


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
