"""Drives the steps over the doubles until nothing is left to do."""

import hashlib
from dataclasses import replace

from pfi.adapters.csv_patients import ListedPatients
from pfi.errors import PfiError
from pfi.ins.identity import PatientRecord
from pfi.journey.collect import collect
from pfi.journey.forward import forward
from pfi.journey.jobs import ReadMail
from pfi.journey.ledger import Ledger
from pfi.journey.match import match
from pfi.journey.outcome import Outcome
from pfi.journey.parse import Arrival, parse
from pfi.journey.push import push
from pfi.journey.records import DocumentRecord, MailRecord
from pfi.journey.review import DeadLetter, review
from pfi.journey.settings import DpiSettings, MailboxSettings, Settings
from pfi.names import Environment, Step
from tests.data.builders import EVERYBODY, MAILBOX
from tests.doubles.memory import Clock, MemoryPorts, MemoryTable

FALLBACK = "secretariat@ch-invente.mssante.fr"
HOSPITAL = Settings(
    environment=Environment.TEST,
    mailboxes=(
        MailboxSettings(
            id="app", address=MAILBOX, establishment="ch", dpi="dpi", fallback=FALLBACK
        ),
    ),
    dpis=(
        DpiSettings(
            id="dpi",
            host="dpi",
            port=2575,
            sending_facility="CH",
            receiving_facility="CH",
            hold_s=600,
        ),
    ),
)
STEPS = {Step.MATCH: match, Step.PUSH: push, Step.FORWARD: forward}


def read_mail(key: str) -> ReadMail:
    """The job that a dossier under this key is."""
    _, seal, mailbox, _ = key.split("/")
    return ReadMail(key, mailbox, seal)


class Drive:
    """One hospital in memory; `failures` are the errors that steps raised, in order."""

    def __init__(
        self,
        settings: Settings = HOSPITAL,
        patients: tuple[PatientRecord, ...] = tuple(p.record for p in EVERYBODY),
        table: MemoryTable | None = None,
    ) -> None:
        self.clock = Clock()
        self.ports = MemoryPorts(settings, ListedPatients(patients), now=self.clock)
        self.ports.table = table or self.ports.table
        self.ledger = Ledger(self.ports.table, self.clock)
        self.outcomes: list[Outcome] = []
        self.failures: list[PfiError] = []

    def set_fallback(self, address: str) -> None:
        mailbox = replace(self.ports.settings.mailboxes[0], fallback=address)
        self.ports.settings = replace(self.ports.settings, mailboxes=(mailbox,))

    def collect(self) -> list[Outcome]:
        found = list(collect(self.ports.settings.mailboxes[0], "me", self.ports))
        self.outcomes += found
        return found

    def arrive(self) -> None:
        """Events of the store: mails are read."""
        store = self.ports.store
        while store.arrivals:
            key = store.arrivals.pop(0)
            self.outcomes.append(parse(Arrival(key, key.split("/")[1]), self.ports))

    def read(self) -> bool:
        """All that the store announces: mails are read, and what was read is matched. What fails
        comes back, as SQS would bring it."""
        self.arrive()
        announced, self.ports.store.read = self.ports.store.read, []
        for key in announced:
            try:
                self.outcomes.append(match(read_mail(key), self.ports))
            except PfiError as error:
                self.failures.append(error)
                self.ports.store.read.append(key)
        return bool(announced)

    def work(self, rounds: int = 50, pause_s: float = 60) -> None:
        """Run all queues; a failed job comes back later, as SQS would do."""
        for _ in range(rounds):
            busy = self.read()
            for step, run in STEPS.items():
                queue = self.ports.jobs.queues[step]
                for _ in range(len(queue)):
                    busy = True
                    job = queue.popleft()
                    try:
                        self.outcomes.append(run(job, self.ports))
                    except PfiError as error:
                        self.failures.append(error)
                        queue.append(job)
            self._review()
            if not (busy or self.ports.store.arrivals or self.ports.store.read):
                return
            self.clock.advance(pause_s)

    def _review(self) -> None:
        while self.ports.jobs.review:
            step, job, reason = self.ports.jobs.review.pop(0)
            letter = DeadLetter(step, job.mail, job.document, reason, 1)
            self.outcomes.append(review(letter, self.ports))

    def process(self, *mails: bytes) -> list[MailRecord]:
        """Deliver, collect, work; the ledger's mails in order of delivery."""
        for raw in mails:
            self.ports.inbox.deliver(raw)
            self.collect()
            self.arrive()
        self.work()
        return [self.mail(hashlib.sha256(raw).hexdigest()) for raw in mails]

    def mail(self, digest: str) -> MailRecord:
        known = self.ledger.mail(digest)
        assert known is not None
        return known.record

    def documents(self, mail: MailRecord) -> list[DocumentRecord]:
        return [each.record for each in self.ledger.documents(mail.mail)]
