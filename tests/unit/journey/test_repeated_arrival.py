"""The same bytes arrive again, or the event about them does: what was decided stays decided."""

from dataclasses import replace

import pytest

from pfi.journey.jobs import Job
from pfi.journey.keys import digest
from pfi.journey.match import match
from pfi.journey.outcome import Log
from pfi.journey.parse import Arrival, parse
from pfi.journey.records import MailState
from pfi.names import Route, Step
from tests.data.builders import LEA, YANN, document, mail
from tests.doubles.drive import HOSPITAL, Drive, read_mail
from tests.unit.journey.test_one_transaction import OTHER, announced, seal_of
from tests.unit.journey.test_routes import letter

KEY = "incoming/app/{}.eml"


def test_a_repeated_arrival_of_a_decided_mail_changes_no_dossier_whatever_the_settings_are_now():
    drive = Drive()
    raw = letter(document(LEA), document(LEA, document_id="2.25.4.1"))
    work = announced(drive, raw)
    match(work, drive.ports)
    store = drive.ports.store
    dossiers, objects, stored_at = dict(store.dossiers), dict(store.objects), dict(store.stored_at)
    drive.clock.advance(60)
    drive.ports.settings = replace(HOSPITAL, limits=replace(HOSPITAL.limits, entries=1))
    drive.ports.jobs.queues[Step.PUSH].clear()
    outcome = parse(Arrival(f"incoming/app/{work.seal}.eml", "app"), drive.ports)
    assert outcome.log is Log.MAIL_REPEATED
    assert (store.dossiers, store.objects, store.stored_at) == (dossiers, objects, stored_at)
    assert store.read == []
    assert len(drive.ports.jobs.queues[Step.PUSH]) == 2


def test_a_repeated_arrival_of_a_mail_that_nobody_decided_is_read_and_announced_again():
    """The event of its dossier may be lost, or what was read wrong."""
    drive = Drive()
    drive.ports.settings = replace(HOSPITAL, limits=replace(HOSPITAL.limits, entries=1))
    work = announced(drive, letter(document(LEA), document(LEA, document_id="2.25.4.1")))
    assert drive.ports.store.dossiers[work.key].reason is not None
    drive.ports.settings = HOSPITAL
    parse(Arrival(f"incoming/app/{work.seal}.eml", "app"), drive.ports)
    assert drive.ports.store.read == [work.key]
    drive.work()
    assert drive.mail(work.seal).route is Route.INTEGRATED


def test_a_repeated_arrival_of_a_mail_that_no_row_knows_yet_is_announced_again():
    drive = Drive()
    raw = letter(document(LEA))
    drive.ports.store.put_mail("app", seal_of(raw), raw)
    drive.arrive()
    drive.ports.store.read.clear()
    drive.ports.store.put_mail("app", seal_of(raw), raw)
    drive.arrive()
    assert [read_mail(key).seal for key in drive.ports.store.read] == [seal_of(raw)]


def test_a_repeated_arrival_of_a_mail_that_waits_for_the_feed_decides_nothing_and_lets_it_wait():
    settings = replace(HOSPITAL, match=replace(HOSPITAL.match, grace_s=3600))
    drive = Drive(settings, patients=(YANN.record,))
    work = announced(drive, letter(document(LEA)))
    match(work, drive.ports)
    drive.ports.jobs.queues[Step.MATCH].clear()
    outcome = parse(Arrival(f"incoming/app/{work.seal}.eml", "app"), drive.ports)
    assert (outcome.log, drive.mail(work.seal).state) == (Log.MAIL_REPEATED, MailState.READ)
    assert list(drive.ports.jobs.queues[Step.MATCH]) == [Job(work.seal)]


def test_a_dossier_announced_twice_decides_a_waiting_mail_once_its_patient_came():
    settings = replace(HOSPITAL, match=replace(HOSPITAL.match, grace_s=3600))
    drive = Drive(settings, patients=())
    work = announced(drive, letter(document(LEA)))
    assert match(work, drive.ports).log is Log.MAIL_AWAITS_FEED
    drive.ports.patients = Drive().ports.patients
    assert match(work, drive.ports).log is Log.MAIL_DECIDED
    drive.work()
    assert drive.mail(work.seal).route is Route.INTEGRATED


def test_a_repeated_arrival_in_another_mailbox_is_that_of_its_own_mail():
    drive = Drive(replace(HOSPITAL, mailboxes=(*HOSPITAL.mailboxes, OTHER)))
    work = announced(drive, letter(document(LEA)))
    match(work, drive.ports)
    drive.ports.store.put_mail("other", work.seal, drive.ports.store.objects[KEY.format(work.seal)])
    drive.arrive()
    theirs = digest("mail", "other", work.seal)
    drive.ports.jobs.queues[Step.PUSH].clear()
    again = Arrival(f"incoming/other/{work.seal}.eml", "other")
    assert parse(again, drive.ports).log is Log.MAIL_READ, "ours is decided, theirs is not"
    drive.read()
    drive.ports.jobs.queues[Step.PUSH].clear()
    outcome = parse(again, drive.ports)
    assert (outcome.log, outcome.facts["mail"].value) == (Log.MAIL_REPEATED, theirs)
    assert list(drive.ports.jobs.queues[Step.PUSH]) == [Job(theirs, 1)]


STRANGE = letter(document(LEA), sender="x@pirate.example", return_path="x@pirate.example")
FILED = mail(None, headers=[("Auto-Submitted", "auto-replied")])


@pytest.mark.parametrize(
    ("raw", "route"), [(STRANGE, Route.REVIEW), (FILED, Route.FILED)], ids=["quarantined", "filed"]
)
def test_a_repeated_arrival_of_a_mail_that_ended_when_it_was_read_changes_nothing(raw, route):
    drive = Drive()
    [found] = drive.process(raw)
    assert found.route is route
    before = dict(drive.ports.table.rows)
    drive.clock.advance(60)
    outcome = parse(Arrival(found.key, "app"), drive.ports)
    assert outcome.log is Log.MAIL_REPEATED
    assert (drive.ports.jobs.review, drive.ports.table.rows) == ([], before)


def test_a_mail_that_ended_before_it_was_decided_is_not_decided_any_more():
    """Its sender is no longer trusted, or a person closed it, while its dossier was announced."""
    drive = Drive()
    work = announced(drive, letter(document(LEA)))
    drive.ports.settings = replace(HOSPITAL, trusted_suffixes=(".elsewhere.example",))
    arrival = Arrival(f"incoming/app/{work.seal}.eml", "app")
    assert parse(arrival, drive.ports).log is Log.MAIL_QUARANTINED
    drive.ports.settings = HOSPITAL
    before = dict(drive.ports.table.rows)
    assert match(work, drive.ports).log is Log.MAIL_REPEATED
    assert drive.ports.table.rows == before
    assert not drive.ports.jobs.queues[Step.PUSH]
