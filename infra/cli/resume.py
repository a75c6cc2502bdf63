"""`pfi resume`: the other direction of `pfi pause`."""

from typing import TYPE_CHECKING

from infra.cli.pause import declare

if TYPE_CHECKING:
    from argparse import ArgumentParser, _SubParsersAction


def add_to(commands: "_SubParsersAction[ArgumentParser]") -> None:
    """Declare the command."""
    declare(commands, "resume", "reprendre la relève des boîtes ou l'envoi aux DPI", opened=True)
