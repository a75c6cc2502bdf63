"""The commands of operations on the emulator, as a hospital runs them: from its page only.

One installation of two establishments and three mailboxes, by the very commands of
`docs/install-hospital.md`, for all tests; the one that takes it down puts it back.
"""

import hashlib
import json
import re
import shlex
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
from infra.operations.account import Account, Stack, installed_stack
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
from tests.docs.pages import ROOT, section
from tests.journeys.authority import Authority, authority, next_update, other_key  # noqa: F401 - fixtures
from tests.journeys.belongings import KINDS, PARTS, belongings

pytestmark = pytest.mark.xdist_group("operations")

NAME = "pfi-test"
HOSPITAL = "ch-exemple"
MAILBOXES = {
    "medecine": "pfi.medecine@ch-exemple.mssante.fr",
    "chirurgie": "pfi.chirurgie@ch-exemple.mssante.fr",
    "ehpad": "pfi@ehpad-exemple.mssante.fr",
}
FALLBACKS = (
    "secretariat.medecine@ch-exemple.mssante.fr",
    "secretariat.chirurgie@ch-exemple.mssante.fr",
    "accueil@ehpad-exemple.mssante.fr",
)
PAGE = ROOT / "docs" / "install-hospital.md"
FASTER = """
[retry]
backoff_s = [1, 2, 4, 5]
"""
"""Nobody waits an hour in a test; the rules are the same."""


@dataclass
class Place:
    """A machine of an operator: an account, the peers, a configuration, certificates as files."""

    folder: Path
    account: Account
    pki: Pki
    dpi: Dpi
    operator: Operator

    @property
    def toml(self) -> Path:
        return self.folder / "hospital.toml"

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


def adapted(place: Place) -> str:
    """The example, with the peers of this machine: what the page asks its reader to do."""
    text = place.toml.read_text()
    peers = {
        '"dpi.ch-exemple.intranet"': '"127.0.0.1"',
        '"dpi.ehpad-exemple.intranet"': '"127.0.0.1"',
        '"imap.operateur.mssante.fr"': '"127.0.0.1"',
        '"smtp.operateur.mssante.fr"': '"127.0.0.1"',
        "port = 2575": f"port = {place.dpi.port}",
        "imap_port = 143": f"imap_port = {place.operator.imap_port}",
        "smtp_port = 587": f"smtp_port = {place.operator.smtp_port}",
        "ack_timeout_s = 60": "ack_timeout_s = 4",
        '["http://igc-sante.esante.gouv.fr/CRL/ACI-EL-ORG.crl"]': "[]",
    }
    for given, ours in peers.items():
        assert given in text, given
        text = text.replace(given, ours)
    return text + FASTER


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Everything around the installation; the installation itself is the tests' work."""
    folder = tmp_path_factory.mktemp("operations")
    addresses = [*MAILBOXES.values(), *FALLBACKS]
    with ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        emulator = stack.enter_context(Emulator(folder / "emulator"))
        for name, value in emulator.environment().items():
            patch.setenv(name, value)
        pki = Pki.ensure(folder / "pki", addresses)
        options = OperatorOptions(domains=(".mssante.fr", ".mssante.test"))
        operator = stack.enter_context(
            Operator(pki, addresses, path=folder / "operator.sqlite", options=options)
        )
        dpi = Dpi(folder / "dpi", ssl_context=pki.server_context(client_certificate=True))
        dpi.start()
        stack.callback(dpi.stop)
        account = stack.enter_context(Account())
        patch.chdir(folder)
        yield Place(folder, account, pki, dpi, operator)


@pytest.fixture(scope="module")
def installed(place: Place) -> Place:
    """Deployed, with the certificates in their secrets."""
    install(place)
    return place


def install(place: Place) -> None:
    """Every command of the page's short way, in its order and in its words."""
    place.toml.unlink(missing_ok=True)
    receive_certificates(place)
    for words in commands("The short way"):
        if words[0] != ".venv/bin/pfi":
            assert words[:2] == ["node_modules/.bin/cdk", "bootstrap"]
            continue  # `pfi deploy` prepares an emulator itself
        assert place.pfi(*words[1:]) == 0, words
        if words[1:3] == ["config", "init"]:
            place.toml.write_text(adapted(place))


def commands(chapter: str) -> list[list[str]]:
    """The words of each command of a chapter."""
    blocks = re.findall(r"^```sh\n(.*?)^```", section(PAGE, chapter), re.DOTALL | re.MULTILINE)
    lines = [shlex.split(line, comments=True) for block in blocks for line in block.splitlines()]
    return [words for words in lines if words]


def receive_certificates(place: Place) -> None:
    """The files that the authorities hand out, by the names that the page gives them."""
    (place.folder / "igc-sante.pem").write_text(place.pki.trust_pem())
    (place.folder / "igc-sante-crl.pem").write_text(place.pki.crl_pem())
    names = {**MAILBOXES, **dict.fromkeys(("dpi-ch", "dpi-ehpad"), MAILBOXES["medecine"])}
    for name, address in names.items():
        place.pem(address, f"{name}.pem")


def test_the_test_mails_get_through_every_mailbox(installed, capsys):
    assert installed.pfi("deploy", installed.toml, "--smoke-only") == 0
    shown = capsys.readouterr().out
    for name in MAILBOXES:
        assert f"essai {name}, par l'opérateur : réussi — document intégré" in shown
    base = DynamoPatients(
        installed.account.client("dynamodb"), installed.stack.output("PatientsTable")
    )
    found = base.find(HOSPITAL, VISITOR.record.matricule, VISITOR.record.oid)
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
    installed.toml.write_text(
        text.replace('sending_facility = "CH-EXEMPLE"', 'sending_facility = "CH-1"')
    )
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
    other.write_text(installed.toml.read_text().replace("bodies_days = 30", "bodies_days = 20"))
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
    assert len(list(folder.glob("documents/*/*/0001.xml"))) == len(mails)
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
    with known(installed.stack, HOSPITAL, VISITOR):
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
    start, end, _ = (found.start() for found in re.finditer(r"^\[\[mailboxes", text, re.MULTILINE))
    fewer = place.folder / "fewer.toml"
    fewer.write_text(text[:start] + text[end:])
    return fewer


def test_what_is_destroyed_is_gone_and_can_be_installed_again(installed, capsys):
    there = kinds_of(installed.stack)
    assert there <= set(KINDS), "a kind of resource that nobody lists"
    assert there <= set(left_by_us(installed.account))
    [[_, *words]] = commands("Take it away")
    words, confirmed = words[:-2], words
    assert installed.pfi(*words) == 2
    captured = capsys.readouterr()
    assert "--confirm" in captured.err
    assert f"serait détruite : la pile {NAME}" in captured.out
    assert "resterait" not in captured.out
    assert installed.pfi(*confirmed) == 0
    assert "reste :" not in capsys.readouterr().out
    assert left_by_us(installed.account) == {}
    assert installed.pfi(*confirmed) == 2
    install(installed)


def kinds_of(stack: Stack) -> set[str]:
    """Types of the resources of an installed stack that live by themselves."""
    pages = stack.client("cloudformation").get_paginator("list_stack_resources")
    found = pages.paginate(StackName=stack.name).build_full_result()["StackResourceSummaries"]
    return {each["ResourceType"] for each in found} - PARTS


def left_by_us(account: Account) -> dict[str, set[str]]:
    """Whatever there is but what `cdk bootstrap` made, which belongs to the account."""
    found = {
        kind: {name for name in names if "cdk" not in name.lower()}
        for kind, names in belongings(account).items()
    }
    return {kind: names for kind, names in found.items() if names}


def test_the_daily_function_renews_a_list_and_never_takes_a_forged_one(installed, authority):  # noqa: F811 - a fixture
    text = installed.toml.read_text()
    published = installed.folder / "crl.toml"
    published.write_text(text.replace("crl_urls = []  # à", f'crl_urls = ["{authority}"]  # à'))
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
