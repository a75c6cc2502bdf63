"""The hospital's patient base: corrected once in a run, and read late for a moment after that."""

from dataclasses import replace

from pfi.adapters.csv_patients import ListedPatients
from pfi.ins.identity import PatientRecord, Traits
from pfi.journey.push import FRESH
from tests.data.builders import EVERYBODY
from tests.simulation.population import ADMITTED, STRUCK, Letter
from tests.simulation.weather import Weather
from tests.simulation.world import World

_ALWAYS = tuple(each.record for each in EVERYBODY)
BEFORE = ListedPatients((*_ALWAYS, STRUCK.record))
AFTER = ListedPatients((*_ALWAYS, replace(STRUCK, attributes=("DOUT",)).record, ADMITTED.record))
"""One patient became doubtful, one was admitted."""
LATE_S = 60
"""How long a read may still give what was there before (an index follows its table)."""
ON_THE_WAY_S = 300
"""Between the last look at the base and the first byte at the DPI."""


class ChangingBase:
    """The `Patients` port; knows for whom a message may leave now."""

    def __init__(self, world: World, weather: Weather) -> None:
        self.world, self.weather = world, weather

    def find(self, establishment: str, matricule: str, oid: str) -> tuple[PatientRecord, ...]:
        return self._read().find(establishment, matricule, oid)

    def get(self, establishment: str, ipp: str) -> PatientRecord | None:
        return self._read().get(establishment, ipp)

    def twins(self, establishment: str, traits: Traits) -> tuple[PatientRecord, ...]:
        return self._read().twins(establishment, traits)

    def may_leave(self, letter: Letter, sends: int) -> bool:
        """Never before admission; not long after the identity became doubtful. A repeat of bytes
        that may already be at the DPI is no new decision."""
        if not letter.changing:
            return letter.good
        if letter.patient is ADMITTED:
            return self._since() >= 0
        return sends > 1 or self._since() <= FRESH.total_seconds() + LATE_S + ON_THE_WAY_S

    def _since(self) -> float:
        return self.world.elapsed - self.weather.base_changes_at

    def _read(self) -> ListedPatients:
        since = self._since()
        if since < 0 or (since < LATE_S and self.fault("stale_read")):
            return BEFORE
        return AFTER

    def fault(self, _kind: str) -> bool:
        """Given by the run."""
        return False
