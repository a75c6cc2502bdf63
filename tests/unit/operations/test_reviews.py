"""What a person does with a mail in review: sends it back once repaired, or closes it."""

import json
from dataclasses import replace

import pytest

from infra.cli.review import shown, table
from infra.cli.states import INTEGRATIONS_FR, LEGS_FR, STATES_FR, labelled
from infra.cli.trace import trace_lines
from infra.operations.account import OperationRefused
from infra.operations.installed_reviews import arrival_body
from infra.operations.reviews import INDEX, Desk
from infra.operations.tracing import trace_of
from pfi.edge.lambdas import arrivals_of
from pfi.errors import OutcomeUnknown, Refused, Unavailable
from pfi.journey.ports import Change
from pfi.journey.records import MailState
from pfi.names import Integration, Leg, Mdn, Reason, Route, Step
from tests.data.builders import LEA, SENDER, document, mail, xdm_zip
from tests.doubles.drive import FALLBACK, Drive
from tests.doubles.memory import MemoryTable

SIGNED = ("Camille Durand", "réglage corrigé")
LOST = OutcomeUnknown(Reason.DPI_OUTCOME_UNKNOWN)


class IndexedTable(MemoryTable):
    """The double with the index of the ledger: a row stands in it while its last write said so."""

    def __init__(self):
        super().__init__()
        self.index = {}

    def write(self, *puts):
        written = super().write(*puts)
        for put in puts if written else ():
            if isinstance(put, Change):  # the place in the index stays
                continue
            self.index.pop((put.pk, put.sk), None)
            if put.index:
                self.index[put.pk, put.sk] = put.index
        return written

    def waiting(self):
        found = [(order, key) for key, (name, order) in self.index.items() if name == INDEX]
        return [key for _, key in sorted(found)]


class Queues:
    def __init__(self, drive):
        self.drive = drive
        self.fault = None

    def send(self, step, job, lane=""):
        if self.fault:
            raise self.fault
        self.drive.ports.jobs.send(step, job, lane)

    def arrive(self, key):
        self.drive.ports.store.arrivals.append(key)


class Hospital(Drive):
    """A drive whose table has the index, and its review desk."""

    def __init__(self):
        super().__init__()
        self.ports.table = IndexedTable()
        self.ledger = replace(self.ledger, table=self.ports.table)
        self.queues = Queues(self)

    @property
    def desk(self):
        ports = self.ports
        return Desk(
            self.ledger, ports.store, ports.settings, self.queues, ports.table.waiting, "arn:me"
        )

    def waiting(self):
        return [(each.item.step, each.item.reason) for each in self.desk.waiting()]


def letter(*entries, number=1, **options):
    entries = entries or (document(LEA),)
    options.setdefault("message_id", f"<{number}@labo-invente.mssante.fr>")
    return mail(xdm_zip(list(entries)), **options)


@pytest.fixture
def hospital():
    return Hospital()


def refused_by_the_relay(hospital):
    unknown = replace(LEA, body="2910775102003", birth_name="INCONNUE")
    hospital.ports.outbox.faults = [Refused(Reason.RELAY_REFUSED, code="550")]
    [found] = hospital.process(letter(document(unknown), mdn=False))
    return found


def test_a_forward_that_the_relay_refused_leaves_once_after_the_redrive(hospital):
    found = refused_by_the_relay(hospital)
    assert (found.route, found.forward, hospital.ports.outbox.sent) == (
        Route.REVIEW,
        Leg.FAILED,
        [],
    )
    hospital.desk.redrive(found.mail, *SIGNED)
    hospital.work()
    again = hospital.mail(found.mail)
    assert (again.route, again.forward, again.review) == (Route.FORWARDED, Leg.SENT, False)
    assert [each.recipient for each in hospital.ports.outbox.sent] == [FALLBACK]
    assert hospital.waiting() == []
    with pytest.raises(OperationRefused):
        hospital.desk.redrive(found.mail, *SIGNED)


def test_a_forward_refused_again_is_open_again(hospital):
    found = refused_by_the_relay(hospital)
    hospital.desk.redrive(found.mail, *SIGNED)
    hospital.ports.outbox.faults = [Refused(Reason.RELAY_REFUSED, code="550")]
    hospital.work()
    assert hospital.waiting() == [("forward", "PFI-EDGE-03")]
    assert hospital.mail(found.mail).review


def test_a_failed_answer_of_an_integrated_mail_leaves_without_a_second_push(hospital):
    hospital.ports.outbox.faults = [Refused(Reason.RELAY_REFUSED, code="550")]
    [found] = hospital.process(letter())
    assert (found.route, found.answer) == (Route.INTEGRATED, Leg.FAILED)
    hospital.desk.redrive(found.mail, *SIGNED)
    hospital.work()
    again = hospital.mail(found.mail)
    assert (again.route, again.mdn) == (Route.INTEGRATED, Mdn.PROCESSED)
    assert [each.recipient for each in hospital.ports.outbox.sent] == [SENDER]
    assert len(hospital.ports.hospital.received) == 1


def test_an_answer_whose_fate_is_unknown_leaves_again_only_once_checked(hospital):
    hospital.ports.outbox.faults = [OutcomeUnknown(Reason.RELAY_OUTCOME_UNKNOWN)]
    [found] = hospital.process(letter())
    assert found.leg_reason == "PFI-EDGE-10"
    with pytest.raises(OperationRefused, match="--already-checked"):
        hospital.desk.redrive(found.mail, *SIGNED)
    assert hospital.mail(found.mail) == found
    hospital.desk.redrive(found.mail, *SIGNED, checked=True)
    hospital.work()
    assert hospital.mail(found.mail).mdn is Mdn.PROCESSED


@pytest.mark.parametrize("answer", ["AE 101", "AE 201"])
def test_a_document_refused_for_its_form_is_integrated_after_the_redrive(hospital, answer):
    hospital.ports.hospital.answers = [answer]
    [found] = hospital.process(letter())
    assert found.route is Route.REVIEW
    [filed] = hospital.desk.redrive(found.mail, *SIGNED, step=Step.PUSH)
    assert filed.step == "forward"
    hospital.work()
    again = hospital.mail(found.mail)
    assert (again.route, again.mdn, again.review) == (Route.INTEGRATED, Mdn.PROCESSED, False)
    [one] = hospital.documents(again)
    assert (one.integration, one.sends) == (Integration.INTEGRATED, 1)
    assert len(hospital.ports.hospital.accepted) == 1
    assert len({m.split(b"|")[9] for m in hospital.ports.hospital.received}) == 1


def test_a_document_that_the_dpi_may_hold_leaves_again_only_once_checked(hospital):
    hospital.ports.hospital.answers = [LOST] * 9
    [found] = hospital.process(letter())
    [doubtful] = hospital.documents(found)
    assert doubtful.integration is Integration.UNKNOWN
    sent = len(hospital.ports.hospital.received)
    hospital.ports.hospital.answers = []
    with pytest.raises(OperationRefused, match="--already-checked"):
        hospital.desk.redrive(found.mail, *SIGNED)
    hospital.work()
    assert len(hospital.ports.hospital.received) == sent
    assert hospital.waiting() == [("forward", "PFI-DPI-03")]
    hospital.desk.redrive(found.mail, *SIGNED, checked=True)
    hospital.work()
    assert hospital.mail(found.mail).route is Route.INTEGRATED
    assert len(hospital.ports.hospital.accepted) == 1
    assert len(set(hospital.ports.hospital.received)) == 1, "the same bytes, the same MSH-10"


def test_an_older_version_never_leaves_after_a_newer_one(hospital):
    hospital.ports.hospital.answers = ["AE 101"]
    [found] = hospital.process(letter())
    newer = document(LEA, effective_time="20260514101500+0200")
    [other] = hospital.process(letter(newer, number=2))
    assert (found.route, other.route) == (Route.REVIEW, Route.INTEGRATED)
    with pytest.raises(OperationRefused, match="arrivée après"):
        hospital.desk.redrive(found.mail, *SIGNED)
    assert hospital.mail(found.mail).route is Route.REVIEW


def held_for_the_dpi(hospital):
    hospital.ports.hospital.answers = ["AR"] * 99
    [found] = hospital.process(letter())
    hospital.ports.hospital.answers = []
    assert hospital.waiting() == [("push", "PFI-DPI-02")]
    return found


def test_a_document_held_too_long_has_its_whole_hold_again(hospital):
    found = held_for_the_dpi(hospital)
    hospital.ports.hospital.answers = [Unavailable(Reason.DPI_UNAVAILABLE)] * 2
    hospital.desk.redrive(found.mail, *SIGNED)
    hospital.work()
    again = hospital.mail(found.mail)
    assert (again.route, again.review) == (Route.INTEGRATED, False)
    assert hospital.waiting() == []


def test_a_document_whose_answer_was_lost_keeps_the_limit_of_its_sends(hospital):
    found = held_for_the_dpi(hospital)
    known = hospital.ledger.document(found.mail, 1)
    lost = replace(known.record, integration=Integration.SENT, sends=9, control_id="PFI1")
    assert hospital.ledger.write(hospital.ledger.document_put(lost, known.revision))
    received = len(hospital.ports.hospital.received)
    hospital.desk.redrive(found.mail, *SIGNED)
    hospital.work()
    assert len(hospital.ports.hospital.received) == received
    assert hospital.waiting() == [("forward", "PFI-DPI-03")]


def test_a_redrive_that_stops_before_the_queue_stays_in_the_list(hospital):
    found = held_for_the_dpi(hospital)
    hospital.queues.fault = Unavailable(Reason.STORE_UNAVAILABLE)
    with pytest.raises(Unavailable):
        hospital.desk.redrive(found.mail, *SIGNED)
    [filed] = hospital.desk.waiting()
    assert filed.item.status == "redriving"
    hospital.queues.fault = None
    hospital.desk.redrive(found.mail, *SIGNED)
    hospital.work()
    assert hospital.mail(found.mail).route is Route.INTEGRATED
    assert hospital.waiting() == []


def test_a_mail_set_aside_before_it_was_read_is_read_again(hospital):
    [found] = hospital.process(letter(sender="quelquun@ailleurs.example"))
    assert hospital.waiting() == [("parse", "PFI-MAIL-01")]
    hospital.ports.settings = replace(
        hospital.ports.settings,
        trusted_suffixes=(*hospital.ports.settings.trusted_suffixes, ".example"),
    )
    hospital.desk.redrive(found.mail, *SIGNED)
    hospital.work()
    assert hospital.mail(found.mail).route is Route.INTEGRATED


def test_a_closed_mail_leaves_the_list_and_holds_back_no_later_version(hospital):
    found = held_for_the_dpi(hospital)
    hospital.desk.close(found.mail, "Camille Durand", "saisi à la main dans le DPI")
    assert hospital.waiting() == []
    [filed] = hospital.desk.of(found.mail)
    assert filed.item.status == "closed"
    closed = hospital.mail(found.mail)
    assert (closed.state, closed.route) == (MailState.SETTLED, Route.REVIEW)
    newer = document(LEA, effective_time="20260514101500+0200")
    [other] = hospital.process(letter(newer, number=2))
    assert other.route is Route.INTEGRATED
    assert len(hospital.ports.hospital.accepted) == 1
    assert hospital.ports.table.waiting() == [], "the index, not only the list"


def test_a_mail_is_not_closed_while_a_document_is_on_the_wire(hospital):
    found = held_for_the_dpi(hospital)
    known = hospital.ledger.document(found.mail, 1)
    busy = hospital.clock.now.replace(year=2099)
    moved = replace(known.record, integration=Integration.SENT, busy_until=busy)
    assert hospital.ledger.write(hospital.ledger.document_put(moved, known.revision))
    with pytest.raises(OperationRefused, match="en cours"):
        hospital.desk.close(found.mail, "Camille Durand", "tant pis")
    assert hospital.waiting() != []


def test_two_redrives_at_once_send_one_forward(hospital):
    found = refused_by_the_relay(hospital)
    desk, write = hospital.desk, hospital.ports.table.write

    def slower(*puts):
        hospital.ports.table.write = write
        hospital.desk.redrive(found.mail, "Lou Petit", "en même temps")
        hospital.work()
        return write(*puts)

    hospital.ports.table.write = slower
    with pytest.raises(OperationRefused):
        desk.redrive(found.mail, *SIGNED)
    assert len(hospital.ports.outbox.sent) == 1
    assert [each.who for each in desk.acts(found.mail)] == ["Lou Petit"]


@pytest.mark.parametrize(("who", "why"), [("", "raison"), ("nom", " ")])
def test_nothing_is_done_without_a_name_and_a_reason(hospital, who, why):
    found = refused_by_the_relay(hospital)
    for act in (hospital.desk.redrive, hospital.desk.close):
        with pytest.raises(OperationRefused, match="journal"):
            act(found.mail, who, why)
    assert hospital.desk.acts(found.mail) == ()


def test_every_act_is_kept_with_who_when_and_why(hospital):
    found = refused_by_the_relay(hospital)
    hospital.ports.outbox.faults = [Refused(Reason.RELAY_REFUSED, code="550")]
    at = hospital.clock.now.isoformat()
    hospital.desk.redrive(found.mail, *SIGNED)
    hospital.work()
    hospital.desk.close(found.mail, "Lou Petit", "remis en main propre")
    first, last = hospital.desk.acts(found.mail)
    assert (first.action, first.who, first.why, first.at) == ("redrive", *SIGNED, at)
    assert (last.action, last.who, last.caller) == ("close", "Lou Petit", "arn:me")
    assert len(hospital.ledger.reviews(found.mail)) == 1, "the journal is no review item"


def test_the_beginning_of_a_digest_names_a_mail_in_review(hospital):
    found = refused_by_the_relay(hospital)
    assert hospital.desk.full(found.mail[:8]) == found.mail
    with pytest.raises(OperationRefused, match="aucun"):
        hospital.desk.full("00000000")


def test_the_list_the_sheet_and_the_trace_name_no_patient(hospital):
    found = refused_by_the_relay(hospital)
    hospital.ports.hospital.answers = ["AE 101"]
    [other] = hospital.process(letter(number=2))
    hospital.desk.redrive(other.mail, *SIGNED)
    hospital.work()
    listed = list(table(hospital.desk.waiting()))
    assert len(listed) == 2
    assert found.mail[:12] in listed[1]
    assert "PFI-EDGE-03" in listed[1]
    told = trace_lines(other.mail, trace_of(hospital.desk, other.mail))
    sheet = "\n".join([*listed, *shown(hospital.desk, found.mail), *told])
    for trait in (LEA.birth_name, LEA.first_given, LEA.body, LEA.birth_date):
        assert trait not in sheet
    assert "INCONNUE" not in sheet
    assert "relance push par Camille Durand : réglage corrigé" in sheet


def test_a_trace_tells_the_whole_journey(hospital):
    [found] = hospital.process(letter())
    [one] = hospital.documents(found)
    told = "\n".join(trace_lines(found.mail, trace_of(hospital.desk, found.mail)))
    for word in (one.control_id, one.message_sha256, "ACK AA", "sexe", "intégré", "processed"):
        assert word in told
    dossier = hospital.ports.store.dossier(found.dossier_key)
    assert dossier.archive_sha256 in told
    assert dossier.documents[0].id in told


def test_an_arrival_announced_again_reads_as_one_of_s3():
    key = "incoming/bio chimie/é+%.eml"
    body = arrival_body(key)
    assert [each.key for each in arrivals_of(body)] == [key]
    assert json.loads(body)["Records"]


def test_every_state_and_reason_has_its_words():
    assert (set(INTEGRATIONS_FR), set(LEGS_FR)) == (set(Integration), set(Leg))
    assert set(STATES_FR) == set(MailState)
    assert all(labelled(each.value) != each.value for each in Reason)
    assert labelled("4711") == "4711"
