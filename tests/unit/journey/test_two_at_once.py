"""Two workers decide one mail, or one of two with the same bytes, whatever the other has done."""

from dataclasses import replace

import pytest

from pfi.errors import Unavailable
from pfi.journey.collect import collect
from pfi.journey.jobs import Job
from pfi.journey.keys import digest
from pfi.journey.match import match
from pfi.journey.outcome import Log
from pfi.journey.parse import Arrival, parse
from pfi.journey.records import MailState
from pfi.names import Route, Step
from tests.data.builders import LEA, document, mail
from tests.doubles.drive import HOSPITAL, Drive, read_mail
from tests.doubles.meddling import MeddlingTable
from tests.unit.journey.test_one_transaction import NEWER, OTHER, announced, links, seal_of
from tests.unit.journey.test_repeated_arrival import FILED, STRANGE
from tests.unit.journey.test_routes import letter

UNREADABLE = mail(None, mdn=False)


def moments(prepare, happens, act):
    """The drive after `act`, in whose midst something happened: before its first call of the
    ledger, its second, and so on."""
    call = 0
    while True:
        call += 1
        drive = Drive(
            replace(HOSPITAL, mailboxes=(*HOSPITAL.mailboxes, OTHER)), table=MeddlingTable()
        )
        prepared = prepare(drive)
        drive.ports.table.meddle(call, lambda drive=drive, one=prepared: happens(drive, one))
        logs = told(drive, act, prepared)
        if not drive.ports.table.meddled:
            assert call > 1
            return
        yield drive, prepared, logs


def told(drive, act, prepared):
    """What the worker that was disturbed said; None when it has to come back."""
    try:
        return act(drive, prepared).log
    except Unavailable:
        return None


@pytest.mark.parametrize(
    "raw",
    [UNREADABLE, letter(document(replace(LEA, sex="UN"))), letter(NEWER, number=2)],
    ids=["not readable", "not integrated", "of a known chain"],
)
def test_of_two_workers_that_decide_one_mail_one_decides(raw):
    def prepare(drive):
        drive.process(letter(document(LEA), number=1))
        return announced(drive, raw)

    def the_other(drive, work):
        drive.outcomes.append(match(work, drive.ports))

    for drive, work, log in moments(prepare, the_other, lambda d, w: match(w, d.ports)):
        assert log in (None, Log.MAIL_REPEATED)
        decided = [each for each in drive.outcomes if each.log is Log.MAIL_DECIDED]
        assert len([each for each in decided if each.facts["mail"].value == work.seal]) == 1
        drive.work()
        assert drive.mail(work.seal).state is MailState.SETTLED
        assert all(each in ("integrated", "not_owed") for each in links(drive))


@pytest.mark.parametrize("raw", [UNREADABLE, letter(document(LEA))], ids=["not readable", "usual"])
def test_a_mail_of_another_mailbox_that_takes_the_row_meanwhile_keeps_it(raw):
    """Ours was dropped into the store by another producer and has no row yet."""

    def prepare(drive):
        drive.ports.inbox.deliver(raw)
        drive.ports.store.put_mail("other", seal_of(raw), raw)
        drive.arrive()
        return read_mail(drive.ports.store.read.pop())

    def theirs(drive, _work):
        list(collect(HOSPITAL.mailboxes[0], "me", drive.ports))

    for drive, work, _ in moments(prepare, theirs, lambda d, w: match(w, d.ports)):
        found = drive.mail(work.seal)
        if found.mailbox == "other":  # ours was written down first
            assert found.state is MailState.DECIDED
            found = drive.mail(digest("mail", "app", work.seal))
        assert (work.mailbox, found.mailbox) == ("other", "app")
        assert (found.state, found.key) == (MailState.RECEIVED, f"incoming/app/{work.seal}.eml")


def arrival(raw):
    """What `parse` is given, once the mail was collected."""

    def collected(drive):
        drive.ports.inbox.deliver(raw)
        drive.collect()
        return Arrival(drive.ports.store.arrivals.pop(), "app")

    return collected


@pytest.mark.parametrize("raw", [FILED, STRANGE], ids=["filed", "quarantined"])
def test_a_copy_counted_while_a_mail_is_read_to_its_end_is_kept(raw):
    def a_copy(drive, _arrival):
        drive.ports.inbox.deliver(raw)
        drive.collect()

    for drive, _, log in moments(arrival(raw), a_copy, lambda d, one: parse(one, d.ports)):
        found = drive.mail(seal_of(raw))
        assert log in (Log.MAIL_FILED, Log.MAIL_QUARANTINED)
        assert (found.copies, found.state) == (2, MailState.SETTLED)


@pytest.mark.parametrize("raw", [FILED, STRANGE], ids=["filed", "quarantined"])
def test_of_two_workers_that_read_one_mail_to_its_end_one_ends_it(raw):
    def the_other(drive, one):
        drive.outcomes.append(parse(one, drive.ports))

    for drive, _, log in moments(arrival(raw), the_other, lambda d, one: parse(one, d.ports)):
        assert log in (None, Log.MAIL_REPEATED)
        assert drive.outcomes[-1].log in (Log.MAIL_FILED, Log.MAIL_QUARANTINED)
        assert drive.mail(seal_of(raw)).state is MailState.SETTLED


def test_a_second_look_at_a_mail_that_waits_claims_and_joins_nothing():
    settings = replace(HOSPITAL, match=replace(HOSPITAL.match, grace_s=3600))
    drive = Drive(settings, patients=(), table=(table := MeddlingTable()))
    work = announced(drive, letter(document(LEA)))
    assert match(work, drive.ports).log is Log.MAIL_AWAITS_FEED
    assert links(drive) == ["waiting"]
    table.journal.clear()
    assert match(Job(work.seal), drive.ports).log is Log.MAIL_AWAITS_FEED
    assert [call for call, _ in table.journal] == ["get", "get"], "the mail, and who overtook it"
    assert not any(pk.startswith("SAME#") for pk in sum((each for _, each in table.journal), ()))


def test_a_look_that_finds_nothing_new_writes_nothing_down():
    settings = replace(HOSPITAL, match=replace(HOSPITAL.match, grace_s=3600))
    drive = Drive(settings, patients=(), table=MeddlingTable())
    work = announced(drive, letter(document(LEA)))
    match(work, drive.ports)
    before = dict(drive.ports.table.rows)
    drive.clock.advance(60)
    match(drive.ports.jobs.queues[Step.MATCH].popleft(), drive.ports)
    assert drive.ports.table.rows == before
    assert len(drive.ports.jobs.queues[Step.MATCH]) == 1


def test_a_mail_decided_in_the_midst_of_its_second_look_is_decided_once():
    settings = replace(HOSPITAL, match=replace(HOSPITAL.match, grace_s=3600))
    drive = Drive(settings, patients=(), table=(table := MeddlingTable()))
    work = announced(drive, letter(document(LEA)))
    match(work, drive.ports)
    drive.ports.patients = Drive().ports.patients
    table.meddle(3, lambda: match(Job(work.seal), drive.ports))
    with pytest.raises(Unavailable):
        match(Job(work.seal), drive.ports)
    drive.work()
    assert drive.mail(work.seal).route is Route.INTEGRATED
    assert len(drive.ports.hospital.accepted) == 1
