"""Who may stay connected to the relay, how long, and how it takes leave."""

import socket
import time
from contextlib import suppress

import pytest

from infra.relay import server
from infra.relay.server import CONNECTIONS, PER_ADDRESS, Full, Room
from pfi.hl7.mllp import frame
from tests.contracts.relaying import (
    ACK,
    CLIENT,
    RAW,
    Sender,
    front,
    function,
    lines,
    pki,
    relay,
    relaying,
    started,
)

__all__ = ["front", "function", "lines", "pki", "relay"]


def test_a_slow_sender_keeps_no_other_waiting(relay):
    with Sender(relay.port) as slow, Sender(relay.port) as quick:
        slow.wire.sendall(b"\x0bMSH|")
        assert quick.send(RAW) == [ACK]


def test_one_address_gets_its_share_of_the_room_and_has_it_again_when_it_leaves(relay, lines):
    senders = [Sender(relay.port) for _ in range(PER_ADDRESS)]
    try:
        assert all(each.send(RAW) == [ACK] for each in senders)
        with Sender(relay.port) as late:
            assert late.wire.recv(1) == b""
    finally:
        for each in senders:
            each.wire.close()
    assert "connection refused: too many" in lines
    assert relay.room.emptied(5)
    with Sender(relay.port) as sender:
        assert sender.send(RAW) == [ACK]


def test_the_room_is_for_several_addresses_and_no_larger_than_it_is():
    room = Room(places=3, share=2)
    with room.place("a"), room.place("a"), room.place("b"):
        for address in "abc":
            with pytest.raises(Full), room.place(address):
                pass
        assert not room.emptied(0)
    assert room.emptied(0)
    assert CONNECTIONS >= 2 * PER_ADDRESS


@pytest.mark.parametrize("begun", [b"", b"\x0bMSH|", b"\x0b" + RAW])
def test_a_connection_that_falls_silent_is_closed(pki, front, lines, begun):
    waits = {"frame_s": 0.2} if begun else {"idle_s": 0.2}
    with started(relaying(pki, front.url, lines, **waits)) as relay, Sender(relay.port) as sender:
        sender.wire.sendall(begun)
        assert sender.wire.recv(1) == b""
        assert relay.room.emptied(5)
    assert lines == ["connection closed: silent"]


def test_a_message_that_comes_in_drops_does_not_keep_its_place(pki, front, lines):
    with (
        started(relaying(pki, front.url, lines, frame_s=0.5)) as relay,
        Sender(relay.port) as sender,
    ):
        started_at = time.monotonic()
        with suppress(OSError):
            while time.monotonic() < started_at + 5 and "connection closed: silent" not in lines:
                sender.wire.sendall(b"\x0bMSH|")
                time.sleep(0.1)
    assert "connection closed: silent" in lines


def test_a_pause_between_two_messages_is_no_silence(pki, front, lines):
    with (
        started(relaying(pki, front.url, lines, frame_s=5, idle_s=60)) as relay,
        Sender(relay.port) as sender,
    ):
        assert sender.send(RAW) == [ACK]
        time.sleep(1.2)  # longer than the slices in which the relay listens
        assert sender.send(RAW) == [ACK]


def test_what_is_under_way_when_the_relay_stops_is_answered_and_who_is_silent_is_let_go(
    relay, function
):
    function.takes_s = 1
    with Sender(relay.port) as silent, Sender(relay.port) as sender:
        sender.wire.sendall(frame(RAW))
        while not function.events:
            time.sleep(0.01)
        relay.stop()
        assert relay.room.taken == 0
        assert sender.wire.recv(65_536) == frame(ACK)
        assert silent.wire.recv(1) == b""


def test_a_handshake_that_is_never_made_takes_no_place(pki, front, lines):
    with started(relaying(pki, front.url, lines, context=pki.server_context())) as relay:
        idle = [socket.create_connection(("127.0.0.1", relay.port)) for _ in range(8)]
        with Sender(relay.port, pki.client_context(CLIENT)) as sender:
            assert sender.send(RAW) == [ACK]
            assert relay.room.taken == 1
        for each in idle:
            each.close()


def test_a_handshake_that_is_never_made_ends(pki, front, lines, monkeypatch):
    monkeypatch.setattr(server, "HANDSHAKE_S", 0.2)
    with (
        started(relaying(pki, front.url, lines, context=pki.server_context())) as relay,
        Sender(relay.port) as mute,
    ):
        assert mute.wire.recv(1) == b""
    assert lines == ["connection closed: silent"]
