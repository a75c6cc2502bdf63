"""What a poll asks of the ledger, and what it does after one that did not end well."""

import hashlib
from contextlib import suppress
from dataclasses import replace

import pytest

from pfi.errors import Unavailable
from pfi.journey.collect import collect
from pfi.journey.keys import place_key
from pfi.journey.ledger import Lease, Ledger, Place
from pfi.journey.outcome import Log
from pfi.journey.records import MailState
from pfi.names import Reason, Route
from tests.data.builders import LEA, document
from tests.doubles.drive import HOSPITAL, Drive
from tests.doubles.meddling import Died, MeddlingTable
from tests.unit.journey.test_routes import letter

ATTEMPTS = HOSPITAL.operator.fetch_attempts
LEASE_S = HOSPITAL.operator.run_budget_s + 2 * HOSPITAL.operator.timeout_s + 1
RAW = letter(document(LEA))


def seal_of(raw):
    return hashlib.sha256(raw).hexdigest()


def drive(settings=HOSPITAL):
    return Drive(settings, table=MeddlingTable())


def place_of(uid, raw=RAW):
    """Where a mail lies in the mailbox of this account."""
    return place_key(HOSPITAL.mailboxes[0], HOSPITAL.operator.imap_host, 1, uid, len(raw))


def places(one):
    """What the ledger says of each place, and what was asked of places."""
    told = {sk: row.data for (pk, sk), row in one.ports.table.rows.items() if "PLACE#" in pk}
    asked = one.ports.table.asked("get") + one.ports.table.asked("get_all")
    return told, [each for each in asked if "PLACE#" in each[0]]


def logs(one):
    """Of a poll: what it said."""
    return [each.log for each in one.collect() if each.log is not Log.MAILBOX_POLLED]


def killed(one, raw):
    """A poll that dies of this mail: nothing of it, not even its end, is written down."""
    with pytest.MonkeyPatch.context() as patched, suppress(Died):
        patched.setattr(Ledger, "release", lambda *_, **__: None)
        fetch = one.ports.inbox.fetch

        def deadly(uid, size):
            if size and one.ports.inbox.inbox.get(uid) == raw:  # its header does no harm
                raise Died
            return fetch(uid, size)

        patched.setattr(one.ports.inbox, "fetch", deadly, raising=False)
        one.outcomes += list(collect(one.ports.settings.mailboxes[0], "me", one.ports))
    one.clock.advance(LEASE_S)


# --- the usual poll


def test_a_usual_poll_asks_for_no_place_and_counts_no_try():
    one = drive()
    for number in range(3):
        one.ports.inbox.deliver(letter(document(LEA), number=number))
        one.ports.table.journal.clear()
        assert logs(one) == [Log.MAIL_COLLECTED]
        told, asked = places(one)
        assert asked == []
        assert {each["tries"] for each in told.values()} == {0}
        assert len(one.ports.table.asked("write")) == 3, "lease, commit, release"


def test_the_mail_and_its_place_are_committed_in_one_transaction_after_the_bytes_are_stored():
    one = drive()
    one.ports.inbox.deliver(RAW)
    commit = next_commit(one)
    one.collect()
    stored, partitions = commit
    assert stored == [f"incoming/app/{seal_of(RAW)}.eml"]
    assert sorted(partitions) == [f"MAIL#{seal_of(RAW)}", place_of(1)[0]]
    found = one.mail(seal_of(RAW))
    assert (found.copies, found.dossier) == (1, f"documents/{seal_of(RAW)}/app/dossier.json")


def next_commit(one):
    """What was in the store, and the rows, when the next transaction is written."""
    seen, write = [], one.ports.table.write

    def watched(*writes):
        if len(writes) > 1 and not seen:
            seen.extend((list(one.ports.store.objects), [each.pk for each in writes]))
        return write(*writes)

    one.ports.table.write = watched
    return seen


def test_a_mailbox_in_other_hands_is_left_alone_and_told():
    one = drive()
    one.ports.inbox.deliver(RAW)
    one.ledger.lease("app", "another", 60)
    assert [each.log for each in one.collect()] == [Log.MAILBOX_BUSY]
    assert one.ports.inbox.fetches == 0


@pytest.mark.parametrize(
    ("ended", "lease"),
    [
        ({"polled": True, "well": True}, Lease.TAKEN),
        ({"polled": True, "well": False}, Lease.ANEW),
        ({"polled": False, "well": False}, Lease.ANEW),
        (None, Lease.ANEW),
    ],
)
def test_a_lease_says_how_the_poll_before_it_ended(ended, lease):
    one = drive()
    assert one.ledger.lease("app", "me", 60) is Lease.TAKEN
    assert one.ledger.lease("app", "you", 60) is Lease.BUSY
    if ended:
        one.ledger.release("app", "me", **ended)
    one.clock.advance(61)
    assert one.ledger.lease("app", "you", 60) is lease


def test_the_end_of_a_lease_that_somebody_else_has_taken_says_nothing():
    one = drive()
    one.ledger.lease("app", "me", 60)
    one.clock.advance(61)
    one.ledger.lease("app", "you", 60)
    one.ledger.release("app", "me", polled=True, well=True)
    assert one.ledger.lease("app", "they", 60) is Lease.BUSY


def test_after_an_upgrade_the_first_poll_looks_every_mail_up():
    """Version 0.2 did not say how its polls ended."""
    one = drive()
    one.collect()
    row = one.ports.table.rows["LEASE#app", "LEASE"]
    data = {name: value for name, value in row.data.items() if name != "well"}
    one.ports.table.rows["LEASE#app", "LEASE"] = replace(row, data=data)
    one.ports.inbox.deliver(RAW)
    assert logs(one) == [Log.MAIL_COLLECTED]
    told, asked = places(one)
    assert len(asked) == 1
    assert [each["tries"] for each in told.values()] == [1]


# --- after one that did not end well


def test_a_poll_that_died_makes_the_next_one_look_up_and_count_its_tries_before_them():
    one = drive()
    assert logs(one) == []
    one.ports.inbox.deliver(RAW)
    killed(one, RAW)
    assert places(one) == ({}, [])
    killed(one, RAW)
    told, asked = places(one)
    assert (list(told.values()), len(asked)) == ([{"tries": 1, "mail": None}], 1)
    assert logs(one) == [Log.MAIL_COLLECTED]
    assert places(one)[0] == {place_of(1)[1]: {"tries": 2, "mail": seal_of(RAW)}}


def test_a_poll_whose_mailbox_failed_makes_the_next_one_look_up_and_that_one_the_last():
    one = drive()
    fetch = one.ports.inbox.fetch

    def failing(*_):
        one.ports.inbox.fetch = fetch
        raise Unavailable(Reason.MAILBOX_UNAVAILABLE)

    one.ports.inbox.fetch = failing
    one.ports.inbox.deliver(RAW)
    with pytest.raises(Unavailable):
        one.collect()
    assert logs(one) == [Log.MAIL_COLLECTED]
    assert len(places(one)[1]) == 1
    one.ports.table.journal.clear()
    one.ports.inbox.deliver(letter(document(LEA), number=2))
    assert logs(one) == [Log.MAIL_COLLECTED]
    assert places(one)[1] == []


def test_a_mail_that_kills_the_collector_each_time_is_set_aside_at_last_while_others_pass():
    one = drive()
    one.ports.inbox.deliver(RAW)
    others = [letter(document(LEA), number=10 + n) for n in range(ATTEMPTS + 2)]
    for other in others:
        one.ports.inbox.deliver(other)
        killed(one, RAW)
    assert one.ports.inbox.folders[HOSPITAL.operator.set_aside_folder] == [RAW]
    assert one.ports.inbox.inbox == {}
    [aside] = [each for each in one.outcomes if each.log is Log.MAIL_SET_ASIDE]
    assert aside.facts["reason"] is Reason.MAILBOX_UNAVAILABLE
    kept = one.mail(aside.facts["mail"].value)
    assert (kept.state, kept.route, kept.review) == (MailState.SETTLED, Route.REVIEW, True)
    assert [one.mail(seal_of(other)).copies for other in others] == [1] * len(others)


def test_a_mail_that_fails_alone_has_more_patience():
    """Then it may be the mailbox or the store that fails."""
    one = drive()
    one.ports.inbox.deliver(RAW)
    for _ in range(ATTEMPTS + 3):
        killed(one, RAW)
    assert logs(one) == [Log.MAIL_COLLECTED]


def test_the_mail_least_often_tried_comes_first():
    one = drive()
    one.ports.inbox.deliver(RAW)
    killed(one, RAW)
    killed(one, RAW)
    one.ports.inbox.deliver(letter(document(LEA), number=2))
    found = [each.facts["mail"].value for each in one.collect() if "mail" in each.facts]
    assert found == [seal_of(letter(document(LEA), number=2)), seal_of(RAW)]


def test_a_try_that_cannot_be_written_down_is_not_made():
    one = drive()
    one.ports.inbox.deliver(RAW)
    killed(one, RAW)
    one.ports.inbox.fetches = 0

    def another_polls():
        one.ledger.write(one.ledger.place_put(place_of(1), Place(), None))

    one.ports.table.meddle(4, another_polls)  # before the try is written: lease ×2, place
    one.collect()
    assert one.ports.table.meddled
    assert one.ports.inbox.fetches == 0


def test_a_commit_whose_place_was_taken_meanwhile_counts_no_second_copy():
    one = drive()
    one.ports.inbox.deliver(RAW)
    fetch = one.ports.inbox.fetch

    def slowly(uid, size):
        one.ports.inbox.fetch = fetch
        raw = fetch(uid, size)
        one.clock.advance(LEASE_S)
        list(collect(HOSPITAL.mailboxes[0], "another", one.ports))
        return raw

    one.ports.inbox.fetch = slowly
    assert logs(one) == [Log.MAIL_SEEN]
    assert one.mail(seal_of(RAW)).copies == 1
    assert len(one.ports.inbox.folders[HOSPITAL.operator.processed_folder]) == 1


def test_a_place_that_was_tried_but_not_committed_is_committed_with_its_tries():
    one = drive()
    one.ports.inbox.deliver(RAW)
    one.ledger.write(one.ledger.place_put(place_of(1), Place(tries=2), None))
    assert logs(one) == [Log.MAIL_COLLECTED]
    assert places(one)[0] == {place_of(1)[1]: {"tries": 2, "mail": seal_of(RAW)}}
    assert one.mail(seal_of(RAW)).copies == 1


def test_the_same_bytes_twice_in_one_poll_are_two_copies_of_one_mail():
    one = drive()
    one.ports.inbox.deliver(RAW)
    one.ports.inbox.deliver(RAW)
    assert logs(one) == [Log.MAIL_COLLECTED] * 2
    assert one.mail(seal_of(RAW)).copies == 2


def test_the_same_bytes_in_two_mailboxes_are_collected_as_two_mails():
    other = replace(HOSPITAL.mailboxes[0], id="other", address="b@ch-invente.mssante.fr")
    one = drive(replace(HOSPITAL, mailboxes=(*HOSPITAL.mailboxes, other)))
    for mailbox in one.ports.settings.mailboxes:
        one.ports.inbox.deliver(RAW)
        told = list(collect(mailbox, "me", one.ports))
        assert told[0].log is Log.MAIL_COLLECTED
    ours, theirs = one.mail(seal_of(RAW)), one.mail(told[0].facts["mail"].value)
    assert [(each.mailbox, each.copies) for each in (ours, theirs)] == [("app", 1), ("other", 1)]
    assert theirs.dossier == f"documents/{seal_of(RAW)}/other/dossier.json"


def test_a_commit_that_never_succeeds_is_given_up_and_nothing_is_moved():
    one = drive()
    one.ports.inbox.deliver(RAW)
    write = one.ports.table.write
    one.ports.table.write = lambda *writes: len(writes) == 1 and write(*writes)
    with pytest.raises(Unavailable):
        one.collect()
    assert list(one.ports.inbox.inbox.values()) == [RAW]


# --- the move


def fails_to_move(one):
    move = one.ports.inbox.move

    def failing(*_):
        one.ports.inbox.move = move
        raise Unavailable(Reason.MAILBOX_UNAVAILABLE)

    one.ports.inbox.move = failing


def test_a_mail_that_could_not_be_moved_is_collected_and_only_moved_by_the_next_poll():
    one = drive()
    fails_to_move(one)
    one.ports.inbox.deliver(RAW)
    assert logs(one) == [Log.MAIL_COLLECTED]
    assert list(one.ports.inbox.inbox.values()) == [RAW]
    one.read()
    assert logs(one) == [Log.MAIL_SEEN]
    assert (one.ports.inbox.fetches, one.mail(seal_of(RAW)).copies) == (1, 1)
    assert one.ports.inbox.folders[HOSPITAL.operator.processed_folder] == [RAW]
    assert one.ports.store.arrivals == []


def test_the_others_of_a_poll_pass_although_one_could_not_be_moved():
    one = drive()
    fails_to_move(one)
    for number in (1, 2):
        one.ports.inbox.deliver(letter(document(LEA), number=number))
    assert logs(one) == [Log.MAIL_COLLECTED] * 2
    assert len(one.ports.inbox.folders[HOSPITAL.operator.processed_folder]) == 1


def test_the_poll_that_sees_a_mail_no_more_makes_the_next_one_a_usual_one():
    one = drive()
    fails_to_move(one)
    one.ports.inbox.deliver(RAW)
    for _ in range(3):  # collected, moved, gone
        one.collect()
    one.ports.table.journal.clear()
    one.ports.inbox.deliver(letter(document(LEA), number=2))
    assert logs(one) == [Log.MAIL_COLLECTED]
    assert places(one)[1] == []


def test_a_mail_that_left_the_mailbox_meanwhile_is_nobodys_fault():
    one = drive()
    uid = one.ports.inbox.deliver(RAW)
    listing = one.ports.inbox.listing

    def late():
        found = listing()
        one.ports.inbox.inbox.pop(uid, None)
        return found

    one.ports.inbox.listing = late
    assert logs(one) == []
    assert places(one) == ({}, [])


def test_a_mail_that_its_mailbox_keeps_in_spite_of_the_move_takes_no_time_from_the_others():
    """The server says that it moved it, and lists it again: it is fetched once more at most."""
    one = drive()
    for number in range(2):
        one.ports.inbox.deliver(b"Subject: %d\r\n\r\n" % number)
    one.ports.inbox.move = lambda _uid, _folder: None
    for _ in range(6):
        one.collect()
    assert one.ports.inbox.fetches == 4
    one.ports.inbox.deliver(b"Subject: new\r\n\r\n")
    one.collect()
    assert one.mail(seal_of(b"Subject: new\r\n\r\n")).copies == 1
