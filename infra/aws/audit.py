"""The audit trail: who read or wrote which body and which line, and who changed the platform.

CloudTrail delivers to a bucket of its own, under a key of its own. Object Lock keeps each file as
long as the settings say, against everybody; digests signed by AWS tell a file that was altered or
is missing (``aws cloudtrail validate-logs``). Names of objects are digests and keys of lines are
digests and codes, so the trail holds no patient data.
"""

from collections.abc import Sequence

from aws_cdk import ArnFormat, Aws, Duration, RemovalPolicy, Stack, aws_cloudtrail, aws_iam, aws_kms
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_s3 as s3
from constructs import Construct

from infra.aws.explained import explain
from infra.aws.fixed import fixed, rotated_key
from infra.aws.names import Deployment
from infra.aws.traces import let_logs_use

_Selector = aws_cloudtrail.CfnTrail.AdvancedEventSelectorProperty
_Field = aws_cloudtrail.CfnTrail.AdvancedFieldSelectorProperty
_CLOUDTRAIL = "cloudtrail.amazonaws.com"


def emergency_group(place: Deployment) -> str:
    """Log group of the uses of the emergency role."""
    return f"/aws/events/{place.name}-break-glass"


class AuditTrail(Construct):
    """Bucket, key and trail."""

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
        self._arn = Stack.of(self).format_arn(
            service="cloudtrail",
            resource="trail",
            resource_name=f"{place.name}-audit",
            arn_format=ArnFormat.SLASH_RESOURCE_NAME,
        )
        self.key = self._audit_key()
        self.bucket = self._locked_bucket()
        policy = self._let_cloudtrail_write()
        trail = aws_cloudtrail.CfnTrail(
            self,
            "Trail",
            trail_name=f"{place.name}-audit",
            is_logging=True,
            s3_bucket_name=self.bucket.bucket_name,
            kms_key_id=self.key.key_arn,
            enable_log_file_validation=True,
            # Everything of this platform happens in its one region, in the EEA; so does its trail.
            is_multi_region_trail=False,
            include_global_service_events=False,
            advanced_event_selectors=_selected(mails, tables),
        )
        trail.node.add_dependency(policy)
        fixed(trail, "AuditTrail")

    def _audit_key(self) -> aws_kms.Key:
        """Not the key of the data: who may read mails may not for that read the audit trail."""
        about = f"{self._place.name}: audit trail"
        key = rotated_key(self, "Key", about, RemovalPolicy.RETAIN)
        key.add_alias(f"alias/{self._place.name}-audit")
        let_logs_use(key, self._place, [emergency_group(self._place)])
        for actions, conditions in (
            (["kms:DescribeKey"], {}),
            (
                ["kms:GenerateDataKey*"],
                {"StringLike": {"kms:EncryptionContext:aws:cloudtrail:arn": self._arn}},
            ),
        ):
            key.add_to_resource_policy(
                aws_iam.PolicyStatement(
                    principals=[aws_iam.ServicePrincipal(_CLOUDTRAIL)],
                    actions=actions,
                    resources=["*"],
                    conditions={"StringEquals": {"aws:SourceArn": self._arn}, **conditions},
                )
            )
        return fixed(key, "AuditKey")

    def _locked_bucket(self) -> s3.Bucket:
        days = Duration.days(self._place.retention.audit_days)
        lock = s3.ObjectLockRetention
        bucket = s3.Bucket(
            self,
            "Bucket",
            encryption=s3.BucketEncryption.KMS,
            encryption_key=self.key,
            bucket_key_enabled=True,
            versioned=True,
            object_lock_enabled=True,
            object_lock_default_retention=lock.compliance(days)
            if self._place.guard.compliance
            else lock.governance(days),
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            enforce_ssl=True,
            minimum_tls_version=1.2,
            lifecycle_rules=[
                s3.LifecycleRule(
                    id="audit", expiration=days, noncurrent_version_expiration=Duration.days(1)
                )
            ],
            removal_policy=RemovalPolicy.RETAIN,
        )
        explain(
            bucket,
            "AwsSolutions-S1",
            "Reads of the audit trail are in the trail's own management events and under its key; "
            "an access log of the audit log would need one itself.",
        )
        return fixed(bucket, "AuditBucket")

    def _let_cloudtrail_write(self) -> s3.BucketPolicy:
        ours = {"aws:SourceArn": self._arn}
        cloudtrail = aws_iam.ServicePrincipal(_CLOUDTRAIL)
        self.bucket.add_to_resource_policy(
            aws_iam.PolicyStatement(
                principals=[cloudtrail],
                actions=["s3:GetBucketAcl"],
                resources=[self.bucket.bucket_arn],
                conditions={"StringEquals": ours},
            )
        )
        self.bucket.add_to_resource_policy(
            aws_iam.PolicyStatement(
                principals=[cloudtrail],
                actions=["s3:PutObject"],
                resources=[self.bucket.arn_for_objects(f"AWSLogs/{Aws.ACCOUNT_ID}/*")],
                conditions={"StringEquals": {**ours, "s3:x-amz-acl": "bucket-owner-full-control"}},
            )
        )
        policy = self.bucket.policy
        assert policy is not None  # noqa: S101 (two statements were just added)
        return policy


def _selected(mails: s3.IBucket, tables: Sequence[dynamodb.ITable]) -> list[_Selector]:
    """Management events of the account, data events of the bodies and of both tables."""
    data = _Field(field="eventCategory", equal_to=["Data"])
    return [
        _Selector(
            name="management",
            field_selectors=[_Field(field="eventCategory", equal_to=["Management"])],
        ),
        _Selector(
            name="bodies",
            field_selectors=[
                data,
                _Field(field="resources.type", equal_to=["AWS::S3::Object"]),
                _Field(field="resources.ARN", starts_with=[mails.arn_for_objects("")]),
            ],
        ),
        _Selector(
            name="lines",
            field_selectors=[
                data,
                _Field(field="resources.type", equal_to=["AWS::DynamoDB::Table"]),
                _Field(field="resources.ARN", equal_to=[each.table_arn for each in tables]),
            ],
        ),
    ]
