"""`pfi destroy` deletes nothing that it does not understand, nor while mails are under way."""

import json
from types import SimpleNamespace

import pytest

from infra.operations import removal
from infra.operations.account import OperationRefused
from infra.operations.flight import Flight
from infra.operations.removal import destroy, kept_by_retention

REST, BUSY = Flight({}, {}, 0), Flight({"pfi-parse": 1}, {}, 0)


def template(policy="Delete", kind="AWS::S3::Bucket"):
    return {"Resources": {"Mails": {"Type": kind, "DeletionPolicy": policy}, "Role": {"Type": "R"}}}


class Aws:
    """A core stack with one bucket; `acts` in the order in which they were asked for."""

    emulated = True

    def __init__(self, body, flights=(REST, REST)):
        self.body, self.flights, self.acts = body, list(flights), []
        self.name, self.account, self.open = "pfi", self, True

    def output(self, key):
        return {"BucketName": "pfi-mails"}[key]

    def client(self, _service):
        return self

    def who(self):
        return "arn:ada"

    def get_template(self, StackName):
        return {"TemplateBody": self.body}

    def get_paginator(self, operation):
        pages = {
            "list_stack_resources": {
                "StackResourceSummaries": [
                    {
                        "LogicalResourceId": "Mails",
                        "ResourceType": "AWS::S3::Bucket",
                        "PhysicalResourceId": "pfi-mails",
                    },
                    {"LogicalResourceId": "Role", "ResourceType": "R", "PhysicalResourceId": "r"},
                ]
            },
            "list_object_versions": {
                "Versions": [{"Key": "a", "VersionId": "1"}],
                "DeleteMarkers": [{"Key": "b", "VersionId": "2"}],
            },
        }
        return SimpleNamespace(paginate=lambda **_: [pages[operation]])

    def delete_object(self, **of):
        self.acts.append(f"object {of['Key']}")

    def update_termination_protection(self, **_):
        self.acts.append("unprotect")

    def delete_stack(self, StackName):
        self.acts.append(f"stack {StackName}")


@pytest.fixture
def destroyed(monkeypatch):
    """Destroy the installation `aws`; what it did is in `aws.acts`."""

    def run(aws):
        def turned(_stack, doors, *, opened, reason):
            aws.open = opened
            yield from (aws.acts.append(f"{'open' if opened else 'shut'} {door}") for door in doors)

        monkeypatch.setattr(removal, "stacks_of", lambda *_: (aws,))
        monkeypatch.setattr(removal, "find_stack", lambda *_: None)
        monkeypatch.setattr(removal, "in_flight", lambda _: aws.flights.pop(0))
        monkeypatch.setattr(removal, "is_open", lambda *_: aws.open)
        monkeypatch.setattr(removal, "turn", turned)
        monkeypatch.setattr(
            removal, "journal_of", lambda _: SimpleNamespace(record=lambda *_: None)
        )
        return destroy(aws, "pfi", lambda _: None)

    return run


GONE = ["object a", "object b"]
STACK = ["unprotect", "stack pfi"]


def test_a_bucket_that_is_deleted_with_its_stack_is_emptied_first(destroyed):
    aws = Aws(template())
    assert destroyed(aws) == ()
    assert aws.acts == ["shut collect", *GONE, *STACK]


def test_the_template_of_an_older_client_is_text(destroyed):
    aws = Aws(json.dumps(template()))
    destroyed(aws)
    assert aws.acts == ["shut collect", *GONE, *STACK]


@pytest.mark.parametrize("policy", ["Retain", "RetainExceptOnCreate", "Snapshot", None])
def test_a_bucket_that_is_not_deleted_in_words_keeps_every_version(destroyed, policy):
    aws = Aws(template(policy))
    destroyed(aws)
    assert aws.acts == ["shut collect", *STACK]


def test_another_resource_that_goes_empties_no_bucket(destroyed):
    aws = Aws(template(kind="AWS::SQS::Queue"))
    destroyed(aws)
    assert aws.acts == ["shut collect", *STACK]
    aws = Aws(template())
    aws.output = lambda _: "another-bucket"
    destroyed(aws)
    assert aws.acts == ["shut collect", *STACK]


@pytest.mark.parametrize(
    "body", ["Resources:\n  Mails: {}\n", "[]", {}, {"Resources": []}, None, ""]
)
def test_a_template_that_cannot_be_read_stops_everything(destroyed, body):
    aws = Aws(body)
    with pytest.raises(OperationRefused, match="rien n'a été détruit"):
        destroyed(aws)
    assert aws.acts == []
    with pytest.raises(OperationRefused, match="illisible"):
        list(kept_by_retention(aws))


def test_what_the_template_keeps_is_told(destroyed):
    [kept] = destroyed(Aws(template("Retain")))
    assert (kept.kind, kept.name) == ("AWS::S3::Bucket", "pfi-mails")


def test_nothing_is_shut_while_a_mail_is_under_way(destroyed):
    aws = Aws(template(), flights=[BUSY])
    with pytest.raises(OperationRefused, match="1 message"):
        destroyed(aws)
    assert aws.acts == []


@pytest.mark.parametrize("was_open", [True, False])
def test_a_mail_that_the_last_poll_brought_stops_it_and_the_door_stands_as_before(
    destroyed, was_open
):
    aws = Aws(template(), flights=[REST, BUSY])
    aws.open = was_open
    with pytest.raises(OperationRefused, match="1 message"):
        destroyed(aws)
    assert aws.acts == ["shut collect", *(["open collect"] if was_open else [])]
