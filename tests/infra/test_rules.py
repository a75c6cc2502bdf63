"""Our own rules, on every template: they hold for whatever is added later."""

import json

import pytest

from infra.aws.names import QUEUED
from tests.infra.conftest import as_list


@pytest.fixture(params=["aws", "public", "sovereign", "local"])
def place(request):
    return request.getfixturevalue(request.param)


def resources(place, resource_type: str):
    """Stack, logical id and properties of each resource of a type."""
    return [
        (stack, name, properties)
        for stack in place.stacks
        for name, properties in place.other(stack).all(resource_type).items()
    ]


def sources(place) -> dict[str, list[dict]]:
    """The event sources of each function, by the function's logical id."""
    found: dict[str, list[dict]] = {}
    for _, _, each in resources(place, "AWS::Lambda::EventSourceMapping"):
        found.setdefault(each["FunctionName"]["Ref"], []).append(each)
    return found


def test_every_queue_has_a_dead_letter_queue_or_is_one(place):
    queues = {name: each for _, name, each in resources(place, "AWS::SQS::Queue")}
    dead = {
        each["RedrivePolicy"]["deadLetterTargetArn"]["Fn::GetAtt"][0]
        for each in queues.values()
        if "RedrivePolicy" in each
    }
    for name, each in queues.items():
        assert ("RedrivePolicy" in each) != (name in dead), name
    assert len(dead) == len(QUEUED)


def test_every_queue_has_its_two_alarms(place):
    watched = {
        (each["MetricName"], json.dumps(each["Dimensions"][0]["Value"]))
        for _, _, each in resources(place, "AWS::CloudWatch::Alarm")
        if each["Namespace"] == "AWS/SQS"
    }
    for _, name, each in resources(place, "AWS::SQS::Queue"):
        if "RedrivePolicy" in each:
            dead = each["RedrivePolicy"]["deadLetterTargetArn"]["Fn::GetAtt"][0]
            age = json.dumps({"Fn::GetAtt": [name, "QueueName"]})
            depth = json.dumps({"Fn::GetAtt": [dead, "QueueName"]})
            assert ("ApproximateAgeOfOldestMessage", age) in watched
            assert ("ApproximateNumberOfMessagesVisible", depth) in watched


def test_every_function_has_its_log_group_a_timeout_and_a_reservation(place):
    groups = {name for _, name, _ in resources(place, "AWS::Logs::LogGroup")}
    functions = resources(place, "AWS::Lambda::Function")
    assert functions
    for _, name, each in functions:
        assert each["LoggingConfig"]["LogGroup"]["Ref"] in groups, name
        no_claim = each["Handler"].split(".")[1] in ("prove", "retain", "load")
        most = 600 if no_claim else 120
        assert 0 < each["Timeout"] <= most, name
        told = each["Environment"]["Variables"]["PFI_TIMEOUT_S"]
        assert told == str(each["Timeout"]), name  # a worker's claim stands until then
        capped = [s["ScalingConfig"]["MaximumConcurrency"] for s in sources(place).get(name, ())]
        assert each["ReservedConcurrentExecutions"] >= max(sum(capped), 1), name


def test_reservations_leave_the_rest_of_a_usual_quota_alone(place):
    functions = resources(place, "AWS::Lambda::Function")
    assert sum(each["ReservedConcurrentExecutions"] for _, _, each in functions) <= 100


def test_every_log_group_ends_and_is_encrypted(place, local):
    for _, name, each in resources(place, "AWS::Logs::LogGroup"):
        assert each["RetentionInDays"] == 180, name
        assert ("KmsKeyId" in each) == (place is not local), name


def test_an_action_on_everything_is_explained(place):
    """Policies of keys speak of themselves, and an endpoint's of the account; all others don't."""
    for stack in place.stacks:
        for name, each in place.other(stack).template["Resources"].items():
            if each["Type"] != "AWS::IAM::Policy":
                continue
            for statement in each["Properties"]["PolicyDocument"]["Statement"]:
                assert not any("*" in action for action in as_list(statement["Action"])), name
                if statement["Resource"] == "*":
                    actions = as_list(statement["Action"])
                    assert all(action.startswith("ec2:") for action in actions), name


def test_every_alarm_has_somebody_to_tell(place):
    for _, name, each in resources(place, "AWS::CloudWatch::Alarm"):
        assert each["AlarmActions"], name


def test_every_bucket_and_key_is_closed(place, local):
    for _, name, each in resources(place, "AWS::S3::Bucket"):
        assert all(each["PublicAccessBlockConfiguration"].values()), name
    for _, name, each in resources(place, "AWS::KMS::Key"):
        assert each["EnableKeyRotation"], name


def test_no_stack_hides_code_in_a_custom_resource(place):
    for stack in place.stacks:
        types = {r["Type"] for r in place.other(stack).template["Resources"].values()}
        assert not {t for t in types if t.startswith(("Custom::", "AWS::CloudFormation::Custom"))}
