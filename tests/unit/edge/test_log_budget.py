"""What one mail on the straight path costs in CloudWatch Logs: the real handlers with the real
telemetry, over the ports in memory.

A line is one line of the catalogue (`pfi.journey.outcome.Log`); the lines of metrics (EMF) are
counted apart, and in the bytes. The polls that find nothing are no mail's, nor are the three lines
that Lambda itself writes for each invocation, of a batch of mails.
"""

import json
from collections import Counter
from dataclasses import replace
from importlib import import_module

import pytest

from pfi.adapters.csv_patients import ListedPatients
from pfi.edge import lambdas
from pfi.journey.jobs import Job
from pfi.journey.outcome import Metric
from pfi.names import Step
from tests.data.builders import EVERYBODY, LEA, document, mail, xdm_zip
from tests.doubles.drive import HOSPITAL
from tests.doubles.memory import MemoryPorts
from tests.unit.edge.records import Context, arrival, listen, message

LINES_PER_STEP = 1
BYTES_PER_MAIL = 3000
LONG = "groupement-hospitalier-du-pays-du-nord"
"""An id as long as a hospital may think of: it is repeated in lines and dimensions."""
STRAIGHT = (Step.COLLECT, Step.PARSE, Step.MATCH, Step.PUSH, Step.FORWARD)


def hospital():
    boxes = tuple(replace(each, establishment=LONG, dpi=LONG) for each in HOSPITAL.mailboxes)
    dpis = tuple(replace(each, id=LONG) for each in HOSPITAL.dpis)
    return replace(HOSPITAL, mailboxes=boxes, dpis=dpis)


class Hospital:
    """The functions of the stack over the ports in memory; each step with all that it wrote."""

    def __init__(self, monkeypatch, capfd):
        self.ports = MemoryPorts(hospital(), ListedPatients(tuple(p.record for p in EVERYBODY)))
        self._capfd = capfd
        monkeypatch.setattr(lambdas, "services", lambda: self.ports)

    def run(self, step, body=""):
        handler = import_module(f"functions.{step.value}.handler").handler
        self._capfd.readouterr()
        log = listen(step)
        answer = handler({"Records": [message(body, queue=f"pfi-{step.value}")]}, Context())
        assert answer in (None, {"batchItemFailures": []})
        return (log.getvalue() + self._capfd.readouterr().out).splitlines()

    def carry(self, raw):
        """One mail from its mailbox to its end; the lines of each step."""
        empty = self.run(Step.COLLECT)
        self.ports.inbox.deliver(raw)
        lines = {Step.COLLECT: beyond(empty, self.run(Step.COLLECT))}
        [key] = self.ports.store.arrivals
        lines[Step.PARSE] = self.run(Step.PARSE, arrival(key))
        for step in (Step.MATCH, Step.PUSH, Step.FORWARD):
            jobs = self.ports.jobs.queues[step] or [Job(key.rpartition("/")[2][:-4])]
            lines[step] = self.run(step, jobs.pop().dump())
        return lines


def beyond(empty, found):
    """The lines of a poll that one which finds nothing does not write."""
    kinds = Counter(kind(line) for line in empty)
    return [line for line in found if not (kinds[kind(line)] or kinds.subtract([kind(line)]))]


def kind(line):
    """Its code, or the metrics that it carries."""
    told = json.loads(line)
    return told.get("code") or str(sorted(set(told) & set(Metric)))


@pytest.fixture
def lines(monkeypatch, capfd):
    return Hospital(monkeypatch, capfd).carry(mail(xdm_zip([document(LEA)])))


def test_a_step_writes_one_line_about_a_mail(lines):
    told = {
        step: [each["code"] for each in map(json.loads, found) if "code" in each]
        for step, found in lines.items()
    }
    assert told == {
        Step.COLLECT: ["MAIL_COLLECTED"],
        Step.PARSE: ["MAIL_READ"],
        Step.MATCH: ["MAIL_DECIDED"],
        Step.PUSH: ["DOCUMENT_INTEGRATED"],
        Step.FORWARD: ["MAIL_SETTLED"],
    }
    assert {len(found) for found in told.values()} == {LINES_PER_STEP}


def test_a_mail_costs_three_kilobytes_of_log_metrics_included(lines):
    table = {
        step.value: [len(line.encode()) + 1 for line in found] for step, found in lines.items()
    }
    assert sum(map(sum, table.values())) <= BYTES_PER_MAIL, table


def test_no_line_bears_what_every_line_bears(lines):
    """`location` would always be the module that writes; nobody keeps traces."""
    keys = [set(json.loads(line)) for found in lines.values() for line in found]
    assert not set().union(*keys) & {"location", "xray_trace_id", "function_name", "cold_start"}
