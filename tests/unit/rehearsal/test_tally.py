"""What lines add up to: shares of what asks for work, senders, messages, differences."""

from datetime import date

import pytest

from infra.rehearsal.tally import UNREAD, Line, Tally, changes, share
from infra.rehearsal.wording import ROUTES_FR, number, outcome, percent
from pfi.names import Event, Mdn, Route


def line(rank=1, route="integrated", **values):
    values.setdefault("sender", "labo.mssante.fr")
    return Line(rank=rank, name=f"{rank}.eml", route=route, **values)


def tally(*lines):
    return Tally(lines)


def test_technical_mails_duplicates_and_unread_ones_ask_for_no_work():
    found = tally(*(line(route=each) for each in (*Route, UNREAD)))
    assert len(found.lines) == 7
    assert found.work == 4
    assert found.integrated == 1


def test_reasons_are_counted_only_where_people_have_work():
    found = tally(
        line(route="forwarded", reason="902"),
        line(route="review", reason="PFI-MAIL-01"),
        line(route="duplicate", reason="PFI-MAIL-08"),
        line(route="filed", reason="PFI-MAIL-02"),
        line(route="forwarded", reason="902"),
    )
    assert found.reasons == {"902": 2, "PFI-MAIL-01": 1}


def test_a_trait_is_counted_once_for_each_mail_that_it_kept_out():
    found = tally(
        line(route="forwarded", reason="904", traits=("sex", "birth_name")),
        line(route="forwarded", reason="904", traits=("sex",)),
        line(traits=("birth_place",)),
    )
    assert found.traits == {"sex": 2, "birth_name": 1}


def test_senders_are_told_by_domain_the_busiest_first_with_their_usual_reason():
    found = tally(
        line(sender="b.fr", route="forwarded", reason="902"),
        line(sender="a.fr"),
        line(sender="b.fr", route="forwarded", reason="904"),
        line(sender="b.fr", route="forwarded", reason="904"),
        line(sender="b.fr", route="filed"),
        line(sender="c.fr", route=UNREAD),
    ).senders
    assert list(found) == ["b.fr", "a.fr"]
    assert (found["b.fr"].mails, found["b.fr"].work, found["b.fr"].integrated) == (4, 3, 0)
    assert found["b.fr"].reason == "904"


def test_messages_are_counted_for_each_dpi_and_event():
    found = tally(
        line(dpi="un", events=(Event.NEW, Event.NEW)),
        line(dpi="un", events=(Event.REPLACE,)),
        line(dpi="deux", events=(Event.DELETE,)),
        line(dpi="trois"),
    )
    assert found.dpis == {
        "deux": {Event.DELETE: 1},
        "un": {Event.NEW: 2, Event.REPLACE: 1},
    }


def test_the_days_are_those_between_the_first_mail_and_the_last_both_counted():
    assert tally().days == 1
    known = [line(sent_on=date(2026, 5, day)) for day in (3, 2, 1)]
    assert tally(*known).days == 3
    assert tally(*known, line(sent_on=date(1970, 1, 1)), line(sent_on=date(2099, 1, 1))).days == 3


def test_the_mean_size_leaves_out_what_was_not_read():
    assert tally(line(size=3000), line(size=1000), line(route=UNREAD)).kb == 2
    assert tally().kb == 0


@pytest.mark.parametrize(
    "other",
    [
        {"route": "forwarded"},
        {"reason": "902"},
        {"dpi": "autre"},
        {"events": (Event.NEW,)},
        {"repeats": 1},
        {"mdn": Mdn.ERROR},
        {"forward": True},
        {"notice": True},
        {"review": True},
    ],
)
def test_a_mail_changes_when_anything_that_people_would_see_changes(other):
    usual = line(2)
    one = tally(line(1), usual)
    two = tally(line(1), line(2, **other))
    assert list(changes(one, two)) == [(usual, two.lines[1])]


def test_a_mail_that_ends_alike_is_no_change():
    assert list(changes(tally(line(1)), tally(line(1)))) == []


def test_a_line_is_named_by_its_digest_or_by_its_rank_never_by_its_name():
    assert line(7, mail="abcdef0123456789").label == "abcdef012345"
    assert line(7).label == "n° 7"


def test_an_outcome_says_where_the_mail_ends_and_what_leaves_for_it():
    sent = line(dpi="dpi", events=(Event.NEW, Event.DELETE), mdn=Mdn.PROCESSED)
    assert outcome(sent) == "intégré T02 T04 (dpi), MDN processed"
    assert outcome(line(route="forwarded", reason="904", mdn=Mdn.ERROR)) == "repli 904, MDN error"
    assert outcome(line(repeats=1, review=True)) == "intégré (1 déjà intégré(s)), à confirmer"


def test_every_route_has_its_words():
    assert set(ROUTES_FR) == {*(each.value for each in Route), UNREAD}


def test_figures_are_french_and_nothing_of_nothing_is_none():
    assert number(12345.678, 1) == "12\u202f345,7"
    assert percent(share(1, 8)) == "12,5\u202f%"
    assert share(0, 0) == 0
