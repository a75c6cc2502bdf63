"""What the bodies of queue messages say: arrivals in the store, dead letters."""

import hashlib
import json

import pytest

from pfi.edge.lambdas import arrivals_of, letters_of
from pfi.errors import Unreadable
from pfi.journey.jobs import Job
from pfi.names import Reason, Step
from tests.unit.edge.records import arrival, record

MAIL = "0f" * 32
DEAD = {
    Step.MATCH: "https://sqs.eu-west-3.amazonaws.com/000000000000/pfi-match-dlq",
    Step.PARSE: "https://sqs.eu-west-3.amazonaws.com/000000000000/pfi-parse-dlq",
}


def places(body):
    return [(each.key, each.mailbox) for each in arrivals_of(body)]


@pytest.mark.parametrize(
    ("announced", "key"),
    [
        (f"incoming/app/{MAIL}.eml", f"incoming/app/{MAIL}.eml"),
        ("incoming/app/d%C3%A9p%C3%B4t+1%2B2.eml", "incoming/app/dépôt 1+2.eml"),
        ("incoming/app/a/b%2Fc.eml", "incoming/app/a/b/c.eml"),
    ],
)
def test_keys_come_url_encoded_and_the_folder_is_the_mailbox(announced, key):
    assert places(arrival(announced)) == [(key, "app")]


@pytest.mark.parametrize(
    "key", ["documents/app/1.eml", "Incoming/app/1.eml", "1.eml", "x/incoming/1", "incoming"]
)
def test_a_foreign_prefix_is_no_arrival(key):
    assert places(arrival(key)) == []


@pytest.mark.parametrize("key", ["incoming/1.eml", "incoming//1.eml"])
def test_a_mail_without_the_folder_of_a_mailbox_belongs_to_none_and_is_not_lost(key):
    assert places(arrival(key)) == [(key, "")]


def test_the_test_event_of_s3_announces_nothing():
    body = json.dumps({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "b"})
    assert places(body) == []


@pytest.mark.parametrize(
    "body",
    [
        "", "pas du JSON", "null", "[]", "12", '"Records"', "{}", '{"Event": "autre"}',
        '{"Records": 3}', '{"Records": [3]}', '{"Records": [{}]}', '{"Records": [{"s3": null}]}',
        '{"Records": [{"s3": {"object": {"key": 5}}}]}', '{"Records": "incoming/app/1.eml"}',
        "[" * 200_000,
    ],
)  # fmt: skip
def test_any_other_body_is_unreadable_and_its_text_quotes_nothing(body):
    with pytest.raises(Unreadable) as refused:
        places(body)
    assert str(refused.value) == "PFI-EDGE-08"
    assert refused.value.__suppress_context__


DEEP = "[" * 200_000
"""Deeper than a JSON reader goes."""


def test_a_key_that_is_no_text_has_a_digest_too():
    [letter] = letters(arrival("incoming/app/\ud800.eml"))
    assert len(letter.mail) == 64


def letters(body, **options):
    options.setdefault("queue", "pfi-match-dlq")
    return list(letters_of(record(body, **options), DEAD))


def test_a_dead_job_keeps_its_mail_document_step_and_reason():
    [letter] = letters(Job(MAIL, 2).dump(), reason="PFI-DPI-01", received=4)
    assert (letter.mail, letter.document, letter.step) == (MAIL, 2, Step.MATCH)
    assert (letter.reason, letter.attempts) == (Reason.DPI_UNAVAILABLE, 4)


@pytest.mark.parametrize("reason", ["", "ZQXNOM", "pfi-dpi-01"])
def test_a_reason_that_is_none_of_ours_is_unexpected(reason):
    [letter] = letters(Job(MAIL).dump(), reason=reason)
    assert letter.reason is Reason.UNEXPECTED


def test_a_queue_that_is_none_of_ours_is_the_step_review():
    [letter] = letters(Job(MAIL).dump(), queue="autre")
    assert letter.step is Step.REVIEW


def test_a_dead_arrival_is_the_mail_of_its_name():
    [letter] = letters(arrival(f"incoming/app/{MAIL}.eml"), queue="pfi-parse-dlq")
    assert (letter.step, letter.mail) == (Step.PARSE, MAIL)


def test_a_name_that_is_no_digest_is_told_by_its_own():
    """Another producer may have put a patient's name there."""
    [letter] = letters(arrival("incoming/app/ZQXNOM.eml"), queue="pfi-parse-dlq")
    assert letter.mail == hashlib.sha256(b"incoming/app/ZQXNOM.eml").hexdigest()


def test_each_arrival_of_one_event_is_a_letter_of_its_own():
    other = "1e" * 32
    body = arrival(f"incoming/a/{MAIL}.eml", f"incoming/b/{other}.eml")
    assert [each.mail for each in letters(body)] == [MAIL, other]


@pytest.mark.parametrize(
    "body", ["", "ZQXNOM", "null", '{"mail": "ZQXNOM", "v": 1}', "\ud800", DEEP]
)
def test_a_body_that_nobody_can_read_is_told_by_its_digest(body):
    [letter] = letters(body)
    assert len(letter.mail) == 64
    assert letter.document is None
    assert "ZQX" not in str(letter)
