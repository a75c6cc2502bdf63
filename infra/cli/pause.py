"""`pfi pause` and `pfi resume`: shut or open the collection of mails and the push to DPIs."""

import sys
from argparse import ArgumentParser, Namespace, _SubParsersAction

from infra.cli.place import add_name, stack_of
from infra.operations.switches import DOORS, turn

WORDS = {"collect": "relève des boîtes", "push": "envoi aux DPI"}


def add_to(commands: "_SubParsersAction[ArgumentParser]") -> None:
    """Declare the command."""
    declare(commands, "pause", "suspendre la relève des boîtes ou l'envoi aux DPI", opened=False)


def declare(
    commands: "_SubParsersAction[ArgumentParser]", name: str, text: str, *, opened: bool
) -> None:
    """`pause` and `resume` are one command in two directions."""
    parser = commands.add_parser(name, help=text)
    parser.add_argument(
        "door", nargs="?", choices=DOORS, help="collect (relève), push (envoi) ; défaut : les deux"
    )
    parser.add_argument("--reason", default="", metavar="TEXTE", help="pour le journal")
    add_name(parser)
    parser.set_defaults(run=run, opened=opened)


def run(options: Namespace) -> int:
    """Turn the doors asked for."""
    doors = (options.door,) if options.door else DOORS
    with stack_of(options) as stack:
        for each in turn(stack, doors, opened=options.opened, reason=options.reason):
            state = "en service" if each.opened else "en pause"
            already = "" if each.moved else " (déjà)"
            sys.stdout.write(f"{WORDS[each.door]} : {state}{already}\n")
    if not options.opened:
        sys.stdout.write("Rien ne se perd : courriels et messages attendent (files : 14 jours).\n")
    return 0
