"""Mails in review that nobody decided: `match` is started by a dossier, and so are its reviews."""

import hashlib
from dataclasses import replace

import pytest

from infra.operations.installed_reviews import arrival_body
from pfi.adapters.csv_patients import ListedPatients
from pfi.edge.lambdas import letters_of
from pfi.errors import Unavailable
from pfi.journey.keys import chain_key, dossier_key
from pfi.journey.match import _Match
from pfi.journey.records import MailState
from pfi.journey.review import DeadLetter, review
from pfi.names import Integration, Reason, Route, Step
from tests.data.builders import DOCUMENT_ID, LEA, document
from tests.unit.edge.records import record
from tests.unit.operations.test_reviews import SIGNED, Hospital, letter

HOURS = 7200


@pytest.fixture
def hospital():
    return Hospital()


def dead_letter(key):
    """The event of a dossier, as the dead-letter queue of `match` holds it."""
    return record(arrival_body(key), received=12, queue="pfi-match-dlq")


def unmatched(hospital):
    """`match` crashed until the event of the dossier was set aside."""
    hospital.ports.inbox.deliver(letter())
    hospital.collect()
    hospital.arrive()
    [key] = hospital.ports.store.read
    hospital.ports.store.read.clear()
    [found] = letters_of(dead_letter(key), {Step.MATCH: "https://sqs/pfi-match-dlq"})
    review(found, hospital.ports)
    assert hospital.waiting() == [("match", "PFI-EDGE-09")]
    return key


def stuck_before_the_decision(hospital, *, joined=True):
    """`joined`: `match` died between the chains and the decision."""
    key = unmatched(hospital)
    _, seal, mailbox, _ = key.split("/")
    if joined:
        store = hospital.ports.store
        own = hospital.ports.settings.mailbox(mailbox)
        found = _Match(key, store.dossier(key), own, hospital.ledger, hospital.ports)
        found._join(hospital.mail(seal))
    assert hospital.mail(seal).state is MailState.RECEIVED
    return seal


@pytest.mark.parametrize("joined", [True, False])
def test_a_mail_stuck_before_the_decision_goes_on_after_the_redrive(hospital, joined):
    mail = stuck_before_the_decision(hospital, joined=joined)
    [filed] = hospital.desk.redrive(mail, *SIGNED)
    assert filed.step == "match"
    hospital.work()
    again = hospital.mail(mail)
    assert (again.route, again.review, hospital.waiting()) == (Route.INTEGRATED, False, [])
    assert len(hospital.ports.hospital.accepted) == 1


def test_a_mail_whose_row_does_not_say_where_it_was_read_is_read_again(hospital):
    """Collected by version 0.2, read by this one."""
    mail = stuck_before_the_decision(hospital)
    known = hospital.ledger.mail(mail)
    assert hospital.ledger.save_mail(known, dossier="")
    hospital.desk.redrive(mail, *SIGNED)
    hospital.work()
    again = hospital.mail(mail)
    assert (again.route, again.review) == (Route.INTEGRATED, False)


def test_the_event_of_a_dossier_is_reviewed_as_the_mail_of_its_mailbox(hospital):
    """The same bytes came to another mailbox first: their digest is that one's mail."""
    [first] = hospital.process(letter())
    key = dossier_key("autre", first.mail)
    [found] = letters_of(dead_letter(key), {Step.MATCH: "https://sqs/pfi-match-dlq"})
    review(found, hospital.ports)
    assert hospital.ledger.reviews(first.mail) == ()
    second, _ = hospital.ledger.mail_of("autre", first.mail)
    assert [each.step for each in hospital.ledger.reviews(second)] == ["match"]


def test_a_mail_that_nobody_could_read_is_closed_without_a_dossier(hospital):
    raw = letter()
    hospital.ports.inbox.deliver(raw)
    hospital.collect()
    mail = hashlib.sha256(raw).hexdigest()
    hospital.ports.store.arrivals.clear()
    review(DeadLetter(Step.PARSE, mail, None, Reason.UNEXPECTED, 12), hospital.ports)
    hospital.desk.close(mail, *SIGNED)
    assert hospital.mail(mail).route is Route.REVIEW


def test_a_mail_that_match_had_in_hand_is_not_closed_while_its_dossier_cannot_be_read(hospital):
    """Its links would hold back every later version, and nobody could name them."""
    mail = stuck_before_the_decision(hospital)
    hospital.ports.store.dossiers.clear()
    with pytest.raises(Unavailable):
        hospital.desk.close(mail, *SIGNED)
    assert hospital.waiting() == [("match", "PFI-EDGE-09")]


def test_a_mail_closed_before_the_decision_holds_back_no_later_version(hospital):
    mail = stuck_before_the_decision(hospital)
    hospital.desk.close(mail, *SIGNED)
    newer = document(LEA, effective_time="20260514101500+0200")
    [other] = hospital.process(letter(newer, number=2))
    assert (other.route, hospital.mail(mail).route) == (Route.INTEGRATED, Route.REVIEW)
    assert hospital.waiting() == []


def test_a_closed_mail_lets_go_of_the_chains_of_a_dpi_that_its_mailbox_served_before(hospital):
    """It waited for its patient while the mailbox was turned to another DPI."""
    ports, before = hospital.ports, hospital.ports.settings
    [box] = before.mailboxes
    beside = replace(box, id="beside", address="beside@ch-invente.mssante.fr")
    dpis = (*before.dpis, replace(before.dpis[0], id="other", host="other"))
    grace, known = replace(before.match, grace_s=HOURS), ports.patients
    ports.settings = replace(before, mailboxes=(box, beside), dpis=dpis, match=grace)
    ports.patients = ListedPatients(())
    ports.inbox.deliver(letter())
    [found] = hospital.collect()[:1]
    hospital.work(rounds=1)
    turned = (replace(box, dpi="other"), beside)
    ports.settings = replace(ports.settings, mailboxes=turned)
    hospital.work(rounds=1, pause_s=600)
    mail = found.facts["mail"].value
    review(DeadLetter(Step.MATCH, mail, None, Reason.UNEXPECTED, 12), ports)
    hospital.desk.close(mail, *SIGNED)
    for mailbox in (box, turned[0]):
        [link] = hospital.ledger.chain(chain_key(mailbox, DOCUMENT_ID)).record.links
        assert link.integration is Integration.NOT_OWED
    ports.jobs.queues[Step.MATCH].clear()
    ports.patients, ports.settings = known, replace(ports.settings, mailboxes=(box, beside))
    newer = document(LEA, effective_time="20260514101500+0200")
    [other] = hospital.process(letter(newer, number=2))
    assert (other.route, hospital.failures) == (Route.INTEGRATED, [])


def test_a_mail_that_version_0_2_matched_is_closed_by_what_its_dossier_says(hospital):
    """Its row names no chain."""
    mail = stuck_before_the_decision(hospital)
    assert hospital.mail(mail).chains == ()
    hospital.desk.close(mail, *SIGNED)
    box = hospital.ports.settings.mailboxes[0]
    [link] = hospital.ledger.chain(chain_key(box, DOCUMENT_ID)).record.links
    assert link.integration is Integration.NOT_OWED


def test_a_mail_that_version_0_2_matched_is_closed_though_its_mailbox_was_turned_since(hospital):
    """It may stand at any DPI."""
    mail = stuck_before_the_decision(hospital)
    ports, [box] = hospital.ports, hospital.ports.settings.mailboxes
    [dpi] = ports.settings.dpis
    dpis = (dpi, replace(dpi, id="other", host="other"))
    ports.settings = replace(ports.settings, mailboxes=(replace(box, dpi="other"),), dpis=dpis)
    hospital.desk.close(mail, *SIGNED)
    [link] = hospital.ledger.chain(chain_key(box, DOCUMENT_ID)).record.links
    assert link.integration is Integration.NOT_OWED
