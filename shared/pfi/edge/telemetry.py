"""One line and the metrics of an outcome: the only place that writes logs.

Values are digests, enums, numbers, bools (see `pfi.journey.outcome`): a free text cannot get in.
Of an unexpected error only the type and the frames are kept, never its message: it may quote a
mail (codebases §D5).
"""

from collections.abc import Iterable
from pathlib import PurePath
from traceback import extract_tb
from typing import Any, Final

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import MetricUnit, single_metric

from pfi.errors import PfiError
from pfi.journey.outcome import Code, Digest, Fact, Log, Metric, Outcome
from pfi.names import Step

NAMESPACE: Final = "PFI"
_UNITS: Final = {
    Metric.DPI_ROUND_TRIP_MS: MetricUnit.Milliseconds,
    Metric.POLL_AGE_SECONDS: MetricUnit.Seconds,
}
_FRAMES: Final = 8


def _plain(fact: Fact) -> Any:
    if isinstance(fact, Digest | Code):
        return fact.value
    if fact is None or isinstance(fact, int | bool):
        return fact
    return fact.value


class Telemetry:
    """Lines through Powertools Logger, metrics as EMF through Powertools Metrics."""

    def __init__(self, step: Step) -> None:
        self.step = step
        self.logger = Logger(service=step.value, level="INFO", log_uncaught_exceptions=False)

    def emit(self, outcome: Outcome, **more: Fact) -> None:
        """One line; the metrics of the outcome."""
        facts = {name: _plain(value) for name, value in {**outcome.facts, **more}.items()}
        write = {"INFO": self.logger.info, "WARNING": self.logger.warning}.get(
            outcome.log.level, self.logger.error
        )
        write(outcome.log.sentence, code=outcome.log.name, **facts)
        for metric, value in outcome.counts.items():
            self._metric(metric, value, self._dimensions(metric, facts))

    def _dimensions(self, metric: Metric, facts: dict[str, Any]) -> dict[str, str]:
        if metric is Metric.MAILS_SETTLED:
            return {"route": str(facts["route"])}
        return {"step": self.step.value} if metric is Metric.STEP_ERRORS else {}

    def emit_all(self, outcomes: Iterable[Outcome]) -> None:
        """Lines of several outcomes, as they come."""
        for outcome in outcomes:
            self.emit(outcome)

    def measure(self, metric: Metric, value: float, dimensions: dict[str, str]) -> None:
        """One metric with its dimensions, without a line."""
        self._metric(metric, value, dimensions)

    def unexpected(self, error: BaseException, **facts: Fact) -> None:
        """Type and frames of an error that no step foresaw."""
        plain = {name: _plain(value) for name, value in facts.items()}
        self.logger.error(
            Log.JOB_FAILED.sentence,
            code=Log.JOB_FAILED.name,
            error=type(error).__name__,
            frames=frames(error),
            **plain,
        )
        self._metric(Metric.STEP_ERRORS, 1, {"step": self.step.value})

    def failed(self, error: PfiError, **facts: Fact) -> None:
        """A foreseen failure: its reason code."""
        code = error.code if error.code and error.code.isdigit() else None
        outcome = Outcome(Log.JOB_RETRIED, {"reason": error.reason, **facts})
        self.emit(outcome, peer_code=Code(code) if code and len(code) <= 6 else None)
        self._metric(Metric.STEP_ERRORS, 1, {"step": self.step.value})

    def _metric(self, metric: Metric, value: float, dimensions: dict[str, str]) -> None:
        """One EMF line per metric: their dimensions differ, and none is an address."""
        unit = _UNITS.get(metric, MetricUnit.Count)
        with single_metric(
            metric.value, unit, value, namespace=NAMESPACE, default_dimensions=dimensions
        ):
            pass


def frames(error: BaseException) -> list[str]:
    """``module:line function`` of the innermost frames; no source line, no message."""
    found = extract_tb(error.__traceback__)[-_FRAMES:]
    return [f"{PurePath(each.filename).stem}:{each.lineno} {each.name}" for each in found]
