"""The simulated operator by itself: what it keeps, and the IMAP it speaks to other clients."""

from __future__ import annotations

import imaplib
import smtplib
import socket
import threading
from typing import TYPE_CHECKING

import pytest

from infra.local.operator import Operator
from infra.local.operator_store import OperatorStore
from infra.local.pki import Pki
from tests.contracts.mail_servers import DOMAIN

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BOX = f"bal@{DOMAIN}"
MAIL = b"From: a@b.mssante.fr\r\nSubject: un\r\n deux\r\nX-Loop: oui\r\n\r\nBonjour\r\n"


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki.ensure(tmp_path_factory.mktemp("operator") / "pki", [BOX])


@pytest.fixture
def operator(pki: Pki) -> Iterator[Operator]:
    with Operator(pki, [BOX]) as running:
        running.store.deliver(BOX, MAIL)
        yield running


@pytest.fixture
def client(operator: Operator, pki: Pki) -> Iterator[imaplib.IMAP4]:
    with imaplib.IMAP4("127.0.0.1", operator.imap_port, timeout=5) as opened:
        opened.starttls(pki.client_context(BOX))
        opened.authenticate("EXTERNAL", lambda _: BOX.encode())
        opened.select("INBOX")
        yield opened


def test_everything_survives_a_restart_on_the_same_ports(pki: Pki, tmp_path: Path) -> None:
    path = tmp_path / "operator.sqlite"
    with Operator(pki, [BOX], path=path) as first:
        first.store.deliver(BOX, MAIL)
        ports = (first.imap_port, first.smtp_port)
        before = first.store.folder(BOX, "INBOX")
    with Operator(pki, [BOX], path=path, ports=ports) as second:
        assert second.store.contents(BOX) == (MAIL,)
        assert second.store.folder(BOX, "INBOX") == before
        assert (second.imap_port, second.smtp_port) == ports


def test_an_operator_that_was_down_listens_again_with_what_arrived_meanwhile(pki: Pki) -> None:
    with Operator(pki, [BOX]) as operator:
        ports = (operator.imap_port, operator.smtp_port)
        operator.go_down()
        with pytest.raises(OSError, match="refused"):
            socket.create_connection(("127.0.0.1", ports[0]), timeout=2)
        operator.store.deliver(BOX, MAIL)
        operator.start()
        assert (operator.imap_port, operator.smtp_port) == ports
        imaplib.IMAP4("127.0.0.1", ports[0], timeout=2).logout()
        assert operator.store.contents(BOX) == (MAIL,)


def test_a_taken_port_is_told_to_who_starts(pki: Pki, operator: Operator) -> None:
    other = Operator(pki, [BOX], ports=(operator.imap_port, 0))
    with pytest.raises(OSError, match="address"):
        other.start()
    other.stop()


def test_many_threads_may_deliver_at_once(operator: Operator) -> None:
    def deliver() -> None:
        for _ in range(20):
            operator.store.deliver(BOX, MAIL)

    threads = [threading.Thread(target=deliver) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    inbox = operator.store.folder(BOX, "INBOX")
    assert inbox
    assert [mail.uid for mail in operator.store.mails(inbox)] == list(range(1, 82))


def test_nothing_is_open_before_tls(operator: Operator) -> None:
    with imaplib.IMAP4("127.0.0.1", operator.imap_port, timeout=5) as plain:
        assert "LOGINDISABLED" in plain.capabilities
        with pytest.raises(imaplib.IMAP4.error, match="PRIVACYREQUIRED"):
            plain.login(BOX, "x")
    with smtplib.SMTP("127.0.0.1", operator.smtp_port, timeout=5) as relay:
        relay.ehlo()
        assert not relay.has_extn("auth")
        assert relay.mail(BOX)[0] == 530


def test_the_submission_signs_in_by_certificate(operator: Operator, pki: Pki) -> None:
    with smtplib.SMTP("127.0.0.1", operator.smtp_port, timeout=5) as relay:
        relay._host = "localhost"  # type: ignore[attr-defined]
        relay.starttls(context=pki.client_context(BOX))
        relay.ehlo()
        with pytest.raises(smtplib.SMTPAuthenticationError):
            relay.auth("EXTERNAL", lambda _=None: f"autre@{DOMAIN}")
        assert relay.auth("EXTERNAL", lambda _=None: BOX)[0] == 235


def test_a_reply_to_an_unknown_mailbox_of_the_trust_space_can_be_looked_at(
    operator: Operator, pki: Pki
) -> None:
    with smtplib.SMTP("127.0.0.1", operator.smtp_port, timeout=5) as relay:
        relay._host = "localhost"  # type: ignore[attr-defined]
        relay.starttls(context=pki.client_context(BOX))
        relay.sendmail(BOX, "inconnu@labo-invente.mssante.fr", MAIL)
    (mail,) = operator.store.contents("Inconnu@labo-invente.mssante.fr")
    assert mail.endswith(MAIL)


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ("RFC822.SIZE", b"%d" % len(MAIL)),
        ("FLAGS", b"(\\Flagged)"),
        ("BODY.PEEK[HEADER]", MAIL[: MAIL.index(b"Bonjour")]),
        ("BODY.PEEK[TEXT]", b"Bonjour\r\n"),
        (
            "BODY.PEEK[HEADER.FIELDS (SUBJECT x-loop)]",
            b"Subject: un\r\n deux\r\nX-Loop: oui\r\n\r\n",
        ),
        ("BODY.PEEK[HEADER.FIELDS.NOT (Subject)]", b"From: a@b.mssante.fr\r\nX-Loop: oui\r\n\r\n"),
        ("BODY.PEEK[]<2.7>", MAIL[2:9]),
        ("RFC822", MAIL),
        ("INTERNALDATE", b"+0000"),
    ],
)
def test_each_fetch_item_says_what_the_rfc_says(
    client: imaplib.IMAP4, item: str, expected: bytes
) -> None:
    client.store("1", "+FLAGS", r"\Flagged")
    first = client.fetch("1", f"({item})")[1][0]
    if isinstance(first, tuple):
        assert first[1] == expected
    else:
        assert expected in (first or b"")


def test_reading_without_peek_marks_as_seen(client: imaplib.IMAP4) -> None:
    assert client.search(None, "UNSEEN")[1] == [b"1"]
    client.fetch("1", "(BODY[TEXT])")
    assert client.search(None, "UNSEEN")[1] == [b""]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("ALL", True),
        ("UNDELETED", True),
        ("DELETED", False),
        ('HEADER X-Loop "OUI"', True),
        ('HEADER X-Loop ""', True),
        ("HEADER X-Autre oui", False),
        ("HEADER Subject deux", True),
        ("NOT SUBJECT deux", False),
        ("UID 1:*", True),
        ("2:5", False),
        ("1 (UNDELETED FROM a@b)", True),
    ],
)
def test_search_finds_by_flag_number_and_header(
    client: imaplib.IMAP4, query: str, found: bool
) -> None:
    assert client.search(None, query)[1] == [b"1" if found else b""]


def test_append_copy_and_expunge_tell_the_new_uids(client: imaplib.IMAP4) -> None:
    status, told = client.append("INBOX", r"(\Seen)", "", MAIL)
    assert (status, b"[APPENDUID" in told[0]) == ("OK", True)
    assert client.copy("1:2", "Copies")[0] == "NO"
    client.create("Copies")
    assert b"COPYUID" in client.copy("1:2", "Copies")[1][0]
    client.store("1", "+FLAGS", r"\Deleted")
    assert client.expunge()[1] == [b"1"]
    assert client.list()[1] == [
        b'(\\HasNoChildren) "/" "INBOX"',
        b'(\\HasNoChildren) "/" "Copies"',
    ]
    assert client.status("Copies", "(MESSAGES)")[1] == [b'"Copies" (MESSAGES 2)']


def test_a_mail_delivered_meanwhile_is_told_at_the_next_command(
    client: imaplib.IMAP4, operator: Operator
) -> None:
    client.response("EXISTS")
    operator.store.deliver(BOX, MAIL)
    client.noop()
    assert client.response("EXISTS")[1] == [b"2"]


def test_an_examined_folder_cannot_be_changed(client: imaplib.IMAP4) -> None:
    client.select("INBOX", readonly=True)
    assert client._simple_command("STORE", "1", "+FLAGS", r"(\Deleted)")[0] == "NO"


@pytest.mark.parametrize(
    "line", ["FETCH 1 (BODY[", "FETCH x FLAGS", "FETCH", "NONSENSE", "SEARCH )"]
)
def test_nonsense_is_answered_bad_and_the_session_goes_on(client: imaplib.IMAP4, line: str) -> None:
    client.send(f"x1 {line}\r\n".encode())
    assert client.readline().startswith(b"x1 BAD")
    assert client.noop()[0] == "OK"


def test_a_mail_is_never_taken_for_one_that_was_expunged_before(operator: Operator) -> None:
    inbox = operator.store.folder(BOX, "INBOX")
    assert inbox
    assert operator.store.contents(BOX) == (MAIL,)
    operator.store.expunge(inbox, [1])
    operator.store.deliver(BOX, b"un autre")
    assert operator.store.contents(BOX) == (b"un autre",)


def test_bytes_nobody_needs_any_more_are_dropped() -> None:
    store = OperatorStore()
    uid = store.deliver(BOX, MAIL)
    inbox = store.folder(BOX, "INBOX")
    store.create_folder(BOX, "Copies")
    copies = store.folder(BOX, "Copies")
    assert inbox
    assert copies
    store.copy(inbox, [uid], copies)
    store.expunge(inbox, [uid])
    assert store.contents(BOX, "Copies") == (MAIL,)
    store.expunge(copies, [1])
    assert store._db.execute("select count(*) from content").fetchone() == (0,)
    store.close()
