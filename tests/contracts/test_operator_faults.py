"""Each fault of the simulated operator, and what the adapters make of it (mail-edge §4.2, §4.3)."""

from __future__ import annotations

import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import pytest

from infra.local.operator import Operator
from infra.local.operator_rules import OperatorOptions
from infra.local.pki import REVOKED_SERVER, Pki
from pfi.adapters.imap import ImapMailbox
from pfi.adapters.mail_access import Auth, MailAccess
from pfi.adapters.smtp import SmtpRelay
from pfi.errors import Misconfigured, OutcomeUnknown, Refused, Unavailable
from pfi.mail.inbound import read
from pfi.mail.outbound import Outgoing
from pfi.mail.rules import Kind, bounced_message_id, kind
from pfi.names import Reason
from tests.contracts.mail_servers import DOMAIN, context

if TYPE_CHECKING:
    from collections.abc import Iterator

BOX = f"bal@{DOMAIN}"
RECEIVER = "secretariat@clinique-inventee.mssante.fr"
MAIL = (
    b"From: bal@ch-invente.mssante.fr\r\nMessage-ID: <essai.1@ch-invente.mssante.fr>\r\n"
    b"Subject: essai\r\n\r\n" + b"Bonjour\r\n" * 100
)


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki.ensure(tmp_path_factory.mktemp("faults") / "pki", [BOX])


@pytest.fixture
def operator(pki: Pki) -> Iterator[Operator]:
    with Operator(pki, [BOX]) as running:
        yield running


@contextmanager
def session(operator: Operator, pki: Pki) -> Iterator[ImapMailbox]:
    access = MailAccess("127.0.0.1", operator.imap_port, BOX, timeout_s=5)
    with closing(ImapMailbox.open(access, context(pki, BOX))) as opened:
        yield opened


def send(operator: Operator, pki: Pki, sender: str = BOX, timeout_s: float = 5) -> None:
    access = MailAccess("127.0.0.1", operator.smtp_port, BOX, timeout_s=timeout_s)
    relay = SmtpRelay(access, context(pki, BOX), DOMAIN)
    relay.send(Outgoing("<essai.1@ch-invente.mssante.fr>", sender, RECEIVER, MAIL))


def bodies(operator: Operator, mailbox: str = RECEIVER) -> list[bytes]:
    return [mail[mail.index(b"From:") :] for mail in operator.store.contents(mailbox)]


@pytest.mark.parametrize("after", [0, 1, 500])
def test_a_cut_inside_a_literal_is_unavailable_and_the_next_session_succeeds(
    operator: Operator, pki: Pki, after: int
) -> None:
    uid = operator.store.deliver(BOX, MAIL)
    operator.faults.cut_fetch_after = after
    with session(operator, pki) as first, pytest.raises(Unavailable) as caught:
        first.fetch(uid, len(MAIL))
    assert caught.value.reason is Reason.MAILBOX_UNAVAILABLE
    with session(operator, pki) as second:
        assert second.fetch(uid, len(MAIL)) == MAIL


def test_a_move_whose_answer_is_lost_is_done_and_unavailable(operator: Operator, pki: Pki) -> None:
    uid = operator.store.deliver(BOX, MAIL)
    operator.store.create_folder(BOX, "PFI-Traites")
    operator.faults.cut_before_ok = "MOVE"
    with session(operator, pki) as first, pytest.raises(Unavailable):
        first.move(uid, "PFI-Traites")
    assert operator.store.contents(BOX, "PFI-Traites") == (MAIL,)
    with session(operator, pki) as second:
        assert list(second.listing()) == []
        second.move(uid, "PFI-Traites")


def test_a_poison_mail_cuts_each_time_and_the_others_pass(operator: Operator, pki: Pki) -> None:
    poison = operator.store.deliver(BOX, MAIL)
    other = operator.store.deliver(BOX, MAIL)
    operator.faults.poison_uids = {poison}
    for _ in range(2):
        with session(operator, pki) as opened:
            assert len(opened.listing()) == 2
            assert opened.fetch(other, len(MAIL)) == MAIL
            with pytest.raises(Unavailable):
                opened.fetch(poison, len(MAIL))


def test_a_throttled_mailbox_is_unavailable_until_it_is_not(operator: Operator, pki: Pki) -> None:
    operator.faults.limited = 2
    for _ in range(2):
        with pytest.raises(Unavailable), session(operator, pki):
            pass
    with session(operator, pki) as opened:
        assert list(opened.listing()) == []


def test_a_slow_operator_is_unavailable_after_the_time_out(operator: Operator, pki: Pki) -> None:
    operator.faults.delay_s = 1
    access = MailAccess("127.0.0.1", operator.imap_port, BOX, timeout_s=0.2)
    with pytest.raises(Unavailable):
        ImapMailbox.open(access, context(pki, BOX))
    with pytest.raises(Unavailable):
        send(operator, pki, timeout_s=0.2)


def test_an_operator_that_stops_is_unavailable(pki: Pki) -> None:
    operator = Operator(pki, [BOX]).start()
    try:
        with session(operator, pki) as opened:
            operator.stop()
            with pytest.raises(Unavailable):
                opened.listing()
        with pytest.raises(Unavailable), session(operator, pki):
            pass
    finally:
        operator.stop()


@pytest.mark.parametrize("missing", [{"MOVE"}, {"MOVE", "UIDPLUS"}])
def test_filing_without_move_takes_only_the_mail_meant(
    operator: Operator, pki: Pki, missing: set[str]
) -> None:
    operator.faults.hidden_capabilities = missing
    filed = operator.store.deliver(BOX, MAIL)
    somebodys = operator.store.deliver(BOX, b"Subject: a quelqu'un\r\n\r\n", flags=[r"\Deleted"])
    kept = operator.store.deliver(BOX, MAIL)
    with session(operator, pki) as opened:
        opened.move(filed, "PFI-Traites")
        assert [uid for uid, _ in opened.listing()] == [kept]
    assert operator.store.contents(BOX, "PFI-Traites") == (MAIL,)
    inbox = operator.store.folder(BOX, "INBOX")
    assert inbox
    left = {mail.uid for mail in operator.store.mails(inbox)}
    assert left == {somebodys, kept} | ({filed} if "UIDPLUS" in missing else set())


def test_a_certificate_alone_opens_the_mailbox_where_the_operator_says_so(pki: Pki) -> None:
    options = OperatorOptions(certificate_is_enough=True)
    with Operator(pki, [BOX], options=options) as operator:
        access = MailAccess("127.0.0.1", operator.imap_port, BOX, auth="none", timeout_s=5)
        with closing(ImapMailbox.open(access, context(pki, BOX))) as opened:
            assert list(opened.listing()) == []


def test_a_revoked_server_is_refused_by_imap_and_smtp(pki: Pki) -> None:
    options = OperatorOptions(server=REVOKED_SERVER)
    with Operator(pki, [BOX], options=options) as operator:
        with pytest.raises(Misconfigured) as imap, session(operator, pki):
            pass
        with pytest.raises(Misconfigured) as smtp:
            send(operator, pki)
        assert {imap.value.reason, smtp.value.reason} == {Reason.CERTIFICATE}


@pytest.mark.parametrize("auth", ["plain", "xoauth2"])
def test_a_relay_that_refuses_our_credentials_is_misconfigured(pki: Pki, auth: Auth) -> None:
    options = OperatorOptions(password="juste")
    with Operator(pki, [BOX], options=options) as operator:
        access = MailAccess("127.0.0.1", operator.smtp_port, BOX, auth=auth, password="faux")
        relay = SmtpRelay(access, context(pki, BOX), DOMAIN)
        with pytest.raises(Misconfigured) as caught:
            relay.send(Outgoing("<e@x>", BOX, RECEIVER, MAIL))
        assert caught.value.reason is Reason.AUTHENTICATION
        assert bodies(operator) == []


def test_plain_and_its_password_are_accepted_by_the_relay(pki: Pki) -> None:
    options = OperatorOptions(password="juste", client_certificate=False)
    with Operator(pki, [BOX], options=options) as operator:
        access = MailAccess("127.0.0.1", operator.smtp_port, BOX, auth="plain", password="juste")
        relay = SmtpRelay(access, context(pki, ""), DOMAIN)
        relay.send(Outgoing("<e@x>", BOX, RECEIVER, MAIL))
        assert bodies(operator) == [MAIL]


def test_a_mail_deferred_twice_goes_at_the_third_try(operator: Operator, pki: Pki) -> None:
    operator.faults.smtp_temporary = 2
    for _ in range(2):
        with pytest.raises(Unavailable):
            send(operator, pki)
    send(operator, pki)
    assert bodies(operator) == [MAIL]


def test_a_refused_recipient_is_refused(operator: Operator, pki: Pki) -> None:
    operator.faults.smtp_refused = {RECEIVER}
    with pytest.raises(Refused) as caught:
        send(operator, pki)
    assert caught.value.code == "550"
    assert bodies(operator) == []


def test_a_lost_250_is_an_unknown_outcome_although_the_mail_is_there(
    operator: Operator, pki: Pki
) -> None:
    operator.faults.drop_after_delivery = 1
    with pytest.raises(OutcomeUnknown) as caught:
        send(operator, pki)
    assert caught.value.reason is Reason.RELAY_UNAVAILABLE
    assert bodies(operator) == [MAIL]
    send(operator, pki)
    assert bodies(operator) == [MAIL, MAIL]


def test_a_refused_null_sender_is_replaced_by_our_address(operator: Operator, pki: Pki) -> None:
    operator.faults.refuse_null_sender = True
    send(operator, pki, sender="")
    (mail,) = operator.store.contents(RECEIVER)
    assert mail.startswith(f"Return-Path: <{BOX}>\r\nReceived: ".encode())


def test_an_accepted_null_sender_stays_null(operator: Operator, pki: Pki) -> None:
    send(operator, pki, sender="")
    (mail,) = operator.store.contents(RECEIVER)
    assert mail.startswith(b"Return-Path: <>\r\nReceived: ")


def test_nobody_sends_as_somebody_else(operator: Operator, pki: Pki) -> None:
    with pytest.raises(Refused) as caught:
        send(operator, pki, sender=RECEIVER)
    assert caught.value.code == "553"


def test_a_full_mailbox_accepts_and_a_report_comes_back(operator: Operator, pki: Pki) -> None:
    operator.faults.full_mailboxes = {RECEIVER}
    send(operator, pki)
    report = read(_awaited(operator)[0])
    assert kind(report, frozenset({BOX})) is Kind.DSN
    assert bounced_message_id(report) == "<essai.1@ch-invente.mssante.fr>"
    assert report.return_path == ""
    assert bodies(operator) == []


def test_a_report_to_nobody_is_not_made(operator: Operator, pki: Pki) -> None:
    operator.faults.full_mailboxes = {RECEIVER}
    send(operator, pki, sender="")
    operator.faults.clear()
    send(operator, pki)
    assert bodies(operator) == [MAIL]
    assert operator.store.contents(BOX) == ()


def _awaited(operator: Operator) -> tuple[bytes, ...]:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and not operator.store.contents(BOX):
        time.sleep(0.01)
    return operator.store.contents(BOX)
