"""The ports that one worker sees: the doubles, with a fault drawn at every call."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, TypeVar

from pfi.errors import OutcomeUnknown, PfiError, Unavailable
from pfi.hl7.mllp import Message
from pfi.ins.identity import PatientRecord, Traits
from pfi.journey.jobs import Job
from pfi.journey.ports import Change, Patients, Put, Row
from pfi.journey.records import Dossier
from pfi.journey.settings import DpiSettings, MailboxSettings, Settings
from pfi.mail.outbound import Outgoing
from pfi.names import Reason, Step
from tests.simulation.peers import Box, Dpi, EventfulStore, Relay, Session, WatchedTable
from tests.simulation.queues import Queues
from tests.simulation.weather import Fate, Weather
from tests.simulation.world import World

T = TypeVar("T")
A_CALL = timedelta(microseconds=100)


class Calls:
    """Every port call passes here: it may be late, fail, or be the last thing a worker does."""

    def __init__(self, world: World, weather: Weather) -> None:
        self.world, self.weather = world, weather
        self.faults: Counter[str] = Counter()
        self.met: Counter[tuple[str, str]] = Counter()
        self.count = 0
        self._refuses_until: dict[str, float] = {}

    def __call__(
        self,
        name: str,
        effect: Callable[[], T],
        reason: Reason = Reason.STORE_UNAVAILABLE,
        lost: type[PfiError] = Unavailable,
    ) -> T:
        worker = self.world.alive()
        self.count += 1
        self.world.clock.now += A_CALL  # so that no two things happen at the same time
        if self._throttled(name):
            worker.hurt += 1
            self.met["throttle", name] += 1
            raise Unavailable(reason)
        fate = self.weather.fate(self.world.rng, self.world.elapsed)
        if fate is Fate.FINE:
            return effect()
        if fate is not Fate.PAUSE:
            self.world.note(fate.value, name)
            self.faults[fate.value] += 1
            self.met[fate.value, name] += 1
            worker.hurt += fate is not Fate.STALL
        self._before(fate, name, reason)
        result = effect()
        if fate is Fate.CRASH_AFTER:
            self.world.kill(name)
        if fate is Fate.LOST:
            self.world.alive().hurt += 1
            raise lost(reason)
        if fate is Fate.PAUSE:
            self.world.pause(self.world.rng.uniform(0, 1))
        return result

    def _throttled(self, name: str) -> bool:
        """Too many requests: for some seconds a service refuses everybody."""
        service, now = name.partition(".")[0], self.world.elapsed
        if self.fault("throttle"):
            self._refuses_until[service] = now + self.world.rng.uniform(0.5, 10)
        return now < self._refuses_until.get(service, 0.0)

    def _before(self, fate: Fate, name: str, reason: Reason) -> None:
        world = self.world
        if fate is Fate.CRASH_BEFORE:
            world.kill(name)
        if fate is Fate.UNAVAILABLE:
            raise Unavailable(reason)
        if fate in (Fate.PAUSE, Fate.STALL):
            world.pause(world.rng.uniform(0, 1) if fate is Fate.PAUSE else world.rng.uniform(5, 95))

    def fault(self, kind: str) -> bool:
        """Whether a fault of this kind happens now."""
        rate: float = getattr(self.weather, kind)
        world = self.world
        if rate == 0 or world.elapsed >= self.weather.fair_after or world.rng.random() >= rate:
            return False
        self.faults[kind] += 1
        world.note(kind)
        if world.current is not None:
            world.current.hurt += 1
        return True


class FaultyTable:
    """Also: a write that took effect is tried again by the SDK, and its condition then fails."""

    def __init__(self, calls: Calls, table: WatchedTable) -> None:
        self._calls, self._table = calls, table

    def get(self, pk: str, sk: str) -> Row | None:
        return self._calls("table.get", lambda: self._table.get(pk, sk))

    def get_all(self, *keys: tuple[str, str]) -> tuple[Row | None, ...]:
        return self._calls("table.get_all", lambda: self._table.get_all(*keys))

    def partition(self, pk: str, prefix: str = "") -> tuple[Row, ...]:
        return self._calls("table.partition", lambda: self._table.partition(pk, prefix))

    def write(self, *puts: Put | Change) -> bool:
        written = False

        def effect() -> bool:
            nonlocal written
            written = self._table.write(*puts)
            return written

        try:
            return self._calls("table.write", effect)
        except Unavailable:
            if written and len(puts) == 1 and self._calls.world.rng.random() < 0.5:
                return False
            raise


class FaultyStore:
    def __init__(self, calls: Calls, store: EventfulStore) -> None:
        self._calls, self._store = calls, store

    def put_mail(self, mailbox: str, mail: str, raw: bytes) -> str:
        return self._calls("store.put_mail", lambda: self._store.put_mail(mailbox, mail, raw))

    def get(self, key: str) -> bytes:
        return self._calls("store.get", lambda: self._store.get(key))

    def arrived(self, key: str) -> tuple[bytes, datetime]:
        return self._calls("store.arrived", lambda: self._store.arrived(key))

    def put_dossier(
        self, key: str, dossier: Dossier, contents: Sequence[bytes] = (), *, anew: bool = False
    ) -> bool:
        return self._calls(
            "store.put_dossier",
            lambda: self._store.put_dossier(key, dossier, contents, anew=anew),
        )

    def dossier(self, key: str) -> Dossier:
        return self._calls("store.dossier", lambda: self._store.dossier(key))

    def document(self, key: str, number: int) -> tuple[Dossier, bytes]:
        return self._calls("store.document", lambda: self._store.document(key, number))


class FaultyPatients:
    def __init__(self, calls: Calls, patients: Patients) -> None:
        self._calls, self._patients = calls, patients

    def find(self, establishment: str, matricule: str, oid: str) -> tuple[PatientRecord, ...]:
        return self._calls(
            "patients.find", lambda: self._patients.find(establishment, matricule, oid)
        )

    def get(self, establishment: str, ipp: str) -> PatientRecord | None:
        return self._calls("patients.get", lambda: self._patients.get(establishment, ipp))

    def twins(self, establishment: str, traits: Traits) -> tuple[PatientRecord, ...]:
        return self._calls("patients.twins", lambda: self._patients.twins(establishment, traits))


class FaultyJobs:
    """As the adapter: `postpone` never fails, and a queue that a step may not use is refused."""

    def __init__(self, calls: Calls, queues: Queues) -> None:
        self._calls, self._queues = calls, queues

    def send(self, step: Step, job: Job, lane: str = "", delay_s: int = 0) -> None:
        body, attributes = job.dump(), {"step": step.value}
        self._calls(
            "queue.send",
            lambda: self._queues.send(
                step, body, attributes, dead=False, lane=lane, delay_s=delay_s
            ),
        )

    def to_review(self, step: Step, job: Job, reason: Reason) -> None:
        self.dead_letter(step, job.dump(), reason)

    def dead_letter(self, step: Step, body: str, reason: Reason) -> None:
        attributes = {"step": step.value, "reason": reason.value}
        self._calls(
            "queue.dead_letter",
            lambda: self._queues.send(step, body, attributes, dead=True),
        )

    def postpone(self, queue: str, receipt: str, seconds: int) -> None:
        if queue.endswith("-dlq"):
            return
        try:
            self._calls("queue.postpone", lambda: self._queues.postpone(queue, receipt, seconds))
        except Unavailable:
            return


class FaultyRelay:
    def __init__(self, calls: Calls, relay: Relay) -> None:
        self._calls, self._relay = calls, relay

    def send(self, mail: Outgoing) -> None:
        self._calls(
            "relay.send",
            lambda: self._relay.send(mail),
            Reason.RELAY_UNAVAILABLE,
            OutcomeUnknown,
        )


class FaultyDpi:
    """The adapter tells "nothing left" from "unknown": an answer that is lost is the latter."""

    def __init__(self, calls: Calls, dpi: Dpi) -> None:
        self._calls, self._dpi = calls, dpi

    def exchange(self, message: Message, control_id: str) -> bytes:
        return self._calls(
            "dpi.exchange",
            lambda: self._dpi.exchange(message, control_id),
            Reason.DPI_UNAVAILABLE,
            OutcomeUnknown,
        )


class FaultyPorts:
    """All ports of a worker; the edge calls these `Services`."""

    life_s = 105

    def __init__(
        self,
        settings: Settings,
        calls: Calls,
        table: WatchedTable,
        store: EventfulStore,
        patients: Patients,
        queues: Queues,
        boxes: dict[str, Box],
        relay: Relay,
        dpi: Dpi,
    ) -> None:
        self.settings, self._calls = settings, calls
        self._boxes = boxes
        self.opened: Callable[[str], None] = lambda _mailbox: None
        self.table = FaultyTable(calls, table)
        self.store = FaultyStore(calls, store)
        self.patients = FaultyPatients(calls, patients)
        self.jobs = FaultyJobs(calls, queues)
        self._relay, self._dpi = FaultyRelay(calls, relay), FaultyDpi(calls, dpi)

    def now(self) -> datetime:
        return self._calls.world.clock.now

    @contextmanager
    def mailbox(self, mailbox: MailboxSettings) -> Iterator[Any]:
        reason = Reason.MAILBOX_UNAVAILABLE
        box = self._boxes[mailbox.id]
        yield self._calls("imap.open", lambda: self._opened(mailbox.id, box), reason)

    def _opened(self, mailbox: str, box: Box) -> Session:
        if self._calls.world.elapsed < box.away_until:
            raise Unavailable(Reason.MAILBOX_UNAVAILABLE)
        self.opened(mailbox)
        return Session(box, self._calls, self._calls.fault)

    def relay(self, _mailbox: MailboxSettings) -> FaultyRelay:
        return self._relay

    def dpi(self, _target: DpiSettings) -> FaultyDpi:
        return self._dpi
