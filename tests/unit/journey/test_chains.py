"""Turns in a chain: order, exclusion, repeats (design decision 13, Q-29)."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from pfi.journey.chains import Chain, Link, Turn, turn
from pfi.names import Event, Integration


def link(holder, order="1", version="v1", integration=Integration.WAITING):
    return Link(holder=holder, order=order, version=version, masks="NNN", integration=integration)


def chain(*links):
    found = Chain()
    for each in links:
        found = found.joined(each)
    return found


def test_alone_it_may_go():
    assert turn(chain(link("a")), "a", None) is Turn.GO


@pytest.mark.parametrize("state", [Integration.WAITING, Integration.SENT])
def test_an_earlier_one_that_has_not_ended_is_waited_for(state):
    links = chain(link("a", "1", integration=state), link("b", "2", version="v2"))
    assert turn(links, "b", None) is Turn.WAIT


def test_a_later_one_on_the_wire_is_waited_for():
    links = chain(link("a", "1"), link("b", "2", integration=Integration.SENT))
    assert turn(links, "a", None) is Turn.WAIT


def test_a_later_one_that_waits_is_not_waited_for():
    assert turn(chain(link("a", "1"), link("b", "2")), "a", None) is Turn.GO


@pytest.mark.parametrize("state", [Integration.REFUSED, Integration.NOT_OWED, Integration.UNKNOWN])
def test_an_ended_one_of_another_version_holds_nobody_back(state):
    links = chain(link("a", "1", integration=state), link("b", "2", version="v2"))
    assert turn(links, "b", None) is Turn.GO


def test_a_parent_in_flight_is_waited_for_and_an_ended_one_is_not():
    mine = chain(link("b", "2"))
    assert turn(mine, "b", chain(link("a", "1"))) is Turn.WAIT
    ended = chain(link("a", "1", integration=Integration.INTEGRATED))
    assert turn(mine, "b", ended) is Turn.GO


def test_a_parent_that_arrived_later_is_not_waited_for():
    assert turn(chain(link("b", "2")), "b", chain(link("a", "3"))) is Turn.GO


def test_a_document_that_replaces_itself_does_not_wait_for_itself():
    mine = chain(link("b", "2"))
    assert turn(mine, "b", mine) is Turn.GO


def test_the_version_last_accepted_is_a_repeat():
    links = chain(link("a", "1", integration=Integration.INTEGRATED), link("b", "2"))
    assert turn(links, "b", None) is Turn.REPEAT


def test_a_version_accepted_before_another_one_is_no_repeat():
    links = chain(
        link("a", "1", integration=Integration.INTEGRATED),
        link("b", "2", version="deleted", integration=Integration.INTEGRATED),
        link("c", "3"),
    )
    assert turn(links, "c", None) is Turn.GO


@pytest.mark.parametrize(
    ("held", "expected"),
    [
        ({"ipp": "1", "establishment": "ch"}, Turn.REPEAT),
        ({"ipp": "2", "establishment": "ch"}, Turn.ANOTHER_PATIENT),
        ({"ipp": "2", "establishment": "ehpad"}, Turn.REPEAT),
        ({}, Turn.REPEAT),
    ],
    ids=["same IPP", "another IPP", "of another base", "not known"],
)
def test_the_version_last_accepted_is_no_repeat_under_another_ipp(held, expected):
    accepted = replace(link("a", integration=Integration.INTEGRATED), **held)
    mine = replace(link("b", order="2"), ipp="1", establishment="ch")
    assert turn(Chain((accepted, mine)), "b", None) is expected


def of(holder, order, ipp, establishment):
    """A mail of the same version for that IPP."""
    return replace(link(holder, order), ipp=ipp, establishment=establishment)


def told(found, mine):
    """The turn of a link that joins, and the chain where it was a repeat."""
    joined = found.joined(mine)
    return turn(joined, mine.holder, None), joined.moved(mine.holder, Integration.INTEGRATED)


def test_a_repeat_for_another_establishment_does_not_hide_under_which_ipp_the_dpi_holds_it():
    _, held = told(Chain(), of("a", "1", "ipp-1", "ch"))
    taken, held = told(held, of("b", "2", "ipp-9", "ehpad"))
    assert (taken, held.accepted.holder) == (Turn.REPEAT, "a")
    assert told(held, of("c", "3", "ipp-2", "ch"))[0] is Turn.ANOTHER_PATIENT
    assert told(held, of("d", "3", "ipp-1", "ch"))[0] is Turn.REPEAT


@pytest.mark.parametrize("latest", ["a", ""], ids=["told", "not told"])
def test_a_repeat_of_a_link_of_version_0_2_is_not_what_the_dpi_holds(latest):
    """That link says nothing of its IPP; the one of the repeat is not in its place."""
    before = Chain((link("a", "1", integration=Integration.INTEGRATED),), latest)
    taken, held = told(before, of("b", "2", "ipp-2", "ch"))
    assert taken is Turn.REPEAT
    assert told(held, of("c", "3", "ipp-1", "ch"))[0] is Turn.REPEAT


def test_what_was_sent_again_after_another_version_is_what_the_dpi_holds():
    _, held = told(chain(link("a", "1")), link("a", "1"))
    _, held = told(held, link("b", "2", version="deleted"))
    taken, held = told(held, link("c", "3"))
    assert (taken, held.accepted.holder) == (Turn.GO, "c")


def test_a_version_of_unknown_outcome_is_doubtful():
    links = chain(link("a", "1", integration=Integration.UNKNOWN), link("b", "2"))
    assert turn(links, "b", None) is Turn.DOUBTFUL


def test_links_of_the_same_instant_keep_the_order_of_joining():
    links = chain(link("z", "1"), link("a", "1"))
    assert (turn(links, "z", None), turn(links, "a", None)) == (Turn.GO, Turn.WAIT)


def test_joining_twice_changes_nothing():
    assert chain(link("a"), link("a")) == chain(link("a"))


ARRIVED = datetime(2026, 5, 14, 9, 0, tzinfo=UTC)
GRACE = timedelta(seconds=120)


def _place(event: Event, seconds: int, chain: Chain | None = None) -> str:
    return (chain or Chain()).place(event, ARRIVED + timedelta(seconds=seconds), GRACE)


def test_what_arrives_within_the_grace_of_its_replacement_or_deletion_goes_before_it():
    assert _place(Event.NEW, 119) < _place(Event.REPLACE, 0)
    assert _place(Event.REPLACE, 119) < _place(Event.DELETE, 0)


def test_what_arrives_later_than_that_keeps_the_order_of_arrival():
    assert _place(Event.REPLACE, 0) < _place(Event.NEW, 121)
    assert _place(Event.DELETE, 0) < _place(Event.REPLACE, 121)


def test_the_deletion_of_a_known_document_stands_right_behind_it():
    last = Link(holder="a#0001", order=_place(Event.REPLACE, 0), version="v", masks="")
    chain = Chain().joined(last)
    assert _place(Event.DELETE, 1, chain) == last.order
    assert _place(Event.DELETE, 500, chain) == (ARRIVED + timedelta(seconds=500)).isoformat()


def test_links_let_go_hold_back_nobody_and_what_is_on_the_wire_stays():
    links = chain(
        link("m#0001", "1"),
        link("m#0002", "2", integration=Integration.SENT),
        link("mm#0001", "3"),
    )
    left = [each.integration for each in links.without("m").links]
    assert left == [Integration.NOT_OWED, Integration.SENT, Integration.WAITING]
