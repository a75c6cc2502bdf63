"""Two workers at once: what one does in the middle of the other's work (found by simulation)."""

from contextlib import suppress
from datetime import timedelta

import pytest

from pfi.errors import Unavailable
from pfi.journey.chains import Chain, Link, Turn, turn
from pfi.journey.forward import forward
from pfi.journey.jobs import Job
from pfi.journey.match import match
from pfi.journey.parse import Arrival, parse
from pfi.journey.push import push
from pfi.journey.review import DeadLetter, review
from pfi.names import Integration, Leg, Mdn, Reason, Route, Step
from tests.data.builders import LEA, document, mail, xdm_zip
from tests.doubles.drive import Drive, read_mail
from tests.doubles.meddling import Died, MeddlingTable
from tests.doubles.memory import MemoryRelay


def letter(*entries, number=1, **options):
    options.setdefault("message_id", f"<{number}@labo-invente.mssante.fr>")
    return mail(xdm_zip(list(entries)), **options)


class MeddlingRelay(MemoryRelay):
    """While it takes a mail, something else happens."""

    def __init__(self, meddle):
        super().__init__()
        self.meddle = meddle

    def send(self, mail):
        meddle, self.meddle = self.meddle, lambda: None
        meddle()
        super().send(mail)


def ready_to_settle(drive, raw):
    """A mail whose document is integrated and whose `forward` job waits."""
    drive.ports.inbox.deliver(raw)
    drive.collect()
    drive.read()
    queues = drive.ports.jobs.queues
    if queues[Step.PUSH]:
        push(queues[Step.PUSH].popleft(), drive.ports)
    return queues[Step.FORWARD].popleft()


@pytest.mark.parametrize("known", [False, True], ids=["a new document", "a known document"])
def test_a_duplicate_read_at_the_same_time_never_stands_in_the_chain(known):
    """Whatever the other worker has done when it comes in between."""
    moments = 0
    while (links := _with_a_duplicate_before_call(moments + 1, known=known)) is not None:
        moments += 1
        assert links == ["integrated"] * (1 + known)
    assert moments >= (6 if known else 1)


def _with_a_duplicate_before_call(call, *, known):
    """How the links of the chain ended; None when the first mail made fewer calls."""
    table = MeddlingTable()
    drive = Drive(table=table)
    if known:
        older = document(LEA, document_id="2.25.1.1", effective_time="20260101101500+0100")
        drive.process(letter(older, number=0))
    raw = letter(document(LEA, document_id="2.25.1.1"))
    for each in (raw, b"Received: from a.invente.fr by b.invente.fr\r\n" + raw):
        drive.ports.inbox.deliver(each)
    drive.collect()
    drive.arrive()
    first, second = map(read_mail, drive.ports.store.read)
    table.meddle(call, lambda: match(second, drive.ports))
    with suppress(Unavailable):  # it comes back, as both do here
        match(first, drive.ports)
    if not table.meddled:
        return None
    drive.work()
    [chain] = [row.data for (pk, _), row in table.rows.items() if "CHAIN" in pk]
    return [link["integration"] for link in chain["links"]]


def test_two_jobs_of_one_mail_at_once_send_its_answer_once():
    drive = Drive()
    job = ready_to_settle(drive, letter(document(LEA)))

    def the_other_job():
        with pytest.raises(Unavailable):
            forward(job, drive.ports)

    relay = drive.ports.outbox = MeddlingRelay(the_other_job)
    forward(job, drive.ports)
    assert (len(relay.sent), drive.mail(job.mail).route) == (1, Route.INTEGRATED)


def test_a_failed_try_frees_the_leg_at_once():
    drive = Drive()
    job = ready_to_settle(drive, letter(document(LEA)))
    drive.ports.outbox.faults = [Unavailable(Reason.RELAY_UNAVAILABLE)]
    with pytest.raises(Unavailable):
        forward(job, drive.ports)
    forward(job, drive.ports)
    assert (len(drive.ports.outbox.sent), drive.mail(job.mail).answer_sends) == (1, 1)


def dead_in_the_relay(drive, raw):
    job = ready_to_settle(drive, raw)

    def die():
        raise Died

    drive.ports.outbox = MeddlingRelay(die)
    with pytest.raises(Died):
        forward(job, drive.ports)
    with pytest.raises(Unavailable):
        forward(job, drive.ports)
    drive.clock.advance(91)
    forward(job, drive.ports)
    drive.work()
    return drive.mail(job.mail)


def test_an_abandoned_forward_is_taken_over_after_its_time_under_the_same_message_id():
    drive = Drive(patients=())
    found = dead_in_the_relay(drive, letter(document(LEA), mdn=False))
    assert (found.route, len(drive.ports.outbox.sent)) == (Route.FORWARDED, 1)


def test_who_was_thought_dead_on_the_wire_does_not_write_over_who_took_the_forward_over():
    drive = Drive(patients=())
    job = ready_to_settle(drive, letter(document(LEA), mdn=False))

    def die():
        raise Died

    def somebody_takes_it_over_and_is_on_the_wire_still():
        drive.clock.advance(91)
        relay.meddle = die
        with pytest.raises(Died):
            forward(job, drive.ports)

    relay = MeddlingRelay(somebody_takes_it_over_and_is_on_the_wire_still)
    drive.ports.outbox = relay
    with pytest.raises(Unavailable):
        forward(job, drive.ports)
    found = drive.mail(job.mail)
    assert found.busy_until == drive.clock() + timedelta(seconds=90)
    assert (found.forward, found.forward_sends) == (Leg.OWED, 2)


def test_an_answer_that_may_have_left_is_never_sent_again_but_reviewed():
    drive = Drive()
    found = dead_in_the_relay(drive, letter(document(LEA)))
    assert (found.route, found.answer, found.mdn) == (Route.INTEGRATED, Leg.FAILED, Mdn.NONE)
    assert drive.ports.outbox.sent == []
    reasons = [item.reason for item in drive.ledger.reviews(found.mail)]
    assert reasons == [Reason.RELAY_OUTCOME_UNKNOWN.value]


def test_a_copy_counted_while_the_answer_leaves_does_not_make_it_leave_again():
    drive = Drive()
    raw = letter(document(LEA))
    job = ready_to_settle(drive, raw)

    def the_same_bytes_arrive_again():
        drive.ports.inbox.deliver(raw)
        drive.collect()

    relay = drive.ports.outbox = MeddlingRelay(the_same_bytes_arrive_again)
    forward(job, drive.ports)
    found = drive.mail(job.mail)
    assert (found.answer, found.copies, len(relay.sent)) == (Leg.SENT, 2, 1)


def test_a_mail_in_review_that_still_ends_well_keeps_its_mark_and_its_true_route():
    drive = Drive()
    job = ready_to_settle(drive, letter(document(LEA)))
    review(DeadLetter(Step.FORWARD, job.mail, None, Reason.RELAY_REFUSED, 1), drive.ports)
    forward(job, drive.ports)
    found = drive.mail(job.mail)
    assert (found.route, found.reason, found.review) == (Route.INTEGRATED, None, True)
    assert [each.recipient for each in drive.ports.outbox.sent] == [
        "cr.bio@labo-invente.mssante.fr"
    ]


def test_a_mark_put_before_reading_stays_on_a_filed_mail():
    drive = Drive()
    drive.ports.inbox.deliver(letter(headers=[("Auto-Submitted", "auto-replied")]))
    drive.collect()
    [key] = drive.ports.store.arrivals
    digest = key.rsplit("/", 1)[-1].removesuffix(".eml")
    review(DeadLetter(Step.PARSE, digest, None, Reason.UNEXPECTED, 5), drive.ports)
    parse(Arrival(key, "app"), drive.ports)
    assert drive.mail(digest).review


def test_what_the_dpi_holds_is_what_it_accepted_last_and_not_what_arrived_last():
    def link(holder, order, version):
        return Link(holder=holder, order=order, version=version, masks="NNN")

    chain = Chain()
    for each in (link("a", "1", "v1"), link("b", "2", "v2"), link("c", "3", "v1")):
        chain = chain.joined(each)
    chain = chain.moved("b", Integration.INTEGRATED, "AA").moved("a", Integration.INTEGRATED, "AA")
    assert turn(chain, "c", None) is Turn.REPEAT


def test_a_job_of_a_mail_that_is_settled_does_nothing():
    drive = Drive()
    [found] = drive.process(letter(document(LEA)))
    forward(Job(found.mail), drive.ports)
    assert len(drive.ports.outbox.sent) == 1


def test_a_slow_worker_that_still_lives_is_not_thought_dead():
    drive = Drive()
    drive.ports.inbox.deliver(letter(document(LEA)))
    drive.collect()
    drive.read()
    queues = drive.ports.jobs.queues
    [job] = queues[Step.PUSH]
    exchange = drive.ports.hospital.exchange

    def slowly(message, control_id):
        drive.ports.hospital.exchange = exchange
        answer = exchange(message, control_id)
        drive.clock.advance(99)
        with pytest.raises(Unavailable):
            push(job, drive.ports)
        return answer

    drive.ports.hospital.exchange = slowly
    push(job, drive.ports)
    assert len(drive.ports.hospital.accepted) == 1


def test_a_replacement_waits_a_moment_for_a_parent_that_is_not_read_yet():
    drive = Drive()
    first = letter(document(LEA, document_id="2.25.1.1"), message_id="<1@labo-invente.mssante.fr>")
    second = letter(
        document(LEA, document_id="2.25.1.2", parent="2.25.1.1", action="C"),
        message_id="<2@labo-invente.mssante.fr>",
    )
    for raw in (first, second):
        drive.ports.inbox.deliver(raw)
    drive.collect()
    late = drive.ports.store.arrivals.pop(0)
    drive.work(rounds=2, pause_s=30)
    assert drive.ports.hospital.received == []
    drive.ports.store.arrivals.append(late)
    drive.work()
    kinds = [message.split(b"|")[8][4:7] for message in drive.ports.hospital.accepted]
    assert kinds == [b"T02", b"T10"]


def test_a_replacement_whose_parent_never_came_is_left_to_the_dpi():
    drive = Drive()
    drive.process(letter(document(LEA, document_id="2.25.1.2", parent="2.25.1.1", action="C")))
    assert len(drive.ports.hospital.accepted) == 1
