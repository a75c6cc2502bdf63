"""A forward that the fallback mailbox sends back to us (M-01 c): it ends, and nothing is lost."""

import email
from dataclasses import replace
from datetime import timedelta
from email.message import EmailMessage
from email.policy import SMTP

import pytest

from infra.operations.redriving import move_of
from pfi.errors import Unavailable
from pfi.journey.ledger import FORWARDS, FORWARDS_DAYS
from pfi.names import Leg, Mdn, Reason, Route
from tests.data.builders import LEA, MAILBOX, SENDER, document, forwarded, mail, xdm_zip
from tests.doubles.drive import FALLBACK, HOSPITAL, Drive
from tests.unit.journey.test_routes import letter

REFUSED = letter(document(replace(LEA, sex="UN")), mdn=False)
REASONS = [Reason.FORWARD_LOOP.value]


def sent_on(outgoing, hop, *, subject="TR: {}", attachments=True):
    """What a rule of the fallback mailbox makes of our forward: a new mail of its own."""
    got = email.message_from_bytes(outgoing.content, policy=SMTP)
    new = EmailMessage()
    new["From"], new["To"] = FALLBACK, MAILBOX
    new["Subject"] = subject.format(got["subject"])
    new["Message-ID"] = f"<regle.{hop}@ch-invente.mssante.fr>"
    new.set_content("transfert automatique")
    for part in got.iter_attachments() if attachments else ():
        if part.get_content_type() == "message/rfc822":
            new.add_attachment(part.get_content())
        else:
            kind = {"maintype": "application", "subtype": "zip"}
            new.add_attachment(part.get_content(), **kind, filename=part.get_filename())
    return f"Return-Path: <{FALLBACK}>\r\n".encode() + new.as_bytes(policy=SMTP)


def rounds(drive, raw, hours=0.1, **options):
    """How each mail of a loop ended, until none leaves any more."""
    found = []
    while raw is not None and len(found) < 20:
        found += drive.process(raw)
        drive.clock.advance(hours * 3600)
        left = drive.ports.outbox.sent
        raw = sent_on(left.pop(), len(found), **options) if left else None
    return found


def reviewed(drive, mail):
    return [each.reason for each in drive.ledger.reviews(mail.mail)]


@pytest.mark.parametrize("hours", [0.1, 24])
def test_a_rule_of_the_fallback_mailbox_makes_no_endless_loop(hours):
    drive = Drive()
    found = rounds(drive, REFUSED, hours)
    assert [each.route for each in found] == [Route.FORWARDED] * FORWARDS + [Route.REVIEW]
    assert (reviewed(drive, found[-1]), found[-1].forward) == (REASONS, Leg.FAILED)


def test_a_mail_without_archive_that_is_sent_back_goes_to_a_person_at_once():
    drive = Drive()
    found = rounds(drive, mail(None, mdn=False), attachments=False)
    assert [each.route for each in found] == [Route.FORWARDED, Route.REVIEW]
    assert (found[-1].reason, reviewed(drive, found[-1])) == (Reason.NO_XDM.value, REASONS)


def test_a_failure_notice_of_another_platform_makes_no_loop_either():
    drive = Drive()
    notice = letter(document(LEA), subject="[KO Intégration système !][902] x", mdn=False)
    assert [each.route for each in rounds(drive, notice)] == [Route.FORWARDED, Route.REVIEW]


def test_two_platforms_that_are_each_others_fallback_do_not_play_ball():
    there = "pfi@autre-hopital.mssante.fr"
    boxes = replace(HOSPITAL.mailboxes[0], address=there, fallback=MAILBOX)
    ours, theirs = Drive(), Drive(replace(HOSPITAL, mailboxes=(boxes,)))
    ours.set_fallback(there)
    ours.process(REFUSED)
    [arrived] = ours.ports.outbox.sent
    [found] = theirs.process(arrived.content)
    assert (found.route, reviewed(theirs, found)) == (Route.REVIEW, REASONS)
    assert theirs.ports.outbox.sent == []


def test_a_forward_of_another_platform_that_can_be_integrated_is():
    refusing, accepting = Drive(patients=()), Drive(replace(HOSPITAL, mailboxes=(
        replace(HOSPITAL.mailboxes[0], address="pfi@autre-hopital.mssante.fr"),)))  # fmt: skip
    refusing.process(letter(document(LEA), mdn=False))
    [found] = accepting.process(refusing.ports.outbox.sent[0].content)
    assert found.route is Route.INTEGRATED


def test_who_forwards_our_forward_by_hand_and_asks_an_mdn_gets_it_and_no_forward():
    drive = Drive()
    drive.process(REFUSED)
    ours = drive.ports.outbox.sent.pop().content
    [found] = drive.process(forwarded(ours, sender=SENDER))
    assert (found.route, found.mdn, reviewed(drive, found)) == (Route.REVIEW, Mdn.ERROR, REASONS)
    assert [each.recipient for each in drive.ports.outbox.sent] == [SENDER]


def again(number):
    return letter(document(replace(LEA, sex="UN")), mdn=False, number=number)


def test_a_sender_who_tries_again_reaches_the_fallback_a_few_times_and_then_a_person():
    drive = Drive()
    found = drive.process(*map(again, range(FORWARDS + 1)))
    assert [each.route for each in found] == [Route.FORWARDED] * FORWARDS + [Route.REVIEW]
    drive.clock.advance(timedelta(days=FORWARDS_DAYS).total_seconds() + 1)
    [later] = drive.process(again(99))
    assert later.route is Route.FORWARDED


def test_another_archive_or_another_fallback_is_counted_apart():
    drive = Drive()
    drive.process(*map(again, range(FORWARDS)))
    [other] = drive.process(letter(document(replace(LEA, sex="X")), mdn=False, number=50))
    drive.set_fallback("autre@ch-invente.mssante.fr")
    [elsewhere] = drive.process(again(51))
    assert (other.route, elsewhere.route) == (Route.FORWARDED, Route.FORWARDED)


def test_a_mail_that_is_tried_many_times_counts_once():
    drive = Drive()
    drive.ports.outbox.faults = [Unavailable(Reason.RELAY_UNAVAILABLE)] * 9
    found = drive.process(*map(again, range(FORWARDS)))
    assert [each.route for each in found] == [Route.FORWARDED] * FORWARDS


def test_a_worker_that_died_after_it_counted_finds_its_mail_counted():
    ledger = Drive().ledger
    assert all(ledger.may_forward(f"{n}", "app", "archive", FALLBACK) for n in range(FORWARDS))
    assert ledger.may_forward(f"{FORWARDS - 1}", "app", "archive", FALLBACK.upper())
    assert not ledger.may_forward(f"{FORWARDS}", "app", "archive", FALLBACK)
    assert ledger.may_forward(f"{FORWARDS}", "another", "archive", FALLBACK)


def test_a_person_may_send_on_what_was_thought_a_loop():
    drive = Drive()
    stopped = drive.process(*map(again, range(FORWARDS + 1)))[-1]
    [item] = drive.ledger.reviews(stopped.mail)
    move = move_of(item, stopped, (), checked=False)
    known = drive.ledger.mail(stopped.mail)
    assert drive.ledger.save_mail(known, **move.mail)
    for step, job in move.jobs:
        drive.ports.jobs.send(step, job)
    drive.work()
    assert drive.mail(stopped.mail).route is Route.FORWARDED


def test_what_is_counted_names_no_address():
    drive = Drive()
    drive.process(REFUSED)
    [(key, row)] = [x for x in drive.ports.table.rows.items() if x[0][0].startswith("FORWARDS#")]
    assert "@" not in f"{key}{row.data}"


def test_a_mail_that_is_integrated_counts_nothing():
    drive = Drive()
    drive.process(letter(document(LEA), mdn=False))
    assert not any(pk.startswith("FORWARDS#") for pk, _ in drive.ports.table.rows)


# --- automatic mails that may hold a document


def automatic(raw):
    return b"Auto-Submitted: auto-generated\r\n" + raw


def test_what_the_rule_of_a_server_attaches_is_integrated_and_never_answered():
    drive = Drive()
    [found] = drive.process(automatic(forwarded(letter(document(LEA)))))
    assert (found.route, drive.ports.outbox.sent) == (Route.INTEGRATED, [])


def test_an_automatic_mail_with_a_broken_archive_of_another_name_is_never_filed():
    drive = Drive()
    broken = xdm_zip([document(LEA)])[:-200]
    [found] = drive.process(automatic(mail(broken, archive_name="documents.zip")))
    assert (found.route, found.reason) == (Route.REVIEW, Reason.AUTO_UNSURE.value)
    assert (reviewed(drive, found), drive.ports.outbox.sent) == ([Reason.AUTO_UNSURE.value], [])


def test_an_automatic_mail_of_an_unknown_sender_is_in_quarantine_like_any_other():
    drive = Drive()
    [found] = drive.process(automatic(forwarded(mail(None), sender="x@pirate.example")))
    assert (found.route, found.reason) == (Route.REVIEW, Reason.SENDER_NOT_TRUSTED.value)


def test_a_bounce_that_is_no_report_and_brings_our_forward_back_is_never_forwarded():
    drive = Drive()
    drive.process(REFUSED)
    ours = drive.ports.outbox.sent.pop().content
    [found] = drive.process(forwarded(ours, sender="MAILER-DAEMON@ch-invente.mssante.fr"))
    assert (found.route, found.reason) == (Route.REVIEW, Reason.AUTO_UNSURE.value)
    assert drive.ports.outbox.sent == []
