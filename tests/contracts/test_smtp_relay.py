"""Contract of the port Relay, on the simulated operator and on a real Postfix."""

from __future__ import annotations

import dataclasses
import socket
from typing import TYPE_CHECKING

import pytest

from infra.local.emulator import any_port
from pfi.adapters.smtp import PIECE, SmtpRelay
from pfi.errors import Misconfigured, PfiError, Refused, Unavailable
from pfi.mail.outbound import Outgoing
from pfi.names import Reason
from tests.contracts.mail_servers import DOMAIN, context
from tests.contracts.relay_servers import (
    LATER,
    OUTSIDE,
    RECEIVER,
    REFUSED,
    SENDER,
    SIZE_LIMIT,
    RelayServer,
    postfix,
    relay_server,
    simulated_relay,
)

if TYPE_CHECKING:
    from pfi.adapters.mail_access import MailAccess

__all__ = ["postfix", "relay_server", "simulated_relay"]

HEAD = (
    b"From: bal.app@ch-invente.mssante.fr\r\nTo: secretariat@clinique-inventee.mssante.fr\r\n"
    b"Subject: essai\r\nDate: Thu, 14 May 2026 09:31:45 +0200\r\n"
    b"Message-ID: <e1@pfi.invalid>\r\n\r\n"
)
MAIL = HEAD + b"Bonjour\r\n"
BODIES = {
    "short": b"Bonjour\r\n",
    "lines that start with dots": b".\r\n..\r\n.un point\r\n\r\n.\r\n",
    "eight bit": "Résultat : 37 °C\r\n".encode(),
    "empty": b"",
    "bigger than a piece": b"x" * 76 + b"\r\n." + b"y" * 75 + b"\r\n" * PIECE,
    "a dot at each piece border": (b"." * 62 + b"\r\n") * (2 * PIECE // 64),
    "long lines": b"z" * 990 + b"\r\n",
}


def relay(server: RelayServer, certificate: str = SENDER, **changes: object) -> SmtpRelay:
    access: MailAccess = dataclasses.replace(server.access(), **changes)  # type: ignore[arg-type]
    return SmtpRelay(access, context(server.pki, certificate), DOMAIN)


def outgoing(content: bytes = MAIL, sender: str = SENDER, recipient: str = RECEIVER) -> Outgoing:
    return Outgoing("<e1@pfi.invalid>", sender, recipient, content)


@pytest.mark.parametrize("body", BODIES)
def test_a_mail_arrives_byte_for_byte(relay_server: RelayServer, body: str) -> None:
    relay(relay_server).send(outgoing(HEAD + BODIES[body]))
    assert list(relay_server.received()) == [HEAD + BODIES[body]]


def test_a_mail_that_starts_with_a_dot_keeps_it(relay_server: RelayServer) -> None:
    relay(relay_server).send(outgoing(b".Champ: oui\r\n" + MAIL))
    assert list(relay_server.received()) == [b".Champ: oui\r\n" + MAIL]


def test_a_last_line_without_its_end_gets_one(relay_server: RelayServer) -> None:
    relay(relay_server).send(outgoing(HEAD + b"fin"))
    assert list(relay_server.received()) == [HEAD + b"fin\r\n"]


def test_a_null_return_path_is_accepted(relay_server: RelayServer) -> None:
    relay(relay_server).send(outgoing(sender=""))
    assert list(relay_server.received()) == [MAIL]


def test_a_refused_recipient_is_refused_for_good(relay_server: RelayServer) -> None:
    with pytest.raises(Refused) as caught:
        relay(relay_server).send(outgoing(recipient=REFUSED))
    assert (caught.value.reason, caught.value.code) == (Reason.RELAY_REFUSED, "550")


def test_a_recipient_outside_the_trust_space_is_refused(relay_server: RelayServer) -> None:
    with pytest.raises(Refused) as caught:
        relay(relay_server).send(outgoing(recipient=OUTSIDE))
    assert caught.value.code in {"550", "554"}


def test_a_temporary_refusal_is_for_later(relay_server: RelayServer) -> None:
    with pytest.raises(Unavailable) as caught:
        relay(relay_server).send(outgoing(recipient=LATER))
    assert caught.value.reason is Reason.RELAY_UNAVAILABLE


def test_a_mail_over_the_advertised_size_is_refused(relay_server: RelayServer) -> None:
    with pytest.raises(Refused) as caught:
        relay(relay_server).send(outgoing(HEAD + b"x" * 76 + b"\r\n" * SIZE_LIMIT))
    assert caught.value.code == "552"
    assert list(relay_server.received()) == []


@pytest.mark.parametrize(
    "ends", [b"un\ndeux\r\n", b"un\rdeux\r\n", b"x\r\n.\n.\r\nMAIL FROM:<>\r\n"]
)
def test_a_bare_line_end_never_reaches_the_wire(relay_server: RelayServer, ends: bytes) -> None:
    with pytest.raises(Refused):
        relay(relay_server).send(outgoing(HEAD + ends))
    assert list(relay_server.received()) == []


@pytest.mark.parametrize(
    "address",
    ["a@b.fr>\r\nRCPT TO:<c@d.fr", "a@b.fr c@d.fr", "sans-arobase", "é@b.fr", "", "<a@b.fr>"],
)
def test_an_odd_recipient_never_reaches_the_wire(relay_server: RelayServer, address: str) -> None:
    with pytest.raises(Refused) as caught:
        relay(relay_server).send(outgoing(recipient=address))
    assert caught.value.code == "5.1.3"


@pytest.mark.parametrize("certificate", ["", "foreign", "expired"])
def test_nothing_is_sent_with_a_bad_certificate(
    relay_server: RelayServer, certificate: str
) -> None:
    with pytest.raises(PfiError) as caught:
        relay(relay_server, certificate).send(outgoing())
    assert (type(caught.value), caught.value.reason) == relay_server.bad_certificate
    assert list(relay_server.received()) == []


def test_the_relay_must_show_a_name_of_its_certificate(relay_server: RelayServer) -> None:
    with pytest.raises(Misconfigured) as caught:
        relay(relay_server, host="127.1").send(outgoing())
    assert caught.value.reason is Reason.CERTIFICATE
    relay(relay_server, host="localhost").send(outgoing())
    assert len(relay_server.received()) == 1


def test_two_mails_one_after_the_other_both_arrive(relay_server: RelayServer) -> None:
    sender = relay(relay_server)
    sender.send(outgoing(HEAD + b"1\r\n"))
    sender.send(outgoing(HEAD + b"2\r\n", sender=""))
    assert sorted(relay_server.received()) == [HEAD + b"1\r\n", HEAD + b"2\r\n"]


def test_a_relay_that_does_not_listen_is_unavailable(relay_server: RelayServer) -> None:
    with pytest.raises(Unavailable):
        relay(relay_server, port=any_port()).send(outgoing())


def test_a_relay_that_never_answers_is_unavailable(relay_server: RelayServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(Unavailable):
            relay(relay_server, port=port, timeout_s=0.2).send(outgoing())
