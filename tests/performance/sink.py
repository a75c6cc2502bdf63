"""A relay that takes every mail and keeps none, in a process of its own."""

import socket
from contextlib import suppress
from multiprocessing import get_context
from typing import Final

HOST: Final = "127.0.0.1"
_ANSWERS: Final = {b"DATA": b"354 go\r\n", b"QUIT": b"221 bye\r\n"}
_END: Final = b"\r\n.\r\n"
_PIECE: Final = 1 << 20


def started() -> int:
    """Its port. It ends with the process that started it."""
    listening = socket.create_server((HOST, 0))
    port = int(listening.getsockname()[1])
    get_context("fork").Process(target=_serve, args=(listening,), daemon=True).start()
    listening.close()
    return port


def _serve(listening: socket.socket) -> None:
    while True:
        connection, _ = listening.accept()
        with connection, suppress(OSError):
            _converse(connection)


def _converse(connection: socket.socket) -> None:
    connection.sendall(b"220 sink\r\n")
    while command := connection.recv(4096):
        word = command[:4].upper()
        connection.sendall(_ANSWERS.get(word, b"250 ok\r\n"))
        if word == b"DATA":
            _swallow(connection)
            connection.sendall(b"250 ok\r\n")
        if word == b"QUIT":
            return


def _swallow(connection: socket.socket) -> None:
    last = b""
    while not last.endswith(_END):
        piece = connection.recv(_PIECE)
        if not piece:
            return
        last = (last + piece)[-len(_END) :]
