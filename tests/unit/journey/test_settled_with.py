"""A mail ends with its only document, in one write, when nothing more is owed for it."""

import hashlib
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from pfi.errors import Unavailable
from pfi.journey.answered import settled_with
from pfi.journey.entry import Entry
from pfi.journey.jobs import Job
from pfi.journey.keys import document_key
from pfi.journey.match import match
from pfi.journey.outcome import Configured, Log, Metric
from pfi.journey.push import push
from pfi.journey.records import DocumentRecord, MailRecord, MailState, Sent
from pfi.journey.review import DeadLetter, review
from pfi.names import Event, Integration, Leg, Reason, Route, Step
from tests.data.builders import LEA, document
from tests.doubles.drive import Drive
from tests.doubles.meddling import Died, MeddlingDpi, MeddlingTable
from tests.unit.journey.test_one_transaction import announced, links, rows
from tests.unit.journey.test_routes import letter

NOW = datetime(2026, 5, 14, 9, 0, tzinfo=UTC)
MAIL = MailRecord(
    mail="ab" * 32,
    mailbox="app",
    key="incoming/app/x.eml",
    received_at=NOW,
    state=MailState.DECIDED,
    documents=1,
    sent=Sent(domain="labo-invente.mssante.fr", archive=True),
)
DOCUMENT = DocumentRecord(
    mail=MAIL.mail,
    number=1,
    event=Event.NEW,
    chain="c" * 64,
    parent_chain=None,
    version="v",
    masks="NNN",
    integration=Integration.INTEGRATED,
)


# --- the rule


def test_the_only_document_integrated_and_no_answer_asked_is_the_end_of_the_mail():
    ended = replace(MAIL, state=MailState.SETTLED, route=Route.INTEGRATED, settled_at=NOW)
    assert settled_with(MAIL, DOCUMENT, NOW) == ended


def test_a_mark_for_a_person_stays_on_a_mail_that_ends_well():
    marked = replace(MAIL, review=True, route=Route.REVIEW, reviewed=("push#0001#x",))
    ended = settled_with(marked, DOCUMENT, NOW)
    assert (ended.route, ended.review, ended.reviewed) == (
        Route.INTEGRATED,
        True,
        marked.reviewed,
    )


@pytest.mark.parametrize(
    "changes",
    [
        *({"state": each} for each in MailState if each is not MailState.DECIDED),
        {"documents": 2},
        {"reason": "902"},
        {"sent": None},
        {"sent": replace(MAIL.sent, mdn=True)},
        *({"forward": each} for each in Leg if each is not Leg.NOT_OWED),
        *({"answer": each} for each in Leg if each is not Leg.NOT_OWED),
    ],
    ids=lambda changes: "-".join(map(str, *changes.items())),
)
def test_anything_else_is_left_to_forward(changes):
    assert settled_with(replace(MAIL, **changes), DOCUMENT, NOW) is None


@pytest.mark.parametrize("state", [each for each in Integration if each.value != "integrated"])
def test_a_document_that_was_not_integrated_ends_no_mail(state):
    assert settled_with(MAIL, replace(DOCUMENT, integration=state), NOW) is None


# --- the mail


def decided(raw=None, table=None):
    """A mail whose document is ready, its job and its digest."""
    drive = Drive(table=table)
    raw = raw or letter(document(LEA), mdn=False)
    work = announced(drive, raw)
    match(work, drive.ports)
    return drive, drive.ports.jobs.queues[Step.PUSH].popleft(), work.seal


def test_the_line_of_the_document_tells_and_counts_the_end_of_its_mail():
    drive, job, mail = decided()
    outcome = push(job, drive.ports)
    assert outcome.log is Log.DOCUMENT_INTEGRATED
    assert (outcome.facts["route"], outcome.facts["reason"]) == (Route.INTEGRATED, None)
    assert outcome.facts["establishment"] == Configured("ch")
    assert "sender" in outcome.facts
    told = (Metric.MAILS_SETTLED, Metric.INTEGRATED_SHARE, Metric.DOCUMENTS_INTEGRATED)
    assert [outcome.counts[each] for each in told] == [1, 1, 1]
    found = drive.mail(mail)
    assert (found.state, found.route, found.settled_at) == (
        MailState.SETTLED,
        Route.INTEGRATED,
        drive.clock.now,
    )
    [ended] = drive.documents(found)
    assert (ended.integration, ended.ended_at) == (Integration.INTEGRATED, drive.clock.now)
    assert not drive.ports.jobs.queues[Step.FORWARD]


def test_a_settled_mail_leaves_the_index_of_what_is_under_way():
    drive, job, mail = decided()
    assert [row.data["mail"] for row in drive.ports.table.indexed(f"MAIL#open#{mail[0]}")] == [mail]
    push(job, drive.ports)
    assert list(drive.ports.table.indexed(f"MAIL#open#{mail[0]}")) == []


def test_a_mail_is_counted_once_whether_its_end_came_with_the_document_or_with_forward():
    for mdn in (False, True):
        drive = Drive()
        drive.process(letter(document(LEA), mdn=mdn))
        assert sum(each.counts.get(Metric.MAILS_SETTLED, 0) for each in drive.outcomes) == 1


@pytest.mark.parametrize(
    "options", [{}, {"mdn_to": "autre@labo-invente.mssante.fr"}], ids=["owed", "to be confirmed"]
)
def test_a_mail_whose_sender_waits_for_an_answer_goes_through_forward(options):
    drive, job, mail = decided(letter(document(LEA), **options))
    outcome = push(job, drive.ports)
    assert Metric.MAILS_SETTLED not in outcome.counts
    assert drive.mail(mail).state is MailState.DECIDED
    assert list(drive.ports.jobs.queues[Step.FORWARD]) == [Job(mail)]


def test_a_mail_of_two_documents_ends_with_neither_of_them():
    pair = [document(LEA, document_id=f"2.25.9.{n}") for n in (1, 2)]
    drive, job, mail = decided(letter(*pair, mdn=False))
    push(job, drive.ports)
    assert not drive.ports.jobs.queues[Step.FORWARD]
    push(drive.ports.jobs.queues[Step.PUSH].popleft(), drive.ports)
    assert drive.mail(mail).state is MailState.DECIDED
    drive.work()
    assert drive.mail(mail).route is Route.INTEGRATED


def test_a_refused_document_leaves_its_mail_to_forward():
    drive, job, mail = decided()
    drive.ports.hospital.answers = ["AE 207 902"]
    push(job, drive.ports)
    drive.work()
    assert drive.mail(mail).route is Route.FORWARDED


# --- what comes in between, while the message is with the DPI


def meanwhile(happens, raw=None):
    """The drive and the mail after a push in whose midst something happened."""
    drive, job, mail = decided(raw)
    drive.ports.hospital = MeddlingDpi(lambda: happens(drive, mail))
    outcome = push(job, drive.ports)
    assert outcome.log is Log.DOCUMENT_INTEGRATED
    assert Metric.MAILS_SETTLED not in outcome.counts
    [ended] = drive.documents(drive.mail(mail))
    assert (ended.integration, ended.ended_at) == (Integration.INTEGRATED, drive.clock.now)
    assert drive.mail(mail).state is MailState.DECIDED
    drive.work()
    assert len(drive.ports.hospital.accepted) == 1
    return drive, drive.mail(mail)


def test_a_copy_counted_meanwhile_is_kept_and_the_mail_ends_through_forward():
    raw = letter(document(LEA), mdn=False)

    def the_same_bytes_arrive_again(drive, _mail):
        drive.ports.inbox.deliver(raw)
        drive.collect()

    _, found = meanwhile(the_same_bytes_arrive_again, raw)
    assert (found.route, found.copies) == (Route.INTEGRATED, 2)


def test_a_mark_put_meanwhile_stays_and_the_mail_ends_through_forward():
    def marked(drive, mail):
        review(DeadLetter(Step.PUSH, mail, 1, Reason.UNEXPECTED, 3), drive.ports)

    drive, found = meanwhile(marked)
    assert (found.route, found.review, len(found.reviewed)) == (Route.INTEGRATED, True, 1)
    assert len(drive.ledger.reviews(found.mail)) == 1


def test_a_mail_that_joins_the_chain_meanwhile_costs_no_answer_of_the_dpi():
    newer = letter(document(LEA, effective_time="20260514101500+0200"), number=2)

    def joined(drive, _mail):
        match(announced(drive, newer), drive.ports)
        drive.ports.jobs.queues[Step.PUSH].clear()

    drive, found = meanwhile(joined)
    assert found.route is Route.INTEGRATED
    assert links(drive) == ["integrated", "waiting"]


def test_a_worker_whose_document_was_taken_over_meanwhile_writes_no_end():
    drive, job, mail = decided()

    def taken_over():
        known = drive.ledger.document(mail, 1)
        drive.ledger.write(drive.ledger.document_put(known.record, known.revision))

    drive.ports.hospital = MeddlingDpi(taken_over)
    with pytest.raises(Unavailable):
        push(job, drive.ports)
    assert drive.mail(mail).state is MailState.DECIDED
    assert links(drive) == ["sent"]


def move_the_chain(drive):
    """Somebody else writes it."""
    [chain] = (pk.removeprefix("CHAIN#") for pk in rows(drive, "CHAIN#"))
    known = drive.ledger.chain(chain)
    assert drive.ledger.write(drive.ledger.chain_put(chain, known.record, known.revision))


def test_whoever_moves_the_chain_before_the_message_leaves_lets_nothing_leave():
    drive, job, _ = decided(table=(table := MeddlingTable()))
    table.meddle(2, lambda: move_the_chain(drive))
    with pytest.raises(Unavailable):
        push(job, drive.ports)
    assert drive.ports.hospital.received == []


@pytest.mark.parametrize("mdn", [True, False], ids=["to be answered", "at its end"])
def test_an_answer_is_kept_however_often_the_chain_moves(mdn):
    table = MeddlingTable()
    drive, job, mail = decided(letter(document(LEA), mdn=mdn), table)

    def again_and_again():
        move_the_chain(drive)
        before_the_next_try = 3 if mdn else 4
        table.meddle(before_the_next_try, lambda: move_the_chain(drive))

    drive.ports.hospital = MeddlingDpi(again_and_again)
    push(job, drive.ports)
    assert table.meddled
    assert links(drive) == ["integrated"]
    [ended] = drive.documents(drive.mail(mail))
    assert ended.integration is Integration.INTEGRATED


def test_a_repeat_of_the_job_sends_nothing_and_changes_nothing():
    drive, job, mail = decided()
    push(job, drive.ports)
    before = drive.mail(mail)
    drive.clock.advance(60)
    assert push(job, drive.ports).log is Log.MAIL_REPEATED
    drive.work()
    assert drive.mail(mail) == before
    assert len(drive.ports.hospital.received) == 1
    assert drive.ports.outbox.sent == []


def test_a_crash_between_the_end_of_a_document_and_the_job_of_its_mail_is_repaired():
    drive, job, mail = decided(letter(document(LEA)))
    send = drive.ports.jobs.send

    def dies(*_, **__):
        drive.ports.jobs.send = send
        raise Died

    drive.ports.jobs.send = dies
    with pytest.raises(Died):
        push(job, drive.ports)
    assert push(job, drive.ports).log is Log.MAIL_REPEATED
    drive.work()
    assert (drive.mail(mail).route, len(drive.ports.hospital.received)) == (Route.INTEGRATED, 1)


def test_an_end_that_the_ledger_cannot_write_is_no_end():
    """The answer is lost with it: the same bytes leave again."""
    drive, job, mail = decided()
    write = drive.ports.table.write

    def failing(*writes):
        if drive.ports.hospital.accepted:
            raise Unavailable(Reason.STORE_UNAVAILABLE)
        return write(*writes)

    drive.ports.table.write = failing
    with pytest.raises(Unavailable):
        push(job, drive.ports)
    assert drive.mail(mail).state is MailState.DECIDED
    drive.ports.table.write = write
    drive.clock.advance(120)
    assert push(job, drive.ports).log is Log.DOCUMENT_INTEGRATED
    assert len(set(drive.ports.hospital.received)) == 1
    assert drive.mail(mail).state is MailState.SETTLED


def test_the_same_document_of_another_mail_ends_through_forward_and_is_told_as_repeated():
    drive, job, _ = decided()
    push(job, drive.ports)
    raw = letter(document(LEA), mdn=False, number=2)
    work = announced(drive, raw)
    match(work, drive.ports)
    outcome = push(drive.ports.jobs.queues[Step.PUSH].popleft(), drive.ports)
    assert outcome.log is Log.DOCUMENT_REPEATED
    drive.work()
    found = drive.mail(hashlib.sha256(raw).hexdigest())
    assert (found.route, len(drive.ports.hospital.accepted)) == (Route.INTEGRATED, 1)


# --- the document and its chain


def test_a_chain_that_no_job_named_is_read_when_it_is_asked_for():
    drive, job, mail = decided()
    known, document_ = drive.ledger.mail(mail), drive.ledger.document(mail, job.document)
    named = drive.ledger.in_hand(mail, 1, job.chains)
    blind = Entry(known, document_, {}, "ch", drive.ledger)
    told = Entry(known, document_, named.chains, "ch", drive.ledger)
    assert blind.chain() == told.chain()
    assert told.chain().record.link(f"{mail}#0001") is not None


def test_a_job_that_names_another_chain_than_its_document_does_is_as_good():
    drive, job, mail = decided()
    push(replace(job, chains=("e" * 64,)), drive.ports)
    assert drive.mail(mail).route is Route.INTEGRATED
    assert links(drive) == ["integrated"]


@pytest.mark.parametrize("named", [True, False], ids=["named", "not named"])
def test_nothing_leaves_for_a_document_that_stands_in_no_chain(named):
    drive, job, _ = decided()
    [chain] = rows(drive, "CHAIN#")
    del drive.ports.table.rows[chain, "CHAIN"]
    with pytest.raises(Unavailable):
        push(job if named else replace(job, chains=()), drive.ports)
    assert drive.ports.hospital.received == []


def test_the_answer_of_the_dpi_is_kept_when_somebody_else_is_just_writing_the_mail():
    """DynamoDB cancels a transaction that meets another one: the document ends alone, and nothing
    is sent a second time."""

    def conflict():
        raise Unavailable(Reason.STORE_UNAVAILABLE)

    drive, job, mail = decided(table=(table := MeddlingTable()))
    table.meddle(3, conflict)  # one read, one write of what leaves, then the end of it all
    push(job, drive.ports)
    assert table.meddled
    drive.work()
    assert len(drive.ports.hospital.received) == 1
    assert drive.mail(mail).route is Route.INTEGRATED


def test_what_the_store_says_now_is_not_sent_when_something_else_was_decided():
    drive, job, mail = decided()
    key = drive.mail(mail).dossier_key
    dossier = drive.ports.store.dossiers[key]
    [facts] = dossier.documents
    other = replace(facts, masque_ps=not facts.masque_ps)
    for documents in ((), (other,)):
        drive.ports.store.dossiers[key] = replace(dossier, documents=documents)
        with pytest.raises(Unavailable):
            push(job, drive.ports)
    drive.ports.store.dossiers[key] = dossier
    assert not drive.ports.hospital.received
    assert push(job, drive.ports).log is Log.DOCUMENT_INTEGRATED


def test_of_several_documents_each_leaves_with_the_bytes_that_were_decided():
    one, two = document(LEA), document(LEA, document_id="2.25.77")
    drive, job, mail = decided(letter(one, two, mdn=False))
    key = drive.mail(mail).dossier_key
    first, second = document_key(key, 1), document_key(key, 2)
    objects = drive.ports.store.objects
    objects[first], objects[second] = objects[second], objects[first]
    with pytest.raises(Unavailable):
        push(job, drive.ports)
    assert not drive.ports.hospital.received
