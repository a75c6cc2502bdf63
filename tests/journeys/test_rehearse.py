"""`pfi rehearse` on a deployed stack: it says what happened there, and leaves no trace."""

import hashlib
import json
from dataclasses import replace

import pytest

from infra.cli.main import main
from tests.data.builders import LEA, THEO
from tests.journeys.letters import letter, written

PEOPLE = (
    LEA,
    replace(LEA, body="2910775102991", birth_name="REPETEE", first_given="GENERALE"),
    replace(THEO, birth_name="REPETEUR"),
)
"""Documents of its own: the mails of the demonstration belong to other tests."""


def kept(stage):
    """Everything that a rehearsal could have touched: rows, objects, queues, mailboxes, the DPI."""
    laptop = stage.laptop
    told = (json.dumps(item, sort_keys=True, default=str) for item in stage.table_items())
    rows = sorted(each for each in told if "polled_at" not in each)  # each minute goes on
    bucket = laptop.client("s3").list_objects_v2(Bucket=laptop.outputs["BucketName"])
    objects = [(each["Key"], each["ETag"]) for each in bucket["Contents"]]
    store = laptop.operator.store
    mails = [
        (address, folder.name, store.mails(folder))
        for address in store.mailboxes()
        for folder in store.folders(address)
    ]
    return rows, objects, stage.depths("Queue"), stage.depths("Dlq"), mails, laptop.dpi.accepted


@pytest.fixture(scope="module")
def reports(stage):
    """What the stack made of three mails, by their digests."""
    given = stage.process(*(letter(written(each)) for each in PEOPLE))
    assert {each.reason for each in given} == {None, "902", "904"}
    assert stage.at_rest()
    return {each.mail: each for each in given}


def rehearsed(stage, capsys, *words):
    assert (
        main(["rehearse", "--folder", str(stage.laptop.folder), "--json", "--names", *words]) == 0
    )
    return json.loads(capsys.readouterr().out)["lines"]


def test_the_bucket_of_the_stack_is_rehearsed_as_it_went(stage, reports, capsys):
    before = kept(stage)
    lines = {each["mail"].removesuffix(".eml"): each for each in rehearsed(stage, capsys)}
    for mail, report in reports.items():
        [line] = lines[mail]["versions"]
        assert (line["route"], line["reason"]) == (report.route, report.reason)
        assert line["mailbox"] == "reception"
    assert kept(stage) == before


def test_the_processed_mails_at_the_operator_are_rehearsed_and_stay_as_they_are(
    stage, reports, capsys
):
    before = kept(stage)
    folder = stage.laptop.settings.operator.processed_folder
    address = stage.laptop.settings.mailboxes[0].address
    words = ("--imap", "--imap-folder", folder, "--mailbox", address)
    lines = rehearsed(stage, capsys, *words)
    stored = stage.laptop.operator.store.contents(address, folder)
    assert len(lines) == len(stored)
    digests = [hashlib.sha256(raw).hexdigest() for raw in stored]
    routes = dict(zip(digests, (each["versions"][0]["route"] for each in lines), strict=True))
    assert {mail: routes[mail] for mail in reports} == {
        mail: report.route for mail, report in reports.items()
    }
    assert kept(stage) == before
