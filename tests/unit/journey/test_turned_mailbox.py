"""A mailbox is turned to another DPI or establishment while its mails are under way."""

import hashlib
from contextlib import suppress
from dataclasses import replace

import pytest

from pfi.adapters.csv_patients import ListedPatients
from pfi.errors import OutcomeUnknown, Unavailable
from pfi.journey.chains import Chain
from pfi.journey.collect import collect
from pfi.journey.jobs import Job
from pfi.journey.keys import chain_key
from pfi.journey.ledger import Versioned
from pfi.journey.match import match
from pfi.journey.outcome import Log
from pfi.journey.ports import Row
from pfi.journey.push import push
from pfi.journey.records import MailState
from pfi.names import Integration, Mdn, Reason, Route, Step
from tests.data.builders import DOCUMENT_ID, LEA, YANN, document
from tests.doubles.drive import HOSPITAL, Drive, read_mail
from tests.doubles.meddling import Died, MeddlingTable
from tests.doubles.memory import MemoryDpi, MemoryMailbox
from tests.unit.journey.test_routes import letter

A = replace(HOSPITAL.dpis[0], id="dpi-a", hold_s=86_400, receiving_facility="A")
B = replace(A, id="dpi-b", host="b", receiving_facility="B")
BOX = replace(HOSPITAL.mailboxes[0], establishment="a", dpi="dpi-a")
BESIDE = replace(BOX, id="beside", address="beside@ch-invente.mssante.fr")
BEFORE = replace(
    HOSPITAL,
    mailboxes=(BOX, BESIDE),
    dpis=(A, B),
    match=replace(HOSPITAL.match, grace_s=7200),
)
ELSEWHERE = [{"dpi": "dpi-b"}, {"establishment": "b"}, {"dpi": "dpi-b", "establishment": "b"}]
BASES = {
    "a": (LEA.record,),
    "b": (replace(YANN.record, ipp=LEA.record.ipp), replace(LEA.record, ipp="555")),
}
"""The number that LEA has in one establishment is that of YANN in the other."""


class TwoBases:
    """The patient bases of two establishments."""

    def __init__(self, bases):
        self.bases = {name: ListedPatients(records) for name, records in bases.items()}

    def find(self, establishment, *sought):
        return self.bases[establishment].find(establishment, *sought)

    def twins(self, establishment, *sought):
        return self.bases[establishment].twins(establishment, *sought)

    def get(self, establishment, *sought):
        return self.bases[establishment].get(establishment, *sought)


def turned(**changes):
    return replace(BEFORE, mailboxes=(replace(BOX, **changes), BESIDE))


TURNED = turned(dpi="dpi-b")


def drive(settings=BEFORE, bases=BASES, **options):
    """A hospital of two establishments, each with its DPI."""
    one = Drive(settings, **options)
    one.ports.patients = TwoBases(bases)
    one.dpis = {"dpi-a": MemoryDpi(), "dpi-b": MemoryDpi()}
    one.ports.dpi = lambda target: one.dpis[target.id]
    return one


def unknown_patient(**options):
    return drive(bases={"a": (), "b": ()}, **options)


def collected(one, raw, mailbox="app"):
    """Its digest."""
    one.ports.inbox = MemoryMailbox(uid_validity=int(hashlib.sha256(raw).hexdigest()[:6], 16))
    one.ports.inbox.deliver(raw)
    list(collect(one.ports.settings.mailbox(mailbox), "me", one.ports))
    return hashlib.sha256(raw).hexdigest()


def decided(one, raw):
    """A mail whose document waits for its push; the job."""
    collected(one, raw)
    one.read()
    return one.ports.jobs.queues[Step.PUSH].popleft()


def waiting(one, raw):
    """The digest of a mail that waits for its patient."""
    mail = collected(one, raw)
    one.work(rounds=1)
    assert one.mail(mail).state is MailState.READ
    return mail


def received(one):
    return {name: len(dpi.received) for name, dpi in one.dpis.items()}


def row(one, job):
    return one.ledger.document(job.mail, 1).record


def chain(one, mailbox=BOX, document_id=DOCUMENT_ID):
    return one.ledger.chain(chain_key(mailbox, document_id)).record


def states(found):
    return [link.integration for link in found.links]


USUAL = letter(document(LEA), mdn=False)


# --- after the decision


@pytest.mark.parametrize("changes", ELSEWHERE, ids=["dpi", "establishment", "both"])
@pytest.mark.parametrize("back", [False, True], ids=["behind", "ahead"])
def test_a_document_decided_for_another_dpi_or_establishment_never_leaves(changes, back):
    """Whichever of `match` and `push` has the older settings."""
    settings = [BEFORE, turned(**changes)]
    first, second = reversed(settings) if back else settings
    one = drive(first)
    job = decided(one, USUAL)
    one.ports.settings = second
    assert push(job, one.ports).log is Log.DOCUMENT_REFUSED
    assert received(one) == {"dpi-a": 0, "dpi-b": 0}
    assert row(one, job).reason == Reason.BASE_CHANGED.value
    one.work()
    assert one.mail(job.mail).route is Route.FORWARDED


@pytest.mark.parametrize("changes", ELSEWHERE, ids=["dpi", "establishment", "both"])
def test_after_a_lost_answer_a_document_for_another_dpi_goes_to_a_person(changes):
    one = drive()
    job = decided(one, USUAL)
    one.dpis["dpi-a"].answers = [OutcomeUnknown(Reason.DPI_OUTCOME_UNKNOWN)]
    with pytest.raises(OutcomeUnknown):
        push(job, one.ports)
    one.ports.settings = turned(**changes)
    assert push(job, one.ports).log is Log.DOCUMENT_UNKNOWN
    assert received(one) == {"dpi-a": 1, "dpi-b": 0}
    one.work()
    assert one.mail(job.mail).route is Route.REVIEW
    [link] = chain(one).links
    assert link.establishment == "a", "whose number it is told by the decision"


def test_a_document_on_the_wire_is_left_to_its_worker_though_the_mailbox_was_turned():
    one = drive()
    job = decided(one, USUAL)
    known = one.ledger.document(job.mail, 1)
    busy = replace(
        known.record, integration=Integration.SENT, busy_until=one.clock.now.replace(year=2030)
    )
    assert one.ledger.write(one.ledger.document_put(busy, known.revision))
    one.ports.settings = TURNED
    with pytest.raises(Unavailable):
        push(job, one.ports)
    assert row(one, job) == busy


def test_no_chain_says_that_a_dpi_has_what_went_to_another():
    one = drive()
    one.dpis["dpi-a"].answers = [Unavailable(Reason.DPI_UNAVAILABLE)] * 3
    first = collected(one, letter(document(LEA), number=1))
    one.work(rounds=2, pause_s=600)
    one.ports.settings = TURNED
    one.work()
    found = [one.mail(first)]
    for number, mailbox in ((2, "beside"), (3, "app")):
        mail = collected(one, letter(document(LEA), number=number), mailbox)
        one.work()
        found.append(one.mail(mail))
    assert [each.route for each in found] == [Route.FORWARDED, Route.INTEGRATED, Route.INTEGRATED]
    assert found[0].mdn is Mdn.ERROR
    assert {name: len(dpi.accepted) for name, dpi in one.dpis.items()} == {"dpi-a": 1, "dpi-b": 1}


def test_a_document_that_version_0_2_decided_is_compared_with_nothing():
    one = drive()
    job = decided(one, USUAL)
    found = one.ports.table.rows[f"MAIL#{job.mail}", "DOC#0001"]
    data = {k: v for k, v in found.data.items() if k not in ("dpi", "establishment")}
    one.ports.table.rows[found.pk, found.sk] = Row(found.pk, found.sk, found.revision, data)
    one.ports.settings = TURNED
    assert push(job, one.ports).log is Log.DOCUMENT_INTEGRATED


# --- after the DPI has it


def test_a_copy_for_another_establishment_does_not_hide_that_the_number_of_the_patient_changed():
    """One mail for two mailboxes, whose establishments have one DPI."""
    beside = replace(BESIDE, establishment="b")
    one = drive(replace(BEFORE, mailboxes=(BOX, beside)))
    for mailbox in ("app", "beside"):
        collected(one, USUAL, mailbox)
        one.work()
    assert received(one) == {"dpi-a": 1, "dpi-b": 0}
    one.ports.patients = TwoBases({**BASES, "a": (replace(LEA.record, ipp="222"),)})
    mail = collected(one, letter(document(LEA), number=2))
    one.work()
    assert one.mail(mail).route is Route.FORWARDED
    assert one.mail(mail).reason == Reason.ANOTHER_PATIENT.value


# --- before it: a mail that waits for its patient


def test_a_mail_turned_to_another_dpi_while_it_waits_stands_there_and_is_integrated_there():
    one = unknown_patient()
    mail = waiting(one, USUAL)
    one.ports.settings = TURNED
    one.ports.patients = TwoBases(BASES)
    one.work(pause_s=300)
    assert one.failures == []
    assert one.mail(mail).route is Route.INTEGRATED
    assert received(one) == {"dpi-a": 0, "dpi-b": 1}
    assert states(chain(one)) == [Integration.NOT_OWED]
    assert states(chain(one, TURNED.mailboxes[0])) == [Integration.INTEGRATED]


def test_what_waited_behind_it_at_the_former_dpi_goes_on():
    one = unknown_patient()
    waiting(one, USUAL)
    one.ports.settings = TURNED
    one.ports.patients = TwoBases(BASES)
    newer = document(LEA, document_id="2.25.5.5", parent=DOCUMENT_ID, action="C")
    later = collected(one, letter(newer, number=5, mdn=False), "beside")
    one.work(pause_s=300)
    assert one.mail(later).route is Route.INTEGRATED


def test_a_mail_that_waits_names_every_chain_that_it_stands_in_and_leaves_none_behind():
    one = unknown_patient()
    mail = waiting(one, USUAL)
    one.ports.settings = TURNED
    one.work(rounds=1, pause_s=720)
    here, there = chain_key(BOX, DOCUMENT_ID), chain_key(TURNED.mailboxes[0], DOCUMENT_ID)
    assert set(one.mail(mail).chains) == {here, there}
    one.work(rounds=100, pause_s=300)  # to the end of the grace
    assert one.mail(mail).route is Route.FORWARDED
    for key in (here, there):
        assert states(one.ledger.chain(key).record) == [Integration.NOT_OWED]


def forget(one, mail, *names):
    """Fields that version 0.2 did not write in the row of a mail."""
    at = f"MAIL#{mail}", "MAIL"
    row = one.ports.table.rows[at]
    data = {name: value for name, value in row.data.items() if name not in names}
    one.ports.table.rows[at] = replace(row, data=data)


@pytest.mark.parametrize("found", [True, False], ids=["known then", "never known"])
def test_a_mail_that_version_0_2_matched_leaves_no_link_at_the_former_dpi(found):
    one = unknown_patient()
    mail = waiting(one, USUAL)
    forget(one, mail, "chains")
    one.ports.settings = TURNED
    one.work(rounds=1, pause_s=720)
    assert one.mail(mail).state is MailState.READ
    one.ports.patients = TwoBases(BASES if found else {"a": (), "b": ()})
    one.work(rounds=100, pause_s=300)
    assert one.mail(mail).route is (Route.INTEGRATED if found else Route.FORWARDED)
    assert states(chain(one)) == [Integration.NOT_OWED]
    now = Integration.INTEGRATED if found else Integration.NOT_OWED
    assert states(chain(one, TURNED.mailboxes[0])) == [now]


def test_a_mailbox_turned_there_and_back_keeps_its_place():
    one = unknown_patient()
    mail = waiting(one, USUAL)
    for settings in (TURNED, BEFORE):
        one.ports.settings = settings
        one.work(rounds=1, pause_s=720)
    assert states(chain(one)) == [Integration.WAITING]
    one.ports.patients = TwoBases(BASES)
    one.work(pause_s=300)
    assert one.mail(mail).route is Route.INTEGRATED
    assert received(one) == {"dpi-a": 1, "dpi-b": 0}
    assert states(chain(one, TURNED.mailboxes[0])) == [Integration.NOT_OWED]


@pytest.mark.parametrize("message_id", ["<b2@labo-invente.mssante.fr>", ""])
def test_a_match_that_died_at_any_call_before_the_mailbox_was_turned_leaves_no_link(message_id):
    """A mail without Message-ID has no claim that would keep it from the usual way."""
    raw = letter(document(replace(LEA, sex="UN")), message_id=message_id, mdn=False)
    for call in range(1, 20):
        one = drive(table=(table := MeddlingTable()))
        collected(one, raw)
        one.arrive()
        work = read_mail(one.ports.store.read.pop())
        table.meddle(call, _die)
        with suppress(Died):
            match(work, one.ports)
        if not table.meddled:
            assert call > 4
            return
        one.ports.settings = TURNED
        match(work, one.ports)
        one.work()
        assert Integration.WAITING not in states(chain(one))


def _die():
    raise Died


def test_a_usual_mail_that_stands_in_a_chain_already_is_not_decided_as_if_it_did_not():
    one = drive()
    raw = letter(document(LEA), message_id="", mdn=False)
    mail = collected(one, raw)
    known = one.ledger.mail(mail)
    one.ports.settings = TURNED
    assert one.ledger.save_mail(known, chains=(chain_key(BOX, DOCUMENT_ID),))
    stand(one, mail)
    one.work()
    assert one.mail(mail).state is MailState.SETTLED
    assert states(chain(one)) == [Integration.NOT_OWED]


def stand(one, mail):
    """A link of the mail in the chain of the former DPI."""
    other = drive()
    decided(other, USUAL)
    [link] = chain(other).links
    own = Chain((replace(link, holder=f"{mail}#0001"),))
    one.ledger.change_chain(chain_key(BOX, DOCUMENT_ID), lambda _: own)


def test_a_row_that_turns_out_to_be_of_another_mailbox_is_left_alone():
    one = unknown_patient(table=(table := MeddlingTable()))
    mail = waiting(one, USUAL)
    one.ports.patients = TwoBases(BASES)

    def taken():
        known = one.ledger.mail(mail)
        theirs = Versioned(replace(known.record, mailbox="beside"), known.revision)
        assert one.ledger.write(one.ledger.mail_put(theirs.record, theirs.revision))

    table.meddle(3, taken)
    with pytest.raises(Unavailable):
        match(Job(mail), one.ports)
    assert table.meddled
    assert (one.mail(mail).mailbox, one.mail(mail).state) == ("beside", MailState.READ)
    assert one.ledger.documents(mail) == ()
