"""What a function is told, and what it may do with it: always given together.

Statements are written out instead of taken from the `grant_…` methods of CDK, which hand out
patterns of actions (``s3:Abort*``, ``kms:GenerateDataKey*``, tagging, legal hold) nobody asked for.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from aws_cdk import Stack, aws_iam, aws_kms
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
    region = Stack.of(key).region
    return aws_iam.PolicyStatement(
        actions=list(actions),
        resources=[key.key_arn],
        conditions={"StringEquals": {"kms:ViaService": f"{service}.{region}.amazonaws.com"}},
    )


def send_to(variable: str, queue: sqs.IQueue, key: aws_kms.IKey) -> Grant:
    """Put jobs into one queue."""
    return Grant(
        {variable: queue.queue_url},
        (
            allow(["sqs:SendMessage"], [queue.queue_arn]),
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
