"""Least privilege: what each function may do, and what it is told."""

import json

import pytest

from infra.aws.names import QUEUED, STEPS
from infra.aws.peers import LEAVING

QUEUES = {
    "collect": {"ParseDlq"},
    "parse": {"MatchQueue", "PushQueue", "ForwardQueue", "ParseDlq", "ForwardDlq"},
    "match": {"MatchQueue", "PushQueue", "ForwardQueue", "MatchDlq"},
    "push": {"PushQueue", "ForwardQueue", "PushDlq"},
    "forward": {"ForwardDlq"},
    "review": set(),
    "certificates": set(),
    "prove": set(),
    "retain": set(),
    "feed": set(),
    "load": {"LoadQueue", "LoadDlq"},
}
READS = {
    "collect": {"trust/"},
    "certificates": {"trust/"},
    "parse": {"incoming/"},
    "match": {"documents/"},
    "push": {"documents/", "trust/"},
    "forward": {"incoming/", "documents/", "trust/"},
    "retain": {"incoming/", "documents/"},
    "feed": {"feed/"},
    "load": {"imports/"},
}
WRITES = {
    "collect": {"incoming/"},
    "parse": {"documents/"},
    "certificates": {"trust/"},
    "retain": {"incoming/", "documents/"},
    "feed": {"feed/"},
    "load": {"imports/"},
}
PATIENTS_WRITTEN = {"feed", "load"}
INTERFACES = {
    "ec2:AssignPrivateIpAddresses",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:UnassignPrivateIpAddresses",
}
SECRETS = {
    "collect": {"mssante"},
    "forward": {"mssante"},
    "push": {"dpi"},
    "certificates": {"mssante", "dpi"},
}


def touched(stack, step: str, action: str, candidates) -> set[str]:
    """Which of these names the resources of an action speak of."""
    texts = [each["resources"] for each in stack.statements(step) if action in each["actions"]]
    return {name for name in candidates if any(name in text for text in texts)}


@pytest.mark.parametrize("step", STEPS)
def test_no_action_is_a_pattern_and_nothing_is_allowed_everywhere(aws, step):
    statements = aws.statements(step)
    assert statements
    for each in statements:
        assert not any("*" in action for action in each["actions"]), each
        interfaces = set(each["actions"]) == INTERFACES and step in LEAVING
        assert (each["resources"] == '"*"') == interfaces, each


@pytest.mark.parametrize("step", STEPS)
def test_only_lambda_itself_handles_the_interfaces_of_a_function(aws, local, step):
    everywhere = [each for each in aws.statements(step) if each["resources"] == '"*"']
    assert [each["effect"] for each in everywhere] == (["Allow", "Deny"] if step in LEAVING else [])
    for each in everywhere[1:]:
        arn = json.dumps(each["condition"]["ArnEquals"]["lambda:SourceFunctionArn"])
        assert f":function:pfi-{step}" in arn
    assert not [each for each in local.statements(step) if each["resources"] == '"*"']


@pytest.mark.parametrize("step", STEPS)
def test_a_function_sends_only_along_the_arrows(aws, step):
    queues = aws.all("AWS::SQS::Queue")
    assert touched(aws, step, "sqs:SendMessage", queues) == QUEUES[step]


@pytest.mark.parametrize("step", STEPS)
def test_a_function_touches_only_its_part_of_the_bucket(aws, step):
    prefixes = ("incoming/", "documents/", "trust/", "feed/", "imports/")
    assert touched(aws, step, "s3:GetObject", prefixes) == READS.get(step, set())
    assert touched(aws, step, "s3:PutObject", prefixes) == WRITES.get(step, set())


@pytest.mark.parametrize("step", STEPS)
def test_a_function_reads_only_its_own_secret(aws, step):
    found = touched(
        aws, step, "secretsmanager:GetSecretValue", ("pfi/mssante-??????", "pfi/dpi-??????")
    )
    mine = {f"pfi/{peer}-??????" for peer in SECRETS.get(step, set())}
    assert found == mine
    written = touched(aws, step, "secretsmanager:PutSecretValue", mine)
    assert written == (mine if step == "certificates" else set())


@pytest.mark.parametrize("step", STEPS)
def test_only_match_and_push_see_patients_and_only_what_loads_them_writes_them(aws, step):
    assert touched(aws, step, "dynamodb:GetItem", ["Patients"]) == (
        {"Patients"} if step in ("match", "push") else set()
    )
    for action in ("dynamodb:PutItem", "dynamodb:DeleteItem"):
        found = touched(aws, step, action, ["Patients"])
        assert found == ({"Patients"} if step in PATIENTS_WRITTEN else set())


def test_prove_sees_when_a_feed_was_alive_and_no_patient(aws):
    [seen] = [each for each in aws.statements("prove") if "Patients" in each["resources"]]
    assert seen["actions"] == ["dynamodb:Query"]
    assert seen["condition"] == {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["FED#*"]}}


@pytest.mark.parametrize("step", STEPS)
def test_no_step_can_remove_a_line_of_the_ledger_or_a_body(aws, step):
    actions = {action for each in aws.statements(step) for action in each["actions"]}
    harmless = {"sqs:DeleteMessage", "ec2:DeleteNetworkInterface"}
    if step in PATIENTS_WRITTEN:  # a pointer to what a person was called before
        harmless.add("dynamodb:DeleteItem")
        assert not touched(aws, step, "dynamodb:DeleteItem", ["Ledger"])
    assert not {a for a in actions if "Delete" in a} - harmless
    assert "dynamodb:Scan" not in actions


@pytest.mark.parametrize("step", STEPS)
def test_a_key_is_used_through_a_service_only(aws, step):
    for each in aws.statements(step):
        if any(action.startswith("kms:") for action in each["actions"]):
            assert "kms:ViaService" in each["condition"]["StringEquals"]


@pytest.mark.parametrize("step", STEPS)
def test_what_is_named_to_a_function_is_what_it_may_use(aws, step):
    told = aws.function(step)["Environment"]["Variables"]
    sent = {
        f"{name.removeprefix('PFI_').removeprefix(kind + '_').capitalize()}{suffix}"
        for kind, suffix in (("QUEUE", "Queue"), ("DLQ", "Dlq"))
        for name in told
        if name.startswith(f"PFI_{kind}_")
    }
    recorded = {f"{each.capitalize()}Dlq" for each in QUEUED}
    own = {f"{step.capitalize()}Queue"} if step in QUEUED else set()  # for the back-off
    counted = {f"{each.capitalize()}Queue" for each in QUEUED} | recorded
    assert sent == {"review": recorded, "prove": counted}.get(step, QUEUES[step] | own)
    assert ("PFI_BUCKET" in told) == (step in READS or step in WRITES or step == "prove")
    patients = {"match", "push", "prove", *PATIENTS_WRITTEN}
    assert ("PFI_PATIENTS_TABLE" in told) == (step in patients)
    assert ("PFI_SECRET_MSSANTE" in told) == ("mssante" in SECRETS.get(step, set()))
    assert ("PFI_SECRET_DPI" in told) == ("dpi" in SECRETS.get(step, set()))
    assert told["PFI_SETTINGS_PARAMETER"] == "/pfi/settings"
    ledger = None if step in ("certificates", "load") else {"Ref": "Ledger"}
    assert told.get("PFI_LEDGER_TABLE") == ledger
    assert touched(aws, step, "dynamodb:UpdateItem", ["Ledger"]) == (
        {"Ledger"} if ledger and step not in ("prove", "retain") else set()
    )


def test_prove_counts_and_neither_opens_nor_changes_anything(aws):
    actions = {action for each in aws.statements("prove") for action in each["actions"]}
    assert actions == {
        "dynamodb:GetItem",
        "dynamodb:Query",
        "kms:Decrypt",
        "kms:DescribeKey",
        "logs:CreateLogStream",
        "logs:PutLogEvents",
        "s3:ListBucket",
        "sqs:GetQueueAttributes",
        "ssm:GetParameter",
    }
    [listing] = [e for e in aws.statements("prove") if "s3:ListBucket" in e["actions"]]
    assert listing["condition"] == {"StringLike": {"s3:prefix": ["incoming/*", "documents/*"]}}


def test_retain_copies_bodies_in_place_and_neither_tags_nor_changes_a_line(aws):
    actions = {action for each in aws.statements("retain") for action in each["actions"]}
    assert actions == {
        "dynamodb:GetItem",
        "dynamodb:Query",
        "kms:Decrypt",
        "kms:DescribeKey",
        "kms:GenerateDataKey",
        "logs:CreateLogStream",
        "logs:PutLogEvents",
        "s3:GetObject",
        "s3:ListBucket",
        "s3:PutObject",
        "ssm:GetParameter",
    }
    assert aws.function("retain")["Environment"]["Variables"]["PFI_MAIL_DAYS"] == "30"


def test_aws_managed_policies_are_not_used(aws):
    roles = aws.all("AWS::IAM::Role").values()
    assert len(roles) == len(STEPS)
    assert not any("ManagedPolicyArns" in json.dumps(role) for role in roles)


def test_the_bucket_may_be_announced_by_this_account_only(aws):
    statements = [
        each
        for policy in aws.all("AWS::SQS::QueuePolicy").values()
        for each in policy["PolicyDocument"]["Statement"]
        if each["Effect"] == "Allow"
    ]
    assert len(statements) == len(("mails", "dossiers", "patient files"))
    for statement in statements:
        assert statement["Principal"] == {"Service": "s3.amazonaws.com"}
        assert statement["Condition"] == {
            "StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}
        }
