"""The scorecard of senders, from what the deployed functions wrote: mails in, table out."""

import json
from dataclasses import replace

import pytest

from infra.cli.main import main
from tests.data.builders import LEA
from tests.journeys.letters import STRANGER, letter, written

DOMAIN = "laboratoire-du-carnet.mssante.test"
SENDER = f"resultats@{DOMAIN}"


def from_there(*entries, **options):
    return letter(*entries, sender=SENDER, return_path=SENDER, **options)


@pytest.fixture(scope="module")
def month(stage) -> str:
    """Three mails of one house: one integrated, one without INS, one with a false hash."""
    reports = stage.process(
        from_there(written(LEA)),
        from_there(written(LEA, ids=[("2.25.9", "L1")], patient_id=""), mdn=False),
        from_there(written(LEA, digest="0" * 40)),
        from_there(written(replace(STRANGER, used_name="X")), mdn=False),
    )
    assert [each.route for each in reports] == ["integrated", *["forwarded"] * 3]
    record = stage.ledger.mail(reports[0].mail).record
    return f"{record.received_at:%Y-%m}"


def words(stage, month, *more):
    return ["senders", "--month", month, "--folder", str(stage.laptop.folder), *more]


def test_a_house_has_its_card_of_the_month(stage, month, capsys):
    assert main(words(stage, month, "--json")) == 0
    [card] = [each for each in json.loads(capsys.readouterr().out)["senders"]
              if each["domain"] == DOMAIN]  # fmt: skip
    assert (card["mails"], card["integrated"], card["share"]) == (4, 1, 0.25)
    assert (card["documents"], card["with_ins"], card["usable"], card["mdn_asked"]) == (3, 2, 2, 2)
    assert (card["archive_faults"], card["faults"]) == (1, {"902": 1, "903": 1, "PFI-XDM-07": 1})


def test_the_letter_to_it_names_its_faults_and_no_patient(stage, month, tmp_path, capsys):
    page = tmp_path / "lettre.html"
    assert main(words(stage, month, "--letter", DOMAIN, str(page))) == 0
    told = page.read_text(encoding="utf-8")
    assert "903" in told
    assert "PFI-XDM-07" in told
    assert "902" not in told
    assert not any(value in told for value in (LEA.birth_name, LEA.body, STRANGER.birth_name))
    assert main(words(stage, month, "--letter", "nulle-part.fr", str(page))) == 2
    assert "rien reçu" in capsys.readouterr().err
