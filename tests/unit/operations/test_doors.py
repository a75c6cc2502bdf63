"""The doors of an installation: shut means wholly shut, whatever a deployment or a stop left."""

from types import SimpleNamespace

import pytest

from infra.cli.status import STANDING_FR
from infra.operations import deployment, switches
from infra.operations.account import OperationRefused, Stack
from infra.operations.coherence import review
from infra.operations.deployment import Grade, _doors, deploy
from infra.operations.switches import DOORS, Position, Standing, is_open, standing, turn
from tests.unit.operations.test_operations_hospital_file import GOOD

HOSPITAL = review(GOOD).hospital
WORKING = {"parse": "Enabled", "match": "Enabled"}


class Aws:
    """Event sources of `push`, those of `parse` and `match`, and the clock of `collect`; `asked`:
    what was changed."""

    def __init__(self, *states, clock="ENABLED"):
        self.states = {f"source-{number}": state for number, state in enumerate(states)}
        self.readers = dict(WORKING)
        self.clock, self.asked, self.acts = clock, [], []

    def client(self, _service):
        return self

    def who(self):
        return "arn:ada"

    def get_paginator(self, _operation):
        return self

    def paginate(self, FunctionName):
        reader = FunctionName.removeprefix("pfi-")
        sources = {reader: self.readers[reader]} if reader in self.readers else self.states
        found = [{"UUID": uuid, "State": state} for uuid, state in sources.items()]
        return [{"EventSourceMappings": found}]

    def update_event_source_mapping(self, UUID, Enabled):
        sources = self.readers if UUID in self.readers else self.states
        if sources[UUID].endswith("ing"):
            raise AssertionError("Lambda refuses: the source is being changed")
        self.asked.append((UUID, Enabled))
        sources[UUID] = "Enabled" if Enabled else "Disabled"

    def describe_rule(self, Name):
        return {"State": self.clock}

    def disable_rule(self, Name):
        self.clock = "DISABLED"

    @property
    def stack(self):
        named = {f"Function{each}": f"pfi-{each.lower()}" for each in ("Push", "Parse", "Match")}
        return Stack(self, "pfi", named, "UPDATE_COMPLETE")


@pytest.fixture(autouse=True)
def _journal(monkeypatch):
    def journal_of(stack):
        record = lambda action, who, **_: stack.account.acts.append(action)  # noqa: E731  # a double
        return SimpleNamespace(record=record)

    monkeypatch.setattr(switches, "journal_of", journal_of)
    monkeypatch.setattr(deployment, "journal_of", journal_of)
    monkeypatch.setattr(switches, "_PAUSE_S", 0.0)


@pytest.mark.parametrize(
    ("states", "found"),
    [
        (("Enabled", "Enabled"), Standing.OPEN),
        (("Enabled", "Enabling"), Standing.OPEN),
        (("Disabled", "Disabled"), Standing.SHUT),
        (("Disabled", "Enabled"), Standing.MIXED),
        (("Disabled", "Disabling"), Standing.MIXED),  # it may hold messages still
        (("Disabled", "Creating"), Standing.MIXED),
    ],
)
def test_a_door_is_shut_only_when_every_source_is(states, found):
    stack = Aws(*states).stack
    assert standing(stack, "push") is found
    assert is_open(stack, "push") is (found is Standing.OPEN)


def test_a_pause_shuts_the_lane_that_a_deployment_opened():
    aws = Aws("Disabled", "Enabled")
    assert list(turn(aws.stack, ("push",), opened=False)) == [Position("push", False, True)]
    assert aws.asked == [("source-1", False)]
    assert aws.acts == ["pause push"]
    assert list(turn(aws.stack, ("push",), opened=False)) == [Position("push", False, False)]
    assert len(aws.asked) == len(aws.acts) == 1


def test_a_resume_opens_what_an_interrupted_pause_had_shut():
    aws = Aws("Disabled", "Enabled")
    assert list(turn(aws.stack, ("push",), opened=True)) == [Position("push", True, True)]
    assert set(aws.states.values()) == {"Enabled"}


def test_a_pause_is_not_told_as_done_before_lambda_says_so(monkeypatch):
    monkeypatch.setattr(switches, "SETTLING_S", 0.0)
    with pytest.raises(OperationRefused, match="recommencez"):
        list(turn(Aws("Disabled", "Disabling").stack, ("push",), opened=False))


def test_the_checks_before_a_deployment_say_how_the_doors_stand():
    def told(*states):
        return [(each.subject, each.grade, each.sentence) for each in _doors(Aws(*states).stack)]

    assert told("Enabled") == []
    [(door, grade, sentence)] = told("Disabled")
    assert (door, grade, "le reste" in sentence) == ("push", Grade.TO_KNOW, True)
    [(_, _, sentence)] = told("Disabled", "Enabled")
    assert sentence.startswith("en partie en pause")


def test_the_status_has_words_for_every_standing():
    assert set(STANDING_FR) == set(Standing)
    assert "en partie" in STANDING_FR[Standing.MIXED]


def deployed(monkeypatch, tmp_path, before, *, born, meanwhile=lambda _: None):
    """A deployment that makes the source of a new lane, which Lambda opens."""
    aws = Aws(*before)
    aws.emulated = False
    monkeypatch.setattr(deployment, "find_stack", lambda *_: aws.stack)
    monkeypatch.setattr(deployment, "installed_stack", lambda *_: aws.stack)
    monkeypatch.setattr(deployment, "current_text", lambda _: "{}")

    def written(_stack, _text):
        aws.when_settings_came = dict(aws.states)

    monkeypatch.setattr(deployment, "write_settings", written)

    def run(*_):
        meanwhile(aws)
        aws.states.update(new=born)

    monkeypatch.setattr(deployment.cdk, "run", run)
    deploy(HOSPITAL, aws, tmp_path, print)
    return aws


def test_a_deployment_in_a_pause_leaves_the_new_lane_shut_before_settings_name_its_dpi(
    monkeypatch, tmp_path
):
    aws = deployed(monkeypatch, tmp_path, ["Disabled"], born="Enabled")
    assert set(aws.when_settings_came.values()) == {"Disabled"}
    assert standing(aws.stack, "push") is Standing.SHUT
    assert standing(aws.stack, "collect") is Standing.OPEN


def test_a_deployment_outside_a_pause_opens_the_new_lane(monkeypatch, tmp_path):
    aws = deployed(monkeypatch, tmp_path, ["Enabled"], born="Enabled")
    assert standing(aws.stack, "push") is Standing.OPEN
    assert all(standing(aws.stack, door) is Standing.OPEN for door in DOORS)


def test_no_reader_takes_anything_out_of_its_queue_while_a_deployment_changes_its_messages(
    monkeypatch, tmp_path
):
    """Neither does old code see what new code sends, nor the other way round."""
    seen = []
    meanwhile = lambda aws: seen.append(dict(aws.readers))  # noqa: E731  # a double
    aws = deployed(monkeypatch, tmp_path, ["Enabled"], born="Enabled", meanwhile=meanwhile)
    assert seen == [{"parse": "Disabled", "match": "Disabled"}]
    assert aws.readers == WORKING
    assert aws.acts == ["deploy"], "no pause of the hospital's"


def test_the_readers_work_again_after_a_deployment_that_failed_and_after_one_that_was_killed(
    monkeypatch, tmp_path
):
    seen = []

    def fails(aws):
        seen.append(aws)
        raise OperationRefused("CloudFormation")

    with pytest.raises(OperationRefused):
        deployed(monkeypatch, tmp_path, ["Enabled"], born="Enabled", meanwhile=fails)
    assert seen[0].readers == WORKING
    killed = lambda aws: aws.readers.update(match="Disabled")  # noqa: E731  # a double
    aws = deployed(monkeypatch, tmp_path, ["Enabled"], born="Enabled", meanwhile=killed)
    assert aws.readers == WORKING


def test_the_readers_are_opened_again_when_one_of_them_would_not_rest(monkeypatch, tmp_path):
    """Lambda refuses the second one: the first was shut already."""
    seen = []

    class Stubborn(Aws):
        def update_event_source_mapping(self, UUID, Enabled):
            seen.append(self)
            if UUID == "match" and not Enabled:
                raise OperationRefused("Lambda")
            super().update_event_source_mapping(UUID, Enabled)

    with pytest.raises(OperationRefused), switches.readers_at_rest(Stubborn("Enabled").stack):
        raise AssertionError("nothing is deployed")
    assert seen[0].readers == WORKING
