"""`pfi explain` foretells what the deployed stack does: the same report, field by field."""

import json
from dataclasses import asdict, replace

import pytest

from infra.cli.main import main
from infra.cli.report import MailReport, foreseen
from infra.local.demo import SCENES, Demo
from infra.local.hospital import DEMO_MAILBOX
from pfi.adapters.csv_patients import ListedPatients
from pfi.journey.foresight import Foresight
from tests.data.builders import EVERYBODY, SAMIR, patient_csv
from tests.journeys.canary import CANARIES, flock
from tests.journeys.letters import CATALOGUE

DPI_DECIDES = "12_refuse_par_le_dpi.eml"
"""Left out: explain assumes that the DPI accepts."""


def as_foretold(report: MailReport) -> dict:
    """What explain cannot know is left out: the ACK; and it says `would_integrate`."""
    known = asdict(report)
    for document in known["documents"]:
        document["ack"] = None
        if document["integration"] == "integrated":
            document["integration"] = "would_integrate"
    return known


@pytest.fixture(scope="module")
def fixtures() -> list[tuple[str, bytes, str]]:
    """Demo, catalogue and canaries: file name, bytes, mailbox; one order for both sides."""
    demo = [
        (f"{scene.name}.eml", scene.build(scene.name), "reception")
        for scene in SCENES
        if f"{scene.name}.eml" != DPI_DECIDES
    ]
    cases = [(f"{case.name}.eml", case.build(), case.mailbox) for case in CATALOGUE]
    cases = [case for case in cases if case[1]]  # the empty mail can be delivered once only
    canaries = [(f"canari{n:02}.eml", raw, "reception") for n, raw in enumerate(flock())]
    again = [(f"encore_{name}", raw, mailbox) for name, raw, mailbox in cases[:6]]
    return sorted([*demo, *cases, *canaries, *again], key=lambda each: each[2] == "direct")


@pytest.fixture(scope="module")
def reports(stage, fixtures) -> list[MailReport]:
    """What the stack made of them."""
    found: list[MailReport] = []
    for mailbox in ("reception", "direct"):
        ours = [(name, raw) for name, raw, box in fixtures if box == mailbox]
        given = stage.process(*(raw for _, raw in ours), mailbox=mailbox)
        found += [replace(each, file=name) for (name, _), each in zip(ours, given, strict=True)]
    return found


def test_the_forecast_of_every_mail_is_what_happened(stage, fixtures, reports):
    settings = stage.laptop.settings
    patients = (*Demo().patients(), *(person.record for person in CANARIES))
    foresight = Foresight(settings, ListedPatients(patients))
    foretold = [
        foreseen(name, foresight.foresee(raw, settings.mailbox(mailbox)))
        for name, raw, mailbox in fixtures
    ]
    for forecast, report in zip(foretold, reports, strict=True):
        assert asdict(forecast) == as_foretold(report), forecast.file


def test_the_json_of_the_command_is_what_happened(fixtures, reports, tmp_path, capsys):
    known = [person for person in EVERYBODY if person is not SAMIR]
    people = [*known, replace(SAMIR, status="PROV"), *CANARIES]
    patients = tmp_path / "patients.csv"
    patients.write_text(patient_csv(people), encoding="utf-8")
    files = []
    for name, raw, mailbox in fixtures:
        if mailbox == "reception":
            (tmp_path / name).write_bytes(raw)
            files.append(str(tmp_path / name))
    words = ["explain", *files, "--patients", str(patients), "--mailbox", DEMO_MAILBOX, "--json"]
    assert main(words) == 0
    told = json.loads(capsys.readouterr().out)
    happened = json.loads(json.dumps([as_foretold(each) for each in reports]))
    for forecast, report in zip(told, happened[: len(files)], strict=True):
        assert forecast == report
