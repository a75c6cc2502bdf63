"""Logical ids that never move.

CloudFormation replaces a resource whose logical id changes, and CDK derives the id from the place
of a construct in the tree: without this, moving a line of Python empties a bucket or a queue.
"""

from typing import TypeVar, cast

from aws_cdk import CfnResource
from constructs import IConstruct

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
