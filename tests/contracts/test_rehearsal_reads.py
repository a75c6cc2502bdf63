"""`pfi rehearse` on real peers leaves them as they were: mailboxes, bucket, tables."""

from __future__ import annotations

import imaplib
import json
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from infra.cli.main import main
from infra.local.hospital import DEMO_ESTABLISHMENT, DEMO_FALLBACK, settings_of
from pfi.adapters.patients import DynamoPatients
from pfi.adapters.s3 import S3Store
from pfi.edge.settings import dump_settings
from pfi.journey.settings import OperatorSettings, Settings
from pfi.names import Environment
from tests.contracts.emulator_fixture import Aws, aws, emulator
from tests.contracts.mail_servers import (
    ImapServer,
    context,
    dovecot,
    imap_server,
    mailbox,
    new_mailbox,
    simulated,
)
from tests.data.builders import EVERYBODY, LEA, THEO, document, mail, patient_csv, xdm_zip

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from infra.local.emulator import Emulator

__all__ = ["aws", "dovecot", "emulator", "imap_server", "mailbox", "simulated"]

LISTENING = {
    *("CAPABILITY", "STARTTLS", "AUTHENTICATE", "LOGOUT", "EXAMINE"),
    *("UID SEARCH UNDELETED", "UID FETCH"),
}
"""All that a rehearsal says to an IMAP server."""


def letters() -> tuple[bytes, ...]:
    """One that would be integrated, one of a stranger, one without an archive."""
    stranger = replace(THEO, body="1150634172999", birth_name="INCONNU")
    archives = (xdm_zip([document(LEA)]), xdm_zip([document(stranger, document_id="2.25.2")]), None)
    return tuple(
        mail(archive, message_id=f"<{number}@labo-invente.mssante.fr>")
        for number, archive in enumerate(archives)
    )


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Callable[..., dict[str, Any]]:
    """Runs the command; its JSON."""

    def run(*words: object) -> dict[str, Any]:
        assert main(["rehearse", *map(str, words), "--json"]) == 0
        found: dict[str, Any] = json.loads(capsys.readouterr().out)
        return found

    return run


def routes(found: dict[str, Any]) -> list[tuple[str, str | None]]:
    lines = [each["versions"][0] for each in found["lines"]]
    return [(each["route"], each["reason"]) for each in lines]


EXPECTED = [("integrated", None), ("forwarded", "902"), ("forwarded", "PFI-XDM-01")]


# a mailbox


@pytest.fixture
def server(imap_server: ImapServer, mailbox: str) -> ImapServer:
    new_mailbox(imap_server, mailbox)
    for raw in letters():
        imap_server.deliver(mailbox, raw)
    return imap_server


def state(server: ImapServer, mailbox: str, folder: str = "INBOX") -> object:
    """Folders, and the mails of one with their flags, as somebody else sees them."""
    with imaplib.IMAP4("127.0.0.1", server.port, timeout=10) as client:
        client.starttls(context(server.pki, mailbox))
        client.authenticate("EXTERNAL", lambda _: b"")
        folders = sorted(client.list()[1])
        client.select(folder, readonly=True)
        validity = client.response("UIDVALIDITY")
        flags = client.uid("FETCH", "1:*", "(FLAGS RFC822.SIZE)")
    return folders, validity, flags, server.contents(mailbox, folder)


@pytest.fixture
def files(tmp_path: Path, server: ImapServer, mailbox: str) -> list[object]:
    """The options that name certificate, settings and patients."""
    settings = settings_of(Environment.TEST, mailbox, DEMO_FALLBACK)
    operator = OperatorSettings(imap_host="127.0.0.1", imap_port=server.port, timeout_s=10)
    pki = server.pki
    texts = {
        "settings.json": dump_settings(replace(settings, operator=operator)),
        "own.pem": pki.certificate_pem(mailbox) + pki.key_pem(mailbox),
        "ca.pem": pki.trust_pem(),
        "crl.pem": pki.crl_pem(),
        "patients.csv": patient_csv(EVERYBODY),
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    words = ("settings.json", "certificate own.pem", "ca.pem", "crl.pem", "patients.csv")
    pairs = ((word.split()[0].partition(".")[0], word.split()[-1]) for word in words)
    return [word for name, file in pairs for word in (f"--{name}", tmp_path / file)]


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Every command that Python's IMAP client sends."""
    found: set[str] = set()
    usual = imaplib.IMAP4._command

    def heard(self: imaplib.IMAP4, name: str, *words: Any) -> Any:
        line = " ".join([name, *(str(word) for word in words[:3])])
        if name == "UID" and words[0] == "FETCH":
            assert "BODY[" not in str(words[2]).replace("BODY.PEEK[", "")
            line = "UID FETCH"
        found.add(line if name == "UID" else name)
        return usual(self, name, *words)

    monkeypatch.setattr(imaplib.IMAP4, "_command", heard)
    return found


def test_a_mailbox_is_read_without_a_flag_a_move_or_a_folder(server, mailbox, files, told, said):
    before = state(server, mailbox)
    said.clear()
    found = told("--imap", *files)
    assert said <= LISTENING
    assert {"EXAMINE", "UID FETCH"} <= said
    assert routes(found) == EXPECTED
    assert state(server, mailbox) == before


def test_a_folder_that_is_not_there_is_told_and_not_made(server, mailbox, files, told, said):
    before = state(server, mailbox)
    said.clear()
    found = told("--imap", "--imap-folder", "PFI-Traites", *files)
    assert said <= LISTENING
    [line] = found["lines"]
    assert line["versions"][0]["fault"] == "pas de dossier PFI-Traites"
    assert state(server, mailbox) == before


def test_a_mailbox_that_refuses_the_certificate_is_a_line(server, files, told, tmp_path):
    other = "autre@ch-invente.mssante.fr"
    new_mailbox(server, other)
    settings = json.loads((tmp_path / "settings.json").read_text())
    first = settings["mailboxes"][0]
    settings["mailboxes"] = [{**first, "id": "autre", "address": other}, first]
    (tmp_path / "settings.json").write_text(json.dumps(settings))
    found = told("--imap", *files)
    refused, *read = routes(found)
    assert refused == ("unread", None)
    assert read == EXPECTED


# a past period of the bucket, the live table


TEMPLATE = {
    "Resources": {
        "Bucket": {"Type": "AWS::S3::Bucket"},
        "Patients": {
            "Type": "AWS::DynamoDB::Table",
            "Properties": {
                "BillingMode": "PAY_PER_REQUEST",
                "AttributeDefinitions": [
                    {"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")
                ],
                "KeySchema": [
                    {"AttributeName": "pk", "KeyType": "HASH"},
                    {"AttributeName": "sk", "KeyType": "RANGE"},
                ],
            },
        },
        "Settings": {
            "Type": "AWS::SSM::Parameter",
            "Properties": {"Type": "String", "Value": "{}"},
        },
    },
    "Outputs": {
        "BucketName": {"Value": {"Ref": "Bucket"}},
        "PatientsTable": {"Value": {"Ref": "Patients"}},
        "SettingsParameter": {"Value": {"Ref": "Settings"}},
    },
}


class Installed:
    """An installation as far as a rehearsal looks at it."""

    def __init__(self, aws: Aws, settings: Settings) -> None:
        self.aws, self.name = aws, f"essai-{uuid.uuid4().hex[:8]}"
        cloud = aws("cloudformation")
        cloud.create_stack(StackName=self.name, TemplateBody=json.dumps(TEMPLATE))
        cloud.get_waiter("stack_create_complete").wait(
            StackName=self.name, WaiterConfig={"Delay": 1}
        )
        [stack] = cloud.describe_stacks(StackName=self.name)["Stacks"]
        self.outputs = {one["OutputKey"]: one["OutputValue"] for one in stack["Outputs"]}
        aws("ssm").put_parameter(
            Name=self.outputs["SettingsParameter"], Value=dump_settings(settings),
            Type="String", Overwrite=True,
        )  # fmt: skip
        self.store = S3Store(aws("s3"), self.outputs["BucketName"])
        base = DynamoPatients(aws("dynamodb"), self.outputs["PatientsTable"])
        base.put(DEMO_ESTABLISHMENT, [each.record for each in EVERYBODY])

    def state(self) -> object:
        """Everything that it holds."""
        objects = self.aws("s3").list_objects_v2(Bucket=self.outputs["BucketName"])
        rows = self.aws("dynamodb").scan(TableName=self.outputs["PatientsTable"])["Items"]
        parameter = self.aws("ssm").get_parameter(Name=self.outputs["SettingsParameter"])
        stored = [(e["Key"], e["ETag"], e["LastModified"]) for e in objects.get("Contents", ())]
        return stored, sorted(map(str, rows)), parameter["Parameter"]


@pytest.fixture
def installed(aws: Aws, emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[Installed]:
    address = "pfi.medecine@ch-invente.mssante.fr"
    found = Installed(aws, settings_of(Environment.TEST, address, DEMO_FALLBACK))
    for number, raw in enumerate(letters()):
        found.store.put_mail("reception", f"{number}" * 64, raw)
    for name, value in emulator.environment().items():
        monkeypatch.setenv(name, value)
    return found


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every operation that botocore is asked for, by its own hook."""
    session, found = boto3.Session(), list[str]()

    def note(model: Any, **_: object) -> None:
        found.append(f"{model.service_model.service_name}:{model.name}")

    session.events.register("before-call", note)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", session)
    return found


READ = {
    *("cloudformation:DescribeStacks", "ssm:GetParameter", "dynamodb:Query"),
    *("s3:ListObjectsV2", "s3:GetObject"),
}


def test_a_period_of_the_bucket_is_read_with_the_live_table_and_only_read(installed, told, calls):
    before = installed.state()
    today = datetime.now(UTC).date()
    words = ("--from", today - timedelta(days=1), "--to", today + timedelta(days=1))
    found = told("--name", installed.name, *words)
    assert routes(found) == EXPECTED
    assert found["days"] == 3
    assert set(calls) == READ
    assert calls.count("s3:GetObject") == 3
    assert calls.count("dynamodb:Query") <= 6
    assert installed.state() == before


def test_mails_outside_the_period_are_not_even_read(installed, calls, capsys):
    assert main(["rehearse", "--name", installed.name, "--to", "2020-01-01"]) == 2
    assert "aucun courriel : courriels conservés jusqu'au 01/01/2020" in capsys.readouterr().err
    assert "s3:GetObject" not in calls


def test_a_folder_is_rehearsed_on_the_live_table_and_the_installed_settings(
    installed, told, tmp_path
):
    for number, raw in enumerate(letters()):
        (tmp_path / f"{number}.eml").write_bytes(raw)
    found = told(tmp_path, "--name", installed.name)
    assert routes(found) == EXPECTED
    assert found["versions"][0]["settings"] == f"paramètres de {installed.name}"
