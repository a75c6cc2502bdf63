"""The commands of operations on the emulator, as a hospital runs them: from `hospital.toml` only.

One installation of two establishments and three mailboxes for all tests; the one that takes it
down puts it back.
"""

import hashlib
import json
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from infra.cli.main import main
from infra.local.dpi import Dpi
from infra.local.emulator import Emulator
from infra.local.operator import Operator
from infra.local.operator_rules import OperatorOptions
from infra.local.pki import INTERMEDIATE, Pki, _crl
from infra.local.pki import _Issuer as Issuer
from infra.operations.account import Account, installed_stack
from infra.operations.configuration import installed_settings
from infra.operations.export import verified
from infra.operations.journal import journal_of
from infra.operations.smoke import VISITOR, known, letter
from infra.operations.switches import is_open
from pfi.adapters.dynamodb import DynamoTable
from pfi.adapters.patients import DynamoPatients
from pfi.adapters.s3 import S3Store
from pfi.journey.ledger import Ledger
from tests.contracts.emulator_fixture import eventually
from tests.journeys.authority import Authority, authority, next_update, other_key  # noqa: F401

pytestmark = pytest.mark.xdist_group("operations")

NAME = "pfi-essai-test"
MAILBOXES = {
    "medecine": "pfi.medecine@ch-essai.mssante.test",
    "chirurgie": "pfi.chirurgie@ch-essai.mssante.test",
    "ehpad": "pfi@ehpad-essai.mssante.test",
}
FALLBACK = "secretariat@ch-essai.mssante.test"
TOML = """
[deployment]
name = "{name}"
environment = "test"
product_reference = "PFI-ESSAI"

[alarms]
addresses = ["astreinte@ch-essai.test"]

[network]
enabled = false

[trust]
suffixes = [".mssante.test"]

[[establishments]]
id = "ch-essai"
name = "Centre hospitalier d'essai"

[[establishments]]
id = "ehpad-essai"
name = "EHPAD d'essai"

{mailboxes}

[[dpis]]
id = "dpi-ch"
host = "127.0.0.1"
port = {dpi}
sending_facility = "CH"
receiving_facility = "CH"
connect_timeout_s = 2
ack_timeout_s = 4

[[dpis]]
id = "dpi-ehpad"
host = "127.0.0.1"
port = {dpi}
sending_facility = "EHPAD"
receiving_facility = "EHPAD"
connect_timeout_s = 2
ack_timeout_s = 4

[operator]
imap_host = "127.0.0.1"
imap_port = {imap}
smtp_host = "127.0.0.1"
smtp_port = {smtp}
timeout_s = 5
run_budget_s = 20

[retry]
backoff_s = [1, 2, 4, 5]
"""


@dataclass
class Place:
    """A machine of an operator: an account, the peers, a configuration, certificates as files."""

    folder: Path
    account: Account
    pki: Pki
    toml: Path

    def pfi(self, *words: str | Path) -> int:
        return main([str(word) for word in words])

    @property
    def stack(self):
        return installed_stack(self.account, NAME)

    def pem(self, who: str, name: str) -> Path:
        """Chain and key in one file, as authorities hand them out."""
        path = self.folder / name
        path.write_text(self.pki.certificate_pem(who) + self.pki.key_pem(who))
        return path


def toml(dpi: Dpi, operator: Operator) -> str:
    boxes = "\n".join(
        f'[[mailboxes]]\nid = "{name}"\naddress = "{address}"\nfallback = "{FALLBACK}"\n'
        f'establishment = "{"ehpad" if name == "ehpad" else "ch"}-essai"\n'
        f'dpi = "dpi-{"ehpad" if name == "ehpad" else "ch"}"\n'
        for name, address in MAILBOXES.items()
    )
    return TOML.format(
        name=NAME, mailboxes=boxes, dpi=dpi.port, imap=operator.imap_port, smtp=operator.smtp_port
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Everything around the installation; the installation itself is the tests' work."""
    folder = tmp_path_factory.mktemp("operations")
    addresses = [*MAILBOXES.values(), FALLBACK]
    with ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        emulator = stack.enter_context(Emulator(folder / "emulator"))
        for name, value in emulator.environment().items():
            patch.setenv(name, value)
        pki = Pki.ensure(folder / "pki", addresses)
        options = OperatorOptions(domains=(".mssante.test",))
        operator = stack.enter_context(
            Operator(pki, addresses, path=folder / "operator.sqlite", options=options)
        )
        dpi = Dpi(folder / "dpi", ssl_context=pki.server_context(client_certificate=True))
        dpi.start()
        stack.callback(dpi.stop)
        path = folder / "hospital.toml"
        path.write_text(toml(dpi, operator))
        account = stack.enter_context(Account())
        yield Place(folder, account, pki, path)


@pytest.fixture(scope="module")
def installed(place: Place) -> Place:
    """Deployed, with the certificates in their secrets."""
    install(place)
    return place


def install(place: Place) -> None:
    assert place.pfi("config", "check", place.toml) == 0
    assert place.pfi("deploy", place.toml, "--work", place.folder / "work") == 0
    ca, crl = place.folder / "ca.pem", place.folder / "crl.pem"
    ca.write_text(place.pki.trust_pem())
    crl.write_text(place.pki.crl_pem())
    ids = {f"mssante-{name}": address for name, address in MAILBOXES.items()}
    ids |= {f"dpi-{name}": MAILBOXES["medecine"] for name in ("dpi-ch", "dpi-ehpad")}
    for certificate, address in ids.items():
        pem = place.pem(address, f"{certificate}.pem")
        words = ["certificates", "install", pem, "--for", certificate, "--name", NAME]
        assert place.pfi(*words, "--ca", ca, "--crl", crl) == 0, certificate


def test_the_test_mails_get_through_every_mailbox(installed, capsys):
    assert installed.pfi("deploy", installed.toml, "--smoke-only") == 0
    shown = capsys.readouterr().out
    for name in MAILBOXES:
        assert f"essai {name}, par l'opérateur : réussi — document intégré" in shown
    base = DynamoPatients(
        installed.account.client("dynamodb"), installed.stack.output("PatientsTable")
    )
    found = base.find("ch-essai", VISITOR.record.matricule, VISITOR.record.oid)
    assert found == (), "the test patient must not stay"


def test_the_checks_before_a_deployment_know_the_installation(installed, capsys):
    assert installed.pfi("deploy", installed.toml, "--check") == 0
    shown = capsys.readouterr().out
    assert "mise à jour" in shown
    assert "certificat mssante-ehpad" in shown
    assert "REFUS" not in shown


def test_every_peer_accepts_the_certificates_in_force_and_the_next_one(installed, capsys):
    address = MAILBOXES["medecine"]
    for path in (installed.pki.certificate_path(address), installed.pki.key_path(address)):
        path.unlink()
    Pki.ensure(installed.pki.folder, [address])
    following = installed.pem(address, "next.pem")
    words = ["certificates", "check", "--name", NAME, "--for", "mssante-medecine", "--next"]
    assert installed.pfi(*words, following) == 0
    shown = capsys.readouterr().out
    for line in ("IMAP medecine, certificat suivant", "SMTP medecine, certificat suivant",
                 "IMAP ehpad, certificat actuel", "MLLP dpi-ch"):  # fmt: skip
        assert line in shown
    assert "REFUSÉ" not in shown


def test_a_certificate_that_a_peer_refuses_is_not_installed(installed, capsys):
    before = installed.account.client("secretsmanager").get_secret_value(
        SecretId=installed.stack.output("MssanteSecret")
    )["VersionId"]
    foreign = installed.pem("foreign", "foreign.pem")
    words = ["certificates", "install", foreign, "--name", NAME, "--for", "mssante-ehpad"]
    assert installed.pfi(*words) == 2
    assert "certificat suivant : REFUSÉ" in capsys.readouterr().out
    after = installed.account.client("secretsmanager").get_secret_value(
        SecretId=installed.stack.output("MssanteSecret")
    )["VersionId"]
    assert after == before


def test_a_pushed_setting_is_there_without_deployment_and_in_the_journal(installed, capsys):
    text = installed.toml.read_text()
    installed.toml.write_text(text.replace('sending_facility = "CH"', 'sending_facility = "CH-1"'))
    assert installed.pfi("config", "push", installed.toml) == 0
    assert "dpis.dpi-ch.sending_facility" in capsys.readouterr().out
    stored = installed.account.client("ssm").get_parameter(Name=f"/{NAME}/settings")
    assert json.loads(stored["Parameter"]["Value"])["dpis"][0]["sending_facility"] == "CH-1"
    last = journal_of(installed.stack).last("config push")
    assert last.after == hashlib.sha256(stored["Parameter"]["Value"].encode()).hexdigest()
    assert last.who.startswith("arn:")
    assert last.detail == ("dpis.dpi-ch.sending_facility",)
    assert installed.pfi("config", "push", installed.toml) == 0
    assert "Rien à changer" in capsys.readouterr().out


def test_a_change_of_the_stack_is_said_to_wait_for_a_deployment(installed, capsys):
    other = installed.folder / "other.toml"
    text = installed.toml.read_text().replace(
        "[network]", "[retention]\nbodies_days = 20\n[network]"
    )
    other.write_text(text)
    assert installed.pfi("config", "push", other, "--dry-run") == 0
    assert "pfi deploy) : retention" in capsys.readouterr().out


def test_shown_settings_hold_no_secret(installed, capsys):
    assert installed.pfi("config", "show", "--name", NAME) == 0
    shown = capsys.readouterr().out
    assert "mssante.certificates.medecine.key = ••••" in shown
    assert "BEGIN" not in shown


def test_a_door_shut_stays_shut_until_resumed(installed, capsys):
    before = len(journal_of(installed.stack).entries())
    assert installed.pfi("pause", "--name", NAME, "--reason", "maintenance du DPI") == 0
    assert not is_open(installed.stack, "collect")
    assert not is_open(installed.stack, "push")
    assert installed.pfi("resume", "push", "--name", NAME) == 0
    assert is_open(installed.stack, "push")
    assert not is_open(installed.stack, "collect")
    assert installed.pfi("resume", "--name", NAME) == 0
    assert is_open(installed.stack, "collect")
    acts = [each.action for each in journal_of(installed.stack).entries()]
    assert acts[before:] == ["pause collect", "pause push", "resume push", "resume collect"]


def test_an_export_is_whole_readable_and_without_secret(installed, capsys):
    assert installed.pfi("deploy", installed.toml, "--smoke-only") == 0
    folder = installed.folder / "export"
    assert installed.pfi("export", folder, "--name", NAME) == 0
    assert list(verified(folder)) == []
    mails = list(folder.glob("incoming/*/*.eml"))
    assert len(mails) >= 3
    for path in mails:
        assert hashlib.sha256(path.read_bytes()).hexdigest() == path.stem
    assert len(list(folder.glob("documents/*/0001.xml"))) == len(mails)
    assert (folder / "courriels.csv").read_text().count("\n") == len(mails) + 1
    assert "PRIVATE KEY" not in "".join(
        p.read_text(errors="replace") for p in folder.rglob("*") if p.is_file()
    )
    mails[0].write_bytes(b"other")
    assert list(verified(folder)) == [mails[0].relative_to(folder).as_posix()]
    assert installed.pfi("export", folder, "--name", NAME) == 2


def test_nothing_is_destroyed_while_a_mail_is_under_way(installed, capsys):
    """Push is shut, so the document waits; then it is opened again and all may go."""
    assert installed.pfi("pause", "push", "--name", NAME) == 0
    settings = installed_settings(installed.stack)
    raw = letter(settings.mailbox("medecine"), uuid.uuid4())
    digest = hashlib.sha256(raw).hexdigest()
    with known(installed.stack, "ch-essai", VISITOR):
        store = S3Store(installed.account.client("s3"), installed.stack.output("BucketName"))
        store.put_mail("medecine", digest, raw)
        wait_for(installed, digest, "decided")
        assert installed.pfi("destroy", "--name", NAME, "--confirm", NAME) == 2
        shown = capsys.readouterr().err
        assert "rien n'a été détruit" in shown
        assert "« medecine » sans issue" in shown
        assert is_open(installed.stack, "collect"), "a refusal leaves the doors as they were"
        assert installed.pfi("config", "push", without_medecine(installed)) == 2
        assert "« medecine » (1)" in capsys.readouterr().err
        assert installed.pfi("resume", "--name", NAME) == 0
        wait_for(installed, digest, "settled")


def without_medecine(place: Place) -> Path:
    text = place.toml.read_text()
    start, end = (text.index(f'[[mailboxes]]\nid = "{name}"') for name in ("medecine", "chirurgie"))
    fewer = place.folder / "fewer.toml"
    fewer.write_text(text[:start] + text[end:])
    return fewer


def test_what_is_destroyed_is_gone_and_can_be_installed_again(installed, capsys):
    words = ["destroy", "--name", NAME]
    assert installed.pfi(*words) == 2
    assert "--confirm" in capsys.readouterr().err
    assert installed.pfi(*words, "--confirm", NAME) == 0
    account = installed.account
    assert account.client("dynamodb").list_tables()["TableNames"] == []
    assert account.client("sqs").list_queues().get("QueueUrls", []) == []
    assert account.client("lambda").list_functions()["Functions"] == []
    names = [each["Name"] for each in account.client("s3").list_buckets()["Buckets"]]
    assert [name for name in names if NAME in name] == []
    assert installed.pfi(*words, "--confirm", NAME) == 2
    install(installed)


def test_the_daily_function_renews_a_list_and_never_takes_a_forged_one(installed, authority):  # noqa: F811
    text = installed.toml.read_text()
    published = installed.folder / "crl.toml"
    published.write_text(text.replace("[operator]", f'[operator]\ncrl_urls = ["{authority}"]'))
    issuer = installed.pki._issuer(INTERMEDIATE)
    now = datetime.now(UTC)
    newer = _crl(issuer, [], now, timedelta(days=3))
    forged = _crl(Issuer(issuer.certificate, other_key()), [], now, timedelta(days=30))
    try:
        assert installed.pfi("config", "push", published) == 0
        restart_functions(installed)
        Authority.content = forged
        watch(installed)
        assert crl_of(installed) == installed.pki.crl_pem()
        Authority.content = newer
        watch(installed)
        assert next_update(crl_of(installed)) == next_update(newer.decode())
        assert installed.pfi("certificates", "check", "--name", NAME) == 0
    finally:
        assert installed.pfi("config", "push", installed.toml) == 0


def restart_functions(place: Place) -> None:
    """A function reads its settings again after a minute; nobody waits for that here."""
    place.account.client("lambda").update_function_configuration(
        FunctionName=f"{NAME}-certificates", Description="settings read again"
    )


def watch(place: Place) -> None:
    answer = place.account.client("lambda").invoke(
        FunctionName=place.stack.output("FunctionCertificates"), Payload=b"{}"
    )
    assert "FunctionError" not in answer


def crl_of(place: Place) -> str:
    secret = place.account.client("secretsmanager").get_secret_value(
        SecretId=place.stack.output("MssanteSecret")
    )
    return json.loads(secret["SecretString"])["certificates"]["medecine"]["crl"]


def wait_for(place: Place, digest: str, state: str) -> None:
    table = DynamoTable(place.account.client("dynamodb"), place.stack.output("LedgerTable"))
    ledger = Ledger(table, lambda: datetime.now(UTC))

    def reached() -> bool:
        known = ledger.mail(digest)
        return known is not None and known.record.state.value == state

    assert eventually(reached, 40)
