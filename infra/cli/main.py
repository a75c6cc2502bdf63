"""The `pfi` command. Each sub-command is imported only when it is called: `explain` is quick."""

import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from importlib import import_module

from infra.cli.french import speak_french
from infra.cli.options import CommandFailed

COMMANDS = (
    "up",
    "send",
    "status",
    "review",
    "trace",
    "senders",
    "prove",
    "explain",
    "patients",
    "rehearse",
    "config",
    "certificates",
    "pause",
    "resume",
    "export",
    "destroy",
    "deploy",
    "cost",
    "faults",
    "bench",
    "relay",
)
"""Modules of this package, one per sub-command."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; exit status 0, 1 (not as expected) or 2 (could not run)."""
    speak_french()
    words = list(sys.argv[1:] if arguments is None else arguments)
    parser = ArgumentParser(prog="pfi", description="PFI : de la messagerie MSSanté au DPI")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMANDE")
    wanted = [name for name in COMMANDS if name in words[:1]] or COMMANDS
    for name in wanted:
        import_module(f"infra.cli.{name}").add_to(commands)
    options = parser.parse_args(words)
    try:
        return int(options.run(options))
    except CommandFailed as fault:
        sys.stderr.write(f"pfi: {fault}\n")
        return 2
    except BrokenPipeError:  # `pfi … | head`: the reader has seen enough
        sys.stdout = None  # nothing is left to flush at exit
        return 0
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    raise SystemExit(main())
