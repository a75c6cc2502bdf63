"""The canary: words that only the mails, the store and the two tables may hold (design §6.5).

Mails full of marks take every kind of route while someone watches the queues; then an error whose
text quotes a mark is provoked. No log, metric, queue, key or name may hold a mark afterwards.
"""

import json
import threading
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import pytest

from infra.cli.report import MailReport
from pfi.journey.jobs import Job
from pfi.journey.records import MailState
from tests.journeys.canary import KNOWN, MARK, NUMBERS, ROOT, canary, dress, flock
from tests.journeys.letters import fresh, letter
from tests.journeys.stage import QUEUED, Stage, eventually

WATCH_EVERY_S = 0.01


@dataclass
class Watcher:
    """Looks into all queues, hidden messages included, as often as it can."""

    stage: Stage
    seen: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    _end: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> "Watcher":
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._end.wait(WATCH_EVERY_S):
            for queue, messages in self.stage.messages().items():
                self.seen[queue] |= {json.dumps(each, ensure_ascii=False) for each in messages}


def marks_in(text: str) -> list[str]:
    """Marks that a text holds, whatever their case."""
    low = text.lower()
    return [mark for mark in (MARK, *NUMBERS) if mark.lower() in low]


@dataclass
class Watched:
    """What happened, and everything that lay in a queue meanwhile."""

    reports: list[MailReport]
    queued: dict[str, set[str]]
    dead: dict[str, list[dict[str, Any]]]


@pytest.fixture(scope="module")
def watched(stage):
    """Everything happens here, once."""
    root = f"{ROOT}.{fresh()}"
    refused, silent, rejected = (canary(KNOWN, document_id=f"{root}.{n}") for n in (1, 2, 3))
    rules = (
        {"document": refused.unique_id, "answer": "AE", "err5": "906", "text": "ZQXREFUS"},
        {"document": silent.unique_id, "answer": "DROP"},
        {"document": rejected.unique_id, "answer": "AR", "text": "ZQXREJET"},
    )
    with Watcher(stage) as watcher, stage.dpi_plays(*rules):
        reports = stage.process(*flock(), letter(refused, **dress()))
        reports += stage.process(letter(canary(KNOWN), **dress(mdn=False)), mailbox="direct")
        [broken] = stage.process(letter(canary(KNOWN), **dress(mdn=False)))
        with stage.review_paused():
            break_dossier(stage, broken.mail)
            stage.put(letter(rejected, **dress()), mailbox="prudent")
            reports += stage.process(letter(silent, **dress()), mailbox="prudent")
            reports += stage.process(letter(canary(KNOWN), **dress(sender="zqx@zqx.example")))
            assert eventually(lambda: all(stage.depths().values()))
            dead = {step: stage.dead_letters(step) for step in QUEUED}
        assert stage.at_rest()
        assert stage.reviews(broken.mail) == [("match", "PFI-EDGE-09")]
    return Watched(reports, watcher.seen, dead)


def break_dossier(stage: Stage, mail: str) -> None:
    """A validation error that quotes marks, in the middle of `match`."""
    known = stage.ledger.mail(mail)
    assert stage.ledger.save_mail(known, state=MailState.READ, route=None)
    broken = json.dumps({"facts": {"subject": ["ZQXOBJET"]}, "ZQXCHAMP": "ZQXVALEUR"})
    stage.drop(known.record.dossier_key, broken.encode())
    stage.send("Match", Job(mail).dump())


def test_the_canary_went_every_way(watched):
    reports = watched.reports
    assert {each.route for each in reports} == {"integrated", "forwarded", "review"}
    reasons = {each.reason for each in reports}
    wanted = {"902", "904", "906", "PFI-ID-01", "PFI-CDA-01", "PFI-CDA-02", "PFI-XDM-01"}
    assert wanted | {"PFI-XDM-02", "PFI-XDM-03", "PFI-XDM-08", "PFI-DPI-03"} <= reasons


def test_the_marks_can_be_seen_where_they_may_be(stage, watched):
    """Else the other tests would prove nothing: store, ledger and patient base hold them."""
    bodies = stage.objects()
    assert any(MARK in raw.decode("latin-1").lower() for raw in bodies.values())
    held = [json.dumps(item, ensure_ascii=False) for item in stage.table_items()]
    assert sum(bool(marks_in(item)) for item in held) > 5


def test_no_log_line_holds_a_mark(stage, watched):
    lines = stage.log_lines()
    assert len(lines) > 100
    assert [line for line in lines if marks_in(line)] == []


def test_an_unexpected_error_is_told_by_type_and_frames_only(stage, watched):
    failed = [told for told in stage.told("JOB_FAILED") if told["error"] == "ValidationError"]
    assert failed
    assert all(told["frames"] and "message" in told for told in failed)


def test_no_message_in_a_queue_holds_a_mark(watched):
    ours = {f"pfi-{step.lower()}" for step in QUEUED} - {"pfi-push"} | {"pfi-push-dpi"}
    assert {queue for queue, messages in watched.queued.items() if messages} >= ours
    found = [each for messages in watched.queued.values() for each in messages]
    assert [each for each in found if marks_in(each)] == []


def test_no_dead_letter_holds_a_mark_in_its_body_or_attributes(watched):
    assert all(watched.dead[step] for step in QUEUED)
    letters = [each for step in QUEUED for each in watched.dead[step]]
    assert {"reason", "step"} <= {name for each in letters for name in each["MessageAttributes"]}
    assert [each for each in letters if marks_in(json.dumps(each, ensure_ascii=False))] == []


def test_no_key_of_the_store_holds_a_mark(stage, watched):
    assert [key for key in stage.objects() if marks_in(key)] == []


def test_no_key_of_a_table_holds_a_mark(stage, watched):
    keys = [
        value["S"]
        for item in stage.table_items()
        for name, value in item.items()
        if name in ("pk", "sk", "gsi1pk", "gsi1sk")
    ]
    assert len(keys) > 100
    assert [key for key in keys if marks_in(key)] == []


def test_no_metric_holds_a_mark(stage, watched):
    pages = stage.laptop.client("cloudwatch").get_paginator("list_metrics").paginate()
    metrics = [metric for page in pages for metric in page["Metrics"]]
    assert {each["Namespace"] for each in metrics} >= {"PFI"}
    assert [each for each in metrics if marks_in(json.dumps(each))] == []


def test_nothing_that_the_emulator_wrote_on_its_console_holds_a_mark(stage, watched):
    text = stage.laptop.emulator.log.read_text(errors="replace")
    assert marks_in(text) == []


def test_no_review_item_holds_a_mark(stage, watched):
    items = [
        json.dumps(item) for item in stage.table_items() if item["pk"]["S"].startswith("REVIEW#")
    ]
    assert len(items) > 3
    assert [item for item in items if marks_in(item)] == []


def test_no_alarm_holds_a_mark(stage, watched):
    given = stage.laptop.client("sqs").receive_message(
        QueueUrl=stage.alarm_queue, MaxNumberOfMessages=10, VisibilityTimeout=0
    )
    assert [each for each in given.get("Messages", ()) if marks_in(json.dumps(each))] == []
