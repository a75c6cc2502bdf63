"""The review desk of an installed stack: its ledger, its index of open items, its queues."""

import json
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from infra.operations.account import OperationRefused, Stack
from infra.operations.configuration import installed_settings
from infra.operations.flight import scanned
from infra.operations.journal import utc_now
from infra.operations.reviews import INDEX, Desk, Keys, one_of
from pfi.adapters.dynamodb import DynamoTable
from pfi.adapters.s3 import S3Store
from pfi.journey.jobs import Job
from pfi.journey.ledger import Ledger
from pfi.journey.outcome import Log
from pfi.names import Step

_LOOKED_AT: Final = frozenset(
    each.name for each in (Log.FEED_APPLIED, Log.FEED_REPEATED, Log.FEED_IGNORED, Log.FEED_REFUSED)
)
"""The message was read and decided; a refused one is open again."""


def arrival_body(key: str) -> str:
    """The part of an ObjectCreated event that `parse` reads; S3 encodes keys."""
    return json.dumps({"Records": [{"s3": {"object": {"key": quote(key)}}}]})


@dataclass(frozen=True, slots=True)
class StackQueues:
    """The queues of an installed stack."""

    stack: Stack

    def send(self, step: Step, job: Job, lane: str = "") -> None:
        """Give a job to a step, a push to the lane of its DPI."""
        self._send(step, job.dump(), lane)

    def arrive(self, key: str) -> None:
        """Announce a mail of the store once more."""
        self._send(Step.PARSE, arrival_body(key))

    def apply(self, message: str, feed: str) -> None:
        """Call the function `feed`, which alone writes the patient base."""
        answer = self.stack.client("lambda").invoke(
            FunctionName=self.stack.output("FunctionFeed"),
            Payload=json.dumps({"message": message, "feed": feed}).encode(),
        )
        told = json.loads(answer["Payload"].read())
        if "FunctionError" in answer or told.get("log") not in _LOOKED_AT:
            raise OperationRefused(
                "le message n'a pas pu être relu : base indisponible, alimentation retirée des"
                " paramètres ou message expiré (le faire renvoyer par le référentiel) ; il reste"
                " en revue"
            )

    def _send(self, step: Step, body: str, lane: str = "") -> None:
        url = self.stack.output(f"Queue{step.value.capitalize()}Url")
        own = f"{url}-{lane}"  # a DPI that came after the last deployment has none
        url = own if step is Step.PUSH and own in self.stack.outputs.values() else url
        self.stack.client("sqs").send_message(QueueUrl=url, MessageBody=body)


def index_of(stack: Stack) -> Keys:
    """Keys of the items in the index of the ledger, oldest first."""
    pages = stack.client("dynamodb").get_paginator("query")
    for page in pages.paginate(
        TableName=stack.output("LedgerTable"),
        IndexName="by_state",
        KeyConditionExpression="gsi1pk = :open",
        ExpressionAttributeValues={":open": {"S": INDEX}},
    ):
        yield from ((item["pk"]["S"], item["sk"]["S"]) for item in page["Items"])


def desk_of(stack: Stack) -> Desk:
    """The review of an installed stack; `caller` is who AWS says that we are."""
    settings = installed_settings(stack)
    table = DynamoTable(stack.client("dynamodb"), stack.output("LedgerTable"))
    return Desk(
        Ledger(table, utc_now, settings.ledger_days),
        S3Store(stack.client("s3"), stack.output("BucketName")),
        settings,
        StackQueues(stack),
        lambda: index_of(stack),
        stack.account.who(),
    )


def mail_of(stack: Stack, desk: Desk, word: str) -> str:
    """The digest that a person shortened. On a laptop the whole ledger is searched; a hospital's
    is too large for that, its open items are."""
    if len(word) == 64 or not stack.account.emulated:
        return desk.full(word)
    every = {
        "FilterExpression": "sk = :mail",
        "ExpressionAttributeValues": {":mail": {"S": "MAIL"}},
    }
    rows = scanned(stack, stack.output("LedgerTable"), every)
    found = {item["pk"]["S"].removeprefix("MAIL#") for item in rows}
    found |= {each.item.mail for each in desk.waiting()}  # identity messages are no mails
    return one_of({mail for mail in found if mail.startswith(word)}, word)
