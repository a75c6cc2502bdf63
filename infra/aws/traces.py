"""Log groups: encrypted, kept as long as traces are owed, then erased."""

from collections.abc import Sequence
from typing import Final

from aws_cdk import RemovalPolicy, Stack, aws_iam, aws_kms
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.aws.names import Deployment

_KEPT: Final = {
    30: logs.RetentionDays.ONE_MONTH,
    60: logs.RetentionDays.TWO_MONTHS,
    90: logs.RetentionDays.THREE_MONTHS,
    120: logs.RetentionDays.FOUR_MONTHS,
    150: logs.RetentionDays.FIVE_MONTHS,
    180: logs.RetentionDays.SIX_MONTHS,
    365: logs.RetentionDays.ONE_YEAR,
    400: logs.RetentionDays.THIRTEEN_MONTHS,
}


def log_group(
    scope: Construct, construct_id: str, name: str, place: Deployment, key: aws_kms.IKey
) -> logs.LogGroup:
    """Six months by default (PGSSI-S 7.2.2.5), then erased. Kept on deletion of the stack: traces
    are owed for as long, but gone with a first installation that failed, so that the next can."""
    return logs.LogGroup(
        scope,
        construct_id,
        log_group_name=name,
        retention=_KEPT[place.retention.trace_days],
        encryption_key=None if place.local else key,
        removal_policy=RemovalPolicy.DESTROY
        if place.local
        else RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE,
    )


def let_logs_use(key: aws_kms.Key, place: Deployment, groups: Sequence[str]) -> None:
    """CloudWatch Logs encrypts with our key for these log groups only.

    The groups are named by string: a reference would close a cycle with the key.
    """
    stack = Stack.of(key)
    arns = [stack.format_arn(service="logs", resource=f"log-group:{each}") for each in groups]
    key.add_to_resource_policy(
        aws_iam.PolicyStatement(
            principals=[aws_iam.ServicePrincipal(f"logs.{place.region}.{place.suffix}")],
            actions=[
                "kms:Encrypt*",
                "kms:Decrypt*",
                "kms:ReEncrypt*",
                "kms:GenerateDataKey*",
                "kms:Describe*",
            ],
            resources=["*"],
            conditions={"ArnLike": {"kms:EncryptionContext:aws:logs:arn": arns}},
        )
    )
