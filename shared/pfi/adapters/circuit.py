"""A DPI that just refused a connection is not asked again for some seconds.

Each job that meets a dead host would wait out its connect time-out, and with a thousand jobs the
workers do nothing else. Those behind hear `NotAsked`, which is no failed try of theirs. Only what
proves that no byte left opens the circuit; it closes by itself, and for other settings of the same
DPI, say a repaired address, it was never open.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from pfi.errors import Misconfigured, NotAsked, Unavailable
from pfi.hl7.mllp import Message
from pfi.journey.ports import Dpi
from pfi.journey.settings import DpiSettings
from pfi.names import Reason

OPEN_S: Final = 5.0


@dataclass
class Circuits:
    """Of one sandbox, by interface; `clock` counts seconds."""

    clock: Callable[[], float] = time.monotonic
    _open: dict[DpiSettings, tuple[float, Reason]] = field(default_factory=dict)

    def fuse(self, target: DpiSettings, dpi: Callable[[], Dpi]) -> "Fused":
        """The same interface behind its circuit; it is made only when it is asked. Raises NotAsked,
        with the reason of the last fault, while the circuit is open."""
        until, reason = self._open.get(target, (0.0, None))
        if reason is not None and self.clock() < until:
            raise NotAsked(reason)
        return Fused(self, target, dpi)

    def broke(self, target: DpiSettings, reason: Reason) -> None:
        """Nothing left: the next jobs need not try at once."""
        self._open[target] = self.clock() + OPEN_S, reason


@dataclass(frozen=True, slots=True)
class Fused:
    """One interface behind its circuit."""

    circuits: Circuits
    target: DpiSettings
    dpi: Callable[[], Dpi]

    def exchange(self, message: Message, control_id: str) -> bytes:
        """As `MllpDpi.exchange`; a fault opens the circuit."""
        try:
            return self.dpi().exchange(message, control_id)
        except (Unavailable, Misconfigured) as nothing_left:
            self.circuits.broke(self.target, nothing_left.reason)
            raise
