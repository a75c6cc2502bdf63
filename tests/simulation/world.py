"""Virtual time and workers: the simulator decides when each port call of each worker happens.

A worker is one invocation of a Lambda. It runs in a thread of its own so that it can be stopped
in the middle of any port call, but only one thread ever runs: whoever holds the turn. The order of
turns comes from one seeded generator, so a run repeats exactly.
"""

import heapq
import random
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, ClassVar

from pfi.names import Step
from tests.doubles.memory import Clock


class Killed(BaseException):
    """The worker is dead: nothing that it still wants to do has an effect."""


class Broken(BaseException):
    """An invariant does not hold. Not an `Exception`: no step may swallow it."""


class _Lane:
    """A thread that is lent to one worker after the other."""

    idle: ClassVar[list["_Lane"]] = []

    def __init__(self) -> None:
        self.work: Callable[[], None] = lambda: None
        self._mine, self._others = threading.Lock(), threading.Lock()
        self._mine.acquire()
        self._others.acquire()
        threading.Thread(target=self._loop, daemon=True).start()

    @classmethod
    def lent(cls, work: Callable[[], None]) -> "_Lane":
        lane = cls.idle.pop() if cls.idle else cls()
        lane.work = work
        return lane

    def turn(self) -> None:
        """Run until the next pause or the end (called by the simulator)."""
        self._mine.release()
        self._others.acquire()

    def pause(self) -> None:
        """Give the turn back (called by the worker)."""
        self._others.release()
        self._mine.acquire()

    def _loop(self) -> None:
        while True:
            self._mine.acquire()
            self.work()
            self._others.release()


class Worker:
    """One invocation: dead after its deadline or a crash. `hurt` counts the faults it met."""

    def __init__(self, number: int, step: Step, deadline: datetime) -> None:
        self.number = number
        self.step = step
        self.deadline = deadline
        self.dead = False
        self.hurt = 0
        self.accepted: list[Any] = []
        self.lane: _Lane | None = None
        self.finished = False
        self.ended: Callable[[Worker], None] = lambda _worker: None
        self.result: Any = None


class World:
    """The clock, what will happen when, and whose turn it is."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.clock = Clock()
        self.start = self.clock.now
        self.trace: list[tuple[float, int, str, str]] = []
        self.current: Worker | None = None
        self.workers = 0
        self._agenda: list[tuple[datetime, int, Callable[[], None]]] = []
        self._entries = 0
        self._broken: BaseException | None = None

    @property
    def elapsed(self) -> float:
        """Virtual seconds since the beginning."""
        return (self.clock.now - self.start).total_seconds()

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        """Plan an action."""
        self._entries += 1
        moment = self.clock.now + timedelta(seconds=seconds)
        heapq.heappush(self._agenda, (moment, self._entries, action))

    def note(self, what: str, detail: str = "") -> None:
        """One line of the trace."""
        self.trace.append((self.elapsed, self.current.number if self.current else 0, what, detail))

    def run(self) -> None:
        """Until nothing is planned any more."""
        while self._agenda:
            moment, _, action = heapq.heappop(self._agenda)
            self.clock.now = max(moment, self.clock.now)
            action()
            if self._broken is not None:
                raise self._broken

    def spawn(
        self, step: Step, seconds: float, run: Callable[[], Any], ended: Callable[[Worker], None]
    ) -> Worker:
        """Start an invocation now; `ended` is called when it is over, dead or not."""
        self.workers += 1
        worker = Worker(self.workers, step, self.clock.now + timedelta(seconds=seconds))

        def work() -> None:
            try:
                worker.result = run()
            except Killed:
                worker.dead = True
            except BaseException as error:  # handed to the main thread
                worker.dead = True
                self._broken = self._broken or error
            worker.finished = True

        worker.lane, worker.ended = _Lane.lent(work), ended
        self._turn(worker)
        return worker

    def _turn(self, worker: Worker) -> None:
        assert worker.lane is not None
        self.current = worker
        worker.lane.turn()
        self.current = None
        if worker.finished:
            _Lane.idle.append(worker.lane)
            worker.ended(worker)

    def alive(self) -> Worker:
        """The worker whose turn it is, unless it is dead."""
        worker = self.current
        assert worker is not None
        if worker.dead:
            raise Killed
        return worker

    def pause(self, seconds: float) -> None:
        """Let time pass for the worker whose turn it is; others may run meanwhile."""
        worker = self.alive()
        assert worker.lane is not None
        left = (worker.deadline - self.clock.now).total_seconds()
        self.after(max(0.0, min(seconds, left)), lambda: self._turn(worker))
        worker.lane.pause()
        if self.clock.now >= worker.deadline:
            self.kill("time-out of the function")

    def kill(self, why: str) -> None:
        """The worker dies here."""
        worker = self.alive()
        self.note("killed", why)
        worker.dead = True
        worker.hurt += 1
        raise Killed
