"""`pfi relay`: take identity messages by MLLP and hand them to the PFI by HTTPS."""

from typing import TYPE_CHECKING

from infra.relay.__main__ import add_options, run

if TYPE_CHECKING:
    from argparse import ArgumentParser, _SubParsersAction


def add_to(commands: "_SubParsersAction[ArgumentParser]") -> None:
    """Declare the command."""
    parser = commands.add_parser("relay", help="relais MLLP → HTTPS des messages d'identité (PAM)")
    add_options(parser)
    parser.set_defaults(run=run)
