"""The hourly account: which part it takes, and what it says when its time does not suffice."""

import hashlib
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from pfi.edge import prove
from pfi.edge.prove import PER_RUN, SLICES, Audit, Wanted, due
from pfi.journey.outcome import Log, Metric, Outcome
from pfi.journey.parse import Arrival, parse
from pfi.journey.records import MailRecord, MailState
from pfi.names import Integration, Step
from tests.data.builders import LEA, document, mail, xdm_zip
from tests.doubles.drive import Drive
from tests.unit.journey.bodies import (
    as_of_version_0_2,
    in_a_second_mailbox,
    objects,
    remove,
    sent_with_two,
)

NOON = datetime(2026, 5, 14, 12, tzinfo=UTC)


@dataclass
class Told:
    outcomes: list[Outcome] = field(default_factory=list)

    def emit(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)


@dataclass
class Installation:
    """The doubles of a hospital, as the function sees it: listings, depths, the index."""

    drive: Drive
    later: timedelta = timedelta(hours=1)
    depths: dict[str, int] = field(default_factory=dict)
    """Messages, by queue."""

    @property
    def ports(self) -> SimpleNamespace:
        store, table = self.drive.ports.store, self.drive.ports.table

        def listed(prefix: str) -> list[tuple[str, datetime]]:
            keys = {*store.objects, *store.dossiers}
            return [(key, self.drive.clock()) for key in keys if key.startswith(prefix)]

        def indexed(pk: str) -> list[object]:
            rows = [row for row in table.rows.values() if row.sk == "MAIL"]
            opened = [r for r in rows if r.data["state"] != "settled"]
            return [r for r in opened if pk == f"MAIL#open#{r.data['mail'][0]}"]

        return SimpleNamespace(
            settings=self.drive.ports.settings,
            now=lambda: self.drive.clock() + self.later,
            names=SimpleNamespace(
                mail_days=30,
                queues={Step.MATCH: "match", Step.PUSH: "push"},
                dead_letters={Step.MATCH: "match-dlq", Step.PUSH: "push-dlq"},
                lanes={"dpi": "push-dpi", "other": "push-other"},
            ),
            store=SimpleNamespace(listed=listed),
            table=SimpleNamespace(
                get=table.get, partition=table.partition, write=table.write, indexed=indexed
            ),
            jobs=SimpleNamespace(depth=lambda url: self.depths.get(url, 0)),
        )

    def audit(self, wanted: Wanted | None = None, left_s: float = 600) -> list[Outcome]:
        told = Told()
        every = [f"{number:02x}" for number in range(SLICES)]
        wanted = wanted or Wanted(every, timedelta(minutes=15))
        Audit(self.ports, told, lambda: left_s, wanted).run()  # type: ignore[arg-type]  # doubles
        return told.outcomes


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch):
    monkeypatch.setattr(prove, "sleep", lambda _: None)


@pytest.fixture
def hospital():
    drive = Drive()
    entries = [document(LEA, document_id=f"2.25.72.{n}.1", set_id=f"2.25.72.{n}") for n in (1, 2)]
    drive.process(*(mail(xdm_zip([e]), message_id=f"<{e.unique_id}@l.fr>") for e in entries))
    return Installation(drive)


def mails_of(drive: Drive) -> list[MailRecord]:
    return [drive.mail(p.removeprefix("MAIL#")) for p, s in drive.ports.table.rows if s == "MAIL"]


def test_a_day_of_runs_takes_every_slice_and_each_day_begins_elsewhere():
    day = [digits for hour in range(24) for digits in due(NOON + timedelta(hours=hour))]
    assert set(day) == {f"{number:02x}" for number in range(SLICES)}
    assert len(due(NOON)) == PER_RUN
    assert due(NOON) != due(NOON + timedelta(days=1))


def test_an_account_that_closes_is_told_with_its_counts(hospital):
    [end] = hospital.audit()
    assert end.log is Log.ACCOUNT_PROVEN
    assert (end.facts["mails"], end.facts["faults"], end.facts["unproven"]) == (2, 0, 0)
    assert end.counts == {Metric.MAILS_UNACCOUNTED: 0.0, Metric.SLICES_UNPROVEN: 0.0}


@pytest.mark.parametrize(
    ("what", "doubt"),
    [
        ("incoming/", "body_missing"),
        ("dossier.json", "dossier_missing"),
        ("0001.xml", "content_missing"),
    ],
)
def test_a_body_that_is_gone_is_named_and_counted(hospital, what, doubt):
    hospital.drive.process(sent_with_two())
    gone = next(key for key in sorted(objects(hospital.drive), reverse=True) if what in key)
    remove(hospital.drive, gone)
    fault, end = hospital.audit()
    assert (fault.log, fault.facts["doubt"]) == (Log.MAIL_UNACCOUNTED, doubt)
    assert fault.facts["mail"].value in gone
    assert end.counts[Metric.MAILS_UNACCOUNTED] == 1


def test_what_version_0_2_stored_is_looked_for_where_it_is(hospital):
    """Under the digest of the mail, which is not that of its bytes in a second mailbox."""
    drive = hospital.drive
    first, second = mails_of(drive)[0], in_a_second_mailbox(drive, mails_of(drive)[0])
    for each in (first, second):
        as_of_version_0_2(drive, each)
    [end] = hospital.audit()
    assert end.log is Log.ACCOUNT_PROVEN
    remove(drive, f"documents/{second.mail}/0001.xml")
    fault, _ = hospital.audit()
    told = (fault.facts["mail"].value, fault.facts["doubt"])
    assert told == (second.mail, "content_missing")


def test_a_mail_row_that_is_gone_is_named(hospital):
    rows = hospital.drive.ports.table.rows
    lost = mails_of(hospital.drive)[0].mail
    del rows[f"MAIL#{lost}", "MAIL"]
    fault, _ = hospital.audit()
    assert (fault.facts["mail"].value, fault.facts["doubt"]) == (lost, "mail_missing")


def test_a_mail_without_a_job_is_stuck_until_one_is_in_the_queue(hospital):
    record = put_back(hospital, MailState.READ)
    fault, _ = hospital.audit()
    assert (fault.facts["mail"].value, fault.facts["doubt"]) == (record.mail, "stuck")
    hospital.depths["match"] = 1
    [end] = hospital.audit()
    assert end.log is Log.ACCOUNT_PROVEN


def put_back(hospital: Installation, state: MailState, **changes: object) -> MailRecord:
    """The first mail is under way again, and no job is about it."""
    ledger, record = hospital.drive.ledger, mails_of(hospital.drive)[0]
    lost = replace(record, state=state, route=None, **changes)
    assert ledger.write(ledger.mail_put(lost, ledger.mail(record.mail).revision))
    return record


@pytest.mark.parametrize("queue", ["push", "push-dpi", "push-other", "push-dlq", "match-dlq"])
def test_a_job_may_be_in_a_lane_or_among_the_dead_letters(hospital, queue):
    put_back(hospital, MailState.DECIDED)
    hospital.depths[queue] = 1
    [end] = hospital.audit()
    assert end.log is Log.ACCOUNT_PROVEN


def test_a_mail_of_two_documents_needs_two_jobs(hospital):
    record = put_back(hospital, MailState.DECIDED, documents=2)
    ledger = hospital.drive.ledger
    [known] = ledger.documents(record.mail)
    waiting = replace(known.record, integration=Integration.WAITING, decided_at=None)
    assert ledger.write(
        ledger.document_put(waiting, known.revision),
        ledger.document_put(replace(waiting, number=2), None),
    )
    hospital.depths["push-dpi"] = 1
    assert "stuck" in doubts(hospital)
    hospital.depths["push-dpi"] = 2
    assert "stuck" not in doubts(hospital)


def doubts(hospital: Installation) -> set[object]:
    return {each.facts["doubt"] for each in hospital.audit()[:-1]}


def test_no_queue_explains_a_mail_for_longer_than_the_settings_make_it_wait(hospital):
    """No grace of the base, and two days."""
    put_back(hospital, MailState.READ)
    hospital.depths["match"] = 9
    hospital.later = timedelta(days=2, hours=-1)
    assert doubts(hospital) == set()
    hospital.later = timedelta(days=2, minutes=20)
    assert doubts(hospital) == {"stuck"}


@pytest.mark.parametrize("most", [1, 2, 100])
def test_more_faults_than_can_be_looked_at_twice_are_told_all_the_same(hospital, monkeypatch, most):
    monkeypatch.setattr(prove, "MOST_AGAIN", most)
    drive = hospital.drive
    drive.process(*(sent_with_two(number) for number in (7, 8)))
    remove(drive, *(key for key in objects(drive) if "dossier.json" not in key))
    *faults, end = hospital.audit()
    assert end.counts[Metric.MAILS_UNACCOUNTED] == len(faults) == 8
    assert {each.log for each in faults} == {Log.MAIL_UNACCOUNTED}


def test_what_a_second_look_does_not_find_is_no_fault(hospital, monkeypatch):
    store = hospital.drive.ports.store
    [body] = [key for key in store.objects if mails_of(hospital.drive)[0].key == key]
    gone = store.objects.pop(body)
    monkeypatch.setattr(prove, "sleep", lambda _: store.objects.update({body: gone}))
    [end] = hospital.audit()
    assert end.counts[Metric.MAILS_UNACCOUNTED] == 0


def test_the_same_bytes_in_a_second_mailbox_are_a_mail_of_their_own(hospital):
    """Its name is not that of its bytes, under which they lie."""
    drive = hospital.drive
    first = mails_of(drive)[0]
    second = in_a_second_mailbox(drive, first)
    assert second.mail != first.mail
    assert (doubts(hospital), hospital.audit()[-1].facts["mails"]) == (set(), 3)
    remove(drive, second.dossier)
    assert {each.facts["mail"].value for each in hospital.audit()[:-1]} == {second.mail}
    del drive.ports.table.rows[f"MAIL#{second.mail}", "MAIL"]
    assert {each.facts["mail"].value for each in hospital.audit()[:-1]} == {second.mail}


def test_a_dossier_whose_body_has_another_name_is_that_of_a_mail_all_the_same(hospital):
    """Another producer named the mail: only the dossier bears the digest of the bytes."""
    drive, raw = hospital.drive, sent_with_two()
    drive.ports.store.objects["incoming/app/depot.eml"] = raw
    parse(Arrival("incoming/app/depot.eml", "app"), drive.ports)
    drive.work()
    record = drive.mail(hashlib.sha256(raw).hexdigest())
    assert (doubts(hospital), hospital.audit()[-1].facts["mails"]) == (set(), 3)
    remove(drive, "incoming/app/depot.eml")
    fault, _ = hospital.audit()
    assert (fault.facts["mail"].value, fault.facts["doubt"]) == (record.mail, "body_missing")
    del drive.ports.table.rows[f"MAIL#{record.mail}", "MAIL"]
    fault, _ = hospital.audit()
    assert (fault.facts["mail"].value, fault.facts["doubt"]) == (record.mail, "mail_missing")


def test_what_the_time_did_not_suffice_for_is_said_and_never_taken_for_proven(hospital):
    [end] = hospital.audit(left_s=0)
    assert end.log is Log.ACCOUNT_PARTIAL
    assert end.counts == {Metric.MAILS_UNACCOUNTED: 0.0, Metric.SLICES_UNPROVEN: float(SLICES)}


def test_mails_beyond_the_window_are_left_to_the_command(hospital):
    hospital.later = timedelta(days=8)
    [end] = hospital.audit()
    assert end.facts["mails"] == 0


def test_a_folder_of_a_strange_name_is_told_by_a_digest(hospital):
    hospital.drive.ports.store.objects["documents/abMARTIN/0001.xml"] = b""
    fault, _ = hospital.audit()
    assert "MARTIN" not in str(fault)
    assert len(fault.facts["mail"].value) == 64


def test_a_person_may_ask_for_slices_and_a_shorter_grace():
    assert Wanted.of({}) == Wanted([], timedelta(minutes=15))
    assert Wanted.of({"slices": ["0a", "x", "abc"], "grace_s": 0}) == Wanted(["0a"], timedelta(0))
