"""Findings of cdk-nag that are accepted, each beside its resource with a reason.

`tests/infra` fails on a finding without a reason, and on a reason that no finding needs any more.
"""

from aws_cdk import Acknowledgment, Validations
from constructs import IConstruct

MAILS_EXPORT = "ExportsOutputFnGetAttMailsArn7DC79C57"
"""How the bucket's ARN is called in findings about another stack, after the core stack's name."""


def explain(construct: IConstruct, rule: str, reason: str) -> None:
    """Accept one finding on one construct, for this reason."""
    Validations.of(construct).acknowledge(Acknowledgment(id=rule, reason=reason))
