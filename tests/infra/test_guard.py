"""The guard stack: audit trail, emergency role, budget, malware scan."""

import json

import pytest
from cfnlint.schema import PROVIDER_SCHEMA_MANAGER

from infra.aws.guard import NO_BUDGETS
from infra.aws.names import EEA_REGIONS, STEPS
from tests.infra.conftest import synthesised


@pytest.fixture(scope="module")
def public_guard(public):
    return public.other("PfiGuard")


def one(stack, resource_type: str) -> dict:
    [found] = stack.all(resource_type).values()
    return found


def test_every_read_and_write_of_bodies_and_lines_is_recorded(guard):
    trail = one(guard, "AWS::CloudTrail::Trail")
    assert trail["IsLogging"]
    assert trail["EnableLogFileValidation"]
    assert "AuditKey" in json.dumps(trail["KMSKeyId"])
    selected = {
        each["Name"]: {field["Field"]: field for field in each["FieldSelectors"]}
        for each in trail["AdvancedEventSelectors"]
    }
    assert selected["management"]["eventCategory"]["Equals"] == ["Management"]
    bodies, lines = selected["bodies"], selected["lines"]
    assert bodies["resources.type"]["Equals"] == ["AWS::S3::Object"]
    assert "MailsArn" in json.dumps(bodies["resources.ARN"]["StartsWith"])
    assert lines["resources.type"]["Equals"] == ["AWS::DynamoDB::Table"]
    named = json.dumps(lines["resources.ARN"]["Equals"])
    assert "LedgerArn" in named
    assert "PatientsArn" in named
    for each in selected.values():  # no selector on readOnly: reads count as much as writes
        assert "readOnly" not in each


@pytest.mark.parametrize(
    ("fixture", "mode"), [("guard", "COMPLIANCE"), ("public_guard", "GOVERNANCE")]
)
def test_the_audit_trail_is_locked(request, fixture, mode):
    bucket = request.getfixturevalue(fixture).all("AWS::S3::Bucket")["AuditBucket"]
    assert bucket["ObjectLockEnabled"]
    retention = bucket["ObjectLockConfiguration"]["Rule"]["DefaultRetention"]
    assert retention == {"Mode": mode, "Days": 365}
    [rule] = bucket["LifecycleConfiguration"]["Rules"]
    assert rule["ExpirationInDays"] == 365  # not earlier than the lock ends


def test_the_audit_trail_outlives_the_stack_under_its_own_key(guard):
    for name in ("AuditBucket", "AuditKey"):
        assert guard.template["Resources"][name]["DeletionPolicy"] == "Retain"
    bucket = guard.all("AWS::S3::Bucket")["AuditBucket"]
    assert "AuditKey" in json.dumps(bucket["BucketEncryption"])
    assert all(bucket["PublicAccessBlockConfiguration"].values())


def test_only_our_trail_may_write_into_it(guard):
    policy = one(guard, "AWS::S3::BucketPolicy")["PolicyDocument"]["Statement"]
    allowed = [each for each in policy if each["Effect"] == "Allow"]
    assert {each["Action"] for each in allowed} == {"s3:GetBucketAcl", "s3:PutObject"}
    for each in allowed:
        assert each["Principal"] == {"Service": "cloudtrail.amazonaws.com"}
        assert "trail/pfi-audit" in json.dumps(each["Condition"]["StringEquals"]["aws:SourceArn"])
    refusing = [each for each in policy if each["Effect"] == "Deny"]
    assert {"Bool": {"aws:SecureTransport": "false"}} in [each["Condition"] for each in refusing]


def test_the_emergency_role_needs_mfa_lasts_an_hour_and_reads_only(guard):
    role = guard.all("AWS::IAM::Role")["BreakGlassRole"]
    [trust] = role["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Condition"]["Bool"] == {"aws:MultiFactorAuthPresent": "true"}
    assert trust["Condition"]["NumericLessThan"] == {"aws:MultiFactorAuthAge": "3600"}
    assert role["MaxSessionDuration"] == 3600
    actions = {
        action
        for policy in guard.all("AWS::IAM::Policy").values()
        if {"Ref": "BreakGlassRole"} in policy["Roles"]
        for each in policy["PolicyDocument"]["Statement"]
        for action in ([each["Action"]] if isinstance(each["Action"], str) else each["Action"])
    }
    verbs = {action.partition(":")[2] for action in actions}
    assert all(verb.startswith(("Get", "List", "Query", "BatchGet", "Decrypt")) for verb in verbs)


def test_the_emergency_role_is_for_those_named(public_guard):
    role = public_guard.all("AWS::IAM::Role")["BreakGlassRole"]
    [trust] = role["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"AWS": "arn:aws:iam::111122223333:role/Astreinte"}


def test_its_use_rings_though_cloudtrail_calls_it_a_read(guard):
    rule = one(guard, "AWS::Events::Rule")
    assert rule["State"] == "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS"
    taking, using = rule["EventPattern"]["detail"]["$or"]
    arn = {"Fn::GetAtt": ["BreakGlassRole", "Arn"]}
    assert taking == {"requestParameters": {"roleArn": [arn]}}
    assert using["userIdentity"]["sessionContext"]["sessionIssuer"]["arn"] == [arn]
    alarm = one(guard, "AWS::CloudWatch::Alarm")
    assert alarm["Dimensions"] == [{"Name": "RuleName", "Value": rule["Name"]}]
    assert (alarm["MetricName"], alarm["Threshold"]) == ("TriggeredRules", 0)
    assert "AlarmsTopic" in json.dumps(alarm["AlarmActions"])


def test_a_budget_tells_before_it_is_spent(guard, aws, sovereign):
    budget = one(guard, "AWS::Budgets::Budget")
    assert budget["Budget"]["BudgetLimit"] == {"Amount": 300, "Unit": "USD"}
    kinds = {
        each["Notification"]["NotificationType"]: each["Notification"]["Threshold"]
        for each in budget["NotificationsWithSubscribers"]
    }
    assert kinds == {"ACTUAL": 80, "FORECASTED": 100}
    [topic] = aws.all("AWS::SNS::TopicPolicy").values()
    assert "budgets.amazonaws.com" in json.dumps(topic)
    euros = one(sovereign.other("PfiGuard"), "AWS::Budgets::Budget")
    assert euros["Budget"]["BudgetLimit"]["Unit"] == "EUR"


def test_the_regions_without_budgets_are_those_whose_cloudformation_lacks_the_type():
    known = {each: PROVIDER_SCHEMA_MANAGER.get_resource_types(each) for each in EEA_REGIONS}
    lacking = [region for region in EEA_REGIONS if "AWS::Budgets::Budget" not in known[region]]
    assert lacking == list(NO_BUDGETS)


def test_no_budget_where_cloudformation_knows_none(tmp_path):
    stack = synthesised(tmp_path, region="eu-north-1").other("PfiGuard")
    assert not stack.all("AWS::Budgets::Budget")


def test_the_scan_is_an_option(guard, aws):
    assert not guard.all("AWS::GuardDuty::MalwareProtectionPlan")
    policies = json.dumps(aws.all("AWS::S3::BucketPolicy"))
    assert "GuardDutyMalwareScanStatus" not in policies


def test_a_mail_that_is_not_clean_cannot_be_read_by_anybody(public, public_guard):
    plan = one(public_guard, "AWS::GuardDuty::MalwareProtectionPlan")
    assert plan["Actions"] == {"Tagging": {"Status": "ENABLED"}}
    assert plan["ProtectedResource"]["S3Bucket"]["ObjectPrefixes"] == ["incoming/"]
    statements = {
        each.get("Sid"): each
        for policy in public.all("AWS::S3::BucketPolicy").values()
        for each in policy["PolicyDocument"]["Statement"]
    }
    unread = statements["OnlyCleanMails"]
    assert (unread["Effect"], unread["Principal"]) == ("Deny", {"AWS": "*"})
    assert unread["Action"] == ["s3:GetObject", "s3:GetObjectVersion"]
    assert unread["Condition"]["StringNotEquals"] == {
        "s3:ExistingObjectTag/GuardDutyMalwareScanStatus": "NO_THREATS_FOUND"
    }
    spared = json.dumps(unread["Condition"]["ArnNotEquals"]["aws:PrincipalArn"])
    assert "role/pfi-test-malware-scan" in spared
    tags = statements["OnlyTheScannerTags"]
    assert (tags["Effect"], tags["Condition"].keys()) == ("Deny", {"ArnNotEquals"})
    taggers = tags["Condition"]["ArnNotEquals"]["aws:PrincipalArn"]
    assert "role/pfi-test-malware-scan" in json.dumps(taggers[0])
    [renewing] = [each["Fn::GetAtt"][0] for each in taggers[1:]]
    assert renewing.startswith("RetainRole")
    roles = public_guard.all("AWS::IAM::Role").values()
    assert "pfi-test-malware-scan" in {each.get("RoleName") for each in roles}


def test_a_renewed_mail_keeps_its_verdict_and_only_a_clean_one_can_be_renewed(public):
    tagging = {"s3:GetObjectTagging", "s3:PutObjectTagging"}
    [own] = [e for e in public.statements("retain") if set(e["actions"]) == tagging]
    assert "incoming/*" in own["resources"]
    assert "documents/*" not in own["resources"]
    for step in STEPS:
        actions = {action for each in public.statements(step) for action in each["actions"]}
        assert bool(actions & tagging) == (step == "retain")


def test_every_stack_on_aws_but_the_queries_is_protected_from_deletion(aws):
    manifest = json.loads((aws.folder / "manifest.json").read_text())["artifacts"]
    protected = {
        name: each["properties"].get("terminationProtection", False)
        for name, each in manifest.items()
        if each["type"] == "aws:cloudformation:stack"
    }
    assert protected == {"Pfi": True, "PfiNetwork": True, "PfiGuard": True, "PfiQueries": False}
