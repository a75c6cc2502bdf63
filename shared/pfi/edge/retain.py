"""The daily function that keeps bodies from expiring: the clock's side of `pfi.journey.retain`."""

from collections.abc import Callable
from typing import Any

from pfi.edge.telemetry import Telemetry
from pfi.edge.wiring import services
from pfi.errors import Misconfigured
from pfi.journey.retain import retain
from pfi.names import Reason, Step


def retain_function() -> Callable[[dict[str, Any], Any], None]:
    """A Lambda run by the clock. Of how long bodies live only the stack knows."""
    telemetry = Telemetry(Step.RETAIN)

    def handler(_event: dict[str, Any], _context: Any) -> None:
        with telemetry.last_net():
            ports = services()
            if not ports.names.mail_days:
                raise Misconfigured(Reason.SETTING_MISSING)
            telemetry.emit_all(retain(ports, ports.names.mail_days))

    return handler
