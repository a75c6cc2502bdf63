"""What an operator sees: *activité* is for the hospital, *exploitation* for who runs the platform.

Closed lists are drawn line by line. Reasons, establishments and DPIs are searched for instead:
they come with the settings, which change without a deployment, and a line of the dashboard must
not need one (docs/decisions/0019). A search is evaluated by CloudWatch; it costs no metric.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.aws.names import CERTIFICATES, METRICS_NAMESPACE, ROUTES, SENDERS, STEPS, Deployment
from infra.aws.observability import metric

_MINUTE: Final = Duration.minutes(1)
_HOUR: Final = Duration.hours(1)
_DAY: Final = Duration.days(1)
_PERCENTILES: Final = (("p50", "médiane"), ("p95", "95e centile"))
_ASKED: Final = ("integrated", "forwarded", "replied", "review")
"""Routes of the mails that somebody wrote: duplicates and technical mails have no share."""

_ROUTES: Final = {
    "integrated": "intégrés",
    "forwarded": "transférés",
    "replied": "répondus",
    "review": "en revue",
    "duplicate": "doublons",
    "filed": "classés",
}
_SENDERS: Final = {
    "hospital": "hôpitaux",
    "laboratory": "laboratoires",
    "imaging": "imagerie",
    "practice": "cabinets",
    "other": "autres",
}

Row = Sequence[cloudwatch.IWidget]


@dataclass(frozen=True, slots=True)
class Observed:
    """What the dashboard shows of the machinery, by step, and of the stores."""

    functions: Mapping[str, lambda_.Function]
    queues: Mapping[str, sqs.Queue]
    dead_letters: Mapping[str, sqs.Queue]
    tables: Mapping[str, dynamodb.Table]
    mails: s3.Bucket


def dashboards(scope: Construct, place: Deployment, observed: Observed) -> None:
    """The two dashboards of an installation."""
    for name, rows in (("activite", _activity()), ("exploitation", _machinery(observed))):
        board = cloudwatch.Dashboard(
            scope,
            f"Dashboard{name.capitalize()}",
            dashboard_name=f"{place.name}-{name}",
            default_interval=Duration.days(1),
            period_override=cloudwatch.PeriodOverride.AUTO,
        )
        for row in rows:
            board.add_widgets(*row)


def _activity() -> list[Row]:
    return [[_heading("# Activité")], *_mails(), _establishments(), _senders(), _documents()]


def _mails() -> list[Row]:
    settled = {r: metric("MailsSettled", route=r).with_(label=_ROUTES[r]) for r in ROUTES}
    return [
        [
            _graph("Courriels relevés", [metric("MailsCollected")]),
            _graph("Courriels terminés, par issue", list(settled.values()), stacked=True),
            _graph("Part des courriels intégrés (%)", [_share()]),
        ],
        [
            _graph(
                "Courriels par issue et motif",
                [
                    _searched(
                        "MailsSettled",
                        "route",
                        "reason",
                        label="${PROP('Dim.route')} ${PROP('Dim.reason')}",
                    )
                ],
                stacked=True,
            ),
            _graph("Messagerie de repli et réponses", [settled["forwarded"], settled["replied"]]),
            _graph("Mises en revue", [metric("ReviewEntries")]),
        ],
    ]


def _share() -> cloudwatch.MathExpression:
    """Of the mails that ended in each hour; an hour without mails has no share."""
    settled = {r: metric("MailsSettled", period=_HOUR, route=r) for r in _ASKED}
    every = " + ".join(f"FILL({r}, 0)" for r in _ASKED)
    return cloudwatch.MathExpression(
        expression=f"100 * FILL(integrated, 0) / ({every})",
        using_metrics=settled,
        label="intégrés",
        period=_HOUR,
    )


def _establishments() -> Row:
    return [
        _graph(
            "Courriels par établissement",
            [_searched("IntegratedShare", "establishment", statistic="SampleCount")],
            stacked=True,
        ),
        _graph(
            "Part intégrée par établissement (%)",
            [_searched("IntegratedShare", "establishment", statistic="Average", times=100)],
        ),
        _graph("Intégrations incertaines", [metric("OutcomeUnknown")]),
    ]


def _senders() -> Row:
    return [
        _graph(
            "Courriels par type d'expéditeur", [_sent_by(s, "SampleCount") for s in SENDERS],
            stacked=True,
        ),
        _graph(
            "Part intégrée par type d'expéditeur (%)",
            [_share_of(s) for s in SENDERS],
        ),
        _graph(
            "De l'arrivée à l'acquittement du DPI (ms)",
            [metric("ArrivalToAckMs", statistic=s).with_(label=label) for s, label in _PERCENTILES],
        ),
    ]  # fmt: skip


def _sent_by(sender: str, statistic: str) -> cloudwatch.Metric:
    found = metric("IntegratedShare", statistic=statistic, period=_HOUR, sender=sender)
    return found.with_(label=_SENDERS[sender])


def _share_of(sender: str) -> cloudwatch.MathExpression:
    return cloudwatch.MathExpression(
        expression=f"100 * {sender}",
        using_metrics={sender: _sent_by(sender, "Average")},
        label=_SENDERS[sender],
        period=_HOUR,
    )


def _documents() -> Row:
    refused = cloudwatch.MathExpression(
        expression=f"SUM({_search('DocumentsRefused', ('dpi',), 'Sum', 300)})",
        using_metrics={},
        label="refusés",
    )
    return [
        _graph(
            "Documents", [metric("DocumentsIntegrated").with_(label="intégrés au DPI"), refused]
        ),
        _graph("Messages d'identité (PAM)", [metric("FeedMessages")]),
        _graph("INS portée par deux identités", [metric("InsHeldTwice")]),
    ]


def _machinery(observed: Observed) -> list[Row]:
    return [
        [_heading("# Exploitation")],
        _waiting(observed),
        _failing(observed),
        _by_dpi(),
        _account(),
        _certificates(),
        _running(observed),
        *_costing(observed),
    ]


def _waiting(observed: Observed) -> Row:
    queues, dead = observed.queues, observed.dead_letters
    return [
        _graph("Messages en attente", [_depth(q, s) for s, q in queues.items()]),
        _graph(
            "Âge du plus ancien message (s)",
            [
                q.metric_approximate_age_of_oldest_message(label=s, period=_MINUTE)
                for s, q in queues.items()
            ],
        ),
        _graph("Messages en échec (DLQ)", [_depth(q, s) for s, q in dead.items()]),
    ]


def _failing(observed: Observed) -> Row:
    functions = observed.functions
    return [
        _graph(
            "Erreurs par étape",
            [
                *(metric("StepErrors", step=s).with_(label=s) for s in functions),
                metric("Misconfigured").with_(label="réglage ou certificat refusé"),
            ],
        ),
        _graph("Erreurs des fonctions", [f.metric_errors(label=s) for s, f in functions.items()]),
        _graph(
            "Dernière relève des boîtes (s)",
            [metric("PollAgeSeconds", statistic="Maximum", period=_MINUTE)],
        ),
    ]


def _account() -> Row:
    return [
        _graph(
            "Courriels hors compte", [metric("MailsUnaccounted", statistic="Maximum", period=_HOUR)]
        ),
        _graph(
            "Parts du compte non examinées",
            [metric("SlicesUnproven", statistic="Maximum", period=_HOUR)],
        ),
    ]


def _by_dpi() -> Row:
    trips = [
        _searched("DpiRoundTripMs", "dpi", statistic=s, label=f"${{PROP('Dim.dpi')}} {label}")
        for s, label in _PERCENTILES
    ]
    return [
        _graph("Temps de réponse du DPI (ms)", trips),
        _graph("Refus par DPI", [_searched("DocumentsRefused", "dpi")]),
    ]


def _certificates() -> Row:
    return [
        _graph(
            "Certificats : jours avant expiration",
            _by_certificate("CertificateDaysLeft", "Minimum"),
        ),
        _graph(
            "Listes de révocation : heures restantes", _by_certificate("CrlHoursLeft", "Minimum")
        ),
        _graph("Listes de révocation : âge (h)", _by_certificate("CrlAgeHours", "Maximum")),
    ]


def _running(observed: Observed) -> Row:
    functions = observed.functions
    return [
        _graph(
            "Durée des fonctions, 95e centile (ms)",
            [f.metric_duration(label=s, statistic="p95") for s, f in functions.items()],
        ),
        _graph("Exécutions refusées", [f.metric_throttles(label=s) for s, f in functions.items()]),
        _graph(
            "Exécutions simultanées",
            [
                f.metric("ConcurrentExecutions", statistic="Maximum", label=s)
                for s, f in functions.items()
            ],
        ),
    ]


def _costing(observed: Observed) -> list[Row]:
    """What the bill is made of and AWS counts anyway; `pfi cost` adds the part of the network."""
    functions, queues = observed.functions, observed.queues
    return [
        [
            _graph("Calcul des fonctions (Go·s)", [_computed(s, f) for s, f in functions.items()]),
            _graph(
                "Exécutions des fonctions",
                [f.metric_invocations(label=s, period=_HOUR) for s, f in functions.items()],
            ),
            _graph(
                "Messages envoyés aux files",
                [
                    q.metric_number_of_messages_sent(label=s, period=_HOUR)
                    for s, q in queues.items()
                ],
            ),
        ],
        [
            _graph(
                "Unités DynamoDB consommées",
                [
                    read_or_written(label=f"{name}, {what}", period=_HOUR)
                    for name, table in observed.tables.items()
                    for what, read_or_written in (
                        ("lues", table.metric_consumed_read_capacity_units),
                        ("écrites", table.metric_consumed_write_capacity_units),
                    )
                ],
            ),
            _graph("Corps conservés (octets)", [_kept(observed.mails)]),
            _graph(
                "Journaux écrits (octets)", [_logged(s, f) for s, f in observed.functions.items()]
            ),
        ],
    ]


def _computed(step: str, function: lambda_.Function) -> cloudwatch.MathExpression:
    """Gigabyte-seconds: what Lambda is paid by."""
    name = f"ms_{step}"
    return cloudwatch.MathExpression(
        expression=f"{name} / 1000 * {STEPS[step].memory / 1024:g}",
        using_metrics={name: function.metric_duration(statistic="Sum", period=_HOUR)},
        label=step,
        period=_HOUR,
    )


def _kept(mails: s3.Bucket) -> cloudwatch.Metric:
    return cloudwatch.Metric(
        namespace="AWS/S3",
        metric_name="BucketSizeBytes",
        dimensions_map={"BucketName": mails.bucket_name, "StorageType": "StandardStorage"},
        statistic="Average",
        period=_DAY,
        label="courriels et documents",
    )


def _logged(step: str, function: lambda_.Function) -> cloudwatch.Metric:
    return cloudwatch.Metric(
        namespace="AWS/Logs",
        metric_name="IncomingBytes",
        dimensions_map={"LogGroupName": function.log_group.log_group_name},
        statistic="Sum",
        period=_HOUR,
        label=step,
    )


def _search(name: str, by: Sequence[str], statistic: str, seconds: int) -> str:
    schema = ",".join((METRICS_NAMESPACE, *by))
    return f"SEARCH('{{{schema}}} MetricName=\"{name}\"', '{statistic}', {seconds})"


def _searched(
    name: str, *by: str, statistic: str = "Sum", times: int = 1, label: str = ""
) -> cloudwatch.MathExpression:
    """One line for each value of the dimensions that exists."""
    found = _search(name, by, statistic, 3600)
    return cloudwatch.MathExpression(
        expression=found if times == 1 else f"{found} * {times}",
        using_metrics={},
        label=label or f"${{PROP('Dim.{by[0]}')}}",
        period=_HOUR,
    )


def _by_certificate(name: str, statistic: str) -> list[cloudwatch.IMetric]:
    return [
        metric(name, statistic=statistic, period=_DAY, certificate=peer).with_(label=peer)
        for peer in CERTIFICATES
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
