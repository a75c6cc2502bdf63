"""What an operator is told: one topic of alarms, and the metrics of the product.

Metrics of the product are read with exactly the dimensions that the functions emit
(`pfi.edge.telemetry`). An alarm on a metric with one more or one less dimension never rings, and
nothing says so.
"""

from dataclasses import dataclass
from typing import Final

from aws_cdk import Aws, Duration, aws_iam, aws_kms, aws_sns
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from constructs import Construct

from infra.aws.names import CERTIFICATES, METRICS_NAMESPACE, Deployment
from infra.aws.runbooks import described
from infra.aws.thresholds import Thresholds

MISSING_IS_FINE: Final = cloudwatch.TreatMissingData.NOT_BREACHING
MISSING_IS_BAD: Final = cloudwatch.TreatMissingData.BREACHING
_DAY: Final = Duration.days(1)
_ABOVE: Final = cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD
_BELOW: Final = cloudwatch.ComparisonOperator.LESS_THAN_OR_EQUAL_TO_THRESHOLD


def metric(
    name: str, *, statistic: str = "Sum", period: Duration | None = None, **dimensions: str
) -> cloudwatch.Metric:
    """A metric of the product."""
    return cloudwatch.Metric(
        namespace=METRICS_NAMESPACE,
        metric_name=name,
        dimensions_map=dimensions,
        statistic=statistic,
        period=period or Duration.minutes(5),
    )


@dataclass(frozen=True, slots=True)
class Watch:
    """When an alarm rings: `above` this value, `times` periods in a row."""

    above: float
    times: int = 1
    missing: cloudwatch.TreatMissingData = MISSING_IS_FINE
    acting: bool = True
    at_or_below: bool = False
    """The other way round: for what runs out."""


class Alarms(Construct):
    """The topic that alarms go to, and how one is made. People subscribe to the topic."""

    def __init__(
        self, scope: Construct, construct_id: str, place: Deployment, key: aws_kms.Key
    ) -> None:
        super().__init__(scope, construct_id)
        self._name = place.name
        self.topic = aws_sns.Topic(
            self,
            "Topic",
            topic_name=f"{place.name}-alarms",
            master_key=key,
            enforce_ssl=not place.local,
        )
        for number, address in enumerate(place.guard.alarm_emails, 1):
            aws_sns.CfnSubscription(
                self,
                f"Email{number}",
                protocol="email",
                endpoint=address,
                topic_arn=self.topic.topic_arn,
            )
        if not place.local:
            self._let_budgets_publish()
        services = ["cloudwatch.amazonaws.com"]
        services += [] if place.local else ["budgets.amazonaws.com"]
        # CloudWatch publishes with its own identity: without this it fails in silence.
        key.add_to_resource_policy(
            aws_iam.PolicyStatement(
                principals=[aws_iam.ServicePrincipal(each) for each in services],
                actions=["kms:Decrypt", "kms:GenerateDataKey*"],
                resources=["*"],
                conditions={"StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID}},
            )
        )

    def _let_budgets_publish(self) -> None:
        self.topic.add_to_resource_policy(
            aws_iam.PolicyStatement(
                principals=[aws_iam.ServicePrincipal("budgets.amazonaws.com")],
                actions=["sns:Publish"],
                resources=[self.topic.topic_arn],
                conditions={"StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID}},
            )
        )

    def ring(
        self, alarm_id: str, watched: cloudwatch.IMetric, watch: Watch, description: str
    ) -> cloudwatch.Alarm:
        """An alarm on the topic, whose description says in French what to do and names its page."""
        alarm = cloudwatch.Alarm(
            self,
            alarm_id,
            alarm_name=f"{self._name}-{alarm_id}",
            alarm_description=described(alarm_id, description),
            metric=watched,
            threshold=watch.above,
            evaluation_periods=watch.times,
            comparison_operator=_BELOW if watch.at_or_below else _ABOVE,
            treat_missing_data=watch.missing,
            actions_enabled=watch.acting,
        )
        alarm.add_alarm_action(actions.SnsAction(self.topic))
        return alarm


def ring_for_the_product(alarms: Alarms, place: Deployment) -> None:
    """Alarms that belong to no single step."""
    limits = place.thresholds
    alarms.ring(
        "review",
        metric("ReviewEntries"),
        Watch(limits.review_entries),
        "Des courriels attendent une décision humaine : pfi review list.",
    )
    alarms.ring(
        "outcome-unknown",
        metric("OutcomeUnknown"),
        Watch(limits.outcome_unknown),
        "Le DPI n'a pas répondu : le document y est peut-être déjà. Vérifier avant tout renvoi.",
    )
    alarms.ring(
        "misconfigured",
        metric("Misconfigured"),
        Watch(limits.misconfigured),
        "Un certificat, un mot de passe ou un réglage est refusé : tout attend, rien n'est perdu.",
    )
    alarms.ring(
        "push-waiting",
        # A job handed back is a new message: the age of its queue tells nothing of a backlog.
        metric("HandedBackAgeSeconds", statistic="Maximum", period=Duration.minutes(15)),
        Watch(limits.dpi_age_s, times=2),
        f"Des documents attendent leur tour vers un DPI depuis plus de {limits.dpi_age_s // 60} "
        "minutes : DPI trop lent pour ce qui arrive, ou absent.",
    )
    alarms.ring(
        "unaccounted",
        # A run may end some minutes later in its hour than the one before: two hours hold one.
        metric("MailsUnaccounted", statistic="Maximum", period=Duration.hours(2)),
        Watch(limits.mails_unaccounted, missing=MISSING_IS_BAD),
        "Le compte horaire ne tombe pas juste (courriels sans issue ni travail), ou n'a pas lieu.",
    )
    alarms.ring(
        "unproven",
        metric("SlicesUnproven", statistic="Maximum", period=Duration.hours(2)),
        Watch(limits.slices_unproven, times=2),
        "Le compte horaire n'a plus le temps de tout examiner : ce qui reste n'est pas prouvé.",
    )
    alarms.ring(
        "feed-age",
        # Told hourly for each establishment that has a feed: without one there is no such metric.
        metric("FeedAgeSeconds", statistic="Maximum", period=Duration.hours(2)),
        Watch(limits.feed_age_s),
        "Le référentiel d'identités n'envoie plus rien : la base patients vieillit.",
    )
    alarms.ring(
        "poll-age",
        metric("PollAgeSeconds", statistic="Maximum"),
        # With the poller switched off on purpose it must not page anybody.
        Watch(limits.poll_age_s, missing=MISSING_IS_BAD, acting=place.collect),
        "Les boîtes MSSanté ne sont plus relevées : opérateur, certificat ou fonction collect.",
    )


def ring_for_certificates(alarms: Alarms, limits: Thresholds) -> None:
    """A certificate or a revocation list that runs out stops the mails on a known day. Looked at
    daily by the product; the value of a peer is that of its certificate which ends first."""
    notices = {
        "notice": (limits.certificate_notice_days, "commander le suivant"),
        "warning": (limits.certificate_warning_days, "installer et essayer le suivant"),
        "urgent": (limits.certificate_urgent_days, "les courriels s'arrêteront ce jour-là"),
    }
    for peer in CERTIFICATES:
        for level, (days, what) in notices.items():
            alarms.ring(
                f"certificate-{peer}-{level}",
                metric("CertificateDaysLeft", statistic="Minimum", period=_DAY, certificate=peer),
                Watch(days, at_or_below=True),
                f"Un certificat {peer} expire dans {days} jours ou moins : {what}.",
            )
        alarms.ring(
            f"crl-{peer}",
            metric("CrlAgeHours", statistic="Maximum", period=_DAY, certificate=peer),
            Watch(limits.crl_age_h),
            f"La liste de révocation {peer} n'est plus renouvelée : les connexions cesseront.",
        )
