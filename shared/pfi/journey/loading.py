"""A patient file into the base: stretch by stretch, each remembered, so that it can be taken up
again after any interruption (docs/reference/patient-file.md).

A stretch is dealt to the writers by IPP: two lines of one identity are the same writer's, in their
order. A writer takes a few lines, reads all they touch at once, and writes all they change in one
transaction; another writer of the same identity, the feed for one, only makes it look again.
"""

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import islice
from typing import Final, Protocol

from pfi.errors import Unavailable
from pfi.hl7.adt import utc
from pfi.ins.bulk import Source, family_of, tell
from pfi.ins.identity import PatientRecord
from pfi.ins.patient_lines import Counted, Fault, Flaw, HeadRefused, Layout
from pfi.journey.feed import AHEAD
from pfi.journey.patient_base import Filed, PatientBase, Revision
from pfi.names import Reason

STRETCH: Final = 1200
"""Lines between two checkpoints: the most that is done again after an interruption."""
BATCH: Final = 30
"""Lines of one transaction: an identity has three rows, a transaction a hundred."""
TRIES: Final = 8
FIRST_WAIT_S: Final = 0.05
"""Doubled at each try: a table that is asked too much gets some twelve seconds."""
LISTED: Final = 1000
"""Flaws that a report lists; the others are counted."""

Raw = tuple[bytes, int]
"""A line, and where in the file it ends."""
Numbered = tuple[int, PatientRecord]
"""An identity and its line."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a file is loaded: kept in the base after each stretch."""

    file: str
    as_of: str
    offset: int = 0
    line: int = 0
    identities: int = 0
    written: int = 0
    refused: int = 0
    flaws: tuple[Flaw, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    finished: bool = False

    @property
    def unchanged(self) -> int:
        """Identities of which the base knew this or later already."""
        return self.identities - self.written

    @property
    def source(self) -> Source:
        """What the identities keep of the file."""
        return Source(self.file[:16], self.as_of)


def beginning(file: str, head: Layout, at: datetime, now: datetime) -> Progress:
    """Of a file that nobody began: its own time, else `at`. One of later than tomorrow would shut
    its identities for the feed."""
    as_of = head.as_of or at
    if as_of > now + AHEAD:
        raise HeadRefused(Flaw(1, "as_of", Fault.FORM))
    return Progress(file, utc(as_of), offset=head.size, line=head.lines)


def report_of(progress: Progress) -> dict[str, object]:
    """What a person needs to mend the file: lines, fields and faults, and no value of it."""
    listed = [{"line": f.line, "field": f.field, "fault": f.fault.value} for f in progress.flaws]
    return {
        "as_of": progress.as_of,
        "finished": progress.finished,
        "lines": progress.line,
        "identities": progress.identities,
        "written": progress.written,
        "unchanged": progress.unchanged,
        "refused": progress.refused,
        "faults": dict(sorted(progress.counts.items())),
        "listed": listed,
    }


class Checkpoints(Protocol):
    """Where the progress of a file is kept."""

    def progress(self, establishment: str, file: str) -> Progress | None:
        """How far a file is, None when it was never begun (or long ago)."""
        ...

    def keep(self, establishment: str, progress: Progress, now: datetime) -> None:
        """Remember it."""
        ...


class LoadPorts(Protocol):
    """All that loading may use."""

    @property
    def base(self) -> PatientBase: ...
    @property
    def checkpoints(self) -> Checkpoints: ...
    @property
    def now(self) -> Callable[[], datetime]: ...
    @property
    def wait(self) -> Callable[[float], None]: ...
    @property
    def writers(self) -> "Writers": ...


@dataclass(frozen=True, slots=True)
class Writers:
    """How many at once, and who sets them to work: threads, or nobody."""

    count: int = 1
    each: Callable[
        [Callable[[list[Numbered]], "_Done"], list[list[Numbered]]], Iterable["_Done"]
    ] = map


@dataclass(frozen=True, slots=True)
class _Done:
    written: int = 0
    flaws: tuple[Flaw, ...] = ()

    def __add__(self, other: "_Done") -> "_Done":
        return _Done(self.written + other.written, self.flaws + other.flaws)


@dataclass(frozen=True, slots=True)
class Loading:
    """One file of one establishment, from where its progress says."""

    establishment: str
    layout: Layout
    ports: LoadPorts

    def run(
        self, raws: Iterator[Raw], progress: Progress, more: Callable[[Progress], bool]
    ) -> Progress:
        """Load until the end, or until there shall be no more for now."""
        while not progress.finished:
            stretch = list(islice(raws, STRETCH))
            progress = self._after(stretch, progress)
            self.ports.checkpoints.keep(self.establishment, progress, self.ports.now())
            if not more(progress):
                break
        return progress

    def _after(self, stretch: Sequence[Raw], progress: Progress) -> Progress:
        if not stretch:
            return replace(progress, finished=True)
        numbered = enumerate(stretch, start=progress.line + 1)
        lines = [self.layout.read(raw, number) for number, (raw, _) in numbered]
        taken = [(line.number, line.record) for line in lines if line.record]
        done = self._written(taken, progress.source)
        flaws = sorted(
            (*(flaw for line in lines for flaw in line.flaws), *done.flaws),
            key=lambda flaw: flaw.line,
        )
        counted = Counted(LISTED, list(progress.flaws), dict(progress.counts))
        counted.add(tuple(flaws))
        refused = len({flaw.line for flaw in flaws if flaw.fault.refuses})
        return replace(
            progress,
            offset=stretch[-1][1],
            line=progress.line + len(stretch),
            identities=progress.identities + len(taken),
            written=progress.written + done.written,
            refused=progress.refused + refused,
            flaws=tuple(counted.listed),
            counts=counted.counts,
        )

    def _written(self, taken: Iterable[Numbered], source: Source) -> _Done:
        """Each writer has the identities of its own: a line never overtakes one of the same IPP."""
        writers = self.ports.writers
        shards: list[list[Numbered]] = [[] for _ in range(writers.count)]
        for number, record in taken:
            shards[zlib.crc32(record.ipp.encode()) % writers.count].append((number, record))

        def write(shard: list[Numbered]) -> _Done:
            batches, done = iter(shard), _Done()
            while batch := list(islice(batches, BATCH)):
                done += self._batch(batch, source)
            return done

        return sum(writers.each(write, shards), start=_Done())

    def _batch(self, batch: Sequence[Numbered], source: Source) -> _Done:
        """Read, decide, write; again when somebody was quicker or the table is too busy."""
        for attempt in range(TRIES):
            if attempt:
                self.ports.wait(FIRST_WAIT_S * 2**attempt)
            try:
                done = self._tried(batch, source)
            except Unavailable:
                continue
            if done:
                return done
        raise Unavailable(Reason.STORE_UNAVAILABLE)

    def _tried(self, batch: Sequence[Numbered], source: Source) -> _Done | None:
        filed = self._known([record for _, record in batch])
        known = {ipp: each.kept for ipp, each in filed.items()}
        flaws: list[Flaw] = []
        for number, record in batch:
            told = tell(record, number, source, family_of(_named(record), known))
            known |= {kept.identity.ipp: kept for kept in told.changes}
            flaws += [Flaw(number, *told.fault)] if told.fault else []
        changes = [
            Revision(kept, filed.get(ipp))
            for ipp, kept in known.items()
            if ipp not in filed or kept != filed[ipp].kept
        ]
        now = self.ports.now()
        if changes and not self.ports.base.write(self.establishment, changes, "", now):
            return None
        changed = {change.kept.identity.ipp for change in changes}
        return _Done(len(changed & {record.ipp for _, record in batch}), tuple(flaws))

    def _known(self, records: Iterable[PatientRecord]) -> dict[str, Filed]:
        """The identities of these lines, and all that hang together with them."""
        wanted = {ipp for record in records for ipp in _named(record)}
        known: dict[str, Filed] = {}
        asked: set[str] = set()
        while wanted:
            asked |= wanted
            found = self.ports.base.read(self.establishment, sorted(wanted)).identities
            known |= found
            wanted = {n for f in found.values() for n in f.kept.identity.neighbours()} - asked
        return known


def _named(record: PatientRecord) -> tuple[str, ...]:
    """The identities that a line speaks of."""
    return (record.ipp, record.merged_into) if record.merged_into else (record.ipp,)
