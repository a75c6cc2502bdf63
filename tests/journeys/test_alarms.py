"""An alarm really rings: from a dead letter to the pager."""

import json

from tests.journeys.letters import fresh
from tests.journeys.stage import eventually


def rung(stage, name):
    """Notifications of one alarm that the pager received, left in its queue."""
    given = stage.laptop.client("sqs").receive_message(
        QueueUrl=stage.alarm_queue, MaxNumberOfMessages=10, VisibilityTimeout=0
    )
    bodies = [json.loads(each["Body"]) for each in given.get("Messages", ())]
    told = [json.loads(body["Message"]) if "Message" in body else body for body in bodies]
    return [each for each in told if each["AlarmName"] == name]


def state(stage, name):
    """State of one alarm."""
    [alarm] = stage.laptop.client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"]
    return alarm["StateValue"]


def test_a_review_item_rings_the_alarm_and_reaches_who_subscribed(stage):
    stage.send("Forward", "poison" + " " * fresh())
    assert eventually(lambda: state(stage, "pfi-review") == "ALARM")
    [alarm, *_] = eventually(lambda: rung(stage, "pfi-review"))
    assert alarm["NewStateValue"] == "ALARM"
    assert "décision humaine" in alarm["AlarmDescription"]


def test_the_age_of_the_last_poll_is_measured_and_rings_nothing_while_mailboxes_are_polled(stage):
    stage.collect()
    assert eventually(lambda: state(stage, "pfi-poll-age") == "OK")
