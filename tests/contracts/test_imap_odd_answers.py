"""Answers that RFC 3501 allows and our two servers never give, from a played server."""

from __future__ import annotations

import socket
import threading
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import pytest

from pfi.adapters.imap import ImapMailbox
from pfi.adapters.mail_access import MailAccess
from pfi.errors import Misconfigured, PfiError, Unavailable
from pfi.journey.ports import MailGone
from pfi.names import Reason

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

USUAL = {
    "CAPABILITY": b"* CAPABILITY IMAP4rev1\r\n",
    "AUTHENTICATE": b"+ \r\n",
    "SELECT": b"* 2 EXISTS\r\n* OK [UIDVALIDITY 7] Ok.\r\n",
}


@contextmanager
def played(answers: Mapping[str, bytes], greeting: bytes = b"* OK here") -> Iterator[int]:
    """A server of one connection; an answer that starts with '!' is the tagged one."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(5)
        thread = threading.Thread(target=_play, args=(listening, answers, greeting))
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            thread.join(5)


def _play(listening: socket.socket, answers: Mapping[str, bytes], greeting: bytes) -> None:
    connection, _ = listening.accept()
    with connection, connection.makefile("rb") as lines:
        connection.sendall(greeting + b"\r\n")
        for line in lines:
            tag, *words = line.decode().split()
            name = next((word for word in words if word.upper() != "UID"), "")
            connection.sendall(answers.get(name, USUAL.get(name, b"")).partition(b"!")[0])
            if name == "AUTHENTICATE":
                lines.readline()
            final = answers.get(name, b"").partition(b"!")[2] or b"OK Done."
            connection.sendall(tag.encode() + b" " + final + b"\r\n")


@contextmanager
def session(answers: Mapping[str, bytes], greeting: bytes = b"* OK here") -> Iterator[ImapMailbox]:
    with played(answers, greeting) as port:
        access = MailAccess("127.0.0.1", port, "bal@x.mssante.fr", "none", "plain", timeout_s=5)
        with closing(ImapMailbox.open(access, None)) as opened:
            yield opened


@pytest.mark.parametrize(
    "answer",
    [
        b"* 9 FETCH (FLAGS (\\Seen))\r\n* 2 FETCH (UID 5 BODY[]<0> {3}\r\nabc)\r\n",
        b"* 2 FETCH (BODY[]<0> {3}\r\nabc UID 5)\r\n* 9 FETCH (UID 8 FLAGS ())\r\n",
        b"* 1 FETCH (UID 4 BODY[]<0> {3}\r\nxyz)\r\n* 2 FETCH (UID 5 BODY[]<0> {3}\r\nabc)\r\n",
        b'* 2 FETCH (UID 5 BODY[]<0> "abc")\r\n',
        b"* 3 EXISTS\r\n* 2 FETCH (UID 5 FLAGS (\\Seen) BODY[]<0> {3}\r\nabc FLAGS (\\Seen))\r\n",
    ],
)
def test_the_body_of_the_uid_asked_is_found_among_other_answers(answer: bytes) -> None:
    with session({"FETCH": answer}) as opened:
        assert opened.fetch(5, 3) == b"abc"


def test_a_quoted_section_loses_its_escapes() -> None:
    with session({"FETCH": b'* 2 FETCH (UID 5 BODY[]<0> "a\\"\\\\")\r\n'}) as opened:
        assert opened.fetch(5, 3) == b'a"\\'


def test_a_body_of_another_uid_is_not_ours() -> None:
    answer = b"* 1 FETCH (UID 4 BODY[]<0> {3}\r\nxyz)\r\n"
    with session({"FETCH": answer}) as opened, pytest.raises(MailGone):
        opened.fetch(5, 3)


def test_sizes_are_read_from_inside_each_answer_in_any_order() -> None:
    answers = {
        "SEARCH": b"* SEARCH 5 4\r\n",
        "FETCH": b"* 2 FETCH (RFC822.SIZE 30 UID 5)\r\n* 7 FETCH (FLAGS ())\r\n"
        b"* 1 FETCH (UID 4 RFC822.SIZE 20 FLAGS ())\r\n",
    }
    with session(answers) as opened:
        assert list(opened.listing()) == [(4, 20), (5, 30)]


@pytest.mark.parametrize(
    ("answers", "family", "reason"),
    [
        (
            {"AUTHENTICATE": b"+ \r\n!NO [UNAVAILABLE] later"},
            Unavailable,
            Reason.MAILBOX_UNAVAILABLE,
        ),
        ({"AUTHENTICATE": b"+ \r\n!NO go away"}, Misconfigured, Reason.AUTHENTICATION),
        ({"SELECT": b"!NO [INUSE] later"}, Unavailable, Reason.MAILBOX_UNAVAILABLE),
        ({"SELECT": b"* 2 EXISTS\r\n"}, Unavailable, Reason.MAILBOX_UNAVAILABLE),
        ({"CAPABILITY": b"* BYE too busy\r\n"}, Unavailable, Reason.MAILBOX_UNAVAILABLE),
    ],
)
def test_a_server_that_is_only_busy_is_no_misconfiguration(
    answers: Mapping[str, bytes], family: type[PfiError], reason: Reason
) -> None:
    with pytest.raises(family) as caught, session(answers):
        pass
    assert caught.value.reason is reason


@pytest.mark.parametrize("greeting", [b"* BYE closed", b"220 smtp here", b""])
def test_a_greeting_that_is_no_imap_is_unavailable(greeting: bytes) -> None:
    with pytest.raises(Unavailable), session({}, greeting):
        pass


def test_a_server_without_starttls_gets_no_password() -> None:
    with played({}) as port:
        access = MailAccess("127.0.0.1", port, "bal@x.mssante.fr", auth="plain", password="mot")
        with pytest.raises(Misconfigured) as caught:
            ImapMailbox.open(access, None)
    assert caught.value.reason is Reason.CERTIFICATE
