"""`pfi prove` closes after everything that the other files did, and misses nothing that is gone.

The rest of its account (copies, queues, the DPI's inbox) is compared in tests/unit.
"""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from infra.cli.main import main
from infra.local.demo import SENDER
from infra.operations.installed_reviews import arrival_body
from pfi.journey.accounts import Doubt
from pfi.journey.records import MailState
from pfi.mail.inbound import read
from tests.data.builders import LEA
from tests.journeys.letters import STRANGER, enclosing, fresh, letter, written
from tests.journeys.stage import Stage, eventually


@pytest.fixture(scope="module")
def integrated(stage: Stage) -> str:
    """Of two documents: they lie beside the dossier."""
    [report] = stage.process(letter(written(LEA), written(LEA)))
    assert report.route == "integrated"
    return report.mail


@pytest.fixture(scope="module")
def reviewed(stage: Stage) -> str:
    """From outside the trust space: kept for a person."""
    [report] = stage.process(letter(written(LEA), sender="labo@ailleurs.example"))
    assert report.route == "review"
    assert stage.reviews(report.mail)
    return report.mail


@contextmanager
def without_row(stage: Stage, pk: str, sk: str) -> Iterator[None]:
    """One item of the ledger is deleted by hand for a while."""
    table, dynamodb = stage.laptop.outputs["LedgerTable"], stage.laptop.client("dynamodb")
    key = {"pk": {"S": pk}, "sk": {"S": sk}}
    item = dynamodb.get_item(TableName=table, Key=key, ConsistentRead=True)["Item"]
    dynamodb.delete_item(TableName=table, Key=key)
    try:
        yield
    finally:
        dynamodb.put_item(TableName=table, Item=item)


@contextmanager
def without_object(stage: Stage, key: str) -> Iterator[None]:
    """One object of the bucket is deleted by hand for a while. Its version before comes back, which
    announces nothing: no step stores anything meanwhile."""
    own = {"Bucket": stage.laptop.outputs["BucketName"], "Key": key}
    s3 = stage.laptop.client("s3")
    s3.head_object(**own)
    marker = s3.delete_object(**own)["VersionId"]
    try:
        yield
    finally:
        s3.delete_object(**own, VersionId=marker)


def named(stage: Stage) -> set[tuple[str, str]]:
    """What does not close."""
    return {(each.doubt, each.subject) for each in stage.proof().faults}


def test_a_mail_body_that_was_deleted_is_named(stage, integrated):
    with without_object(stage, f"incoming/reception/{integrated}.eml"):
        assert named(stage) == {(Doubt.BODY_MISSING, integrated)}


@pytest.mark.parametrize(
    ("name", "doubt"),
    [("0001.xml", Doubt.CONTENT_MISSING), ("dossier.json", Doubt.DOSSIER_MISSING)],
)
def test_a_document_that_was_deleted_is_named(stage, integrated, name, doubt):
    with without_object(stage, f"documents/{integrated}/reception/{name}"):
        assert named(stage) == {(doubt, integrated)}


GONE = {
    "MAIL": Doubt.MAIL_MISSING,
    "DOC": Doubt.DOCUMENT_MISSING,
    "CHAIN": Doubt.CHAIN_MISSING,
    "PLACE": Doubt.COPIES_DIFFER,
    "SAME": Doubt.CLAIM_MISSING,
    "OUT": Doubt.SENT_MISSING,
    "REVIEW": Doubt.REVIEW_MISSING,
}
"""What is said of a mail when its row of this kind is gone."""
OF_NO_MAIL = {"LEASE", "NOTICES", "FORWARDS", "PACE", "JOURNAL", "CONFIG"}
"""They say nothing of where a mail is (docs/operate/unaccounted.md)."""


def kind_of(item) -> str:
    """A document has the partition of its mail."""
    name = item["sk"]["S"] if item["pk"]["S"].startswith("MAIL#") else item["pk"]["S"]
    return name.partition("#")[0]


def rows_about(stage: Stage, mail: str) -> dict[str, tuple[str, str]]:
    """By kind, the key of a row that is about a mail."""
    items = [each for each in stage.table_items() if mail in json.dumps(each)]
    return {kind_of(each): (each["pk"]["S"], each["sk"]["S"]) for each in items}


def test_every_kind_of_row_in_the_ledger_is_known_here(stage, integrated, reviewed):
    table = stage.laptop.outputs["LedgerTable"]
    pages = stage.laptop.client("dynamodb").get_paginator("scan").paginate(TableName=table)
    kinds = {kind_of(each) for page in pages for each in page["Items"]}
    assert set(GONE) <= kinds <= set(GONE) | OF_NO_MAIL


@pytest.mark.parametrize("kind", GONE)
def test_a_row_that_was_deleted_is_named(stage, integrated, reviewed, kind):
    mail = reviewed if kind == "REVIEW" else integrated
    with without_row(stage, *rows_about(stage, mail)[kind]):
        found = named(stage)
    assert (GONE[kind], mail) in found
    of_mails = {each for each in found if each[0] is not Doubt.ACCEPTED_UNKNOWN}
    assert {subject for _, subject in of_mails} == {mail}


def test_the_row_of_a_mail_that_was_kept_unread_is_missed_although_a_person_was_told(
    stage, reviewed
):
    """Its bytes and its review item are there; the place in its mailbox says that it was a mail."""
    with without_row(stage, f"MAIL#{reviewed}", "MAIL"):
        assert named(stage) == {(Doubt.MAIL_MISSING, reviewed)}


def test_a_mail_whose_job_was_lost_is_stuck_and_one_whose_job_waits_is_not(stage):
    """Its row says that it waits for `match`, and no queue holds a job of `match`."""
    assert stage.at_rest()
    [report] = stage.process(letter(written(STRANGER)))
    table, dynamodb = stage.laptop.outputs["LedgerTable"], stage.laptop.client("dynamodb")
    key = {"pk": {"S": f"MAIL#{report.mail}"}, "sk": {"S": "MAIL"}}
    item = dynamodb.get_item(TableName=table, Key=key, ConsistentRead=True)["Item"]
    lost = json.loads(json.dumps(item))
    lost["data"]["M"] |= {"state": {"S": "read"}, "route": {"NULL": True}}
    dynamodb.put_item(TableName=table, Item=lost)
    try:
        assert (Doubt.STUCK, report.mail) in named(stage)
    finally:
        dynamodb.put_item(TableName=table, Item=item)


def test_the_command_says_what_it_counted_and_ends_accordingly(stage, integrated, capsys):
    folder = str(stage.laptop.folder)
    assert main(["prove", "--folder", folder, "--grace", "0", "--mailboxes"]) == 0
    assert "le compte est bon" in capsys.readouterr().out
    with without_object(stage, f"documents/{integrated}/reception/0001.xml"):
        assert main(["prove", "--folder", folder, "--grace", "0", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert not found["closes"]
    assert [each["subject"] for each in found["faults"]] == [integrated]


def test_a_young_mail_is_no_fault(stage):
    """Mails move while they are counted."""
    stage.put(enclosing(None))
    proof = stage.proof(grace_s=900)
    assert proof.closes, "\n".join(proof.sentences())
    assert stage.at_rest()


def test_a_document_alone_in_its_mail_goes_with_its_dossier(stage):
    [report] = stage.process(letter(written(LEA)))
    with without_object(stage, f"documents/{report.mail}/reception/dossier.json"):
        assert named(stage) == {(Doubt.DOSSIER_MISSING, report.mail)}


# trace: the same mail by each of its names


def told(stage, capsys, word):
    assert main(["trace", word, "--folder", str(stage.laptop.folder)]) == 0
    return capsys.readouterr().out


def test_a_mail_is_traced_by_its_message_id_and_by_those_of_its_answer_and_document(stage, capsys):
    entry = written(LEA, document_id=("2.25.88.77", "SUITE-7"))
    raw = letter(entry, message_id="<suivi.7@labo-demo.mssante.test>")
    [report] = stage.process(raw)
    whole = told(stage, capsys, report.mail)
    assert "intégré par le DPI, ACK AA" in whole
    assert "MSH-10" in whole
    assert told(stage, capsys, "suivi.7@labo-demo.mssante.test") == whole
    [answer] = [read(each) for each in stage.mails_at(SENDER, b"suivi.7@labo-demo.mssante.test")]
    assert told(stage, capsys, answer.message_id) == whole
    for name in ("2.25.88.77^SUITE-7", "2.25.88.77.suite-7"):
        assert told(stage, capsys, name) == whole
    assert LEA.birth_name not in whole


def test_a_mail_under_way_is_traced_by_its_message_id_too(stage, capsys):
    with stage.dpi_plays({"answer": "AR"}):
        raw = letter(written(LEA), message_id="<attente.7@labo-demo.mssante.test>")
        mail = stage.put(raw)
        assert eventually(lambda: stage.sends(mail))
        assert f"courriel {mail}" in told(stage, capsys, "<attente.7@labo-demo.mssante.test>")
    assert stage.settled(mail).route == "integrated"


@pytest.mark.parametrize("word", ["personne@labo-demo.mssante.test", "1.2.3^4", "deadbeef00"])
def test_what_nobody_heard_of_is_said_to_be_unknown(stage, capsys, word):
    assert main(["trace", word, "--folder", str(stage.laptop.folder)]) == 2
    assert capsys.readouterr().err.startswith("pfi: ")


# the hourly function


def asked(stage, mail, **event):
    """The account of the slice of one mail, as the clock asks for it; what it told of it."""
    payload = {"slices": [mail[:2]], "grace_s": 0, **event}
    before = len(stage.told("ACCOUNT_PROVEN"))
    answer = stage.laptop.client("lambda").invoke(
        FunctionName="pfi-prove", Payload=json.dumps(payload).encode()
    )
    assert "FunctionError" not in answer
    assert eventually(lambda: len(stage.told("ACCOUNT_PROVEN")) > before)
    found = [each for each in stage.told("MAIL_UNACCOUNTED") if each["mail"] == mail]
    return stage.told("ACCOUNT_PROVEN")[-1], {each["doubt"] for each in found}


def test_the_hourly_function_closes_and_finds_what_was_deleted(stage):
    raw = letter(written(LEA), written(LEA))
    [report] = stage.process(raw)
    end, doubts = asked(stage, report.mail)
    assert (end["faults"], end["unproven"], doubts) == (0, 0, set())
    assert end["mails"] >= 1
    with without_object(stage, f"documents/{report.mail}/reception/0001.xml"):
        end, doubts = asked(stage, report.mail)
    assert (end["faults"], doubts) == (1, {"content_missing"})
    chain = stage.ledger.document(report.mail, 1).record.chain
    with without_row(stage, f"CHAIN#{chain}", "CHAIN"):
        _, doubts = asked(stage, report.mail)
    assert doubts == {"content_missing", "chain_missing"}
    with without_row(stage, f"MAIL#{report.mail}", "MAIL"):
        _, doubts = asked(stage, report.mail)
    assert "mail_missing" in doubts
    assert not stage.told("JOB_FAILED") or "prove" not in {
        each["service"] for each in stage.told("JOB_FAILED")
    }


def test_the_hourly_function_finds_a_mail_that_no_job_is_about(stage):
    raw = letter(written(STRANGER))
    [report] = stage.process(raw)
    assert stage.at_rest()
    known = stage.ledger.mail(report.mail)
    lost = replace(known.record, state=MailState.READ, route=None)
    assert stage.ledger.write(stage.ledger.mail_put(lost, known.revision))
    try:
        _, doubts = asked(stage, report.mail)
        assert "stuck" in doubts
    finally:
        stage.ledger.write(stage.ledger.mail_put(known.record, known.revision + 1))


# what another producer dropped under a name of its own


def test_a_dropped_mail_that_nobody_could_read_has_an_item_of_a_stable_name(stage, capsys):
    """Its bytes lie in the bucket, no mail came of them, and a person was told."""
    key = f"incoming/reception/{fresh()} dépôt (illisible).txt.eml"
    url = stage.laptop.outputs["DlqParseUrl"]
    stage.laptop.client("sqs").send_message(QueueUrl=url, MessageBody=arrival_body(key))
    name = hashlib.sha256(key.encode()).hexdigest()
    assert stage.reviews(name) == [("parse", "PFI-EDGE-09")]
    folder = ["--folder", str(stage.laptop.folder)]
    assert main(["review", "show", name, *folder]) == 0
    shown = capsys.readouterr().out
    assert "illisible" not in shown
    assert "étape parse" in shown
    assert main(["review", "close", name, "--who", "x", "--comment", "", *folder]) == 2
    assert main(["review", "close", name, "--who", "Ada", "--comment", "jeté", *folder]) == 0
    assert "par Ada : jeté" in told(stage, capsys, name)
