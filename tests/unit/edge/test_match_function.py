"""`match` is fed by jobs, and by the dossiers that arrive in the store, through one queue."""

import json

import pytest

from pfi.edge import lambdas
from pfi.edge.lambdas import is_event, letters_of, read_mails_of
from pfi.errors import Unavailable, Unreadable
from pfi.journey.jobs import Job, ReadMail
from pfi.journey.keys import dossier_key
from pfi.journey.outcome import Log, Outcome
from pfi.journey.review import DeadLetter
from pfi.names import Reason, Step
from tests.unit.edge.records import (
    Context,
    Sandbox,
    arrival,
    listen,
    message,
    raising,
    record,
    told,
)

SEAL, OTHER = "0f" * 32, "1e" * 32
KEY = dossier_key("app", SEAL)
READ = ReadMail(KEY, mailbox="app", seal=SEAL)
TEST_EVENT = json.dumps({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "b"})
KEPT = {"batchItemFailures": []}
BACK = {"batchItemFailures": [{"itemIdentifier": "m1"}]}
DEAD = {Step.MATCH: "https://sqs.eu-west-3.amazonaws.com/000000000000/pfi-match-dlq"}
MARK = "ZQXNAISSANCE"


@pytest.fixture
def sandbox(monkeypatch):
    found = Sandbox()
    monkeypatch.setattr(lambdas, "services", lambda: found)
    return found


def call(body, run=None):
    """What the step was given, what SQS was told, and the log."""
    seen = []

    def noted(work, _ports):
        seen.append(work)
        return Outcome(Log.MAIL_DECIDED)

    handler = lambdas.match_function(Step.MATCH, run or noted)
    out = listen(Step.MATCH)
    answer = handler({"Records": [message(body)]}, Context())
    return seen, answer, [line["code"] for line in told(out)]


@pytest.mark.parametrize("job", [Job(SEAL), Job(SEAL, 2)])
def test_a_job_is_given_to_the_step_as_it_is(sandbox, job):
    assert call(job.dump()) == ([job], KEPT, ["MAIL_DECIDED"])


def test_a_dossier_that_arrived_is_a_mail_that_was_read(sandbox):
    assert call(arrival(KEY)) == ([READ], KEPT, ["MAIL_DECIDED"])


def test_each_dossier_of_one_event_is_decided(sandbox):
    seen, answer, logs = call(arrival(KEY, dossier_key("other", OTHER)))
    assert [(each.mailbox, each.seal) for each in seen] == [("app", SEAL), ("other", OTHER)]
    assert (answer, logs) == (KEPT, ["MAIL_DECIDED"] * 2)


@pytest.mark.parametrize(
    "body",
    [
        TEST_EVENT,
        arrival(f"incoming/app/{SEAL}.eml"),
        arrival(f"documents/{SEAL}/dossier.json"),
        arrival("documents/ZQXNOM/app/dossier.json"),
        arrival(f"documents/{SEAL.upper()}/app/dossier.json"),
        arrival(f"x/documents/{SEAL}/app/dossier.json"),
        arrival(f"{SEAL}/app/dossier.json"),
        arrival(f"documents/{SEAL}/app/sub/dossier.json"),
        arrival(),
    ],
    ids=["test", "mail", "of 0.2", "no digest", "upper case", "prefix", "bare", "deep", "none"],
)  # fmt: skip
def test_an_event_about_no_dossier_of_ours_is_told_and_consumed(sandbox, body):
    assert call(body) == ([], KEPT, ["EVENT_IGNORED"])
    assert sandbox.jobs.calls == []


@pytest.mark.parametrize(
    "body",
    [
        "", MARK, "null", "[]", "12", "{}", '{"Records": 3}', "[" * 200_000,
        '{"Records": [{"s3": {"object": {"key": 5}}}]}',
        json.dumps({"v": 2, "mail": SEAL}), json.dumps({"v": 1, "mail": MARK}), '{"v": 1', '{"v"',
        json.dumps({"mail": SEAL}),
    ],
)  # fmt: skip
def test_a_message_that_is_neither_is_consumed_after_its_copy_went_to_the_dead_letters(
    sandbox, body
):
    seen, answer, _ = call(body)
    assert (seen, answer) == ([], KEPT)
    assert sandbox.jobs.calls == [("dead_letter", Step.MATCH, body, Reason.JOB_UNREADABLE)]


def test_a_mail_that_cannot_be_decided_now_comes_back(sandbox):
    _, answer, logs = call(arrival(KEY), raising(Unavailable(Reason.STORE_UNAVAILABLE)))
    assert (answer, logs) == (BACK, ["JOB_RETRIED"])
    assert sandbox.jobs.kinds == ["postpone"]


def test_every_message_is_of_one_sort_and_what_is_no_job_of_ours_is_read_as_an_event():
    assert not is_event(Job(SEAL).dump())
    assert not is_event(Job(SEAL, 2, (OTHER,)).dump())
    for body in (arrival(KEY), TEST_EVENT, "", MARK):
        assert is_event(body)


def test_the_key_of_a_dossier_comes_url_encoded():
    [found] = read_mails_of(arrival(f"documents/{SEAL}/app%2B1/dossier.json"))
    assert found == ReadMail(f"documents/{SEAL}/app+1/dossier.json", "app+1", SEAL)


def test_what_is_no_event_announces_no_dossier():
    with pytest.raises(Unreadable):
        list(read_mails_of(Job(SEAL).dump()))


# --- dead events


def letters(body, **options):
    return list(letters_of(record(body, queue="pfi-match-dlq", **options), DEAD))


def test_a_dead_dossier_is_the_mail_with_those_bytes_in_its_mailbox():
    assert letters(arrival(KEY), reason="PFI-EDGE-04", received=4) == [
        DeadLetter(Step.MATCH, SEAL, None, Reason.STORE_UNAVAILABLE, 4, "app")
    ]


def test_each_dossier_of_a_dead_event_is_a_letter_of_its_own():
    found = letters(arrival(KEY, dossier_key("other", OTHER), f"incoming/app/{OTHER}.eml"))
    assert {(each.mail, each.mailbox) for each in found} == {
        (SEAL, "app"),
        (OTHER, "other"),
        (OTHER, "app"),
    }
    assert len(found) == 3


def test_a_dead_event_about_nothing_of_ours_is_told_by_its_digest():
    [letter] = letters(arrival(f"documents/{MARK}/app/dossier.json"))
    assert len(letter.mail) == 64
    assert letter.mailbox is None
    assert MARK not in str(letter)


def test_a_dead_job_of_match_names_its_mail_and_no_mailbox():
    assert letters(Job(SEAL).dump(), received=3) == [
        DeadLetter(Step.MATCH, SEAL, None, Reason.UNEXPECTED, 3)
    ]
