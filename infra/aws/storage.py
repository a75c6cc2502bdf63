"""What stays: mails and documents, ledger, patients, secrets, settings — under one key.

Logical ids are fixed by hand (`fixed`), because a logical id that moves makes CloudFormation
replace the resource: an empty bucket in the place of a full one. Physical names of the bucket and
the tables are left to CloudFormation: a kept table of an installation that failed half-way never
blocks the next attempt.
"""

from typing import Final, cast

from aws_cdk import Duration, RemovalPolicy, Stack, aws_iam, aws_kms
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_secretsmanager as secretsmanager
from aws_cdk import aws_sqs as sqs
from aws_cdk import aws_ssm as ssm
from constructs import Construct

from infra.aws.access import Grant, allow, use_key
from infra.aws.explained import explain
from infra.aws.fixed import cfn, fixed, rotated_key
from infra.aws.malware import only_clean_mails, scanner_arn
from infra.aws.names import ARRIVING, Deployment
from infra.aws.retention import TRUST_DAYS

INCOMING: Final = "incoming/"
DOCUMENTS: Final = "documents/"
FEED: Final = "feed/"
"""Identity messages that wait for a person."""
IMPORTS: Final = "imports/"
"""Patient files that the hospital drops, by establishment, and the report of each beside it."""
PATIENT_FILES: Final = (".csv", ".ndjson")
_REPORT: Final = ".report.json"
_BODIES: Final = (INCOMING, DOCUMENTS)
TRUST: Final = "trust/"
"""Revocation lists too long for a secret: public, named by their digest."""

_LEDGER_ACTIONS: Final = (
    "dynamodb:BatchGetItem",
    "dynamodb:ConditionCheckItem",
    "dynamodb:GetItem",
    "dynamodb:PutItem",
    "dynamodb:Query",
    "dynamodb:UpdateItem",
)
"""No Scan, and no DeleteItem: a step cannot make a mail disappear. Lines end by their TTL."""

_TABLE_KEY_ACTIONS: Final = (
    "kms:Decrypt",
    "kms:DescribeKey",
    "kms:Encrypt",
    "kms:GenerateDataKey",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
)


class Storage(Construct):
    """Everything stateful, and the grants on it."""

    def __init__(self, scope: Construct, construct_id: str, place: Deployment) -> None:
        super().__init__(scope, construct_id)
        self._place = place
        self._removal = RemovalPolicy.DESTROY if place.local else RemovalPolicy.RETAIN
        self.key = self._data_key()
        self.mails = self._mails()
        self.ledger = self._table("Ledger")
        self.ledger.add_global_secondary_index(
            index_name="by_state",
            partition_key=_text("gsi1pk"),
            sort_key=_text("gsi1sk"),
            projection_type=dynamodb.ProjectionType.ALL,
        )
        self.patients = self._table("Patients")
        self.secrets = {peer: self._secret(peer) for peer in ("mssante", "dpi")}
        self.settings_name = self._settings()

    def announce(self, mails: sqs.Queue, dossiers: sqs.Queue, files: sqs.Queue) -> None:
        """Tell one queue of each mail that arrives, whoever put it there, but of no copy: a body
        whose life is renewed in place did not arrive (docs/decisions/0021). Tell another of each
        mail that was read, by its dossier, likewise; the third of each patient file.

        The notification is a property of the bucket itself and not CDK's custom resource: that
        one is a function which may rewrite the notifications of *every* bucket of the account.
        S3 checks that it may send while the bucket is created, hence the dependency on the policy;
        the policy trusts the account instead of the bucket's ARN, hence no cycle.
        """
        bucket = cast("s3.CfnBucket", cfn(self.mails))
        bucket.notification_configuration = s3.CfnBucket.NotificationConfigurationProperty(
            queue_configurations=[
                *(_told(mails, how, INCOMING, ".eml") for how in ARRIVING),
                *(_told(dossiers, how, DOCUMENTS, "dossier.json") for how in ARRIVING),
                *(_told(files, "*", IMPORTS, each) for each in PATIENT_FILES),
            ]
        )
        for queue in (mails, dossiers, files):
            bucket.add_resource_dependency(cfn(queue.node.find_child("Policy")))

    def reading(self, *prefixes: str) -> Grant:
        """Fetch bodies under these prefixes. Without ListBucket: an absent key answers 403."""
        return Grant(
            {"PFI_BUCKET": self.mails.bucket_name},
            (
                allow(["s3:GetObject"], [self.mails.arn_for_objects(f"{p}*") for p in prefixes]),
                use_key(self.key, "s3"),
            ),
            _digests_below(*prefixes),
        )

    def writing(self, prefix: str) -> Grant:
        """Store bodies under one prefix; a large one goes by parts, which needs Decrypt too."""
        return Grant(
            {"PFI_BUCKET": self.mails.bucket_name},
            (
                allow(
                    ["s3:AbortMultipartUpload", "s3:PutObject"],
                    [self.mails.arn_for_objects(f"{prefix}*")],
                ),
                use_key(self.key, "s3", ["kms:Decrypt", "kms:GenerateDataKey"]),
            ),
            _digests_below(prefix),
        )

    def reporting(self) -> Grant:
        """Write the report of a patient file beside it, and never a patient file."""
        reports = f"{IMPORTS}*{_REPORT}"
        reason = "Patient files are named by the hospital; the report takes the name of its file."
        return Grant(
            statements=(
                allow(["s3:PutObject"], [self.mails.arn_for_objects(reports)]),
                use_key(self.key, "s3", ["kms:Decrypt", "kms:GenerateDataKey"]),
            ),
            accepted={f"AwsSolutions-IAM5[Resource::<Mails.Arn>/{reports}]": reason},
        )

    def listing(self) -> Grant:
        """See which mails and documents there are; their bodies stay closed."""
        allowed = allow(["s3:ListBucket"], [self.mails.bucket_arn])
        below = [f"{prefix}*" for prefix in _BODIES]
        allowed.add_condition("StringLike", {"s3:prefix": below})
        days = str(self._place.retention.mail_days)
        return Grant({"PFI_BUCKET": self.mails.bucket_name, "PFI_MAIL_DAYS": days}, (allowed,))

    def renewing(self) -> Grant:
        """Copy bodies in place. The scanner's verdict, a tag, goes with a mail: a right of its own,
        given only where there are verdicts."""
        objects = {prefix: self.mails.arn_for_objects(f"{prefix}*") for prefix in _BODIES}
        tags = allow(["s3:GetObjectTagging", "s3:PutObjectTagging"], [objects[INCOMING]])
        statements = [
            allow(["s3:GetObject", "s3:PutObject"], list(objects.values())),
            use_key(self.key, "s3", ["kms:Decrypt", "kms:GenerateDataKey"]),
            *([tags] if self._place.scanned else []),
        ]
        return Grant(statements=statements, accepted=_digests_below(*_BODIES))

    def quarantine(self, renewer: aws_iam.IRole | None) -> None:
        """Only clean mails are read; a verdict is the scanner's, or goes with a mail's copy."""
        scanner = scanner_arn(self.mails, self._place)
        only_clean_mails(self.mails, scanner, [renewer.role_arn] if renewer else [])

    def seeing_ledger(self) -> Grant:
        """Read the ledger, and never change it."""
        index = f"{self.ledger.table_arn}/index/by_state"
        return Grant(
            {"PFI_LEDGER_TABLE": self.ledger.table_name},
            (
                allow(["dynamodb:GetItem", "dynamodb:Query"], [self.ledger.table_arn, index]),
                use_key(self.key, "dynamodb", ["kms:Decrypt", "kms:DescribeKey"]),
            ),
        )

    def keeping_ledger(self) -> Grant:
        """Read and advance the ledger."""
        return Grant(
            {"PFI_LEDGER_TABLE": self.ledger.table_name},
            (
                allow(
                    _LEDGER_ACTIONS,
                    [self.ledger.table_arn, f"{self.ledger.table_arn}/index/by_state"],
                ),
                use_key(self.key, "dynamodb", _TABLE_KEY_ACTIONS),
            ),
        )

    def reading_patients(self) -> Grant:
        """Look patients up; no step of a mail ever writes the patient base, only `feed` and `load`
        do."""
        return Grant(
            {"PFI_PATIENTS_TABLE": self.patients.table_name},
            (
                allow(
                    ["dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:Query"],
                    [self.patients.table_arn],
                ),
                use_key(self.key, "dynamodb", ["kms:Decrypt", "kms:DescribeKey"]),
            ),
        )

    def feeding_patients(self) -> Grant:
        """Read and write the patient base: `feed`, and `load` for files. A transaction needs the
        rights of what it puts and deletes."""
        return Grant(
            {"PFI_PATIENTS_TABLE": self.patients.table_name},
            (
                allow(
                    [
                        "dynamodb:BatchGetItem",
                        "dynamodb:DeleteItem",
                        "dynamodb:PutItem",
                        "dynamodb:Query",
                    ],
                    [self.patients.table_arn],
                ),
                use_key(self.key, "dynamodb", _TABLE_KEY_ACTIONS),
            ),
        )

    def seeing_feeds(self) -> Grant:
        """When each feed was last alive: those rows of the patient base, and no patient."""
        alive = allow(["dynamodb:Query"], [self.patients.table_arn])
        alive.add_condition("ForAllValues:StringLike", {"dynamodb:LeadingKeys": ["FED#*"]})
        used = use_key(self.key, "dynamodb", ["kms:Decrypt", "kms:DescribeKey"])
        return Grant({"PFI_PATIENTS_TABLE": self.patients.table_name}, (alive, used))

    def reading_secret(self, peer: str) -> Grant:
        """The credentials of one peer; Secrets Manager adds six characters to the name."""
        name = self.secrets[peer]
        arn = Stack.of(self).format_arn(
            service="secretsmanager", resource="secret", resource_name=None
        )
        return Grant(
            {f"PFI_SECRET_{peer.upper()}": name},
            (
                allow(["secretsmanager:GetSecretValue"], [f"{arn}:{name}-??????"]),
                use_key(self.key, "secretsmanager"),
            ),
        )

    def replacing_secret(self, peer: str) -> Grant:
        """Write the credentials of one peer: a revocation list stands beside them."""
        arn = Stack.of(self).format_arn(
            service="secretsmanager", resource="secret", resource_name=None
        )
        return Grant(
            statements=(
                allow(["secretsmanager:PutSecretValue"], [f"{arn}:{self.secrets[peer]}-??????"]),
                use_key(self.key, "secretsmanager", ["kms:Decrypt", "kms:GenerateDataKey"]),
            )
        )

    def reading_settings(self) -> Grant:
        """The settings of the installation."""
        arn = Stack.of(self).format_arn(service="ssm", resource=f"parameter{self.settings_name}")
        return Grant(
            {"PFI_SETTINGS_PARAMETER": self.settings_name},
            (allow(["ssm:GetParameter"], [arn]),),
        )

    def _data_key(self) -> aws_kms.Key:
        about = f"{self._place.name}: mails, documents, ledger, patients, secrets"
        key = rotated_key(self, "DataKey", about, self._removal)
        key.add_alias(f"alias/{self._place.name}-data")
        return fixed(key, "DataKey")

    def _mails(self) -> s3.Bucket:
        mails = s3.Bucket(
            self,
            "Mails",
            encryption=s3.BucketEncryption.KMS,
            encryption_key=self.key,
            bucket_key_enabled=True,
            versioned=True,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            enforce_ssl=not self._place.local,
            minimum_tls_version=None if self._place.local else 1.2,
            server_access_logs_bucket=None if self._place.local else self._access_logs(),
            server_access_logs_prefix=None if self._place.local else "mails/",
            lifecycle_rules=self._expiry(),
            removal_policy=self._removal,
        )
        return fixed(mails, "Mails")

    def _expiry(self) -> list[s3.LifecycleRule]:
        """Bodies expire by the retention; the last rule erases what versioning would keep."""
        kept = Duration.days(self._place.retention.mail_days)
        return [
            s3.LifecycleRule(id="mails", prefix=INCOMING, expiration=kept),
            s3.LifecycleRule(id="documents", prefix=DOCUMENTS, expiration=kept),
            s3.LifecycleRule(id="feed", prefix=FEED, expiration=kept),
            s3.LifecycleRule(id="imports", prefix=IMPORTS, expiration=kept),
            s3.LifecycleRule(id="trust", prefix=TRUST, expiration=Duration.days(TRUST_DAYS)),
            s3.LifecycleRule(
                id="leftovers",
                noncurrent_version_expiration=Duration.days(self._place.retention.version_days),
                expired_object_delete_marker=True,
                abort_incomplete_multipart_upload_after=Duration.days(1),
            ),
        ]

    def _access_logs(self) -> s3.Bucket:
        """Who read which body. S3 delivers these logs under its own key only, not under ours.

        Object keys are digests, so the logs hold no patient data.
        """
        logs = s3.Bucket(
            self,
            "AccessLogs",
            encryption=s3.BucketEncryption.S3_MANAGED,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            enforce_ssl=True,
            minimum_tls_version=1.2,
            lifecycle_rules=[
                s3.LifecycleRule(
                    id="traces", expiration=Duration.days(self._place.retention.trace_days)
                )
            ],
            removal_policy=self._removal,
        )
        return fixed(logs, "AccessLogs")

    def _table(self, name: str) -> dynamodb.Table:
        table = dynamodb.Table(
            self,
            name,
            partition_key=_text("pk"),
            sort_key=_text("sk"),
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            encryption=dynamodb.TableEncryption.CUSTOMER_MANAGED,
            encryption_key=self.key,
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=True
            ),
            time_to_live_attribute="expires_at",
            deletion_protection=not self._place.local,
            removal_policy=self._removal,
        )
        return fixed(table, name)

    def _secret(self, peer: str) -> str:
        """An empty secret: its value comes from an operator and never passes through a template.

        The name is our own string. Grants and variables use that string and never `Ref`, which is
        an ARN on AWS and a name in the emulator.
        """
        name = f"{self._place.name}/{peer}"
        secret = secretsmanager.CfnSecret(self, peer, name=name, kms_key_id=self.key.key_arn)
        secret.override_logical_id(f"{peer.capitalize()}Secret")
        secret.apply_removal_policy(
            RemovalPolicy.DESTROY if self._place.local else RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE
        )
        explain(
            secret,
            "AwsSolutions-SMG4",
            "Certificates and passwords are issued by the MSSanté operator and by the DPI's "
            "vendor; AWS cannot rotate them. The alarm on their expiry is the product's.",
        )
        return name

    def _settings(self) -> str:
        """The settings parameter; an operator writes it, the template only makes it exist.

        CloudFormation puts the literal back whenever *another* property of this resource changes,
        tags of the stack included. So it has no description and no tag, and a test pins it whole.
        """
        name = f"/{self._place.name}/settings"
        parameter = ssm.CfnParameter(
            self, "Settings", name=name, type="String", tier="Advanced", value="{}"
        )
        parameter.override_logical_id("Settings")
        return name


def _digests_below(*prefixes: str) -> dict[str, str]:
    reason = "Object names are digests that do not exist yet; the prefix is the narrowest bound."
    return {f"AwsSolutions-IAM5[Resource::<Mails.Arn>/{prefix}*]": reason for prefix in prefixes}


def _text(name: str) -> dynamodb.Attribute:
    return dynamodb.Attribute(name=name, type=dynamodb.AttributeType.STRING)


def _told(
    queue: sqs.Queue, how: str, prefix: str, suffix: str
) -> s3.CfnBucket.QueueConfigurationProperty:
    return s3.CfnBucket.QueueConfigurationProperty(
        event=f"s3:ObjectCreated:{how}",
        queue=queue.queue_arn,
        filter=_keys(prefix=prefix, suffix=suffix),
    )


def _keys(**bounds: str) -> s3.CfnBucket.NotificationFilterProperty:
    rule = s3.CfnBucket.FilterRuleProperty
    rules = [rule(name=name, value=value) for name, value in bounds.items()]
    return s3.CfnBucket.NotificationFilterProperty(
        s3_key=s3.CfnBucket.S3KeyFilterProperty(rules=rules)
    )
