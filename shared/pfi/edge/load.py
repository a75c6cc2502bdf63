"""A patient file that was dropped into the store: as much of it as the time of a call allows.

What is left is a new message in the own queue, with the same event: the progress in the table says
where to go on. The report lies beside the file, renewed after each call.
"""

import hashlib
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from pfi.adapters.loads import IMPORTS, DynamoLoads, S3Drops, raws
from pfi.adapters.patients import DynamoPatients
from pfi.edge.wiring import Services
from pfi.ins.patient_lines import Fault, Flaw, Format, HeadRefused, layout
from pfi.journey.loading import Loading, Progress, Writers, beginning, report_of
from pfi.journey.outcome import Digest, Fact, Log, Metric, Outcome

WRITERS: Final = 4
SHARE: Final = 0.6
"""Of the time of a call: the last stretch needs the rest."""


@dataclass(frozen=True, slots=True)
class _Ports:
    base: DynamoPatients
    checkpoints: DynamoLoads
    writers: Writers
    now: Callable[[], datetime]
    wait: Callable[[float], None] = time.sleep


def load_dropped(key: str, ports: Services) -> tuple[Outcome, bool]:
    """Go on with one file; whether it is done."""
    until = time.monotonic() + SHARE * ports.names.timeout_s
    drops = S3Drops(ports.store.client, ports.store.bucket)
    try:
        with ThreadPoolExecutor(WRITERS) as pool:
            each = Writers(WRITERS, pool.map)
            return _Slice(key, ports, drops, each).run(lambda _: time.monotonic() < until)
    except HeadRefused as refused:
        flaw = refused.flaw
        listed = [{"line": flaw.line, "field": flaw.field, "fault": flaw.fault.value}]
        drops.report(key, json.dumps({"finished": True, "lines": 0, "listed": listed}).encode())
        return Outcome(Log.FILE_REFUSED, _facts(key), {Metric.PATIENT_LINES_REFUSED: 1}), True


@dataclass(frozen=True, slots=True)
class _Slice:
    key: str
    ports: Services
    drops: S3Drops
    writers: Writers

    def run(self, more: Callable[[Progress], bool]) -> tuple[Outcome, bool]:
        establishment, form = self._place()
        dropped = self.drops.looked_at(self.key)
        head = layout(dropped.head, form)
        base = self.ports.patients
        ports = _Ports(base, DynamoLoads(base.client, base.table), self.writers, self.ports.now)
        file = hashlib.sha256(f"{self.key} {dropped.mark}".encode()).hexdigest()
        begun = ports.checkpoints.progress(establishment, file)
        before = begun or beginning(file, head, dropped.at, self.ports.now())
        loading = Loading(establishment, head, ports)
        with self.drops.opened(self.key, dropped, before.offset) as stream:
            after = loading.run(raws(stream, before.offset), before, more)
        self.drops.report(self.key, json.dumps(report_of(after), indent=1).encode())
        return self._told(before, after), after.finished

    def _place(self) -> tuple[str, Format]:
        """Whose file it is and how it is written: ``imports/<establishment>/<name>.<format>``."""
        establishment, _, name = self.key.removeprefix(IMPORTS).partition("/")
        settings = self.ports.settings
        served = {each.establishment for each in settings.mailboxes}
        served |= {each.establishment for each in settings.feeds}
        if establishment not in served:
            raise HeadRefused(Flaw(0, "establishment", Fault.UNKNOWN))
        return establishment, Format(name.rpartition(".")[2].lower())

    def _told(self, before: Progress, after: Progress) -> Outcome:
        facts = _facts(self.key) | {
            "lines": after.line,
            "identities": after.identities,
            "refused": after.refused,
        }
        counts = {
            Metric.IDENTITIES_LOADED: float(after.written - before.written),
            Metric.PATIENT_LINES_REFUSED: float(after.refused - before.refused),
        }
        return Outcome(Log.FILE_LOADED if after.finished else Log.FILE_GOES_ON, facts, counts)


def _facts(key: str) -> dict[str, Fact]:
    """The name of a file is its producer's: a digest stands for it."""
    return {"file": Digest(hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest())}
