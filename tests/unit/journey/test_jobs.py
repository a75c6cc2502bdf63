"""What a message of a queue says: identifiers only, whatever version wrote it."""

import json
import re

import pytest

from pfi.errors import Unreadable
from pfi.journey.jobs import SCHEMA, Job, load
from pfi.journey.match import match
from pfi.journey.onward import push_of
from pfi.names import Reason, Step
from tests.data.builders import LEA, document
from tests.doubles.drive import Drive
from tests.unit.journey.test_one_transaction import announced
from tests.unit.journey.test_routes import letter

MAIL = "0f" * 32
CHAINS = ("1e" * 32, "2d" * 32)
JOBS = [Job(MAIL), Job(MAIL, 2), Job(MAIL, 2, CHAINS[:1]), Job(MAIL, 90, CHAINS)]


@pytest.mark.parametrize("job", JOBS)
def test_a_job_is_read_as_it_was_sent(job):
    found = load(job.dump())
    assert (found.mail, found.document, found.chains) == (job.mail, job.document, job.chains)


@pytest.mark.parametrize("job", JOBS)
def test_a_job_holds_digests_and_a_number_and_stays_far_below_what_a_queue_takes(job):
    body = job.dump()
    assert len(body.encode()) < 4096
    rest = re.sub(r'"[0-9a-f]{64}"', "", body)
    assert re.fullmatch(r'\{"v": 1, "mail": (, "document": \d+)?(, "chains": \[,? ?\])?\}', rest)


def test_a_job_without_chains_says_nothing_of_them():
    """So that version 0.2 reads it, and a redrive of a person is as good."""
    assert json.loads(Job(MAIL, 2).dump()) == {"v": 1, "mail": MAIL, "document": 2}


def test_a_job_that_version_0_2_sent_is_read():
    assert load(json.dumps({"v": 1, "mail": MAIL, "document": 2})).chains == ()


def test_the_same_job_with_and_without_its_chains_is_one_job():
    assert Job(MAIL, 2, CHAINS) == Job(MAIL, 2)
    assert len({Job(MAIL, 2, CHAINS), Job(MAIL, 2)}) == 1
    assert Job(MAIL, 2) != Job(MAIL, 3)


@pytest.mark.parametrize(
    "changes",
    [
        {"v": SCHEMA + 1},
        {"v": "1"},
        {"mail": "Aa" * 32},
        {"mail": MAIL + "0"},
        {"mail": None},
        {"document": 0},
        {"document": -1},
        {"document": "2"},
        {"chains": ["ZQXNOM"]},
        {"chains": [CHAINS[0], CHAINS[1] + "\n"]},
        {"chains": [7]},
        {"chains": 7},
        {"chains": "ZQXNOM"},
        {"chains": {"ZQXNOM": 1}},
        {"chains": None},
    ],
    ids=str,
)
def test_a_job_of_another_form_is_unreadable_and_its_text_quotes_nothing(changes):
    body = {"v": 1, "mail": MAIL, "document": 2, **changes}
    with pytest.raises(Unreadable) as refused:
        load(json.dumps(body))
    assert str(refused.value) == Reason.JOB_UNREADABLE.value


@pytest.mark.parametrize("missing", ["v", "mail"])
def test_a_job_that_says_too_little_is_unreadable(missing):
    body = {"v": 1, "mail": MAIL}
    del body[missing]
    with pytest.raises(Unreadable):
        load(json.dumps(body))


def test_a_push_names_the_chain_of_its_document_and_that_of_what_it_replaces():
    drive = Drive()
    child = document(LEA, document_id="2.25.1.2", parent="2.25.1.1", version="2", action="C")
    for number, entry in enumerate((document(LEA, document_id="2.25.1.1"), child)):
        match(announced(drive, letter(entry, number=number)), drive.ports)
    first, second = drive.ports.jobs.queues[Step.PUSH]
    assert second.chains[1:] == first.chains
    assert [len(first.chains), len(second.chains)] == [1, 2]
    assert load(second.dump()).chains == second.chains
    for job in (first, second):
        record = drive.ledger.document(job.mail, 1).record
        assert push_of(record).chains == job.chains
        known = drive.ledger.in_hand(job.mail, 1, job.chains).chains
        assert all(each.revision == 1 for each in known.values())


def test_a_chain_of_which_nothing_is_known_is_read_as_empty():
    found = Drive().ledger.in_hand(MAIL, 1, CHAINS)
    assert (found.mail, found.document) == (None, None)
    assert [(each.revision, each.record.links) for each in found.chains.values()] == [
        (None, ())
    ] * 2


def test_a_document_that_replaces_itself_names_its_chain_twice_and_is_found():
    drive = Drive()
    itself = document(LEA, document_id="2.25.1.1", parent="2.25.1.1", version="2", action="C")
    [found] = drive.process(letter(itself))
    assert len(drive.ports.hospital.accepted) == 1
    [record] = drive.documents(found)
    assert push_of(record).chains == (record.chain, record.chain)
