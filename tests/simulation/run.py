"""One run: a hospital, its peers, a seed; or a scenario, of which nothing is drawn."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch
from urllib.parse import quote_plus, unquote_plus

from pfi.edge import lambdas
from pfi.errors import PfiError
from pfi.journey import forward, match, parse, push, reading, review
from pfi.journey.foresight import Foresight
from pfi.journey.ports import Put
from pfi.journey.settings import Settings
from pfi.names import Integration, Route, Step
from tests.simulation import canary
from tests.simulation.changing_base import BEFORE, ChangingBase
from tests.simulation.edge import Context, Telemetry
from tests.simulation.peers import Box, Dpi, EventfulStore, Relay, Sent, WatchedTable
from tests.simulation.population import Delivery, bounce, deliveries, settings
from tests.simulation.ports import Calls, FaultyPorts
from tests.simulation.queues import QUEUED, Handler, Queues
from tests.simulation.weather import CALM_EVERY, Weather, drawn
from tests.simulation.witness import Witness, must
from tests.simulation.world import Worker, World

COLLECT_S = 120
PACED_EVERY = 5
"""In one seed of so many the DPI takes one message at a time."""
CRASHES = b"X-Crash: 1\r\n"
"""A header that makes the reader of a scenario fail in an unforeseen way."""


@dataclass(frozen=True)
class Scenario:
    """A run that is not drawn."""

    deliveries: Sequence[Delivery]
    weather: Weather
    settings: Settings
    crashes: bool = False
    """Letters may provoke errors that no step foresees."""


@dataclass
class Report:
    """What a run was: mails delivered, faults met, where mails ended."""

    seed: int
    mails: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    routes: Counter[str] = field(default_factory=Counter)
    calls: int = 0
    accepted_twice: int = 0
    overtaken: int = 0
    documents: int = 0
    unknown: int = 0
    recognises: bool = False
    """The DPI recognises a message that it has already accepted."""
    resends: int = 3
    met: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Faults by (kind, port call)."""
    trace: list[Any] = field(default_factory=list)


class Failed(AssertionError):
    """A seed for which an invariant does not hold."""

    def __init__(self, seed: int, cause: BaseException, trace: list[Any]) -> None:
        super().__init__(
            f"SEED={seed}: {cause!r}\n"
            f"replay: SEED={seed} .venv/bin/pytest tests/simulation -k replay"
        )
        self.seed, self.cause, self.trace = seed, cause, trace
        self.invariant = str(cause)

    def __reduce__(self) -> tuple[Any, ...]:
        return Failed, (self.seed, self.cause, self.trace)


class Simulation:
    """Everything of one run, wired."""

    def __init__(self, seed: int, scenario: Scenario | None = None) -> None:
        self.seed, self.scenario = seed, scenario
        self.world = World(seed)
        self.weather = scenario.weather if scenario else drawn(seed, self.world.rng)
        self.settings = scenario.settings if scenario else _resending(self.weather)
        if scenario is None and seed % PACED_EVERY == PACED_EVERY - 1:
            self.settings = _paced(self.settings)
        self.calls = Calls(self.world, self.weather)
        self.table, self.store = WatchedTable(), EventfulStore()
        self.store.now = self.world.clock
        self.queues = Queues(self.world, self.weather, self._handler)
        self.boxes = {each.id: Box() for each in self.settings.mailboxes}
        fault = self.calls.fault
        self.relay = Relay(self.world, self.weather, fault)
        self.dpi = Dpi(self.world, self.weather, fault)
        self.witness = Witness(self.world, self.table, self.queues, self.boxes, self.relay)
        self.base = ChangingBase(self.world, self.weather)
        self.ports = FaultyPorts(
            self.settings, self.calls, self.table, self.store, self.base, self.queues,
            self.boxes, self.relay, self.dpi,
        )  # fmt: skip
        self.collectors = 0
        self.ticking = False
        self.plan: list[Delivery] = []
        self._connect()

    def _connect(self) -> None:
        self.table.written = self.witness.written
        self.store.created = self._created
        self.queues.deleted, self.queues.ended = self.witness.deleted, self.witness.ended
        self.queues.digest_of = self._digest_of
        self.queues.fault, self.base.fault = self.calls.fault, self.calls.fault
        self.queues.written, self.witness.text = canary.look, canary.look
        self.witness.resends = self.settings.dpis[0].resend_on_unknown
        self.witness.may_leave = self.base.may_leave
        self.relay.took = self._relayed
        self.dpi.came, self.dpi.took = self.witness.came, self.witness.took
        self.dpi.began, self.witness.pace = self.witness.began, self.settings.dpis[0]
        for dpi in self.settings.dpis:
            self.queues.lane(dpi.id)
        self.dpi.verdict = self._verdict
        self.witness.unanswered = self.dpi.unanswered
        self.ports.opened = self.witness.opened

    def run(self) -> Report:
        """Deliver, let everything happen, check."""
        self.plan = list(self.scenario.deliveries if self.scenario else deliveries(self.world.rng))
        self._draw_refusals()
        for each in self.plan:
            self.world.after(each.at, lambda each=each: self._deliver(each))
        with self._edge():
            try:
                self.world.run()
                self.witness.end()
                if self._calm:
                    self._as_foreseen()
            except BaseException as error:
                if isinstance(error, KeyboardInterrupt):
                    raise
                raise Failed(self.seed, error, self.world.trace) from error
        return self._report()

    @property
    def _calm(self) -> bool:
        return self.scenario is None and self.seed % CALM_EVERY == 0

    # mails arrive

    def _deliver(self, delivery: Delivery) -> None:
        letter = delivery.letter
        self.witness.letters[letter.digest] = letter
        self.world.note("delivered", f"{letter.digest[:8]} {letter.kind}")
        if letter.dropped:
            key = f"incoming/{delivery.mailbox}/{letter.dropped}.eml"
            self.store.objects[key] = letter.raw
            self._created(key)
            return
        box = self.boxes[delivery.mailbox]
        if letter.poison:
            box.poison.add(letter.raw)
        self._into(box, letter.raw)

    def _into(self, box: Box, raw: bytes) -> None:
        box.deliver(raw)
        if self.calls.fault("imap_renumber"):
            box.renumber()
        if self.calls.fault("imap_gone"):
            box.take(self.world.rng)
        self._tick_later()

    def _tick_later(self) -> None:
        if not self.ticking:
            self.ticking = True
            self.world.after(60 - self.world.elapsed % 60, self._tick)

    def _tick(self) -> None:
        """The schedule: every minute while there is something in a mailbox."""
        self.ticking = False
        if not any(box.inbox for box in self.boxes.values()):
            return
        self._tick_later()
        if not self.collectors or self.calls.fault("two_collectors"):
            self._collect()
        elif self.calls.fault("lease_lost"):
            self._lose_leases()
            self._collect()

    def _lose_leases(self) -> None:
        """They are over before their collector knows: its clock is slow, or it slept."""
        now = self.world.clock.now.isoformat()
        for row in [row for row in self.table.rows.values() if row.sk == "LEASE"]:
            data = {**row.data, "until": now}
            self.table.write(Put(row.pk, row.sk, data, row.revision, self.world.clock.now))

    def _collect(self) -> None:
        self.collectors += 1
        handler = lambdas.schedule_function(Step.COLLECT)
        context = Context(self.world)

        def run() -> None:
            try:
                handler({}, context)
            except PfiError:
                self.world.note("the poll failed")

        self.world.spawn(Step.COLLECT, COLLECT_S, run, self._collected)

    def _collected(self, worker: Worker) -> None:
        self.collectors -= 1
        self.witness.ended(worker)

    def _created(self, key: str) -> None:
        """S3 tells the queue, at least once, sooner or later."""
        body = json.dumps({"Records": [{"s3": {"object": {"key": quote_plus(key)}}}]})
        late = self.calls.fault("late_event")
        wait = self.world.rng.uniform(30, 400) if late else self.world.rng.uniform(0, 2)
        step = Step.MATCH if key.startswith("documents/") else Step.PARSE
        self.queues.live[step].put(self.queues.message(body, {}, wait))

    def _digest_of(self, body: str) -> tuple[str, int | None]:
        job = json.loads(body)
        if "mail" in job:
            return job["mail"], job.get("document")
        key = unquote_plus(job["Records"][0]["s3"]["object"]["key"])
        if key.startswith("documents/"):
            return key.split("/")[1], None
        return _sha256(self.store.objects[key]), None

    # peers

    def _draw_refusals(self) -> None:
        """Some documents are refused by this DPI, always with the same answer."""
        self.refusals: dict[bytes, str] = {}
        if self.scenario or self._calm:
            return
        rng = self.world.rng
        for delivery in self.plan:
            for content in delivery.letter.contents:
                answer = rng.choice(("AE 207 902", "AE 207 906", "AE 207 900", "AE 101"))
                if content not in self.refusals and rng.random() < 0.08:
                    self.refusals[content] = answer
        self.witness.refuses = set(self.refusals)

    def _verdict(self, message: bytes) -> str:
        place = self.witness.control_ids[message.split(b"|", 10)[9].decode()]
        content = self.witness.letters[place[0]].contents[place[1] - 1]
        return self.refusals.get(content, "AA")

    def _relayed(self, sent: Sent) -> None:
        self.witness.relayed(sent)
        if self.calls.fault("smtp_bounce"):
            wait = self.world.rng.choice((0.1, 30.0, 3000.0))
            raw = bounce(sent.mail.message_id)
            self.world.after(wait, lambda: self._into(self.boxes["app"], raw))

    # the product's edge, in this world

    def _handler(self, step: Step) -> Handler:
        if step is Step.REVIEW:
            return lambdas.review_function(review.review)
        if step is Step.PARSE:
            return lambdas.arrival_function(step, parse.parse)
        if step is Step.MATCH:
            return lambdas.match_function(step, match.match)
        run: dict[Step, Callable[..., Any]] = {
            Step.PUSH: push.push,
            Step.FORWARD: forward.forward,
        }
        return lambdas.job_function(step, run[step])

    @contextmanager
    def _edge(self) -> Iterator[None]:
        names = SimpleNamespace(dead_letters={s: f"https://sqs/pfi-{s}-dlq" for s in QUEUED})
        with ExitStack() as stack:
            for name, value in (
                ("services", lambda: self.ports),
                ("environment", lambda: names),
                ("random", self.world.rng),
                ("Telemetry", lambda step: Telemetry(self.world, step, crashes=self._crashes)),
            ):
                stack.enter_context(patch.object(lambdas, name, value))
            stack.enter_context(patch.object(parse, "read_mail", _remembered(parse.read_mail)))
            yield

    @property
    def _crashes(self) -> bool:
        return self.scenario is not None and self.scenario.crashes

    # the end

    def _as_foreseen(self) -> None:
        """Without faults each mail ends where `pfi explain` says."""
        foresight = Foresight(self.settings, BEFORE)
        expected: Counter[Route] = Counter()
        letters = {each.letter.digest: each for each in self.plan}
        for each in letters.values():
            if each.letter.kind in ("large", "poison"):
                expected[Route.REVIEW] += 1
                continue
            mailbox = self.settings.mailbox(each.mailbox)
            assert mailbox is not None
            expected[foresight.foresee(each.letter.raw, mailbox).settlement.route] += 1
        must(self._routes() == expected, "not as foreseen", self._routes() - expected)

    def _routes(self) -> Counter[Any]:
        rows = [row.data for (_, sk), row in self.table.rows.items() if sk == "MAIL"]
        return Counter(Route(data["route"]) for data in rows)

    def _report(self) -> Report:
        twice = sum(len(found) > 1 for found in self.witness.accepted.values())
        faults = self.calls.faults + self.queues.counts
        killed = [detail for _, _, what, detail in self.world.trace if what == "killed"]
        faults["function timed out"] = killed.count("time-out of the function")
        mails = len(self.witness.letters)
        return Report(
            seed=self.seed,
            mails=mails,
            faults=faults,
            routes=self._routes(),
            calls=self.calls.count,
            accepted_twice=twice,
            overtaken=self.witness.overtaken(),
            documents=sum(bool(found) for found in self.witness.accepted.values()),
            unknown=self._unknown(),
            recognises=self.weather.dpi_repeats != "accepts",
            resends=self.witness.resends,
            met=self.calls.met,
            trace=self.world.trace,
        )

    def _unknown(self) -> int:
        rows = [row.data for (_, sk), row in self.table.rows.items() if sk.startswith("DOC#")]
        return sum(data["integration"] == Integration.UNKNOWN for data in rows)


def _paced(settings: Settings) -> Settings:
    """The same hospital with a DPI of one connection, that wants a pause after each message."""
    dpi = replace(settings.dpis[0], concurrency=1, min_interval_s=5)
    return replace(settings, dpis=(dpi,))


def _resending(weather: Weather) -> Settings:
    hospital = settings()
    dpi = replace(
        hospital.dpis[0],
        resend_on_unknown=weather.resends,
        recognises_repeats=weather.dpi_repeats != "accepts",
    )
    return replace(hospital, dpis=(dpi,))


def simulate(seed: int) -> Report:
    """Run one seed; raises `Failed`."""
    return Simulation(seed).run()


_readings: dict[tuple[str, str], reading.Reading] = {}


def _remembered(read: Callable[..., reading.Reading]) -> Callable[..., reading.Reading]:
    """`read_mail` is pure and the letters are few: read each once per process."""

    def read_mail(raw: bytes, mailbox: Any, known: Any) -> reading.Reading:
        if CRASHES in raw:
            raise RuntimeError(raw.decode("ascii", "replace"))  # as a library might: with the mail
        key = (_sha256(raw), mailbox.id)
        if key not in _readings:
            _readings[key] = read(raw, mailbox, known)
        return _readings[key]

    return read_mail


@cache
def _sha256(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()
