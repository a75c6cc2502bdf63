"""What the simulated DPI keeps: one file per accepted message and two journals without names."""

import hashlib
import json
import os
import re
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from infra.local.mdm_profile import Segments, decoded, first

INDEX: Final = "index.jsonl"
EXCHANGES: Final = "exchanges.jsonl"
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9._-]")


@dataclass(frozen=True, slots=True)
class Accepted:
    """One line of the index: what was integrated, by digests and technical ids."""

    file: str
    control_id: str
    event: str
    document: str
    parent: str
    patient_sha256: str
    cda_sha256: str
    message_sha256: str
    received_at: str


def accepted(folder: Path) -> tuple[Accepted, ...]:
    """The index of a DPI's folder, readable while it runs."""
    return tuple(Accepted(**line) for line in _lines(folder / INDEX))


def exchanges(folder: Path) -> tuple[dict[str, Any], ...]:
    """Every message received: control_id, event, answer given, `repeat` of an accepted one."""
    return tuple(_lines(folder / EXCHANGES))


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    if path.exists():
        yield from map(json.loads, path.read_text("utf-8").splitlines())


class Kept:
    """The folder of one DPI; messages are known by MSH-10 and by their bytes."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.chmod(0o700)
        self.folder = folder
        self._lock = threading.Lock()
        self._digests = {one.control_id: one.message_sha256 for one in accepted(folder)}

    def knows(self, control_id: str, message: bytes) -> bool | None:
        """True: these very bytes were accepted; False: others under that id; None: new."""
        known = self._digests.get(control_id)
        return None if known is None else known == _sha256(message)

    def accept(self, message: bytes, segments: Segments, received_at: str) -> None:
        """Store a message, once per MSH-10."""
        header, document = first(segments, "MSH"), first(segments, "TXA")
        with self._lock:
            if header.field(10) in self._digests:
                return
            name = f"{len(self._digests) + 1:06d}-{_UNSAFE.sub('_', header.field(10))}.hl7"
            line = Accepted(
                file=name,
                control_id=header.field(10),
                event=header.component(9, 2),
                document=document.field(12),
                parent=document.field(13),
                patient_sha256=_sha256(_matricule(segments).encode()),
                cda_sha256=_sha256(decoded(first(segments, "OBX")) or b""),
                message_sha256=_sha256(message),
                received_at=received_at,
            )
            _write(self.folder / name, message, os.O_TRUNC)
            self._digests[line.control_id] = line.message_sha256
            self._append(INDEX, asdict(line))

    def note(self, **exchange: Any) -> None:
        """Journal one exchange."""
        with self._lock:
            self._append(EXCHANGES, exchange)

    def _append(self, name: str, line: dict[str, Any]) -> None:
        _write(self.folder / name, (json.dumps(line) + "\n").encode(), os.O_APPEND)


def _matricule(segments: Segments) -> str:
    """The INS of PID-3, else its first identifier."""
    identifiers = [one.split("^") for one in first(segments, "PID").repetitions(3)]
    ins = [one[0] for one in identifiers if one[4:5] == ["INS"]]
    return next(iter([*ins, *(one[0] for one in identifiers)]), "")


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _write(path: Path, content: bytes, flag: int) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | flag, 0o600), "wb") as file:
        file.write(content)
