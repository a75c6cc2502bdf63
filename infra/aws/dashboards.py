"""What an operator sees: *activité* is for the hospital, *exploitation* for who runs the platform.

Closed lists are drawn line by line. Reasons, establishments and DPIs are searched for instead:
they come with the settings, which change without a deployment, and a line of the dashboard must
not need one (docs/decisions/0019). A search is evaluated by CloudWatch; it costs no metric.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.aws.graphs import Row, graph, heading, search, searched
from infra.aws.names import CERTIFICATES, ROUTES, SENDERS, STEPS, Deployment
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
    return [[heading("# Activité")], *_mails(), _establishments(), _senders(), _documents()]


def _mails() -> list[Row]:
    settled = {r: metric("MailsSettled", route=r).with_(label=_ROUTES[r]) for r in ROUTES}
    return [
        [
            graph("Courriels relevés", [metric("MailsCollected")]),
            graph("Courriels terminés, par issue", list(settled.values()), stacked=True),
            graph("Part des courriels intégrés (%)", [_share()]),
        ],
        [
            graph(
                "Courriels par issue et motif",
                [
                    searched(
                        "MailsSettled",
                        "route",
                        "reason",
                        label="${PROP('Dim.route')} ${PROP('Dim.reason')}",
                    )
                ],
                stacked=True,
            ),
            graph("Messagerie de repli et réponses", [settled["forwarded"], settled["replied"]]),
            graph("Mises en revue", [metric("ReviewEntries")]),
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
        graph(
            "Courriels par établissement",
            [searched("IntegratedShare", "establishment", statistic="SampleCount")],
            stacked=True,
        ),
        graph(
            "Part intégrée par établissement (%)",
            [searched("IntegratedShare", "establishment", statistic="Average", times=100)],
        ),
        graph("Intégrations incertaines", [metric("OutcomeUnknown")]),
    ]


def _senders() -> Row:
    return [
        graph(
            "Courriels par type d'expéditeur", [_sent_by(s, "SampleCount") for s in SENDERS],
            stacked=True,
        ),
        graph(
            "Part intégrée par type d'expéditeur (%)",
            [_share_of(s) for s in SENDERS],
        ),
        graph(
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
        expression=f"SUM({search('DocumentsRefused', ('dpi',), 'Sum', 300)})",
        using_metrics={},
        label="refusés",
    )
    return [
        graph("Documents", [metric("DocumentsIntegrated").with_(label="intégrés au DPI"), refused]),
        graph(
            "Base patients : messages et fichiers",
            [
                metric("FeedMessages").with_(label="messages d'identité (PAM)"),
                metric("IdentitiesLoaded").with_(label="identités de fichiers"),
                metric("PatientLinesRefused").with_(label="lignes de fichiers refusées"),
            ],
        ),
        graph("INS portée par deux identités", [metric("InsHeldTwice")]),
    ]


def _feed() -> Row:
    """An establishment without a feed has no line."""
    age = searched("FeedAgeSeconds", "establishment", statistic="Maximum")
    oldest = metric("FeedAgeSeconds", statistic="Maximum", period=_HOUR)
    return [
        graph("Dernier message d'identité, par établissement (s)", [age]),
        graph("Base patients la plus ancienne (s)", [oldest]),
        graph("Alimentation : certificats refusés", [metric("FeedForbidden")]),
    ]


def _machinery(observed: Observed) -> list[Row]:
    return [
        [heading("# Exploitation")],
        _waiting(observed),
        _failing(observed),
        _by_dpi(),
        _account(),
        _feed(),
        _certificates(),
        _running(observed),
        *_costing(observed),
    ]


def _waiting(observed: Observed) -> Row:
    queues, dead = observed.queues, observed.dead_letters
    return [
        graph("Messages en attente", [_depth(q, s) for s, q in queues.items()]),
        graph(
            "Âge du plus ancien message (s)",
            [
                *(
                    q.metric_approximate_age_of_oldest_message(label=s, period=_MINUTE)
                    for s, q in queues.items()
                ),
                metric("HandedBackAgeSeconds", statistic="Maximum", period=_MINUTE).with_(
                    label="push, remis en file"
                ),
            ],
        ),
        graph("Messages en échec (DLQ)", [_depth(q, s) for s, q in dead.items()]),
    ]


def _failing(observed: Observed) -> Row:
    functions = observed.functions
    return [
        graph(
            "Erreurs par étape",
            [
                *(metric("StepErrors", step=s).with_(label=s) for s in functions),
                metric("Misconfigured").with_(label="réglage ou certificat refusé"),
            ],
        ),
        graph("Erreurs des fonctions", [f.metric_errors(label=s) for s, f in functions.items()]),
        graph(
            "Dernière relève des boîtes (s)",
            [metric("PollAgeSeconds", statistic="Maximum", period=_MINUTE)],
        ),
    ]


def _account() -> Row:
    return [
        graph(
            "Courriels hors compte", [metric("MailsUnaccounted", statistic="Maximum", period=_HOUR)]
        ),
        graph(
            "Parts du compte non examinées",
            [metric("SlicesUnproven", statistic="Maximum", period=_HOUR)],
        ),
        graph(
            "Corps perdus de courriels en revue",
            [metric("BodiesGone", statistic="Maximum", period=_DAY)],
        ),
    ]


def _by_dpi() -> Row:
    trips = [
        searched("DpiRoundTripMs", "dpi", statistic=s, label=f"${{PROP('Dim.dpi')}} {label}")
        for s, label in _PERCENTILES
    ]
    return [
        graph("Temps de réponse du DPI (ms)", trips),
        graph("Refus par DPI", [searched("DocumentsRefused", "dpi")]),
    ]


def _certificates() -> Row:
    return [
        graph(
            "Certificats : jours avant expiration",
            _by_certificate("CertificateDaysLeft", "Minimum"),
        ),
        graph(
            "Listes de révocation : heures restantes", _by_certificate("CrlHoursLeft", "Minimum")
        ),
        graph("Listes de révocation : âge (h)", _by_certificate("CrlAgeHours", "Maximum")),
    ]


def _running(observed: Observed) -> Row:
    functions = observed.functions
    return [
        graph(
            "Durée des fonctions, 95e centile (ms)",
            [f.metric_duration(label=s, statistic="p95") for s, f in functions.items()],
        ),
        graph("Exécutions refusées", [f.metric_throttles(label=s) for s, f in functions.items()]),
        graph(
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
            graph("Calcul des fonctions (Go·s)", [_computed(s, f) for s, f in functions.items()]),
            graph(
                "Exécutions des fonctions",
                [f.metric_invocations(label=s, period=_HOUR) for s, f in functions.items()],
            ),
            graph(
                "Messages envoyés aux files",
                [
                    q.metric_number_of_messages_sent(label=s, period=_HOUR)
                    for s, q in queues.items()
                ],
            ),
        ],
        [
            graph(
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
            graph("Corps conservés (octets)", [_kept(observed.mails)]),
            graph(
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


def _by_certificate(name: str, statistic: str) -> list[cloudwatch.IMetric]:
    return [
        metric(name, statistic=statistic, period=_DAY, certificate=peer).with_(label=peer)
        for peer in CERTIFICATES
    ]


def _depth(queue: sqs.Queue, label: str) -> cloudwatch.Metric:
    return queue.metric_approximate_number_of_messages_visible(
        label=label, period=_MINUTE, statistic="Maximum"
    )
