"""`pfi destroy`: take an installation down, never with mails under way."""

import sys
from argparse import ArgumentParser, Namespace, _SubParsersAction

from infra.cli.options import CommandFailed
from infra.cli.place import add_name, stack_of
from infra.operations.removal import destroy, kept_by_retention


def add_to(commands: "_SubParsersAction[ArgumentParser]") -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "destroy", help="retirer l'installation ; refuse tant que quelque chose est en cours"
    )
    parser.add_argument(
        "--confirm", default="", metavar="PILE", help="le nom de la pile, pour confirmer"
    )
    add_name(parser)
    parser.set_defaults(run=run)


def run(options: Namespace) -> int:
    """Without confirmation, only say what would stay."""
    with stack_of(options) as stack:
        if options.confirm != options.name:
            for each in kept_by_retention(stack):
                sys.stdout.write(f"resterait : {each.name} — {each.words}\n")
            raise CommandFailed(
                f"rien n'a été détruit. Exportez (pfi export), puis : --confirm {options.name}"
            )
        kept = destroy(stack, lambda line: print(line, file=sys.stderr))
    for each in kept:
        sys.stdout.write(f"reste : {each.name} — {each.words}\n")
    sys.stdout.write(f"La pile « {options.name} » est retirée.\n")
    if kept:
        sys.stdout.write("Ce qui reste expire selon la conservation, ou se retire à la main.\n")
    return 0
