"""Reversibility (HDS, exigence 27): everything an installation holds, as files people can read.

Bodies as they came, tables as CSV and JSON lines, and a manifest that ``sha256sum -c`` checks. No
secret is exported: keys and certificates belong to the hospital, which has them.
"""

import csv
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from boto3.dynamodb.types import TypeDeserializer
from pydantic import TypeAdapter

from infra.operations.account import OperationRefused, Stack
from infra.operations.base_export import row
from infra.operations.configuration import read_back, settings_text
from infra.operations.flight import scanned
from infra.operations.journal import Entry, journal_of
from pfi.ins.identity import PatientRecord
from pfi.ins.keys import ipp_key
from pfi.ins.patient_lines import COLUMNS
from pfi.journey.keys import DOCUMENTS, document_key

MANIFEST: Final = "MANIFESTE.sha256"
README: Final = "LISEZMOI.txt"
UNKNOWN: Final = "inconnu"
_RECORD: Final = TypeAdapter(PatientRecord)
_FROM: Final = TypeDeserializer().deserialize

_README: Final = """\
Export de l'installation « {name} » de la PFI

incoming/BOITE/SHA256.eml    courriels tels que reçus (RFC 5322), encore conservés
documents/SHA256/BOITE/dossier.json  ce qui a été lu du courriel et de ses documents
documents/SHA256/BOITE/NNNN.xml  documents CDA du courriel, octet pour octet
documents/SHA256/…           les mêmes, sans BOITE, des courriels lus par la version 0.2
courriels.csv                une ligne par courriel : boîte, date, issue, motif, envois
documents.csv                une ligne par document : décision d'identité, réponse du DPI
registre.jsonl               le registre entier, une ligne JSON par enregistrement
patients-ETABLISSEMENT.csv   base patients, format de `pfi up --patients` (UTF-8)
patients-ETABLISSEMENT.jsonl la même, entière : anciens matricules compris
parametres.json              paramètres en vigueur
operations.csv               qui a changé quoi, et quand
journaux/*.jsonl             journaux techniques (six mois au plus), sans donnée de santé
pile.json                    noms des ressources

SHA256 est l'empreinte des octets du courriel ; elle relie tous les fichiers.
Un document seul est conservé dans l'objet de son dossier.json, après la première ligne : cet export
l'écrit à part, sous 0001.xml. Les empreintes de {manifest} sont celles des fichiers écrits ici.
Vérifier : sha256sum -c {manifest}
Aucun secret (certificats, clés, mots de passe) n'est exporté.
Ces fichiers contiennent des données de santé : les garder chiffrés, puis les détruire.
"""


@dataclass(slots=True)
class Export:
    """A new folder that fills; every file is hashed while it is written."""

    stack: Stack
    folder: Path
    progress: Callable[[str], None]
    digests: dict[str, str] = field(default_factory=dict)

    def run(self) -> str:
        """Write everything, then the manifest; its SHA-256 goes into the journal."""
        self._prepare()
        for part in (self._bodies, self._ledger, self._patients, self._settings, self._logs):
            part()
        text = "".join(f"{digest}  {name}\n" for name, digest in sorted(self.digests.items()))
        digest = self._write(MANIFEST, [text])
        self.stack_journal(digest)
        return digest

    def stack_journal(self, digest: str) -> Entry:
        """An export reads patient data: it is traced (R-TRC-04)."""
        who = self.stack.account.who()
        detail = (f"{len(self.digests)} fichiers",)
        return journal_of(self.stack).record("export", who, after=digest, detail=detail)

    def _prepare(self) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        if any(self.folder.iterdir()):
            raise OperationRefused(
                f"{self.folder} n'est pas vide : un export va dans un dossier neuf"
            )
        self._write(README, [_README.format(name=self.stack.name, manifest=MANIFEST)])

    def _bodies(self) -> None:
        """Every object of the bucket under its own key, a document within its dossier beside."""
        s3, bucket = self.stack.client("s3"), self.stack.output("BucketName")
        count = 0
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
            for key in (each["Key"] for each in page.get("Contents", ())):
                body = s3.get_object(Bucket=bucket, Key=key)["Body"]
                if key.startswith(DOCUMENTS) and key.endswith("/dossier.json"):
                    self._dossier(key, body.read())
                else:
                    self._write_bytes(key, body.iter_chunks(1 << 20))
                count += 1
        self.progress(f"{count} courriels, documents et dossiers")

    def _dossier(self, key: str, content: bytes) -> None:
        """One line of JSON; what follows it is the only document of the mail."""
        line, end, document = content.partition(b"\n")
        self._write_bytes(key, [line, end])
        if document:
            self._write_bytes(document_key(key, 1), [document])

    def _ledger(self) -> None:
        rows = [_plain(item) for item in scanned(self.stack, self.stack.output("LedgerTable"))]
        rows.sort(key=lambda row: (row["pk"], row["sk"]))
        self._write("registre.jsonl", (_line(row) for row in rows))
        mails = [row["data"] for row in rows if row["sk"] == "MAIL"]
        documents = [row["data"] for row in rows if row["sk"].startswith("DOC#")]
        self._table("courriels.csv", mails)
        self._table("documents.csv", documents)
        self._table("operations.csv", [r["data"] for r in rows if r["pk"].startswith("CONFIG#")])
        self.progress(f"{len(rows)} enregistrements du registre, {len(mails)} courriels")

    def _table(self, name: str, rows: list[Mapping[str, Any]]) -> None:
        columns = list(dict.fromkeys(key for row in rows for key in row))
        self._csv(name, columns, ({key: _cell(row.get(key)) for key in columns} for row in rows))

    def _patients(self) -> None:
        """The table knows establishments by digest only: those of the settings are tried."""
        known = read_back(settings_text(self.stack))
        names = sorted({each.establishment for each in known.mailboxes} if known else ())
        found: dict[str, list[PatientRecord]] = {name: [] for name in names}
        for item in scanned(self.stack, self.stack.output("PatientsTable")):
            if "record" in item and item["pk"] == item["sk"]:
                record = _RECORD.validate_json(item["record"]["S"])
                name = _establishment(names, record, item["pk"]["S"])
                found.setdefault(name, []).append(record)
        for name, records in found.items():
            records.sort(key=lambda each: each.ipp)
            self._csv(f"patients-{name}.csv", list(COLUMNS), map(row, records))
            whole = (_RECORD.dump_json(each).decode() + "\n" for each in records)
            self._write(f"patients-{name}.jsonl", whole)
        self.progress(f"{sum(map(len, found.values()))} identités")

    def _settings(self) -> None:
        settings = json.loads(settings_text(self.stack) or "{}")
        self._write("parametres.json", [json.dumps(settings, ensure_ascii=False, indent=2) + "\n"])
        stack = {"name": self.stack.name, "outputs": dict(self.stack.outputs)}
        self._write("pile.json", [json.dumps(stack, indent=2, sort_keys=True) + "\n"])

    def _logs(self) -> None:
        logs, prefix = self.stack.client("logs"), f"/aws/lambda/{self.stack.name}-"
        groups = [
            group["logGroupName"]
            for page in logs.get_paginator("describe_log_groups").paginate(
                logGroupNamePrefix=prefix
            )
            for group in page["logGroups"]
        ]
        for name in groups:
            pages = logs.get_paginator("filter_log_events").paginate(logGroupName=name)
            lines = (_line(_event(each)) for page in pages for each in page["events"])
            self._write(f"journaux/{name.rpartition('/')[2]}.jsonl", lines)
        self.progress(f"{len(groups)} journaux")

    def _csv(self, name: str, columns: list[str], rows: Iterable[Mapping[str, Any]]) -> None:
        with _Hashed(self._place(name)) as file:
            writer = csv.DictWriter(file, columns, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        self.digests[name] = file.digest

    def _write(self, name: str, texts: Iterable[str]) -> str:
        return self._write_bytes(name, (text.encode() for text in texts))

    def _write_bytes(self, name: str, pieces: Iterable[bytes]) -> str:
        with _Hashed(self._place(name)) as file:
            for piece in pieces:
                file.write_bytes(piece)
        self.digests[name] = file.digest
        return file.digest

    def _place(self, name: str) -> Path:
        """Object keys come from settings and digests; still, none may leave the folder."""
        place = (self.folder / name).resolve()
        if not place.is_relative_to(self.folder.resolve()):
            raise OperationRefused("une clé d'objet sort du dossier d'export")
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return place


class _Hashed:
    """A file that knows the SHA-256 of what was written; mode 0600."""

    def __init__(self, path: Path) -> None:
        path.touch(mode=0o600)
        self._file = path.open("wb")
        self._hash = hashlib.sha256()

    def __enter__(self) -> "_Hashed":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    @property
    def digest(self) -> str:
        return self._hash.hexdigest()

    def write(self, text: str) -> int:
        return self.write_bytes(text.encode())

    def write_bytes(self, content: bytes) -> int:
        self._hash.update(content)
        return self._file.write(content)


def _plain(item: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _FROM(value) for name, value in item.items()}


def _line(row: Mapping[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False, default=_number, sort_keys=True) + "\n"


def _number(value: object) -> int | float:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    raise TypeError(type(value).__name__)


def _cell(value: Any) -> Any:
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False, default=_number, sort_keys=True)
    return "" if value is None else value


def _establishment(names: list[str], record: PatientRecord, key: str) -> str:
    return next((name for name in names if ipp_key(name, record.ipp) == key), UNKNOWN)


def _event(each: Mapping[str, Any]) -> dict[str, Any]:
    return {"timestamp": each["timestamp"], "message": each["message"].rstrip("\n")}


def verified(folder: Path) -> Iterator[str]:
    """Names of the files that do not agree with the manifest; none when the export is whole."""
    for line in (folder / MANIFEST).read_text(encoding="utf-8").splitlines():
        digest, _, name = line.partition("  ")
        place = folder / name
        if not place.is_file() or hashlib.sha256(place.read_bytes()).hexdigest() != digest:
            yield name
