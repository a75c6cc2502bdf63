"""A doubt about order or about who a number is may take a qualification away, and nothing else."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from infra.local.invented.identity_messages import Told, message
from pfi.ins.bulk import Source, tell
from pfi.ins.concordance import qualified
from pfi.journey.feed import feed
from tests.data.builders import LEA, YANN
from tests.doubles.patient_base import FEED
from tests.unit.feed.test_rules import Story

OTHER = replace(LEA, ipp="900091")
NEW = replace(LEA, ipp="900092")
LOST = replace(LEA, body="", status="PROV")


@pytest.fixture
def story():
    return Story()


# --- numbers that were left


def test_a_doubt_under_the_old_number_takes_the_qualification_away(story):
    story.tell("A28", LEA).tell("A47", NEW, replaced=(LEA.ipp,))
    story.tell("A08", replace(LEA, status="PROV", used_name="OTHER"))
    assert (story.code, qualified(story.record(NEW.ipp))) == ("AA", False)
    assert story.record(NEW.ipp).traits == LEA.traits
    assert qualified(story.tell("A31", NEW).record(NEW.ipp))


def test_the_same_said_under_the_old_number_changes_nothing(story):
    story.tell("A28", LEA).tell("A47", NEW, replaced=(LEA.ipp,)).tell("A08", LEA)
    assert story.record(NEW.ipp) == NEW.record


REUSED = replace(YANN, ipp=LEA.ipp)


@pytest.mark.parametrize("trigger", ["A28", "A31"])
@pytest.mark.parametrize("changed_at", ["", "20200101000000"])
def test_a_number_given_to_somebody_else_gives_nothing_to_the_one_who_left_it(
    story, trigger, changed_at
):
    story.tell("A28", LEA, changed_at="20190101000000")
    story.tell("A47", NEW, replaced=(LEA.ipp,), changed_at="20190101000000")
    story.tell(trigger, REUSED, changed_at=changed_at)
    assert (story.code, b"PFI-PAM-03" in story.answer.ack) == ("AE", True)
    left = story.record(NEW.ipp)
    assert (left.traits, qualified(left)) == (LEA.traits, False)
    assert (YANN.matricule, str(YANN.oid)) not in left.aliases
    assert not story.record(LEA.ipp).active


def test_an_ins_said_under_the_old_number_cannot_stand_for_what_is_missing_here(story):
    """Two clocks: by PID-33 the first INS is the latest, by the events the second one is."""
    story.tell("A28", replace(NEW, body=YANN.body))
    story.tell("A47", NEW, replaced=(LEA.ipp,), changed_at="20190101000000")
    assert not qualified(story.record(NEW.ipp))
    story.tell("A28", replace(LEA, body=YANN.body))
    assert not qualified(story.record(NEW.ipp))


def test_a_change_of_number_that_comes_after_the_reuse_is_for_a_person(story):
    story.tell("A28", REUSED, at="20260514100000")
    story.tell("A47", NEW, replaced=(LEA.ipp,), at="20260514090000")
    assert (story.code, story.record(NEW.ipp).traits) == ("AE", LEA.traits)
    assert not qualified(story.record(NEW.ipp))


# --- two clocks: PID-33 and the event


def test_a_loss_with_a_later_event_stands_even_when_its_state_is_older(story):
    story.tell("A08", LEA, at="20260514090005")
    story.tell("A31", LOST, at="20260514090010", changed_at="20260514090000")
    assert not qualified(story.record())
    assert "stale" in story.notes
    assert qualified(story.tell("A31", LEA, at="20260514090011").record())


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0), (1, 0, 2)])
def test_a_gain_of_an_older_state_does_not_undo_the_loss(story, order):
    other = replace(LEA, body=YANN.body)
    messages = [
        Told(trigger="A28", at="20260514090000", patient=LEA),
        Told(trigger="A31", at="20260514091000", patient=LOST, changed_at="20260514080000"),
        Told(trigger="A31", at="20260514092000", patient=other, changed_at="20260514083000"),
    ]
    for told in (messages[n] for n in order):
        feed(message(told), FEED, story.ports)
    assert not qualified(story.record())


@pytest.mark.parametrize("day", ["20260514", "2026051410", "202605141000", "202605"])
def test_a_state_told_to_the_day_is_of_the_time_of_the_event(story, day):
    story.tell("A28", LEA, at="20260514080000")
    story.tell("A31", LOST, at="20260514100030", changed_at=day)
    assert (story.record().status, qualified(story.record())) == ("PROV", False)


def test_a_state_of_another_day_is_of_that_day(story):
    story.tell("A28", LEA, at="20260514080000")
    story.tell("A31", replace(LEA, used_name="OTHER"), at="20260514090000", changed_at="20260513")
    assert story.record().traits == LEA.traits
    assert (story.code, story.notes) == ("AA", {"stale"})


def test_a_loss_in_the_hour_that_comes_twice_stands(story):
    story.ports.now = lambda: datetime(2026, 11, 22, tzinfo=UTC)
    story.tell("A28", LEA, at="20261025025000").tell("A31", LOST, at="20261025021000")
    assert not qualified(story.record())
    assert qualified(story.tell("A31", LEA, at="20261025030001").record())


def test_a_doubt_after_an_unlink_does_not_confirm_the_old_ins(story):
    story.tell("A28", LEA, at="20260514080000", changed_at="20260514080000")
    story.tell("A40", YANN, replaced=(LEA.ipp,), at="20260514083000")
    story.tell("A37", YANN, replaced=(LEA.ipp,), at="20260514084000")
    story.tell("A31", LOST, at="20260514085000", changed_at="20260514075900")
    assert not qualified(story.record())
    story.tell("A31", LEA, at="20260514085100", changed_at="20260514075900")
    assert not qualified(story.record())
    story.tell("A31", LEA, at="20260514085200", changed_at="20260514080000")
    assert qualified(story.record())


def test_a_merge_into_an_identity_confirms_it_after_an_unlink(story):
    then = "20260101120000"
    story.tell("A28", LEA, changed_at=then).tell("A40", OTHER, replaced=(LEA.ipp,))
    story.tell("A37", OTHER, replaced=(LEA.ipp,))
    assert not qualified(story.record())
    story.tell("A40", LEA, changed_at=then, replaced=("900077",))
    assert qualified(story.record())


def test_of_two_undone_merges_the_last_undoing_counts(story):
    first, second = replace(LEA, ipp="900071"), replace(LEA, ipp="900072")
    story.tell("A28", LEA)
    for survivor in (first, second):
        story.tell("A40", survivor, replaced=(LEA.ipp,))
        story.tell("A37", survivor, replaced=(LEA.ipp,))
        assert not qualified(story.record())
        story.tell("A31", LEA, at="20260514050000") if survivor is first else None
    assert not qualified(story.record())


def test_a_merged_line_of_a_file_says_nothing_of_the_one_it_names(story):
    story.tell("A28", LEA).tell("A40", OTHER, replaced=(LEA.ipp,))
    story.tell("A37", OTHER, replaced=(LEA.ipp,))
    line = replace(YANN.record, merged_into=LEA.ipp)
    known = {ipp: filed.kept for (_, ipp), filed in story.ports.base.filed.items()}
    told = tell(line, 1, Source("file", "20260515000000"), known)
    after = known | {kept.record.ipp: kept for kept in told.changes}
    assert after[YANN.ipp].record.merged_into == LEA.ipp
    assert not qualified(after[LEA.ipp].record)
