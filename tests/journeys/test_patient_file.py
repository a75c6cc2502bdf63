"""A patient file dropped into the bucket: the base is loaded, reported, and mails match."""

import json
from dataclasses import replace

import pytest

from infra.cli.main import main
from infra.local.hospital import DEMO_ESTABLISHMENT
from infra.local.invented.identities import identities
from tests.data.builders import NO_INS, patient_csv
from tests.journeys.letters import letter, written
from tests.journeys.stage import Stage, eventually

PEOPLE = list(identities(500, seed=7))
NAME = f"imports/{DEMO_ESTABLISHMENT}/reprise.csv"


def with_faults(text: str) -> str:
    """Three lines nobody can take: a sex, a status, and one cut in the middle."""
    lines = text.splitlines()
    lines[10] = lines[10].replace(",M,", ",H,").replace(",F,", ",H,")
    lines[20] = lines[20].replace("VALI", "VALIDE").replace("PROV", "VALIDE")
    lines[30] = lines[30][:25]
    return "\n".join(lines) + "\n"


def report(stage: Stage, key: str) -> dict:
    """The report of a file, once it is finished."""
    found = eventually(lambda: _finished(stage, key), 90)
    assert found, stage.told("JOB_FAILED")
    return found


def _finished(stage: Stage, key: str) -> dict:
    raw = stage.objects().get(f"{key}.report.json", b"{}")
    found = json.loads(raw)
    return found if found.get("finished") else {}


def test_a_dropped_file_loads_the_base_and_a_mail_then_matches(stage: Stage):
    person = next(each for each in PEOPLE[40:] if each.body and each.birth_place)
    stage.drop(NAME, with_faults(patient_csv(PEOPLE)).encode())
    told = report(stage, NAME)
    assert (told["lines"], told["identities"], told["refused"]) == (501, 497, 3)
    assert [(each["line"], each["field"]) for each in told["listed"]] == [
        (11, "sex"),
        (21, "status"),
        (31, "line"),
    ]
    assert told["written"] == 497
    for each in PEOPLE:
        assert each.birth_name not in json.dumps(told)
    [outcome] = stage.process(letter(written(person)))
    assert outcome.route == "integrated"


def test_a_file_of_an_establishment_that_nobody_knows_is_told_and_not_loaded(stage: Stage):
    key = "imports/elsewhere/reprise.csv"
    stage.drop(key, patient_csv([NO_INS]).encode())
    assert report(stage, key)["listed"] == [
        {"line": 0, "field": "establishment", "fault": "unknown"}
    ]
    assert stage.told("FILE_REFUSED")


@pytest.fixture
def pfi(stage: Stage):
    place = ["--establishment", DEMO_ESTABLISHMENT, "--folder", str(stage.laptop.folder)]
    return lambda what, *words: main(["patients", what, *map(str, words), *place])


def test_a_person_loads_exports_and_checks_the_base_by_command(pfi, tmp_path, capsys):
    people = list(identities(80, seed=8))
    people = [replace(each, ipp=f"8{each.ipp}") for each in people if not each.merged_into]
    path = tmp_path / "extraction.csv"
    path.write_text(patient_csv(people).replace(",F,", ",H,", 1), encoding="utf-8")
    assert pfi("import", path) == 1
    told = json.loads((tmp_path / "extraction.csv.report.json").read_text())
    assert (told["identities"], told["refused"]) == (len(people) - 1, 1)
    assert pfi("import", path, "--report", tmp_path / "again.json") == 1
    whole, listed = tmp_path / "base.csv", tmp_path / "ipps.csv"
    assert pfi("export", whole) == 0
    exported = whole.read_text(encoding="utf-8")
    assert sum(each.ipp in exported for each in people) == len(people) - 1
    assert pfi("export", whole) == 2
    capsys.readouterr()
    assert pfi("check", "--list", listed) == 0
    out = capsys.readouterr().out
    assert "identité non qualifiée" in out
    assert not any(each.ipp in out for each in people)
    assert listed.stat().st_mode & 0o777 == 0o600
    unqualified = next(each for each in people if each.status == "PROV")
    assert f"non_qualifiee;{unqualified.ipp}" in listed.read_text()


def test_an_establishment_misspelt_is_no_new_base(stage: Stage, tmp_path, capsys):
    path = tmp_path / "a.csv"
    path.write_text(patient_csv([NO_INS]), encoding="utf-8")
    words = ["patients", "import", str(path), "--establishment", "ch-dmo"]
    assert main([*words, "--folder", str(stage.laptop.folder)]) == 2
    assert "inconnu des paramètres" in capsys.readouterr().err
