"""One line per outcome, one EMF line per metric, closed fields only."""

import json

import pytest

from pfi.edge.telemetry import NAMESPACE, Telemetry, frames
from pfi.errors import Misconfigured, Unavailable
from pfi.journey.outcome import Code, Configured, Digest, Log, Metric, Outcome
from pfi.names import Reason, Route, SenderClass, Step
from tests.unit.edge.records import listen, told

MAIL = Digest("ab" * 32)


def emitted(outcome, capsys, step=Step.PUSH, **more):
    """Log lines and EMF lines of one outcome."""
    telemetry = Telemetry(step)
    out = listen(step)
    telemetry.emit(outcome, **more)
    return told(out), [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_line_has_the_code_and_sentence_of_the_catalogue_and_the_facts(capsys):
    facts = {"mail": MAIL, "reason": Reason.NO_XDM, "documents": 2, "late": False, "none": None}
    [line], metrics = emitted(Outcome(Log.MAIL_NOT_READ, facts), capsys)
    assert (line["code"], line["message"]) == ("MAIL_NOT_READ", Log.MAIL_NOT_READ.sentence)
    assert (line["level"], line["service"]) == ("INFO", "push")
    assert (line["mail"], line["reason"], line["documents"]) == (MAIL.value, "PFI-XDM-01", 2)
    assert metrics == []


@pytest.mark.parametrize("log", list(Log))
def test_every_line_of_the_catalogue_can_be_written_at_its_level(log, capsys):
    [line], _ = emitted(Outcome(log), capsys)
    assert (line["level"], line["code"]) == (log.level, log.name)
    assert log.level in {"INFO", "WARNING", "ERROR"}


SPLIT = {
    Metric.MAILS_SETTLED: [["route"], ["route", "reason"]],
    Metric.INTEGRATED_SHARE: [["establishment"], ["sender"]],
    Metric.DOCUMENTS_REFUSED: [["dpi"]],
    Metric.DPI_ROUND_TRIP_MS: [["dpi"]],
}
EVERY = {
    "route": Route.FORWARDED,
    "reason": Reason.UNKNOWN_PATIENT,
    "establishment": Configured("ch-a"),
    "sender": SenderClass.LABORATORY,
    "dpi": Configured("dpi-ch"),
}


@pytest.mark.parametrize("metric", [each for each in Metric if each not in SPLIT])
def test_a_metric_is_one_emf_line_and_no_service_is_a_dimension(metric, capsys):
    """Powertools adds `service` by itself; an alarm on the plain metric would never ring."""
    facts = {"mail": MAIL, "step": Step.PUSH}
    _, [line] = emitted(Outcome(Log.MAIL_READ, facts, {metric: 3}), capsys)
    [directive] = line["_aws"]["CloudWatchMetrics"]
    assert directive["Namespace"] == NAMESPACE
    [dimensions] = directive["Dimensions"]
    assert set(dimensions) <= {"step"}
    assert [each["Name"] for each in directive["Metrics"]] == [metric.value]
    assert line[metric.value] == [3.0]
    assert set(line) == {"_aws", metric.value, *dimensions}


@pytest.mark.parametrize("metric", SPLIT)
def test_a_metric_is_split_by_its_closed_facts_once_per_set(metric, capsys):
    facts = {"mail": MAIL, **EVERY}
    [told_of], lines = emitted(Outcome(Log.MAIL_SETTLED, facts, {metric: 1}), capsys)
    assert [sets(line) for line in lines] == SPLIT[metric]
    for line in lines:
        assert all(line[name] == told_of[name] for name in sets(line))


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (Misconfigured(Reason.CERTIFICATE), {"StepErrors", "Misconfigured"}),
        (Unavailable(Reason.DPI_UNAVAILABLE), {"StepErrors"}),
    ],
)
def test_what_an_operator_must_mend_is_counted_apart(error, told, capsys):
    Telemetry(Step.PUSH).failed(error)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    counted = [line["_aws"]["CloudWatchMetrics"][0] for line in lines if "_aws" in line]
    assert {each["Metrics"][0]["Name"] for each in counted} == told


def sets(line):
    [names] = line["_aws"]["CloudWatchMetrics"][0]["Dimensions"]
    return names


def test_a_mail_without_reason_is_counted_by_route_only(capsys):
    facts = {"mail": MAIL, "route": Route.INTEGRATED, "reason": None}
    _, [line] = emitted(Outcome(Log.MAIL_SETTLED, facts, {Metric.MAILS_SETTLED: 1}), capsys)
    assert sets(line) == ["route"]
    assert line["route"] == "integrated"


@pytest.mark.parametrize(
    ("metric", "unit"),
    [
        (Metric.DPI_ROUND_TRIP_MS, "Milliseconds"),
        (Metric.ARRIVAL_TO_ACK_MS, "Milliseconds"),
        (Metric.POLL_AGE_SECONDS, "Seconds"),
        (Metric.REVIEW_ENTRIES, "Count"),
    ],
)
def test_a_metric_has_its_unit(metric, unit, capsys):
    _, [line] = emitted(Outcome(Log.MAIL_READ, EVERY, {metric: 1}), capsys)
    [directive] = line["_aws"]["CloudWatchMetrics"]
    assert directive["Metrics"] == [{"Name": metric.value, "Unit": unit}]


@pytest.mark.parametrize("fact", ["ZQXNOM", 1.5, ["x"], {"a": 1}, b"x", object()])
def test_a_free_text_cannot_get_into_a_line(fact, capsys):
    """The last line of defence: whatever mypy was told, such a fact is an error."""
    telemetry = Telemetry(Step.PUSH)
    out = listen(Step.PUSH)
    with pytest.raises((AttributeError, TypeError)):
        telemetry.emit(Outcome(Log.MAIL_READ, {"nom": fact}))
    assert out.getvalue() + capsys.readouterr().out == ""


@pytest.mark.parametrize("text", ["", "ZQXNOM", "AB" * 8, "ab" * 33, "abc", "ab" * 8 + "g"])
def test_a_digest_is_hexadecimal_or_nothing(text):
    with pytest.raises(ValueError, match=r"^not a digest$"):
        Digest(text)


@pytest.mark.parametrize("text", ["", "ZQX", "1234567", "²", "1.2", "-1"])
def test_a_code_is_a_few_figures_or_nothing(text):
    with pytest.raises(ValueError, match=r"^not a code$"):
        Code(text)


def test_frames_hold_module_line_and_function_and_nothing_of_the_source():
    def deep(level):
        secret = "ZQXNOM"
        return deep(level - 1) if level else int(secret)

    with pytest.raises(ValueError, match="ZQXNOM") as error:
        deep(20)
    found = frames(error.value)
    assert len(found) == 8
    assert all(each.startswith("test_telemetry:") and each.endswith(" deep") for each in found)
