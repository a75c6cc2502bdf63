"""Contract of the port Mailbox, on the simulated operator and on a real Dovecot."""

from __future__ import annotations

import dataclasses
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import pytest

from pfi.adapters.imap import PIECE, ImapMailbox
from pfi.adapters.mail_access import client_context
from pfi.errors import Misconfigured, Unavailable
from pfi.journey.ports import MailGone
from pfi.names import Reason
from tests.contracts.mail_servers import (
    DOMAIN,
    PASSWORD,
    ImapServer,
    access,
    context,
    dovecot,
    imap_server,
    mailbox,
    new_mailbox,
    other_client,
    simulated,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["dovecot", "imap_server", "mailbox", "simulated"]

MAIL = b"From: cr@labo-invente.mssante.fr\r\nSubject: essai\r\n\r\nBonjour\r\n"
AWKWARD = {
    "short": MAIL,
    "eight bit": MAIL + bytes(range(128, 256)) + "é€\r\n".encode(),
    "bare line feeds": b"Subject: lf\n\nun\ndeux\r\ntrois\n",
    "header only": b"Subject: rien d'autre\r\n\r\n",
    "without header": b"\r\nun corps sans en-tete\r\n",
    "three megabytes": MAIL + b"0123456789abcdef" * 4 + b"\r\n" + b"x" * 76 + b"\r\n" * (3 << 20),
    "exactly one piece": MAIL + b"y" * (PIECE - len(MAIL) - 2) + b"\r\n",
    "one byte more than a piece": MAIL + b"y" * (PIECE - len(MAIL) - 1) + b"\r\n",
    "a fetch answer inside": MAIL + b"* 1 FETCH (UID 1 BODY[] {3}\r\nabc)\r\n)\r\n",
    "no end of line": MAIL + b"fin",
}


@contextmanager
def opened(server: ImapServer, address: str) -> Iterator[ImapMailbox]:
    session = ImapMailbox.open(access(server.port, address), context(server.pki, address))
    with closing(session):
        yield session


@pytest.fixture
def server(imap_server: ImapServer, mailbox: str) -> ImapServer:
    new_mailbox(imap_server, mailbox)
    return imap_server


def test_an_empty_mailbox_lists_nothing(server: ImapServer, mailbox: str) -> None:
    with opened(server, mailbox) as session:
        assert list(session.listing()) == []
        assert session.uid_validity > 0


def test_the_listing_gives_uid_and_size_in_uid_order(server: ImapServer, mailbox: str) -> None:
    mails = [MAIL + b"x" * n + b"\r\n" for n in range(5)]
    for mail in mails:
        server.deliver(mailbox, mail)
    with opened(server, mailbox) as session:
        listing = session.listing()
    assert [uid for uid, _ in listing] == sorted({uid for uid, _ in listing})
    assert sorted(size for _, size in listing) == sorted(map(len, mails))


def test_more_mails_than_one_batch_are_all_listed(server: ImapServer, mailbox: str) -> None:
    for _ in range(203):
        server.deliver(mailbox, MAIL)
    with opened(server, mailbox) as session:
        assert [size for _, size in session.listing()] == [len(MAIL)] * 203


@pytest.mark.parametrize("case", AWKWARD)
def test_a_mail_is_fetched_byte_for_byte(server: ImapServer, mailbox: str, case: str) -> None:
    server.deliver(mailbox, AWKWARD[case])
    with opened(server, mailbox) as session:
        ((uid, size),) = session.listing()
        fetched = session.fetch(uid, size)
    assert fetched == server.expected(AWKWARD[case])


def test_the_header_comes_without_the_body(server: ImapServer, mailbox: str) -> None:
    server.deliver(mailbox, MAIL)
    with opened(server, mailbox) as session:
        ((uid, _),) = session.listing()
        assert session.header(uid) == MAIL[: MAIL.index(b"Bonjour")]


def test_reading_leaves_no_trace_for_other_clients(server: ImapServer, mailbox: str) -> None:
    server.deliver(mailbox, MAIL)
    with opened(server, mailbox) as session:
        ((uid, size),) = session.listing()
        session.header(uid)
        session.fetch(uid, size)
    with other_client(server, mailbox) as client:
        assert client.search(None, "UNSEEN")[1] == [b"1"]


def test_a_size_that_is_not_the_real_one_is_not_accepted(server: ImapServer, mailbox: str) -> None:
    server.deliver(mailbox, MAIL)
    with opened(server, mailbox) as session:
        ((uid, size),) = session.listing()
        with pytest.raises(Unavailable):
            session.fetch(uid, size + 1)
        with pytest.raises(Unavailable):
            session.fetch(uid, size - 1)


@pytest.mark.parametrize("folder", ["PFI-Traites", "PFI A revoir", "PFI-Traités & relus"])
def test_a_mail_is_filed_in_a_folder_made_when_missing(
    server: ImapServer, mailbox: str, folder: str
) -> None:
    for number in (1, 2, 3):
        server.deliver(mailbox, MAIL + b"%d\r\n" % number)
    with opened(server, mailbox) as session:
        first, second, third = [uid for uid, _ in session.listing()]
        session.move(first, folder)
        session.move(third, folder)
        assert [uid for uid, _ in session.listing()] == [second]
    stored = folder.replace("é", "&AOk-").replace("& ", "&- ")
    assert sorted(server.contents(mailbox, stored)) == [MAIL + b"1\r\n", MAIL + b"3\r\n"]
    assert list(server.contents(mailbox)) == [MAIL + b"2\r\n"]


def test_a_deleted_mail_is_not_listed(server: ImapServer, mailbox: str) -> None:
    server.deliver(mailbox, MAIL)
    with other_client(server, mailbox) as client:
        client.store("1", "+FLAGS", r"\Deleted")
        with opened(server, mailbox) as session:
            assert list(session.listing()) == []


def test_a_uid_that_never_was_is_gone(server: ImapServer, mailbox: str) -> None:
    with opened(server, mailbox) as session:
        with pytest.raises(MailGone):
            session.fetch(4711, 10)
        with pytest.raises(MailGone):
            session.header(4711)
        session.move(4711, "PFI-Traites")


def test_a_mail_that_another_client_takes_is_gone(server: ImapServer, mailbox: str) -> None:
    server.deliver(mailbox, MAIL)
    server.deliver(mailbox, MAIL + b"2\r\n")
    with opened(server, mailbox) as session:
        (first, size), (second, _) = session.listing()
        with other_client(server, mailbox) as client:
            client.uid("STORE", str(first), "+FLAGS", r"(\Deleted)")
            client.expunge()
        with pytest.raises(MailGone):
            session.fetch(first, size)
        with pytest.raises(MailGone):
            session.header(first)
        session.move(first, "PFI-Traites")
        assert [uid for uid, _ in session.listing()] == [second]


def test_a_mail_that_arrives_during_the_session_is_seen(server: ImapServer, mailbox: str) -> None:
    with opened(server, mailbox) as session:
        session.listing()
        server.deliver(mailbox, MAIL)
        with other_client(server, mailbox) as client:  # Dovecot looks at most once a second
            client.noop()
        session.listing()
        assert [size for _, size in session.listing()] == [len(MAIL)]


def test_renumbering_changes_the_uid_validity(server: ImapServer, mailbox: str) -> None:
    server.deliver(mailbox, MAIL)
    with opened(server, mailbox) as session:
        before = session.uid_validity
        assert session.listing()
    with opened(server, mailbox) as session:
        assert session.uid_validity == before
    server.renumber(mailbox)
    with opened(server, mailbox) as session:
        assert session.uid_validity != before
        assert [size for _, size in session.listing()] == [len(MAIL)]


@pytest.mark.parametrize("certificate", ["", "foreign", "expired"])
def test_a_bad_client_certificate_is_for_an_operator_to_mend(
    server: ImapServer, mailbox: str, certificate: str
) -> None:
    with pytest.raises(Misconfigured) as caught:
        ImapMailbox.open(access(server.port, mailbox), context(server.pki, certificate))
    # TLS refuses here, Dovecot lets TLS pass and refuses the login.
    assert caught.value.reason in {Reason.CERTIFICATE, Reason.AUTHENTICATION}


def test_a_certificate_opens_no_other_mailbox(server: ImapServer, mailbox: str) -> None:
    other = f"autre.{mailbox}"
    new_mailbox(server, other)
    with pytest.raises(Misconfigured) as caught:
        ImapMailbox.open(access(server.port, mailbox), context(server.pki, other))
    assert caught.value.reason is Reason.AUTHENTICATION


def test_plain_and_its_password_are_another_way_in(server: ImapServer, mailbox: str) -> None:
    plain = dataclasses.replace(access(server.port, mailbox), auth="plain", password=PASSWORD)
    tls = context(server.pki, mailbox)
    with closing(ImapMailbox.open(plain, tls)) as session:
        assert list(session.listing()) == []
    with pytest.raises(Misconfigured) as caught:
        ImapMailbox.open(dataclasses.replace(plain, password="faux"), tls)
    assert caught.value.reason is Reason.AUTHENTICATION


@pytest.mark.parametrize("auth", ["xoauth2", "none"])
def test_a_way_in_that_the_server_does_not_know_is_misconfigured(
    server: ImapServer, mailbox: str, auth: str
) -> None:
    odd = dataclasses.replace(access(server.port, mailbox), auth=auth, token="jeton")  # type: ignore[arg-type]
    with pytest.raises(Misconfigured) as caught:
        ImapMailbox.open(odd, context(server.pki, mailbox))
    assert caught.value.reason is Reason.AUTHENTICATION


def test_a_server_of_another_trust_root_is_refused(server: ImapServer, mailbox: str) -> None:
    pki = server.pki
    foreign_root = pki.certificate_pem("foreign").rpartition("-----BEGIN")
    trust = foreign_root[1] + foreign_root[2]
    tls = client_context(
        trust, pki.certificate_pem(mailbox), pki.key_pem(mailbox), revocation="off"
    )
    with pytest.raises(Misconfigured) as caught:
        ImapMailbox.open(access(server.port, mailbox), tls)
    assert caught.value.reason is Reason.CERTIFICATE


def test_the_host_name_must_be_in_the_certificate(server: ImapServer, mailbox: str) -> None:
    tls = context(server.pki, mailbox)
    # A name of 127.0.0.1 for the resolver, and not one of the certificate.
    elsewhere = dataclasses.replace(access(server.port, mailbox), host="127.1")
    with pytest.raises(Misconfigured) as caught:
        ImapMailbox.open(elsewhere, tls)
    assert caught.value.reason is Reason.CERTIFICATE
    by_name = dataclasses.replace(access(server.port, mailbox), host="localhost")
    ImapMailbox.open(by_name, tls).close()


def test_an_expired_revocation_list_closes_the_door(server: ImapServer, mailbox: str) -> None:
    pki = server.pki
    old = pki.expired_crl_path.read_text("ascii")
    tls = client_context(
        pki.trust_pem(), pki.certificate_pem(mailbox), pki.key_pem(mailbox), crl_pem=old
    )
    with pytest.raises(Misconfigured) as caught:
        ImapMailbox.open(access(server.port, mailbox), tls)
    assert caught.value.reason is Reason.CERTIFICATE


def test_the_error_says_nothing_of_the_mailbox(server: ImapServer, mailbox: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        ImapMailbox.open(access(server.port, mailbox), context(server.pki, "foreign"))
    assert DOMAIN not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
