"""`pfi destroy`: take an installation down, never with mails under way."""

import sys
from argparse import ArgumentParser, Namespace, _SubParsersAction

from infra.cli.options import CommandFailed
from infra.cli.place import account_of, add_name
from infra.operations.removal import destroy, kept_by_retention, stacks_of


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
    with account_of(options) as account:
        if options.confirm != options.name:
            for stack in stacks_of(account, options.name):
                sys.stdout.write(f"serait détruite : la pile {stack.name}\n")
                for each in kept_by_retention(stack):
                    sys.stdout.write(f"resterait : {each.name} — {each.words}\n")
            raise CommandFailed(
                f"rien n'a été détruit. Exportez (pfi export), puis : --confirm {options.name}"
            )
        kept = destroy(account, options.name, lambda line: print(line, file=sys.stderr))
    for each in kept:
        sys.stdout.write(f"reste : {each.name} — {each.words}\n")
    sys.stdout.write(f"L'installation « {options.name} » est retirée.\n")
    if kept:
        sys.stdout.write("Ce qui reste expire selon la conservation, ou se retire à la main.\n")
    return 0
