"""The rules of the feed, one by one (docs/reference/feed.md); each test tells a short story."""

from dataclasses import replace

import pytest

from infra.local.invented.identity_messages import Told, message
from pfi.ins.concordance import qualified
from pfi.ins.identity import InsKind
from pfi.journey.feed import feed
from tests.data.builders import LEA, YANN
from tests.doubles.patient_base import FEED, MemoryFeed

OTHER = replace(LEA, ipp="900091")
NIA = replace(LEA, oid=InsKind.NIA.value)
NIR = replace(LEA, body=YANN.body, oid=InsKind.NIR.value)
NUMBER = (LEA.matricule, str(LEA.oid))


class Story:
    """A hospital that tells one thing after the other, an hour between two."""

    def __init__(self):
        self.ports = MemoryFeed()
        self.hour = 0

    def tell(self, trigger, patient, *, at="", **more):
        self.hour += 1
        told = Told(
            trigger=trigger, at=at or f"20260514{self.hour:02}0000", patient=patient, **more
        )
        self.answer = feed(message(told), FEED, self.ports)
        return self

    def record(self, ipp=LEA.ipp):
        return self.ports.base.get("ch", ipp)

    @property
    def notes(self):
        return {name for name, value in self.answer.outcome.facts.items() if value is True}

    @property
    def code(self):
        return self.answer.ack.decode().split("MSA|")[1][:2]


@pytest.fixture
def story():
    return Story()


# --- one identity


@pytest.mark.parametrize("trigger", ["A28", "A31", "A01", "A04", "A05", "A08"])
def test_an_unknown_identity_is_created_by_any_event_that_describes_it(story, trigger):
    story.tell(trigger, LEA)
    assert story.record() == replace(LEA.record, aliases=())
    assert qualified(story.record())


def test_a_snapshot_without_ins_takes_the_qualification_away(story):
    story.tell("A28", LEA).tell("A31", replace(LEA, body=""))
    assert not qualified(story.record())
    assert story.record().aliases == (NUMBER,)


def test_a_snapshot_without_vali_takes_the_qualification_away(story):
    story.tell("A28", LEA).tell("A31", replace(LEA, status="PROV"))
    assert (story.record().status, qualified(story.record())) == ("PROV", False)
    assert story.record().matricule == LEA.matricule
    assert "ins_without_vali" in story.notes


def test_a_snapshot_erases_the_traits_that_it_does_not_say(story):
    story.tell("A28", LEA).tell("A31", replace(LEA, used_name="", birth_place=""))
    assert (story.record().traits.used_name, story.record().traits.birth_place) == ("", "")


def test_a_stay_leaves_what_it_does_not_say(story):
    story.tell("A28", LEA).tell("A08", replace(LEA, body="", used_name="", first_given=""))
    assert story.record() == LEA.record


def test_a_stay_that_says_null_erases(story):
    story.tell("A28", LEA).tell("A08", replace(LEA, birth_date='""', status='""'))
    assert story.record().traits.birth_date == ""
    assert (story.record().status, qualified(story.record())) == ("", False)


def test_a_stay_with_another_status_takes_the_qualification_away(story):
    story.tell("A28", LEA).tell("A01", replace(LEA, body="", status="PROV"))
    assert (story.record().status, story.record().matricule) == ("PROV", "")
    assert story.record().aliases == (NUMBER,)


def test_a_stay_that_names_an_ins_without_a_status_only_adds_an_alias(story):
    story.tell("A28", LEA).tell("A08", NIR, sparse=True)
    assert (story.record().matricule, qualified(story.record())) == (LEA.matricule, True)
    assert story.record().aliases == ((NIR.matricule, NIR.oid),)


def test_vali_without_ins_is_not_qualified(story):
    story.tell("A28", replace(LEA, body=""))
    assert (story.record().status, qualified(story.record())) == ("VALI", False)


def test_an_ins_that_never_was_official_does_not_become_so_by_a_stay_that_does_not_name_it(story):
    story.tell("A28", replace(LEA, status="PROV")).tell("A08", replace(LEA, body=""))
    assert (story.record().status, qualified(story.record())) == ("VALI", False)
    assert story.record().aliases == (NUMBER,)


def test_a_nia_becomes_a_nir_and_stays_an_alias(story):
    story.tell("A28", NIA).tell("A31", NIR)
    assert (story.record().matricule, story.record().oid) == (NIR.matricule, NIR.oid)
    assert story.record().aliases == ((NIA.matricule, NIA.oid),)
    assert [r.ipp for r in story.ports.base.find("ch", NIA.matricule, NIA.oid)] == [LEA.ipp]


def test_attributes_are_kept_beside_the_status_in_any_order(story):
    story.tell("A28", replace(LEA, status="DOUT", attributes=("VALI", "HOMD")))
    assert story.record().status == "VALI"
    assert story.record().attributes == {"DOUT", "HOMD"}


@pytest.mark.parametrize("code", ["PROV", "VIDE", "RECD", "FILI", "NEUF"])
def test_a_code_that_contradicts_vali_or_is_unknown_wins_over_it(story, code):
    story.tell("A28", replace(LEA, attributes=(code,)))
    assert (story.record().status, qualified(story.record())) == (code, False)


def test_a_closed_identity_is_inactive_until_it_is_stated_again(story):
    story.tell("A28", LEA).tell("A29", LEA)
    assert (story.record().active, story.record().matricule) == (False, LEA.matricule)
    assert story.tell("A01", LEA).record().active is False
    assert story.tell("A31", LEA).record() == LEA.record


# --- order and repetition


def test_an_older_message_changes_nothing_but_is_answered_aa(story):
    story.tell("A31", replace(LEA, status="PROV"), at="20260514120000")
    story.tell("A31", LEA, at="20260514110000")
    assert (story.code, story.notes) == ("AA", {"stale"})
    assert story.record().status == "PROV"


def test_the_number_of_an_older_message_becomes_an_alias(story):
    story.tell("A31", NIR, at="20260514120000").tell("A28", NIA, at="20260514110000")
    assert story.record().matricule == NIR.matricule
    assert story.record().aliases == ((NIA.matricule, NIA.oid),)


def test_the_last_update_of_the_identity_orders_before_the_time_of_the_event(story):
    story.tell("A31", replace(LEA, status="PROV"), changed_at="20260514100000")
    story.tell("A08", LEA, at="20260514230000", changed_at="20260514090000")
    assert story.record().status == "PROV"


def test_of_two_messages_of_one_second_the_later_arrival_stands_even_if_the_first_is_repeated(
    story,
):
    first, second = LEA, replace(LEA, status="PROV")
    for patient, control in ((first, "1"), (second, "2"), (first, "1")):
        story.tell("A31", patient, at="20260514110000", control_id=control)
    assert story.answer.outcome.log.name == "FEED_REPEATED"
    assert story.record().status == "PROV"


def test_a_control_id_used_twice_for_different_things_is_no_repetition(story):
    story.tell("A31", LEA, control_id="1").tell("A31", replace(LEA, status="PROV"), control_id="1")
    assert story.record().status == "PROV"


# --- merges


def test_a_merge_leads_from_the_absorbed_to_the_survivor(story):
    story.tell("A28", LEA).tell("A28", replace(OTHER, status="PROV"))
    story.tell("A40", LEA, replaced=(OTHER.ipp,))
    absorbed = story.record(OTHER.ipp)
    assert (absorbed.active, absorbed.merged_into, "DESA" in absorbed.attributes) == (
        False, LEA.ipp, True,
    )  # fmt: skip
    assert (absorbed.matricule, absorbed.aliases) == ("", (NUMBER,))
    assert story.record() == LEA.record


def test_the_survivor_takes_nothing_from_the_absorbed(story):
    bare = replace(LEA, body="", status="PROV", used_name="")
    story.tell("A28", OTHER).tell("A40", bare, replaced=(OTHER.ipp,))
    assert (story.record().matricule, story.record().aliases) == ("", ())
    assert story.record().traits.used_name == ""


def test_unknown_identities_are_created_by_a_merge(story):
    story.tell("A40", LEA, replaced=(OTHER.ipp, "900092"))
    assert [story.record(i).merged_into for i in (OTHER.ipp, "900092")] == [LEA.ipp, LEA.ipp]
    assert story.tell("A31", OTHER, at="20260514005900").record(OTHER.ipp).active is False


def test_what_is_said_of_an_absorbed_identity_is_kept_without_reviving_it(story):
    story.tell("A40", LEA, replaced=(OTHER.ipp,)).tell("A31", OTHER)
    assert "absorbed" in story.notes
    absorbed = story.record(OTHER.ipp)
    assert (absorbed.traits, absorbed.active, absorbed.merged_into) == (LEA.traits, False, LEA.ipp)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_merges_in_a_row_all_name_the_last_survivor(story, order):
    last = replace(LEA, ipp="900092")
    merges = [(OTHER, (LEA.ipp,), "20260514080000"), (last, (OTHER.ipp,), "20260514090000")]
    for patient, replaced, at in (merges[n] for n in order):
        story.tell("A40", patient, replaced=replaced, at=at)
    assert [story.record(i).merged_into for i in (LEA.ipp, OTHER.ipp)] == [last.ipp, last.ipp]


def test_contradictory_merges_are_refused_and_nobody_survives(story):
    story.tell("A28", LEA).tell("A28", OTHER).tell("A40", LEA, replaced=(OTHER.ipp,))
    story.tell("A40", OTHER, replaced=(LEA.ipp,))
    assert story.code == "AE"
    assert b"PFI-PAM-03" in story.answer.ack
    for ipp in (LEA.ipp, OTHER.ipp):
        assert (story.record(ipp).active, story.record(ipp).merged_into) == (False, "")


def test_an_unlink_mends_contradictory_merges(story):
    story.tell("A40", LEA, replaced=(OTHER.ipp,)).tell("A40", OTHER, replaced=(LEA.ipp,))
    story.tell("A37", LEA, replaced=(OTHER.ipp,)).tell("A31", LEA)
    assert (story.code, story.record()) == ("AA", LEA.record)


def test_a_merge_into_itself_is_refused_without_a_trace(story):
    story.tell("A40", LEA, replaced=(LEA.ipp,))
    assert (story.code, story.record()) == ("AE", None)


def test_an_unlink_undoes_a_merge_but_nobody_is_qualified_before_being_stated_again(story):
    story.tell("A28", OTHER).tell("A40", LEA, replaced=(OTHER.ipp,))
    story.tell("A37", LEA, replaced=(OTHER.ipp,))
    undone = story.record(OTHER.ipp)
    assert (undone.active, undone.merged_into, qualified(undone)) == (True, "", False)
    assert qualified(story.record())
    assert qualified(story.tell("A31", OTHER).record(OTHER.ipp))


def test_an_unchanged_state_sent_again_after_an_unlink_qualifies(story):
    old = replace(OTHER, birth_place="2B033")
    story.tell("A28", old, changed_at="20260101120000").tell("A40", LEA, replaced=(OTHER.ipp,))
    story.tell("A37", LEA, replaced=(OTHER.ipp,))
    assert not qualified(story.record(OTHER.ipp))
    assert qualified(story.tell("A31", old, changed_at="20260101120000").record(OTHER.ipp))


def test_closing_an_identity_after_an_unlink_does_not_qualify_it(story):
    story.tell("A28", OTHER).tell("A40", LEA, replaced=(OTHER.ipp,))
    story.tell("A37", LEA, replaced=(OTHER.ipp,)).tell("A29", OTHER)
    assert not qualified(story.record(OTHER.ipp))


def test_a_stay_that_names_two_numbers_of_one_kind_takes_the_qualification_away(story):
    story.tell("A28", LEA).tell("A08", LEA, numbers=[(YANN.matricule, LEA.oid)])
    assert (story.record().status, qualified(story.record())) == ("VALI", False)
    assert len(story.record().aliases) == 2


def test_a_merge_that_arrives_after_its_undoing_does_not_come_back(story):
    story.tell("A37", LEA, replaced=(OTHER.ipp,), at="20260514120000")
    story.tell("A40", LEA, replaced=(OTHER.ipp,), at="20260514110000")
    assert story.record(OTHER.ipp).merged_into == ""


def test_links_change_no_decision(story):
    story.tell("A28", LEA).tell("A28", OTHER)
    story.tell("A24", LEA, replaced=(OTHER.ipp,)).tell("A37", LEA, replaced=(OTHER.ipp,))
    assert (story.record(), story.record(OTHER.ipp)) == (LEA.record, OTHER.record)
    identity = story.ports.base.filed["ch", LEA.ipp].kept.identity
    assert identity.value(f"with:{OTHER.ipp}") == ("no",)


# --- change of number


def test_a_new_number_carries_the_identity_and_the_old_one_leads_to_it(story):
    story.tell("A28", NIA).tell("A47", replace(NIR, ipp="900092"), replaced=(LEA.ipp,))
    assert story.record().merged_into == "900092"
    assert qualified(story.record("900092"))
    assert story.record("900092").aliases == ((NIA.matricule, NIA.oid),)


def test_in_the_same_second_what_the_change_of_number_says_stands(story):
    now = "20260514230000"
    story.tell("A28", replace(LEA, used_name="ZZZ"), at=now)
    story.tell("A47", replace(OTHER, status="PROV"), replaced=(LEA.ipp,), at=now)
    assert (story.record(OTHER.ipp).status, qualified(story.record(OTHER.ipp))) == ("PROV", False)
    assert story.record(OTHER.ipp).traits == OTHER.traits


def test_a_number_given_back_is_the_identity_again(story):
    story.tell("A28", LEA).tell("A47", OTHER, replaced=(LEA.ipp,))
    story.tell("A47", LEA, replaced=(OTHER.ipp,))
    assert story.code == "AA"
    assert story.record() == LEA.record
    assert story.record(OTHER.ipp).merged_into == LEA.ipp


@pytest.mark.parametrize("trigger", ["A18", "A34", "A36"])
def test_old_forms_of_the_merge_are_merges(story, trigger):
    assert story.tell(trigger, LEA, replaced=(OTHER.ipp,)).record(OTHER.ipp).merged_into == LEA.ipp


@pytest.mark.parametrize("trigger", ["A30", "A46"])
def test_old_forms_of_the_change_of_number_are_changes_of_number(story, trigger):
    story.tell("A28", NIA).tell(trigger, replace(NIR, ipp=OTHER.ipp), replaced=(LEA.ipp,))
    assert story.record(OTHER.ipp).aliases == ((NIA.matricule, NIA.oid),)


@pytest.mark.parametrize("trigger", ["A02", "A03", "A11", "A44", "A52", "Z99", "Q42"])
def test_every_other_event_is_acknowledged_and_ignored(story, trigger):
    story.tell(trigger, LEA)
    assert (story.code, story.answer.outcome.log.name) == ("AA", "FEED_IGNORED")
    assert story.record() is None
