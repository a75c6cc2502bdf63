"""The emergency role ("break-glass"): a person who must see a mail or a line by hand.

It needs MFA, lasts an hour, reads and never writes, and rings as soon as it is used.
"""

from collections.abc import Sequence

from aws_cdk import Duration, Stack, aws_events, aws_iam, aws_kms, aws_sns
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from constructs import Construct

from infra.aws.access import allow, use_key
from infra.aws.audit import emergency_group
from infra.aws.explained import MAILS_EXPORT, explain
from infra.aws.fixed import fixed
from infra.aws.names import Deployment
from infra.aws.runbooks import described
from infra.aws.traces import log_group

_MFA_SECONDS = 3600


class EmergencyRole(Construct):
    """The role and its alarm."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        place: Deployment,
        mails: s3.IBucket,
        tables: Sequence[dynamodb.ITable],
    ) -> None:
        super().__init__(scope, construct_id)
        self._place = place
        role = aws_iam.Role(
            self,
            "Role",
            role_name=f"{place.name}-break-glass",
            description="Emergency: reads mails, documents, ledger and patients. Rings when used.",
            max_session_duration=Duration.hours(1),
            assumed_by=aws_iam.PrincipalWithConditions(
                self._who(),
                {
                    "Bool": {"aws:MultiFactorAuthPresent": "true"},
                    "NumericLessThan": {"aws:MultiFactorAuthAge": str(_MFA_SECONDS)},
                },
            ),
        )
        role.add_to_policy(allow(["s3:ListBucket"], [mails.bucket_arn]))
        role.add_to_policy(
            allow(["s3:GetObject", "s3:GetObjectVersion"], [mails.arn_for_objects("*")])
        )
        role.add_to_policy(
            allow(
                ["dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:Query"],
                [each.table_arn for each in tables] + [f"{tables[0].table_arn}/index/by_state"],
            )
        )
        explain(
            role,
            f"AwsSolutions-IAM5[Resource::{place.name}:{MAILS_EXPORT}/*]",
            "An emergency knows no object name in advance: any body may be the one that must be "
            "seen. MFA, one hour, an alarm and the audit trail go with it.",
        )
        self.role = fixed(role, "BreakGlassRole")

    def open(self, key: aws_kms.IKey) -> None:
        """Bodies and lines can be decrypted, through their stores only."""
        for service in ("s3", "dynamodb"):
            self.role.add_to_policy(use_key(key, service))

    def ring(self, topic: aws_sns.ITopic, key: aws_kms.IKey) -> None:
        """Taking the role and every call made with it match a rule; the alarm watches the rule.

        Taking a role counts as reading in CloudTrail, and EventBridge hides reads unless told.
        """
        name = f"{self._place.name}-break-glass"
        rule = aws_events.CfnRule(
            self,
            "Used",
            name=name,
            state="ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS",
            event_pattern={
                "detail-type": ["AWS API Call via CloudTrail"],
                "detail": {
                    "$or": [
                        {"requestParameters": {"roleArn": [self.role.role_arn]}},
                        {
                            "userIdentity": {
                                "sessionContext": {"sessionIssuer": {"arn": [self.role.role_arn]}}
                            }
                        },
                    ]
                },
            },
            targets=[self._record(key)],
        )
        uses = cloudwatch.Metric(
            namespace="AWS/Events",
            metric_name="TriggeredRules",
            dimensions_map={"RuleName": name},
            statistic="Sum",
            period=Duration.minutes(1),
        )
        alarm = cloudwatch.Alarm(
            self,
            "Alarm",
            alarm_name=name,
            alarm_description=described(
                "break-glass", "Le rôle d'urgence est utilisé : vérifier par qui et pourquoi."
            ),
            metric=uses,
            threshold=0,
            evaluation_periods=1,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        )
        alarm.add_alarm_action(actions.SnsAction(topic))
        alarm.node.add_dependency(rule)

    def _record(self, key: aws_kms.IKey) -> aws_events.CfnRule.TargetProperty:
        """Who did what, at once and readable without the audit trail."""
        group = log_group(self, "Uses", emergency_group(self._place), self._place, key)
        logs.CfnResourcePolicy(
            self,
            "UsesPolicy",
            policy_name=f"{self._place.name}-break-glass",
            policy_document=Stack.of(self).to_json_string(
                {
                    "Version": "2012-10-17",
                    "Statement": [
                        {
                            "Effect": "Allow",
                            "Principal": {
                                "Service": ["events.amazonaws.com", "delivery.logs.amazonaws.com"]
                            },
                            "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
                            "Resource": group.log_group_arn,
                        }
                    ],
                }
            ),
        )
        arn = Stack.of(self).format_arn(
            service="logs", resource=f"log-group:{emergency_group(self._place)}"
        )
        return aws_events.CfnRule.TargetProperty(arn=arn, id="Uses")

    def _who(self) -> aws_iam.PrincipalBase:
        named = self._place.guard.break_glass
        if not named:
            return aws_iam.AccountRootPrincipal()
        return aws_iam.CompositePrincipal(*map(aws_iam.ArnPrincipal, named))
