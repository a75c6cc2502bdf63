"""`hospital.toml`: the one reviewed file of a deployment, read and validated.

Its tables are the dataclasses of `pfi.journey.settings` under the same names, and around them what
the stack needs (name, region, retention, network, alarms). Faults are French sentences with the
line that they are about.
"""

import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import date, datetime, time
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import TypeAdapter, ValidationError

from infra.aws.context import lanes
from infra.operations.positions import Path as Place
from infra.operations.positions import Positions
from pfi.journey.settings import (
    DpiSettings,
    FeedSettings,
    LimitSettings,
    MailboxSettings,
    MatchSettings,
    MdnSettings,
    OperatorSettings,
    RetrySettings,
    SenderSettings,
    Settings,
    XdmSettings,
)
from pfi.names import Environment


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentTable:
    """`[deployment]`: what the installation is called, where it stands, what it is for."""

    name: str
    region: str = "eu-west-3"
    environment: Environment
    concurrency: int = 10
    push_concurrency: int = 2
    reserve: bool = True
    collect: bool = True
    product_reference: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionTable:
    """`[retention]`: days of every store."""

    bodies_days: int = 30
    versions_days: int = 7
    traces_days: int = 180
    audit_days: int = 365
    ledger_days: int = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmTable:
    """`[alarms]`: who is told, and from when on (figures of `infra.aws.thresholds`)."""

    addresses: tuple[str, ...] = ()
    thresholds: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkTable:
    """`[network]`: where the functions that leave may go; peers are ``cidr:port``."""

    enabled: bool = True
    vpc_cidr: str = "10.76.0.0/24"
    zones: int = 2
    nat: Literal["zone", "one"] = "zone"
    endpoints: bool = True
    imap: tuple[str, ...] = ()
    smtp: tuple[str, ...] = ()
    dpi: tuple[str, ...] = ()
    link: Literal["none", "vpn", "direct-connect"] = "none"
    hospital: tuple[str, ...] = ()
    customer_gateway: str = ""
    customer_asn: int = 65000
    direct_connect_gateway: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointTable:
    """`[endpoint]`: where identity messages are received over HTTPS (docs/install-relay.md)."""

    domain: str = ""
    certificate: str = ""
    truststore: str = ""
    truststore_version: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardTable:
    """`[guard]`: guard rails around the core."""

    malware: bool = False
    audit_lock: Literal["", "compliance", "governance"] = ""
    budget: int = 300
    break_glass: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustTable:
    """`[trust]`: domains whose senders may be answered and sent to."""

    suffixes: tuple[str, ...] = (".mssante.fr",)


@dataclass(frozen=True, slots=True, kw_only=True)
class ForwardTable:
    """`[forward]`: shape of what goes to the fallback mailbox."""

    layout: Literal["rfc822", "flat", "both"] = "both"
    masked: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class EstablishmentTable:
    """`[[establishments]]`: one legal or geographic entity with its own patient base."""

    id: str
    name: str
    finess: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hospital:
    """The whole file."""

    deployment: DeploymentTable
    establishments: tuple[EstablishmentTable, ...]
    mailboxes: tuple[MailboxSettings, ...]
    dpis: tuple[DpiSettings, ...]
    operator: OperatorSettings
    retention: RetentionTable = field(default_factory=RetentionTable)
    alarms: AlarmTable = field(default_factory=AlarmTable)
    network: NetworkTable = field(default_factory=NetworkTable)
    feeds: tuple[FeedSettings, ...] = ()
    endpoint: EndpointTable = field(default_factory=EndpointTable)
    guard: GuardTable = field(default_factory=GuardTable)
    trust: TrustTable = field(default_factory=TrustTable)
    senders: tuple[SenderSettings, ...] = ()
    match: MatchSettings = field(default_factory=MatchSettings)
    mdn: MdnSettings = field(default_factory=MdnSettings)
    limits: LimitSettings = field(default_factory=LimitSettings)
    xdm: XdmSettings = field(default_factory=XdmSettings)
    retry: RetrySettings = field(default_factory=RetrySettings)
    forward: ForwardTable = field(default_factory=ForwardTable)

    @property
    def settings(self) -> Settings:
        """What the functions read: everything that changes without a new deployment."""
        return Settings(
            environment=self.deployment.environment,
            mailboxes=self.mailboxes,
            dpis=self.dpis,
            feeds=self.feeds,
            operator=self.operator,
            trusted_suffixes=self.trust.suffixes,
            senders=self.senders,
            match=self.match,
            mdn=self.mdn,
            limits=self.limits,
            xdm=self.xdm,
            retry=self.retry,
            forward_layout=self.forward.layout,
            forward_masked=self.forward.masked,
            product_reference=self.deployment.product_reference,
            ledger_days=self.retention.ledger_days,
        )

    @property
    def context(self) -> dict[str, str]:
        """What the stack is synthesised with: a change here needs `pfi deploy`."""
        given: dict[str, Any] = {
            "name": self.deployment.name,
            "region": self.deployment.region,
            "environment": self.deployment.environment.value,
            "concurrency": self.deployment.concurrency,
            "push_concurrency": self.deployment.push_concurrency,
            "lanes": lanes((each.id, each.concurrency) for each in self.dpis),
            "reserve": self.deployment.reserve,
            "collect": self.deployment.collect,
            "retention": self.retention.bodies_days,
            "retention_versions": self.retention.versions_days,
            "retention_traces": self.retention.traces_days,
            "retention_audit": self.retention.audit_days,
            "alarm_emails": self.alarms.addresses,
            "thresholds": json.dumps(self.alarms.thresholds) if self.alarms.thresholds else "",
            **{f"feed_{key}": value for key, value in asdict(self.endpoint).items()},
            **asdict(self.guard),
            **asdict(self.network),
        }
        given["network"] = given.pop("enabled")
        return {key: _word(value) for key, value in given.items() if value not in ("", ())}


def _word(value: Any) -> str:
    """A context value as the command line of CDK takes it."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return ",".join(value) if isinstance(value, tuple) else str(value)


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing to correct, or (`warning`) to know."""

    line: int
    where: str
    sentence: str
    warning: bool = False

    def shown(self, name: str) -> str:
        """``hospital.toml:12: mailboxes[1].dpi : …``, as compilers write it."""
        mark = "attention, " if self.warning else ""
        place = f"{self.where} : " if self.where else ""
        return f"{name}:{self.line}: {mark}{place}{self.sentence}"


class HospitalFileRefused(Exception):
    """The file cannot be used; `faults` say why, in the order of the file."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(sorted(faults, key=lambda each: (each.line, each.where)))
        super().__init__(f"{len(self.faults)} faults")


_HOSPITAL: Final = TypeAdapter(Hospital)
_AT_LINE: Final = re.compile(r"\(at line (\d+)")


@dataclass(frozen=True, slots=True)
class Draft:
    """A file whose values have the right types; their coherence is checked elsewhere."""

    hospital: Hospital
    positions: Positions


def read_draft(text: str) -> Draft:
    """TOML, known keys, types. Raises HospitalFileRefused."""
    positions = Positions.of(text)
    document = _parsed(text)
    try:
        hospital = _HOSPITAL.validate_json(
            json.dumps(document, default=_date), strict=True, extra="forbid"
        )
    except ValidationError as error:
        found = error.errors(include_input=False, include_url=False)
        raise HospitalFileRefused(
            Fault(positions.line(each["loc"]), shown_path(each["loc"]), _sentence(each))
            for each in found
        ) from None
    return Draft(hospital, positions)


def text_of(path: Path) -> str:
    """The text of the file; a byte-order mark is accepted, another encoding than UTF-8 is not."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        fault = Fault(1, "", "le fichier doit être en UTF-8")
        raise HospitalFileRefused([fault]) from None


def _parsed(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        at = _AT_LINE.search(str(error))
        line = int(at[1]) if at else len(text.splitlines()) or 1
        sentence = "syntaxe TOML incorrecte à cette ligne ou juste avant (guillemet, crochet, clé "
        raise HospitalFileRefused([Fault(line, "", sentence + "en double…)")]) from None


def _date(value: object) -> str:
    """TOML dates are no type of this file: as text they are refused with their line."""
    return value.isoformat() if isinstance(value, date | datetime | time) else str(value)


def shown_path(path: Place) -> str:
    """``mailboxes[1].dpi``, counted from 1 as people do."""
    words = ""
    for part in path:
        words += f"[{part + 1}]" if isinstance(part, int) else f".{part}"
    return words.removeprefix(".")


_SENTENCES: Final[Mapping[str, str]] = {
    "missing": "cette clé est obligatoire",
    "int_type": "un nombre entier est attendu",
    "int_from_float": "un nombre entier est attendu",
    "float_type": "un nombre est attendu",
    "string_type": "un texte entre guillemets est attendu",
    "bool_type": "true ou false est attendu, sans guillemets",
    "tuple_type": "une liste entre crochets est attendue",
    "dataclass_type": "une table de clés est attendue",
    "dict_type": "une table de clés est attendue",
}


def _sentence(error: Any) -> str:
    kind, context = error["type"], error.get("ctx", {})
    if kind == "missing" and error["loc"][-1] in _TABLES:
        return f"la table {_TABLES[error['loc'][-1]]} est obligatoire"
    if kind in {"unexpected_keyword_argument", "extra_forbidden"}:
        return _unknown(error["loc"])
    if kind in {"literal_error", "enum"}:
        expected = str(context.get("expected", "")).replace(" or ", " ou ")
        return f"valeur refusée ; valeurs acceptées : {expected}"
    return _SENTENCES.get(kind, f"valeur refusée ({kind})")


_TABLES: Final = {
    "deployment": "[deployment]",
    "establishments": "[[establishments]]",
    "mailboxes": "[[mailboxes]]",
    "dpis": "[[dpis]]",
    "operator": "[operator]",
}


def _unknown(path: Place) -> str:
    """A misspelt key is told with the nearest one that exists at this place."""
    near = get_close_matches(str(path[-1]), _known_beside(path), n=1)
    return "clé inconnue" + (f" ; vouliez-vous dire « {near[0]} » ?" if near else "")


def _known_beside(path: Place) -> list[str]:
    schema: Any = Hospital
    for part in path[:-1]:
        if isinstance(part, str):
            schema = _TYPES.get(part, schema)
    return list(schema.__dataclass_fields__)


_TYPES: Final[Mapping[str, Any]] = {
    "deployment": DeploymentTable,
    "retention": RetentionTable,
    "alarms": AlarmTable,
    "network": NetworkTable,
    "feeds": FeedSettings,
    "endpoint": EndpointTable,
    "guard": GuardTable,
    "trust": TrustTable,
    "senders": SenderSettings,
    "forward": ForwardTable,
    "establishments": EstablishmentTable,
    "mailboxes": MailboxSettings,
    "dpis": DpiSettings,
    "operator": OperatorSettings,
    "match": MatchSettings,
    "mdn": MdnSettings,
    "limits": LimitSettings,
    "xdm": XdmSettings,
    "retry": RetrySettings,
}
