"""What operators may do, and what every act leaves in the journal; without any account."""

import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from infra.cli.config import EXAMPLE
from infra.cli.main import main
from infra.operations.account import Account, OperationRefused, Stack
from infra.operations.coherence import review
from infra.operations.configuration import differences, flat, read_back
from infra.operations.flight import Flight
from infra.operations.journal import Journal
from infra.operations.secrets import Candidate, _masked, candidate
from infra.operations.smoke import Smoke, letter
from pfi.edge.settings import dump_settings
from pfi.edge.wiring import MAX_AGE_S
from pfi.mail.inbound import read
from pfi.mail.rules import archives
from pfi.names import Environment
from tests.doubles.memory import Clock, MemoryTable

SETTINGS = review(EXAMPLE.read_text(encoding="utf-8")).hospital.settings


def test_acts_are_kept_in_order_even_at_the_same_instant():
    clock = Clock()
    journal = Journal(MemoryTable(), clock)
    journal.record("pause push", "arn:one", detail=("maintenance",))
    journal.record("pause push", "arn:two")
    clock.advance(1)
    journal.record("config push", "arn:one", before="a", after="b")
    assert [each.who for each in journal.entries()] == ["arn:one", "arn:two", "arn:one"]
    assert journal.last("pause push").who == "arn:two"
    assert journal.last("destroy") is None
    assert {pk for pk, _ in journal.table.rows} == {"CONFIG#journal"}


def test_a_setting_pushed_is_in_force_within_a_minute():
    assert MAX_AGE_S <= 60


def test_changes_are_named_by_their_path_and_by_the_id_of_their_table():
    moved = replace(SETTINGS.mailboxes[1], fallback="autre@ch-exemple.mssante.fr")
    other = replace(SETTINGS, mailboxes=(SETTINGS.mailboxes[0], moved, SETTINGS.mailboxes[2]))
    assert list(differences(SETTINGS, other)) == ["mailboxes.chirurgie.fallback"]
    assert list(differences(SETTINGS, SETTINGS)) == []
    assert set(differences(None, SETTINGS)) == set(flat(SETTINGS))


def test_settings_that_were_never_pushed_or_are_broken_are_none():
    for text in ("{}", "", "{", '{"unknown": 1}'):
        assert read_back(text) is None
    assert read_back(dump_settings(SETTINGS)) == SETTINGS


def test_anything_under_way_is_counted_and_told():
    assert Flight({"pfi-push": 0}, {}, 0).empty
    for flight in (Flight({"q": 1}, {}, 0), Flight({}, {"m": 1}, 0), Flight({}, {}, 1)):
        assert not flight.empty
        assert len(list(flight.sentences())) == 1


def test_no_test_mail_ever_leaves_in_production():
    stack = Stack(None, "pfi", {})  # type: ignore[arg-type]
    production = replace(SETTINGS, environment=Environment.PRODUCTION)
    with pytest.raises(OperationRefused, match="production"):
        list(Smoke(stack, production).run())


def test_each_test_mail_is_new_asks_no_answer_and_bears_a_test_ins():
    mails = [letter(SETTINGS.mailboxes[0], uuid4()) for _ in range(2)]
    assert read(mails[0]).message_id != read(mails[1]).message_id
    for raw in mails:
        assert archives(read(raw))
        assert not read(raw).header("disposition-notification-to")
        assert raw.count(b"\n") == raw.count(b"\r\n")


def test_masked_secrets_show_names_and_no_value():
    secret = {"key": "K", "passwords": {"m": "P"}, "certificate": "", "crl": "L", "tokens": {}}
    shown = "\n".join(_masked("mssante", secret))
    assert "mssante.passwords.m = ••••" in shown
    assert "K" not in shown.replace("KEY", "")
    assert "P\n" not in shown


def test_a_candidate_is_pem_with_its_key_or_json_of_the_secret(tmp_path):
    path = tmp_path / "next"
    key, certificate = (
        f"-----BEGIN {what}-----\nAA==\n-----END {what}-----\n"
        for what in ("PRIVATE KEY", "CERTIFICATE")
    )
    path.write_text(certificate + key + certificate)
    assert candidate(path).values == {"certificate": certificate * 2, "key": key}
    path.write_text('{"certificate": "c", "passwords": {"m": "p"}}')
    assert candidate(path).over({"ca": "a", "certificate": "b"}) == {"ca": "a", "certificate": "c"}
    for text in (certificate, '{"unknown": 1}', "{", "é"):
        path.write_text(text)
        with pytest.raises(OperationRefused):
            candidate(path)
    with pytest.raises(OperationRefused):
        candidate(tmp_path / "absent")
    assert Candidate({}).over({"ca": "a"}) == {"ca": "a"}


def test_a_command_loads_only_what_it_needs():
    """`pfi explain` and `pfi cost` start without any AWS library."""
    for words in ("explain", "cost"):
        code = (
            "import sys; from infra.cli.main import main\n"
            f"try: main([{words!r}, '--help'])\n"
            "except SystemExit: pass\n"
            "sys.exit('boto3' in sys.modules or 'aws_cdk' in sys.modules)"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
        assert done.returncode == 0, words


def test_the_journal_is_kept_as_long_as_the_ledger():
    table = MemoryTable()
    seen = []
    table.write = lambda *puts: seen.extend(puts) or True  # type: ignore[method-assign]
    now = datetime(2026, 1, 1, tzinfo=UTC)
    Journal(table, lambda: now).record("deploy", "me")
    assert seen[0].expires_at == now + timedelta(days=400)
    assert seen[0].revision is None


def test_an_account_without_a_region_is_told_in_words(monkeypatch):
    for name in ("AWS_ENDPOINT_URL", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "absent")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with Account() as account, pytest.raises(OperationRefused, match=r"région absente.*--folder"):
        account.client("sqs")


def test_a_patient_file_of_another_kind_is_refused_in_words(tmp_path, capsys):
    page = tmp_path / "page.md"
    page.write_text("rien", encoding="utf-8")
    assert main(["patients", "import", str(page), "--establishment", "ch"]) == 2
    assert "un fichier .csv ou .ndjson est attendu" in capsys.readouterr().err


def test_files_that_cannot_be_read_are_told_in_french(tmp_path, capsys):
    for words in (["config", "check"], ["deploy"]):
        assert main([*words, str(tmp_path / "absent.toml")]) == 2
        assert "introuvable" in capsys.readouterr().err
