"""What an installation costs per month, by the dated price table beside this file.

An estimate to decide with, not a bill: the fixed part is most of it for a
hospital (docs/reference/capacity.md), and what it pays for its link is not in it.
"""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final, Literal

from infra.aws.names import QUEUED, STEPS

TABLE: Final = Path(__file__).with_name("prices.toml")
DAYS: Final = 30.4
HOURS: Final = 730
MINUTES: Final = HOURS * 60
Section = Literal["services", "réseau", "fixe"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """What is asked."""

    mails_per_day: float
    kb: float
    mailboxes: int = 1
    retention_days: int = 30
    nats: int = 2
    endpoints: int = 3
    vpn: bool = False
    ack_s: float = 0.2
    """What the DPI takes for its answer: the push waits for it, and is paid for it."""


@dataclass(frozen=True, slots=True)
class Line:
    """One item: how many units per month, at what price."""

    section: Section
    item: str
    quantity: float
    unit: str
    price: float
    unsure: bool = False

    @property
    def amount(self) -> float:
        """USD per month."""
        return self.quantity * self.price


@dataclass(frozen=True, slots=True)
class Prices:
    """The table, read."""

    day: date
    region: str
    memory: frozenset[str]
    prices: Mapping[str, float]
    mail: Mapping[str, float]
    seconds: Mapping[str, float]
    seconds_per_mb: Mapping[str, float]
    fixed: Mapping[str, float]
    quotas: Mapping[str, float]


def read_prices(path: Path = TABLE) -> Prices:
    """The price table of the repository, or another of the same form."""
    found: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    return Prices(
        day=found["date"],
        region=found["region"],
        memory=frozenset(found["memory"]),
        prices=found["prices"],
        mail=found["mail"],
        seconds=found["seconds"],
        seconds_per_mb=found["seconds_per_mb"],
        fixed=found["fixed"],
        quotas=found["quotas"],
    )


@dataclass(frozen=True, slots=True)
class Estimate:
    """The lines of one volume."""

    volume: Volume
    table: Prices

    @property
    def mails(self) -> float:
        """Mails per month."""
        return self.volume.mails_per_day * DAYS

    @property
    def gigabytes(self) -> float:
        """Bytes received per month, in GB."""
        return self.mails * self.volume.kb / 1e6

    @property
    def leaving_gb(self) -> float:
        """Bytes sent per month, in GB: to the DPI, to fallback mailboxes, to senders."""
        mail = self.table.mail
        answered = self.mails * mail["answered_kb"] / 1e6
        return self.gigabytes * (mail["out_share"] + mail["forwarded"] * 1.4) + answered

    def seconds(self, step: str) -> float:
        """What one job of a step takes."""
        table, megabytes = self.table, self.volume.kb / 1000
        waiting = self.volume.ack_s if step == "push" else 0.0
        return table.seconds[step] + table.seconds_per_mb.get(step, 0) * megabytes + waiting

    def lines(self) -> Iterator[Line]:
        """Everything, section by section."""
        yield from self._services()
        yield from self._network()
        yield from self._fixed()

    def total(self, section: Section | None = None) -> float:
        """USD per month of one section, or of all."""
        return sum(line.amount for line in self.lines() if section in (None, line.section))

    def _line(
        self, section: Section, item: str, quantity: float, unit: str, price: str, per: float = 1
    ) -> Line:
        cost = self.table.prices[price] / per
        return Line(section, item, quantity, unit, cost, unsure=price in self.table.memory)

    def _services(self) -> Iterator[Line]:
        mail, mails = self.table.mail, self.mails
        written = mail["writes"] + mail["index_writes"]
        kept = self.gigabytes / DAYS * self.volume.retention_days * (1 + mail["document_share"])
        rows: tuple[tuple[str, float, str, str, float], ...] = (
            ("Lambda, exécutions", mails * mail["jobs"], "requête", "lambda_million", 1e6),
            ("Lambda, durée", mails * self._gb_seconds(), "Go·s", "lambda_gb_second", 1),
            ("SQS", mails * mail["jobs"] * 3, "requête", "sqs_million", 1e6),
            ("DynamoDB, écritures", mails * written, "unité", "write_million", 1e6),
            ("DynamoDB, lectures", mails * mail["reads"], "unité", "read_million", 1e6),
            ("DynamoDB, registre", mails * 13 * mail["ledger_kb"] / 1e6, "Go", "table_gb_month", 1),
            ("S3, écritures", mails * mail["puts"], "requête", "put_thousand", 1e3),
            ("S3, lectures", mails * mail["gets"], "requête", "get_thousand", 1e3),
            ("S3, conservation", kept, "Go", "store_gb_month", 1),
            ("Journaux, écriture", mails * mail["log_kb"] / 1e6, "Go", "log_gb", 1),
            ("Journaux, six mois", mails * 6 * mail["log_kb"] / 1e6, "Go", "log_gb_month", 1),
            ("KMS, requêtes", mails * mail["kms_requests"], "requête", "kms_10k", 1e4),
        )
        for item, quantity, unit, price, per in rows:
            yield self._line("services", item, quantity, unit, price, per)

    def _gb_seconds(self) -> float:
        """Per mail: each step's seconds at its memory."""
        steps = self.table.seconds
        return sum(self.seconds(step) * STEPS[step].memory / 1024 for step in steps)

    def _network(self) -> Iterator[Line]:
        leaving = self.leaving_gb
        yield self._line("réseau", "NAT, données", self.gigabytes + leaving, "Go", "nat_gb")
        yield self._line("réseau", "Sortie d'AWS", leaving, "Go", "egress_gb")

    def _fixed(self) -> Iterator[Line]:
        fixed, volume = self.table.fixed, self.volume
        polls = MINUTES * volume.mailboxes * fixed["poll_seconds"] * STEPS["collect"].memory / 1024
        receives = fixed["empty_receives_per_queue"] * 2 * len(QUEUED)
        rows: tuple[tuple[str, float, str, str, float], ...] = (
            ("NAT", HOURS * volume.nats, "heure", "nat_hour", 1),
            ("Adresses IP fixes", HOURS * volume.nats, "heure", "address_hour", 1),
            (
                "Points d'accès privés",
                HOURS * volume.endpoints * volume.nats,
                "heure",
                "endpoint_hour",
                1,
            ),
            ("VPN", HOURS * volume.vpn, "heure", "vpn_hour", 1),
            ("Relève des boîtes", polls, "Go·s", "lambda_gb_second", 1),
            ("SQS, files vides", receives, "requête", "sqs_million", 1e6),
            ("Clés KMS", fixed["keys"], "clé", "kms_key", 1),
            ("Secrets", fixed["secrets"], "secret", "secret_month", 1),
            ("Alarmes", fixed["alarms"], "alarme", "alarm_month", 1),
            ("Métriques", fixed["metrics"], "métrique", "metric_month", 1),
            ("Tableaux de bord", fixed["dashboards"], "tableau", "dashboard_month", 1),
        )
        for item, quantity, unit, price, per in rows:
            if quantity:
                yield self._line("fixe", item, quantity, unit, price, per)
