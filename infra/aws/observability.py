"""What an operator sees and is told: one dashboard in two sections, one topic of alarms.

Metrics of the product are read exactly as the functions emit them: without any dimension, but
``MailsSettled`` by ``route`` and ``StepErrors`` by ``step``. An alarm on a metric with one more or
one less dimension never rings, and nothing says so.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from aws_cdk import Aws, Duration, aws_iam, aws_kms, aws_sns
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.aws.names import METRICS_NAMESPACE, ROUTES, Deployment

MISSING_IS_FINE: Final = cloudwatch.TreatMissingData.NOT_BREACHING
MISSING_IS_BAD: Final = cloudwatch.TreatMissingData.BREACHING
_MINUTE: Final = Duration.minutes(1)


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
        # CloudWatch publishes with its own identity: without this it fails in silence.
        key.add_to_resource_policy(
            aws_iam.PolicyStatement(
                principals=[aws_iam.ServicePrincipal("cloudwatch.amazonaws.com")],
                actions=["kms:Decrypt", "kms:GenerateDataKey*"],
                resources=["*"],
                conditions={"StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID}},
            )
        )

    def ring(
        self, alarm_id: str, watched: cloudwatch.IMetric, watch: Watch, description: str
    ) -> cloudwatch.Alarm:
        """An alarm on the topic, whose description says in French what to do."""
        alarm = cloudwatch.Alarm(
            self,
            alarm_id,
            alarm_name=f"{self._name}-{alarm_id}",
            alarm_description=description,
            metric=watched,
            threshold=watch.above,
            evaluation_periods=watch.times,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
            treat_missing_data=watch.missing,
            actions_enabled=watch.acting,
        )
        alarm.add_alarm_action(actions.SnsAction(self.topic))
        return alarm


def ring_for_the_product(alarms: Alarms, *, collecting: bool) -> None:
    """Alarms that belong to no single step."""
    alarms.ring(
        "review",
        metric("ReviewEntries"),
        Watch(0),
        "Des courriels attendent une décision humaine : `pfi review list`.",
    )
    alarms.ring(
        "outcome-unknown",
        metric("OutcomeUnknown"),
        Watch(0),
        "Le DPI n'a pas répondu : le document y est peut-être déjà. Vérifier avant tout renvoi.",
    )
    alarms.ring(
        "poll-age",
        metric("PollAgeSeconds", statistic="Maximum"),
        # With the poller switched off on purpose it must not page anybody.
        Watch(300, missing=MISSING_IS_BAD, acting=collecting),
        "Les boîtes MSSanté ne sont plus relevées : opérateur, certificat ou fonction collect.",
    )


@dataclass(frozen=True, slots=True)
class Observed:
    """What the dashboard shows of the machinery, by step."""

    functions: Mapping[str, lambda_.Function]
    queues: Mapping[str, sqs.Queue]
    dead_letters: Mapping[str, sqs.Queue]


def dashboard(scope: Construct, place: Deployment, observed: Observed) -> cloudwatch.Dashboard:
    """Section *activité* is for the hospital, section *exploitation* for who runs the platform."""
    board = cloudwatch.Dashboard(
        scope,
        "Dashboard",
        dashboard_name=place.name,
        default_interval=Duration.days(1),
        period_override=cloudwatch.PeriodOverride.AUTO,
    )
    for row in (*_activity(), *_machinery(observed)):
        board.add_widgets(*row)
    return board


def _activity() -> list[list[cloudwatch.IWidget]]:
    trips = [
        metric("DpiRoundTripMs", statistic=s).with_(label=label)
        for s, label in (("p50", "médiane"), ("p95", "95e centile"))
    ]
    return [
        [_heading("# Activité")],
        [
            _graph("Courriels relevés", [metric("MailsCollected")]),
            _graph(
                "Courriels terminés, par issue",
                [metric("MailsSettled", route=r).with_(label=_FRENCH[r]) for r in ROUTES],
                stacked=True,
            ),
            _graph(
                "Documents",
                [
                    metric("DocumentsIntegrated").with_(label="intégrés au DPI"),
                    metric("DocumentsRefused").with_(label="refusés"),
                ],
            ),
        ],
        [
            _graph("Temps de réponse du DPI (ms)", trips),
            _graph("Mises en revue", [metric("ReviewEntries")]),
            _graph("Intégrations incertaines", [metric("OutcomeUnknown")]),
        ],
    ]


_FRENCH: Final = {
    "integrated": "intégrés",
    "forwarded": "transférés",
    "replied": "répondus",
    "review": "en revue",
    "duplicate": "doublons",
    "filed": "classés",
}


def _machinery(observed: Observed) -> list[list[cloudwatch.IWidget]]:
    queues, dead, functions = observed.queues, observed.dead_letters, observed.functions
    return [
        [_heading("# Exploitation")],
        [
            _graph("Messages en attente", [_depth(q, s) for s, q in queues.items()]),
            _graph(
                "Âge du plus ancien message (s)",
                [
                    q.metric_approximate_age_of_oldest_message(label=s, period=_MINUTE)
                    for s, q in queues.items()
                ],
            ),
            _graph("Messages en échec (DLQ)", [_depth(q, s) for s, q in dead.items()]),
        ],
        [
            _graph(
                "Erreurs par étape",
                [metric("StepErrors", step=s).with_(label=s) for s in functions],
            ),
            _graph(
                "Erreurs des fonctions", [f.metric_errors(label=s) for s, f in functions.items()]
            ),
            _graph(
                "Dernière relève des boîtes (s)",
                [metric("PollAgeSeconds", statistic="Maximum", period=_MINUTE)],
            ),
        ],
        [
            _graph(
                "Durée des fonctions, 95e centile (ms)",
                [f.metric_duration(label=s, statistic="p95") for s, f in functions.items()],
            ),
            _graph(
                "Exécutions refusées", [f.metric_throttles(label=s) for s, f in functions.items()]
            ),
            _graph(
                "Exécutions simultanées",
                [
                    f.metric("ConcurrentExecutions", statistic="Maximum", label=s)
                    for s, f in functions.items()
                ],
            ),
        ],
    ]


def _depth(queue: sqs.Queue, label: str) -> cloudwatch.Metric:
    return queue.metric_approximate_number_of_messages_visible(
        label=label, period=_MINUTE, statistic="Maximum"
    )


def _heading(markdown: str) -> cloudwatch.TextWidget:
    return cloudwatch.TextWidget(markdown=markdown, width=24, height=1)


def _graph(
    title: str, metrics: Sequence[cloudwatch.IMetric], *, stacked: bool = False
) -> cloudwatch.GraphWidget:
    return cloudwatch.GraphWidget(
        title=title, left=list(metrics), width=8, height=6, stacked=stacked
    )
