"""`pfi export`: everything the installation holds, in readable files, with a manifest."""

import sys
from argparse import ArgumentParser, Namespace, _SubParsersAction
from pathlib import Path

from infra.cli.place import add_name, stack_of
from infra.operations.export import MANIFEST, Export


def add_to(commands: "_SubParsersAction[ArgumentParser]") -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "export", help="réversibilité : tout exporter en fichiers lisibles, avec un manifeste"
    )
    parser.add_argument("to", type=Path, metavar="DOSSIER", help="dossier neuf")
    add_name(parser)
    parser.set_defaults(run=run)


def run(options: Namespace) -> int:
    """Export into a new folder."""
    with stack_of(options) as stack:
        export = Export(stack, options.to, lambda line: print(f"  {line}", file=sys.stderr))
        digest = export.run()
    count = len(export.digests)
    sys.stdout.write(f"{options.to} : {count} fichiers ; {MANIFEST} (SHA-256 {digest})\n")
    sys.stdout.write("Ce dossier contient des données de santé.\n")
    return 0
