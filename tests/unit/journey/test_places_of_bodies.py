"""Where the bodies of a mail lie, as the account knows it."""

import pytest

from pfi.journey.accounts import Doubt, faults_of, seals_of
from pfi.journey.keys import dossier_key
from pfi.journey.records import MailRecord
from pfi.names import Route
from tests.doubles.drive import Drive
from tests.unit.journey.bodies import as_of_version_0_2, in_a_second_mailbox, objects, remove
from tests.unit.journey.test_accounts import about, book, named, sent, terms


@pytest.fixture
def drive() -> Drive:
    return Drive()


@pytest.fixture
def integrated(drive: Drive) -> MailRecord:
    [record] = drive.process(sent())
    assert record.route is Route.INTEGRATED
    return record


def test_a_single_document_lies_within_its_dossier_and_goes_with_it(drive, integrated):
    assert integrated.dossier == dossier_key("app", integrated.mail)
    assert objects(drive) == {integrated.key, integrated.dossier}
    assert named(drive) == set()
    remove(drive, integrated.dossier)
    assert named(drive) == {Doubt.DOSSIER_MISSING}


@pytest.mark.parametrize(
    ("name", "doubt"),
    [("dossier.json", Doubt.DOSSIER_MISSING), ("0001.xml", Doubt.CONTENT_MISSING)],
)
def test_of_a_mail_of_version_0_2_each_document_lies_beside_its_dossier(
    drive, integrated, name, doubt
):
    old = as_of_version_0_2(drive, integrated)
    folder = f"documents/{old.mail}/"
    assert objects(drive) == {old.key, f"{folder}dossier.json", f"{folder}0001.xml"}
    assert named(drive) == set()
    remove(drive, folder + name)
    assert named(drive) == {doubt}


def test_the_same_bytes_in_two_mailboxes_are_two_mails_with_a_dossier_each(drive, integrated):
    second = in_a_second_mailbox(drive, integrated)
    assert second.mail != integrated.mail
    assert second.dossier == dossier_key("autre", integrated.mail)
    assert named(drive) == set()
    assert seals_of(second) == {second.mail, integrated.mail}
    remove(drive, second.dossier)
    faults = [*faults_of(book(drive).held(second, about(drive, second)), terms(drive))]
    assert [(each.doubt, each.subject) for each in faults] == [(Doubt.DOSSIER_MISSING, second.mail)]
    first = book(drive).held(integrated, about(drive, integrated))
    assert list(faults_of(first, terms(drive))) == []


def test_a_mail_of_another_producer_is_known_by_the_seal_of_its_dossier():
    seal, when = "ab" * 32, Drive().clock()
    options = {"mailbox": "autre", "key": "incoming/autre/depot.eml", "received_at": when}
    record = MailRecord(mail="cd" * 32, dossier=dossier_key("autre", seal), **options)
    assert seals_of(record) == {record.mail, "depot", seal}
