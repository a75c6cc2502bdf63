"""Saved questions to the logs (AWS only): what an operator asks on a bad day, ready to run.

Lines carry codes, digests and numbers only (docs/reference), so an answer shows no patient.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from aws_cdk import Environment, Stack
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.aws.fixed import fixed
from infra.aws.names import STEPS, Deployment


@dataclass(frozen=True, slots=True)
class Query:
    """One saved query: the steps whose logs it reads, and its lines."""

    steps: Sequence[str]
    lines: Sequence[str]


ALL: Final = tuple(STEPS)
_SHOWN: Final = "fields @timestamp, service, code, reason, mail, document, route"
_LATEST: Final = ("sort @timestamp desc", "limit 200")

QUERIES: Final[Mapping[str, Query]] = {
    "01-one-mail": Query(
        ALL,
        (
            _SHOWN + ", message",
            "# the first characters of the digest that `pfi status` shows",
            "filter mail like /^DIGEST/",
            "sort @timestamp asc",
            "limit 500",
        ),
    ),
    "02-mails-by-route": Query(
        # Whichever step ends a mail says its route, with an integrated document `push`.
        ALL,
        ("filter ispresent(route)", "stats count(*) as mails by route, bin(1h)"),
    ),
    "03-not-integrated-by-reason": Query(
        ("parse", "match", "push", "forward"),
        (
            "filter ispresent(reason) and code != 'JOB_RETRIED'",
            "stats count(*) as mails by reason, code",
            "sort mails desc",
        ),
    ),
    "04-refusals-of-the-dpi": Query(
        ("push",),
        (
            "filter code = 'DOCUMENT_REFUSED' or code = 'DOCUMENT_UNKNOWN'",
            _SHOWN + ", peer_code",
            *_LATEST,
        ),
    ),
    "05-retries-by-step": Query(
        ALL,
        (
            "filter code = 'JOB_RETRIED' or code = 'MAILBOX_FAILED' or code = 'MAIL_NOT_MOVED'",
            "stats count(*) as retries by service, reason, peer_code",
            "sort retries desc",
        ),
    ),
    "06-unexpected-errors": Query(
        ALL, ("filter code = 'JOB_FAILED'", "fields @timestamp, service, error, frames", *_LATEST)
    ),
    "07-put-into-review": Query(
        ALL, ("filter code = 'REVIEW_RECORDED' or code = 'JOB_SET_ASIDE'", _SHOWN, *_LATEST)
    ),
    "08-slowest-runs": Query(
        ALL,
        (
            "filter @type = 'REPORT'",
            "fields @timestamp, @log, @duration, @maxMemoryUsed / 1000000 as memory_mb",
            "sort @duration desc",
            "limit 50",
        ),
    ),
    "10-certificates": Query(
        ("certificates",),
        ("fields @timestamp, code, reason, certificate, days", *_LATEST),
    ),
    "09-cost-of-logs": Query(
        ALL,
        ("stats sum(strlen(@message)) / 1000000 as megabytes by @log", "sort megabytes desc"),
    ),
}


class QueryStack(Stack):
    """The emulator does not know this type, hence a stack of its own."""

    def __init__(self, scope: Construct, construct_id: str, place: Deployment) -> None:
        super().__init__(
            scope,
            construct_id,
            stack_name=f"{place.name}-queries",
            description="PFI: saved queries on the logs",
            env=Environment(region=place.region),
            termination_protection=False,
        )
        for name, query in QUERIES.items():
            saved = logs.CfnQueryDefinition(
                self,
                name,
                name=f"{place.name}/{name}",
                log_group_names=[f"/aws/lambda/{place.name}-{step}" for step in query.steps],
                query_string="\n| ".join(query.lines).replace("\n| #", "\n#"),
            )
            fixed(saved, f"Query{name[:2]}")
