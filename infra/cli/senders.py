"""`pfi senders`: what each house sent in a month, how well it could be taken, a letter to it."""

import csv
import json
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace, _SubParsersAction
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from infra.cli.options import CommandFailed, unreadable
from infra.cli.place import add_name, stack_of
from infra.cli.states import labelled
from infra.operations.sender_letter import Letter
from infra.operations.senders import Card, Month, mails_of, tally
from pfi.journey.message import PARIS

_COLUMNS: Final = (
    ("courriels", "mails"),
    ("sans arch.", "without_archive"),
    ("arch. faut.", "archive_faults"),
    ("doublons", "duplicates"),
    ("MDN", "mdn_asked"),
    ("docs", "documents"),
    ("INS", "with_ins"),
    ("complets", "usable"),
    ("rempl.", "replacements"),
    ("suppr.", "deletions"),
)

_TITLES: Final = {
    "domain": "domaine",
    "mails": "courriels",
    "integrated": "intégrés",
    "under_way": "en cours",
    "duplicates": "doublons",
    "without_archive": "sans archive",
    "mdn_asked": "MDN demandés",
    "documents": "documents",
    "with_ins": "documents avec INS",
    "usable": "identités complètes",
    "replacements": "remplacements",
    "deletions": "suppressions",
    "archive_faults": "archives fautives",
    "share": "part intégrée",
}
"""Columns of the spreadsheet; `--json` keeps the names of the fields."""


def add_to(commands: "_SubParsersAction[ArgumentParser]") -> None:
    """Declare the command."""
    parser = commands.add_parser("senders", help="la qualité des envois, par domaine expéditeur")
    parser.add_argument("--month", required=True, type=_month, metavar="AAAA-MM")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="sortie pour un programme")
    form.add_argument("--csv", action="store_true", help="sortie pour un tableur")
    form.add_argument(
        "--letter",
        nargs=2,
        metavar=("DOMAINE", "FICHIER.html"),
        help="écrire à un expéditeur ce qu'il a à corriger",
    )
    add_name(parser)
    parser.set_defaults(run=run)


def _month(word: str) -> Month:
    try:
        return Month.of(word)
    except ValueError:
        raise ArgumentTypeError("un mois est attendu, comme 2026-05") from None


def run(options: Namespace) -> int:
    """Print the cards, or write the letter."""
    month: Month = options.month
    with stack_of(options) as stack:
        cards = tally(mails_of(stack, month), month)
    if options.letter:
        return _letter(cards, month, *options.letter)
    if options.json:
        found = {"month": month.word, "senders": [record(card) for card in cards]}
        sys.stdout.write(json.dumps(found, ensure_ascii=False, indent=2) + "\n")
    elif options.csv:
        _csv(cards)
    else:
        sys.stdout.writelines(f"{line}\n" for line in table(cards, month))
    return 0


def record(card: Card) -> dict[str, Any]:
    """A card for a program: its counts, its share, its faults by code."""
    share = None if card.share is None else round(card.share, 4)
    counts = asdict(card) | {"archive_faults": card.archive_faults, "share": share}
    return counts | {"faults": dict(sorted(card.faults.items()))}


def _csv(cards: Sequence[Card]) -> None:
    """One line per domain, one column per code that occurs."""
    codes = sorted({code for card in cards for code in card.faults})
    writer = csv.writer(sys.stdout, delimiter=";", lineterminator="\n")
    writer.writerow([*_TITLES.values(), *codes])
    for card in cards:
        counts = record(card)
        counted = (_cell(counts[name]) for name in _TITLES)
        writer.writerow([*counted, *(card.faults[code] for code in codes)])


def _cell(value: Any) -> Any:
    """French spreadsheets read a decimal comma."""
    return str(value).replace(".", ",") if isinstance(value, float) else value


def table(cards: Sequence[Card], month: Month) -> Iterator[str]:
    """In French: a line per domain, its faults below."""
    if not cards:
        yield f"Aucun courriel d'un expéditeur en {month.word}."
        return
    wide = max(len("domaine"), *(len(card.domain) for card in cards))
    heads = "  ".join(f"{head:>{len(head)}}" for head, _ in _COLUMNS)
    yield f"{'domaine':<{wide}}  intégrés  {heads}"
    for card in cards:
        cells = "  ".join(f"{getattr(card, name):>{len(head)}}" for head, name in _COLUMNS)
        yield f"{card.domain:<{wide}}  {_share(card):>8}  {cells}"
        yield from (f"    {count:>6}  {labelled(code)}" for code, count in _faults(card))
        if card.under_way:
            yield f"    {card.under_way:>6}  encore en cours"


def _share(card: Card) -> str:
    return "–" if card.share is None else f"{100 * card.share:.0f} %"


def _faults(card: Card) -> list[tuple[str, int]]:
    return sorted(card.faults.items(), key=lambda each: (-each[1], each[0]))


def _letter(cards: Sequence[Card], month: Month, domain: str, name: str) -> int:
    card = next((each for each in cards if each.domain == domain.lower()), None)
    if card is None:
        raise CommandFailed(f"rien reçu de {domain} en {month.word}")
    path = Path(name)
    try:
        path.write_text(Letter(card, month, datetime.now(PARIS).date()).html(), encoding="utf-8")
    except OSError as fault:
        raise CommandFailed(unreadable(path, fault)) from None
    sys.stdout.write(f"lettre écrite : {path}\n")
    return 0
