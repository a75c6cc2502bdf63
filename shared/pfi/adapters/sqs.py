"""The queues on SQS: one per step, each with its dead-letter queue."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from pfi.errors import Misconfigured, Unavailable
from pfi.journey.jobs import Job
from pfi.names import Reason, Step

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient


@dataclass(frozen=True, slots=True)
class SqsJobs:
    """Queue URLs by step; a step only gets those that it may use."""

    client: "SQSClient"
    queues: Mapping[Step, str]
    dead_letters: Mapping[Step, str]

    def send(self, step: Step, job: Job) -> None:
        """Give a job to a step."""
        self._send(self.queues, step, job.dump())

    def to_review(self, step: Step, job: Job, reason: Reason) -> None:
        """Straight into the dead-letter queue, with the reason as an attribute."""
        self._send(self.dead_letters, step, job.dump(), reason)

    def dead_letter(self, step: Step, body: str, reason: Reason) -> None:
        """Move a raw message body that could not be handled to the dead-letter queue."""
        self._send(self.dead_letters, step, body, reason)

    def postpone(self, step: Step, receipt: str, seconds: int) -> None:
        """Let a failed message wait before its next delivery; a step without a queue of its own
        (review, fed by all dead-letter queues) leaves it to theirs."""
        if step not in self.queues:
            return
        try:
            self.client.change_message_visibility(
                QueueUrl=self._url(self.queues, step),
                ReceiptHandle=receipt,
                VisibilityTimeout=seconds,
            )
        except (ClientError, BotoCoreError):
            return  # the queue's own visibility time-out then applies

    def _send(
        self, urls: Mapping[Step, str], step: Step, body: str, reason: Reason | None = None
    ) -> None:
        attributes = {"step": step.value} | ({"reason": reason.value} if reason else {})
        try:
            self.client.send_message(
                QueueUrl=self._url(urls, step),
                MessageBody=body,
                MessageAttributes={
                    name: {"DataType": "String", "StringValue": value}
                    for name, value in attributes.items()
                },
            )
        except (ClientError, BotoCoreError):
            raise Unavailable(Reason.STORE_UNAVAILABLE) from None

    def _url(self, urls: Mapping[Step, str], step: Step) -> str:
        url = urls.get(step)
        if not url:
            raise Misconfigured(Reason.SETTING_MISSING)
        return url
