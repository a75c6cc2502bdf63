"""Lanes seen by the commands: none is removed while it holds a job, a redrive finds its own."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from infra.operations import deployment
from infra.operations.coherence import review
from infra.operations.deployment import Check, Grade, checks
from infra.operations.hospital_file import HospitalFileRefused
from infra.operations.installed_reviews import StackQueues
from pfi.journey.jobs import Job
from pfi.names import Step
from tests.unit.operations.test_operations_hospital_file import GOOD

HOSPITAL = review(GOOD).hospital
JOB = Job("ab" * 32, 1)


def abandoned(monkeypatch, **depths):
    found = {f"pfi-push-{dpi.replace('_', '-')}": count for dpi, count in depths.items()}
    monkeypatch.setattr(deployment, "queue_depths", lambda _stack: {"pfi-push": 9, **found})
    return list(deployment._abandoned(HOSPITAL, SimpleNamespace(name="pfi")))


def test_a_deployment_waits_for_the_jobs_of_a_dpi_that_left_the_file(monkeypatch):
    [check] = abandoned(monkeypatch, dpi_ch=3, gone=2, dlq=1)
    assert (check.subject, check.grade) == ("file pfi-push-gone", Grade.BAD)
    assert check.sentence.startswith("2 message(s)")


def test_an_empty_lane_may_go(monkeypatch):
    assert abandoned(monkeypatch, gone=0) == []


def test_each_dpi_of_the_file_has_its_lane_in_the_context():
    assert HOSPITAL.context["lanes"] == "dpi-ch:2,dpi-ehpad:2"
    alone = replace(HOSPITAL, dpis=(replace(HOSPITAL.dpis[0], concurrency=1),))
    assert alone.context["lanes"] == "dpi-ch:1"


def test_a_dpi_cannot_have_the_name_of_the_dead_letters():
    with pytest.raises(HospitalFileRefused) as refused:
        review(GOOD.replace('"dpi-ehpad"', '"dlq"'))
    assert any("autre file" in each.sentence for each in refused.value.faults)


class Sqs:
    def __init__(self):
        self.sent = []

    def send_message(self, QueueUrl, MessageBody):
        self.sent.append((QueueUrl.rpartition("/")[2], MessageBody))


@pytest.mark.parametrize(
    ("step", "lane", "queue"),
    [
        (Step.PUSH, "chi", "pfi-push-chi"),
        (Step.PUSH, "new", "pfi-push"),
        (Step.FORWARD, "chi", "pfi-forward"),
    ],
)
def test_a_redriven_push_takes_the_lane_of_its_dpi_when_there_is_one(step, lane, queue):
    sqs = Sqs()
    outputs = {
        "QueuePushUrl": "https://q/pfi-push",
        "QueueForwardUrl": "https://q/pfi-forward",
        "QueuePushLanechiUrl": "https://q/pfi-push-chi",
    }
    stack = SimpleNamespace(
        outputs=outputs, output=outputs.__getitem__, client=lambda _service: sqs
    )
    StackQueues(stack).send(step, JOB, lane)
    assert sqs.sent == [(queue, JOB.dump())]


def test_the_checks_before_a_deployment_refuse_an_abandoned_lane(monkeypatch):
    stack = SimpleNamespace(name="pfi", status="UPDATE_COMPLETE", outputs={"MssanteSecret": "s"})
    account = SimpleNamespace(who=lambda: "arn:ada", region="eu-west-3", emulated=True)
    monkeypatch.setattr(deployment, "find_stack", lambda *_: stack)
    monkeypatch.setattr(deployment, "queue_depths", lambda _: {"pfi-push-gone": 2})
    monkeypatch.setattr(deployment, "_quota", lambda *_: Check("quota", Grade.GOOD, ""))
    monkeypatch.setattr(deployment, "_certificates", lambda *_: ())
    monkeypatch.setattr(deployment, "_doors", lambda *_: ())
    monkeypatch.setattr(deployment, "_renamed", lambda *_: ())
    monkeypatch.setattr(deployment, "current_text", lambda _: "{}")
    refused = [each.subject for each in checks(HOSPITAL, account) if each.grade is Grade.BAD]
    assert refused == ["file pfi-push-gone"]
