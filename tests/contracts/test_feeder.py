"""Alarms ring in the emulator because the feeder makes the metrics AWS would make."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from infra.local import feeder as feeder_module
from infra.local.feeder import Feeder, emf_data
from tests.contracts.emulator_fixture import Aws, aws, emulator, eventually, queue_arn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.local.emulator import Emulator

__all__ = ["aws", "emulator"]  # fixtures

AT = 1_790_000_000_000
EMF = {
    "_aws": {
        "Timestamp": AT,
        "CloudWatchMetrics": [
            {
                "Namespace": "PFI",
                "Dimensions": [["service"], ["service", "dpi"]],
                "Metrics": [
                    {"Name": "Latency", "Unit": "Milliseconds"},
                    {"Name": "Mails", "Unit": "Count", "StorageResolution": 1},
                ],
            }
        ],
    },
    "service": "push",
    "dpi": "north",
    "Latency": [12, 8.5],
    "Mails": 1,
    "message": "not a metric",
}
EMITTER = """
import json, time
def handle(event, context):
    print("a line like any other")
    for _ in range(2):
        print(json.dumps({"_aws": {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [
            {"Namespace": "Fed", "Dimensions": [["service"]],
             "Metrics": [{"Name": "Mails", "Unit": "Count"}]}]}, "service": "match", "Mails": 3}))
"""


@pytest.fixture
def logs(aws: Aws) -> str:
    """A fresh log group with one stream."""
    group = f"/aws/lambda/fed-{time.monotonic_ns()}"
    aws("logs").create_log_group(logGroupName=group)
    aws("logs").create_log_stream(logGroupName=group, logStreamName="s")
    return group


@pytest.fixture
def feeder(emulator: Emulator, logs: str) -> Iterator[Feeder]:
    fed = Feeder(emulator.environment(), {}, logs)
    yield fed
    fed.stop()


def write(aws: Aws, group: str, *lines: str, later_ms: int = 0) -> None:
    now = int(time.time() * 1000) + later_ms
    aws("logs").put_log_events(
        logGroupName=group,
        logStreamName="s",
        logEvents=[{"timestamp": now, "message": line} for line in lines],
    )


def fed_sum(aws: Aws, namespace: str, metric: str, **dimensions: str) -> float:
    now = time.time()
    points = aws("cloudwatch").get_metric_statistics(
        Namespace=namespace,
        MetricName=metric,
        Dimensions=[{"Name": name, "Value": value} for name, value in dimensions.items()],
        StartTime=now - 600,
        EndTime=now + 600,
        Period=60,
        Statistics=["Sum"],
    )["Datapoints"]
    return sum(float(point["Sum"]) for point in points)


def test_values_units_times_and_dimension_sets_are_kept() -> None:
    ((namespace, data),) = emf_data(json.dumps(EMF))
    at = datetime.fromtimestamp(AT / 1000, UTC)
    service, dpi = ({"Name": name, "Value": EMF[name]} for name in ("service", "dpi"))
    assert namespace == "PFI"
    assert data == [
        {
            "MetricName": name,
            "Dimensions": dimensions,
            "Timestamp": at,
            "Values": values,
            "Unit": unit,
            "StorageResolution": resolution,
        }
        for dimensions in ([service], [service, dpi])
        for name, values, unit, resolution in (
            ("Latency", [12.0, 8.5], "Milliseconds", 60),
            ("Mails", [1.0], "Count", 1),
        )
    ]


@pytest.mark.parametrize(
    "line",
    [
        "",
        "plain _aws text",
        "[1]",
        '{"_aws": 3}',
        '{"_aws": {"CloudWatchMetrics": [{"Namespace": "x"}]}}',
        '{"_aws": {"CloudWatchMetrics": [{"Namespace": "x", "Metrics": [{"Name": "absent"}]}]}}',
        '{"_aws": {"CloudWatchMetrics": ["x", null]}}',
        '{"_aws": {"CloudWatchMetrics": 3}}',
        '{"_aws": ',
        "[" * 100_000,
    ],
)
def test_other_lines_give_nothing(line: str) -> None:
    assert list(emf_data(line)) == []


def test_figures_of_a_function_become_metrics_once(emulator: Emulator, aws: Aws) -> None:
    feeder = Feeder(emulator.environment(), {}, "/aws/lambda/emitter")
    try:
        aws.function("emitter", EMITTER)
        aws("lambda").invoke(FunctionName="emitter")["Payload"].close()
        # Two equal lines at one instant are two figures.
        assert feeder.feed_once() == 2
        assert feeder.feed_once() == 0
        aws("lambda").invoke(FunctionName="emitter")["Payload"].close()
        assert feeder.feed_once() == 2
        assert fed_sum(aws, "Fed", "Mails", service="match") == 12
    finally:
        feeder.stop()


def test_lines_of_before_are_left_alone_and_late_ones_are_taken(
    aws: Aws, logs: str, feeder: Feeder
) -> None:
    line = json.dumps({**EMF, "message": "late"})
    write(aws, logs, line, later_ms=-60_000)
    assert feeder.feed_once() == 0
    write(aws, logs, line, later_ms=8_000)
    assert feeder.feed_once() == 4
    write(aws, logs, line, later_ms=1_000)
    assert feeder.feed_once() == 4
    assert feeder.feed_once() == 0


def test_more_lines_than_a_page_are_all_read(
    aws: Aws, logs: str, feeder: Feeder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeder_module, "PAGE", 5)
    for shift in range(4):
        write(aws, logs, *[json.dumps({**EMF, "n": n}) for n in range(3)], later_ms=shift)
    assert feeder.feed_once() == 12 * 4
    assert feeder.feed_once() == 0


def test_memory_of_lines_is_bounded(aws: Aws, logs: str, feeder: Feeder) -> None:
    write(aws, logs, json.dumps(EMF))
    feeder.feed_once()
    write(aws, logs, json.dumps(EMF), later_ms=feeder_module.LOOK_BACK_MS + 1000)
    feeder.feed_once()
    assert [len(lines) for lines in feeder._seen.values()] == [1]


def test_depths_and_age_of_a_queue_are_published(emulator: Emulator, aws: Aws) -> None:
    queue = aws.queue("measured", VisibilityTimeout="900")
    feeder = Feeder(emulator.environment(), {"measured": queue}, "/none")
    try:
        for _ in range(3):
            aws("sqs").send_message(QueueUrl=queue, MessageBody="job")
        aws("sqs").receive_message(QueueUrl=queue)
        time.sleep(2.1)
        assert feeder.feed_once() == 3
    finally:
        feeder.stop()
    name = {"QueueName": "measured"}
    assert fed_sum(aws, "AWS/SQS", "ApproximateNumberOfMessagesVisible", **name) == 2
    assert fed_sum(aws, "AWS/SQS", "ApproximateNumberOfMessagesNotVisible", **name) == 1
    assert fed_sum(aws, "AWS/SQS", "ApproximateAgeOfOldestMessage", **name) in {2, 3}


def test_a_dead_letter_rings_its_alarm_and_no_other(emulator: Emulator, aws: Aws) -> None:
    topic = aws("sns").create_topic(Name="dead-letters")["TopicArn"]
    inbox = aws.queue("inbox")
    aws("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue_arn(inbox))
    queues = {name: aws.queue(name) for name in ("quiet-dlq", "loud-dlq")}
    for name in queues:
        alarm(aws, name, topic)
    aws("sqs").send_message(QueueUrl=queues["loud-dlq"], MessageBody="dead")
    feeder = Feeder(emulator.environment(), queues, "/none", interval_s=0.1)
    feeder.start()
    try:
        received = eventually(lambda: aws.receive(inbox))
    finally:
        feeder.stop()
    rung = [json.loads(json.loads(one["Body"])["Message"])["AlarmName"] for one in received]
    assert rung == ["loud-dlq"]


def alarm(aws: Aws, name: str, topic: str) -> None:
    aws("cloudwatch").put_metric_alarm(
        AlarmName=name,
        Namespace="AWS/SQS",
        MetricName="ApproximateNumberOfMessagesVisible",
        Dimensions=[{"Name": "QueueName", "Value": name}],
        Statistic="Maximum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=0,
        ComparisonOperator="GreaterThanThreshold",
        AlarmActions=[topic],
    )


def test_a_queue_that_is_gone_does_not_stop_the_others(emulator: Emulator, aws: Aws) -> None:
    kept = aws.queue("still-there")
    queues: dict[str, Any] = {"gone": kept.replace("still-there", "gone"), "still-there": kept}
    feeder = Feeder(emulator.environment(), queues, "/none")
    try:
        assert feeder.feed_once() == 3
    finally:
        feeder.stop()
