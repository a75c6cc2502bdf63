"""What went wrong once, under review: each finding has its test."""

from dataclasses import replace
from datetime import timedelta

import pytest

from pfi.errors import OutcomeUnknown, Unavailable
from pfi.journey.collect import by_age
from pfi.journey.reading import read_mail
from pfi.mail.inbound import read
from pfi.names import Integration, Reason, Route
from tests.data.builders import LEA, document, mail, xdm_zip
from tests.doubles.drive import FALLBACK, HOSPITAL, Drive


def test_a_forward_that_would_not_fit_leaves_its_loose_copies_out():
    operator = replace(HOSPITAL.operator, send_bytes=8_000)
    drive = Drive(replace(HOSPITAL, operator=operator))
    raw = mail(
        xdm_zip([document(replace(LEA, sex="UN"), payload=bytes(range(256)) * 60)]), mdn=False
    )
    drive.process(raw)
    [sent] = drive.ports.outbox.sent
    assert sent.recipient == FALLBACK
    assert len(sent.content) < len(raw) + 3_000
    assert [part.content_type for part in read(sent.content).parts][-1] == "message/rfc822"


def test_a_mailbox_that_always_fails_is_seen_among_many_that_work():
    broken = replace(HOSPITAL.mailboxes[0], id="broken", address="b@ch-invente.mssante.fr")
    drive = Drive(replace(HOSPITAL, mailboxes=(*HOSPITAL.mailboxes, broken)))
    drive.ledger.lease("broken", "me", 1)
    drive.clock.advance(300)
    drive.ledger.release("broken", "me", polled=False, well=False)
    drive.clock.advance(300)
    drive.collect()
    ages = [(mailbox.id, age) for mailbox, age in by_age(drive.ports)]
    assert ages == [("broken", 600.0), ("app", 0.0)]


def test_an_answer_lost_before_the_dpi_went_away_is_told_as_perhaps_integrated():
    drive = Drive()
    lost = OutcomeUnknown(Reason.DPI_OUTCOME_UNKNOWN)
    drive.ports.hospital.answers = [lost, *[Unavailable(Reason.DPI_UNAVAILABLE)] * 40]
    [found] = drive.process(mail(xdm_zip([document(LEA)])))
    [end] = drive.documents(found)
    assert (found.route, found.reason) == (Route.REVIEW, Reason.DPI_OUTCOME_UNKNOWN.value)
    assert end.integration is Integration.UNKNOWN
    assert drive.ports.now() - end.first_attempt_at >= timedelta(seconds=600)


@pytest.mark.parametrize(
    "date",
    ["Fri, 31 Dec 9999 23:59:59 -1200", "Mon, 01 Jan 0001 00:00:00 +2359", "1" * 5_000, "(" * 999],
)
def test_a_mail_whose_date_has_no_paris_time_takes_the_time_of_its_arrival(date):
    """A date at the end of the calendar once stopped the message of a sound document."""
    drive = Drive()
    [found] = drive.process(mail(xdm_zip([document(LEA)]), date=date))
    assert found.route is Route.INTEGRATED


def test_the_archives_of_a_mail_share_its_limits():
    """Many small bombs weigh what one may not."""
    limits = replace(HOSPITAL.limits, unzipped_bytes=400_000)
    whole = [
        xdm_zip([document(LEA, document_id=f"2.25.{n}", payload=b"%PDF" + bytes(100_000))])
        for n in (1, 2, 3)
    ]
    one, *others = whole
    more = [(f"IHE_XDM_{n}.zip", "application/zip", each) for n, each in enumerate(others)]
    settings = replace(HOSPITAL, limits=limits)
    read_mails = [
        read_mail(mail(one, attachments=attached), HOSPITAL.mailboxes[0], settings).dossier
        for attached in ([], more[:1], more)
    ]
    assert [each.reason for each in read_mails] == [None, None, Reason.ZIP_UNSAFE.value]
