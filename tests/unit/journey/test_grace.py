"""A mail whose patient is not known yet may wait for the identity repository."""

from dataclasses import replace
from datetime import timedelta

import pytest

from infra.local.invented.documents import DOCUMENT_ID
from pfi.adapters.csv_patients import ListedPatients
from pfi.journey.accounts import Terms, counted
from pfi.journey.chains import Chain, Link
from pfi.journey.grace import LONGEST, next_look_s, overtaken
from pfi.journey.keys import chain_key
from pfi.journey.outcome import Log
from pfi.journey.stuck import stuck
from pfi.names import Integration, Reason, Route, Step
from tests.data.builders import EVERYBODY, LEA, THEO, document
from tests.doubles.drive import FALLBACK, HOSPITAL, Drive
from tests.doubles.meddling import MeddlingTable
from tests.unit.journey.test_routes import letter

HOUR = 3600
ENDED = Integration.NOT_OWED
OTHERS = tuple(person.record for person in EVERYBODY if person is not LEA)


def drive(grace_s=HOUR, base=OTHERS, **options):
    settings = replace(HOSPITAL, match=replace(HOSPITAL.match, grace_s=grace_s))
    return Drive(settings, base, **options)


def arrived(one, *entries, number=1):
    """The digest of a mail that was decided once."""
    one.ports.inbox.deliver(letter(*entries, number=number))
    one.collect()
    one.work(rounds=1)
    read = [each for each in one.outcomes if each.log is Log.MAIL_READ]
    return read[-1].facts["mail"].value


def feed(one, record):
    one.ports.patients = ListedPatients((*OTHERS, record))


def awaited(one):
    return [each for each in one.outcomes if each.log is Log.MAIL_AWAITS_FEED]


def test_a_patient_that_the_feed_brings_within_the_grace_is_integrated_and_nothing_is_forwarded():
    one = drive()
    mail = arrived(one, document(LEA))
    assert awaited(one)[0].facts["reason"] is Reason.UNKNOWN_PATIENT
    feed(one, LEA.record)
    one.work()
    found = one.mail(mail)
    assert (found.route, found.reason) == (Route.INTEGRATED, None)
    assert FALLBACK not in [each.recipient for each in one.ports.outbox.sent]


def test_an_identity_qualified_within_the_grace_is_integrated():
    one = drive(base=(*OTHERS, replace(LEA.record, status="PROV")))
    mail = arrived(one, document(LEA))
    assert awaited(one)[0].facts["reason"] is Reason.BASE_NOT_QUALIFIED
    feed(one, LEA.record)
    one.work()
    assert one.mail(mail).route is Route.INTEGRATED


def test_the_grace_ends_with_the_fallback_and_the_last_reason():
    one = drive()
    mail = arrived(one, document(LEA))
    feed(one, replace(LEA.record, status="PROV"))
    one.work(rounds=100)
    found = one.mail(mail)
    assert (found.route, found.reason) == (Route.FORWARDED, "PFI-ID-01")
    [decided] = [each.decided_at for each in one.documents(found)]
    assert timedelta(0) <= decided - found.received_at - timedelta(hours=1) < timedelta(minutes=5)


def test_without_a_grace_the_fallback_leaves_at_once():
    one = drive(grace_s=0)
    arrived(one, document(LEA))
    one.work()
    assert awaited(one) == []
    assert one.ports.outbox.sent[0].recipient == FALLBACK


@pytest.mark.parametrize(
    "entries",
    [
        [document(replace(THEO, birth_name="BENEZAR"))],
        [document(replace(LEA, sex="UN"))],
        [document(LEA, action="D")],
    ],
    ids=["904", "905", "deletion"],
)
def test_what_the_feed_cannot_mend_and_a_refused_deletion_never_wait(entries):
    one = drive()
    arrived(one, *entries)
    assert awaited(one) == []


def test_one_faulty_document_is_enough_for_a_mail_not_to_wait():
    one = drive()
    arrived(one, document(LEA), masked())
    assert awaited(one) == []
    assert decided(one) == [Reason.UNKNOWN_PATIENT]


def masked():
    """Refused whatever the base says of its patient."""
    return document(LEA, document_id="2.25.80", masks=("MASQUE_PS",))


def decided(one):
    return [each.facts["reason"] for each in one.outcomes if each.log is Log.MAIL_DECIDED]


def test_a_trait_that_the_base_lacks_may_come_within_the_grace():
    lacking = replace(LEA.record, traits=replace(LEA.record.traits, birth_place=""))
    one = drive(base=(*OTHERS, lacking))
    mail = arrived(one, document(LEA))
    assert awaited(one)[0].facts["reason"] is Reason.BASE_INCOMPLETE
    feed(one, LEA.record)
    one.work()
    assert one.mail(mail).route is Route.INTEGRATED


DELETION = document(LEA, action="D")
FAULTY_SUCCESSOR = document(
    replace(LEA, sex="UN"), document_id="2.25.78", version="2", parent=DOCUMENT_ID, action="C"
)


@pytest.mark.parametrize("later", [DELETION, FAULTY_SUCCESSOR], ids=["deletion", "replacement"])
def test_a_document_whose_deletion_or_replacement_went_to_a_person_follows_it(later):
    one = drive(grace_s=24 * HOUR)
    first = arrived(one, document(LEA), document(LEA, document_id="2.25.79"))
    one.clock.advance(HOUR)
    second = arrived(one, later, number=2)
    feed(one, LEA.record)
    one.work(rounds=100)
    for mail in (first, second):
        assert one.mail(mail).route is Route.FORWARDED
    assert one.mail(first).reason == "902"
    assert one.ports.hospital.accepted == []


def test_a_document_and_its_replacement_may_both_wait_and_reach_the_dpi_in_order():
    one = drive(grace_s=24 * HOUR)
    arrived(one, document(LEA))
    successor = document(LEA, document_id="2.25.78", version="2", parent=DOCUMENT_ID, action="C")
    arrived(one, successor, number=2)
    feed(one, LEA.record)
    one.work(rounds=100)
    events = [each.split(b"|")[8][4:7] for each in one.ports.hospital.accepted]
    assert events == [b"T02", b"T10"]


def test_a_copy_of_the_same_version_that_fell_back_ends_no_wait():
    one = drive(grace_s=24 * HOUR)
    first = arrived(one, document(LEA))
    arrived(one, document(LEA), masked(), number=2)
    feed(one, LEA.record)
    one.work(rounds=100)
    assert one.mail(first).route is Route.INTEGRATED


@pytest.mark.parametrize(("mail", "over"), [("m", False), ("other", True)])
def test_a_mail_whose_links_a_crash_had_closed_is_not_overtaken_by_itself(mail, over):
    """Two documents of one mail in one chain: let go, and the decision was not written."""
    mine = Link(holder="m#0001", order="1", version="v1", masks="", integration=ENDED)
    later = Link(holder=f"{mail}#0002", order="2", version="v2", masks="", integration=ENDED)
    assert overtaken(Chain((mine, later)), mine.holder) is over


def test_without_a_grace_a_refused_replacement_costs_its_parent_no_call():
    """Nobody waits there who must hear of it."""
    for grace_s, told in ((0, False), (HOUR, True)):
        one = drive(grace_s, table=(table := MeddlingTable()))
        arrived(one, FAULTY_SUCCESSOR)
        parent = f"CHAIN#{chain_key(HOSPITAL.mailboxes[0], DOCUMENT_ID)}"
        assert any(parent in partitions for _, partitions in table.journal) is told


def test_a_mail_in_its_grace_is_under_way_with_its_reason_and_never_stuck():
    one = drive(grace_s=24 * HOUR)
    mail = arrived(one, document(LEA))
    one.clock.advance(2 * HOUR)
    found = one.mail(mail)
    assert counted([found])["app"] == {"in_flight": 1}
    assert found.reason == "902"
    jobs = {Step.MATCH: len(one.ports.jobs.queues[Step.MATCH])}
    assert list(stuck([found], jobs, Terms(now=one.clock()))) == []
    assert list(stuck([found], {}, Terms(now=one.clock()))) != []


def test_looks_come_every_tenth_of_the_grace_and_at_least_every_five_minutes():
    assert next_look_s(0, timedelta(0)) == 0
    assert next_look_s(600, timedelta(0)) == 60
    assert next_look_s(24 * HOUR, timedelta(hours=5)) == 300
    assert next_look_s(600, timedelta(seconds=590)) == 11
    assert next_look_s(600, timedelta(seconds=600)) == 0
    assert next_look_s(10**9, LONGEST) == 0
