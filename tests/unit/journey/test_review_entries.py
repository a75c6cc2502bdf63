"""An entry of the review rings once, whoever comes between, however often its job comes back."""

from dataclasses import replace

import pytest

from pfi.errors import Unavailable
from pfi.journey.outcome import Metric
from pfi.journey.review import DeadLetter, review
from pfi.names import Reason, Step
from tests.data.builders import LEA, document
from tests.doubles.drive import Drive
from tests.doubles.meddling import MeddlingTable
from tests.unit.journey.test_routes import letter

ONCE = {Metric.REVIEW_ENTRIES: 1}


@pytest.fixture
def drive():
    return Drive(table=MeddlingTable())


@pytest.fixture
def dead(drive):
    [found] = drive.process(letter(document(LEA)))
    return DeadLetter(Step.PUSH, found.mail, 1, Reason.DPI_MAYBE_TWICE, 1)


def fails_once(drive, kind, how):
    """The next write of such a row."""
    write = drive.ports.table.write

    def failing(*writes):
        if not writes[0].pk.startswith(kind):
            return write(*writes)
        drive.ports.table.write = write
        return how()

    drive.ports.table.write = failing


def lost():
    return False


def unavailable():
    raise Unavailable(Reason.STORE_UNAVAILABLE)


def until_done(dead, drive):
    """What is counted in all, the letter coming back as often as it must."""
    told = []
    for _ in range(3):
        try:
            told.append(review(dead, drive.ports).counts)
        except Unavailable:
            continue
    return [each for each in told if each]


@pytest.mark.parametrize("how", [lost, unavailable])
@pytest.mark.parametrize("kind", ["MAIL#", "REVIEW#"])
def test_an_entry_is_counted_once_whichever_write_fails(drive, dead, kind, how):
    fails_once(drive, kind, how)
    assert until_done(dead, drive) == [ONCE]
    [item] = drive.ledger.reviews(dead.mail)
    assert (item.status, drive.mail(dead.mail).review) == ("open", True)


def test_a_letter_that_comes_twice_is_one_entry(drive, dead):
    assert until_done(dead, drive) == [ONCE]


def test_an_item_that_a_person_had_in_hand_is_open_again_when_the_job_fails_at_that_moment(
    drive, dead
):
    """The redrive is leaving the index just then: the new failure must not be lost with it."""
    review(dead, drive.ports)
    as_status(drive, "redriving")
    drive.ports.table.meddle(3, lambda: as_status(drive, "redriven"))
    assert review(dead, drive.ports).counts == ONCE
    assert drive.ports.table.meddled
    assert [each.status for each in drive.ledger.reviews(dead.mail)] == ["open"]


def as_status(drive, status):
    [(key, row)] = [x for x in drive.ports.table.rows.items() if x[0][0].startswith("REVIEW#")]
    data = {**row.data, "status": status}
    drive.ports.table.rows[key] = replace(row, data=data, revision=row.revision + 1)
