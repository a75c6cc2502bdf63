"""SQS as it may behave: visibility, receive counts, dead letters, deliveries twice or out of order.

The functions behind the queues are the real ones of `pfi.edge.lambdas`: which error is tried
again, postponed or dead-lettered is decided by the product.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

from infra.aws.names import STEPS, Target
from pfi.names import Step
from tests.simulation.weather import Weather
from tests.simulation.world import Worker, World

CONCURRENCY = {Step.PUSH: 2, Step.REVIEW: 2}
QUEUED = (Step.PARSE, Step.MATCH, Step.PUSH, Step.FORWARD)
Handler = Callable[[dict[str, Any], Any], dict[str, Any]]


@dataclass(eq=False)
class Message:
    """A message; a ghost is a second delivery of one that SQS owes only once."""

    number: int
    body: str
    mail: str
    document: int | None
    attributes: dict[str, str]
    visible_at: datetime
    ghost: bool = False
    receives: int = 0
    gone: bool = False


class Queue:
    """One queue, its function and how many of it run."""

    def __init__(
        self, queues: "Queues", step: Step, of: Step, handler: Callable[[], Handler], dead: bool
    ) -> None:
        self.queues, self.step, self.of, self.dead = queues, step, of, dead
        self.handler = handler
        self.messages: list[Message] = []
        self.running = 0
        figures = STEPS[step.value]
        self.timeout = figures.timeout_on(Target.AWS)
        self.visibility = figures.visibility_on(Target.AWS)
        self.receives = None if dead else STEPS[of.value].receives
        self.batch = 1 if step is Step.PUSH else 10

    @property
    def arn(self) -> str:
        return (
            f"arn:aws:sqs:eu-west-3:000000000000:pfi-{self.of.value}{'-dlq' if self.dead else ''}"
        )

    def put(self, message: Message) -> None:
        """A new message, or one that comes back."""
        self.messages.append(message)
        self._look_again(message)

    def _look_again(self, message: Message) -> None:
        world = self.queues.world
        wait = (message.visible_at - world.clock.now).total_seconds()
        world.after(max(0.0, wait), self.poll)

    def poll(self) -> None:
        """Start a function for what is visible, while its concurrency allows."""
        now = self.queues.world.clock.now
        while self.running < CONCURRENCY.get(self.step, 10):
            visible = [each for each in self.messages if each.visible_at <= now]
            if not visible:
                return
            self.queues.world.rng.shuffle(visible)
            batch = [each for each in visible[: self.batch] if self._received(each)]
            if batch:
                self._invoke(batch)

    def _received(self, message: Message) -> bool:
        """Count the receive; too many and SQS moves the message to the dead-letter queue."""
        world, weather = self.queues.world, self.queues.weather
        if self.receives is not None and message.receives >= self.receives:
            self.messages.remove(message)
            message.visible_at = world.clock.now
            message.receives = 0
            self.queues.dead[self.of].put(message)
            world.note("dead-lettered by SQS", message.mail[:8])
            return False
        message.receives += 1
        message.visible_at = world.clock.now + timedelta(seconds=self.visibility)
        self._look_again(message)
        if world.elapsed < weather.fair_after and world.rng.random() < weather.ghost:
            self._ghost(message)
        return True

    def _ghost(self, message: Message) -> None:
        wait = self.queues.world.rng.choice((0.0, 1.0, 30.0, 80.0, 600.0, 4000.0))
        self.queues.counts["message delivered twice"] += 1
        self.put(self.queues.message(message.body, message.attributes, wait, ghost=True))

    def _invoke(self, batch: list[Message]) -> None:
        self.running += 1
        event = {"Records": [self._record(each) for each in batch]}
        handler = self.handler()
        world = self.queues.world
        world.spawn(
            self.step,
            self.timeout,
            lambda: handler(event, SimpleNamespace(aws_request_id=str(world.workers))),
            lambda worker: self._ended(worker, batch),
        )

    def _record(self, message: Message) -> dict[str, Any]:
        attributes = {
            name: {"dataType": "String", "stringValue": value}
            for name, value in message.attributes.items()
        }
        return {
            "messageId": str(message.number),
            "receiptHandle": str(message.number),
            "body": message.body,
            "attributes": {"ApproximateReceiveCount": str(message.receives)},
            "messageAttributes": attributes,
            "eventSource": "aws:sqs",
            "eventSourceARN": self.arn,
        }

    def _ended(self, worker: Worker, batch: list[Message]) -> None:
        """Lambda deletes what succeeded; a function that died deletes nothing."""
        self.running -= 1
        self.queues.ended(worker)
        if not worker.dead:
            failed = {each["itemIdentifier"] for each in worker.result["batchItemFailures"]}
            for message in batch:
                if str(message.number) not in failed and message in self.messages:
                    self.messages.remove(message)
                    message.gone = True
                    self.queues.deleted(self, message)
        self.poll()


class Queues:
    """All queues; `deleted` is told of each message that was consumed."""

    def __init__(self, world: World, weather: Weather, handlers: Callable[[Step], Handler]) -> None:
        self.world, self.weather = world, weather
        self.counts: Counter[str] = Counter()
        self.deleted: Callable[[Queue, Message], None] = lambda _queue, _message: None
        self.ended: Callable[[Worker], None] = lambda _worker: None
        self.digest_of: Callable[[str], tuple[str, int | None]] = _subject
        self._numbers = 0
        self.live = {
            step: Queue(self, step, step, lambda step=step: handlers(step), dead=False)
            for step in QUEUED
        }
        self.dead = {
            step: Queue(self, Step.REVIEW, step, lambda: handlers(Step.REVIEW), dead=True)
            for step in QUEUED
        }

    def all(self) -> Iterator[Queue]:
        """Live and dead ones."""
        yield from self.live.values()
        yield from self.dead.values()

    def message(
        self, body: str, attributes: dict[str, str], wait: float, *, ghost: bool = False
    ) -> Message:
        self._numbers += 1
        mail, document = self.digest_of(body)
        visible = self.world.clock.now + timedelta(seconds=wait)
        return Message(self._numbers, body, mail, document, attributes, visible, ghost)

    def send(self, step: Step, body: str, attributes: dict[str, str], *, dead: bool) -> None:
        """Put a message into a queue or a dead-letter queue, to be seen a moment later."""
        queue = (self.dead if dead else self.live)[step]
        queue.put(self.message(body, attributes, self.world.rng.uniform(0, 0.5)))

    def postpone(self, step: Step, receipt: str, seconds: int) -> None:
        """Change the visibility of a message that is being worked on."""
        queue = self.live[step]
        for message in queue.messages:
            if str(message.number) == receipt:
                message.visible_at = self.world.clock.now + timedelta(seconds=seconds)
                queue._look_again(message)

    def carriers(self, mail: str) -> list[tuple[Queue, Message]]:
        """Messages that SQS still owes for a mail."""
        return [
            (queue, message)
            for queue in self.all()
            for message in queue.messages
            if message.mail == mail and not message.ghost
        ]


def _subject(body: str) -> tuple[str, int | None]:
    job = json.loads(body)
    return str(job.get("mail", "")), job.get("document")
