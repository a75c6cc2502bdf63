"""What an error does to its queue message (design §4), and that no error tells what it knows."""

import json

import pytest

from pfi.edge import lambdas
from pfi.errors import Misconfigured, OutcomeUnknown, PfiError, Refused, Unavailable, Unreadable
from pfi.journey.jobs import Job
from pfi.journey.outcome import Log, Outcome
from pfi.names import Reason, Step
from tests.unit.edge.records import (
    Context,
    Sandbox,
    arrival,
    listen,
    message,
    raising,
    told,
)

MAIL = "ab" * 32
BODY = Job(MAIL).dump()
MARK = "ZQXNAISSANCE"
KEPT = {"batchItemFailures": []}
BACK = {"batchItemFailures": [{"itemIdentifier": "m1"}]}
FAMILIES = (Unreadable, Unavailable, Refused, OutcomeUnknown, Misconfigured)


@pytest.fixture
def sandbox(monkeypatch):
    found = Sandbox()
    monkeypatch.setattr(lambdas, "services", lambda: found)
    monkeypatch.setattr("random.uniform", lambda _low, _high: 1.0)
    return found


def call(run, *, body=BODY, received=1, step=Step.MATCH):
    handler = lambdas.job_function(step, run)
    out = listen(step)
    event = {"Records": [message(body, received=received)]}
    return handler(event, Context()), out


def test_a_job_that_is_done_is_consumed(sandbox):
    answer, out = call(lambda _job, _ports: Outcome(Log.MAIL_DECIDED))
    assert (answer, sandbox.jobs.calls) == (KEPT, [])
    assert [line["code"] for line in told(out)] == ["MAIL_DECIDED"]


def test_the_step_gets_the_job_of_the_message(sandbox):
    seen = []
    call(lambda job, ports: seen.append((job, ports)) or Outcome(Log.MAIL_DECIDED))
    assert seen == [(Job(MAIL), sandbox)]


@pytest.mark.parametrize("body", ["", "null", "[]", '"texte"', "{}", '{"v":1,"mail":"x"}', MARK])
def test_a_message_that_nobody_can_read_is_consumed_after_its_copy_went_to_the_dead_letters(
    sandbox, body
):
    answer, out = call(raising(AssertionError), body=body)
    assert answer == KEPT
    assert sandbox.jobs.calls == [("dead_letter", Step.MATCH, body, Reason.JOB_UNREADABLE)]
    assert MARK not in out.getvalue()


@pytest.mark.parametrize("family", [Unavailable, Refused, OutcomeUnknown])
@pytest.mark.parametrize(("received", "seconds"), [(1, 100), (2, 1000), (3, 4000), (39, 4000)])
def test_what_may_succeed_later_comes_back_after_a_growing_pause(
    sandbox, family, received, seconds
):
    answer, _ = call(raising(family(Reason.DPI_UNAVAILABLE)), received=received)
    assert answer == BACK
    assert sandbox.jobs.calls == [("postpone", "pfi-match", "r1", seconds)]


def test_what_an_operator_must_repair_comes_back_after_the_longest_pause(sandbox):
    answer, _ = call(raising(Misconfigured(Reason.CERTIFICATE)))
    assert answer == BACK
    assert sandbox.jobs.calls == [("postpone", "pfi-match", "r1", 4000)]


def test_a_pause_has_a_jitter_and_never_exceeds_what_sqs_allows(sandbox, monkeypatch):
    asked = []
    monkeypatch.setattr("random.uniform", lambda low, high: asked.append((low, high)) or 99.0)
    call(raising(Unavailable(Reason.DPI_UNAVAILABLE)), received=3)
    assert asked == [(0.75, 1.25)]
    assert sandbox.jobs.calls[0][3] == 43_200


def test_without_settings_the_pause_is_a_minute(sandbox):
    sandbox.given = Misconfigured(Reason.SETTING_MISSING)
    answer, _ = call(raising(Unavailable(Reason.STORE_UNAVAILABLE)))
    assert (answer, sandbox.jobs.calls[0][3]) == (BACK, 60)


@pytest.mark.parametrize("received", [1, 2])
def test_an_unexpected_error_comes_back_a_few_times(sandbox, received):
    answer, _ = call(raising(ValueError(MARK)), received=received)
    assert (answer, sandbox.jobs.calls) == (BACK, [])


@pytest.mark.parametrize("received", [3, 4])
def test_and_then_it_is_a_dead_letter_and_consumed(sandbox, received):
    answer, _ = call(raising(ValueError(MARK)), received=received)
    assert answer == KEPT
    assert sandbox.jobs.calls == [("dead_letter", Step.MATCH, BODY, Reason.UNEXPECTED)]


def test_how_often_is_a_setting(sandbox):
    sandbox.attempts(1)
    assert call(raising(KeyError(MARK)))[0] == KEPT
    assert sandbox.jobs.kinds == ["dead_letter"]


def test_broken_settings_do_not_break_the_wrapper(sandbox):
    sandbox.given = ValueError(MARK)
    answer, out = call(raising(ValueError(MARK)), received=2)
    assert answer == BACK
    answer, _ = call(raising(ValueError(MARK)), received=3)
    assert answer == KEPT
    assert MARK not in out.getvalue()


def test_a_dead_letter_that_cannot_be_sent_keeps_its_message(sandbox):
    """Never silent: consumed only after the copy is safe."""
    sandbox.jobs.fault = Unavailable(Reason.STORE_UNAVAILABLE)
    assert call(raising(ValueError(MARK)), received=9)[0] == BACK
    assert call(raising(AssertionError), body="illisible")[0] == BACK


def test_one_bad_message_of_a_batch_leaves_the_others_alone(sandbox):
    def run(job, _ports):
        if job.document == 2:
            raise Unavailable(Reason.DPI_UNAVAILABLE)
        return Outcome(Log.MAIL_DECIDED)

    records = [
        {**message(Job(MAIL, number).dump()), "messageId": f"m{number}"} for number in (1, 2, 3)
    ]
    handler = lambdas.job_function(Step.MATCH, run)
    answer = handler({"Records": records}, Context())
    assert answer == {"batchItemFailures": [{"itemIdentifier": "m2"}]}


def test_a_dead_letter_that_review_cannot_handle_stays_in_its_queue(sandbox):
    handler = lambdas.review_function(raising(ValueError(MARK)))
    out = listen(Step.REVIEW)
    event = {"Records": [message(BODY, received=50, queue="pfi-match-dlq")]}
    assert handler(event, Context()) == BACK
    assert sandbox.jobs.calls == []
    assert MARK not in out.getvalue()


# nothing of an error's text gets out


@pytest.mark.parametrize("family", FAMILIES)
def test_a_foreseen_error_is_told_by_its_code_only(sandbox, family, capsys):
    error = family(Reason.STORE_UNAVAILABLE, code=MARK)
    error.__cause__ = ValueError(MARK)
    _, out = call(raising(error))
    [line] = told(out)
    assert (line["code"], line["reason"]) == ("JOB_RETRIED", "PFI-EDGE-04")
    assert str(error) == "PFI-EDGE-04"
    assert MARK not in out.getvalue() + "".join(capsys.readouterr())


@pytest.mark.parametrize("code", ["550", "207"])
def test_the_code_of_a_peer_is_told_when_it_is_one(sandbox, code):
    _, out = call(raising(Refused(Reason.RELAY_REFUSED, code=code)))
    assert told(out)[0]["peer_code"] == code


@pytest.mark.parametrize("kind", [ValueError, KeyError, OSError, UnicodeError, RuntimeError])
def test_an_unexpected_error_is_told_by_its_type_and_frames(sandbox, kind, capsys):
    def step(_job, _ports):
        patient = f"{MARK} 1985"
        raise kind(patient)

    _, out = call(step)
    [line] = told(out)
    assert (line["code"], line["error"]) == ("JOB_FAILED", kind.__name__)
    assert line["frames"][-1].startswith("test_wrapper:")
    assert line["frames"][-1].endswith(" step")
    assert MARK not in out.getvalue() + "".join(capsys.readouterr())


@pytest.mark.parametrize("missing", ["body", "attributes", "eventSourceARN", "messageAttributes"])
def test_a_record_that_is_no_message_of_sqs_comes_back_alone(sandbox, missing):
    """Nothing of a batch may escape as an error: Lambda would bring all of it back."""
    odd = {name: value for name, value in message(BODY).items() if name != missing}
    records = [{**odd, "messageId": "odd"}, message(BODY)]
    seen = []
    handler = lambdas.job_function(
        Step.MATCH, lambda job, _ports: seen.append(job) or Outcome(Log.MAIL_DECIDED)
    )
    answer = handler({"Records": records}, Context())
    assert answer == {"batchItemFailures": [{"itemIdentifier": "odd"}]}
    assert seen == [Job(MAIL)]


def test_when_no_message_of_a_batch_is_done_each_is_told_and_no_error_escapes(sandbox):
    records = [{**message(BODY), "messageId": name} for name in ("a", "b")]
    handler = lambdas.job_function(Step.MATCH, raising(Unavailable(Reason.DPI_UNAVAILABLE)))
    answer = handler({"Records": records}, Context())
    assert answer == {"batchItemFailures": [{"itemIdentifier": "a"}, {"itemIdentifier": "b"}]}


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_the_end_of_the_sandbox_is_no_error_of_a_message(sandbox, stop):
    with pytest.raises(stop):
        call(raising(stop()))


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_is_a_pfi_error_that_quotes_nothing(family):
    error = family(Reason.OTHER, code=MARK)
    assert isinstance(error, PfiError)
    assert (str(error), repr(error.args)) == ("906", "('906',)")


# arrivals


def test_an_arrival_is_parsed_for_its_mailbox(sandbox):
    seen = []
    handler = lambdas.arrival_function(
        Step.PARSE, lambda found, _ports: seen.append(found) or Outcome(Log.MAIL_READ)
    )
    body = arrival("incoming/a/1.eml", "incoming/b/2.eml")
    assert handler({"Records": [message(body, queue="pfi-parse")]}, Context()) == KEPT
    assert [(each.key, each.mailbox) for each in seen] == [
        ("incoming/a/1.eml", "a"),
        ("incoming/b/2.eml", "b"),
    ]


def test_an_event_about_nothing_is_told_and_consumed(sandbox):
    handler = lambdas.arrival_function(Step.PARSE, raising(AssertionError))
    out = listen(Step.PARSE)
    body = json.dumps({"Service": "Amazon S3", "Event": "s3:TestEvent"})
    assert handler({"Records": [message(body, queue="pfi-parse")]}, Context()) == KEPT
    assert [line["code"] for line in told(out)] == ["EVENT_IGNORED"]


@pytest.mark.parametrize("done", [True, False])
def test_a_file_that_is_not_done_goes_on_as_a_new_message(sandbox, done):
    body = arrival("imports/ch/a+b.csv")
    seen = []

    def run(key, _):
        seen.append(key)
        return Outcome(Log.FILE_GOES_ON), done

    handler = lambdas.file_function(Step.LOAD, run)
    out = listen(Step.LOAD)
    assert handler({"Records": [message(body, queue="pfi-load")]}, Context()) == KEPT
    assert seen == ["imports/ch/a b.csv"]
    assert sandbox.jobs.calls == ([] if done else [("again", Step.LOAD, body)])
    assert [line["code"] for line in told(out)] == ["FILE_GOES_ON"]
