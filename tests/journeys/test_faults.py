"""Faults on real parts: the scenario of `pfi faults`, on an emulator of its own, counted here."""

import gc

import pytest

from infra.aws.names import Deployment
from infra.cli.faults import table, totals
from infra.scenario.acts import ACTS, MODES, OUTAGE
from infra.scenario.run import run
from pfi.names import Integration, Route

pytestmark = [
    pytest.mark.xdist_group("faults"),
    # What the restart of the emulator broke off, urllib3 leaves to the garbage collector.
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
]
WAITING = 24


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    """Everything happens here, once."""
    found = run(tmp_path_factory.mktemp("faults"), 1, lambda _: None, waiting=WAITING)
    gc.collect()
    return found


def act_of(played, name):
    """One act of the scenario."""
    return next(act for act in played.acts if act.name == name)


def fates_of(played, act):
    """Where the letters of an act ended."""
    mails = {each.mail for each in act.letters}
    return [fate for fate in played.account.fates if fate.letter.mail in mails]


def test_every_fault_came_about(played):
    assert [act.name for act in played.acts] == [*(name for name, _ in ACTS), OUTAGE]
    assert [act.name for act in played.acts if not act.times] == []


def test_every_mail_is_in_one_place_and_the_right_one(played):
    assert played.faults() == ()
    assert played.account.lost == 0
    assert len(played.account.fates) == sum(len(act.letters) for act in played.acts) > 60


def test_nothing_is_integrated_twice_or_for_another_patient(played):
    assert (played.account.twice, played.account.wrong_patient, played.account.strange) == (0, 0, 0)
    assert played.account.repeats > 0  # answers were lost, and the same bytes came again


def test_what_the_dpi_may_hold_unknown_to_us_is_in_review_and_nothing_else_is_unknown(played):
    unknown = [fate for fate in played.account.fates if fate.unknown]
    assert [fate.letter.route for fate in unknown] == [Route.REVIEW]
    assert all(fate.reviewed for fate in unknown)


def test_killed_in_an_exchange_the_same_message_is_sent_again(played):
    fates = fates_of(played, act_of(played, ACTS[0][0]))
    documents = [document for fate in fates for document in fate.documents]
    assert [each.integration for each in documents] == [Integration.INTEGRATED] * 2
    assert all(each.sends > 1 for each in documents)
    assert all(len(held) == 1 for fate in fates for held in fate.accepted)


def test_each_answer_of_the_dpi_ends_where_it_must(played):
    [act] = [each for each in played.acts if len(each.letters) == len(MODES) == each.times]
    wanted = [mode.route for mode in MODES]
    assert sorted(fate.route for fate in fates_of(played, act)) == sorted(wanted)


def test_nothing_is_consumed_while_the_dpi_is_away_or_shows_a_revoked_certificate(played):
    act = act_of(played, OUTAGE)
    assert len(act.letters) == WAITING
    assert act.remark.startswith(f"{WAITING}/{WAITING} ")


def test_what_waited_arrives_in_order_over_few_connections(played):
    assert played.account.disorder == 0
    events = [owed.event for letter in act_of(played, OUTAGE).letters for owed in letter.documents]
    assert len(set(events)) == 3  # replacements and deletions were among them
    assert 1 <= played.account.most_at_once <= Deployment().push_concurrency


def test_the_table_tells_it_in_french(played):
    told = "\n".join([*table(played), *totals(played)])
    assert all(act.name in told for act in played.acts)
    assert "en revue" in told
