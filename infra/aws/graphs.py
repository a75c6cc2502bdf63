"""How the dashboards draw: a graph of three in a row, a line of text, a search for lines."""

from collections.abc import Sequence
from typing import Final

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch

from infra.aws.names import METRICS_NAMESPACE

_HOUR: Final = Duration.hours(1)
Row = Sequence[cloudwatch.IWidget]


def search(name: str, by: Sequence[str], statistic: str, seconds: int) -> str:
    """What CloudWatch looks for: every metric of this name with exactly these dimensions."""
    schema = ",".join((METRICS_NAMESPACE, *by))
    return f"SEARCH('{{{schema}}} MetricName=\"{name}\"', '{statistic}', {seconds})"


def searched(
    name: str, *by: str, statistic: str = "Sum", times: int = 1, label: str = ""
) -> cloudwatch.MathExpression:
    """One line for each value of the dimensions that exists."""
    found = search(name, by, statistic, 3600)
    return cloudwatch.MathExpression(
        expression=found if times == 1 else f"{found} * {times}",
        using_metrics={},
        label=label or f"${{PROP('Dim.{by[0]}')}}",
        period=_HOUR,
    )


def heading(markdown: str) -> cloudwatch.TextWidget:
    """A line of text over the whole width."""
    return cloudwatch.TextWidget(markdown=markdown, width=24, height=1)


def graph(
    title: str, metrics: Sequence[cloudwatch.IMetric], *, stacked: bool = False
) -> cloudwatch.GraphWidget:
    """A third of a row. A line alone bears the title: CloudWatch would show its English name."""
    left = list(metrics)
    if len(left) == 1 and isinstance(left[0], cloudwatch.Metric) and not left[0].label:
        left = [left[0].with_(label=title)]
    return cloudwatch.GraphWidget(title=title, left=left, width=8, height=6, stacked=stacked)
