"""One line and the metrics of an outcome: the only place that writes logs.

Values are digests, enums, numbers, bools (see `pfi.journey.outcome`): a free text cannot get in.
Of an unexpected error only the type and the frames are kept, never its message: it may quote a
mail (codebases §D5).
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import PurePath
from traceback import extract_tb
from typing import Any, Final

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import MetricUnit, single_metric

from pfi.errors import Misconfigured, PfiError
from pfi.journey.outcome import Code, Configured, Digest, Fact, Log, Metric, Outcome
from pfi.names import Step

NAMESPACE: Final = "PFI"
_UNITS: Final = {
    Metric.DPI_ROUND_TRIP_MS: MetricUnit.Milliseconds,
    Metric.ARRIVAL_TO_ACK_MS: MetricUnit.Milliseconds,
    Metric.HANDED_BACK_AGE_SECONDS: MetricUnit.Seconds,
    Metric.POLL_AGE_SECONDS: MetricUnit.Seconds,
    Metric.FEED_AGE_SECONDS: MetricUnit.Seconds,
}
_DIMENSIONS: Final[Mapping[Metric, tuple[tuple[str, ...], ...]]] = {
    Metric.MAILS_SETTLED: (("route",), ("route", "reason")),
    Metric.INTEGRATED_SHARE: (("establishment",), ("sender",)),
    Metric.DOCUMENTS_REFUSED: (("dpi",),),
    Metric.DPI_ROUND_TRIP_MS: (("dpi",),),
    Metric.STEP_ERRORS: (("step",),),
}
"""Facts that a metric is split by, once per set; the others have none. Each combination that
occurs is a metric that CloudWatch bills."""
_FRAMES: Final = 8


def _plain(fact: Fact) -> Any:
    if isinstance(fact, Digest | Code):
        return fact.value
    if isinstance(fact, Configured):
        return fact.word
    if fact is None or isinstance(fact, int | bool):
        return fact
    return fact.value


class RunFailed(Exception):
    """Ends a run by the clock as an error; carries nothing."""


class Telemetry:
    """Lines through Powertools Logger, metrics as EMF through Powertools Metrics."""

    def __init__(self, step: Step) -> None:
        self.step = step
        self.logger = Logger(
            service=step.value,
            level="INFO",
            log_uncaught_exceptions=False,
            location=None,  # always this module
            xray_trace_id=None,  # no traces are kept (docs/decisions/0014)
        )

    def emit(self, outcome: Outcome, **more: Fact) -> None:
        """One line; the metrics of the outcome."""
        facts = {name: _plain(value) for name, value in {**outcome.facts, **more}.items()}
        write = {"INFO": self.logger.info, "WARNING": self.logger.warning}.get(
            outcome.log.level, self.logger.error
        )
        write(outcome.log.sentence, code=outcome.log.name, **facts)
        for metric, value in outcome.counts.items():
            for dimensions in self._dimensions(metric, facts):
                self._metric(metric, value, dimensions)

    def _dimensions(self, metric: Metric, facts: dict[str, Any]) -> Iterator[dict[str, str]]:
        """A set with a fact that is None is left out: an integrated mail has no reason."""
        given = {**facts, "step": self.step.value}
        for names in _DIMENSIONS.get(metric, ((),)):
            found = {name: given[name] for name in names}
            if None not in found.values():
                yield found

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

    @contextmanager
    def last_net(self) -> Iterator[None]:
        """Around a run by the clock: Lambda prints the text of whatever escapes, so nothing with a
        text does. The invocation still ends as an error, and its alarm rings."""
        try:
            yield
        except PfiError as error:
            self.failed(error)
            raise RunFailed from None
        except Exception as error:
            self.unexpected(error)
            raise RunFailed from None

    def failed(self, error: PfiError, **facts: Fact) -> None:
        """A foreseen failure: its reason code."""
        code = error.code if error.code and error.code.isdigit() else None
        outcome = Outcome(Log.JOB_RETRIED, {"reason": error.reason, **facts})
        self.emit(outcome, peer_code=Code(code) if code and len(code) <= 6 else None)
        self._metric(Metric.STEP_ERRORS, 1, {"step": self.step.value})
        if isinstance(error, Misconfigured):
            self._metric(Metric.MISCONFIGURED, 1, {})

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
