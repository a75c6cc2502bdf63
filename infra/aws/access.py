"""What a function is told, and what it may do with it: always given together.

Statements are written out instead of taken from the `grant_…` methods of CDK, which hand out
patterns of actions (``s3:Abort*``, ``kms:GenerateDataKey*``, tagging, legal hold) nobody asked for.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from aws_cdk import ArnFormat, Stack, aws_iam, aws_kms
from aws_cdk import aws_sqs as sqs


@dataclass(frozen=True, slots=True)
class Grant:
    """Environment variables (names only, never a secret) and the statements that go with them."""

    environment: Mapping[str, str] = field(default_factory=dict)
    statements: Sequence[aws_iam.PolicyStatement] = ()
    accepted: Mapping[str, str] = field(default_factory=dict)
    """Findings of cdk-nag that these statements raise, with the reason why they stand."""


def allow(actions: Sequence[str], resources: Sequence[str]) -> aws_iam.PolicyStatement:
    """One statement with its actions spelt out."""
    return aws_iam.PolicyStatement(actions=list(actions), resources=list(resources))


def use_key(
    key: aws_kms.IKey, service: str, actions: Sequence[str] = ("kms:Decrypt",)
) -> aws_iam.PolicyStatement:
    """Use of a key through one service only: the function itself cannot decrypt anything."""
    stack = Stack.of(key)
    through = f"{service}.{stack.region}.{stack.url_suffix}"
    return aws_iam.PolicyStatement(
        actions=list(actions),
        resources=[key.key_arn],
        conditions={"StringEquals": {"kms:ViaService": through}},
    )


def send_to(
    variable: str, queue: sqs.IQueue, key: aws_kms.IKey, lanes: Mapping[str, sqs.IQueue]
) -> Grant:
    """Put jobs into one queue, and into its lanes: they are named after it."""
    told = {"PFI_LANES": ",".join(lanes)} if lanes else {}
    return Grant(
        {variable: queue.queue_url, **told},
        (
            allow(["sqs:SendMessage"], [each.queue_arn for each in (queue, *lanes.values())]),
            use_key(key, "sqs", ["kms:Decrypt", "kms:GenerateDataKey"]),
        ),
    )


def consume(queue: sqs.IQueue, key: aws_kms.IKey) -> Grant:
    """What the poller of an event source needs, and the visibility back-off of `pfi.edge`."""
    return Grant(
        statements=(
            allow(
                [
                    "sqs:ChangeMessageVisibility",
                    "sqs:DeleteMessage",
                    "sqs:GetQueueAttributes",
                    "sqs:ReceiveMessage",
                ],
                [queue.queue_arn],
            ),
            use_key(key, "sqs"),
        )
    )


def count(variable: str, queue: sqs.IQueue, lanes: Mapping[str, sqs.IQueue]) -> Grant:
    """How many messages wait in a queue and in its lanes, and not what they say."""
    told = {"PFI_LANES": ",".join(lanes)} if lanes else {}
    counted = [each.queue_arn for each in (queue, *lanes.values())]
    return Grant({variable: queue.queue_url, **told}, (allow(["sqs:GetQueueAttributes"], counted),))


def stand_in_vpc(name: str, stack: Stack) -> Grant:
    """What Lambda needs to give a function an address in the VPC. These rights are AWS's for every
    such function: interfaces have no name before they exist. Lambda uses them itself; the second
    statement takes them from the code that runs (AWS's own advice)."""
    actions = [
        "ec2:AssignPrivateIpAddresses",
        "ec2:CreateNetworkInterface",
        "ec2:DeleteNetworkInterface",
        "ec2:DescribeNetworkInterfaces",
        "ec2:DescribeSubnets",
        "ec2:UnassignPrivateIpAddresses",
    ]
    function = stack.format_arn(
        service="lambda",
        resource="function",
        resource_name=name,
        arn_format=ArnFormat.COLON_RESOURCE_NAME,
    )
    code = aws_iam.PolicyStatement(
        effect=aws_iam.Effect.DENY,
        actions=actions,
        resources=["*"],
        conditions={"ArnEquals": {"lambda:SourceFunctionArn": function}},
    )
    reason = (
        "Network interfaces have no name before they exist, and describing them knows no resource. "
        "The code of the function is denied the same actions."
    )
    return Grant(
        statements=(allow(actions, ["*"]), code),
        accepted={"AwsSolutions-IAM5[Resource::*]": reason},
    )
