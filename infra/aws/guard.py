"""The guard stack (AWS only): the audit trail, the emergency role, the budget, the malware scan.

Nothing of the journey depends on it, and it can be deployed, changed and even removed while mails
flow; only what it has recorded cannot be removed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from aws_cdk import (
    Annotations,
    Environment,
    Stack,
    aws_budgets,
    aws_kms,
    aws_sns,
)
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_s3 as s3
from constructs import Construct

from infra.aws.audit import AuditTrail
from infra.aws.emergency import EmergencyRole
from infra.aws.malware import scan
from infra.aws.names import Deployment

NO_BUDGETS: Final = ("eu-north-1", "eu-south-1", "eu-south-2")
"""CloudFormation does not know AWS::Budgets there (resource schemas of each region, as cfn-lint
carries them). The budget is then made by hand: docs/operate/budget.md."""


@dataclass(frozen=True, slots=True)
class Held:
    """What the core stack holds and this one watches."""

    key: aws_kms.IKey
    mails: s3.IBucket
    tables: Sequence[dynamodb.ITable]
    topic: aws_sns.ITopic


class GuardStack(Stack):
    """The rails around the core stack."""

    def __init__(self, scope: Construct, construct_id: str, place: Deployment, held: Held) -> None:
        super().__init__(
            scope,
            construct_id,
            stack_name=f"{place.name}-guard",
            description="PFI: audit trail, emergency role, budget, malware scan",
            env=Environment(region=place.region),
            termination_protection=True,
        )
        self.trail = AuditTrail(self, "Audit", place, held.mails, held.tables)
        self.emergency = EmergencyRole(self, "Emergency", place, held.mails, held.tables)
        self.emergency.open(held.key)
        self.emergency.ring(held.topic, self.trail.key)
        if place.guard.malware:
            scan(self, place, held.mails, held.key)
        if place.guard.budget:
            self._budget(place, held.topic)

    def _budget(self, place: Deployment, topic: aws_sns.ITopic) -> None:
        """The whole account: production and test have one each, and nothing else lives there."""
        if place.region in NO_BUDGETS:
            Annotations.of(self).add_warning_v2(
                "pfi:no-budget", f"no budget: CloudFormation of {place.region} does not know it"
            )
            return
        limits = (("ACTUAL", place.thresholds.budget_percent), ("FORECASTED", 100))
        aws_budgets.CfnBudget(
            self,
            "Budget",
            budget=aws_budgets.CfnBudget.BudgetDataProperty(
                budget_name=f"{place.name}-monthly",
                budget_type="COST",
                time_unit="MONTHLY",
                budget_limit=aws_budgets.CfnBudget.SpendProperty(
                    amount=place.guard.budget, unit="EUR" if place.sovereign else "USD"
                ),
            ),
            notifications_with_subscribers=[
                aws_budgets.CfnBudget.NotificationWithSubscribersProperty(
                    notification=aws_budgets.CfnBudget.NotificationProperty(
                        notification_type=kind,
                        comparison_operator="GREATER_THAN",
                        threshold=percent,
                        threshold_type="PERCENTAGE",
                    ),
                    subscribers=[
                        aws_budgets.CfnBudget.SubscriberProperty(
                            subscription_type="SNS", address=topic.topic_arn
                        )
                    ],
                )
                for kind, percent in limits
            ],
        )
