"""Mails that no job is about: found by counting, whatever else is under way."""

from dataclasses import replace
from datetime import timedelta

import pytest

from pfi.journey.accounts import IN_FLIGHT, Doubt, Terms, place_of
from pfi.journey.records import DocumentRecord, MailRecord, MailState
from pfi.journey.stuck import COUNTED_LATE, longest_waits, stuck
from pfi.names import Event, Integration, Route, Step
from tests.doubles.drive import HOSPITAL, Drive

OLD, YOUNG = timedelta(hours=1), timedelta(minutes=5)


@pytest.fixture
def now():
    return Drive().clock()


def waiting(number, received_at, state=MailState.READ, **options):
    digest = f"{number:064x}"
    return MailRecord(
        mail=digest, mailbox="app", key="k", received_at=received_at, state=state, **options
    )


def record(mail, number, integration=Integration.WAITING, **options):
    return DocumentRecord(
        mail=mail.mail, number=number, event=Event.NEW, chain="c", parent_chain=None, version="v",
        masks="NNN", integration=integration, **options,
    )  # fmt: skip


def subjects(mails, queued, now, documents=(), **options):
    """Digests of the stuck mails; `documents` is all of them."""
    of = lambda mail: [each for each in documents if each.mail == mail]  # noqa: E731  # a reader
    found = list(stuck(mails, queued, Terms(now=now, **options), of))
    assert {each.doubt for each in found} <= {Doubt.STUCK}
    return [each.subject for each in found]


def test_mails_beyond_the_jobs_of_their_step_are_stuck_and_the_oldest_are_named(now):
    mails = [waiting(number, now - OLD + timedelta(seconds=number)) for number in range(5)]
    assert subjects(mails, {Step.MATCH: 2, Step.PARSE: 1, Step.PUSH: 9}, now) == [
        mails[0].mail,
        mails[1].mail,
    ]
    assert subjects(mails, {Step.MATCH: 5}, now) == []


def test_the_job_of_a_young_mail_does_not_hide_a_lost_one(now):
    lost, young = waiting(0, now - OLD), waiting(1, now - YOUNG)
    assert subjects([lost, young], {Step.MATCH: 1}, now) == [lost.mail]
    assert subjects([lost, young], {Step.MATCH: 2}, now) == []


def test_a_mail_that_came_just_now_may_have_a_job_that_is_not_counted_yet(now):
    old, new = waiting(0, now - OLD), waiting(1, now - COUNTED_LATE)
    assert subjects([old, new], {Step.MATCH: 1}, now) == []


def test_the_jobs_of_a_mail_with_three_documents_do_not_hide_two_lost_ones(now):
    lost = [waiting(n, now - OLD + timedelta(seconds=n), MailState.DECIDED) for n in range(2)]
    three = waiting(2, now - OLD + timedelta(minutes=1), MailState.DECIDED, documents=3)
    documents = [record(three, number) for number in (1, 2, 3)]
    mails = [*lost, three]
    assert subjects(mails, {Step.PUSH: 3}, now, documents) == [each.mail for each in lost]
    assert subjects(mails, {Step.PUSH: 4}, now, documents) == [lost[0].mail]
    assert subjects(mails, {Step.PUSH: 5}, now, documents) == []


def test_a_mail_that_lost_all_its_jobs_is_named_and_not_the_next_one(now):
    lost = waiting(0, now - OLD, MailState.DECIDED, documents=3)
    other = waiting(1, now - OLD + timedelta(seconds=1), MailState.DECIDED)
    documents = [record(lost, number) for number in (1, 2, 3)]
    assert subjects([lost, other], {Step.PUSH: 1}, now, documents) == [lost.mail]


def test_a_document_that_ended_needs_no_job_and_the_last_one_closes_the_mail(now):
    mail = waiting(0, now - OLD, MailState.DECIDED, documents=2)
    ended = [record(mail, 1, Integration.REFUSED), record(mail, 2)]
    assert subjects([mail], {Step.PUSH: 1}, now, ended) == []
    ended = [record(mail, number, Integration.INTEGRATED) for number in (1, 2)]
    assert subjects([mail], {Step.FORWARD: 1}, now, ended) == []
    assert subjects([mail], {}, now, ended) == [mail.mail]


def test_of_a_mail_decided_just_now_match_may_hold_the_only_job(now):
    mail = waiting(0, now - OLD, MailState.DECIDED, documents=2)
    for decided, faults in ((now - YOUNG, []), (now - OLD, [mail.mail])):
        documents = [record(mail, number, decided_at=decided) for number in (1, 2)]
        assert subjects([mail], {Step.MATCH: 1}, now, documents) == faults


def test_what_goes_on_beside_a_review_does_not_hide_a_lost_mail(now):
    lost = waiting(0, now - OLD, MailState.DECIDED)
    beside = {"state": MailState.DECIDED, "review": True, "documents": 3}
    mail = waiting(1, now - OLD, reviewed=("push#0002#PFI-DPI-06",), **beside)
    documents = [record(mail, number) for number in (1, 2, 3)]
    assert subjects([lost, mail], {Step.PUSH: 2}, now, documents) == [lost.mail]
    assert subjects([lost, mail], {Step.PUSH: 3}, now, documents) == []
    whole = replace(mail, reviewed=("match#0000#PFI-EDGE-09",))
    assert subjects([lost, whole], {Step.PUSH: 1}, now, documents) == []


def test_documents_are_read_only_where_the_queues_hold_too_few_messages(now):
    def unread(mail):
        raise AssertionError(mail)

    mail = waiting(0, now - OLD, MailState.DECIDED, documents=3)
    assert list(stuck([mail], {Step.PUSH: 3}, Terms(now=now), unread)) == []
    alone = waiting(1, now - OLD, MailState.DECIDED, documents=1)
    assert len(list(stuck([alone], {}, Terms(now=now), unread))) == 1


@pytest.mark.parametrize(
    ("state", "own"),
    [
        (MailState.RECEIVED, {Step.PARSE, Step.MATCH}),
        (MailState.READ, {Step.PARSE, Step.MATCH}),
        (MailState.DECIDED, {Step.PARSE, Step.MATCH, Step.PUSH, Step.FORWARD}),
    ],
)
def test_a_job_is_of_the_step_that_the_mail_waits_for_or_of_one_before(now, state, own):
    mail = waiting(0, now - OLD, state)
    for step in Step:
        assert subjects([mail], {step: 9}, now) == ([] if step in own else [mail.mail]), step


def test_a_mail_that_was_read_has_its_job_in_the_queue_of_match_or_again_in_that_of_parse(now):
    """It is `received` until `match` decides, and beside it others wait for their patients."""
    received = [waiting(n, now - OLD + timedelta(seconds=n), MailState.RECEIVED) for n in range(2)]
    awaited = waiting(2, now - OLD)
    mails = [*received, awaited]
    assert subjects(mails, {Step.PARSE: 1, Step.MATCH: 2}, now) == []
    assert subjects(mails, {Step.MATCH: 3}, now) == []
    assert subjects(mails, {Step.PARSE: 1, Step.MATCH: 1}, now) == [awaited.mail]
    assert subjects(mails, {Step.MATCH: 1}, now) == [received[0].mail, awaited.mail]
    assert subjects(mails, {Step.PUSH: 3, Step.FORWARD: 3}, now) == [each.mail for each in mails]


def test_one_job_is_about_one_mail_whatever_the_states(now):
    mails = [waiting(n, now - OLD, state) for n, state in enumerate(list(MailState)[:3])]
    assert subjects(mails, {Step.PARSE: 3}, now) == []
    assert subjects(mails, {Step.PARSE: 2}, now) == [mails[2].mail]
    assert subjects(mails, {Step.PARSE: 1, Step.PUSH: 9}, now) == [mails[1].mail]


def test_a_young_mail_one_in_review_and_one_that_ended_are_not_stuck(now):
    one = waiting(1, now - OLD)
    assert subjects([one], {}, now, grace=timedelta(hours=2)) == []
    assert subjects([replace(one, review=True)], {}, now) == []
    assert subjects([replace(one, state=MailState.SETTLED, route=Route.FILED)], {}, now) == []
    assert place_of(replace(one, review=True)) == "review"
    assert place_of(one) == IN_FLIGHT


def settings_of(grace_s=7200, holds=(60, 86_400)):
    dpis = tuple(replace(HOSPITAL.dpis[0], hold_s=each) for each in holds)
    return replace(HOSPITAL, match=replace(HOSPITAL.match, grace_s=grace_s), dpis=dpis)


def test_a_mail_waits_for_the_base_and_once_decided_for_a_pause_and_the_hold_of_its_dpi():
    found = longest_waits(settings_of())
    assert found[MailState.RECEIVED] == found[MailState.READ] == timedelta(days=2, hours=2)
    assert found[MailState.DECIDED] == timedelta(days=7, hours=2)
    assert longest_waits(settings_of(grace_s=10**9))[MailState.READ] == timedelta(days=5)
    assert longest_waits(settings_of(holds=()))[MailState.DECIDED] == timedelta(days=6, hours=2)


@pytest.mark.parametrize("state", [MailState.RECEIVED, MailState.READ, MailState.DECIDED])
def test_no_queue_explains_a_mail_for_ever(now, state):
    waits = longest_waits(settings_of())
    for age, faults in ((waits[state], 0), (waits[state] + timedelta(minutes=1), 1)):
        mail = waiting(1, now - age, state)
        assert len(subjects([mail], {Step.PARSE: 100}, now, longest=waits)) == faults


def test_the_time_of_a_mail_that_a_person_sent_back_began_anew(now):
    back = waiting(1, now - timedelta(days=20), reviewed=("match#0000#PFI-EDGE-09",))
    waits = longest_waits(settings_of())
    assert subjects([back], {Step.MATCH: 1}, now, longest=waits) == []
    assert subjects([back], {}, now, longest=waits) == [back.mail]
    unseen = replace(back, reviewed=())
    assert subjects([unseen], {Step.MATCH: 1}, now, longest=waits) == [back.mail]
