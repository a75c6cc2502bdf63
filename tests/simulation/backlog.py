"""A backlog at one DPI or more: how long it takes to drain, and whether it drains whole.

    python -m tests.simulation.backlog [MAILS] [CONNECTIONS] [ACK_SECONDS]

Mails are collected while sending is paused (`pfi pause push`), as during maintenance of the DPI;
then it resumes. Time is virtual, so the figures are those of the design and not of a machine.
Every check of the witness (nothing lost, nothing twice) holds, or the run stops.
"""

import gc
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import ceil, inf
from typing import Any
from unittest.mock import patch

from pfi.journey.settings import DpiSettings, Settings
from pfi.names import Step
from tests.doubles.memory import ack
from tests.simulation import queues
from tests.simulation.peers import Accepted, Dpi
from tests.simulation.population import Delivery, Letter, settings
from tests.simulation.ports import FaultyDpi
from tests.simulation.run import Report, Scenario, Simulation, _readings
from tests.simulation.scenarios import ordinary, weather

MAILS = 10_000
CONNECTIONS = 2
ACK_S = 2.0
PAUSES = 0.005
"""How often others run in the middle of a port call, for up to a second: rarely, so that what a
drain takes is the time of the answers and not of such pauses."""
FIRST = 100_000
"""Letters from this number on belong to no other scenario."""
BOXES = {"dpi": "app", "dpi2": "bare"}
"""A DPI, and the mailbox whose documents it gets."""


class PunctualDpi(Dpi):
    """Its answers take always the same time; it integrates half-way."""

    ack_s = ACK_S

    def _exchange(self, message: bytes, control_id: str) -> bytes:
        self.world.pause(self.ack_s / 2)
        self.came(control_id, message)
        answer = self._answer(control_id, message)
        self.world.pause(self.ack_s / 2)
        return ack(answer, control_id)


@dataclass(frozen=True, slots=True)
class Drain:
    """What the drain of one DPI's lane was; `seconds` from resuming until its last acceptance."""

    mails: int
    connections: int
    ack_s: float
    seconds: float
    most_at_once: int
    asked: int
    calls: int
    cpu_s: float

    @property
    def ideal_s(self) -> float:
        """Connections that never wait for anything but the answer."""
        return self.mails * self.ack_s / self.connections

    @property
    def ratio(self) -> float:
        """Of the time taken to the ideal one."""
        return self.seconds / self.ideal_s


class Backlog(Simulation):
    """Letters by DPI all wait at second 0; the time that each DPI takes to answer."""

    def __init__(
        self, letters: Mapping[str, Sequence[Letter]], ack_s: Mapping[str, float], connections: int
    ) -> None:
        self.waiting, self.ack_s, self.connections = letters, ack_s, connections
        self.dpis: dict[str, PunctualDpi] = {}
        self.accepted_at: dict[str, list[float]] = {}
        self.backlog: dict[str, int] = {}
        found = [Delivery(0.0, BOXES[dpi], each) for dpi in letters for each in letters[dpi]]
        super().__init__(1, Scenario(found, weather(pauses=PAUSES), hospital(letters, connections)))
        most = max(map(len, letters.values()))
        self.resumes = 60.0 * (ceil(most / self.settings.operator.mails_per_run) + 5)
        for lane in self.queues.lanes.values():
            lane._sleeps_until = inf
        self.world.after(self.resumes, self._resume)

    def _connect(self) -> None:
        super()._connect()
        for each in self.settings.dpis:
            self.dpis[each.id] = self._wired(each)
        ports: Any = self.ports
        ports.dpi = lambda target: FaultyDpi(self.calls, self.dpis[target.id])

    def _wired(self, target: DpiSettings) -> PunctualDpi:
        dpi = PunctualDpi(self.world, self.weather, self.calls.fault)
        dpi.ack_s, dpi.verdict = self.ack_s[target.id], self._verdict
        dpi.came, dpi.took, dpi.began = self.witness.came, self._took, self._began
        return dpi

    def _began(self, inside: int) -> None:
        """The witness keeps the pace of one DPI; here each has its own count."""
        if len(self.dpis) == 1:
            self.witness.began(inside)

    def _took(self, accepted: Accepted) -> None:
        mail, _ = self.witness.control_ids[accepted.control_id]
        self.accepted_at.setdefault(mail, []).append(self.world.elapsed)
        self.witness.took(accepted)

    def _resume(self) -> None:
        for dpi, lane in self.queues.lanes.items():
            self.backlog[dpi] = len(lane.messages)
            lane._sleeps_until = 0.0
            lane.poll()

    def ended(self) -> Counter[tuple[str, int]]:
        """Route and number of answers of the mails."""
        mails = [each.letter.digest for each in self.plan]
        known = [(self.witness.ledger.mail(mail), len(self.witness.sent[mail])) for mail in mails]
        return Counter((str(found.record.route), sent) for found, sent in known if found)

    def drain(self, dpi: str, report: Report, cpu_s: float) -> Drain:
        """What became of the lane of one DPI."""
        seen, letters = self.dpis[dpi], self.waiting[dpi]
        last = max(at for each in letters for at in self.accepted_at[each.digest])
        return Drain(
            len(letters), self.connections, seen.ack_s, last - self.resumes,
            seen.most_inside, seen.asked, report.calls, cpu_s,
        )  # fmt: skip


def hospital(dpis: Sequence[str] | Mapping[str, Any], connections: int) -> Settings:
    """The hospital of every run, each DPI with a mailbox and a lane of its own."""
    usual = settings()
    [first] = usual.dpis
    boxes = {box: dpi for dpi, box in BOXES.items() if dpi in dpis}
    return replace(
        usual,
        dpis=tuple(replace(first, id=each, concurrency=connections) for each in dpis),
        mailboxes=tuple(
            replace(each, dpi=boxes[each.id]) for each in usual.mailboxes if each.id in boxes
        ),
    )


def letters(mails: int, first: int = FIRST) -> list[Letter]:
    """So many letters of one document each; made once per process."""
    return [ordinary(first + number) for number in range(mails)]


def drained(
    waiting: Mapping[str, Sequence[Letter]], ack_s: Mapping[str, float], connections: int
) -> tuple[Backlog, dict[str, Drain]]:
    """Run it; every lane with as many workers as its DPI has connections, two at the least."""
    _readings.clear()  # each run reads its own mails
    with patch.dict(queues.CONCURRENCY, {Step.PUSH: max(2, connections)}), _uncollected():
        run = Backlog(waiting, ack_s, connections)
        began = time.process_time()
        report = run.run()
        cpu_s = time.process_time() - began
    return run, {dpi: run.drain(dpi, report, cpu_s) for dpi in waiting}


@contextmanager
def _uncollected() -> Iterator[None]:
    """No passes of the garbage collector over the simulation's own memory: they are not the
    product's, and grow with what a run remembers."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def one(mails: int, connections: int = CONNECTIONS, ack_s: float = ACK_S) -> tuple[Backlog, Drain]:
    """The usual backlog: one DPI."""
    run, found = drained({"dpi": letters(mails)}, {"dpi": ack_s}, connections)
    return run, found["dpi"]


def sentence(run: Backlog, drain: Drain) -> str:
    """For a person."""
    once = sum(len(times) == 1 for times in run.accepted_at.values())
    return (
        f"{drain.mails} mails, {drain.connections} connections, ACK {drain.ack_s:g} s: "
        f"drained in {drain.seconds:.0f} s ({drain.ratio:.3f} × mails × ACK ÷ connections), "
        f"{once} accepted once, {len(run.accepted_at) - once} more often, at most "
        f"{drain.most_at_once} exchanges at once; {drain.calls} port calls, "
        f"{drain.cpu_s:.1f} s CPU"
    )


@dataclass(frozen=True, slots=True)
class Growth:
    """What twice the mails take, over what half of them took."""

    time: float
    calls: float
    cpu: float

    @classmethod
    def between(cls, half: Drain, whole: Drain) -> "Growth":
        """Of two drains."""
        return cls(whole.seconds / half.seconds, whole.calls / half.calls, whole.cpu_s / half.cpu_s)

    @property
    def linear(self) -> bool:
        """Twice as much, or a little more."""
        return self.time <= 2.1 and self.calls <= 2.1 and self.cpu <= 2.2


def measured(
    mails: int, connections: int = CONNECTIONS, ack_s: float = ACK_S
) -> tuple[list[str], Drain, Growth]:
    """The backlog and half of it: a sentence for each, the larger one, the growth."""
    letters(mails)
    one(20)  # what is loaded once is not counted
    found = [one(size, connections, ack_s) for size in (mails // 2, mails)]
    half, whole = (drain for _, drain in found)
    return [sentence(*each) for each in found], whole, Growth.between(half, whole)


def main(words: Sequence[str]) -> int:
    """Print; status 1 when it does not grow in proportion."""
    asked = [float(word) for word in words]
    mails, connections, ack_s = *asked, *(MAILS, CONNECTIONS, ACK_S)[len(asked) :]
    sentences, _, growth = measured(int(mails), int(connections), ack_s)
    told = f"time {growth.time:.3f}, port calls {growth.calls:.3f}, CPU {growth.cpu:.3f}"
    sys.stdout.write("\n".join([*sentences, f"growth for 2 × mails: {told}", ""]))
    return int(not growth.linear)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
