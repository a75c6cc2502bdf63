"""The laptop under test: delivers letters, has them collected, looks on while faults happen."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from botocore.exceptions import BotoCoreError, ClientError

from infra.local.hospital import DEMO_MAILBOX
from infra.local.laptop import Laptop
from infra.scenario.letters import Letter
from infra.scenario.workers import kill_workers
from pfi.errors import PfiError
from pfi.journey.ledger import Ledger
from pfi.journey.records import DocumentRecord, MailRecord, MailState
from pfi.names import Leg

TICK_S: Final = 0.7
"""The schedule polls each minute; here nobody waits for it."""
PAUSE_S: Final = 0.03
PATIENCE_S: Final = 40.0
"""How long a fault may take to come about."""


@dataclass
class Bench:
    """One laptop and all that was delivered to it; a context manager."""

    laptop: Laptop
    sent: list[Letter] = field(default_factory=list)
    scripted: list[Letter] = field(default_factory=list)
    """Letters that a rule of the DPI waits for."""
    _end: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> "Bench":
        self._ledger = Ledger(self.laptop.table(), lambda: datetime.now(UTC))
        self._clock = threading.Thread(target=self._tick, daemon=True, name="clock")
        self.laptop.client("lambda")
        self._clock.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._clock.join()

    # acting

    def deliver(self, letters: Iterable[Letter]) -> None:
        """Leave letters in the mailbox."""
        for letter in letters:
            self.laptop.operator.store.deliver(DEMO_MAILBOX, letter.raw)
            self.sent.append(letter)

    def kill(self, step: str) -> int:
        """Kill the workers of a function."""
        return kill_workers(self.laptop.emulator.pid, step)

    @contextmanager
    def slow_operator(self, seconds: float) -> Iterator[None]:
        """Each command of IMAP and SMTP waits so long."""
        self.laptop.operator.faults.delay_s = seconds
        try:
            yield
        finally:
            self.laptop.operator.faults.delay_s = 0.0

    # looking

    def until(self, ask: Callable[[], bool], seconds: float = PATIENCE_S) -> bool:
        """Whether it became true in time."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            with suppress(PfiError, BotoCoreError, ClientError):
                if ask():
                    return True
            time.sleep(PAUSE_S)
        return False

    def record(self, letter: Letter) -> MailRecord | None:
        """What the ledger says of a mail."""
        known = self._ledger.mail(letter.mail)
        return known.record if known else None

    def documents(self, letter: Letter) -> tuple[DocumentRecord, ...]:
        """What the ledger says of its documents."""
        return tuple(each.record for each in self._ledger.documents(letter.mail))

    def reviewed(self, letter: Letter) -> bool:
        """Whether a person is asked to look at it."""
        return bool(self._ledger.reviews(letter.mail))

    def collected(self, letters: Sequence[Letter]) -> int:
        """How many of them the ledger knows."""
        return sum(self.record(each) is not None for each in letters)

    def decided(self, letters: Sequence[Letter]) -> bool:
        """Whether all of them were read and matched."""
        early = (MailState.RECEIVED, MailState.READ)
        found = [self.record(each) for each in letters]
        return all(each is not None and each.state not in early for each in found)

    def ended(self, letters: Sequence[Letter]) -> bool:
        """Whether all of them came to an end."""
        found = [self.record(each) for each in letters]
        return all(each and (each.state is MailState.SETTLED or each.review) for each in found)

    def on_the_way(self, letter: Letter) -> bool:
        """Whether a mail of ours about it is being handed to the relay."""
        found = self.record(letter)
        return bool(found and found.busy_until and Leg.OWED in (found.forward, found.answer))

    def in_inbox(self) -> int:
        """Mails that nobody has filed yet."""
        store = self.laptop.operator.store
        inbox = store.folder(DEMO_MAILBOX, "INBOX")
        return len(store.mails(inbox)) if inbox else 0

    def queued(self) -> int:
        """Messages in all queues of the stack, hidden ones and dead letters included."""
        kinds = ("", "NotVisible", "Delayed")
        names = [f"ApproximateNumberOfMessages{kind}" for kind in kinds]
        sqs = self.laptop.client("sqs")
        urls = [
            url
            for output, url in self.laptop.outputs.items()
            if output.startswith(("Queue", "Dlq")) and output.endswith("Url")
        ]
        given = [sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names) for url in urls]
        return sum(int(each["Attributes"][name]) for each in given for name in names)

    def _tick(self) -> None:
        """Poll as long as anything waits for it, one poll after the other."""
        function = self.laptop.outputs["FunctionCollect"]
        while not self._end.wait(TICK_S):
            with suppress(BotoCoreError, ClientError):
                if self.in_inbox():
                    self.laptop.client("lambda").invoke(FunctionName=function, Payload=b"{}")
