"""The patient base of one establishment as a file: reversibility, streamed, with its manifest."""

import csv
import hashlib
import io
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Final

from infra.operations.account import OperationRefused
from pfi.ins.identity import PatientRecord
from pfi.ins.patient_lines import COLUMNS, Format

MANIFEST: Final = ".sha256"
EVERY: Final = 10_000


def export_base(
    records: Iterable[PatientRecord], path: Path, form: Format, told: Callable[[int], None]
) -> tuple[int, str]:
    """Write a new file, mode 0600, and ``<file>.sha256`` for ``sha256sum -c``. Returns how many
    identities it holds, and its hash."""
    digest, count = hashlib.sha256(), 0
    with _new(path) as file:
        for count, line in _numbered(records, form):
            raw = line.encode()
            digest.update(raw)
            file.write(raw)
            if count and count % EVERY == 0:
                told(count)
        file.flush()
        os.fsync(file.fileno())
    with _new(path.with_name(path.name + MANIFEST)) as file:
        file.write(f"{digest.hexdigest()}  {path.name}\n".encode())
    return count, digest.hexdigest()


def _new(path: Path) -> io.BufferedWriter:
    """Never over an older file; readable by its owner only."""
    try:
        return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
    except FileExistsError:
        raise OperationRefused(f"{path} existe déjà : un export va dans un fichier neuf") from None
    except OSError:
        raise OperationRefused(f"{path} : écriture impossible") from None


def _numbered(records: Iterable[PatientRecord], form: Format) -> Iterator[tuple[int, str]]:
    """The lines, and how many identities they make so far."""
    if form is Format.CSV:
        yield 0, ",".join(COLUMNS) + "\n"
    for count, record in enumerate(records, start=1):
        yield count, _csv(record) if form is Format.CSV else _json(record)


def _csv(record: PatientRecord) -> str:
    out = io.StringIO()
    csv.DictWriter(out, COLUMNS, lineterminator="\n").writerow(row(record))
    return out.getvalue()


def row(record: PatientRecord) -> Mapping[str, str]:
    """The columns of a record; former numbers have none, NDJSON keeps them."""
    found = asdict(record) | asdict(record.traits)
    found["attributes"] = " ".join(sorted(record.attributes))
    return {name: found[name] for name in COLUMNS}


def _json(record: PatientRecord) -> str:
    lists = {"attributes": sorted(record.attributes), "aliases": record.aliases}
    whole = {**row(record), **lists, "active": record.active}
    return json.dumps(whole, ensure_ascii=False) + "\n"
