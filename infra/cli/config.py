"""`pfi config`: write, check, show and apply the one configuration file of an installation."""

import sys
from argparse import ArgumentParser, Namespace, _SubParsersAction
from collections.abc import Iterator
from pathlib import Path

from infra.cli.options import CommandFailed, unreadable, unwritable
from infra.cli.place import account_of, add_account, add_name, add_other_dpi, hospital_of, stack_of
from infra.operations.account import find_stack, installed_stack
from infra.operations.configuration import flat, installed_settings, push
from infra.operations.hospital_file import Hospital, HospitalFileRefused
from infra.operations.journal import journal_of
from infra.operations.secrets import masked_secrets
from pfi.journey.settings import Settings

EXAMPLE = Path(__file__).parents[1] / "operations" / "example" / "hospital.toml"
FILE = Path("hospital.toml")
_NOT_THERE = (
    "le poste n'a pas de pile « {name} ». Celle de la démonstration, « pfi », a les paramètres que "
    "`pfi up` lui donne et n'en prend pas d'autres : son opérateur et son DPI sont simulés. Pour "
    "essayer ce fichier sur le poste : pfi deploy {file} --folder DOSSIER"
)


def add_to(commands: "_SubParsersAction[ArgumentParser]") -> None:
    """Declare the command and its own sub-commands."""
    parser = commands.add_parser("config", help="configuration de l'installation (hospital.toml)")
    own = parser.add_subparsers(dest="what", required=True, metavar="QUOI")
    one = own.add_parser("init", help="écrire un exemple commenté")
    one.add_argument("file", nargs="?", type=Path, default=FILE, metavar="FICHIER")
    one.set_defaults(run=init)
    one = own.add_parser("check", help="vérifier le fichier, faute par faute avec sa ligne")
    one.add_argument("file", nargs="?", type=Path, default=FILE, metavar="FICHIER")
    one.set_defaults(run=check)
    one = own.add_parser("show", help="tous les paramètres, défauts compris, secrets masqués")
    one.add_argument("file", nargs="?", type=Path, metavar="FICHIER", help="sinon l'installation")
    add_name(one)
    one.set_defaults(run=show)
    one = own.add_parser("push", help="appliquer sans redéployer, en une minute, au journal")
    one.add_argument("file", nargs="?", type=Path, default=FILE, metavar="FICHIER")
    one.add_argument("--dry-run", action="store_true", help="dire ce qui changerait, sans effet")
    add_other_dpi(one)
    add_account(one)
    one.set_defaults(run=apply)
    one = own.add_parser("journal", help="qui a changé quoi, et quand")
    add_name(one)
    one.set_defaults(run=journal)


def init(options: Namespace) -> int:
    """Write the example; an existing file is never replaced."""
    try:
        with options.file.open("x", encoding="utf-8") as new:
            new.write(EXAMPLE.read_text(encoding="utf-8"))
    except FileExistsError:
        raise CommandFailed(f"{options.file} existe déjà : rien n'a été écrit") from None
    except OSError as fault:
        raise CommandFailed(unwritable(options.file, fault)) from None
    sys.stdout.write(f"{options.file} écrit ; adaptez-le puis : pfi config check {options.file}\n")
    return 0


def check(options: Namespace) -> int:
    """Faults on standard output, as compilers do; 1 when there is one."""
    from infra.operations.coherence import read_hospital  # noqa: PLC0415 (faults are not an error)

    try:
        reviewed = read_hospital(options.file)
    except HospitalFileRefused as refused:
        for fault in refused.faults:
            sys.stdout.write(fault.shown(str(options.file)) + "\n")
        return 1
    except OSError as fault:
        raise CommandFailed(unreadable(options.file, fault)) from None
    for warning in reviewed.warnings:
        sys.stdout.write(warning.shown(str(options.file)) + "\n")
    sys.stdout.write(f"{options.file} : correct ; {_summary(reviewed.hospital)}\n")
    return 0


def _summary(hospital: Hospital) -> str:
    return (
        f"{len(hospital.establishments)} établissement(s), {len(hospital.mailboxes)} boîte(s), "
        f"{len(hospital.dpis)} DPI, environnement {hospital.deployment.environment.value}"
    )


def show(options: Namespace) -> int:
    """Of a file, or of the installation with its secrets masked."""
    if options.file is not None:
        hospital = hospital_of(options.file).hospital
        _print([*(f"deployment.{k} = {v}" for k, v in hospital.context.items())])
        _print(_lines(hospital.settings))
        return 0
    with stack_of(options) as stack:
        _print(_lines(installed_settings(stack)))
        _print(masked_secrets(stack))
    return 0


def _lines(settings: Settings) -> Iterator[str]:
    for path, value in flat(settings).items():
        shown = ", ".join(map(str, value)) if isinstance(value, list) else value
        yield f"{path} = {shown}"


def _print(lines: list[str] | Iterator[str]) -> None:
    sys.stdout.writelines(f"{line}\n" for line in lines)


def apply(options: Namespace) -> int:
    """Apply the file to the stack that it names."""
    reviewed = hospital_of(options.file)
    name = reviewed.hospital.deployment.name
    with account_of(options) as account:
        if options.folder is not None and find_stack(account, name) is None:
            raise CommandFailed(_NOT_THERE.format(name=name, file=options.file))
        stack = installed_stack(account, name)
        pushed = push(
            reviewed.hospital, stack, dry_run=options.dry_run, other_dpi=options.other_dpi
        )
    for path in pushed.changed:
        sys.stdout.write(f"  {path}\n")
    if pushed.before == pushed.after:
        sys.stdout.write("Rien à changer : l'installation a déjà ces paramètres.\n")
    elif options.dry_run:
        sys.stdout.write("Rien n'a été écrit (--dry-run).\n")
    else:
        sys.stdout.write("Paramètres écrits et journalisés ; effet en une minute au plus.\n")
    if pushed.pending:
        names = ", ".join(pushed.pending)
        sys.stdout.write(f"Demandent un déploiement (pfi deploy) : {names}\n")
    return 0


def journal(options: Namespace) -> int:
    """All acts on the installation, oldest first."""
    with stack_of(options) as stack:
        for each in journal_of(stack).entries():
            digests = f" {each.before[:12]} → {each.after[:12]}" if each.after else ""
            sys.stdout.write(f"{each.at}  {each.action}  {each.who}{digests}\n")
            sys.stdout.writelines(f"    {line}\n" for line in each.detail)
    return 0
