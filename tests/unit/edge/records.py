"""SQS records and a sandbox for the wrapper: nothing of AWS is needed."""

import io
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from pfi.edge.lambdas import Message
from pfi.journey.settings import RetrySettings, Settings
from pfi.names import Reason, Step

SETTINGS = Settings(retry=RetrySettings(backoff_s=(100, 1000, 4000), unexpected_attempts=3))
ACCOUNT = "arn:aws:sqs:eu-west-3:000000000000:"


def message(
    body: str, *, received: int = 1, queue: str = "pfi-match", reason: str = ""
) -> dict[str, Any]:
    """One message as Lambda hands it over."""
    attribute = {"dataType": "String", "stringValue": reason}
    return {
        "messageId": "m1",
        "receiptHandle": "r1",
        "body": body,
        "attributes": {"ApproximateReceiveCount": str(received)},
        "messageAttributes": {"reason": attribute} if reason else {},
        "eventSource": "aws:sqs",
        "eventSourceARN": f"{ACCOUNT}{queue}",
        "awsRegion": "eu-west-3",
    }


def record(body: str, **options: Any) -> Message:
    """The same, typed."""
    return Message.of(message(body, **options))


def arrival(*keys: str) -> str:
    """An S3 event about these keys."""
    return json.dumps({"Records": [{"s3": {"object": {"key": key}}} for key in keys]})


@dataclass
class Queues:
    """Journals what the wrapper asks of SQS; `fault` is raised instead."""

    calls: list[tuple[Any, ...]] = field(default_factory=list)
    fault: Exception | None = None

    def postpone(self, queue: str, receipt: str, seconds: int) -> None:
        self.calls.append(("postpone", queue, receipt, seconds))

    def dead_letter(self, step: Step, body: str, reason: Reason) -> None:
        if self.fault:
            raise self.fault
        self.calls.append(("dead_letter", step, body, reason))

    def again(self, step: Step, body: str) -> None:
        self.calls.append(("again", step, body))

    @property
    def kinds(self) -> list[str]:
        return [call[0] for call in self.calls]


@dataclass
class Sandbox:
    """What `services()` gives to the wrapper."""

    jobs: Queues = field(default_factory=Queues)
    given: Settings | Exception = SETTINGS

    @property
    def settings(self) -> Settings:
        if isinstance(self.given, Exception):
            raise self.given
        return self.given

    def attempts(self, number: int) -> None:
        self.given = replace(SETTINGS, retry=replace(SETTINGS.retry, unexpected_attempts=number))


class Context:
    """Of a Lambda call."""

    function_name = "pfi-match"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:eu-west-3:000000000000:function:pfi-match"
    aws_request_id = "request"

    def get_remaining_time_in_millis(self) -> int:
        return 60_000


def raising(error: BaseException) -> Callable[..., Any]:
    """A step that fails."""

    def run(*_: Any) -> Any:
        raise error

    return run


def listen(step: Step) -> io.StringIO:
    """The log of a step from now on; its logger must exist."""
    out = io.StringIO()
    for handler in logging.getLogger(step.value).handlers:
        if isinstance(handler, logging.StreamHandler):
            handler.stream = out  # setStream would flush what another test's capture has closed
    return out


def told(out: io.StringIO) -> list[dict[str, Any]]:
    """The lines of a log."""
    return [json.loads(line) for line in out.getvalue().splitlines()]
