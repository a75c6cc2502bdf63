"""The account of everything: it closes after every journey, and names whatever is taken away."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest

from pfi.errors import OutcomeUnknown, Refused
from pfi.journey.accounts import (
    GRACE,
    Doubt,
    Folder,
    Received,
    Terms,
    Unnamed,
    counted,
    faults_at_the_dpi,
    faults_of,
    faults_of_folder,
    faults_of_objects,
    faults_of_places,
    faults_of_recognition,
    faults_of_references,
)
from pfi.journey.holdings import Book, held_now
from pfi.journey.keys import folder_of
from pfi.journey.ledger import Ledger, index_of
from pfi.journey.records import MailRecord, MailState
from pfi.journey.review import DeadLetter, review
from pfi.names import Integration, Leg, Reason, Route, Step
from tests.data.builders import LEA, document, mail, xdm_zip
from tests.doubles.drive import Drive
from tests.unit.journey.bodies import objects, remove, sent_with_two


def sent(number: int = 1, **options: object) -> bytes:
    entry = document(LEA, document_id=f"2.25.71.{number}.1", set_id=f"2.25.71.{number}")
    options.setdefault("message_id", f"<compte.{number}@labo.mssante.fr>")
    return mail(xdm_zip([entry]), **options)


def terms(drive: Drive, **options: object) -> Terms:
    return Terms(now=drive.clock() + timedelta(hours=1), **options)


def book(drive: Drive) -> Book:
    found = Book()
    for row in drive.ports.table.rows.values():
        found.enter(row, drive.clock())
    return found


def about(drive: Drive, record: MailRecord) -> frozenset[str]:
    folder = folder_of(record.dossier_key)
    return frozenset(k for k in objects(drive) if k == record.key or k.startswith(folder))


def named(drive: Drive, **options: object) -> set[Doubt]:
    """Everything that does not close, of the ledger read through."""
    found, when = book(drive), terms(drive, **options)
    mails = list(found.mails.values())
    faults = [f for m in mails for f in faults_of(found.held(m, about(drive, m)), when)]
    faults += faults_of_references(found.named, found.known(), when)
    faults += faults_of_references(found.set_aside, found.known(), when)
    faults += faults_of_places(mails, found.places, when)
    faults += faults_of_recognition(mails, found.same, found.out, when)
    return {each.doubt for each in faults}


@pytest.fixture
def drive() -> Drive:
    return Drive()


@pytest.fixture
def integrated(drive: Drive) -> MailRecord:
    [record] = drive.process(sent())
    assert record.route is Route.INTEGRATED
    return record


def flock(drive: Drive) -> list[MailRecord]:
    """One of each end that needs no fault of a peer, one of them twice."""
    return drive.process(
        sent(1),
        sent(1),
        mail(None, message_id="<sans.archive@labo.mssante.fr>"),
        sent(2, sender="labo@ailleurs.example", return_path="labo@ailleurs.example"),
    )


def test_the_account_closes_and_each_mail_is_in_one_place(drive):
    first, again, forwarded, aside = flock(drive)
    assert first == again
    assert named(drive) == set()
    places = counted(book(drive).mails.values())["app"]
    assert places == Counter(integrated=1, forwarded=1, review=1)
    assert places.total() == 3
    assert first.copies == 2
    assert (forwarded.route, aside.route) == (Route.FORWARDED, Route.REVIEW)


def test_point_reads_hold_the_same_as_reading_through(drive):
    for record in {each.mail: each for each in flock(drive)}.values():
        stored = about(drive, record)
        held = held_now(drive.ledger, record.mail, lambda _, stored=stored: stored)
        assert held is not None
        assert list(faults_of(held, terms(drive))) == []
        assert held.mail == book(drive).held(record, stored).mail


@pytest.mark.parametrize(
    ("pk", "sk", "doubt"),
    [
        ("MAIL#{}", "MAIL", Doubt.MAIL_MISSING),
        ("MAIL#{}", "DOC#0001", Doubt.DOCUMENT_MISSING),
        ("CHAIN#", "CHAIN", Doubt.CHAIN_MISSING),
        ("PLACE#app", "", Doubt.COPIES_DIFFER),
        ("SAME#", "SAME", Doubt.CLAIM_MISSING),
        ("OUT#", "OUT", Doubt.SENT_MISSING),
    ],
)
def test_a_row_that_is_gone_is_named(drive, integrated, pk, sk, doubt):
    [key] = [
        (p, s)
        for p, s in drive.ports.table.rows
        if p.startswith(pk.format(integrated.mail)) and s.startswith(sk)
    ]
    del drive.ports.table.rows[key]
    assert doubt in named(drive)


def test_a_review_item_that_is_gone_is_named_even_beside_another(drive):
    [record] = drive.process(sent(2, sender="a@ailleurs.example", return_path="a@ailleurs.example"))
    other = DeadLetter(Step.FORWARD, record.mail, None, Reason.BOUNCED, 1)
    review(other, drive.ports)
    assert named(drive) == set()
    [key, _] = [key for key in drive.ports.table.rows if key[0] == f"REVIEW#{record.mail}"]
    del drive.ports.table.rows[key]
    assert named(drive) == {Doubt.REVIEW_MISSING}


@pytest.mark.parametrize(
    ("name", "doubt"),
    [
        ("incoming/", Doubt.BODY_MISSING),
        ("dossier.json", Doubt.DOSSIER_MISSING),
        ("0001.xml", Doubt.CONTENT_MISSING),
    ],
)
def test_a_body_that_is_gone_is_named_until_the_retention_explains_it(drive, name, doubt):
    [record] = drive.process(sent_with_two())
    assert record.route is Route.INTEGRATED
    assert named(drive) == set()
    [key] = [key for key in objects(drive) if name in key]
    remove(drive, key)
    assert named(drive) == {doubt}
    assert named(drive, body_days=30) == {doubt}
    drive.clock.advance(31 * 86_400)
    assert named(drive, body_days=30) == set()


def test_a_dossier_that_is_gone_is_named_and_is_not_asked_of_a_mail_kept_unread(drive):
    *_, aside = flock(drive)
    assert not [key for key in drive.ports.store.dossiers if aside.mail in key]
    assert named(drive) == set()
    drive.ports.store.dossiers.clear()
    assert named(drive) == {Doubt.DOSSIER_MISSING}


def test_what_is_young_and_what_is_too_old_for_the_ledger_is_no_fault(drive, integrated):
    drive.ports.store.objects.clear()
    assert named(drive, grace=timedelta(hours=2)) == set()
    assert Doubt.BODY_MISSING in named(drive)
    drive.clock.advance(399 * 86_400)
    assert named(drive) == set()


def test_a_document_and_its_chain_that_disagree_are_named(drive, integrated):
    known = drive.ledger.document(integrated.mail, 1)
    assert known is not None
    doubtful = replace(known.record, integration=Integration.REFUSED)
    assert drive.ledger.write(drive.ledger.document_put(doubtful, known.revision))
    assert named(drive) == {Doubt.CHAIN_DIFFERS}


# the DPI, the store, the mailbox


def test_the_dpi_holds_each_integrated_message_once_and_no_other(drive, integrated):
    documents = drive.documents(integrated)
    control_id = documents[0].control_id
    assert control_id is not None
    here = Received(control_id, "0" * 64)
    assert list(faults_at_the_dpi(documents, [here])) == []
    [twice] = faults_at_the_dpi(documents, [here, here])
    assert (twice.doubt, twice.count) == (Doubt.ACCEPTED_TWICE, 2)
    [gone] = faults_at_the_dpi(documents, [])
    assert gone.doubt is Doubt.NOT_ACCEPTED
    [strange] = faults_at_the_dpi(documents, [here, Received("AUTRE", "0" * 64)])
    assert (strange.doubt, strange.subject) == (Doubt.ACCEPTED_UNKNOWN, "AUTRE")


def test_a_lost_answer_has_a_review_item_and_the_dpi_may_hold_the_document_or_not(drive):
    lost = OutcomeUnknown(Reason.DPI_OUTCOME_UNKNOWN)
    drive.ports.hospital.answers = [lost] * 9
    [record] = drive.process(sent())
    [found] = drive.documents(record)
    assert found.integration is Integration.UNKNOWN
    assert named(drive) == set()
    for inbox in ([], [Received(found.control_id or "", "0" * 64)]):
        assert list(faults_at_the_dpi([found], inbox)) == []
    [key] = [key for key in drive.ports.table.rows if key[0] == f"REVIEW#{record.mail}"]
    del drive.ports.table.rows[key]
    assert named(drive) == {Doubt.REVIEW_MISSING}


def test_bytes_without_a_mail_are_lost_unless_a_person_was_told(drive):
    now = terms(drive)
    alone = Unnamed("ab" * 32, drive.clock())
    assert [each.doubt for each in faults_of_objects([alone], now)] == [Doubt.MAIL_MISSING]
    assert list(faults_of_objects([replace(alone, reviewed=True)], now)) == []
    assert list(faults_of_objects([replace(alone, stored_at=now.now)], now)) == []


def test_the_processed_folder_holds_no_more_than_was_collected(drive, integrated):
    here = Counter({integrated.mail: 1})
    assert list(faults_of_folder(Folder("app", here), [integrated])) == []
    assert list(faults_of_folder(Folder("app", Counter()), [integrated])) == []
    [more] = faults_of_folder(Folder("app", here + here), [integrated])
    assert more.doubt is Doubt.COPIES_DIFFER
    [strange] = faults_of_folder(Folder("app", Counter({"ab" * 32: 1})), [integrated])
    assert strange.doubt is Doubt.MAIL_MISSING
    [late] = faults_of_folder(Folder("app", here, overdue=3), [integrated])
    assert (late.doubt, late.count) == (Doubt.NOT_COLLECTED, 3)


# what else remembers


def test_a_mail_is_listed_among_those_under_way_and_then_under_its_message_id(drive, integrated):
    open_index, _ = index_of(replace(integrated, state=MailState.DECIDED)) or ("", "")
    assert open_index == f"MAIL#open#{integrated.mail[0]}"
    index, place = index_of(integrated) or ("", "")
    assert index == f"MESSAGE#{integrated.message}"
    assert place.endswith(integrated.mail)
    assert len(integrated.message) == 64
    assert index_of(replace(integrated, message="")) is None


def test_a_dead_arrival_in_a_second_mailbox_is_not_the_mail_of_the_first(drive, integrated):
    """The same bytes in two mailboxes are two mails; the review of one leaves the other alone."""
    letter = DeadLetter(Step.PARSE, integrated.mail, None, Reason.UNEXPECTED, 3, mailbox="autre")
    review(letter, drive.ports)
    assert drive.ledger.reviews(integrated.mail) == ()
    assert not drive.mail(integrated.mail).review
    other, _ = Ledger(drive.ports.table, drive.clock).mail_of("autre", integrated.mail)
    assert [each.reason for each in drive.ledger.reviews(other)] == ["PFI-EDGE-09"]


# what no other source would show


@pytest.mark.parametrize("kind", ["DOC", "CHAIN", "PLACE", "SAME", "OUT"])
def test_each_kind_of_row_names_a_mail_that_the_ledger_does_not_know(drive, integrated, kind):
    del drive.ports.table.rows[f"MAIL#{integrated.mail}", "MAIL"]
    found = Book()
    for (pk, sk), row in drive.ports.table.rows.items():
        if kind in (pk.partition("#")[0], sk.partition("#")[0]):
            found.enter(row, drive.clock())
    [fault] = faults_of_references(found.named, found.known(), terms(drive))
    assert (fault.doubt, fault.subject) == (Doubt.MAIL_MISSING, integrated.mail)


@pytest.mark.parametrize("reason", [Reason.MAIL_TOO_LARGE, Reason.MAILBOX_UNAVAILABLE])
def test_the_review_of_a_mail_set_aside_names_it_and_that_of_a_lost_job_does_not(drive, reason):
    aside, lost = "ab" * 32, "cd" * 32
    review(DeadLetter(Step.COLLECT, aside, None, reason, 1), drive.ports)
    review(DeadLetter(Step.PARSE, lost, None, Reason.UNEXPECTED, 1), drive.ports)
    found = book(drive)
    assert {mail for mail, _ in found.set_aside} == {aside}
    assert found.named == []


def test_an_item_whose_redrive_was_interrupted_is_still_open(drive):
    *_, aside = flock(drive)
    assert book(drive).open_reviews == 1
    [row] = [r for (pk, _), r in drive.ports.table.rows.items() if pk == f"REVIEW#{aside.mail}"]
    for status, count in (("redriving", 1), ("redriven", 0), ("closed", 0)):
        row.data["status"] = status
        assert book(drive).open_reviews == count


def test_a_young_row_and_one_too_old_for_the_ledger_name_nothing(drive):
    now = terms(drive)
    for written, faults in (
        (now.now - GRACE, 0),
        (now.now - GRACE - timedelta(seconds=1), 1),
        (now.now - timedelta(days=397), 1),
        (now.now - timedelta(days=399), 0),
    ):
        named_then = [("ab" * 32, written)]
        assert len(list(faults_of_references(named_then, frozenset(), now))) == faults
        assert len(list(faults_of_objects([Unnamed("ab" * 32, written)], now))) == faults


def test_a_mail_that_ended_without_a_route_is_in_no_place(drive, integrated):
    held = book(drive).held(replace(integrated, route=None), about(drive, integrated))
    assert [each.doubt for each in faults_of(held, terms(drive))] == [Doubt.TWO_PLACES]


def test_what_the_ledger_calls_refused_or_not_owed_is_not_at_the_dpi(drive, integrated):
    [document] = drive.documents(integrated)
    here = [Received(document.control_id or "", "0" * 64)]
    for integration in (Integration.REFUSED, Integration.NOT_OWED):
        ended = replace(document, integration=integration)
        [fault] = faults_at_the_dpi([ended], here)
        assert (fault.doubt, fault.document) == (Doubt.CHAIN_DIFFERS, 1)
        assert list(faults_at_the_dpi([ended], [])) == []


def test_a_repeat_of_what_the_dpi_has_is_not_asked_of_it(drive, integrated):
    [document] = drive.documents(integrated)
    assert list(faults_at_the_dpi([replace(document, repeated=True)], [])) == []


def reviewless(drive, record: MailRecord, **document) -> list[Doubt]:
    """What is wrong with a mail of which no review item is left."""
    held = book(drive).held(record, about(drive, record))
    documents = tuple(replace(each, **document) for each in held.documents)
    faults = faults_of(replace(held, documents=documents, reviews={}), terms(drive))
    return [each.doubt for each in faults if each.doubt is Doubt.REVIEW_MISSING]


def test_a_mail_marked_for_review_has_an_item(drive, integrated):
    assert reviewless(drive, integrated) == []
    assert reviewless(drive, replace(integrated, review=True)) == [Doubt.REVIEW_MISSING]


def test_a_settled_mail_with_a_lost_answer_has_an_item_and_one_under_way_not_yet(drive, integrated):
    lost = {"integration": Integration.UNKNOWN}
    assert reviewless(drive, integrated, **lost) == [Doubt.REVIEW_MISSING]
    assert reviewless(drive, replace(integrated, state=MailState.DECIDED), **lost) == []


def test_a_mail_that_was_read_and_then_kept_for_a_person_has_its_dossier(drive):
    """Unlike one that was kept unread: the relay refused to forward it."""
    drive.ports.outbox.faults = [Refused(Reason.RELAY_REFUSED)]
    [record] = drive.process(mail(None, message_id="<sans.archive@labo.mssante.fr>"))
    assert record.route is Route.REVIEW
    assert named(drive) == set()
    drive.ports.store.dossiers.clear()
    assert named(drive) == {Doubt.DOSSIER_MISSING}


def test_a_duplicate_claims_nothing_and_what_was_never_sent_has_no_row(drive, integrated):
    again = replace(integrated, route=Route.DUPLICATE, answer=Leg.FAILED)
    assert list(faults_of_recognition([again], {}, {}, terms(drive))) == []
    assert (
        list(faults_of_recognition([replace(again, sent=None, route=None)], {}, {}, terms(drive)))
        == []
    )
    young = terms(drive, grace=timedelta(hours=2))
    assert list(faults_of_recognition([integrated], {}, {}, young)) == []


def test_a_mail_with_two_mails_of_ours_has_two_rows(drive, integrated):
    both = replace(integrated, forward=Leg.SENT, answer=Leg.SENT)
    same = {both.mail: 1}
    [one] = faults_of_recognition([both], same, {both.mail: 1}, terms(drive))
    assert one.doubt is Doubt.SENT_MISSING
    assert list(faults_of_recognition([both], same, {both.mail: 2}, terms(drive))) == []
