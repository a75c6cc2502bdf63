"""No queue message outgrows 4 kB: identifiers only, whatever the mail (claim check, design §1).

Counted as SQS counts: the body, and of each attribute its name, type and value. S3 events are
written by AWS; the key, which is ours, is what can grow in them.
"""

import json
from dataclasses import fields
from urllib.parse import quote_plus

import pytest

from pfi.adapters.sqs import SqsJobs
from pfi.journey.jobs import Job, load
from pfi.journey.settings import LimitSettings
from pfi.names import Reason, Step

BUDGET = 4096
DIGEST = "f" * 64
LONGEST_ID = "i" * 40
"""An id of a mailbox or an establishment (infra.operations.coherence)."""
LARGEST = {
    "mail": DIGEST,
    "document": LimitSettings().entries,
    "chains": (DIGEST, DIGEST),
}
"""Of every field of a job, the largest value: a new field needs a line here."""
URLS = {step: f"https://sqs/{step.value}" for step in Step}


class Sqs:
    """Keeps what is sent."""

    def __init__(self):
        self.sent = []

    def send_message(self, **message):
        self.sent.append(message)


def size(message):
    """Bytes that SQS counts."""
    attributes = message.get("MessageAttributes", {})
    texts = [message["MessageBody"]]
    for name, each in attributes.items():
        texts += [name, each["DataType"], each["StringValue"]]
    return len("".join(texts).encode())


def largest_job():
    return Job(**{each.name: LARGEST[each.name] for each in fields(Job)})


def event(key):
    """What S3 writes of one object, with every field that it has (its version 2.3)."""
    stored = {
        "key": quote_plus(key, safe="/"),
        "size": 25_000_000,
        "eTag": "0" * 34,
        "versionId": "v" * 32,
        "sequencer": "0" * 18,
    }
    bucket = {
        "name": "b" * 63,
        "ownerIdentity": {"principalId": "A" * 14},
        "arn": "arn:aws:s3:::" + "b" * 63,
    }
    return {
        "eventVersion": "2.3",
        "eventSource": "aws:s3",
        "awsRegion": "eu-west-3",
        "eventTime": "2026-05-14T07:31:45.000Z",
        "eventName": "ObjectCreated:CompleteMultipartUpload",
        "userIdentity": {"principalId": "AWS:" + "A" * 21 + ":" + "r" * 64},
        "requestParameters": {"sourceIPAddress": "2001:0db8:0000:0000:0000:ff00:0042:8329"},
        "responseElements": {"x-amz-request-id": "R" * 16, "x-amz-id-2": "I" * 76},
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": "c" * 255,
            "bucket": bucket,
            "object": stored,
        },
    }


@pytest.fixture
def sqs():
    return Sqs()


@pytest.fixture
def jobs(sqs):
    return SqsJobs(sqs, URLS, URLS)


@pytest.mark.parametrize("step", [Step.MATCH, Step.PUSH, Step.FORWARD])
def test_the_largest_job_fits(step, jobs, sqs):
    jobs.send(step, largest_job(), delay_s=900)
    assert size(sqs.sent[0]) <= BUDGET


@pytest.mark.parametrize("reason", Reason)
def test_the_largest_dead_letter_fits(reason, jobs, sqs):
    jobs.to_review(Step.FORWARD, largest_job(), reason)
    jobs.dead_letter(Step.FORWARD, largest_job().dump(), reason)
    assert max(map(size, sqs.sent)) <= BUDGET


def test_a_job_has_no_field_that_grows_with_its_mail():
    body = largest_job().dump()
    assert load(body) == largest_job()
    assert len(body) <= 512


@pytest.mark.parametrize(
    "key",
    [
        f"incoming/{LONGEST_ID}/{DIGEST}.eml",
        f"documents/{DIGEST}/{LONGEST_ID}/dossier.json",
        f"imports/{LONGEST_ID}/{'é' * 200}.csv",
    ],
)
def test_the_event_of_a_stored_object_fits_and_again_when_it_is_sent_on(key, jobs, sqs):
    body = json.dumps({"Records": [event(key)]})
    jobs.again(Step.LOAD, body)
    jobs.dead_letter(Step.PARSE, body, Reason.JOB_UNREADABLE)
    assert max(map(size, sqs.sent)) <= BUDGET
