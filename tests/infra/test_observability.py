"""Alarms that ring, and a dashboard that shows what the product emits."""

import json
import os
import re
import subprocess
import sys

import pytest

from infra.aws.names import CERTIFICATES, CLOCKED, QUEUED, ROUTES, SENDERS, STEPS
from infra.aws.packaging import ROOT
from infra.aws.runbooks import RUNBOOKS, described, page_of
from pfi.journey.outcome import Metric
from pfi.names import Route, SenderClass
from tests.infra.conftest import synthesised


def alarms(stack) -> dict[str, dict]:
    found = stack.all("AWS::CloudWatch::Alarm").values()
    return {each["AlarmName"].removeprefix("pfi-"): each for each in found}


def dimensions(properties: dict) -> frozenset[str]:
    return frozenset(each["Name"] for each in properties.get("Dimensions", ()))


def boards(stack) -> dict[str, list[dict]]:
    """The widgets of each dashboard."""
    return {
        each["DashboardName"]: _widgets(each["DashboardBody"])
        for each in stack.all("AWS::CloudWatch::Dashboard").values()
    }


def _widgets(body) -> list[dict]:
    parts = body["Fn::Join"][1] if isinstance(body, dict) else [body]
    text = "".join(part if isinstance(part, str) else "token" for part in parts)
    return json.loads(text)["widgets"]


def board(stack) -> list[dict]:
    """The widgets of all dashboards."""
    return [widget for widgets in boards(stack).values() for widget in widgets]


SEARCH = re.compile(
    r"SEARCH\('\{([A-Za-z]+),([a-z,]+)\} MetricName=\"([A-Za-z]+)\"', '(\w+)', \d+\)"
)


def plotted(stack) -> set[tuple[str, str, frozenset[str]]]:
    """Namespace, name and dimension names of every line of the dashboard."""
    lines = [line for widget in board(stack) for line in widget["properties"].get("metrics", ())]
    words = [[each for each in line if isinstance(each, str)] for line in lines]
    named = {(each[0], each[1], frozenset(each[2::2])) for each in words if each}
    searched = [found for each in expressions(stack) for found in SEARCH.findall(each)]
    return named | {(space, name, frozenset(by.split(","))) for space, by, name, _ in searched}


def expressions(stack) -> list[str]:
    """What the dashboard has CloudWatch calculate."""
    lines = [line for widget in board(stack) for line in widget["properties"].get("metrics", ())]
    return [line[0]["expression"] for line in lines if isinstance(line[0], dict)]


def test_every_alarm_reaches_the_topic_and_says_what_to_do(aws):
    [topic] = aws.all("AWS::SNS::Topic")
    for name, alarm in alarms(aws).items():
        assert alarm["AlarmActions"] == [{"Ref": topic}], name
        assert alarm["AlarmDescription"].endswith(f". Voir {page_of(name)}."), name
        assert alarm.get("ActionsEnabled", True), name


def test_the_alarms_are_these(aws):
    expected = {"review", "outcome-unknown", "misconfigured", "unaccounted", "poll-age", "feed-age"}
    expected |= {"push-waiting", "unproven"}
    expected |= {f"{step}-errors" for step in STEPS}
    expected |= {f"{step}-throttles" for step in STEPS if step not in CLOCKED}
    expected |= {f"{step}-failing" for step in STEPS}
    expected |= {f"{step}-{what}" for step in QUEUED for what in ("dlq", "age")}
    levels = ("notice", "warning", "urgent")
    expected |= {f"certificate-{peer}-{each}" for peer in CERTIFICATES for each in levels}
    expected |= {f"crl-{peer}" for peer in CERTIFICATES}
    assert set(alarms(aws)) == expected


def test_every_alarm_of_the_runbook_is_in_a_stack_and_has_its_page(aws, guard):
    made = {*alarms(aws), *alarms(guard)}
    assert made == {alarm for each in RUNBOOKS.values() for alarm in each}
    for name, alarm in alarms(guard).items():
        assert alarm["AlarmDescription"].endswith(f". Voir {page_of(name)}."), name
    assert all((ROOT / page_of(name)).is_file() for name in made)


def test_an_alarm_without_a_page_cannot_be_made():
    with pytest.raises(LookupError, match="no page"):
        described("push-mood", "L'étape push est de mauvaise humeur.")


def test_silence_of_the_poller_and_of_the_account_is_an_alarm_and_of_the_others_is_not(aws):
    for name, alarm in alarms(aws).items():
        expected = "breaching" if name in ("poll-age", "unaccounted") else "notBreaching"
        assert alarm["TreatMissingData"] == expected, name
    assert alarms(aws)["poll-age"]["Threshold"] == 300


@pytest.mark.parametrize("step", QUEUED)
def test_a_queue_that_stands_still_rings(aws, step):
    age, dead = alarms(aws)[f"{step}-age"], alarms(aws)[f"{step}-dlq"]
    assert age["MetricName"] == "ApproximateAgeOfOldestMessage"
    assert age["Threshold"] == (3600 if step == "push" else 900)
    assert age["Dimensions"][0]["Value"] == {
        "Fn::GetAtt": [f"{step.capitalize()}Queue", "QueueName"]
    }
    assert dead["MetricName"] == "ApproximateNumberOfMessagesVisible"
    assert (dead["Period"] * dead["EvaluationPeriods"], dead["Threshold"]) == (300, 0)
    assert dead["Dimensions"][0]["Value"] == {
        "Fn::GetAtt": [f"{step.capitalize()}Dlq", "QueueName"]
    }


@pytest.mark.parametrize("peer", CERTIFICATES)
def test_a_certificate_rings_at_sixty_thirty_and_seven_days(aws, peer):
    for level, days in (("notice", 60), ("warning", 30), ("urgent", 7)):
        alarm = alarms(aws)[f"certificate-{peer}-{level}"]
        assert alarm["ComparisonOperator"] == "LessThanOrEqualToThreshold"
        assert (alarm["Threshold"], alarm["Statistic"]) == (days, "Minimum")
        assert alarm["Dimensions"] == [{"Name": "certificate", "Value": peer}]
    assert alarms(aws)[f"crl-{peer}"]["Threshold"] == 48


def test_thresholds_come_from_the_context_and_survive(tmp_path):
    given = {"poll_age_s": 600, "certificate_notice_days": 90, "dpi_age_s": 7200, "crl_age_h": 30}
    found = alarms(synthesised(tmp_path, target="local", thresholds=json.dumps(given)))
    assert found["poll-age"]["Threshold"] == 600
    assert found["certificate-dpi-notice"]["Threshold"] == 90
    assert found["push-age"]["Threshold"] == found["push-waiting"]["Threshold"] == 7200
    assert found["crl-mssante"]["Threshold"] == 30


def test_alarms_are_sent_to_the_addresses_of_the_context(public):
    found = public.all("AWS::SNS::Subscription").values()
    assert [(each["Protocol"], each["Endpoint"]) for each in found] == [
        ("email", "astreinte@hopital.example"),
        ("email", "dsi@hopital.example"),
    ]


def test_the_dashboard_shows_every_metric_of_the_product(aws):
    shown = {name for namespace, name, _ in plotted(aws) if namespace == "PFI"}
    assert shown == {each.value for each in Metric}


def test_there_are_two_dashboards_with_french_titles(aws):
    assert set(boards(aws)) == {"pfi-activite", "pfi-exploitation"}
    headings = [w["properties"]["markdown"] for w in board(aws) if w["type"] == "text"]
    assert headings == ["# Activité", "# Exploitation"]
    titles = [w["properties"]["title"] for w in board(aws) if w["type"] == "metric"]
    assert len(titles) == len(set(titles))


def test_the_routes_shown_are_those_of_the_product():
    assert set(ROUTES) == {each.value for each in Route}


def test_the_classes_of_senders_shown_are_those_of_the_product():
    assert set(SENDERS) == {each.value for each in SenderClass}


def test_what_is_calculated_names_only_lines_of_its_own_widget(aws):
    """CloudWatch shows an error in place of the whole widget otherwise."""
    for widget in board(aws):
        lines = widget["properties"].get("metrics", ())
        ids = {line[-1]["id"] for line in lines if isinstance(line[-1], dict) and "id" in line[-1]}
        for each in (line[0]["expression"] for line in lines if isinstance(line[0], dict)):
            words = set(re.findall(r"\b[a-z]\w*", re.sub(r"SEARCH\(.*?\d\)", "", each)))
            assert words <= ids, each


def test_the_share_is_of_mails_that_somebody_wrote(aws):
    [share] = [each for each in expressions(aws) if each.startswith("100 * FILL")]
    assert set(re.findall(r"[a-z]+", share)) == set(ROUTES) - {"duplicate", "filed"}


@pytest.mark.parametrize(
    "driver",
    [
        ("AWS/Lambda", "Duration", "FunctionName"),
        ("AWS/Lambda", "Invocations", "FunctionName"),
        ("AWS/SQS", "NumberOfMessagesSent", "QueueName"),
        ("AWS/DynamoDB", "ConsumedReadCapacityUnits", "TableName"),
        ("AWS/DynamoDB", "ConsumedWriteCapacityUnits", "TableName"),
        ("AWS/S3", "BucketSizeBytes", "StorageType"),
        ("AWS/Logs", "IncomingBytes", "LogGroupName"),
    ],
)
def test_what_the_bill_is_made_of_is_shown(aws, driver):
    space, name, dimension = driver
    assert any(found[:2] == (space, name) and dimension in found[2] for found in plotted(aws))


EMIT = """
from pfi.edge.telemetry import Telemetry
from pfi.journey.outcome import Configured, Log, Metric, Outcome
from pfi.names import Reason, Route, SenderClass, Step
line = Telemetry(Step.PUSH)
looked_after = {Metric.CERTIFICATE_DAYS_LEFT, Metric.CRL_HOURS_LEFT, Metric.CRL_AGE_HOURS}
one = {each: 1 for each in Metric if each not in looked_after | {Metric.STEP_ERRORS}}
facts = {
    "route": Route.FORWARDED, "reason": Reason.NO_XDM, "establishment": Configured("ch"),
    "sender": SenderClass.OTHER, "dpi": Configured("dpi"),
}
line.emit(Outcome(next(iter(Log)), facts, one))
line.unexpected(ValueError())
for each in looked_after:
    line.measure(each, 1, {"certificate": "dpi"})
line.measure(Metric.FEED_AGE_SECONDS, 1, {"establishment": "ch"})
"""


def test_metrics_are_emitted_with_the_dimensions_that_are_watched(aws):
    """With one dimension more or less an alarm stays silent for ever."""
    plain = {
        name: value
        for name, value in aws.function("push")["Environment"]["Variables"].items()
        if isinstance(value, str)
    }
    done = subprocess.run(
        [sys.executable, "-c", EMIT],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "shared"), **plain},
        check=True,
        capture_output=True,
        text=True,
    )
    emitted = {
        (each["Namespace"], each["Metrics"][0]["Name"], frozenset(each["Dimensions"][0]))
        for line in done.stdout.splitlines()
        for each in json.loads(line).get("_aws", {}).get("CloudWatchMetrics", ())
    }
    watched = {
        (alarm["Namespace"], alarm["MetricName"], dimensions(alarm))
        for alarm in alarms(aws).values()
        if alarm["Namespace"] == "PFI"
    }
    assert watched <= emitted
    assert {each for each in plotted(aws) if each[0] == "PFI"} == emitted
