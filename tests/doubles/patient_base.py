"""The patient base in memory, and the ports of the feed around it."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from pfi.errors import Unavailable
from pfi.ins.concordance import inactive
from pfi.ins.feeding import Kept
from pfi.ins.identity import PatientRecord, Traits
from pfi.ins.keys import ins_key, pointers, traits_key
from pfi.ins.statements import loaded
from pfi.journey.patient_base import Filed, Reading, Revision
from pfi.journey.settings import FeedSettings, Settings
from pfi.names import Reason
from tests.doubles.memory import Clock, MemoryStore, MemoryTable

FEED = FeedSettings(id="gam", establishment="ch", ipp_authority="CH-EXEMPLE&1.2.3.4.5&ISO")


class MemoryPatientBase:
    """Identities by establishment and IPP; pointers as the real table keeps them."""

    def __init__(self) -> None:
        self.filed: dict[tuple[str, str], Filed] = {}
        self.pointers: dict[str, set[tuple[str, str]]] = defaultdict(set)
        self.messages: dict[tuple[str, str], datetime] = {}
        self.fed: dict[str, datetime] = {}
        self.down = 0

    def find(self, establishment: str, matricule: str, oid: str) -> tuple[PatientRecord, ...]:
        return self._found(ins_key(establishment, matricule, oid))

    def twins(self, establishment: str, traits: Traits) -> tuple[PatientRecord, ...]:
        found = self._found(traits_key(establishment, traits))
        return tuple(record for record in found if not inactive(record))

    def get(self, establishment: str, ipp: str) -> PatientRecord | None:
        filed = self.filed.get((establishment, ipp))
        return filed.kept.record if filed else None

    def read(self, establishment: str, ipps: Iterable[str], message: str = "") -> Reading:
        if self.down:
            self.down -= 1
            raise Unavailable(Reason.STORE_UNAVAILABLE)
        here = {ipp: self.filed.get((establishment, ipp)) for ipp in ipps}
        found = {ipp: filed for ipp, filed in here.items() if filed}
        heard = (establishment, message) in self.messages
        return Reading(found, heard, self.fed.get(establishment) if message else None)

    def write(
        self, establishment: str, changes: Sequence[Revision], message: str, now: datetime
    ) -> bool:
        known = [(establishment, each.kept.record.ipp) for each in changes]
        current = [self.filed[key].revision if key in self.filed else 0 for key in known]
        expected = [each.before.revision if each.before else 0 for each in changes]
        if current != expected or (establishment, message) in self.messages:
            return False
        for each in changes:
            self._file(establishment, each.kept)
        if message:
            self.messages[establishment, message] = now
        return True

    def put(self, establishment: str, records: Iterable[PatientRecord]) -> int:
        kept = [Kept(loaded(record), record) for record in records]
        for each in kept:
            self._file(establishment, each)
        return len(kept)

    def fed_at(self, establishment: str) -> datetime | None:
        return self.fed.get(establishment)

    def note_fed(self, establishment: str, now: datetime) -> None:
        self.fed[establishment] = now

    def _file(self, establishment: str, kept: Kept) -> None:
        key = (establishment, kept.record.ipp)
        old = self.filed.get(key)
        for pointer in pointers(establishment, old.kept.record) if old else ():
            self.pointers[pointer].discard(key)
        for pointer in pointers(establishment, kept.record):
            self.pointers[pointer].add(key)
        self.filed[key] = Filed(kept, (old.revision if old else 0) + 1)

    def _found(self, pointer: str) -> tuple[PatientRecord, ...]:
        found = [self.filed[key].kept.record for key in self.pointers.get(pointer, ())]
        return tuple(sorted(found, key=lambda record: record.ipp))


class MemoryMessages(MemoryStore):
    """A store that also keeps messages."""

    def put_message(self, message: str, raw: bytes) -> str:
        self.objects[f"feed/{message}.hl7"] = raw
        return f"feed/{message}.hl7"


@dataclass
class MemoryFeed:
    """All ports of the feed in memory."""

    settings: Settings = field(default_factory=Settings)
    base: MemoryPatientBase = field(default_factory=MemoryPatientBase)
    store: MemoryMessages = field(default_factory=MemoryMessages)
    table: MemoryTable = field(default_factory=MemoryTable)
    now: Callable[[], datetime] = field(default_factory=Clock)
