"""Where a command works: the account of the caller, the emulator it names, or a laptop's."""

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from infra.cli.options import CommandFailed, unreadable
from infra.operations.account import Account, OperationRefused, Stack, aws_faults, installed_stack
from infra.operations.coherence import Reviewed, read_hospital
from infra.operations.hospital_file import HospitalFileRefused

DEFAULT_NAME = "pfi"


def add_account(parser: ArgumentParser) -> None:
    """The option of every command that works in an account."""
    parser.add_argument(
        "--folder", type=Path, metavar="DOSSIER", help="le poste démarré dans ce dossier, non AWS"
    )


def add_name(parser: ArgumentParser) -> None:
    """The options of a command on an installed stack."""
    parser.add_argument("--name", default=DEFAULT_NAME, metavar="PILE", help="défaut : pfi")
    add_account(parser)


def add_other_dpi(parser: ArgumentParser) -> None:
    """The option of the commands that write the settings of an installation."""
    parser.add_argument(
        "--other-dpi",
        action="store_true",
        help="un DPI qui prend la place d'un autre n'a pas ses documents",
    )


@contextmanager
def account_of(options: Namespace, kind: type[Account] = Account) -> Iterator[Account]:
    """The account, closed at the end; what it refuses becomes one sentence."""
    try:
        with aws_faults(), kind(_environment(options.folder)) as account:
            yield account
    except OperationRefused as refused:
        raise CommandFailed(str(refused)) from None


@contextmanager
def stack_of(options: Namespace, kind: type[Account] = Account) -> Iterator[Stack]:
    """The installed stack named by the options."""
    with account_of(options, kind) as account:
        yield installed_stack(account, options.name)


def _environment(folder: Path | None) -> dict[str, str] | None:
    if folder is None:
        return None
    from infra.cli.running import running  # noqa: PLC0415 (only for a laptop)

    return running(folder).environment


def hospital_of(path: Path) -> Reviewed:
    """A reviewed configuration; every fault on its own line."""
    try:
        return read_hospital(path)
    except HospitalFileRefused as refused:
        lines = "\n".join(each.shown(str(path)) for each in refused.faults)
        raise CommandFailed(f"configuration refusée\n{lines}") from None
    except OSError as fault:
        raise CommandFailed(unreadable(path, fault)) from None
