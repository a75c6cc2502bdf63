"""One running emulator for the tests of a session, and clients that close themselves.

Elsewhere: `from tests.contracts.emulator_fixture import aws, emulator` in the test module.
"""

from __future__ import annotations

import json
import time
from io import BytesIO
from typing import TYPE_CHECKING, Any, TypeVar
from zipfile import ZipFile

import boto3
import pytest

from infra.local.aws import arguments
from infra.local.emulator import ACCOUNT, REGION, Emulator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


T = TypeVar("T")


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """A fresh emulator on a free port; each xdist worker has its own."""
    with Emulator(tmp_path_factory.mktemp("emulator")) as running:
        yield running


@pytest.fixture(scope="session")
def aws(emulator: Emulator) -> Iterator[Aws]:
    """Clients of that emulator."""
    with Aws(emulator.environment()) as clients:
        yield clients


class Aws:
    """`aws("s3")` and the few resources that tests keep making."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        """Nothing is opened before it is asked for."""
        self._arguments = arguments(environment)
        self._clients: dict[str, Any] = {}

    def __enter__(self) -> Aws:
        """The clients are made one by one, when asked for."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close every connection: an open socket is a failed test here."""
        for client in self._clients.values():
            client.close()

    def __call__(self, service: str) -> Any:
        """The client of a service."""
        if service not in self._clients:
            self._clients[service] = boto3.client(service, **self._arguments)  # type: ignore[call-overload]
        return self._clients[service]

    def queue(self, name: str, **attributes: str) -> str:
        """Address of a new queue."""
        created = self("sqs").create_queue(QueueName=name, Attributes=attributes)
        return str(created["QueueUrl"])

    def queue_with_dlq(self, name: str, receives: int = 2, visibility: int = 1) -> tuple[str, str]:
        """A queue and its dead-letter queue."""
        dlq = self.queue(f"{name}-dlq")
        redrive = f'{{"deadLetterTargetArn":"{queue_arn(dlq)}","maxReceiveCount":{receives}}}'
        return self.queue(name, VisibilityTimeout=str(visibility), RedrivePolicy=redrive), dlq

    def receive(self, queue: str, wait: int = 1) -> list[dict[str, Any]]:
        """Up to ten messages with all their attributes."""
        answer = self("sqs").receive_message(
            QueueUrl=queue,
            MaxNumberOfMessages=10,
            WaitTimeSeconds=wait,
            MessageSystemAttributeNames=["All"],
            MessageAttributeNames=["All"],
        )
        found: list[dict[str, Any]] = answer.get("Messages", [])
        return found

    def function(self, name: str, source: str, timeout: int = 10) -> None:
        """A function of one module, `handler.handle`."""
        content = BytesIO()
        with ZipFile(content, "w") as archive:
            archive.writestr("handler.py", source)
        self("lambda").create_function(
            FunctionName=name,
            Runtime="python3.13",
            Role=f"arn:aws:iam::{ACCOUNT}:role/{name}",
            Handler="handler.handle",
            Timeout=timeout,
            Code={"ZipFile": content.getvalue()},
        )

    def consumer(self, name: str, source: str, queue: str, timeout: int = 10) -> str:
        """A function fed by a queue, that may report single failures; id of the mapping."""
        self.function(name, source, timeout)
        mapping = self("lambda").create_event_source_mapping(
            FunctionName=name,
            EventSourceArn=queue_arn(queue),
            BatchSize=10,
            FunctionResponseTypes=["ReportBatchItemFailures"],
        )
        return str(mapping["UUID"])


def queue_arn(url: str) -> str:
    """The name AWS services use for a queue."""
    return f"arn:aws:sqs:{REGION}:{ACCOUNT}:{url.rpartition('/')[2]}"


def let_topics_send(client: Any, url: str) -> None:
    """What a queue that subscribes to a topic must say where IAM is enforced."""
    allowed = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue_arn(url),
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    client.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})


def eventually(ask: Callable[[], T], seconds: float = 15.0) -> T:
    """The first true answer within the time, else the last one."""
    deadline = time.monotonic() + seconds
    while not (answer := ask()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return answer
