"""An identity message in review: shown, applied again once its cause is mended, closed."""

import hashlib
from dataclasses import replace

import pytest

from infra.cli.review import shown
from infra.local.invented.identity_messages import Told, message
from infra.operations.account import OperationRefused
from infra.operations.reviews import Desk
from pfi.journey.feed import feed, feed_again
from pfi.journey.ledger import Ledger
from pfi.journey.outcome import Log
from pfi.names import Reason, Step
from tests.data.builders import LEA, THEO
from tests.doubles.memory import MemoryStore
from tests.doubles.patient_base import FEED, MemoryFeed
from tests.unit.operations.test_reviews import SIGNED, IndexedTable

FIRST = Told(trigger="A28", at="20260510080000", patient=LEA)
STRANGER = message(FIRST).replace(b"1.2.3.4.5", b"9.9.9")


class Queues:
    """The function `feed`, called by name."""

    def __init__(self, ports):
        self.ports = ports
        self.source = FEED
        self.away = False

    def apply(self, digest, feed_id):
        assert feed_id == "gam"
        if self.away:
            raise OperationRefused("la base ne répond pas")
        feed_again(self.ports.store.get(f"feed/{digest}.hl7"), self.source, self.ports)


class Hospital:
    def __init__(self):
        self.ports = MemoryFeed(table=IndexedTable())
        self.queues = Queues(self.ports)
        ledger = Ledger(self.ports.table, self.ports.now)
        waiting = self.ports.table.waiting
        self.desk = Desk(
            ledger, MemoryStore(), self.ports.settings, self.queues, waiting, "arn:me"
        )  # fmt: skip

    def tell(self, *messages):
        return [feed(raw, FEED, self.ports).outcome.log for raw in messages]

    def waiting(self):
        return [(each.item.step, each.item.reason) for each in self.desk.waiting()]


@pytest.fixture
def hospital():
    return Hospital()


def digest_of(raw):
    return hashlib.sha256(raw).hexdigest()


def test_a_message_is_applied_once_the_setting_is_mended(hospital):
    hospital.tell(STRANGER)
    assert hospital.waiting() == [("feed", "PFI-PAM-02")]
    authority = FEED.ipp_authority.replace("1.2.3.4.5", "9.9.9")
    hospital.queues.source = replace(FEED, ipp_authority=authority)
    [item] = hospital.desk.redrive(digest_of(STRANGER), *SIGNED)
    assert (item.step, item.source) == ("feed", "gam")
    assert hospital.ports.base.get("ch", LEA.ipp) == LEA.record
    assert hospital.waiting() == []
    [act] = hospital.desk.acts(digest_of(STRANGER))
    assert (act.action, act.steps) == ("redrive", ("feed",))


def test_a_message_that_fails_again_is_open_again(hospital):
    hospital.tell(STRANGER)
    hospital.desk.redrive(digest_of(STRANGER), *SIGNED)
    assert hospital.waiting() == [("feed", "PFI-PAM-02")]


def test_a_base_that_is_away_leaves_the_item_to_be_done(hospital):
    hospital.tell(STRANGER)
    hospital.queues.away = True
    with pytest.raises(OperationRefused):
        hospital.desk.redrive(digest_of(STRANGER), *SIGNED)
    [left] = hospital.desk.waiting()
    assert left.item.status == "redriving"


def merge(survivor, absorbed, at):
    return message(Told(trigger="A40", at=at, patient=survivor, replaced=(absorbed.ipp,)))


def test_merges_in_a_circle_stay_in_review_until_an_unlink_says_who_is_who(hospital):
    births = (message(FIRST), message(replace(FIRST, patient=THEO)))
    one = merge(LEA, THEO, "20260511080000")
    two = merge(THEO, LEA, "20260512080000")
    assert hospital.tell(*births, one, two) == [Log.FEED_APPLIED] * 3 + [Log.FEED_REFUSED]
    hospital.desk.redrive(digest_of(two), *SIGNED)
    assert hospital.waiting() == [("feed", "PFI-PAM-03")]
    unlink = Told(trigger="A37", at="20260513080000", patient=THEO, replaced=(LEA.ipp,))
    assert hospital.tell(message(unlink)) == [Log.FEED_APPLIED]
    base = dict(hospital.ports.base.filed)
    hospital.desk.redrive(digest_of(two), *SIGNED)
    assert hospital.waiting() == []
    after = hospital.ports.base.filed
    assert {k: each.kept for k, each in after.items()} == {k: x.kept for k, x in base.items()}


def test_a_message_is_shown_as_what_it_is_and_without_the_patient(hospital):
    hospital.tell(STRANGER)
    lines = "\n".join(shown(hospital.desk, digest_of(STRANGER)))
    assert lines.startswith(f"message d'identité {digest_of(STRANGER)}")
    assert "alimentation gam" in lines
    assert "PFI-PAM-02" in lines
    assert "courriel" not in lines.splitlines()[0]
    assert LEA.birth_name not in lines


def test_a_message_that_a_person_mended_elsewhere_is_closed(hospital):
    hospital.tell(STRANGER)
    [item] = hospital.desk.close(digest_of(STRANGER), *SIGNED)
    assert item.reason == Reason.FEED_WITHOUT_IPP
    assert hospital.waiting() == []
    with pytest.raises(OperationRefused):
        hospital.desk.redrive(digest_of(STRANGER), *SIGNED, step=Step.FEED)
