"""Logical ids that never move, and keys that all turn alike.

CloudFormation replaces a resource whose logical id changes, and CDK derives the id from the place
of a construct in the tree: without this, moving a line of Python empties a bucket or a queue.
"""

from typing import TypeVar, cast

from aws_cdk import CfnResource, RemovalPolicy, aws_kms
from constructs import Construct, IConstruct

_C = TypeVar("_C", bound=IConstruct)


def cfn(construct: IConstruct) -> CfnResource:
    """The CloudFormation resource below a construct, or the construct when it is one."""
    if isinstance(construct, CfnResource):
        return construct
    return cast("CfnResource", construct.node.default_child)


def fixed(construct: _C, logical_id: str) -> _C:
    """The same construct, under this logical id for ever."""
    cfn(construct).override_logical_id(logical_id)
    return construct


def rotated_key(
    scope: Construct, construct_id: str, about: str, removal: RemovalPolicy
) -> aws_kms.Key:
    """A customer key, rotated every year: each of the stacks' keys is one."""
    return aws_kms.Key(
        scope,
        construct_id,
        description=about,
        enable_key_rotation=True,
        removal_policy=removal,
    )
