"""The clients of the MLLP rows send the very same bytes: otherwise their costs say nothing."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.contracts.mllp_peer import Peer
from tests.performance.mllp_child import CLIENTS, answer_to, control_id
from tests.performance.mllp_peers import RAW, Child, Client, Server, message

MESSAGE = message(300_000)


def acknowledging(peer: Peer, connection: socket.socket) -> None:
    while heard := peer.hear(connection):
        connection.sendall(answer_to(heard))


@pytest.fixture
def peer() -> Iterator[Peer]:
    with Peer(acknowledging) as listening:
        yield listening


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


@pytest.mark.parametrize("name", ["raw", "raw_each", "ours", "python-hl7"])
def test_the_message_arrives_byte_for_byte(peer: Peer, stack: ExitStack, name: str) -> None:
    exchange = CLIENTS[name](MESSAGE, peer.port, stack)
    answers = [exchange(), exchange()]
    assert peer.heard == [MESSAGE, MESSAGE]
    assert all(b"MSA|AA|" + control_id(MESSAGE) in answer for answer in answers)


def test_the_load_on_a_server_is_new_messages_that_differ_in_their_name_only(
    peer: Peer, stack: ExitStack
) -> None:
    exchange = CLIENTS["fresh"](MESSAGE, peer.port, stack)
    exchange()
    exchange()
    names = [control_id(each) for each in peer.heard]
    assert len(set(names)) == 2
    assert all(
        each == MESSAGE.replace(control_id(MESSAGE), name, 1)
        for each, name in zip(peer.heard, names, strict=True)
    )


def test_a_server_that_hangs_up_after_each_answer_is_connected_to_again(stack: ExitStack) -> None:
    def once(peer: Peer, connection: socket.socket) -> None:
        connection.sendall(answer_to(peer.hear(connection)))

    with Peer(once) as peer:
        exchange = CLIENTS["fresh"](MESSAGE, peer.port, stack)
        assert exchange()
        assert exchange()
        assert len(peer.heard) == 2


def test_processes_measure_each_other(tmp_path) -> None:
    path = tmp_path / "message.hl7"
    path.write_bytes(MESSAGE)
    with Server(RAW, tmp_path) as server, Client(RAW, path, server.port) as client:
        wall, cpu = client.exchange(5)
        assert 0 < cpu <= wall * 1.5
        assert server.ask("count")[0] == 5
        assert server.cpu() > 0


def test_a_process_that_ends_is_no_answer() -> None:
    with Child(["false"]) as child, pytest.raises(ConnectionError):
        child.ask(1)
