"""Mails that version 0.2 left half-way: their rows name no dossier, their jobs name no chains."""

import hashlib
import json
from dataclasses import replace

import pytest

from pfi.adapters.csv_patients import ListedPatients
from pfi.journey.chains import Chain, Link
from pfi.journey.jobs import Job, load
from pfi.journey.keys import chain_key, patients_of, same_mail, version_of
from pfi.journey.ledger import Ledger
from pfi.journey.match import match
from pfi.journey.outcome import Log
from pfi.journey.parse import Arrival, parse
from pfi.journey.ports import Row
from pfi.journey.reading import read_mail
from pfi.journey.records import MailRecord, MailState
from pfi.journey.sending import sent_of
from pfi.names import Reason, Route, Step
from tests.data.builders import LEA, document
from tests.doubles.drive import FALLBACK, HOSPITAL, Drive
from tests.unit.journey.test_routes import letter

APP = HOSPITAL.mailboxes[0]
LATER = ("ipp", "establishment")
"""Fields that 0.2 did not write in a link."""


def left(raw, *, state, claimed=True, stored=True, **changes):
    """A drive and the digest of a mail, as `collect` and `parse` of 0.2 left them."""
    drive, mail = Drive(), hashlib.sha256(raw).hexdigest()
    key = drive.ports.store.put_mail("app", mail, raw)
    drive.ports.store.arrivals.clear()
    reading = read_mail(raw, APP, HOSPITAL)
    record = MailRecord(
        mail=mail, mailbox="app", key=key, received_at=drive.clock.now, state=state, copies=1
    )
    if state is not MailState.RECEIVED:
        record = replace(
            record,
            documents=len(reading.dossier.documents),
            reason=reading.dossier.reason,
            sent=sent_of(reading.dossier, HOSPITAL),
            **changes,
        )
    if claimed:
        _claim(drive.ledger, mail, reading.dossier)
    if stored:
        _store(drive, mail, reading)
    drive.ledger.write(drive.ledger.mail_put(record, None))
    _forget_the_dossier(drive, mail)
    return drive, mail


def _claim(ledger: Ledger, mail, dossier):
    ledger.claim(same_mail(APP, dossier), mail)
    for number, facts in enumerate(dossier.documents, start=1):
        link = Link(
            holder=f"{mail}#{number:04}",
            order=ledger.now().isoformat(),
            version=version_of(facts),
            masks=facts.masks,
            patients=patients_of(facts),
        )
        ledger.write(ledger.chain_put(chain_key(APP, facts.id), Chain().joined(link), None))


def _store(drive, mail, reading):
    store, folder = drive.ports.store, f"documents/{mail}/"
    for number, content in enumerate(reading.contents, start=1):
        store.objects[f"{folder}{number:04}.xml"] = content
    store.dossiers[f"{folder}dossier.json"] = reading.dossier


def _forget_the_dossier(drive, mail):
    row = drive.ports.table.rows[f"MAIL#{mail}", "MAIL"]
    data = {name: value for name, value in row.data.items() if name != "dossier"}
    drive.ports.table.rows[row.pk, row.sk] = Row(row.pk, row.sk, row.revision, data)


def arrive(drive, mail):
    return parse(Arrival(f"incoming/app/{mail}.eml", "app"), drive.ports)


def holders(drive):
    return [
        link["holder"]
        for (pk, _), row in drive.ports.table.rows.items()
        if pk.startswith("CHAIN#")
        for link in row.data["links"]
    ]


@pytest.mark.parametrize("size", [1, 2])
def test_a_mail_that_was_read_goes_on_with_the_dossier_and_the_documents_of_then(size):
    entries = [document(LEA, document_id=f"2.25.9.{n}") for n in range(size)]
    drive, mail = left(letter(*entries), state=MailState.READ)
    drive.ports.jobs.send(Step.MATCH, load(json.dumps({"v": 1, "mail": mail})))
    drive.work()
    found = drive.mail(mail)
    assert (found.route, found.dossier) == (Route.INTEGRATED, f"documents/{mail}/dossier.json")
    assert len(set(drive.ports.hospital.accepted)) == size
    assert len(holders(drive)) == len(set(holders(drive))) == size


def test_a_mail_that_was_read_and_cannot_be_integrated_is_forwarded_with_its_dossier_of_then():
    drive, mail = left(letter(document(replace(LEA, sex="UN")), mdn=False), state=MailState.READ)
    drive.ports.jobs.send(Step.MATCH, Job(mail))
    drive.work()
    assert drive.mail(mail).route is Route.FORWARDED
    assert [each.recipient for each in drive.ports.outbox.sent] == [FALLBACK]


def test_a_repeated_arrival_of_a_mail_that_was_settled_changes_nothing_that_the_ledger_says():
    drive, mail = left(letter(document(LEA)), state=MailState.READ)
    drive.ports.jobs.send(Step.MATCH, Job(mail))
    drive.work()
    before = dict(drive.ports.table.rows)
    arrive(drive, mail)
    drive.work()
    assert drive.outcomes[-1].log is Log.MAIL_REPEATED
    assert drive.ports.table.rows == before
    assert len(drive.ports.hospital.accepted) == 1


def test_the_second_look_at_a_mail_that_waits_for_the_feed_finds_its_dossier_of_then():
    drive, mail = left(letter(document(LEA)), state=MailState.READ)
    waiting = drive.ledger.mail(mail)
    drive.ledger.save_mail(waiting, reason=Reason.UNKNOWN_PATIENT.value)
    _forget_the_dossier(drive, mail)
    drive.ports.jobs.send(Step.MATCH, Job(mail))
    drive.work()
    assert (drive.mail(mail).route, drive.mail(mail).reason) == (Route.INTEGRATED, None)


@pytest.mark.parametrize("claimed", [False, True], ids=["not read", "read in half"])
def test_a_mail_that_was_collected_only_is_read_anew_whatever_parse_had_done_of_it(claimed):
    drive, mail = left(
        letter(document(LEA)), state=MailState.RECEIVED, claimed=claimed, stored=claimed
    )
    assert arrive(drive, mail).log is Log.MAIL_READ
    drive.work()
    found = drive.mail(mail)
    assert (found.route, found.copies) == (Route.INTEGRATED, 1)
    assert found.dossier == f"documents/{mail}/app/dossier.json"
    assert holders(drive) == [f"{mail}#0001"]
    assert len(drive.ports.hospital.accepted) == 1


def test_a_document_that_was_decided_is_pushed_by_a_job_that_names_no_chain():
    drive, mail = left(letter(document(LEA), mdn=False), state=MailState.READ)
    match(Job(mail), drive.ports)
    _forget_the_dossier(drive, mail)
    drive.ports.jobs.queues[Step.PUSH].clear()
    drive.ports.jobs.send(Step.PUSH, load(json.dumps({"v": 1, "mail": mail, "document": 1})))
    drive.work()
    found = drive.mail(mail)
    assert (found.route, found.state) == (Route.INTEGRATED, MailState.SETTLED)
    assert len(drive.ports.hospital.accepted) == 1


def test_a_link_of_then_says_nothing_of_an_ipp_and_its_version_is_a_repeat():
    drive = Drive()
    drive.process(letter(document(LEA), number=1))
    for at, row in drive.ports.table.rows.items():
        if row.pk.startswith("CHAIN#"):
            links = [{k: v for k, v in x.items() if k not in LATER} for x in row.data["links"]]
            drive.ports.table.rows[at] = replace(row, data={**row.data, "links": links})
    drive.ports.patients = ListedPatients([replace(LEA.record, ipp="OTHER")])
    [found] = drive.process(letter(document(LEA), number=2))
    assert (found.route, drive.documents(found)[0].repeated) == (Route.INTEGRATED, True)
