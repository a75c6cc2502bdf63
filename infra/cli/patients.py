"""`pfi patients`: load a file into the patient base, export it, tell its quality."""

import json
import os
import sys
import time
from argparse import ArgumentParser, ArgumentTypeError, Namespace, _SubParsersAction
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from infra.cli.options import CommandFailed, unreadable, unwritable
from infra.cli.place import add_name, stack_of
from infra.operations.account import OperationRefused, Stack
from infra.operations.base_export import export_base
from infra.operations.base_quality import Finding, Quality, Tell, quality
from infra.operations.configuration import read_back, settings_text
from infra.operations.journal import journal_of
from infra.operations.patients import (
    PatientFile,
    Ports,
    installed_base,
    load_file,
    patient_file,
    ports_on,
    records_by_ipp,
)
from pfi.ins.patient_lines import Format, HeadRefused
from pfi.journey.loading import Progress, report_of

REPORT = ".report.json"
_WORDS = {
    Finding.UNQUALIFIED: "identité non qualifiée",
    Finding.VALI_WITHOUT_INS: "validée, sans INS",
    Finding.FALSE_KEY: "matricule INS à clé fausse",
    Finding.MALFORMED: "matricule INS malformé",
    Finding.INS_HELD_TWICE: "même matricule INS qu'une autre identité qualifiée",
    Finding.MISSING_BIRTH_NAME: "sans nom de naissance",
    Finding.MISSING_FIRST_GIVEN: "sans premier prénom de naissance",
    Finding.MISSING_BIRTH_DATE: "sans date de naissance complète",
    Finding.MISSING_SEX: "sans sexe",
    Finding.MISSING_BIRTH_PLACE: "sans code lieu de naissance",
    Finding.PLACEHOLDER_DATE: "date de naissance souvent provisoire",
    Finding.MERGED_NOWHERE: "fusionnée vers une identité absente ou inactive",
    Finding.MERGED_IN_CIRCLE: "fusions en boucle",
    Finding.TEST_INS: "INS de test ou de démonstration",
}


def add_to(commands: "_SubParsersAction[ArgumentParser]") -> None:
    """Declare the command and its own sub-commands."""
    parser = commands.add_parser("patients", help="base patients : charger, exporter, contrôler")
    own = parser.add_subparsers(dest="what", required=True, metavar="QUOI")
    one = own.add_parser("import", help="charger un fichier CSV ou NDJSON ; reprend où il en était")
    one.add_argument("file", type=Path, metavar="FICHIER")
    when = "date de l'extraction (ISO 8601, avec fuseau) ; défaut : celle du fichier, sinon l'heure"
    one.add_argument("--as-of", type=moment_of, metavar="DATE", help=when)
    one.add_argument("--report", type=Path, metavar="FICHIER", help=f"défaut : FICHIER{REPORT}")
    _add_place(one)
    one.set_defaults(run=load)
    one = own.add_parser("export", help="toutes les identités, en un fichier et son empreinte")
    one.add_argument("to", type=Path, metavar="FICHIER", help="fichier neuf")
    one.add_argument("--format", type=Format, choices=list(Format), default=Format.CSV)
    _add_place(one)
    one.set_defaults(run=export)
    one = own.add_parser("check", help="qualité de la base : des nombres, aucune donnée")
    one.add_argument("--list", type=Path, metavar="FICHIER", help="IPP concernés, fichier neuf")
    _add_place(one)
    one.set_defaults(run=check)


def _add_place(parser: ArgumentParser) -> None:
    parser.add_argument("--establishment", required=True, metavar="ÉTABLISSEMENT")
    add_name(parser)


def moment_of(word: str) -> datetime:
    """An argparse type: a time that needs no guess."""
    try:
        moment = datetime.fromisoformat(word)
    except ValueError:
        raise ArgumentTypeError(f"{word} : date ISO 8601 attendue") from None
    if moment.tzinfo is None:
        raise ArgumentTypeError(f"{word} : fuseau attendu, par exemple +02:00")
    return moment


@contextmanager
def _served(options: Namespace) -> Iterator[Stack]:
    """The stack, if it knows the establishment: a name misspelt would be a base of its own."""
    with stack_of(options) as stack:
        known = read_back(settings_text(stack))
        served = {each.establishment for each in known.mailboxes} if known else set()
        served |= {each.establishment for each in known.feeds} if known else set()
        if options.establishment not in served:
            names = ", ".join(sorted(served)) or "aucun"
            raise CommandFailed(
                f"établissement « {options.establishment} » inconnu des paramètres ({names})"
            )
        yield stack


def load(options: Namespace) -> int:
    """0 when every line was taken, 1 when some were refused."""
    file = _looked_at(options)
    with _served(options) as stack:
        client, table = stack.client("dynamodb"), stack.output("PatientsTable")
        with ports_on(client, table) as ports:
            progress = _loaded(file, options.establishment, ports)
        detail = (options.establishment, f"{progress.written} identités écrites")
        journal_of(stack).record("patients import", stack.account.who(), after=file.digest,
                                 detail=detail)  # fmt: skip
    report = options.report or options.file.with_name(options.file.name + REPORT)
    _write_report(report, progress)
    _tell(progress, report)
    return 1 if progress.refused else 0


def _looked_at(options: Namespace) -> PatientFile:
    try:
        return patient_file(options.file, options.as_of)
    except HeadRefused as refused:
        raise CommandFailed(_head(options.file, refused)) from None
    except OSError as fault:
        raise CommandFailed(unreadable(options.file, fault)) from None
    except OperationRefused as refused:
        raise CommandFailed(str(refused)) from None


def _head(path: Path, refused: HeadRefused) -> str:
    flaw = refused.flaw
    return f"{path}: ligne {flaw.line}, {flaw.field} ({flaw.fault.value}) : fichier refusé"


def _loaded(file: PatientFile, establishment: str, ports: Ports) -> Progress:
    began = time.monotonic()
    first: list[int] = []

    def told(now: Progress) -> None:
        first.append(now.line)
        rate = (now.line - first[0]) / max(time.monotonic() - began, 0.001)
        percent = 100 * now.offset / max(file.size, 1)
        sys.stderr.write(f"\r  {percent:5.1f} %  {now.line} lignes, {rate:.0f}/s ")
        sys.stderr.flush()

    try:
        return load_file(file, establishment, ports, told)
    except HeadRefused as refused:
        raise CommandFailed(_head(file.path, refused)) from None
    finally:
        sys.stderr.write("\n" if first else "")


def _write_report(path: Path, progress: Progress) -> None:
    text = json.dumps(report_of(progress), indent=1) + "\n"
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(text)
    except OSError as fault:
        raise CommandFailed(unwritable(path, fault)) from None


def _tell(progress: Progress, report: Path) -> None:
    out = sys.stdout.write
    out(f"{progress.identities} identités lues : {progress.written} écrites, ")
    out(f"{progress.unchanged} sans changement ; {progress.refused} ligne(s) refusée(s)\n")
    for name, count in sorted(progress.counts.items()):
        field, _, fault = name.partition(":")
        out(f"  {count:8}  {field}, {fault}\n")
    out(f"{report} : lignes, champs et motifs, sans aucune valeur\n")


def export(options: Namespace) -> int:
    """Every identity of the establishment into a new file."""
    with _served(options) as stack:
        base = installed_base(stack)
        records = (each.kept.record for each in base.every(options.establishment))
        count, digest = export_base(records, options.to, options.format, _counting)
        detail = (options.establishment, f"{count} identités")
        journal_of(stack).record("patients export", stack.account.who(), after=digest,
                                 detail=detail)  # fmt: skip
    sys.stdout.write(f"{options.to} : {count} identités (SHA-256 {digest})\n")
    sys.stdout.write("Ce fichier contient des données de santé.\n")
    return 0


def _counting(count: int) -> None:
    sys.stderr.write(f"\r  {count} identités ")
    sys.stderr.flush()


def check(options: Namespace) -> int:
    """Counts; the IPPs only into a file that was asked for."""
    with _served(options) as stack:
        base, establishment = installed_base(stack), options.establishment
        with _listing(options.list) as tell:
            found = quality(
                base.every(establishment),
                lambda ipps: records_by_ipp(base, establishment, ipps),
                tell,
            )
    _print_quality(found)
    if options.list:
        sys.stdout.write(f"{options.list} : IPP par constat ; à garder chiffré, puis à détruire\n")
    return 0


@contextmanager
def _listing(path: Path | None) -> Iterator[Tell]:
    if path is None:
        yield lambda _finding, _ipp: None
        return
    try:
        opened = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w")
    except OSError as fault:
        raise CommandFailed(unwritable(path, fault)) from None
    with opened as file:
        yield lambda finding, ipp: print(finding.value, ipp, sep=";", file=file)


def _print_quality(found: Quality) -> None:
    out = sys.stdout.write
    share = 100 * found.ready / found.active if found.active else 0.0
    out(f"{found.identities} identités, {found.active} actives\n")
    out(f"{found.ready} prêtes ({share:.1f} % des actives) : INS qualifiée, cinq traits\n")
    for finding, words in _WORDS.items():
        if found.findings[finding]:
            out(f"  {found.findings[finding]:8}  {words}\n")
