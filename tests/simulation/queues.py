"""SQS as it may behave: visibility, receive counts, dead letters, deliveries twice or out of order.

The functions behind the queues are the real ones of `pfi.edge.lambdas`: which error is tried
again, postponed or dead-lettered is decided by the product.
"""

import heapq
import json
from collections import Counter, defaultdict
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


class Queue:
    """One queue, its function and how many of it run."""

    def __init__(
        self,
        queues: "Queues",
        step: Step,
        of: Step,
        handler: Callable[[], Handler],
        dead: bool,
        lane: str = "",
    ) -> None:
        self.queues, self.step, self.of, self.dead = queues, step, of, dead
        self.name = f"pfi-{of.value}" + ("-dlq" if dead else "") + (f"-{lane}" if lane else "")
        self.handler = handler
        self.messages: dict[int, Message] = {}
        self._ready: list[Message] = []
        self._hidden: list[tuple[datetime, int, Message]] = []
        self.running = 0
        self._polling = False
        self._sleeps_until = 0.0
        figures = STEPS[step.value]
        self.timeout = figures.timeout_on(Target.AWS)
        self.visibility = figures.visibility_on(Target.AWS)
        self.receives = None if dead else STEPS[of.value].receives
        self.batch = 1 if figures.one_by_one else figures.batch

    @property
    def arn(self) -> str:
        return f"arn:aws:sqs:eu-west-3:000000000000:{self.name}"

    def put(self, message: Message) -> None:
        """A new message, or one that comes back."""
        self.messages[message.number] = message
        self.queues.open[message.mail][message.number] = self, message
        self.hide(message)

    def take(self, message: Message) -> None:
        """It is in this queue no more."""
        del self.messages[message.number]
        del self.queues.open[message.mail][message.number]

    def hide(self, message: Message) -> None:
        """Look at it again when it is visible."""
        world = self.queues.world
        heapq.heappush(self._hidden, (message.visible_at, message.number, message))
        wait = (message.visible_at - world.clock.now).total_seconds()
        world.after(max(0.0, wait), self.poll)

    def _visible(self) -> list[Message]:
        """What may be received now; a later look may have been planned meanwhile."""
        now = self.queues.world.clock.now
        while self._hidden and self._hidden[0][0] <= now:
            at, number, message = heapq.heappop(self._hidden)
            if number in self.messages and message.visible_at == at:
                self._ready.append(message)
        return self._ready

    def _drawn(self) -> list[Message]:
        """A batch in no order at all."""
        rng, ready = self.queues.world.rng, self._ready
        drawn = []
        while ready and len(drawn) < self.batch:
            chosen = rng.randrange(len(ready))
            ready[chosen], ready[-1] = ready[-1], ready[chosen]
            message = ready.pop()
            if self._due(message):
                drawn.append(message)
        return drawn

    def _due(self, message: Message) -> bool:
        """Visible still: a slow worker may have consumed or postponed it while it waited here."""
        now = self.queues.world.clock.now
        return message.number in self.messages and message.visible_at <= now

    def poll(self) -> None:
        """Start a function for what is visible, while its concurrency allows. One that ends at once
        is followed by the next in this loop: a backlog handed back is no recursion."""
        if self._asleep() or self._polling:
            return
        self._polling = True
        while self.running < CONCURRENCY.get(self.step, 10) and self._visible():
            batch = [each for each in self._drawn() if self._received(each)]
            if batch:
                self._invoke(batch)
        self._polling = False

    def _asleep(self) -> bool:
        """The poller pauses for a while; what becomes visible meanwhile is received together."""
        world = self.queues.world
        if world.elapsed >= self._sleeps_until and self.messages and self.queues.fault("slow_poll"):
            pause = world.rng.uniform(1, 60)
            self._sleeps_until = world.elapsed + pause
            world.after(pause + 0.01, self.poll)
        return world.elapsed < self._sleeps_until

    def _received(self, message: Message) -> bool:
        """Count the receive; too many and SQS moves the message to the dead-letter queue."""
        world = self.queues.world
        if self.receives is not None and message.receives >= self.receives:
            self.take(message)
            message.visible_at = world.clock.now
            message.receives = 0
            self.queues.dead[self.of].put(message)
            world.note("dead-lettered by SQS", message.mail[:8])
            return False
        message.receives += 1
        message.visible_at = world.clock.now + timedelta(seconds=self.visibility)
        self.hide(message)
        if not message.ghost and self.queues.fault("ghost"):
            self._ghost(message)
        return True

    def _ghost(self, message: Message) -> None:
        wait = self.queues.world.rng.choice((0.0, 1.0, 30.0, 80.0, 600.0, 4000.0))
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
        self.queues.counts["batch comes back after its visibility"] += worker.dead
        if not worker.dead:
            failed = {each["itemIdentifier"] for each in worker.result["batchItemFailures"]}
            self.queues.counts["part of a batch failed"] += 0 < len(failed) < len(batch)
            for message in batch:
                if str(message.number) not in failed and message.number in self.messages:
                    self._consumed(message)
        self.poll()

    def _consumed(self, message: Message) -> None:
        """Deleted, unless the deletion fails: then the finished message comes once more."""
        if self.queues.fault("undeleted"):
            return
        self.take(message)
        self.queues.deleted(self, message)


class Queues:
    """All queues; `deleted` is told of each message that was consumed."""

    def __init__(self, world: World, weather: Weather, handlers: Callable[[Step], Handler]) -> None:
        self.world, self.weather = world, weather
        self.counts: Counter[str] = Counter()
        self.open: dict[str, dict[int, tuple[Queue, Message]]] = defaultdict(dict)
        self.deleted: Callable[[Queue, Message], None] = lambda _queue, _message: None
        self.ended: Callable[[Worker], None] = lambda _worker: None
        self.digest_of: Callable[[str], tuple[str, int | None]] = _subject
        self.fault: Callable[[str], bool] = lambda _kind: False
        self.written: Callable[[str, str], None] = lambda _where, _text: None
        self._numbers = 0
        self.live = {
            step: Queue(self, step, step, lambda step=step: handlers(step), dead=False)
            for step in QUEUED
        }
        self.lanes: dict[str, Queue] = {}
        self.dead = {
            step: Queue(self, Step.REVIEW, step, lambda: handlers(Step.REVIEW), dead=True)
            for step in QUEUED
        }

    def all(self) -> Iterator[Queue]:
        """Live and dead ones."""
        yield from self.live.values()
        yield from self.lanes.values()
        yield from self.dead.values()

    def message(
        self, body: str, attributes: dict[str, str], wait: float, *, ghost: bool = False
    ) -> Message:
        self._numbers += 1
        self.written("queue", f"{body} {attributes}")
        mail, document = self.digest_of(body)
        visible = self.world.clock.now + timedelta(seconds=wait)
        return Message(self._numbers, body, mail, document, attributes, visible, ghost)

    def lane(self, dpi: str) -> None:
        """A queue of `push` for one DPI."""
        handler = self.live[Step.PUSH].handler
        self.lanes[dpi] = Queue(self, Step.PUSH, Step.PUSH, handler, dead=False, lane=dpi)

    def send(
        self,
        step: Step,
        body: str,
        attributes: dict[str, str],
        *,
        dead: bool,
        lane: str = "",
        delay_s: int = 0,
    ) -> None:
        """Put a message into a queue or a dead-letter queue, to be seen a moment later."""
        queue = (self.dead if dead else self.live)[step]
        if step is Step.PUSH and not dead:
            queue = self.lanes.get(lane, queue)
        queue.put(self.message(body, attributes, delay_s + self.world.rng.uniform(0, 0.5)))

    def postpone(self, name: str, receipt: str, seconds: int) -> None:
        """Change the visibility of a message that is being worked on."""
        [queue] = [each for each in self.all() if each.name == name]
        message = queue.messages.get(int(receipt))
        if message is not None:
            message.visible_at = self.world.clock.now + timedelta(seconds=seconds)
            queue.hide(message)

    def carriers(self, mail: str) -> list[tuple[Queue, Message]]:
        """Messages that SQS still owes for a mail."""
        return [
            (queue, message) for queue, message in self.open[mail].values() if not message.ghost
        ]


def _subject(body: str) -> tuple[str, int | None]:
    job = json.loads(body)
    return str(job.get("mail", "")), job.get("document")
