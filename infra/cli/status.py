"""`pfi status`: what the running laptop holds: mailboxes, queues, mails by route, reviews."""

import sys
from argparse import ArgumentParser, Namespace, _SubParsersAction
from collections import Counter
from collections.abc import Iterator
from itertools import chain
from typing import Any

from infra.cli.pause import WORDS
from infra.cli.place import DEFAULT_NAME, account_of
from infra.cli.running import Running, add_folder, running
from infra.cli.wording import ROUTES_FR
from infra.local.operator_store import OperatorStore
from infra.operations.account import installed_stack
from infra.operations.switches import DOORS, Standing, standing
from pfi.mail.inbound import read
from pfi.names import Route

STANDING_FR = {
    Standing.OPEN: "en service",
    Standing.SHUT: "en pause (pfi resume)",
    Standing.MIXED: "en partie en pause (pfi pause, ou pfi resume)",
}
QUEUES = ("Parse", "Match", "Push", "Forward")


def add_to(commands: "_SubParsersAction[ArgumentParser]") -> None:
    """Declare the command."""
    parser = commands.add_parser("status", help="état du poste en marche")
    parser.add_argument("--mails", action="store_true", help="lister les courriels de chaque boîte")
    add_folder(parser)
    parser.set_defaults(run=run)


def run(options: Namespace) -> int:
    """Print everything at once."""
    laptop = running(options.folder)
    boxes = _mailboxes(laptop, subjects=options.mails)
    rows = chain(_doors(options), _routes(laptop), _queues(laptop), boxes)
    sys.stdout.write("\n".join(rows) + "\n")
    return 0


def _doors(options: Namespace) -> Iterator[str]:
    with account_of(options) as account:
        stack = installed_stack(account, DEFAULT_NAME)
        for door in DOORS:
            yield f"{WORDS[door]} : {STANDING_FR[standing(stack, door)]}"


def _routes(laptop: Running) -> Iterator[str]:
    items = [each for each in _ledger(laptop) if each["sk"]["S"] == "MAIL"]
    routes = Counter(each["data"]["M"]["route"].get("S", "") for each in items)
    yield f"courriels : {len(items)}"
    for route, count in sorted(routes.items()):
        yield f"  {ROUTES_FR[Route(route)] if route else 'en cours':<42} {count}"
    reviews = sum(each.get("gsi1pk") == {"S": "REVIEW#open"} for each in _ledger(laptop))
    yield f"  {'éléments en revue manuelle':<42} {reviews}"


def _ledger(laptop: Running) -> Iterator[dict[str, Any]]:
    pages = laptop.client("dynamodb").get_paginator("scan")
    for page in pages.paginate(TableName=laptop.outputs["LedgerTable"]):
        yield from page["Items"]


def _queues(laptop: Running) -> Iterator[str]:
    yield "files (en attente / en cours / lettres mortes)"
    for name in QUEUES:
        waiting, flying = _depth(laptop, f"Queue{name}Url")
        dead, _ = _depth(laptop, f"Dlq{name}Url")
        yield f"  {name.lower():<42} {waiting} / {flying} / {dead}"


def _depth(laptop: Running, output: str) -> tuple[int, int]:
    kinds = ("", "NotVisible", "Delayed")
    names = [f"ApproximateNumberOfMessages{kind}" for kind in kinds]
    found = laptop.client("sqs").get_queue_attributes(
        QueueUrl=laptop.outputs[output], AttributeNames=names
    )["Attributes"]
    visible, flying, delayed = (int(found[name]) for name in names)
    return visible + delayed, flying


def _mailboxes(laptop: Running, *, subjects: bool) -> Iterator[str]:
    store = OperatorStore(laptop.folder / "operator.sqlite")
    try:
        yield "boîtes de l'opérateur simulé"
        for address in store.mailboxes():
            for folder in store.folders(address):
                contents = store.contents(address, folder.name)
                yield f"  {address} {folder.name:<20} {len(contents)}"
                if subjects:
                    yield from (f"    {read(raw).subject}" for raw in contents)
    finally:
        store.close()
