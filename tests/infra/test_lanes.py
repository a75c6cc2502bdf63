"""A queue of its own per DPI: a silent one takes no worker from another (docs/decisions/0018)."""

import json

import pytest

from infra.aws.context import deployment, lanes
from infra.aws.names import Lane
from infra.aws.refused import RefusedContextError
from infra.aws.runbooks import page_of

LANES = {"psy": "Lanepsy", "chi-2": "LanechiDash2"}


def sources(stack) -> dict[str, int]:
    """Logical id of the queue → most at once, of the sources of push."""
    [function] = [
        name
        for name, each in stack.all("AWS::Lambda::Function").items()
        if each["FunctionName"] == "pfi-test-push"
    ]
    return {
        each["EventSourceArn"]["Fn::GetAtt"][0]: each["ScalingConfig"]["MaximumConcurrency"]
        for each in stack.all("AWS::Lambda::EventSourceMapping").values()
        if each["FunctionName"]["Ref"] == function
    }


def test_each_dpi_has_its_queue_with_the_figures_and_the_dead_letters_of_push(public):
    queues = public.all("AWS::SQS::Queue")
    for dpi, name in LANES.items():
        lane = queues[f"Push{name}"]
        assert lane["QueueName"] == f"pfi-test-push-{dpi}"
        for figure in ("RedrivePolicy", "VisibilityTimeout", "MessageRetentionPeriod"):
            assert lane[figure] == queues["PushQueue"][figure], figure
        assert "KmsMasterKeyId" in lane


def test_a_lane_has_as_many_workers_as_its_dpi_has_connections_and_push_has_them_all(public):
    assert sources(public) == {"PushQueue": 2, "PushLanepsy": 2, "PushLanechiDash2": 5}
    assert public.function("push")["ReservedConcurrentExecutions"] == 9


@pytest.mark.parametrize("step", ["parse", "match", "push"])
def test_who_sends_to_push_knows_the_lanes_and_may_use_them(public, step):
    assert public.function(step)["Environment"]["Variables"]["PFI_LANES"] == "psy,chi-2"
    sending = [
        each["resources"]
        for each in public.statements(step)
        if "sqs:SendMessage" in each["actions"]
    ]
    for queue in ("PushQueue", *(f"Push{name}" for name in LANES.values())):
        assert any(f'"{queue}"' in each for each in sending), queue


@pytest.mark.parametrize("step", ["collect", "forward", "review", "certificates"])
def test_no_other_step_does(public, step):
    assert "PFI_LANES" not in public.function(step)["Environment"]["Variables"]
    used = " ".join(each["resources"] for each in public.statements(step))
    assert not any(name in used for name in LANES.values())


def test_a_failed_job_waits_in_the_lane_that_it_came_from(public):
    waiting = [
        each["resources"]
        for each in public.statements("push")
        if "sqs:ChangeMessageVisibility" in each["actions"]
    ]
    for queue in ("PushQueue", *(f"Push{name}" for name in LANES.values())):
        assert any(f'"{queue}"' in each for each in waiting), queue


def test_each_lane_rings_when_it_stands_still_and_has_the_page_of_its_step(public):
    found = {
        each["AlarmName"]: each["Dimensions"][0]["Value"]["Fn::GetAtt"][0]
        for each in public.all("AWS::CloudWatch::Alarm").values()
        if each["AlarmName"].startswith("pfi-test-push-") and each["AlarmName"].endswith("-age")
    }
    assert found == {
        "pfi-test-push-age": "PushQueue",
        "pfi-test-push-psy-age": "PushLanepsy",
        "pfi-test-push-chi-2-age": "PushLanechiDash2",
    }
    assert page_of("push-chi-2-age") == page_of("push-age")


def test_the_dashboard_shows_each_lane(public):
    boards = json.dumps(public.all("AWS::CloudWatch::Dashboard"))
    assert all(f"push {dpi}" in boards for dpi in LANES)


def test_the_command_line_finds_each_lane_among_the_outputs(public):
    for name in LANES.values():
        found = public.template["Outputs"][f"QueuePush{name}Url"]["Value"]
        assert found == {"Ref": f"Push{name}"}


def test_without_lanes_all_dpis_share_the_queue_that_older_versions_send_to(aws):
    assert aws.all("AWS::SQS::Queue")["PushQueue"]["QueueName"] == "pfi-push"
    assert "PFI_LANES" not in aws.function("push")["Environment"]["Variables"]


def test_the_context_is_read_as_it_is_written():
    written = lanes([("chi", 1), ("psy-2", 5)])
    assert deployment({"lanes": written}).lanes == (Lane("chi", 1), Lane("psy-2", 5))
    assert deployment({"lanes": "chi"}).lanes == (Lane("chi", 2),)


@pytest.mark.parametrize(
    "given", ["dlq:2", "chi:0", "chi:1001", "chi:2,chi:3", "Chi:2", "chi:x", "é:2", "a" * 41, ":2"]
)
def test_a_lane_that_cannot_be_is_refused(given):
    with pytest.raises(RefusedContextError):
        deployment({"lanes": given})


def test_no_two_dpis_have_the_same_word():
    assert Lane("a-1").logical != Lane("a1").logical
