"""Every alarm of the core stack rings when its condition is there, and tells it once.

The alarms are those that CloudFormation made in the emulator, whatever they are: a new one is
tried without being named here. What the emulator leaves out of its judgement (periods in a row,
silence) is judged by `tests.infra.cloudwatch`, over what the product emits and how often.
"""

import json
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import accumulate
from typing import Any

import pytest

from infra.aws.names import STEPS, Target
from infra.local.emulator import Emulator
from infra.local.fast_deploy import fast_deploy
from pfi.journey.hold import LATEST_S
from pfi.journey.outcome import Metric
from pfi.journey.settings import RetrySettings
from tests.contracts.emulator_fixture import Aws, let_topics_send, queue_arn
from tests.infra.cloudwatch import breaches, rings

pytestmark = pytest.mark.filterwarnings("ignore")

MINUTE, DAY = 60, 86_400
CHANGE_S = 8.0
"""Bad data are dated so that they leave an alarm's window so many seconds after they were sent."""
OF_AWS = {
    ("AWS/SQS", "ApproximateNumberOfMessagesVisible"): "QueueName",
    ("AWS/SQS", "ApproximateAgeOfOldestMessage"): "QueueName",
    ("AWS/Lambda", "Errors"): "FunctionName",
    ("AWS/Lambda", "Throttles"): "FunctionName",
}
"""What AWS measures by itself ("Available CloudWatch metrics" of SQS, "Types of metrics" of
Lambda), and the only dimension it is measured by that an alarm here may use."""


@dataclass
class Ward:
    """The deployed stack, a pager at the end of its topic, and what the pager has heard."""

    aws: Aws
    alarms: list[dict[str, Any]]
    pager: str
    heard: Counter[str] = field(default_factory=Counter)

    def measure(self, alarm: dict[str, Any], value: float, at: float) -> None:
        datum = {
            "MetricName": alarm["MetricName"],
            "Dimensions": alarm.get("Dimensions", []),
            "Timestamp": datetime.fromtimestamp(at, UTC),
            "Value": value,
        }
        self.aws("cloudwatch").put_metric_data(Namespace=alarm["Namespace"], MetricData=[datum])

    def measure_all(self, now: float, *, bad: bool) -> None:
        """One value for each metric; a bad one soon leaves the window of its alarms again."""
        for alarms in self.by_metric().values():
            window = max(each["Period"] * each["EvaluationPeriods"] for each in alarms)
            at = now - window + CHANGE_S if bad else now
            self.measure(alarms[0], figure(*alarms, bad=bad), at)

    def by_metric(self) -> dict[str, list[dict[str, Any]]]:
        """A certificate that runs out has three alarms on one metric."""
        found: dict[str, list[dict[str, Any]]] = {}
        for each in self.alarms:
            key = [each["Namespace"], each["MetricName"], each.get("Dimensions", [])]
            found.setdefault(json.dumps(key), []).append(each)
        return found

    def states(self) -> dict[str, str]:
        pages = self.aws("cloudwatch").get_paginator("describe_alarms").paginate()
        return {a["AlarmName"]: a["StateValue"] for page in pages for a in page["MetricAlarms"]}

    def listen(self) -> Counter[str]:
        """How often each alarm has been told so far."""
        while messages := self.aws.receive(self.pager, wait=0):
            for each in messages:
                told = json.loads(json.loads(each["Body"])["Message"])
                assert told["NewStateValue"] == "ALARM"
                assert "docs/operate/" in told["AlarmDescription"]
                self.heard[told["AlarmName"]] += 1
                self.aws("sqs").delete_message(
                    QueueUrl=self.pager, ReceiptHandle=each["ReceiptHandle"]
                )
        return self.heard


def figure(*alarms: dict[str, Any], bad: bool) -> float:
    """A value next to a threshold, on the bad side of all these alarms or on the good one."""
    near = (alarm["Threshold"] + step for alarm in alarms for step in (0, 1, -1))
    return next(value for value in near if all(breaches(a, value) is bad for a in alarms))


@pytest.fixture(scope="module")
def ward(tmp_path_factory, local) -> Iterator[Ward]:
    with (
        Emulator(tmp_path_factory.mktemp("emulator")) as emulator,
        Aws(emulator.environment()) as aws,
    ):
        outputs = fast_deploy(emulator.environment(), local.folder, "Pfi")
        pages = aws("cloudwatch").get_paginator("describe_alarms").paginate()
        pager = aws.queue("pager")
        let_topics_send(aws("sqs"), pager)
        aws("sns").subscribe(
            TopicArn=outputs["AlarmTopicArn"], Protocol="sqs", Endpoint=queue_arn(pager)
        )
        yield Ward(aws, [each for page in pages for each in page["MetricAlarms"]], pager)


def test_every_alarm_of_the_template_is_there_to_be_tried(ward, local):
    made = {each["AlarmName"] for each in local.all("AWS::CloudWatch::Alarm").values()}
    assert {each["AlarmName"] for each in ward.alarms} == made
    assert len(made) > 30


def test_each_alarm_rings_once_per_change_of_state_and_falls_silent_on_good_data(ward):
    names = {each["AlarmName"] for each in ward.alarms}
    for round_ in (1, 2):
        now = time.time()
        ward.measure_all(now, bad=True)
        ward.measure_all(now, bad=True)  # worse still, and no second call
        assert {name for name, state in ward.states().items() if state != "ALARM"} == set()
        assert ward.listen() == dict.fromkeys(names, round_)
        time.sleep(max(0.0, now + CHANGE_S + 0.5 - time.time()))
        ward.measure_all(time.time(), bad=False)
        assert {name for name, state in ward.states().items() if state != "OK"} == set()
        assert ward.listen() == dict.fromkeys(names, round_)


def test_a_datum_of_another_dimension_rings_nothing(ward):
    [alarm] = [each for each in ward.alarms if each["AlarmName"] == "pfi-parse-dlq"]
    other = {"Name": "QueueName", "Value": "somebody-else"}
    before = ward.states()
    ward.measure({**alarm, "Dimensions": [other]}, figure(alarm, bad=True), time.time())
    assert ward.states() == before


def test_every_alarm_looks_at_something_that_is_measured(ward):
    """Metrics of the product: their dimensions are compared with real output in
    `test_observability`; here, that the queue, function or step of the name exists."""
    queues = ward.aws("sqs").list_queues()["QueueUrls"]
    functions = ward.aws("lambda").list_functions()["Functions"]
    known = {
        "QueueName": {url.rpartition("/")[2] for url in queues},
        "FunctionName": {each["FunctionName"] for each in functions},
        "step": set(STEPS),
    }
    for each in ward.alarms:
        given = {one["Name"]: one["Value"] for one in each.get("Dimensions", ())}
        what = (each["Namespace"], each["MetricName"])
        if what[0] == "PFI":
            assert what[1] in set(Metric), each["AlarmName"]
        else:
            assert set(given) == {OF_AWS[what]}, each["AlarmName"]
        for name, value in given.items():
            assert value in known.get(name, {value}), each["AlarmName"]


DAILY = ("certificates", "retain")


def moments(alarm: dict[str, Any]) -> list[float]:
    """When the product emits a bad value while the condition lasts, in seconds from its start."""
    given = {each["Name"]: each["Value"] for each in alarm.get("Dimensions", ())}
    if alarm["MetricName"] in (Metric.MAILS_UNACCOUNTED, Metric.SLICES_UNPROVEN):
        return _hourly()
    if alarm["Namespace"] != "PFI" or alarm["MetricName"] == Metric.POLL_AGE_SECONDS:
        return [float(at) for at in range(0, DAY, MINUTE)]
    if alarm["MetricName"] == Metric.HANDED_BACK_AGE_SECONDS:  # by one document and no other
        return [float(at) for at in range(0, DAY, 2 * LATEST_S)]
    if alarm["MetricName"] == Metric.STEP_ERRORS and given["step"] not in DAILY:
        return _tries(given["step"])
    return [0.0]  # an event, or a daily look: the one datum must do


def _hourly() -> list[float]:
    """A run ends up to ten minutes later in its hour than another one."""
    late = (0, 10, 5, 10)
    return [60.0 * (60 * hour + late[hour % len(late)]) for hour in range(24)]


def _tries(step: str) -> list[float]:
    """Of one job and no other: the least that a lasting fault emits."""
    if step == "collect":
        return [float(at) for at in range(0, DAY, MINUTE)]
    if step == "review":  # no back-off of its own: as often as a dead letter can be seen again
        return [float(at) for at in range(0, DAY, STEPS[step].visibility_on(Target.AWS))]
    waits = RetrySettings().backoff_s
    return [0.0, *accumulate(map(float, waits))]


def test_every_alarm_rings_within_two_days_however_its_periods_lie(ward):
    """By the rules of CloudWatch, over what a lasting fault emits: a period longer than the pause
    between two tries, or more bad periods than tries, would keep an alarm silent for ever."""
    for alarm in ward.alarms:
        bad = figure(alarm, bad=True)
        for phase in range(0, alarm["Period"], max(15, alarm["Period"] // 60)):
            data = [(phase + at, bad) for at in moments(alarm)]
            assert rings(alarm, data, 2 * DAY), (alarm["AlarmName"], phase)


SILENCE_IS_BAD = {"pfi-poll-age", "pfi-unaccounted"}
"""Told every minute, and every hour: when nothing comes, nobody looks any more."""


def test_good_data_ring_nothing_and_silence_only_of_the_poller_and_of_the_account(ward):
    for alarm in ward.alarms:
        good = [(float(at), figure(alarm, bad=False)) for at in range(0, DAY, MINUTE)]
        if alarm["Statistic"] == "Sum":
            good = [(at, min(0.0, value)) for at, value in good]
        assert not rings(alarm, good, DAY), alarm["AlarmName"]
        silent = alarm["AlarmName"] not in SILENCE_IS_BAD
        assert rings(alarm, [], DAY) is not silent, alarm["AlarmName"]


def test_an_account_that_is_made_every_hour_keeps_its_alarm_silent(ward):
    """However the hours of CloudWatch lie, and although one run takes longer than another."""
    [alarm] = [each for each in ward.alarms if each["AlarmName"] == "pfi-unaccounted"]
    for phase in range(0, alarm["Period"], MINUTE):
        data = [(phase + at, 0.0) for at in _hourly()]
        assert not rings(alarm, [(0.0, 0.0), *data], 23 * 3600), phase
        stopped = [each for each in data if each[0] < DAY / 2]
        assert rings(alarm, stopped, DAY), phase


def test_one_bad_period_alone_does_not_ring_where_two_are_asked_for(ward):
    for alarm in ward.alarms:
        once = [(alarm["Period"] * 2.0, figure(alarm, bad=True))]
        rang = rings({**alarm, "TreatMissingData": "notBreaching"}, once, 4 * DAY)
        assert rang is (alarm["EvaluationPeriods"] == 1), alarm["AlarmName"]
