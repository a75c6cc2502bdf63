"""One message, its answer, and what is told of it."""

from dataclasses import replace
from datetime import timedelta

import hl7
import pytest

from infra.local.invented.identity_messages import Told, message
from pfi.errors import Unavailable
from pfi.hl7 import adt as pam
from pfi.journey.feed import TRIES, feed
from pfi.journey.ledger import Ledger
from pfi.journey.outcome import Digest, Log, Metric
from pfi.names import Reason
from tests.data.builders import LEA, THEO, YANN
from tests.doubles.patient_base import FEED, MemoryFeed, MemoryPatientBase

TOLD = Told(trigger="A28", at="20260514080000", patient=LEA)
RAW = message(TOLD)
STRANGER = RAW.replace(b"1.2.3.4.5", b"9.9.9")


@pytest.fixture
def ports():
    return MemoryFeed()


def msa(answer):
    return hl7.parse(answer.ack.decode())["MSA"][0]


def test_an_applied_message_is_answered_aa_under_its_control_id(ports):
    answer = feed(RAW, FEED, ports)
    parsed = hl7.parse(answer.ack.decode())
    assert [str(msa(answer)[1]), str(msa(answer)[2])] == ["AA", f"GAM-A28-{TOLD.at}-{LEA.ipp}"]
    assert str(parsed["MSH"][0][9]) == "ACK^A28^ACK"
    assert [str(parsed["MSH"][0][n]) for n in (3, 4, 5, 6)] == [
        "PFI", "CH-EXEMPLE", "GAM", "CH-EXEMPLE",
    ]  # fmt: skip
    assert answer.outcome.log is Log.FEED_APPLIED
    assert answer.outcome.counts == {Metric.FEED_MESSAGES: 1}


def test_a_repeated_message_is_answered_aa_and_writes_nothing(ports):
    feed(RAW, FEED, ports)
    before = dict(ports.base.filed)
    answer = feed(RAW, FEED, ports)
    assert (str(msa(answer)[1]), answer.outcome.log) == ("AA", Log.FEED_REPEATED)
    assert ports.base.filed == before


def test_what_cannot_be_applied_is_kept_for_a_person_and_the_sender_is_told(ports):
    answer = feed(STRANGER, FEED, ports)
    digest = answer.outcome.facts["adt"].value
    [item] = Ledger(ports.table, ports.now).reviews(digest)
    assert (item.step, item.reason, item.status) == ("feed", "PFI-PAM-02", "open")
    assert ports.store.objects == {f"feed/{digest}.hl7": STRANGER}
    assert str(msa(answer)[1]) == "AE"
    err = hl7.parse(answer.ack.decode())["ERR"][0]
    assert [str(err[n]) for n in (3, 4, 5)] == ["101", "E", "PFI-PAM-02"]
    assert (answer.outcome.log, answer.outcome.counts) == (
        Log.FEED_REFUSED, {Metric.REVIEW_ENTRIES: 1},
    )  # fmt: skip
    assert feed(STRANGER, FEED, ports).outcome.counts == {}


def test_after_a_refused_message_the_others_go_on(ports):
    feed(STRANGER, FEED, ports)
    feed(RAW, FEED, ports)
    assert ports.base.get("ch", LEA.ipp) == LEA.record


def test_even_rubbish_is_answered(ports):
    answer = feed(b"\xff\x00", FEED, ports)
    assert answer.ack.split(b"\r")[1] == b"MSA|AE|"
    assert answer.outcome.facts["reason"] is Reason.FEED_UNREADABLE


@pytest.mark.parametrize("told", [
    replace(TOLD, at="20990101000000"), replace(TOLD, changed_at="20990101000000"),
])  # fmt: skip
def test_a_message_from_the_future_is_refused_because_it_would_shut_the_identity(ports, told):
    assert feed(message(told), FEED, ports).outcome.facts["reason"] is Reason.FEED_TIME
    assert ports.base.filed == {}


def test_a_base_that_does_not_answer_asks_the_sender_to_come_again(ports):
    ports.base.down = 1
    answer = feed(RAW, FEED, ports)
    assert (str(msa(answer)[1]), answer.outcome.log) == ("AR", Log.FEED_POSTPONED)
    assert str(msa(feed(RAW, FEED, ports))[1]) == "AA"


def test_a_store_that_does_not_answer_asks_the_sender_to_come_again(ports):
    ports.store = Down()
    assert str(msa(feed(STRANGER, FEED, ports))[1]) == "AR"


class Down:
    def put_message(self, *_):
        raise Unavailable(Reason.STORE_UNAVAILABLE)


class Racing(MemoryPatientBase):
    """Another worker writes the same identity just before."""

    def __init__(self, races):
        super().__init__()
        self.races = races

    def write(self, establishment, changes, message, now):
        if self.races:
            self.races -= 1
            self.put(establishment, [replace(LEA.record, attributes=frozenset({f"R{self.races}"}))])
        return super().write(establishment, changes, message, now)


def test_of_two_workers_the_slower_decides_again(ports):
    ports.base = Racing(3)
    assert str(msa(feed(RAW, FEED, ports))[1]) == "AA"
    assert ports.base.get("ch", LEA.ipp) == LEA.record


def test_a_worker_that_is_always_slower_gives_up_and_the_sender_comes_again(ports):
    ports.base = Racing(TRIES)
    assert str(msa(feed(RAW, FEED, ports))[1]) == "AR"


def test_a_second_holder_of_an_official_ins_is_counted_and_kept(ports):
    feed(RAW, FEED, ports)
    other = replace(LEA, ipp="900099")
    counts = feed(message(replace(TOLD, patient=other)), FEED, ports).outcome.counts
    assert counts == {Metric.FEED_MESSAGES: 1, Metric.INS_HELD_TWICE: 1}
    assert len(ports.base.find("ch", LEA.matricule, LEA.oid)) == 2
    unqualified = replace(THEO, body=LEA.body, status="PROV")
    assert (
        Metric.INS_HELD_TWICE
        not in feed(message(replace(TOLD, patient=unqualified)), FEED, ports).outcome.counts
    )


def test_the_feed_shows_a_sign_of_life_once_a_minute(ports):
    start = ports.now()
    for patient in (LEA, YANN, THEO):
        feed(message(replace(TOLD, patient=patient)), FEED, ports)
        ports.now.advance(40)
    assert ports.base.fed == {"ch": start + timedelta(seconds=80)}


def test_establishments_do_not_see_each_other(ports):
    feed(RAW, FEED, ports)
    feed(RAW, replace(FEED, id="other", establishment="other"), ports)
    assert set(ports.base.filed) == {("ch", LEA.ipp), ("other", LEA.ipp)}


def test_nothing_that_is_told_or_answered_names_the_patient(ports):
    for raw in (RAW, STRANGER, RAW[:-40], message(replace(TOLD, trigger="A40", replaced=("7",)))):
        answer = feed(raw, FEED, ports)
        told = answer.ack.decode() + repr(answer.outcome)
        control = pam.read(raw).control_id
        told = told.replace(control, "")
        assert not any(w in told for w in (LEA.matricule, LEA.birth_name, LEA.birth_date, LEA.ipp))
        assert isinstance(answer.outcome.facts["adt"], Digest)


# --- what comes again after our own store failed


LOOP = [
    message(Told(trigger="A40", at="20260514090000", patient=LEA, replaced=(YANN.ipp,))),
    message(Told(trigger="A40", at="20260514100000", patient=YANN, replaced=(LEA.ipp,))),
]


def test_a_circle_whose_review_item_could_not_be_kept_is_a_persons_when_it_comes_again(ports):
    store, ports.store = ports.store, Down()
    feed(LOOP[0], FEED, ports)
    assert str(msa(feed(LOOP[1], FEED, ports))[1]) == "AR"
    ports.store = store
    answer = feed(LOOP[1], FEED, ports)
    assert (str(msa(answer)[1]), answer.outcome.counts) == ("AE", {Metric.REVIEW_ENTRIES: 1})
    assert len(Ledger(ports.table, ports.now).reviews(answer.outcome.facts["adt"].value)) == 1


def test_a_second_holder_is_counted_when_the_base_failed_before(ports):
    feed(RAW, FEED, ports)
    other = message(replace(TOLD, patient=replace(LEA, ipp="900099")))
    find, ports.base.find = ports.base.find, Down().put_message
    assert str(msa(feed(other, FEED, ports))[1]) == "AR"
    ports.base.find = find
    assert feed(other, FEED, ports).outcome.counts[Metric.INS_HELD_TWICE] == 1


def test_the_holder_that_a_merge_absorbs_is_no_second_one(ports):
    feed(message(replace(TOLD, patient=replace(LEA, ipp="900099"))), FEED, ports)
    merge = Told(trigger="A40", at="20260514090000", patient=LEA, replaced=("900099",))
    assert Metric.INS_HELD_TWICE not in feed(message(merge), FEED, ports).outcome.counts


def test_who_held_the_ins_before_is_no_second_holder(ports):
    feed(RAW, FEED, ports)
    moved = replace(LEA, body=YANN.body)
    feed(message(replace(TOLD, at="20260514090000", patient=moved)), FEED, ports)
    other = message(replace(TOLD, patient=replace(LEA, ipp="900099")))
    assert Metric.INS_HELD_TWICE not in feed(other, FEED, ports).outcome.counts


def test_an_ins_that_becomes_official_is_looked_up_even_when_it_was_known(ports):
    feed(RAW, FEED, ports)
    other = replace(LEA, ipp="900099")
    feed(message(replace(TOLD, patient=replace(other, status="PROV"))), FEED, ports)
    later = message(replace(TOLD, at="20260514090000", patient=other))
    assert feed(later, FEED, ports).outcome.counts[Metric.INS_HELD_TWICE] == 1


def test_a_repeated_message_is_a_sign_of_life(ports):
    feed(RAW, FEED, ports)
    ports.now.advance(61)
    feed(RAW, FEED, ports)
    assert ports.base.fed == {"ch": ports.now()}
