"""`pfi prove` over everything read: what a review item may explain, and what it may not."""

import hashlib
from dataclasses import replace
from datetime import timedelta

import pytest

from infra.operations.proof import _Inspection
from pfi.journey.accounts import Doubt
from pfi.journey.records import MailState
from pfi.journey.review import DeadLetter, review
from pfi.names import Integration, Reason, Route, Step
from tests.doubles.drive import Drive
from tests.unit.journey.bodies import (
    as_of_version_0_2,
    in_a_second_mailbox,
    objects,
    remove,
)
from tests.unit.journey.test_accounts import book, sent, terms


@pytest.fixture
def drive():
    return Drive()


@pytest.fixture
def faults(drive, monkeypatch):
    """What does not close, with these messages in the queues."""
    bodies = drive.ports.store.objects
    read = lambda _, key: hashlib.sha256(bodies[key]).hexdigest()  # noqa: E731  # a double
    monkeypatch.setattr(_Inspection, "_sha256", read)

    def found(queued=None):
        inspection = _Inspection(None, drive.ledger, terms(drive), (), None)
        listed, read_through = {key: drive.clock() for key in objects(drive)}, book(drive)
        unnamed = tuple(inspection._unnamed(listed, read_through))
        every = inspection._faults(listed, read_through, unnamed, queued or {})
        return [(each.doubt, each.subject) for each in every]

    return found


def quarantined(drive):
    outside = "labo@ailleurs.example"
    [record] = drive.process(sent(2, sender=outside, return_path=outside))
    assert (record.route, record.documents) == (Route.REVIEW, 0)
    return record


def test_the_row_of_a_mail_kept_unread_is_missed_for_its_place_names_it(drive, faults):
    record = quarantined(drive)
    assert faults() == []
    del drive.ports.table.rows[f"MAIL#{record.mail}", "MAIL"]
    assert faults() == [(Doubt.MAIL_MISSING, record.mail)]


@pytest.mark.parametrize("reason", [Reason.UNEXPECTED, Reason.MAIL_TOO_LARGE])
def test_bytes_that_never_became_a_mail_are_explained_by_their_review_item(drive, faults, reason):
    raw = b"what another producer left"
    drive.ports.store.objects["incoming/app/depot.eml"] = raw
    digest = hashlib.sha256(raw).hexdigest()
    assert faults() == [(Doubt.MAIL_MISSING, digest)]
    review(DeadLetter(Step.PARSE, digest, None, reason, 1), drive.ports)
    assert faults() == []


def test_a_mail_of_two_documents_needs_two_jobs(drive, faults):
    [record] = drive.process(sent(1))
    ledger = drive.ledger
    mail, [known] = ledger.mail(record.mail), ledger.documents(record.mail)
    back = replace(record, state=MailState.DECIDED, route=None, documents=2)
    waiting = replace(known.record, integration=Integration.WAITING)
    waiting = replace(waiting, decided_at=drive.clock() - timedelta(hours=1))
    assert ledger.write(
        ledger.mail_put(back, mail.revision),
        ledger.document_put(waiting, known.revision),
        ledger.document_put(replace(waiting, number=2), None),
    )
    stuck = (Doubt.STUCK, record.mail)
    assert stuck in faults({Step.PUSH: 1})
    assert stuck not in faults({Step.PUSH: 2})


def test_the_same_bytes_in_two_mailboxes_have_two_folders_below_one_digest(drive, faults):
    [first] = drive.process(sent(1))
    second = in_a_second_mailbox(drive, first)
    assert faults() == []
    remove(drive, second.dossier)
    assert faults() == [(Doubt.DOSSIER_MISSING, second.mail)]


def test_a_dossier_whose_mail_is_gone_is_that_of_its_own_mailbox(drive, faults):
    [first] = drive.process(sent(1))
    """No row speaks of it any more; that of the same bytes in another mailbox is not its mail."""
    second = in_a_second_mailbox(drive, first)
    rows = drive.ports.table.rows
    for place in [each for each, row in rows.items() if second.mail in f"{each}{row.data}"]:
        del rows[place]
    remove(drive, second.key)
    assert (Doubt.MAIL_MISSING, second.mail) in faults()


def test_what_version_0_2_stored_is_its_mails_and_bytes_without_a_mail_are_lost(drive, faults):
    [record] = drive.process(sent(1))
    old = as_of_version_0_2(drive, record)
    assert faults() == []
    drive.ports.store.objects[f"documents/{'ab' * 32}/0001.xml"] = b"of nobody"
    assert faults() == [(Doubt.MAIL_MISSING, "ab" * 32)]
    remove(drive, f"documents/{old.mail}/0001.xml")
    assert (Doubt.CONTENT_MISSING, old.mail) in faults()


def test_a_dossier_that_nobody_matched_is_explained_by_its_review_item(drive, faults):
    """Of another producer: its mail has no row before `match` makes one."""
    [record] = drive.process(sent(1))
    for row in [key for key in drive.ports.table.rows if record.mail in str(key)]:
        del drive.ports.table.rows[row]
    for kind in ("PLACE", "SAME", "CHAIN", "OUT"):
        for row in [key for key in drive.ports.table.rows if key[0].startswith(kind)]:
            del drive.ports.table.rows[row]
    assert set(faults()) == {(Doubt.MAIL_MISSING, record.mail)}
    review(DeadLetter(Step.MATCH, record.mail, None, Reason.UNEXPECTED, 12, "app"), drive.ports)
    assert faults() == []
