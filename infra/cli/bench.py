"""`pfi bench`: what the product costs in time and memory, beside its peers, in one run."""

import subprocess
import sys
from argparse import ArgumentParser, Namespace, _SubParsersAction
from pathlib import Path
from typing import Final

from infra.cli.options import CommandFailed

ROOT: Final = Path(__file__).resolve().parents[2]
_BENCH: Final = "tests.performance"
PARTS: Final = (
    *("documents", "memory", "refusing", "sending", "lookups", "capacity", "mllp", "end to end"),
)
"""The parts of the table, in its order: known here, so that help needs no bench."""


def add_to(commands: "_SubParsersAction[ArgumentParser]") -> None:
    """Declare the command."""
    parser = commands.add_parser("bench", help="temps et mémoire, mesurés à côté des concurrents")
    depth = parser.add_mutually_exclusive_group()
    depth.add_argument(
        "--quick", action="store_true", help="petites tailles, moins de 90 s (par défaut)"
    )
    depth.add_argument(
        "--full", action="store_true", help="toutes les tailles, tous les concurrents"
    )
    parser.add_argument(
        "--write",
        action="store_true",
        help="avec --full : garder les tableaux dans docs/reference (performance, capacity)",
    )
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        choices=PARTS,
        metavar="PARTIE",
        help=f"cette partie du tableau ; peut être répété : {', '.join(PARTS)}",
    )
    parser.set_defaults(run=run)


def run(options: Namespace) -> int:
    """0 when every target × 1.25 is met, 1 when one is missed."""
    if options.write and (options.only or not options.full):
        raise CommandFailed("--write garde un tableau entier : avec --full, sans --only")
    if not (ROOT / _BENCH.replace(".", "/") / "__main__.py").is_file():
        raise CommandFailed(
            "le banc d'essai (tests/performance) n'est pas dans le paquet installé : "
            "cloner le dépôt, puis « make bench »"
        )
    return subprocess.run(  # noqa: S603 - this interpreter, words of ours
        [sys.executable, "-m", _BENCH, *_words(options)], cwd=ROOT, check=False
    ).returncode


def _words(options: Namespace) -> list[str]:
    chosen = [f"--{name}" for name in ("quick", "full", "write") if getattr(options, name)]
    return [*chosen, *(word for part in options.only for word in ("--only", part))]
