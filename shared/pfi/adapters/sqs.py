"""The queues on SQS: one per step with its dead-letter queue, and a lane of `push` per DPI."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from botocore.exceptions import BotoCoreError, ClientError

from pfi.errors import Misconfigured, Unavailable
from pfi.journey.jobs import Job
from pfi.names import Reason, Step

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

_COUNTS: Final = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)


@dataclass(frozen=True, slots=True)
class SqsJobs:
    """Queue URLs by step; a step only gets those that it may use."""

    client: "SQSClient"
    queues: Mapping[Step, str]
    dead_letters: Mapping[Step, str]
    lanes: Mapping[str, str] = field(default_factory=dict)
    """Of `push`, by DPI; a DPI without a lane of its own has the queue of the step."""

    def send(self, step: Step, job: Job, lane: str = "", delay_s: int = 0) -> None:
        """Give a job to a step, a push to the lane of its DPI."""
        own = self.lanes.get(lane) if step is Step.PUSH else None
        self._send({step: own} if own else self.queues, step, job.dump(), delay_s=delay_s)

    def to_review(self, step: Step, job: Job, reason: Reason) -> None:
        """Straight into the dead-letter queue, with the reason as an attribute."""
        self._send(self.dead_letters, step, job.dump(), reason)

    def dead_letter(self, step: Step, body: str, reason: Reason) -> None:
        """Move a raw message body that could not be handled to the dead-letter queue."""
        self._send(self.dead_letters, step, body, reason)

    def again(self, step: Step, body: str) -> None:
        """The same message once more, as a new one: for what is too long for one call."""
        self._send(self.queues, step, body)

    def postpone(self, queue: str, receipt: str, seconds: int) -> None:
        """Let a failed message wait before its next delivery, in the queue that it came from; a
        dead-letter queue has its own wait."""
        urls = (*self.queues.values(), *self.lanes.values())
        url = next((each for each in urls if each.rpartition("/")[2] == queue), None)
        if url is None:
            return
        try:
            self.client.change_message_visibility(
                QueueUrl=url,
                ReceiptHandle=receipt,
                VisibilityTimeout=seconds,
            )
        except (ClientError, BotoCoreError):
            return  # the queue's own visibility time-out then applies

    def depth(self, url: str) -> int:
        """Messages of a queue, waiting, delayed or being worked on; SQS counts them roughly."""
        try:
            found = self.client.get_queue_attributes(QueueUrl=url, AttributeNames=list(_COUNTS))
        except (ClientError, BotoCoreError):
            raise Unavailable(Reason.STORE_UNAVAILABLE) from None
        return sum(int(found["Attributes"].get(name, 0)) for name in _COUNTS)

    def _send(
        self,
        urls: Mapping[Step, str],
        step: Step,
        body: str,
        reason: Reason | None = None,
        delay_s: int = 0,
    ) -> None:
        attributes = {"step": step.value} | ({"reason": reason.value} if reason else {})
        try:
            self.client.send_message(
                QueueUrl=self._url(urls, step),
                MessageBody=body,
                DelaySeconds=delay_s,
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
