"""Every function works with the rights of its own role, and with no others.

The stage runs with IAM enforced over TLS, so all journeys here say the same; these tests say that
it means something: a right taken away is missed. What the emulator asks IAM for, and what it does
not: docs/decisions/0017-enforced-roles.md.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra.cli.main import main
from infra.local.laptop import client
from tests.data.builders import LEA
from tests.journeys.letters import letter, written
from tests.journeys.stage import Stage, digest_of, eventually

USED = [
    ("parse", "s3:GetObject"),
    ("match", "sqs:SendMessage"),
    ("match", "dynamodb:Query"),
    ("push", "s3:GetObject"),
]
"""Rights that one integrated letter needs: one for each service that the functions ask."""


@contextmanager
def without(stage: Stage, step: str, action: str) -> Iterator[None]:
    """The role of a step loses one action for a while."""
    iam, function = stage.laptop.client("iam"), stage.laptop.outputs[f"Function{step.capitalize()}"]
    found = stage.laptop.client("lambda").get_function_configuration(FunctionName=function)
    role = str(found["Role"]).rpartition("/")[2]
    [name] = iam.list_role_policies(RoleName=role)["PolicyNames"]
    policy = iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]

    def put(document: dict[str, Any]) -> None:
        iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(document))

    put({**policy, "Statement": list(fewer(policy["Statement"], action))})
    try:
        yield
    finally:
        put(policy)


def fewer(statements: list[dict[str, Any]], action: str) -> Iterator[dict[str, Any]]:
    """The statements without that action."""
    taken = 0
    for each in statements:
        actions = [each["Action"]] if isinstance(each["Action"], str) else each["Action"]
        taken += action in actions
        if left := [one for one in actions if one != action]:
            yield {**each, "Action": left}
    assert taken, f"the role has no {action}"


def test_the_demonstration_ends_as_expected_with_every_function_under_its_own_role(
    tmp_path, capsys
):
    assert main(["up", "--once", "--strict", "--folder", str(tmp_path / "strict")]) == 0
    assert "17/17 comme attendu" in capsys.readouterr().out


@pytest.mark.parametrize(("step", "action"), USED, ids=lambda each: str(each).replace(":", "_"))
def test_a_right_taken_away_is_missed_and_given_back_the_letter_ends(stage, step, action):
    assert stage.at_rest()
    raw = letter(written(LEA))
    mail = digest_of(raw)
    before = failures(stage, step)
    with without(stage, step, action):
        stage.put(raw)
        assert eventually(lambda: failures(stage, step) > before), "nobody missed it"
        known = stage.ledger.mail(mail)
        assert known is None or known.record.state != "settled"
    assert stage.settled(mail).route == "integrated"


def failures(stage: Stage, step: str) -> int:
    """How often a job of the step has failed."""
    group = f"/aws/lambda/{stage.laptop.outputs[f'Function{step.capitalize()}']}"
    logs = stage.laptop.client("logs")
    told = logs.filter_log_events(logGroupName=group, limit=10_000)["events"]
    return sum('"JOB_RETRIED"' in each["message"] for each in told)


def test_a_caller_who_is_nobody_is_refused(stage):
    iam = stage.laptop.client("iam")
    iam.create_user(UserName="visiteur")
    key = iam.create_access_key(UserName="visiteur")["AccessKey"]
    environment = {
        **stage.laptop.environment,
        "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
    }
    ledger = client("dynamodb", environment)
    with pytest.raises(ClientError, match="AccessDenied"):
        ledger.scan(TableName=stage.laptop.outputs["LedgerTable"])
    ledger.close()
