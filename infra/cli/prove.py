"""`pfi prove`: the account of an installation closes, or what does not is named."""

import json
import sys
from argparse import ArgumentParser, Namespace, _SubParsersAction
from datetime import timedelta

from infra.cli.place import add_name, stack_of
from infra.operations.account import Stack
from infra.operations.mailbox_account import folders_of
from infra.operations.proof import PAUSE_S, Proof, proof_of
from infra.operations.proof_wording import plain, sentences
from pfi.journey.accounts import GRACE

MINUTE = timedelta(minutes=1)
LOCAL_GRACE = MINUTE


def add_to(commands: "_SubParsersAction[ArgumentParser]") -> None:
    """Declare the command."""
    parser = commands.add_parser("prove", help="rien de perdu, rien en double : le compte")
    parser.add_argument(
        "--mailboxes",
        action="store_true",
        help="lire aussi les boîtes chez l'opérateur (lecture seule)",
    )
    parser.add_argument(
        "--grace", type=float, metavar="MINUTES", help="âge en deçà duquel rien n'est un écart"
    )
    parser.add_argument("--json", action="store_true", help="le compte en JSON")
    add_name(parser)
    parser.set_defaults(run=run)


def run(options: Namespace) -> int:
    """0 when it closes, 1 when it does not."""
    with stack_of(options) as stack:
        proof = proved(stack, options)
    if options.json:
        json.dump(plain(proof), sys.stdout, ensure_ascii=False, indent=2)
        sys.stdout.write("\n")
    else:
        sys.stdout.writelines(f"{line}\n" for line in sentences(proof))
    return 0 if proof.closes else 1


def proved(stack: Stack, options: Namespace) -> Proof:
    """On a laptop the simulated DPI is read too, and nothing is waited long for."""
    usual = LOCAL_GRACE if stack.account.emulated else GRACE
    grace = usual if options.grace is None else options.grace * MINUTE
    inbox = options.folder / "dpi" if options.folder else None
    return proof_of(
        stack,
        grace=grace,
        dpi_inbox=inbox if inbox and inbox.is_dir() else None,
        folders=folders_of(stack, grace) if options.mailboxes else (),
        pause_s=2 if stack.account.emulated else PAUSE_S,
    )
