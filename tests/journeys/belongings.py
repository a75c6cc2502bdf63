"""Everything that an account of the emulator holds, kind by kind, as the services list it."""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from infra.operations.account import Account

Lister = Callable[[Account], Iterator[str]]


def _listed(service: str, operation: str, result: str, name: str, **options: str) -> Lister:
    """One list call, page by page where it has pages."""

    def names(account: Account) -> Iterator[str]:
        client = account.client(service)
        if client.can_paginate(operation):
            pages = list(client.get_paginator(operation).paginate(**options))
        else:
            pages = [getattr(client, operation)(**options)]
        for page in pages:
            for each in page.get(result, ()):
                yield str(each[name] if name else each)

    return names


def _keys(account: Account) -> Iterator[str]:
    """KMS lets no key go at once: one that waits for its end is gone as far as anybody can tell."""
    client = account.client("kms")
    for each in client.list_keys()["Keys"]:
        told = client.describe_key(KeyId=each["KeyId"])["KeyMetadata"]
        if told["KeyState"] != "PendingDeletion":
            yield str(each["KeyId"])


def _objects(account: Account) -> Iterator[str]:
    client = account.client("s3")
    for bucket in client.list_buckets()["Buckets"]:
        found = client.list_object_versions(Bucket=bucket["Name"]).get("Versions", ())
        yield from (f"{bucket['Name']}/{each['Key']}" for each in found)


def _stacks(account: Account) -> Iterator[str]:
    for each in account.client("cloudformation").list_stacks()["StackSummaries"]:
        if each["StackStatus"] != "DELETE_COMPLETE":
            yield str(each["StackName"])


KINDS: Final[Mapping[str, Lister]] = {
    "AWS::CloudFormation::Stack": _stacks,
    "AWS::CloudWatch::Alarm": _listed("cloudwatch", "describe_alarms", "MetricAlarms", "AlarmName"),
    "AWS::CloudWatch::Dashboard": _listed(
        "cloudwatch", "list_dashboards", "DashboardEntries", "DashboardName"
    ),
    "AWS::DynamoDB::Table": _listed("dynamodb", "list_tables", "TableNames", ""),
    "AWS::Events::Rule": _listed("events", "list_rules", "Rules", "Name"),
    "AWS::IAM::Role": _listed("iam", "list_roles", "Roles", "RoleName"),
    "AWS::IAM::ManagedPolicy": _listed(
        "iam", "list_policies", "Policies", "PolicyName", Scope="Local"
    ),
    "AWS::KMS::Alias": _listed("kms", "list_aliases", "Aliases", "AliasName"),
    "AWS::KMS::Key": _keys,
    "AWS::Lambda::EventSourceMapping": _listed(
        "lambda", "list_event_source_mappings", "EventSourceMappings", "UUID"
    ),
    "AWS::Lambda::Function": _listed("lambda", "list_functions", "Functions", "FunctionName"),
    "AWS::Lambda::LayerVersion": _listed("lambda", "list_layers", "Layers", "LayerName"),
    "AWS::Logs::LogGroup": _listed("logs", "describe_log_groups", "logGroups", "logGroupName"),
    "AWS::S3::Bucket": _listed("s3", "list_buckets", "Buckets", "Name"),
    "AWS::S3::Object": _objects,
    "AWS::SNS::Subscription": _listed(
        "sns", "list_subscriptions", "Subscriptions", "SubscriptionArn"
    ),
    "AWS::SNS::Topic": _listed("sns", "list_topics", "Topics", "TopicArn"),
    "AWS::SQS::Queue": _listed("sqs", "list_queues", "QueueUrls", ""),
    "AWS::SSM::Parameter": _listed("ssm", "describe_parameters", "Parameters", "Name"),
    "AWS::SecretsManager::Secret": _listed("secretsmanager", "list_secrets", "SecretList", "Name"),
}
PARTS: Final = frozenset(
    {
        "AWS::IAM::Policy",
        "AWS::Lambda::EventInvokeConfig",
        "AWS::Lambda::Permission",
        "AWS::Lambda::Version",
        "AWS::SQS::QueuePolicy",
        "AWS::S3::BucketPolicy",
        "AWS::SNS::TopicPolicy",
    }
)
"""They live in another resource and go with it."""


def belongings(account: Account) -> dict[str, set[str]]:
    """Kind → names, of everything there is."""
    return {kind: set(names(account)) for kind, names in KINDS.items()}
