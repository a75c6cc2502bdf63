"""One test per promise that the core stack makes."""

import json
from typing import Any

import pytest

from infra.aws.names import QUEUED, STEPS
from pfi.journey.keys import document_key, dossier_key
from tests.infra.conftest import as_list

STATEFUL = {
    "DataKey": "AWS::KMS::Key",
    "FlowKey": "AWS::KMS::Key",
    "Mails": "AWS::S3::Bucket",
    "AccessLogs": "AWS::S3::Bucket",
    "Ledger": "AWS::DynamoDB::Table",
    "Patients": "AWS::DynamoDB::Table",
    "MssanteSecret": "AWS::SecretsManager::Secret",
    "DpiSecret": "AWS::SecretsManager::Secret",
    "Settings": "AWS::SSM::Parameter",
    "ParseQueue": "AWS::SQS::Queue",
    "ParseDlq": "AWS::SQS::Queue",
    "MatchQueue": "AWS::SQS::Queue",
    "MatchDlq": "AWS::SQS::Queue",
    "PushQueue": "AWS::SQS::Queue",
    "PushDlq": "AWS::SQS::Queue",
    "ForwardQueue": "AWS::SQS::Queue",
    "ForwardDlq": "AWS::SQS::Queue",
    "LoadQueue": "AWS::SQS::Queue",
    "LoadDlq": "AWS::SQS::Queue",
}


def key_of(properties: Any) -> list[str]:
    """Logical ids of the keys named anywhere in a resource."""
    text = json.dumps(properties)
    return [key for key in ("DataKey", "FlowKey") if f'["{key}", "Arn"]' in text]


def test_logical_ids_of_what_holds_data_never_move(aws):
    found = {
        name: each["Type"]
        for name, each in aws.template["Resources"].items()
        if each["Type"] in set(STATEFUL.values())
    }
    assert found == STATEFUL


def test_keys_tables_and_buckets_outlive_the_stack_on_aws(aws):
    kept = {"AWS::KMS::Key", "AWS::S3::Bucket", "AWS::DynamoDB::Table"}
    for name, resource_type in STATEFUL.items():
        resource = aws.template["Resources"][name]
        if resource_type in kept:
            assert resource["DeletionPolicy"] == resource["UpdateReplacePolicy"] == "Retain", name


def test_a_secret_outlives_the_stack_but_not_a_failed_first_installation(aws):
    for resource in aws.whole("AWS::SecretsManager::Secret").values():
        assert resource["DeletionPolicy"] == "RetainExceptOnCreate"


def test_nothing_outlives_the_stack_in_the_emulator(local):
    for name, resource in local.template["Resources"].items():
        assert resource.get("DeletionPolicy", "Delete") == "Delete", name


def test_keys_rotate(aws):
    assert all(key["EnableKeyRotation"] for key in aws.all("AWS::KMS::Key").values())


def test_bodies_tables_and_secrets_use_the_data_key(aws):
    for kind in ("AWS::DynamoDB::Table", "AWS::SecretsManager::Secret"):
        for name, properties in aws.all(kind).items():
            assert key_of(properties) == ["DataKey"], name
    mails = aws.all("AWS::S3::Bucket")["Mails"]["BucketEncryption"]
    assert key_of(mails) == ["DataKey"]
    [rule] = mails["ServerSideEncryptionConfiguration"]
    assert rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"
    assert rule["BucketKeyEnabled"]


def test_queues_alarms_and_logs_use_the_other_key(aws):
    for kind in ("AWS::SQS::Queue", "AWS::SNS::Topic", "AWS::Logs::LogGroup"):
        for name, properties in aws.all(kind).items():
            assert key_of(properties) == ["FlowKey"], name


def test_services_that_act_for_themselves_may_use_the_flow_key(aws):
    statements = aws.all("AWS::KMS::Key")["FlowKey"]["KeyPolicy"]["Statement"]
    services = {
        service for each in statements for service in as_list(each["Principal"].get("Service", []))
    }
    assert services == {
        "s3.amazonaws.com",
        "cloudwatch.amazonaws.com",
        "budgets.amazonaws.com",
        "logs.eu-west-3.amazonaws.com",
    }
    assert all("Condition" in each for each in statements if "Service" in each["Principal"])


def test_the_key_of_the_bucket_does_not_depend_on_the_queues(aws):
    policy = aws.all("AWS::KMS::Key")["DataKey"]["KeyPolicy"]["Statement"]
    assert [each["Principal"].keys() for each in policy] == [{"AWS": ""}.keys()]


def test_no_bucket_is_public(aws, local):
    for stack in (aws, local):
        for name, bucket in stack.all("AWS::S3::Bucket").items():
            assert all(bucket["PublicAccessBlockConfiguration"].values()), name
            assert len(bucket["PublicAccessBlockConfiguration"]) == 4


@pytest.mark.parametrize(
    ("policies", "target", "count"),
    [
        ("AWS::S3::BucketPolicy", "AWS::S3::Bucket", 2),
        ("AWS::SQS::QueuePolicy", "AWS::SQS::Queue", 2 * len(QUEUED)),
        ("AWS::SNS::TopicPolicy", "AWS::SNS::Topic", 1),
    ],
)
def test_only_tls_reaches_buckets_queues_and_topic(aws, policies, target, count):
    refusing = [
        each
        for policy in aws.all(policies).values()
        for each in policy["PolicyDocument"]["Statement"]
        if each["Effect"] == "Deny"
        and each["Condition"].get("Bool") == {"aws:SecureTransport": "false"}
    ]
    assert len(refusing) == len(aws.all(target)) == count


def test_mails_are_versioned_logged_and_expire(aws):
    mails = aws.all("AWS::S3::Bucket")["Mails"]
    assert mails["VersioningConfiguration"] == {"Status": "Enabled"}
    assert mails["LoggingConfiguration"]["DestinationBucketName"] == {"Ref": "AccessLogs"}
    rules = {each["Id"]: each for each in mails["LifecycleConfiguration"]["Rules"]}
    assert (rules["mails"]["Prefix"], rules["mails"]["ExpirationInDays"]) == ("incoming/", 30)
    assert (rules["documents"]["Prefix"], rules["documents"]["ExpirationInDays"]) == (
        "documents/",
        30,
    )
    assert rules["leftovers"]["NoncurrentVersionExpiration"] == {"NoncurrentDays": 7}


ANNOUNCED = [("incoming/", ".eml", "ParseQueue"), ("documents/", "dossier.json", "MatchQueue")]


@pytest.mark.parametrize(("prefix", "suffix", "queue"), ANNOUNCED)
def test_what_arrives_is_announced_to_one_step_and_to_nobody_else(aws, prefix, suffix, queue):
    """A mail to parse, the dossier of one that was read to match."""
    mails = aws.whole("AWS::S3::Bucket")["Mails"]
    configured = mails["Properties"]["NotificationConfiguration"]["QueueConfigurations"]
    arriving = {"Name": "prefix", "Value": prefix}
    told = [each for each in configured if arriving in each["Filter"]["S3Key"]["Rules"]]
    for to_queue in told:
        assert to_queue["Queue"] == {"Fn::GetAtt": [queue, "Arn"]}
        assert to_queue["Filter"]["S3Key"]["Rules"] == [
            {"Name": "prefix", "Value": prefix},
            {"Name": "suffix", "Value": suffix},
        ]
    made = ["Put", "Post", "CompleteMultipartUpload"]  # no copy: a renewed body did not arrive
    assert [each["Event"] for each in told] == [f"s3:ObjectCreated:{how}" for how in made]
    [policy] = [
        name
        for name, each in aws.all("AWS::SQS::QueuePolicy").items()
        if each["Queues"] == [{"Ref": queue}]
    ]
    assert policy in mails["DependsOn"]


def test_the_dossier_that_parse_names_is_one_that_the_bucket_announces():
    [(prefix, suffix)] = [(each[0], each[1]) for each in ANNOUNCED if each[2] == "MatchQueue"]
    key = dossier_key("app", "0" * 64)
    assert key.startswith(prefix)
    assert key.endswith(suffix)
    assert not document_key(key, 1).endswith(suffix)


@pytest.mark.parametrize("step", ["parse", "match"])
def test_an_upgrade_changes_the_announcements_before_the_code(aws, step):
    """New code of `parse` stores dossiers; from then on the bucket must tell of them."""
    assert aws.function(step)["Environment"]["Variables"]["PFI_BUCKET"] == {"Ref": "Mails"}


def test_no_custom_resource_and_no_function_but_ours(aws):
    assert len(aws.all("AWS::Lambda::Function")) == len(STEPS)
    assert not [r for r in aws.template["Resources"].values() if r["Type"].startswith("Custom::")]


@pytest.mark.parametrize("table", ["Ledger", "Patients"])
def test_a_table_can_be_brought_back_and_not_be_dropped(aws, table):
    properties = aws.all("AWS::DynamoDB::Table")[table]
    assert properties["DeletionProtectionEnabled"]
    assert properties["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"]
    assert properties["TimeToLiveSpecification"] == {
        "AttributeName": "expires_at",
        "Enabled": True,
    }
    assert properties["BillingMode"] == "PAY_PER_REQUEST"
    assert [(k["AttributeName"], k["KeyType"]) for k in properties["KeySchema"]] == [
        ("pk", "HASH"),
        ("sk", "RANGE"),
    ]


def test_the_ledger_is_listed_by_state(aws):
    [index] = aws.all("AWS::DynamoDB::Table")["Ledger"]["GlobalSecondaryIndexes"]
    assert index["IndexName"] == "by_state"
    assert [k["AttributeName"] for k in index["KeySchema"]] == ["gsi1pk", "gsi1sk"]
    assert index["Projection"] == {"ProjectionType": "ALL"}


@pytest.mark.parametrize("step", QUEUED)
def test_each_step_has_a_queue_and_its_own_dead_letters(aws, local, step):
    receives = {"parse": 12, "match": 12, "push": 40, "forward": 12, "load": 5}[step]
    for stack in (aws, local):
        queues = stack.all("AWS::SQS::Queue")
        assert queues[f"{step.capitalize()}Queue"]["RedrivePolicy"] == {
            "deadLetterTargetArn": {"Fn::GetAtt": [f"{step.capitalize()}Dlq", "Arn"]},
            "maxReceiveCount": receives,
        }
        assert queues[f"{step.capitalize()}Dlq"]["MessageRetentionPeriod"] == 14 * 86400


def pollers(stack) -> list[tuple[dict, dict, dict]]:
    """Mapping, queue and function of each event source."""
    functions, queues = stack.all("AWS::Lambda::Function"), stack.all("AWS::SQS::Queue")
    return [
        (
            each,
            queues[each["EventSourceArn"]["Fn::GetAtt"][0]],
            functions[each["FunctionName"]["Ref"]],
        )
        for each in stack.all("AWS::Lambda::EventSourceMapping").values()
    ]


def test_a_message_stays_hidden_six_times_as_long_as_its_function_may_run(aws):
    for _, queue, function in pollers(aws):
        assert queue["VisibilityTimeout"] >= 6 * function["Timeout"], queue["QueueName"]


def test_a_message_stays_hidden_longer_than_its_function_in_the_emulator(local):
    for _, queue, function in pollers(local):
        assert function["Timeout"] < queue["VisibilityTimeout"] <= 30, queue["QueueName"]


def test_pollers_report_single_failures_and_are_capped(aws):
    assert len(pollers(aws)) == 2 * len(QUEUED)
    for mapping, queue, function in pollers(aws):
        one_by_one = function["FunctionName"] == "pfi-push"
        recorder = function["FunctionName"] == "pfi-review"
        assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
        step = function["FunctionName"].removeprefix("pfi-")
        alone = step in ("parse", "push", "forward", "load")
        assert mapping["BatchSize"] == (1 if alone else 10)
        assert mapping["ScalingConfig"] == {
            "MaximumConcurrency": 2 if one_by_one or recorder or step == "load" else 10
        }
        assert recorder == queue["QueueName"].endswith("-dlq")


@pytest.mark.parametrize("step", STEPS)
def test_a_function_runs_python_3_13_on_arm_with_a_log_of_six_months(aws, step):
    function = aws.function(step)
    assert (function["Runtime"], function["Architectures"]) == ("python3.13", ["arm64"])
    log = aws.all("AWS::Logs::LogGroup")[function["LoggingConfig"]["LogGroup"]["Ref"]]
    assert log["RetentionInDays"] == 180
    assert function["Timeout"] == STEPS[step].timeout


def test_the_poller_runs_alone_every_minute_without_retry(aws):
    [rule] = [r for r in aws.all("AWS::Events::Rule").values() if r["Name"] == "pfi-collect"]
    assert (rule["ScheduleExpression"], rule["State"]) == ("rate(1 minute)", "ENABLED")
    assert rule["Targets"][0]["RetryPolicy"]["MaximumRetryAttempts"] == 0
    assert aws.function("collect")["ReservedConcurrentExecutions"] == 1
    [invocation] = [
        each
        for each in aws.all("AWS::Lambda::EventInvokeConfig").values()
        if "Collect" in each["FunctionName"]["Ref"]
    ]
    assert invocation["MaximumRetryAttempts"] == 0
    assert invocation["MaximumEventAgeInSeconds"] == 60


@pytest.mark.parametrize("step", ["certificates", "retain"])
def test_certificates_and_bodies_are_looked_after_every_day(aws, local, step):
    for stack in (aws, local):
        rules = stack.all("AWS::Events::Rule").values()
        [rule] = [each for each in rules if each["Name"] == f"pfi-{step}"]
        assert (rule["ScheduleExpression"], rule["State"]) == ("rate(1 day)", "ENABLED")


def test_the_account_is_made_every_hour(aws, local):
    for stack in (aws, local):
        [rule] = [r for r in stack.all("AWS::Events::Rule").values() if r["Name"] == "pfi-prove"]
        assert (rule["ScheduleExpression"], rule["State"]) == ("rate(1 hour)", "ENABLED")
        [target] = rule["Targets"]
        assert target["Arn"]["Fn::GetAtt"][0].startswith("Prove")


def test_nothing_but_its_literal_can_make_cloudformation_rewrite_the_settings(aws):
    assert aws.all("AWS::SSM::Parameter")["Settings"] == {
        "Name": "/pfi/settings",
        "Tier": "Advanced",
        "Type": "String",
        "Value": "{}",
    }


def test_no_secret_value_is_in_the_template(aws):
    for secret in aws.all("AWS::SecretsManager::Secret").values():
        assert secret.keys() == {"KmsKeyId", "Name"}


def test_the_template_itself_refuses_a_region_outside_the_eea(aws):
    [rule] = aws.template["Rules"]["StoredInTheEea"]["Assertions"]
    regions, asked = rule["Assert"]["Fn::Contains"]
    assert asked == {"Ref": "AWS::Region"}
    assert "eu-west-3" in regions
    assert not {"us-east-1", "eu-west-2", "eu-central-2"} & set(regions)


def test_outputs_name_everything_the_command_line_needs(aws, local):
    queued = [step.capitalize() for step in QUEUED]
    expected = {
        "BucketName", "LedgerTable", "PatientsTable", "SettingsParameter", "MssanteSecret",
        "DpiSecret", "DashboardActivity", "DashboardMachinery", "AlarmTopicArn",
        *(f"Function{step.capitalize()}" for step in STEPS),
        *(f"Queue{step}Url" for step in queued),
        *(f"Dlq{step}Url" for step in queued),
    }  # fmt: skip
    named = {name for name in aws.template["Outputs"] if not name.startswith("ExportsOutput")}
    assert named == set(local.template["Outputs"]) == expected
