"""What the functions see of Lambda: their context, and where their lines go."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from pfi.edge.telemetry import _plain, frames
from pfi.errors import PfiError
from pfi.names import Step
from tests.simulation import canary
from tests.simulation.world import Broken, World


class Telemetry:
    """Lines go into the trace; each is searched for patient data.

    An error that no step foresaw breaks the run, unless the letter was made to provoke it.
    """

    def __init__(self, world: World, step: Step, *, crashes: bool) -> None:
        self.world, self.step, self.crashes = world, step, crashes

    def emit(self, outcome: Any, **more: Any) -> None:
        facts = {**outcome.facts, **more}
        canary.look("log line", f"{outcome.log.sentence} {[_plain(v) for v in facts.values()]}")
        mail = facts.get("mail")
        about = mail.value[:8] if mail else facts.get("reason", "")
        self.world.note(outcome.log.name, str(about))

    def emit_all(self, outcomes: Iterable[Any]) -> None:
        for outcome in outcomes:
            self.emit(outcome)

    def measure(self, *_metric: object) -> None:
        """Figures hold no words."""

    def unexpected(self, error: BaseException, **facts: Any) -> None:
        if not self.crashes:
            raise Broken(f"unexpected {self.step}: {type(error).__name__} {error}") from error
        plain = [_plain(fact) for fact in facts.values()]
        canary.look("log line", f"{type(error).__name__} {frames(error)} {plain}")
        self.world.note("unexpected", self.step)

    @contextmanager
    def last_net(self) -> Iterator[None]:
        """Around a poll: what escapes it ends the invocation."""
        try:
            yield
        except PfiError as error:
            self.failed(error)
            raise
        except Exception as error:
            self.unexpected(error)

    def failed(self, error: Any, **_facts: object) -> None:
        canary.look("text of an error", f"{error} {error.args} {error.code}")
        self.world.note("comes back", f"{self.step} {error.reason}")


class Context:
    """What Lambda tells a function of its invocation."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.aws_request_id = str(world.workers + 1)  # the number that the worker will have

    def get_remaining_time_in_millis(self) -> int:
        left = self._world.alive().deadline - self._world.clock.now
        return int(left.total_seconds() * 1000)
