"""The one laptop of the journey tests: what they deliver to it and where they look."""

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from infra.cli.report import MailReport
from infra.cli.up import report_of
from infra.local.delivery import Delivery, NotSettled
from infra.local.emulator import connected
from infra.local.laptop import Laptop
from infra.operations.account import Account, installed_stack
from infra.operations.mailbox_account import folders_of
from infra.operations.proof import Proof, proof_of
from pfi.journey.ledger import Ledger
from pfi.journey.records import MailRecord, MailState, ReviewItem

T = TypeVar("T")
QUEUED = ("Parse", "Match", "Push", "Forward")


def eventually(ask: Callable[[], T], seconds: float = 30.0) -> T:
    """The first true answer within the time, else the last one."""
    deadline = time.monotonic() + seconds
    while not (answer := ask()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return answer


def digest_of(raw: bytes) -> str:
    """The name of a mail everywhere."""
    return hashlib.sha256(raw).hexdigest()


@dataclass
class Stage:
    """A running laptop, and readers of everything it keeps."""

    laptop: Laptop
    alarm_queue: str = ""
    lost: str = digest_of(b"a mail that never was")
    """A job was sent for it, and the ledger does not know it."""

    # putting in

    def process(self, *mails: bytes, mailbox: str = "") -> list[MailReport]:
        """Deliver mails in order and wait for the end of each."""
        files = [(f"{number:03}.eml", raw) for number, raw in enumerate(mails, start=1)]
        delivery = Delivery(self.laptop, lambda _: None, mailbox)
        try:
            return [report_of(each) for each in delivery.run(files)]
        except NotSettled as fault:
            raise AssertionError(f"{fault}\n{self.diagnosis()}") from None

    def put(self, raw: bytes, mailbox: str = "") -> str:
        """Leave a mail in the mailbox and have it collected; nothing is waited for."""
        settings = self.laptop.settings
        address = (settings.mailbox(mailbox) or settings.mailboxes[0]).address
        self.laptop.operator.store.deliver(address, raw)
        self.collect()
        return digest_of(raw)

    def collect(self) -> None:
        """Poll now instead of at the next minute."""
        function = self.laptop.outputs["FunctionCollect"]
        self.laptop.client("lambda").invoke(FunctionName=function, Payload=b"{}")

    def drop(self, key: str, raw: bytes) -> str:
        """Another producer than `collect` writes into the bucket."""
        bucket = self.laptop.outputs["BucketName"]
        self.laptop.client("s3").put_object(Bucket=bucket, Key=key, Body=raw)
        return digest_of(raw)

    def send(self, queue: str, body: str) -> None:
        """A message of unknown origin in a queue of ours."""
        url = self.laptop.outputs[f"Queue{queue}Url"]
        self.laptop.client("sqs").send_message(QueueUrl=url, MessageBody=body)

    @contextmanager
    def dpi_plays(self, *rules: Mapping[str, Any]) -> Iterator[None]:
        """Answers of the DPI for a while."""
        self.laptop.dpi.play(rules)
        try:
            yield
        finally:
            self.laptop.dpi.play([])

    # looking

    def diagnosis(self) -> str:
        """Where a journey hangs: what waits, and what the functions said last."""
        waiting = {kind: self.depths(kind) for kind in ("Queue", "Dlq")}
        unsettled = [
            item["data"]
            for item in self.table_items()
            if item["sk"]["S"] == "MAIL" and item["data"]["M"]["state"]["S"] != "settled"
        ]
        told = sorted(self.told(), key=lambda each: str(each["timestamp"]))[-40:]
        return "\n".join(str(each) for each in (waiting, *unsettled, *told))

    @property
    def ledger(self) -> Ledger:
        """The truth."""
        return Ledger(self.laptop.table(), lambda: datetime.now(UTC))

    def settled(self, mail: str, seconds: float = 40.0) -> MailRecord:
        """The record of a mail once it is settled or in review."""

        def ended() -> MailRecord | None:
            known = self.ledger.mail(mail)
            done = known and (known.record.state is MailState.SETTLED or known.record.review)
            return known.record if known and done else None

        found = eventually(ended, seconds)
        assert found, "not settled in time"
        return found

    def reviews(self, mail: str, at_least: int = 1) -> list[tuple[str, str]]:
        """(step, reason) of the review items of a mail."""

        def items() -> tuple[ReviewItem, ...]:
            found = self.ledger.reviews(mail)
            return found if len(found) >= at_least else ()

        return sorted((each.step, each.reason) for each in eventually(items, 20))

    def mails_at(self, address: str, holding: bytes = b"") -> list[bytes]:
        """What lies in a mailbox of the operator, as far as it holds these bytes."""
        return [raw for raw in self.laptop.operator.store.contents(address) if holding in raw]

    def received_by_dpi(self, document: str) -> int:
        """How many messages about this document the DPI holds as accepted."""
        return sum(document in each.document for each in self.laptop.dpi.accepted)

    def sends(self, mail: str, document: int = 1) -> int:
        """How often the message of a document was sent, by the ledger."""
        known = self.ledger.document(mail, document)
        return known.record.sends if known else 0

    def log_lines(self) -> list[str]:
        """Every line of every function since the beginning."""
        logs = self.laptop.client("logs")
        groups = [
            each["logGroupName"]
            for page in logs.get_paginator("describe_log_groups").paginate()
            for each in page["logGroups"]
        ]
        pages = (
            logs.filter_log_events(logGroupName=group, limit=10_000)["events"] for group in groups
        )
        return [event["message"] for page in pages for event in page]

    def told(self, code: str = "") -> list[dict[str, Any]]:
        """The lines of the catalogue, of all functions or with one code only."""
        found = []
        for line in self.log_lines():
            with suppress(ValueError):
                told = json.loads(line)
                if isinstance(told, dict) and "code" in told and code in ("", told["code"]):
                    found.append(told)
        return found

    def told_of(self, mail: str) -> set[str]:
        """Codes of the log lines about one mail."""
        return {told["code"] for told in self.told() if told.get("mail") == mail}

    def messages(self) -> dict[str, list[dict[str, Any]]]:
        """Queue name → messages in it now, hidden ones included; nothing is received."""
        connection = connected(self.laptop.environment)
        try:
            connection.request("GET", "/_ministack/sqs/messages")
            found = json.loads(connection.getresponse().read())["messages"]
        finally:
            connection.close()
        return {
            url.rpartition("/")[2]: messages
            for regions in found.values()
            for queues in regions.values()
            for url, messages in queues.items()
        }

    @contextmanager
    def review_paused(self) -> Iterator[None]:
        """Dead letters stay where they are for a while."""
        client = self.laptop.client("lambda")
        mappings = client.list_event_source_mappings(FunctionName="pfi-review")
        names = [each["UUID"] for each in mappings["EventSourceMappings"]]
        for enabled in (False, True):
            for name in names:
                client.update_event_source_mapping(UUID=name, Enabled=enabled)
            if not enabled:
                yield

    def dead_letters(self, step: str) -> list[dict[str, Any]]:
        """Messages of a dead-letter queue with all their attributes, left in it."""
        given = self.laptop.client("sqs").receive_message(
            QueueUrl=self.laptop.outputs[f"Dlq{step}Url"],
            MaxNumberOfMessages=10,
            VisibilityTimeout=0,
            MessageSystemAttributeNames=["All"],
            MessageAttributeNames=["All"],
        )
        found: list[dict[str, Any]] = given.get("Messages", [])
        return found

    def depths(self, kind: str = "Dlq") -> dict[str, int]:
        """Messages, visible or not, in each dead-letter queue (or ``Queue``)."""
        kinds = ("", "NotVisible", "Delayed")
        names = [f"ApproximateNumberOfMessages{kind}" for kind in kinds]
        sqs, outputs = self.laptop.client("sqs"), self.laptop.outputs
        found = dict.fromkeys(QUEUED, 0)
        for output, url in outputs.items():
            step = next((each for each in QUEUED if output.startswith(f"{kind}{each}")), None)
            if step:  # a lane of push counts with its step
                given = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
                found[step] += sum(int(given[name]) for name in names)
        return found

    def at_rest(self) -> bool:
        """True when every queue and dead-letter queue empties."""
        return eventually(
            lambda: not any((*self.depths("Queue").values(), *self.depths().values())), 90
        )

    def proof(self, *, grace_s: float = 0, pause_s: float = 1, mailboxes: bool = False) -> Proof:
        """The account of everything, the DPI's inbox included."""
        grace = timedelta(seconds=grace_s)
        with Account(self.laptop.environment) as account:
            stack = installed_stack(account, "pfi")
            return proof_of(
                stack,
                grace=grace,
                dpi_inbox=self.laptop.dpi.folder,
                folders=folders_of(stack, timedelta(minutes=5)) if mailboxes else (),
                pause_s=pause_s,
            )

    def table_items(self) -> Iterator[dict[str, Any]]:
        """Every item of the ledger and of the patient base."""
        pages = self.laptop.client("dynamodb").get_paginator("scan")
        for table in ("LedgerTable", "PatientsTable"):
            for page in pages.paginate(TableName=self.laptop.outputs[table]):
                yield from page["Items"]

    def objects(self) -> dict[str, bytes]:
        """Key → body of everything in the bucket."""
        s3, bucket = self.laptop.client("s3"), self.laptop.outputs["BucketName"]
        keys = [
            each["Key"]
            for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
            for each in page.get("Contents", ())
        ]
        return {key: s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys}


def outcomes(reports: Sequence[MailReport]) -> list[tuple[str, str | None]]:
    """Route and reason of each mail."""
    return [(each.route, each.reason) for each in reports]
