"""Bodies live until some days after the end of their mail: renewal by a virtual clock."""

from dataclasses import replace
from datetime import timedelta

import pytest

from pfi.errors import Unavailable
from pfi.journey.jobs import Job, ReadMail
from pfi.journey.keys import document_key
from pfi.journey.match import match
from pfi.journey.outcome import Log, Metric
from pfi.journey.records import MailRecord, MailState
from pfi.journey.retain import retain
from pfi.names import Reason, Route, Step
from tests.data.builders import LEA, document, mail, xdm_zip
from tests.doubles.drive import Drive
from tests.unit.journey.bodies import as_of_version_0_2, in_a_second_mailbox, remove

DAYS = 30
DAY_S = 86_400.0


class Installation:
    """A hospital whose store forgets: every day the renewal, then the lifecycle of the bucket."""

    def __init__(self):
        self.drive = Drive()
        self.store = self.drive.ports.store

    def receive(self, number=1, **options):
        name = f"2.25.72.{number}"
        entry = document(LEA, document_id=f"{name}.1", set_id=name)
        raw = mail(xdm_zip([entry]), message_id=f"<{number}@l.fr>", **options)
        return self.drive.process(raw)[0]

    def receive_for_review(self, number=1):
        return self.receive(number, sender="quelqu-un@example.org")

    def retain(self, days=DAYS):
        return list(retain(self.drive.ports, days))

    def days(self, count, days=DAYS):
        ends = []
        for _ in range(count):
            self.drive.clock.advance(DAY_S)
            ends.append(self.retain(days)[-1])
            self.store.expire(days)
        return ends

    def holds(self, record):
        return record.key in self.store.objects

    def set_status(self, record, status):
        """As `pfi review` does: out of the index unless it is open or half sent back."""
        table = self.drive.ports.table
        for row in table.partition(f"REVIEW#{record.mail}"):
            table.rows[row.pk, row.sk] = replace(row, data={**row.data, "status": status})
            if status not in ("open", "redriving"):
                table.places[row.pk, row.sk] = None


@pytest.fixture
def hospital():
    return Installation()


def read(hospital, documents=1):
    """A mail that was read, and that nobody matches."""
    names = [f"2.25.73.{number}" for number in range(documents)]
    entries = [document(LEA, document_id=f"{name}.1", set_id=name) for name in names]
    hospital.drive.ports.inbox.deliver(mail(xdm_zip(entries), message_id="<1@l.fr>"))
    hospital.drive.collect()
    hospital.drive.arrive()
    [(mail_id, _)] = [k for k in hospital.drive.ports.table.rows if k[1] == "MAIL"]
    return hospital.drive.mail(mail_id.removeprefix("MAIL#"))


def under_way(hospital, documents=1):
    """A mail that was matched and whose jobs nobody does: the DPI is away."""
    key = read(hospital, documents).dossier_key
    _, seal, mailbox, _ = key.split("/")
    match(ReadMail(key, mailbox, seal), hospital.drive.ports)
    return hospital.drive.mail(seal)


def test_a_mail_in_review_keeps_its_body_for_as_long_as_it_waits(hospital):
    waits = hospital.receive_for_review()
    assert waits.route is Route.REVIEW
    for _ in range(5):
        hospital.days(28)
        assert hospital.holds(waits)


def test_without_the_renewal_the_same_mail_is_gone(hospital):
    waits = hospital.receive_for_review()
    hospital.drive.clock.advance(DAYS * DAY_S)
    hospital.store.expire(DAYS)
    assert not hospital.holds(waits)


def test_the_body_of_a_mail_that_ended_goes_thirty_days_after_its_arrival(hospital):
    ended = hospital.receive()
    assert ended.state is MailState.SETTLED
    ends = hospital.days(DAYS - 1)
    assert hospital.holds(ended)
    assert {end.facts["renewed"] for end in ends} == {0}
    hospital.days(1)
    assert not hospital.store.objects
    assert not hospital.store.dossiers


def test_a_review_that_is_closed_lets_the_body_go_within_thirty_days_more(hospital):
    waits = hospital.receive_for_review()
    hospital.days(100)
    hospital.set_status(waits, "closed")
    hospital.days(DAYS // 2 - 1)
    assert hospital.holds(waits)
    hospital.days(DAYS // 2 + 1)
    assert not hospital.holds(waits)


def test_an_item_half_sent_back_still_waits_for_a_person(hospital):
    waits = hospital.receive_for_review()
    hospital.set_status(waits, "redriving")
    hospital.days(40)
    assert hospital.holds(waits)


@pytest.mark.parametrize(
    ("how", "state", "documents", "objects"),
    [
        (read, MailState.RECEIVED, 1, 2),
        (read, MailState.RECEIVED, 2, 4),
        (under_way, MailState.DECIDED, 1, 2),
        (under_way, MailState.DECIDED, 2, 4),
    ],
)
def test_a_mail_without_an_end_keeps_its_body_its_documents_and_its_dossier(
    hospital, how, state, documents, objects
):
    pending = how(hospital, documents)
    before = hospital.store._keys()
    assert (pending.state, len(before)) == (state, objects)
    hospital.days(40)
    assert hospital.store._keys() == before


def test_the_folder_of_a_second_mailbox_is_kept_without_that_of_the_first(hospital):
    """The same bytes: its dossier lies under their digest, which is the mail of the first."""
    ended = hospital.receive()
    second = in_a_second_mailbox(hospital.drive, ended)
    known = hospital.drive.ledger.mail(second.mail)
    assert hospital.drive.ledger.save_mail(known, state=MailState.DECIDED, route=None)
    hospital.days(40)
    assert set(hospital.store._keys()) == {second.key, second.dossier}


def test_what_version_0_2_stored_under_the_digest_of_a_mail_is_kept_too(hospital):
    pending = as_of_version_0_2(hospital.drive, under_way(hospital))
    for key in (f"documents/{pending.mail}/0001.xml", pending.dossier_key):
        hospital.store._stored(key)
    before = hospital.store._keys()
    assert len(before) == 3
    hospital.days(40)
    assert hospital.store._keys() == before


def test_a_body_is_renewed_when_half_of_its_life_is_over_and_not_every_day(hospital):
    hospital.receive_for_review()
    renewed = [end.facts["renewed"] for end in hospital.days(45)]
    assert sum(renewed) == 2
    assert renewed.index(1) == DAYS // 2


@pytest.mark.parametrize("days", [1, 2, 3, 7])
def test_a_short_life_is_renewed_in_time_too(hospital, days):
    waits = hospital.receive_for_review()
    hospital.days(20, days)
    assert hospital.holds(waits)


def test_ten_missed_runs_cost_nothing(hospital):
    waits = hospital.receive_for_review()
    hospital.days(DAYS // 2 - 1)
    hospital.drive.clock.advance(10 * DAY_S)
    hospital.store.expire(DAYS)
    hospital.days(20)
    assert hospital.holds(waits)


def test_a_body_that_is_gone_is_told_and_its_review_stays_and_the_others_live(hospital):
    lost, waits = hospital.receive_for_review(1), hospital.receive_for_review(2)
    del hospital.store.objects[lost.key]
    hospital.drive.clock.advance(20 * DAY_S)
    told, end = hospital.retain()
    assert (told.log, told.facts["mail"].value) == (Log.BODY_GONE, lost.mail)
    assert (end.facts["renewed"], end.counts) == (1, {Metric.BODIES_GONE: 1.0})
    assert [item.status for item in hospital.drive.ledger.reviews(lost.mail)] == ["open"]
    hospital.days(25)
    assert hospital.holds(waits)


def test_a_document_that_is_gone_is_told_too(hospital):
    """One that lies beside its dossier; a single one lies within."""
    pending = under_way(hospital, documents=2)
    del hospital.store.objects[document_key(pending.dossier_key, 1)]
    hospital.drive.clock.advance(20 * DAY_S)
    told, _ = hospital.retain()
    assert (told.log, told.facts["objects"]) == (Log.BODY_GONE, 1)


def test_a_dossier_that_is_gone_with_its_document_is_told_once(hospital):
    pending = under_way(hospital)
    remove(hospital.drive, pending.dossier_key)
    hospital.drive.clock.advance(20 * DAY_S)
    told, _ = hospital.retain()
    assert (told.log, told.facts["objects"]) == (Log.BODY_GONE, 1)


def test_a_body_that_the_store_refuses_to_renew_keeps_no_other_from_it(hospital, monkeypatch):
    bad, good = hospital.receive_for_review(1), hospital.receive_for_review(2)
    renew = hospital.store.renew

    def refusing(prefix, older_than):
        if prefix == bad.key:
            raise Unavailable(Reason.STORE_UNAVAILABLE)
        return renew(prefix, older_than)

    monkeypatch.setattr(hospital.store, "renew", refusing)
    hospital.drive.clock.advance(20 * DAY_S)
    told, end = hospital.retain()
    assert (told.log, told.counts) == (Log.BODY_NOT_RENEWED, {Metric.STEP_ERRORS: 1})
    assert (end.facts["failed"], end.facts["renewed"]) == (1, 1)
    assert hospital.store.stored_at[good.key] == hospital.drive.clock()


def test_a_mail_set_aside_in_its_mailbox_has_no_body_and_renews_nobody_elses(hospital):
    ended = hospital.receive(1)
    ledger, now = hospital.drive.ledger, hospital.drive.clock()
    aside = MailRecord(mail="ab" * 32, mailbox="app", key="", received_at=now, review=True)
    settled = replace(aside, state=MailState.SETTLED, route=Route.REVIEW)
    settled = replace(settled, reviewed=(f"{Step.PARSE.value}#0000#x",))
    assert ledger.write(ledger.mail_put(settled, None))
    hospital.drive.ports.jobs.to_review(Step.PARSE, Job(settled.mail), Reason.MAIL_TOO_LARGE)
    hospital.drive.work()
    hospital.drive.clock.advance(20 * DAY_S)
    [end] = hospital.retain()
    assert (end.facts["mails"], end.facts["gone"], end.facts["renewed"]) == (1, 0, 0)
    assert hospital.store.stored_at[ended.key] < hospital.drive.clock() - timedelta(days=19)


def test_items_about_identity_messages_and_unknown_bytes_are_passed_over(hospital):
    hospital.drive.ports.jobs.to_review(Step.FEED, Job("cd" * 32), Reason.FEED_TIME)
    hospital.drive.work()
    hospital.drive.clock.advance(20 * DAY_S)
    [end] = hospital.retain()
    assert (end.log, end.facts["mails"]) == (Log.BODIES_RETAINED, 0)


def test_what_a_run_had_no_time_for_is_told_and_follows_the_next_day(hospital, monkeypatch):
    mails = [hospital.receive_for_review(number) for number in range(1, 6)]
    hospital.drive.clock.advance(20 * DAY_S)
    monkeypatch.setattr("pfi.journey.retain.MOST", 2)
    first, second, third = hospital.retain()[-1], hospital.retain()[-1], hospital.retain()[-1]
    assert [each.facts["left"] for each in (first, second, third)] == [3, 1, 0]
    assert [each.log for each in (first, third)] == [Log.RETENTION_PARTIAL, Log.BODIES_RETAINED]
    assert {hospital.store.stored_at[each.key] for each in mails} == {hospital.drive.clock()}


def test_a_run_ends_before_its_function_is_stopped(hospital, monkeypatch):
    mails = [hospital.receive_for_review(number) for number in (1, 2, 3)]
    hospital.drive.clock.advance(20 * DAY_S)
    renew = hospital.store.renew

    def slow(prefix, older_than):
        hospital.drive.clock.advance(hospital.drive.ports.life_s / 4)
        return renew(prefix, older_than)

    monkeypatch.setattr(hospital.store, "renew", slow)
    end = hospital.retain()[-1]
    assert (end.log, end.facts["mails"], end.facts["left"]) == (Log.RETENTION_PARTIAL, 2, 1)
    oldest = min(mails, key=lambda each: (each.received_at, each.mail))
    assert hospital.store.stored_at[oldest.key] > hospital.drive.clock() - timedelta(hours=1)
