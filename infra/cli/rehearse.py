"""`pfi rehearse`: what would become of many mails, before anything is switched on: reads only."""

import json
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace, _SubParsersAction
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from infra.cli.options import CommandFailed, address_of, environment_of, patients_of, unreadable
from infra.cli.place import DEFAULT_NAME, add_account, hospital_of, stack_of
from infra.local.hospital import DEMO_FALLBACK, settings_of
from infra.operations.account import OperationRefused, Stack
from infra.operations.configuration import installed_settings
from infra.operations.hospital_file import Hospital
from infra.operations.mailbox_account import reader_of, reader_with
from infra.operations.secrets import candidate
from infra.rehearsal.costing import estimate
from infra.rehearsal.reading import ReadingAccount
from infra.rehearsal.report import Report, figures
from infra.rehearsal.sources import Folder, Mailboxes, Period, Source
from infra.rehearsal.table import printed
from infra.rehearsal.trial import Trial, rehearse
from pfi.adapters.csv_patients import ListedPatients
from pfi.adapters.patients import DynamoLookup
from pfi.adapters.s3 import S3Reader
from pfi.edge.settings import SettingsRefused, read_settings
from pfi.journey.ports import Patients
from pfi.journey.settings import Settings
from pfi.names import Environment

EVERY = 500
"""Mails between two words of progress."""


@dataclass(frozen=True, slots=True)
class Version:
    """Settings under the name that people know them by."""

    name: str
    settings: Settings
    hospital: Hospital | None = None


def add_to(commands: "_SubParsersAction[ArgumentParser]") -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "rehearse", help="répéter sur de vrais courriels, sans rien envoyer ni écrire"
    )
    parser.add_argument(
        "mails", nargs="?", type=Path, metavar="COURRIELS", help="dossier de fichiers .eml"
    )
    _add_sources(parser)
    _add_versions(parser)
    _add_outputs(parser)
    parser.add_argument("--name", metavar="PILE", help="une installation : paramètres, patients")
    add_account(parser)
    parser.set_defaults(run=run)


def _add_sources(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--imap", action="store_true", help="lire les boîtes chez l'opérateur (EXAMINE)"
    )
    parser.add_argument("--imap-folder", default="INBOX", metavar="NOM", help="défaut : INBOX")
    for name in ("certificate", "ca", "crl"):
        parser.add_argument(
            f"--{name}", type=Path, metavar="FICHIER", help="pour --imap sans installation"
        )
    for name, dest, words in (("from", "first", "premier"), ("to", "last", "dernier")):
        parser.add_argument(
            f"--{name}", type=_day, dest=dest, metavar="AAAA-MM-JJ",
            help=f"{words} jour des courriels que garde l'installation",
        )  # fmt: skip
    parser.add_argument("--mailbox", type=address_of, metavar="ADRESSE", help="boîte applicative")


def _add_versions(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--patients", type=Path, metavar="FICHIER.csv", help="défaut : la table de l'installation"
    )
    words = "hospital.toml, ou paramètres en JSON"
    parser.add_argument("--settings", type=Path, metavar="FICHIER", help=words)
    parser.add_argument("--against", type=Path, metavar="FICHIER", help=f"à comparer : {words}")
    parser.add_argument(
        "--environment",
        type=environment_of,
        default=Environment.TEST,
        metavar="test|production",
        help="sans --settings ni installation",
    )


def _add_outputs(parser: ArgumentParser) -> None:
    parser.add_argument("--days", type=_count, metavar="N", help="jours que couvrent les courriels")
    parser.add_argument("--html", type=Path, metavar="FICHIER", help="rapport en une page")
    parser.add_argument("--json", action="store_true", help="sortie pour un programme")
    parser.add_argument(
        "--names", action="store_true", help="noms de fichiers au lieu des empreintes"
    )


def _day(word: str) -> date:
    try:
        return date.fromisoformat(word)
    except ValueError:
        raise ArgumentTypeError("une date AAAA-MM-JJ est attendue") from None


def _count(word: str) -> int:
    if not word.isdecimal() or not int(word):
        raise ArgumentTypeError("un nombre de jours est attendu")
    return int(word)


def run(options: Namespace) -> int:
    """Rehearse and report; 2 when there was nothing to read."""
    _check(options)
    with _installation(options) as stack:
        versions = list(_versions(options, stack))
        source = source_of(options, stack, versions[0].settings)
        patients = base_of(options, stack)
        trials = [
            Trial(each.name, each.settings, patients, options.mailbox or "") for each in versions
        ]
        rehearse(source.samples(), trials, _progress)
    if not trials[0].lines:
        raise CommandFailed(f"aucun courriel : {source.title}")
    _tell(_report(options, source, trials, versions), options)
    return 0


def _check(options: Namespace) -> None:
    """What cannot be meant is told before anything is read."""
    installed = options.name or options.folder
    if bool(options.mails) + options.imap > 1:
        raise CommandFailed("un dossier de courriels ou --imap, pas les deux")
    if not (options.mails or options.imap or installed):
        raise CommandFailed("un dossier de courriels, --imap, ou une installation (--name)")
    if (options.first or options.last) and (options.mails or options.imap):
        raise CommandFailed("--from et --to choisissent dans les courriels d'une installation")
    if options.imap and not (installed or (options.settings and options.certificate)):
        raise CommandFailed("--imap demande --name, ou --settings et --certificate")
    if not (options.patients or installed):
        raise CommandFailed("--patients FICHIER.csv, ou une installation (--name)")
    if options.mails and not options.mails.is_dir():
        raise CommandFailed(f"{options.mails} : ce n'est pas un dossier")
    if options.html and not options.html.parent.is_dir():
        raise CommandFailed(f"{options.html.parent} : dossier introuvable")


@contextmanager
def _installation(options: Namespace) -> Iterator[Stack | None]:
    """The installed stack through an account that refuses to write; None when none is named."""
    if not (options.name or options.folder):
        yield None
        return
    options.name = options.name or DEFAULT_NAME
    with stack_of(options, ReadingAccount) as stack:
        yield stack


# the settings


def _versions(options: Namespace, stack: Stack | None) -> Iterator[Version]:
    """The settings asked for, else those installed, else those of nobody in particular."""
    if options.settings:
        yield _version(options.settings)
    elif stack:
        yield Version(f"paramètres de {stack.name}", installed_settings(stack))
    else:
        settings = settings_of(options.environment, options.mailbox or "", DEMO_FALLBACK)
        yield Version("paramètres par défaut", settings)
    if options.against:
        yield _version(options.against)


def _version(path: Path) -> Version:
    if path.suffix == ".toml":
        hospital = hospital_of(path).hospital
        return Version(path.name, hospital.settings, hospital)
    try:
        settings = read_settings(path.read_text(encoding="utf-8-sig"))
    except OSError as fault:
        raise CommandFailed(unreadable(path, fault)) from None
    except UnicodeDecodeError:
        raise CommandFailed(f"{path} : un fichier en UTF-8 est attendu") from None
    except SettingsRefused as fault:
        if not fault.faults[0][0]:  # nothing of it could be read
            raise CommandFailed(f"{path} : ni TOML (hospital.toml) ni JSON") from None
        raise CommandFailed(f"{path} : paramètres refusés : {fault}") from None
    if not settings.mailboxes:
        raise CommandFailed(f"{path} : aucune boîte")
    return Version(path.name, settings)


# the mails and the patients


def source_of(options: Namespace, stack: Stack | None, settings: Settings) -> Source:
    """What the options name: a folder, mailboxes, or the bucket."""
    if options.mails:
        return Folder(options.mails)
    if options.imap:
        return _mailboxes(options, stack, settings)
    if stack is None:
        raise CommandFailed("une installation est attendue (--name)")
    store = S3Reader(stack.client("s3"), stack.output("BucketName"))
    return Period(store, options.first, options.last)


def _mailboxes(options: Namespace, stack: Stack | None, settings: Settings) -> Mailboxes:
    """Those of the settings, or the one that was asked for."""
    wanted = (options.mailbox or "").lower()
    boxes = tuple(each for each in settings.mailboxes if wanted in ("", each.address.lower()))
    if not boxes:
        raise CommandFailed(f"{options.mailbox} n'est pas une boîte des paramètres")
    if options.certificate:
        texts, operator = _certificate(options), settings.operator
        return Mailboxes(boxes, lambda box: reader_with(texts, operator, box), options.imap_folder)
    if stack is None:
        raise CommandFailed("--imap demande --name, ou --certificate")
    return Mailboxes(boxes, lambda box: reader_of(stack, settings, box), options.imap_folder)


def _certificate(options: Namespace) -> Mapping[str, Any]:
    try:
        return candidate(options.certificate, options.ca, options.crl).values
    except OperationRefused as refused:
        raise CommandFailed(str(refused)) from None


def base_of(options: Namespace, stack: Stack | None) -> Patients:
    """A file, else the table of the installation, for questions only."""
    if options.patients or stack is None:
        return ListedPatients(patients_of(options.patients))
    return DynamoLookup(stack.client("dynamodb"), stack.output("PatientsTable"))


# the report


def _progress(number: int) -> None:
    if number % EVERY == 0:
        sys.stderr.write(f"{number} courriels lus\n")


def _report(
    options: Namespace, source: Source, trials: list[Trial], versions: list[Version]
) -> Report:
    tallies = tuple(each.tally for each in trials)
    days = options.days or _days(options) or tallies[0].days
    letters = "AB" if len(versions) > 1 else ("",)
    return Report(
        source=source.title,
        base=options.patients.name if options.patients else "table de l'installation",
        at=datetime.now(UTC),
        names=tuple(f"{a} {b.name}".strip() for a, b in zip(letters, versions, strict=True)),
        tallies=tallies,
        estimates=tuple(
            estimate(tally, days, each.settings, each.hospital)
            for tally, each in zip(tallies, versions, strict=True)
        ),
        days=days,
        with_names=options.names,
    )


def _days(options: Namespace) -> int:
    """Of a period with both ends."""
    first: date | None = options.first
    last: date | None = options.last
    return max((last - first).days + 1, 1) if first and last else 0


def _tell(report: Report, options: Namespace) -> None:
    if options.html:
        _write(report, options.html)
    if options.json:
        json.dump(figures(report), sys.stdout, ensure_ascii=False, indent=2)
        sys.stdout.write("\n")
        return
    sys.stdout.writelines(f"{line}\n" for line in printed(report))
    if options.html:
        sys.stdout.write(f"\nrapport : {options.html}\n")


def _write(report: Report, path: Path) -> None:
    try:
        from infra.rehearsal.page import page  # noqa: PLC0415 (draws, which takes a while to load)
    except ImportError:
        raise CommandFailed("le rapport HTML demande pygal (make install)") from None
    try:
        path.write_text(page(report), encoding="utf-8")
    except OSError as fault:
        raise CommandFailed(unreadable(path, fault)) from None
