"""What is under way in an installation: queue messages, mails without an end, open reviews."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from infra.operations.account import Stack
from pfi.journey.records import MailState
from pfi.names import Step

_COUNTS: Final = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)


@dataclass(frozen=True, slots=True)
class Flight:
    """Counts only: by queue, by mailbox."""

    queued: Mapping[str, int]
    unsettled: Mapping[str, int]
    reviews: int

    @property
    def empty(self) -> bool:
        """True when nothing would be lost by stopping here."""
        return not (self.reviews or any(self.queued.values()) or any(self.unsettled.values()))

    def sentences(self) -> Iterator[str]:
        """What is under way, in French."""
        for queue, count in self.queued.items():
            if count:
                yield f"{count} message(s) dans la file {queue}"
        for mailbox, count in self.unsettled.items():
            yield f"{count} courriel(s) de la boîte « {mailbox} » sans issue"
        if self.reviews:
            yield f"{self.reviews} élément(s) en revue manuelle encore ouverts"


def in_flight(stack: Stack) -> Flight:
    """Look at every queue and read the ledger through."""
    unsettled: Counter[str] = Counter()
    reviews = 0
    for item in scanned(stack, stack.output("LedgerTable"), _RELEVANT):
        if item["pk"]["S"].startswith("REVIEW#"):
            reviews += item["data"]["M"]["status"]["S"] == "open"
        elif _under_way(item["data"]["M"]):
            unsettled[item["data"]["M"]["mailbox"]["S"]] += 1
    return Flight(queue_depths(stack), dict(unsettled), reviews)


def _under_way(mail: Mapping[str, Any]) -> bool:
    """A mail in review is counted there."""
    return mail["state"]["S"] != MailState.SETTLED and not mail["review"]["BOOL"]


def queue_depths(stack: Stack) -> dict[str, int]:
    """Messages waiting or being worked on, dead-letter queues included."""
    sqs = stack.client("sqs")
    depths = {}
    for key in sorted(stack.outputs):
        if not key.endswith("Url") or not key.startswith(("Queue", "Dlq")):
            continue
        url = stack.outputs[key]
        found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=list(_COUNTS))["Attributes"]
        depths[url.rpartition("/")[2]] = sum(int(found.get(name, 0)) for name in _COUNTS)
    return depths


_RELEVANT: Final[Mapping[str, Any]] = {
    "FilterExpression": "begins_with(pk, :review) OR sk = :mail",
    "ExpressionAttributeValues": {":review": {"S": "REVIEW#"}, ":mail": {"S": "MAIL"}},
    "ConsistentRead": True,
}


def scanned(
    stack: Stack, table: str, options: Mapping[str, Any] | None = None
) -> Iterator[dict[str, Any]]:
    """Every item of a table, page by page."""
    pages = stack.client("dynamodb").get_paginator("scan")
    for page in pages.paginate(TableName=table, **(options or {})):
        yield from page["Items"]


def messages_in(stack: Stack, steps: Iterable[Step]) -> dict[Step, int]:
    """Messages of each step, waiting or being worked on, in its queue and its dead-letter queue."""
    depths = queue_depths(stack)
    return {
        step: sum(
            depths[url.rpartition("/")[2]]
            for key, url in stack.outputs.items()
            if key.endswith("Url") and key.startswith(_queues_of(step))
        )
        for step in steps
    }


def _queues_of(step: Step) -> tuple[str, str]:
    """How the outputs of its queues begin, those that one DPI has for itself included."""
    return f"Queue{step.value.capitalize()}", f"Dlq{step.value.capitalize()}"
