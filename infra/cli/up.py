"""`pfi up`: start the laptop, deploy the stack, deliver mails, show where each one ended."""

import sys
import threading
import time
from argparse import ArgumentParser, Namespace, _SubParsersAction
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from infra.cli.options import (
    CommandFailed,
    bytes_of,
    environment_of,
    fallback_of,
    patients_of,
    unreadable,
)
from infra.cli.report import MailReport, as_json, happened, repeated
from infra.cli.running import add_folder
from infra.cli.wording import ROUTES_FR
from infra.local.delivery import Delivery, Followed, NotSettled
from infra.local.demo import Demo
from infra.local.deployer import DeploymentFailed
from infra.local.dpi_script import script_fault
from infra.local.emulator import EmulatorFailed
from infra.local.hospital import DEMO_ESTABLISHMENT, DEMO_MAILBOX, settings_of
from infra.local.laptop import Laptop
from pfi.ins.identity import PatientRecord
from pfi.names import Environment, Route


def add_to(commands: "_SubParsersAction[ArgumentParser]") -> None:
    """Declare the command."""
    parser = commands.add_parser("up", help="tout démarrer sur ce poste et traiter des courriels")
    parser.add_argument("--once", action="store_true", help="s'arrêter après le tableau")
    parser.add_argument("--mails", type=Path, metavar="DOSSIER", help="ses propres *.eml")
    parser.add_argument("--patients", type=Path, metavar="FICHIER.csv")
    parser.add_argument("--report", type=Path, metavar="FICHIER.json")
    parser.add_argument("--fallback", metavar="ADRESSE|none")
    parser.add_argument(
        "--environment", type=environment_of, default=Environment.TEST, metavar="test|production"
    )
    parser.add_argument("--dpi-script", type=Path, metavar="FICHIER.json")
    parser.add_argument(
        "--strict", action="store_true", help="chaque fonction n'a que les droits de son rôle (IAM)"
    )
    add_folder(parser)
    parser.set_defaults(run=run)


def run(options: Namespace) -> int:
    """Exit status 0 only when every mail ended, and as expected where that is known."""
    demo = Demo() if options.mails is None else None
    files = demo.files() if demo else files_of(options.mails)
    patients = _patients(options, demo)
    settings = settings_of(options.environment, DEMO_MAILBOX, fallback_of(options.fallback))
    _check_files(options)
    script = options.dpi_script or (demo.dpi_script(options.folder) if demo else None)
    progress = Progress()
    try:
        folder, strict = options.folder.absolute(), options.strict
        with Laptop(folder, settings, progress, script, strict=strict) as laptop:
            status = _process(laptop, files, patients, demo, options.report)
            if not options.once:
                _stay(laptop)
            return status
    except (EmulatorFailed, DeploymentFailed, NotSettled) as fault:
        raise CommandFailed(str(fault)) from None


def _check_files(options: Namespace) -> None:
    """What can be refused before the long steps is refused before them."""
    fault = script_fault(options.dpi_script) if options.dpi_script else ""
    if fault:
        raise CommandFailed(f"{options.dpi_script} : script du DPI refusé ({fault})")
    if options.report and not options.report.absolute().parent.is_dir():
        raise CommandFailed(f"{options.report} : dossier introuvable")
    try:
        options.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as fault_of_folder:
        raise CommandFailed(unreadable(options.folder, fault_of_folder)) from None


def _patients(options: Namespace, demo: Demo | None) -> tuple[PatientRecord, ...]:
    if options.patients:
        return patients_of(options.patients)
    return demo.patients() if demo else ()


def files_of(folder: Path) -> list[tuple[str, bytes]]:
    """Each ``*.eml`` of the folder, in name order."""
    if not folder.is_dir():
        raise CommandFailed(f"{folder}: dossier introuvable")
    found = [(path.name, bytes_of(path)) for path in sorted(folder.glob("*.eml"))]
    if not found:
        raise CommandFailed(f"{folder} : aucun fichier *.eml")
    return found


class Progress:
    """One line per long step, with the seconds since the start."""

    def __init__(self) -> None:
        self.started = time.monotonic()

    def __call__(self, sentence: str) -> None:
        sys.stderr.write(f"[{time.monotonic() - self.started:5.1f} s] {sentence}\n")
        sys.stderr.flush()


def _process(
    laptop: Laptop,
    files: Sequence[tuple[str, bytes]],
    patients: tuple[PatientRecord, ...],
    demo: Demo | None,
    report: Path | None,
) -> int:
    count = laptop.load_patients(DEMO_ESTABLISHMENT, patients)
    laptop.progress(f"Base patients : {count} identités")
    reports = [report_of(each) for each in Delivery(laptop, laptop.progress).run(files)]
    if report:
        report.write_text(as_json(reports) + "\n", encoding="utf-8")
    expected = demo.expected() if demo else {}
    sys.stdout.write(table(reports, expected))
    sys.stdout.write(where_to_look(laptop))
    sys.stdout.flush()
    return 0 if all(_as_expected(each, expected) for each in reports) else 1


def report_of(followed: Followed) -> MailReport:
    """The report of one delivered file."""
    if followed.repeat:
        return repeated(followed.name, followed.record.mail)
    record = followed.record
    if record.route is Route.REVIEW and record.reason is None:
        record = replace(record, reason=followed.reviewed_for)
    return happened(followed.name, record, followed.dossier, followed.documents)


def _as_expected(report: MailReport, expected: dict[str, str]) -> bool:
    return report.file not in expected or expected[report.file] == outcome(report)


def outcome(report: MailReport) -> str:
    """Route, events, reason and MDN in one word, as the demo expects them."""
    events = "+".join(each.event or "-" for each in report.documents) or "-"
    return f"{report.route} {events} {report.reason or '-'} {report.mdn}"


def table(reports: Sequence[MailReport], expected: dict[str, str]) -> str:
    """One line per mail."""
    width = max((len(each.file) for each in reports), default=10)
    lines = [f"\n{'courriel':<{width}}  {'où il a fini':<40} documents            motif        MDN"]
    for each in reports:
        events = " ".join(f"{d.event}:{d.ack or '-'}" for d in each.documents) or "-"
        mark = "" if _as_expected(each, expected) else f"   ≠ attendu : {expected[each.file]}"
        lines.append(
            f"{each.file:<{width}}  {ROUTES_FR[Route(each.route)]:<40} {events:<20} "
            f"{each.reason or '-':<12} {each.mdn}{mark}"
        )
    good = sum(_as_expected(each, expected) for each in reports)
    summary = f"{good}/{len(reports)} comme attendu" if expected else f"{len(reports)} courriels"
    return "\n".join([*lines, "", summary, ""])


def where_to_look(laptop: Laptop) -> str:
    """Where the newcomer finds what happened."""
    settings = laptop.settings
    mailbox = settings.mailboxes[0]
    rows = [
        ("BAL applicative", f"{mailbox.address} (IMAP 127.0.0.1:{laptop.operator.imap_port})"),
        ("messagerie de repli", mailbox.fallback or "aucune"),
        ("messages d'identité (PAM)", f"MLLP 127.0.0.1:{laptop.relay.port}"),
        ("courriels reçus par chacun", "pfi status --mails"),
        ("messages acceptés par le DPI", str(laptop.folder / "dpi")),
        ("registre (DynamoDB)", laptop.outputs["LedgerTable"]),
        ("journaux (CloudWatch Logs)", "/aws/lambda/pfi-…, sur " + laptop.emulator.endpoint),
    ]
    return "\nOù regarder\n" + "".join(f"  {name:<30} {value}\n" for name, value in rows)


def _stay(laptop: Laptop) -> None:
    sys.stdout.write(
        "\nLe poste reste en marche : `pfi send`, `pfi status` ; Ctrl-C pour arrêter.\n"
    )
    sys.stdout.flush()
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        laptop.progress("Arrêt…")
