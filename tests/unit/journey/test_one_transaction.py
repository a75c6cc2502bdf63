"""The usual mail is decided in one transaction; whatever it takes for granted may not be so."""

import hashlib
from dataclasses import replace

import pytest

from pfi.errors import Misconfigured, Unavailable
from pfi.journey.jobs import Job
from pfi.journey.keys import digest, dossier_key
from pfi.journey.match import MOST_AT_ONCE, match
from pfi.journey.outcome import Log
from pfi.journey.push import push
from pfi.journey.records import MailState
from pfi.names import Integration, Reason, Route, Step
from tests.data.builders import LEA, document, mail
from tests.doubles.drive import HOSPITAL, Drive, read_mail
from tests.doubles.meddling import Died, MeddlingTable
from tests.unit.journey.test_routes import letter

NEWER = document(LEA, effective_time="20260514101500+0200")
OTHER = replace(HOSPITAL.mailboxes[0], id="other", address="b@ch-invente.mssante.fr")


def seal_of(raw):
    return hashlib.sha256(raw).hexdigest()


def announced(drive, raw):
    """A mail that was collected and read: the job of `match`."""
    drive.ports.inbox.deliver(raw)
    drive.collect()
    drive.arrive()
    [key] = drive.ports.store.read
    drive.ports.store.read.clear()
    return read_mail(key)


def rows(drive, kind):
    return {pk: row for (pk, _), row in drive.ports.table.rows.items() if pk.startswith(kind)}


def links(drive):
    """How each document stands in its chain."""
    found = rows(drive, "CHAIN#").values()
    return [link["integration"] for row in found for link in row.data["links"]]


# --- the calls


def test_a_usual_mail_is_read_without_a_call_of_the_ledger_and_decided_in_one():
    drive = Drive(table=(table := MeddlingTable()))
    drive.ports.inbox.deliver(letter(document(LEA)))
    drive.collect()
    table.journal.clear()
    drive.arrive()
    assert table.journal == []
    drive.read()
    [(call, partitions)] = table.journal
    assert call == "write"
    kinds = [each.partition("#")[0] for each in partitions]
    assert sorted(kinds) == ["CHAIN", "MAIL", "MAIL", "SAME"]
    assert len(drive.ports.jobs.queues[Step.PUSH]) == 1


def test_a_push_reads_all_that_it_needs_in_one_call_and_ends_its_mail_with_its_document():
    drive = Drive(table=(table := MeddlingTable()))
    match(announced(drive, letter(document(LEA), mdn=False)), drive.ports)
    table.journal.clear()
    push(drive.ports.jobs.queues[Step.PUSH].popleft(), drive.ports)
    assert [call for call, _ in table.journal] == ["get_all", "write", "write"]
    assert not drive.ports.jobs.queues[Step.FORWARD]


def test_the_chains_of_a_replacement_are_both_read_with_it():
    drive = Drive(table=(table := MeddlingTable()))
    parent = document(LEA, document_id="2.25.1.1")
    child = document(LEA, document_id="2.25.1.2", parent="2.25.1.1", version="2", action="C")
    drive.process(letter(parent, number=1))
    match(announced(drive, letter(child, number=2)), drive.ports)
    table.journal.clear()
    push(drive.ports.jobs.queues[Step.PUSH].popleft(), drive.ports)
    assert (len(table.asked("get_all")), table.asked("get")) == (1, [])
    assert [each.split(b"|")[8][4:7] for each in drive.ports.hospital.accepted] == [b"T02", b"T10"]


def test_a_mail_decided_at_once_says_the_same_of_itself_as_one_decided_step_by_step(monkeypatch):
    def decided():
        drive = Drive(table=(table := MeddlingTable()))
        work = announced(drive, letter(document(LEA)))
        table.journal.clear()
        match(work, drive.ports)
        said = {pk: row.data for pk, row in rows(drive, "").items()}
        return said, list(drive.ports.jobs.queues[Step.PUSH]), len(table.journal)

    usual, jobs, calls = decided()
    monkeypatch.setattr("pfi.journey.match.MOST_AT_ONCE", 0)
    assert decided() == (usual, jobs, 5)
    assert calls == 1


# --- each assumption, broken


def test_a_mail_that_is_decided_before_its_collector_commits_is_counted_once_and_integrated():
    drive = Drive()
    raw = letter(document(LEA))
    put_mail = drive.ports.store.put_mail

    def quick(*stored):
        key = put_mail(*stored)
        drive.read()
        return key

    drive.ports.store.put_mail = quick
    drive.ports.inbox.deliver(raw)
    drive.collect()
    found = drive.mail(seal_of(raw))
    assert (found.state, found.copies) == (MailState.DECIDED, 1)
    drive.work()
    assert drive.mail(seal_of(raw)).route is Route.INTEGRATED
    assert len(drive.ports.hospital.accepted) == 1


def test_a_collector_that_commits_while_the_mail_is_decided_loses_no_decision():
    """Whatever was done when it comes in between."""
    raw, moments = letter(document(LEA)), 0
    while True:
        drive = Drive(table=(table := MeddlingTable()))
        drive.ports.inbox.deliver(raw)
        drive.ports.store.put_mail("app", seal_of(raw), raw)
        drive.arrive()
        table.meddle(moments + 1, drive.collect)
        match(read_mail(drive.ports.store.read.pop()), drive.ports)
        if not table.meddled:
            break
        moments += 1
        drive.ports.store.arrivals.clear()
        found = drive.mail(seal_of(raw))
        assert (found.state, found.copies) == (MailState.DECIDED, 1)
        drive.work()
        assert drive.mail(seal_of(raw)).route is Route.INTEGRATED
    assert moments >= 4


def test_a_mail_of_another_producer_has_a_row_and_a_dossier_of_its_own():
    drive = Drive()
    raw = letter(document(LEA))
    drive.ports.store.put_mail("app", seal_of(raw), raw)
    drive.work()
    found = drive.mail(seal_of(raw))
    assert (found.route, found.copies, found.key) == (
        Route.INTEGRATED,
        0,
        f"incoming/app/{seal_of(raw)}.eml",
    )
    assert found.dossier == dossier_key("app", seal_of(raw))


def test_the_same_bytes_in_another_mailbox_leave_the_row_and_the_dossier_of_the_first_alone():
    drive = Drive(replace(HOSPITAL, mailboxes=(*HOSPITAL.mailboxes, OTHER)))
    raw = letter(document(LEA))
    work = announced(drive, raw)
    before = rows(drive, f"MAIL#{seal_of(raw)}")
    drive.ports.store.put_mail("other", seal_of(raw), raw)
    drive.read()
    assert rows(drive, f"MAIL#{seal_of(raw)}") == before
    theirs = drive.mail(digest("mail", "other", seal_of(raw)))
    assert (theirs.mailbox, theirs.state) == ("other", MailState.DECIDED)
    assert theirs.dossier == dossier_key("other", seal_of(raw)) != work.key
    match(work, drive.ports)
    drive.work()
    ours = drive.mail(seal_of(raw))
    assert (ours.mailbox, ours.route, ours.dossier) == ("app", Route.INTEGRATED, work.key)


def test_a_mail_that_is_decided_is_not_decided_again_but_its_jobs_are_sent_again():
    drive = Drive()
    work = announced(drive, letter(document(LEA)))
    match(work, drive.ports)
    before = dict(drive.ports.table.rows)
    jobs = list(drive.ports.jobs.queues[Step.PUSH])
    drive.ports.jobs.queues[Step.PUSH].clear()
    assert match(work, drive.ports).log is Log.MAIL_REPEATED
    assert drive.ports.table.rows == before
    assert list(drive.ports.jobs.queues[Step.PUSH]) == jobs != []


def test_a_crash_between_the_transaction_and_the_job_is_repaired_by_the_redelivery():
    drive = Drive()
    work = announced(drive, letter(document(LEA)))
    send = drive.ports.jobs.send

    def dies(*_, **__):
        drive.ports.jobs.send = send
        raise Died

    drive.ports.jobs.send = dies
    with pytest.raises(Died):
        match(work, drive.ports)
    assert drive.mail(work.seal).state is MailState.DECIDED
    assert not drive.ports.jobs.queues[Step.PUSH]
    assert match(work, drive.ports).log is Log.MAIL_REPEATED
    drive.work()
    assert drive.mail(work.seal).route is Route.INTEGRATED
    assert len(drive.ports.hospital.accepted) == 1


def test_a_mail_whose_claim_another_holds_is_a_duplicate_and_never_in_a_chain():
    drive = Drive()
    raw = letter(document(LEA))
    first = announced(drive, raw)
    second = announced(drive, b"Received: from a.invente.fr by b.invente.fr\r\n" + raw)
    match(first, drive.ports)
    outcome = match(second, drive.ports)
    assert (outcome.log, outcome.facts["reason"]) == (Log.MAIL_DUPLICATE, Reason.SAME_MAIL)
    found = drive.mail(second.seal)
    assert (found.state, found.route) == (MailState.SETTLED, Route.DUPLICATE)
    assert (found.documents, found.settled_at) == (0, drive.clock.now)
    assert (drive.documents(found), links(drive)) == ([], ["waiting"])
    assert match(second, drive.ports).log is Log.MAIL_REPEATED


def test_mails_without_an_archive_are_nobodys_duplicates():
    drive = Drive()
    found = drive.process(*(mail(None, message_id=f"<{n}@l.fr>", mdn=False) for n in (1, 2)))
    assert [each.route for each in found] == [Route.FORWARDED] * 2


def test_a_chain_that_exists_already_is_joined_behind_who_stands_there():
    drive = Drive()
    for number, entry in enumerate((document(LEA), NEWER)):
        match(announced(drive, letter(entry, number=number)), drive.ports)
        drive.clock.advance(1)
    assert links(drive) == ["waiting", "waiting"]
    queue = drive.ports.jobs.queues[Step.PUSH]
    first, second = queue.popleft(), queue.popleft()
    with pytest.raises(Unavailable):
        push(second, drive.ports)
    push(first, drive.ports)
    push(second, drive.ports)
    assert links(drive) == ["integrated", "integrated"]


@pytest.mark.parametrize("known", [False, True], ids=["a new chain", "a known chain"])
def test_a_document_stands_in_its_chain_by_its_arrival_however_late_it_is_decided(known):
    drive = Drive()
    if known:
        drive.process(letter(document(LEA), number=1))
    arrived = drive.clock.now
    work = announced(drive, letter(NEWER, number=2))
    drive.clock.advance(3600)
    match(work, drive.ports)
    [chain] = rows(drive, "CHAIN#").values()
    assert chain.data["links"][-1]["holder"] == f"{work.seal}#0001"
    assert chain.data["links"][-1]["order"] == arrived.isoformat()


def test_two_documents_under_two_spellings_of_one_identifier_stand_in_one_chain():
    drive = Drive()
    spelt = (("2.25.4", "5"), "2.25.4.5")
    entries = [
        document(LEA, document_id=each, effective_time=f"2026051{n}091500+0200")
        for n, each in enumerate(spelt)
    ]
    [found] = drive.process(letter(*entries))
    assert found.route is Route.INTEGRATED
    assert links(drive) == ["integrated", "integrated"]


@pytest.mark.parametrize("size", [MOST_AT_ONCE, MOST_AT_ONCE + 1])
def test_a_mail_of_any_size_is_decided_whole_within_the_limit_of_a_transaction(size):
    drive = Drive(table=(table := MeddlingTable()))
    entries = [document(LEA, document_id=f"2.25.9.{n}") for n in range(size)]
    work = announced(drive, letter(*entries))
    table.journal.clear()
    outcome = match(work, drive.ports)
    assert outcome.facts["documents"] == size
    assert len(drive.documents(drive.mail(work.seal))) == size
    assert links(drive) == ["waiting"] * size
    writes = table.asked("write")
    assert max(map(len, writes)) <= 100
    assert (len(writes) == 1) is (size <= MOST_AT_ONCE)


def test_a_mail_that_cannot_be_integrated_stands_in_nobodys_way():
    drive = Drive()
    work = announced(drive, letter(document(replace(LEA, sex="UN"))))
    match(work, drive.ports)
    assert links(drive) == ["not_owed"]
    [decided] = drive.documents(drive.mail(work.seal))
    assert decided.integration is Integration.NOT_OWED


def test_what_was_written_in_half_before_a_crash_is_neither_lost_nor_done_twice():
    """A mail decided step by step dies at each step in turn."""
    raw, moments = letter(NEWER, number=2), 0
    while True:
        drive = Drive(table=(table := MeddlingTable()))
        drive.process(letter(document(LEA), number=1))
        work = announced(drive, raw)
        table.meddle(moments + 1, die)
        try:
            match(work, drive.ports)
            break
        except Died:
            moments += 1
        drive.clock.advance(60)
        match(work, drive.ports)
        assert links(drive) == ["integrated", "waiting"]
        drive.work()
        assert drive.mail(work.seal).route is Route.INTEGRATED
    assert moments >= 6


def die():
    raise Died


def test_a_job_of_a_mail_that_no_row_knows_comes_back():
    with pytest.raises(Unavailable):
        match(Job("ab" * 32), Drive().ports)


def test_a_dossier_of_a_mailbox_that_the_settings_no_longer_name_waits_for_a_person():
    drive = Drive()
    work = announced(drive, letter(document(LEA)))
    drive.ports.settings = replace(HOSPITAL, mailboxes=(OTHER,))
    with pytest.raises(Misconfigured):
        match(work, drive.ports)


def test_the_same_bytes_twice_in_one_poll_are_decided_once():
    drive = Drive()
    raw = letter(document(LEA))
    drive.ports.inbox.deliver(raw)
    drive.ports.inbox.deliver(raw)
    drive.collect()
    drive.work()
    found = drive.mail(seal_of(raw))
    assert (found.route, found.copies) == (Route.INTEGRATED, 2)
    assert len(drive.ports.hospital.accepted) == 1
