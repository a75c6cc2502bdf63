"""The laptop: emulator, simulated operator, simulated DPI, and the stack that a hospital deploys.

One process tree: everything ends with the process that started it. Fictitious data only: the
emulator has no lock on its door.
"""

import json
import shutil
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Self

import boto3

from infra.aws.context import lanes
from infra.local.aws import arguments
from infra.local.deployer import ROOT, deploy
from infra.local.dpi import Dpi
from infra.local.emulator import Emulator, EmulatorFailed, running
from infra.local.feeder import Feeder
from infra.local.front import Front, invoking
from infra.local.operator import Operator
from infra.local.operator_rules import OperatorOptions
from infra.local.pki import Pki
from infra.relay.server import Relay, Relaying
from infra.relay.upstream import Upstream
from pfi.adapters.dynamodb import DynamoTable
from pfi.adapters.patients import DynamoPatients
from pfi.adapters.s3 import S3Store
from pfi.edge.settings import dump_settings
from pfi.ins.identity import PatientRecord
from pfi.journey.settings import OperatorSettings, RetrySettings, Settings

CONTEXT: Final = {"target": "local", "name": "pfi"}
DOMAINS: Final = (".mssante.fr", ".mssante.test")
LOCAL_RETRY: Final = RetrySettings(backoff_s=(1, 2, 4, 5), order_grace_s=2)
"""On a laptop nobody waits an hour: same rules, shorter times."""
HOLD_S: Final = 25
ACK_TIMEOUT_S: Final = 4
RELAY: Final = "relais"
"""The client whose certificate may feed."""
RELAY_PATIENCE_S: Final = 3
_OPERATOR_FILES: Final = ("operator.sqlite", "operator.sqlite-wal", "operator.sqlite-shm")


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """Seconds of the simulated hospital, where a person or a test waits for them."""

    operator: float = 5
    run_budget: float = 20
    ack: float = ACK_TIMEOUT_S
    hold: int = HOLD_S


@dataclass
class Laptop:
    """Everything that `pfi up` starts; a context manager."""

    folder: Path
    settings: Settings
    progress: Callable[[str], None]
    dpi_script: Path | None = None
    strict: bool = False
    """IAM enforced: what the functions may do is what their roles say."""
    times: Times = Times()
    root: Path = ROOT
    """The version of the sources that is deployed first."""
    outputs: dict[str, str] = field(default_factory=dict)
    _open: ExitStack = field(default_factory=ExitStack)
    _clients: dict[str, Any] = field(default_factory=dict)

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._open.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        (self.folder / "run.json").unlink(missing_ok=True)
        self._open.close()

    def _start(self) -> None:
        if running(self.folder / "emulator"):
            raise EmulatorFailed(
                f"un poste est déjà en marche dans {self.folder} : Ctrl-C, ou --folder"
            )
        self._clean()
        self.progress("Émulateur AWS…")
        self.emulator = self._open.enter_context(
            Emulator(self.folder / "emulator", strict=self.strict)
        )
        self.environment = self.emulator.environment()
        self.progress("Opérateur MSSanté et DPI simulés…")
        self._start_peers()
        self.install(self.root)
        self.progress("Paramètres, certificats, métriques…")
        self.configure(self.settings)
        self._start_feeder()
        self._start_relay()
        self._remember()

    def install(self, root: Path) -> None:
        """Deploy the sources of this folder, over what is there."""
        dpis = lanes((each.id, each.concurrency) for each in self.settings.dpis)
        context = {**CONTEXT, "lanes": dpis}
        self.outputs = deploy(
            self.environment, context, self.folder / "outputs.json", self.progress, root=root
        )

    def _clean(self) -> None:
        """Each run starts from nothing: yesterday's mails would be today's duplicates."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in ("emulator", "dpi"):
            shutil.rmtree(self.folder / name, ignore_errors=True)
        for name in (*_OPERATOR_FILES, "deployed.json", "run.json"):
            (self.folder / name).unlink(missing_ok=True)

    def _start_peers(self) -> None:
        own = [mailbox.address for mailbox in self.settings.mailboxes]
        others = [mailbox.fallback for mailbox in self.settings.mailboxes if mailbox.fallback]
        self.pki = Pki.ensure(self.folder / "pki", [*own, *others, RELAY])
        operator = Operator(
            self.pki,
            [*own, *others],
            path=self.folder / "operator.sqlite",
            options=OperatorOptions(domains=self._domains(others), size_limit=100_000_000),
        )
        self.operator = self._open.enter_context(operator)
        context = self.pki.server_context(client_certificate=True)
        self.dpi = Dpi(self.folder / "dpi", script=self.dpi_script, ssl_context=context)
        self.dpi.start()
        self._open.callback(self.dpi.stop)

    def _domains(self, addresses: list[str]) -> tuple[str, ...]:
        return (*DOMAINS, *(address.rpartition("@")[2] for address in addresses))

    def configure(self, settings: Settings) -> None:
        """Write settings and secrets where the functions read them."""
        operator = OperatorSettings(
            imap_host="127.0.0.1",
            imap_port=self.operator.imap_port,
            smtp_host="127.0.0.1",
            smtp_port=self.operator.smtp_port,
            timeout_s=self.times.operator,
            run_budget_s=self.times.run_budget,
        )
        dpis = tuple(
            replace(each, host="127.0.0.1", port=self.dpi.port, connect_timeout_s=2,
                    # The simulated one does; an older version has no word for it.
                    recognises_repeats=self.root == ROOT,
                    ack_timeout_s=self.times.ack, hold_s=min(each.hold_s, self.times.hold))
            for each in settings.dpis
        )  # fmt: skip
        attempts = settings.retry.unexpected_attempts
        retry = replace(LOCAL_RETRY, unexpected_attempts=attempts)
        fingerprints = (self.pki.fingerprint(RELAY),)
        feeds = tuple(replace(each, client_certificates=fingerprints) for each in settings.feeds)
        self.settings = replace(settings, operator=operator, dpis=dpis, feeds=feeds, retry=retry)
        self.client("ssm").put_parameter(
            Name=self.outputs["SettingsParameter"],
            Value=dump_settings(self.settings),
            Type="String",
            Overwrite=True,
        )
        first = self.settings.mailboxes[0].address
        own = {each.id: self._certificate(each.address) for each in self.settings.mailboxes}
        trust = {"ca": self.pki.trust_pem(), "crl": self.pki.crl_pem()}
        self._secret("MssanteSecret", {**trust, "certificates": own})
        self._secret("DpiSecret", {each.id: {**trust, **self._certificate(first)} for each in dpis})

    def _certificate(self, name: str) -> dict[str, str]:
        return {"certificate": self.pki.certificate_pem(name), "key": self.pki.key_pem(name)}

    def _secret(self, output: str, value: Mapping[str, Any]) -> None:
        self.client("secretsmanager").put_secret_value(
            SecretId=self.outputs[output], SecretString=json.dumps(value)
        )

    def _start_relay(self) -> None:
        """The way of an identity message: MLLP to the relay, HTTPS to the function."""
        invoke = invoking(self.client("lambda"), f"{CONTEXT['name']}-feed")
        self.front = Front(self.pki.server_context(), invoke)
        context = self.pki.client_context(RELAY)
        relaying = Relaying(
            upstream=lambda: Upstream(self.front.url, context),
            patience_s=RELAY_PATIENCE_S,
            tell=lambda _: None,
        )
        self.relay = Relay(("127.0.0.1", 0), relaying)
        for each in (self.front, self.relay):
            each.start()
            self._open.callback(each.stop)

    def _start_feeder(self) -> None:
        queues = {
            url.rsplit("/", 1)[-1]: url
            for name, url in self.outputs.items()
            if name.startswith(("Queue", "Dlq"))
        }
        feeder = Feeder(self.environment, queues, f"/aws/lambda/{CONTEXT['name']}")
        feeder.start()
        self._open.callback(feeder.stop)

    def _remember(self) -> None:
        """What `pfi send` and `pfi status` need to find this laptop."""
        run = {
            "environment": self.environment,
            "outputs": self.outputs,
            "imap_port": self.operator.imap_port,
            "smtp_port": self.operator.smtp_port,
            "feed_port": self.relay.port,
            "mailboxes": [mailbox.address for mailbox in self.settings.mailboxes],
        }
        path = self.folder / "run.json"
        path.write_text(json.dumps(run))
        path.chmod(0o600)

    def client(self, service: str) -> Any:
        """A boto3 client of the emulator, made once and closed at the end."""
        if service not in self._clients:
            self._clients[service] = client(service, self.environment)
            self._open.callback(self._clients[service].close)
        return self._clients[service]

    def table(self) -> DynamoTable:
        """The ledger."""
        return DynamoTable(self.client("dynamodb"), self.outputs["LedgerTable"])

    def store(self) -> S3Store:
        """The store."""
        return S3Store(self.client("s3"), self.outputs["BucketName"])

    def load_patients(self, establishment: str, records: tuple[PatientRecord, ...]) -> int:
        """Fill the patient base."""
        base = DynamoPatients(self.client("dynamodb"), self.outputs["PatientsTable"])
        return base.put(establishment, records)


def client(service: str, environment: Mapping[str, str]) -> Any:
    """A boto3 client of an emulator."""
    return boto3.client(service, **arguments(environment))  # type: ignore[call-overload]  # one overload per service name
