"""Whose place it is that the ledger knows; what becomes of mails that a mailbox does not let go."""

from contextlib import suppress
from dataclasses import replace

import pytest

from pfi.errors import Unavailable
from pfi.journey.ledger import Place
from pfi.journey.outcome import Log, Metric
from pfi.names import Reason, Route
from tests.data.builders import LEA, YANN, document
from tests.doubles.drive import HOSPITAL, Drive
from tests.doubles.memory import MemoryMailbox
from tests.unit.journey.test_accounts import named
from tests.unit.journey.test_collecting import RAW, drive, place_of, places, seal_of
from tests.unit.journey.test_routes import letter

OTHER = letter(document(YANN, document_id="2.25.77", set_id="2.25.77"), number=77)
LONGEST = max(len(RAW), len(OTHER)) + 1
MOST = 3
FEW = replace(HOSPITAL, operator=replace(HOSPITAL.operator, mails_per_run=MOST))


class Refusing(MemoryMailbox):
    """Says NO to the move of these."""

    kept: frozenset[int] = frozenset({1})

    def move(self, uid, folder):
        if uid in self.kept:
            raise Unavailable(Reason.MAILBOX_UNAVAILABLE)
        super().move(uid, folder)


class Keeping(MemoryMailbox):
    """Says OK to each move, and keeps the mail."""

    def move(self, uid, folder):
        pass


class Down(MemoryMailbox):
    def listing(self):
        raise Unavailable(Reason.MAILBOX_UNAVAILABLE)


def poll_fails(one):
    one.ports.inbox = Down()
    with suppress(Unavailable):
        one.collect()


def told(one):
    return [each.log for each in one.collect()]


def stayed(outcomes):
    """What the poll counts as failed tries."""
    return sum(each.counts.get(Metric.STEP_ERRORS, 0) for each in outcomes)


# --- another account, another mail


def as_before(settings):
    return settings


def at_another_operator(settings):
    return replace(settings, operator=replace(settings.operator, imap_host="imap.autre.fr"))


def at_another_address(settings):
    [mailbox] = settings.mailboxes
    return replace(settings, mailboxes=(replace(mailbox, address="b@ch-invente.mssante.fr"),))


@pytest.mark.parametrize("ended", ["well", "badly"])
@pytest.mark.parametrize(
    ("moved_to", "size"),
    [
        (at_another_operator, LONGEST),
        (at_another_address, LONGEST),
        (as_before, LONGEST + 1),
    ],
)
def test_the_uid_of_a_mail_collected_before_says_nothing_of_another_account_or_size(
    moved_to, size, ended
):
    """Servers that number from 1 again, restored or another: the new mail is read."""
    one = drive()
    one.process(RAW.ljust(LONGEST))
    if ended == "badly":
        poll_fails(one)
    one.ports.settings = moved_to(one.ports.settings)
    one.ports.inbox = MemoryMailbox(uid_validity=1)
    [found] = one.process(OTHER.ljust(size))
    assert (found.route, found.copies) == (Route.INTEGRATED, 1)
    assert one.ports.inbox.folders[HOSPITAL.operator.processed_folder] == [OTHER.ljust(size)]
    assert named(one) == set()


def test_the_case_of_a_name_makes_no_other_account():
    [mailbox] = HOSPITAL.mailboxes
    loud = replace(HOSPITAL, mailboxes=(replace(mailbox, address=mailbox.address.upper()),))
    one = drive()
    refuses(one)
    one.ports.inbox.deliver(RAW)
    one.collect()
    one.ports.settings = loud
    assert told(one) == [Log.MAIL_NOT_MOVED, Log.MAILBOX_POLLED]


def test_a_mail_that_an_earlier_version_committed_and_did_not_move_is_integrated_once():
    """Its place bears no account there: it is read again, and its bytes tell that it is known."""
    one = drive()
    refuses(one)
    [found] = one.process(RAW)
    rows = one.ports.table.rows
    rows["PLACE#app", "1#1"] = replace(rows.pop(place_of(1)), pk="PLACE#app", sk="1#1")
    one.ports.inbox.kept = frozenset()
    one.collect()
    one.work()
    again = one.mail(found.mail)
    assert (again.route, again.copies, len(one.ports.hospital.received)) == (found.route, 2, 1)
    assert one.ports.inbox.inbox == {}
    assert named(one) == set()


# --- mails that stay


def refuses(one):
    one.ports.inbox = Refusing()


def kept(one, count):
    """The server keeps so many mails that are committed."""
    one.ports.inbox = Keeping()
    for number in range(count):
        one.ports.inbox.deliver(letter(document(LEA), number=number))
        one.collect()
    one.collect()


def test_a_committed_mail_that_cannot_be_moved_keeps_no_other_waiting_and_shows():
    one = drive()
    refuses(one)
    one.ports.inbox.deliver(RAW)
    assert stayed(one.collect()) == 1
    one.ports.inbox.deliver(OTHER)
    outcomes = one.collect()
    assert [each.log for each in outcomes] == [
        Log.MAIL_COLLECTED,
        Log.MAIL_NOT_MOVED,
        Log.MAILBOX_POLLED,
    ]
    assert outcomes[1].facts["reason"] is Reason.MAILBOX_UNAVAILABLE
    assert stayed(outcomes) == 1
    assert one.ledger.poll_age("app") == 0
    one.ports.inbox.kept = frozenset()
    assert told(one) == [Log.MAIL_SEEN, Log.MAILBOX_POLLED]
    assert one.ports.inbox.inbox == {}
    assert stayed(one.collect()) == 0


def test_mails_that_a_server_keeps_in_spite_of_its_ok_take_no_turn_and_show():
    one = Drive(FEW)
    kept(one, 5 * MOST)  # more than the look-up of a backlog would see
    one.ports.inbox.deliver(OTHER)
    outcomes = one.collect()
    assert outcomes[0].facts["mail"].value == seal_of(OTHER)
    assert outcomes[0].log is Log.MAIL_COLLECTED
    assert [each.log for each in outcomes[1:-1]] == [Log.MAIL_SEEN] * 5 * MOST
    assert stayed(outcomes) == 5 * MOST


def test_mails_for_which_a_poll_had_no_time_to_move_them_are_not_read_again_by_the_next():
    one = drive()
    kept(one, 2)
    listing = one.ports.inbox.listing

    def slowly():
        one.clock.advance(HOSPITAL.operator.run_budget_s + 1)
        return listing()

    one.ports.inbox.listing = slowly
    assert told(one) == [Log.MAILBOX_POLLED]
    one.ports.inbox.listing = listing
    fetches = one.ports.inbox.fetches
    assert told(one) == [Log.MAIL_SEEN, Log.MAIL_SEEN, Log.MAILBOX_POLLED]
    assert one.ports.inbox.fetches == fetches


def test_looking_places_up_takes_half_of_the_time_of_a_poll_at_most():
    one = drive()
    kept(one, 1)
    for uid in range(2, 250):
        one.ports.inbox.inbox[uid] = b"Subject: %d\r\n\r\n" % uid
    one.ports.table.journal.clear()
    get_all = one.ports.table.get_all

    def slowly(*keys):
        one.clock.advance(HOSPITAL.operator.run_budget_s / 2 + 1)
        return get_all(*keys)

    one.ports.table.get_all = slowly
    assert Log.MAIL_COLLECTED not in told(one)
    assert [len(each) for each in places(one)[1]] == [100]


def test_a_mail_too_large_that_cannot_be_moved_keeps_no_other_waiting():
    limits = replace(HOSPITAL.limits, mail_bytes=len(RAW))
    one = drive(replace(HOSPITAL, limits=limits))
    refuses(one)
    one.ports.inbox.deliver(RAW + b" ")
    one.ports.inbox.deliver(RAW)
    outcomes = one.collect()
    assert [each.log for each in outcomes[:2]] == [Log.MAIL_SET_ASIDE, Log.MAIL_COLLECTED]
    assert stayed(outcomes) == 1


class Kept(Refusing):
    kept = frozenset(range(1, MOST + 1))


def at_last(one):
    """Mails that failed as often as one may, in the polls before."""
    for uid in range(1, MOST + 1):
        tries = 20 * HOSPITAL.operator.fetch_attempts
        one.ledger.write(one.ledger.place_put(place_of(uid), Place(tries=tries), None))
    poll_fails(one)


def too_large(one):
    limits = replace(HOSPITAL.limits, mail_bytes=len(RAW))
    one.ports.settings = replace(one.ports.settings, limits=limits)


@pytest.mark.parametrize("inbox", [Kept, Keeping])
def test_mails_set_aside_that_stay_take_no_turn_and_are_in_review_once(inbox):
    one = Drive(FEW)
    too_large(one)
    one.ports.inbox = inbox()
    for number in range(MOST):
        one.ports.inbox.deliver(RAW + b" " * (1 + number))
    one.ports.inbox.deliver(RAW)
    reviews, logs = 0, []
    for _ in range(5):
        outcomes = one.collect()
        reviews += len(one.ports.jobs.review)
        one.ports.jobs.review.clear()
        logs += [each.log for each in outcomes]
    assert reviews == MOST
    assert logs.count(Log.MAIL_COLLECTED) == 1
    assert stayed(outcomes) >= MOST, "and it shows"
    one.ports.inbox.__class__ = MemoryMailbox
    one.collect()
    assert len(one.ports.inbox.folders[HOSPITAL.operator.set_aside_folder]) == MOST
    assert one.ports.inbox.inbox == {}
    one.collect()
    assert stayed(one.collect()) == 0


def test_mails_tried_too_often_that_stay_take_no_turn_either():
    one = Drive(FEW)
    at_last(one)
    one.ports.inbox = Kept()
    for _ in range(MOST):
        one.ports.inbox.deliver(RAW)
    assert told(one).count(Log.MAIL_SET_ASIDE) == MOST
    one.ports.inbox.deliver(OTHER)
    one.ports.jobs.review.clear()
    assert told(one) == [Log.MAIL_COLLECTED, *[Log.MAIL_NOT_MOVED] * MOST, Log.MAILBOX_POLLED]
    assert one.ports.jobs.review == []


def test_a_mail_set_aside_whose_review_is_closed_is_not_opened_again_by_its_place():
    """An earlier version wrote no such place: the row of the mail tells."""
    one = drive()
    too_large(one)
    one.ports.inbox = Kept()
    one.ports.inbox.deliver(RAW + b" ")
    one.collect()
    rows = one.ports.table.rows
    for key in [key for key in rows if key[0].startswith("PLACE#")]:
        del rows[key]
    one.ports.jobs.review.clear()
    assert told(one)[0] is Log.MAIL_SET_ASIDE
    assert told(one)[0] is Log.MAIL_NOT_MOVED
    assert one.ports.jobs.review == []
