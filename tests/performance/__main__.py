"""Measure and print the table of docs/reference/performance.md.

    python -m tests.performance [--quick | --full [--write]] [--only PART]…

Ends with status 1 when a target × 1.25 is missed. `--write` keeps the full table in the page, and
writes docs/reference/capacity.md.
"""

import argparse
import sys
from collections.abc import Sequence
from time import monotonic

from tests.performance import page, table
from tests.performance.capacity import CAPACITY
from tests.performance.parts import parts
from tests.performance.table import Row


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the parts one after the other, each row printed as it comes."""
    asked = _asked(arguments)
    say(page.machine())
    rows = measured(full=asked.full, only=asked.only)
    if asked.write:
        page.write(rows)
        CAPACITY.write()
    missed = table.missed(rows)
    say(f"\n{len(missed)} missed" + "".join(f"\n  {row.target} {row.what}" for row in missed))
    return 1 if missed else 0


def _asked(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m tests.performance")
    depth = parser.add_mutually_exclusive_group()
    depth.add_argument("--quick", action="store_true", help="small sizes, under 90 s (default)")
    depth.add_argument("--full", action="store_true", help="every size and every peer")
    parser.add_argument("--write", action="store_true", help="with --full: keep the table")
    names = [part.name for part in parts(())]
    parser.add_argument(
        "--only", action="append", default=[], choices=names, metavar="PART", help=", ".join(names)
    )
    asked = parser.parse_args(arguments)
    if asked.write and (not asked.full or asked.only):
        parser.error("--write keeps a whole table: --full, without --only")
    return asked


def measured(*, full: bool, only: Sequence[str] = ()) -> list[Row]:
    """The rows of the parts asked for."""
    rows: list[Row] = []
    say(table.heading())
    for part in parts(only):
        if not (full or part.quick or only):
            continue
        began = monotonic()
        for row in part.rows(full):
            say(table.printed(row))
            rows.append(row)
        say(f"       ({part.name}: {monotonic() - began:.0f} s)")
    return rows


def say(text: str) -> None:
    """A line that is seen at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
