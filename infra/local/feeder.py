"""Metrics the emulator does not make: from the EMF lines of the logs and the depths of the queues.

On AWS, CloudWatch extracts metrics from EMF lines and SQS publishes its own; the emulator does
neither, and alarms would stay silent for ever. Figures of the AWS/SQS namespace: "Available
CloudWatch metrics for Amazon SQS" (SQS developer guide); EMF: "Embedded metric format
specification" (CloudWatch user guide).
"""

from __future__ import annotations

import http.client
import json
import logging
import threading
import time
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from infra.local.aws import arguments
from infra.local.emulator import connected

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from mypy_boto3_cloudwatch.type_defs import MetricDatumTypeDef
    from mypy_boto3_logs.type_defs import FilteredLogEventTypeDef

LOOK_BACK_MS = 15_000
"""How late a line may appear behind the newest one read, and how long lines are remembered."""
PAGE = 10_000
DATA_PER_CALL = 500
VALUES_PER_DATUM = 150

Line = tuple[str, int, str, int]
"""Stream, time, text, rank among equals: the emulator gives its events no identifier."""

_log = logging.getLogger(__name__)


class Feeder:
    """Publishes every `interval_s`, in a thread, what the stack's alarms look at."""

    def __init__(
        self,
        environment: Mapping[str, str],
        queues: Mapping[str, str],
        log_group_prefix: str,
        interval_s: float = 5.0,
    ) -> None:
        """Queues are name → URL; lines written before now are left alone."""
        self._queues = dict(queues)
        self._prefix = log_group_prefix
        self._interval = interval_s
        self._environment = dict(environment)
        self._sqs = boto3.client("sqs", **arguments(environment))
        self._logs = boto3.client("logs", **arguments(environment))
        self._metrics = boto3.client("cloudwatch", **arguments(environment))
        self._began_ms = int(time.time() * 1000)
        self._seen: dict[str, set[Line]] = {}
        self._newest: dict[str, int] = {}
        self._end = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Feed in the background until `stop`."""
        self._end.clear()
        self._thread = threading.Thread(target=self._feed_forever, daemon=True, name="feeder")
        self._thread.start()

    def stop(self) -> None:
        """End the thread and close the connections."""
        self._end.set()
        if self._thread:
            self._thread.join()
        for client in (self._sqs, self._logs, self._metrics):
            client.close()

    def feed_once(self) -> int:
        """Publish what is new in the logs and the present depths; how many figures were sent."""
        figures: dict[str, list[MetricDatumTypeDef]] = {"AWS/SQS": []}
        for group in self._log_groups():
            for line in self._new_lines(group):
                for namespace, data in emf_data(line):
                    figures.setdefault(namespace, []).extend(data)
        for name, url in self._queues.items():
            figures["AWS/SQS"].extend(self._depths(name, url))
        for namespace, data in figures.items():
            self._publish(namespace, data)
        return sum(map(len, figures.values()))

    def _feed_forever(self) -> None:
        while not self._end.wait(self._interval):
            try:
                self.feed_once()
            except (BotoCoreError, ClientError, OSError, http.client.HTTPException) as error:
                _log.warning("metrics not fed: %s", type(error).__name__)

    def _log_groups(self) -> Iterator[str]:
        for page in self._logs.get_paginator("describe_log_groups").paginate(
            logGroupNamePrefix=self._prefix
        ):
            for group in page["logGroups"]:
                yield group["logGroupName"]

    def _new_lines(self, group: str) -> list[str]:
        """Each line once, even when publishing it fails: a figure too few beats a false alarm."""
        newest = self._newest.get(group, 0)
        read = dict(_identified(self._events(group, max(self._began_ms, newest - LOOK_BACK_MS))))
        new = [text for line, text in read.items() if line not in self._seen.get(group, ())]
        newest = max([newest, *(line[1] for line in read)])
        self._newest[group] = newest
        # Only lines inside the next look-back can come again.
        self._seen[group] = {line for line in read if line[1] >= newest - LOOK_BACK_MS}
        return new

    def _events(self, group: str, since: int) -> list[FilteredLogEventTypeDef]:
        """All EMF lines from `since` on; the emulator cuts at PAGE without a token to go on."""
        found: list[FilteredLogEventTypeDef] = []
        while True:
            page = self._logs.filter_log_events(
                logGroupName=group, filterPattern='"_aws"', startTime=since, limit=PAGE
            )["events"]
            found += page
            if len(page) < PAGE or page[-1]["timestamp"] == since:
                return found
            since = page[-1]["timestamp"]
            found = [event for event in found if event["timestamp"] < since]

    def _depths(self, name: str, url: str) -> Iterator[MetricDatumTypeDef]:
        try:
            attributes = self._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
        except self._sqs.exceptions.QueueDoesNotExist:
            return
        given = attributes["Attributes"]
        visible = int(given.get("ApproximateNumberOfMessages", 0))
        in_flight = int(given.get("ApproximateNumberOfMessagesNotVisible", 0))
        age = self._age_of_oldest(url) if visible or in_flight else 0
        for metric, value, unit in (
            ("ApproximateNumberOfMessagesVisible", visible, "Count"),
            ("ApproximateNumberOfMessagesNotVisible", in_flight, "Count"),
            ("ApproximateAgeOfOldestMessage", age, "Seconds"),
        ):
            yield {
                "MetricName": metric,
                "Dimensions": [{"Name": "QueueName", "Value": name}],
                "Value": float(value),
                "Unit": unit,  # type: ignore[typeddict-item]  # a str here
            }

    def _age_of_oldest(self, url: str) -> int:
        """Through the emulator's own inspection page: its SQS has no such attribute."""
        connection = connected(self._environment)
        try:
            connection.request("GET", f"/_ministack/sqs/messages?QueueUrl={quote(url, safe='')}")
            answer = json.loads(connection.getresponse().read())
        finally:
            connection.close()
        sent = [
            message["SentTimestamp"]
            for regions in answer.get("messages", {}).values()
            for queues in regions.values()
            for messages in queues.values()
            for message in messages
        ]
        return max(0, int(time.time()) - min(sent)) if sent else 0

    def _publish(self, namespace: str, data: list[MetricDatumTypeDef]) -> None:
        for start in range(0, len(data), DATA_PER_CALL):
            self._metrics.put_metric_data(
                Namespace=namespace, MetricData=data[start : start + DATA_PER_CALL]
            )


def emf_data(line: str) -> Iterator[tuple[str, list[MetricDatumTypeDef]]]:
    """Namespace and figures of one log line; nothing when it is not EMF, as CloudWatch does."""
    root = _json_object(line)
    metadata = root.get("_aws")
    directives = metadata.get("CloudWatchMetrics") if isinstance(metadata, dict) else None
    for directive in directives if isinstance(directives, list) else ():
        with suppress(KeyError, TypeError, AttributeError, ValueError):
            yield directive["Namespace"], list(_data(directive, root))


def _data(directive: Mapping[str, Any], root: Mapping[str, Any]) -> Iterator[MetricDatumTypeDef]:
    at = datetime.fromtimestamp(root["_aws"]["Timestamp"] / 1000, UTC)
    for names in directive.get("Dimensions") or [[]]:
        for metric in directive["Metrics"]:
            value = root[metric["Name"]]
            values = [float(one) for one in (value if isinstance(value, list) else [value])]
            for start in range(0, len(values), VALUES_PER_DATUM):
                yield {
                    "MetricName": metric["Name"],
                    "Dimensions": [{"Name": name, "Value": str(root[name])} for name in names],
                    "Timestamp": at,
                    "Values": values[start : start + VALUES_PER_DATUM],
                    "Unit": metric.get("Unit", "None"),
                    "StorageResolution": metric.get("StorageResolution", 60),
                }


def _json_object(line: str) -> dict[str, Any]:
    with suppress(ValueError, RecursionError):
        found = json.loads(line)
        return found if isinstance(found, dict) else {}
    return {}


def _identified(events: Iterable[FilteredLogEventTypeDef]) -> Iterator[tuple[Line, str]]:
    equals: Counter[tuple[str, int, str]] = Counter()
    for event in events:
        same = (event["logStreamName"], event["timestamp"], event["message"])
        equals[same] += 1
        yield (*same, equals[same]), event["message"]
