"""The commands of operations on the laptop of the demonstration."""

import pytest

from infra.cli.main import main
from infra.local.hospital import DEMO_MAILBOX
from tests.data.builders import LEA
from tests.journeys.letters import letter, written


@pytest.fixture
def pfi(stage):
    """The command line, on the stage."""
    return lambda *words: main([*map(str, words), "--folder", str(stage.laptop.folder)])


def test_a_mail_sent_while_collection_is_paused_waits_in_its_mailbox(stage, pfi, tmp_path, capsys):
    mail = tmp_path / "lettre.eml"
    mail.write_bytes(letter(written(LEA)))
    waiting = len(stage.mails_at(DEMO_MAILBOX))
    assert pfi("pause", "collect") == 0
    try:
        assert pfi("send", mail, "--to", DEMO_MAILBOX) == 0
        assert "La relève est en pause" in capsys.readouterr().out
        assert len(stage.mails_at(DEMO_MAILBOX)) == waiting + 1
        assert pfi("status") == 0
        shown = capsys.readouterr().out
        assert "relève des boîtes : en pause" in shown
        assert "envoi aux DPI : en service" in shown
    finally:
        assert pfi("resume", "collect") == 0
    assert pfi("send", mail, "--to", DEMO_MAILBOX) == 0
    assert "Relevé demandé" in capsys.readouterr().out
    assert stage.at_rest()


def test_the_file_of_a_hospital_is_not_for_the_demonstration_and_it_is_said_why(
    pfi, tmp_path, capsys
):
    file = tmp_path / "hospital.toml"
    assert main(["config", "init", str(file)]) == 0
    assert pfi("config", "push", file) == 2
    told = capsys.readouterr().err
    assert "le poste n'a pas de pile « pfi-test »" in told
    assert f"pfi deploy {file} --folder DOSSIER" in told
