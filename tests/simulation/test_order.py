"""Order and duplicates: exactly the messages that the public texts prescribe, whatever comes twice.

Versions of one document whose mails arrive close together reach the DPI as T02, T10, T04 (hl7-mdm
L-07); else in the order of their arrival, a deletion or replacement of what it does not know
included (Q-32: the DPI answers). One version is sent once (Q-29).
"""

from dataclasses import replace
from itertools import permutations

import pytest

from tests.simulation.population import Letter
from tests.simulation.scenarios import Run, arriving, made, versions, weather

SEEDS = (1, 2, 3)
LONG = 900.0
GAPS = {"in one poll": 0.0, "within the grace": 45.0, "long after each other": LONG}
ACCEPTED = {
    ("T02", "T10", "T04"): ["T02", "T10", "T04"],
    ("T02", "T04", "T10"): ["T02", "T04", "T10"],
    ("T10", "T02", "T04"): ["T10", "T02", "T04"],
    ("T10", "T04", "T02"): ["T10", "T04", "T02"],
    ("T04", "T02", "T10"): ["T04", "T02", "T10"],
    ("T04", "T10", "T02"): ["T04", "T10", "T02"],
}
"""Order of arrival, long after each other → messages accepted."""
TOGETHER = ["T02", "T10", "T04"]
"""Messages accepted when the mails arrive close together, in whatever order."""
REDELIVERY = {
    "messages twice": {"ghost": 0.5},
    "finished messages again": {"undeleted": 0.4},
    "events late and twice": {"late_event": 0.5, "ghost": 0.3},
    "workers that die": {"crash_after": 0.01, "crash_before": 0.01},
    "writes whose answer is lost": {"lost": 0.05},
}


def _ordered(order: tuple[str, ...]) -> list[Letter]:
    named = {letter.kind: letter for letter in versions(5001)}
    return [named[kind] for kind in order]


def test_the_table_has_every_order():
    assert set(ACCEPTED) == set(permutations(("T02", "T10", "T04")))


@pytest.mark.parametrize("gap", GAPS.values(), ids=GAPS)
@pytest.mark.parametrize("order", ACCEPTED, ids="-".join)
def test_versions_reach_the_dpi_in_the_order_of_their_arrival(order, gap):
    for seed in SEEDS:
        letters = _ordered(order)
        run = Run(arriving(letters, 0, gap), seed=seed).done()
        expected = ACCEPTED[order] if gap == LONG else TOGETHER
        assert run.accepted() == expected, (seed, run.accepted())
        assert run.ended(letters) == {("integrated", None)}
        assert [run.answers(each) for each in letters] == [1, 1, 1]


@pytest.mark.parametrize("kinds", REDELIVERY.values(), ids=REDELIVERY)
@pytest.mark.parametrize("order", ACCEPTED, ids="-".join)
def test_redelivery_changes_nothing_of_it(order, kinds):
    """What died at the DPI's own call may have been accepted, and is sent once more: only there
    the same version may be accepted again, and the witness knows for which lost answer."""
    for seed in SEEDS:
        run = Run(arriving(_ordered(order), 0, 20), seed=seed, kinds=weather(**kinds)).done()
        assert set(run.accepted()) == set(TOGETHER)
        if not {"crash_after", "lost"} & set(kinds):
            assert sorted(run.accepted()) == sorted(TOGETHER), seed
        if not {"crash_after", "lost", "late_event"} & set(kinds):
            assert run.accepted() == TOGETHER, seed


@pytest.mark.parametrize("order", ACCEPTED, ids="-".join)
def test_each_version_three_times_in_every_order_is_accepted_once(order):
    letters = _ordered(order)
    for seed in SEEDS:
        run = Run(arriving(letters * 3, 0, LONG), seed=seed).done()
        assert run.accepted() == ACCEPTED[order]
        assert [run.answers(each) for each in letters] == [1, 1, 1]
        assert [run.record(each).copies for each in letters] == [3, 3, 3]


def _two_mails(make) -> None:
    make.add("first", make.entry())
    make.add("second", make.entry(), text="Deuxième envoi.\n")


def _two_contents(make) -> None:
    for kind, payload in (("first", b"%PDF-1.4 un"), ("second", b"%PDF-1.4 deux")):
        make.add(kind, make.entry(payload=payload), message_id="<same.5003@labo-invente.fr>")


def _same_bytes(make) -> None:
    letter = make.add("first", make.entry())
    make.letters += [letter, letter]


def _other_trace(make) -> None:
    letter = make.add("first", make.entry())
    hop = b"Received: from a.invente.fr by c.invente.fr\r\n"
    make.letters.append(replace(letter, kind="second", raw=hop + letter.raw))


REPEATS = {
    # kind of repeat: (letters, accepted, (route, reason) of each mail, answers of each mail)
    "the same document in another mail": (_two_mails, ["first"], ["integrated"] * 2, [1, 1]),
    "same Message-ID, other content": (
        _two_contents, ["first", "second"], ["integrated"] * 2, [1, 1],
    ),
    "byte-identical, three times": (_same_bytes, ["first"], ["integrated"], [1]),
    "the same mail by another way": (
        _other_trace, ["first"], ["integrated", "duplicate"], [1, 0],
    ),
}  # fmt: skip


@pytest.mark.parametrize("gap", GAPS.values(), ids=GAPS)
@pytest.mark.parametrize("repeat", REPEATS.values(), ids=REPEATS)
def test_a_repeat_is_accepted_as_often_as_it_says_something_new(repeat, gap):
    """Of two mails that say the same, or call two things by one identifier, within one poll, the
    one goes first whose patient is known first: nothing but their replacement orders versions."""
    build, accepted, routes, answers = repeat
    letters = made(5003, build)
    different = list(dict.fromkeys(letters))
    for seed in SEEDS:
        run = Run(arriving(letters, 0, gap), seed=seed).done()
        assert len(run.accepted()) == len(accepted), seed
        if gap == LONG:
            assert run.accepted() == accepted, seed
        assert sorted(str(run.record(each).route) for each in different) == sorted(routes)
        assert sorted(run.answers(each) for each in different) == sorted(answers)
