"""The pace of a DPI that takes one message at a time, or wants a pause after each.

One row per DPI says from when on it may be spoken to. Whoever takes the turn moves that moment
beyond its own life, the end of its exchange moves it back to now and the pause: a worker that dies
holds the others up for as long as it might have lived, never for ever. A DPI without such a wish
costs no call (docs/decisions/0018).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from pfi.errors import Unavailable
from pfi.journey.ledger import Ledger, Versioned
from pfi.journey.settings import DpiSettings


@dataclass(frozen=True, slots=True)
class Pace:
    """Whose turn it is to speak to one DPI."""

    target: DpiSettings
    ledger: Ledger

    def busy(self) -> bool:
        """True when it is of no use to build a message now."""
        return self.target.paced and self._free_at(self._known()) > self.ledger.now()

    @contextmanager
    def turn(self, life: timedelta) -> Iterator[bool]:
        """True for whoever may speak to the DPI inside the block, which ends within `life`."""
        if not self.target.paced:
            yield True
            return
        mine = self._take(life)
        try:
            yield mine is not None
        finally:
            if mine is not None:
                self._free(mine)

    def _take(self, life: timedelta) -> int | None:
        """The revision of our claim; None when it is somebody else's turn."""
        known, now = self._known(), self.ledger.now()
        if self._free_at(known) > now:
            return None
        until = now + life + self._pause
        put = self.ledger.free_at_put(self.target.id, until, known.revision)
        return (known.revision or 0) + 1 if self.ledger.write(put) else None

    def _free(self, mine: int) -> None:
        """What the DPI answered must not be lost because this write fails: the claim ends alone."""
        free_at = self.ledger.now() + self._pause
        try:
            self.ledger.write(self.ledger.free_at_put(self.target.id, free_at, mine))
        except Unavailable:
            return

    @property
    def _pause(self) -> timedelta:
        return timedelta(seconds=self.target.min_interval_s)

    def _known(self) -> Versioned[datetime | None]:
        return self.ledger.free_at(self.target.id)

    def _free_at(self, known: Versioned[datetime | None]) -> datetime:
        return known.record or self.ledger.now()
