"""The composition root: the only place that chooses the real adapters.

Built once per sandbox; each adapter is imported and each client made on first use, so a function
pays only for what it touches, in a cold start as later. Settings are read again when older than a
minute, without a new deployment.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, Final

import boto3
from aws_lambda_powertools.utilities.parameters import SecretsProvider, SSMProvider
from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError
from botocore.config import Config

from pfi.edge.settings import (
    Environment,
    SettingsRefused,
    environment,
    needed,
    read_settings,
)
from pfi.errors import Misconfigured, Unavailable
from pfi.journey.settings import DpiSettings, MailboxSettings, OperatorSettings, Settings
from pfi.names import Reason

if TYPE_CHECKING:
    from ssl import SSLContext

    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_secretsmanager import SecretsManagerClient

    from pfi.adapters.circuit import Circuits
    from pfi.adapters.dynamodb import DynamoTable
    from pfi.adapters.mail_access import MailAccess
    from pfi.adapters.mllp import MllpDpi
    from pfi.adapters.patients import DynamoPatients
    from pfi.adapters.s3 import S3Store
    from pfi.adapters.smtp import SmtpRelay
    from pfi.adapters.sqs import SqsJobs
    from pfi.journey.ports import Dpi, Mailbox

MAX_AGE_S: Final = 60
STOPPING_S: Final = 5
"""From the end of its time until a function is surely gone."""
_CONFIG: Final = Config(
    retries={"mode": "standard", "max_attempts": 4}, connect_timeout=5, read_timeout=30
)


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass
class Services:
    """The ports of the journey on AWS."""

    names: Environment
    now: Callable[[], datetime] = field(default=_utc_now)
    _lists: dict[str, str] = field(default_factory=dict)

    @cached_property
    def _session(self) -> boto3.Session:
        return boto3.Session()

    @cached_property
    def _dynamodb(self) -> "DynamoDBClient":
        return self._session.client("dynamodb", config=_CONFIG)

    @cached_property
    def _parameters(self) -> SSMProvider:
        """On our session: one of its own would read the models of all services once more."""
        return SSMProvider(boto3_client=self._session.client("ssm", config=_CONFIG))

    @cached_property
    def _secrets(self) -> SecretsProvider:
        return SecretsProvider(boto3_client=self.secrets_client)

    @property
    def settings(self) -> Settings:
        """The settings, at most a minute old."""
        name = needed(self.names.settings_parameter)
        try:
            text = self._parameters.get(name, max_age=MAX_AGE_S)
        except GetParameterError:
            raise Unavailable(Reason.SETTING_MISSING) from None  # throttled, or not there yet
        try:
            return _settings(str(text))
        except SettingsRefused:
            raise Misconfigured(Reason.SETTING_MISSING) from None

    @property
    def life_s(self) -> float:
        """Until when a worker of this function may still be at work."""
        return self.names.timeout_s + STOPPING_S

    @cached_property
    def table(self) -> "DynamoTable":
        """The ledger."""
        from pfi.adapters.dynamodb import DynamoTable

        return DynamoTable(self._dynamodb, needed(self.names.ledger_table))

    @cached_property
    def store(self) -> "S3Store":
        """Mails, documents, dossiers."""
        from pfi.adapters.s3 import S3Store

        client = self._session.client("s3", config=_CONFIG)
        return S3Store(client, needed(self.names.bucket))

    @cached_property
    def patients(self) -> "DynamoPatients":
        """The patient base."""
        from pfi.adapters.patients import DynamoPatients

        return DynamoPatients(self._dynamodb, needed(self.names.patients_table))

    @cached_property
    def jobs(self) -> "SqsJobs":
        """The queues."""
        from pfi.adapters.sqs import SqsJobs

        client = self._session.client("sqs", config=_CONFIG)
        return SqsJobs(client, self.names.queues, self.names.dead_letters, self.names.lanes)

    @cached_property
    def _circuits(self) -> "Circuits":
        from pfi.adapters.circuit import Circuits

        return Circuits()

    def mailbox(self, mailbox: MailboxSettings) -> "AbstractContextManager[Mailbox]":
        """An IMAP session on one mailbox, closed at the end of the block."""
        return self._open(mailbox)

    @contextmanager
    def _open(self, mailbox: MailboxSettings) -> "Iterator[Mailbox]":
        from pfi.adapters.imap import ImapMailbox

        operator = self.settings.operator
        access = self._access(mailbox, operator.imap_host, operator.imap_port)
        session = ImapMailbox.open(access, self._mail_context(mailbox))
        try:
            yield session
        finally:
            session.close()

    def relay(self, mailbox: MailboxSettings) -> "SmtpRelay":
        """The operator's submission service, as this mailbox."""
        from pfi.adapters.smtp import SmtpRelay

        operator = self.settings.operator
        access = self._access(mailbox, operator.smtp_host, operator.smtp_port)
        domain = mailbox.address.rpartition("@")[2]
        return SmtpRelay(access, self._mail_context(mailbox), domain)

    def dpi(self, target: DpiSettings) -> "Dpi":
        """One DPI interface, behind the circuit that it has in this sandbox."""
        return self._circuits.fuse(target, lambda: self.interface(target))

    def interface(self, target: DpiSettings) -> "MllpDpi":
        """One DPI interface."""
        from pfi.adapters.mllp import MllpDpi

        context = None if target.tls == "off" else self._dpi_context(target)
        return MllpDpi(
            host=target.host,
            port=target.port,
            connect_timeout=target.connect_timeout_s,
            ack_timeout=target.ack_timeout_s,
            ssl_context=context,
        )

    def _access(self, mailbox: MailboxSettings, host: str, port: int) -> "MailAccess":
        secret = self._secret(self.names.secret_mssante)
        return mail_access(mailbox, self.settings.operator, secret, (host, port))

    def _mail_context(self, mailbox: MailboxSettings) -> "SSLContext":
        """The certificate of this mailbox, else the one that all mailboxes share."""
        secret = self._secret(self.names.secret_mssante)
        own = secret.get("certificates", {}).get(mailbox.id, {})
        return self._context({**secret, **own}, self.settings.operator.revocation)

    def _dpi_context(self, target: DpiSettings) -> "SSLContext":
        secret = self._secret(self.names.secret_dpi).get(target.id)
        if not isinstance(secret, dict):
            raise Misconfigured(Reason.CERTIFICATE)
        return self._context(secret, "crl" if secret.get("crl") else "off")

    def _context(self, secret: Mapping[str, Any], revocation: str) -> "SSLContext":
        crl = self.crl_text(str(secret.get("crl", "")))
        return tls_context({**secret, "crl": crl}, revocation)

    def crl_text(self, crl: str) -> str:
        """Revocation lists in PEM: they stand in the secret, or in the store when too long."""
        from pfi.adapters.s3 import TRUST

        if not crl.startswith(TRUST):
            return crl
        if crl not in self._lists:
            self._lists[crl] = self.store.get(crl).decode("ascii", "replace")
        return self._lists[crl]

    def put_trust(self, key: str, content: bytes) -> None:
        """Keep a list that no secret can hold."""
        self.store.put_trust(key, content)

    @cached_property
    def secrets_client(self) -> "SecretsManagerClient":
        """The daily function reads without cache, and writes."""
        return self._session.client("secretsmanager", config=_CONFIG)

    def _secret(self, name: str) -> dict[str, Any]:
        try:
            found = json.loads(str(self._secrets.get(needed(name), max_age=MAX_AGE_S)))
        except GetParameterError:
            raise Unavailable(Reason.SETTING_MISSING) from None  # throttled, or not there yet
        except ValueError:
            raise Misconfigured(Reason.CERTIFICATE) from None
        return found if isinstance(found, dict) else {}


@cache
def _settings(text: str) -> Settings:
    return read_settings(text)


def trust_key(crl_pem: str) -> str:
    """Where lists too long for a secret are kept: the name is their digest."""
    from pfi.adapters.s3 import TRUST

    return f"{TRUST}{hashlib.sha256(crl_pem.encode()).hexdigest()}.crl"


def mail_access(
    mailbox: MailboxSettings,
    operator: OperatorSettings,
    secret: Mapping[str, Any],
    peer: tuple[str, int],
) -> "MailAccess":
    """How a mailbox presents itself to its operator: at work and in a rehearsal alike."""
    from pfi.adapters.mail_access import MailAccess

    return MailAccess(
        host=peer[0],
        port=peer[1],
        tls=operator.tls,
        auth=operator.auth,
        user=mailbox.address,
        password=secret.get("passwords", {}).get(mailbox.id, ""),
        token=secret.get("tokens", {}).get(mailbox.id, ""),
        timeout_s=operator.timeout_s,
    )


def tls_context(secret: Mapping[str, Any], revocation: str) -> "SSLContext":
    """The TLS client of one peer, from the PEM texts `ca`, `certificate`, `key`, `crl`."""
    from pfi.adapters.mail_access import client_context

    pem = {name: str(secret.get(name, "")) for name in ("ca", "certificate", "key", "crl")}
    return client_context(
        ca_pem=pem["ca"],
        cert_pem=pem["certificate"],
        key_pem=pem["key"],
        crl_pem=pem["crl"] or None,
        revocation="off" if revocation == "off" else "crl",
    )


@cache
def services() -> Services:
    """The ports of this sandbox."""
    return Services(environment())
