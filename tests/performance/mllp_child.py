"""A client or a server of the MLLP rows, in a process of its own.

    python -m tests.performance.mllp_child client NAME MESSAGE-FILE PORT
    python -m tests.performance.mllp_child server NAME FOLDER

A server writes its port first. Then each line is answered with one line of JSON: `N` has a client
exchange N messages, `cpu` has a server tell what it spent, both in seconds as [wall, cpu]; `count`
has the raw server tell how many messages it acknowledged.
"""
# ruff: noqa: PLC0415 - each process imports what it measures, and most peers are not there

import asyncio
import json
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

HOST: Final = "127.0.0.1"
START, END = b"\x0b", b"\x1c\r"
_CHUNK: Final = 65_536
_HEADER: Final = 500
_DOCUMENT: Final = b"^text^XML^Base64^"
_CONTROL_ID: Final = 9
_LIMIT: Final = 64_000_000
"""python-hl7 reads 64 kB when it is not told otherwise."""

ACKNOWLEDGED: Final[list[int]] = []
"""One for each message that the raw server answered."""
Exchange = Callable[[], bytes]
"""One message out, its answer back."""
Connect = Callable[[bytes, int, ExitStack], Exchange]
"""A client of a message and a port; what it opens is closed with the stack."""
Serve = Callable[[Path], int]
"""Listens in the background and returns the port."""


def control_id(message: bytes) -> bytes:
    """MSH-10."""
    return message[:_HEADER].split(b"|", _CONTROL_ID + 1)[_CONTROL_ID]


# --- clients --------------------------------------------------------------------------------------


def raw(message: bytes, port: int, stack: ExitStack) -> Exchange:
    """The floor: one blocking socket, one `sendall`, `recv` until the end of the answer."""
    connection = stack.enter_context(socket.create_connection((HOST, port)))

    def exchange() -> bytes:
        connection.sendall(START + message + END)
        return _answer(connection)

    return exchange


def raw_each(message: bytes, port: int, _: ExitStack) -> Exchange:
    """The floor of a client that opens a connection for each message, as ours does."""

    def exchange() -> bytes:
        with socket.create_connection((HOST, port)) as connection:
            connection.sendall(START + message + END)
            return _answer(connection)

    return exchange


def fresh(message: bytes, port: int, stack: ExitStack) -> Exchange:
    """The raw client with another MSH-10 each time, so that a server takes each message for new.
    It connects again when a server hung up, as some do after each answer."""
    whole = bytearray(START + message + END)
    name = control_id(message)
    place = slice(at := whole.index(name), at + len(name))
    connections: list[socket.socket] = []
    stack.callback(lambda: [each.close() for each in connections])
    numbers = iter(range(time.time_ns() % 10**9 * 10**6, 10**20))

    def exchange() -> bytes:
        whole[place] = str(next(numbers)).zfill(len(name)).encode()[-len(name) :]
        for _ in range(2):
            connection = (
                connections.pop() if connections else socket.create_connection((HOST, port))
            )
            try:
                connection.sendall(whole)
                answer = _answer(connection)
            except OSError:
                connection.close()
                continue
            connections.append(connection)
            assert whole[place] in answer, "an answer to another message"
            return answer
        raise ConnectionError(port)

    return exchange


def _answer(connection: socket.socket) -> bytes:
    answer = b""
    while not answer.endswith(END):
        chunk = connection.recv(_CHUNK)
        if not chunk:
            raise ConnectionError
        answer += chunk
    return answer


def ours(message: bytes, port: int, _: ExitStack) -> Exchange:
    """The product's client, as the push function uses it."""
    from pfi.adapters.mllp import MllpDpi

    dpi, name, whole = MllpDpi(HOST, port), control_id(message).decode(), pieces(message)
    return lambda: dpi.exchange(whole, name)


def pieces(message: bytes) -> tuple[bytes, bytes, bytes]:
    """The message as the product builds it: the document's base64 is a piece of its own."""
    start = message.index(_DOCUMENT) + len(_DOCUMENT)
    end = message.index(b"|", start)
    return message[:start], message[start:end], message[end:]


def python_hl7(message: bytes, port: int, stack: ExitStack) -> Exchange:
    """The synchronous client of python-hl7."""
    from hl7.client import MLLPClient

    client = stack.enter_context(MLLPClient(HOST, port))
    return lambda: bytes(client.send_message(message))


def python_hl7_asyncio(message: bytes, port: int, stack: ExitStack) -> Exchange:
    """The asyncio client of python-hl7, which writes and reads its own message objects."""
    import hl7
    from hl7.mllp import open_hl7_connection

    loop = asyncio.new_event_loop()
    reader, writer = loop.run_until_complete(
        open_hl7_connection(HOST, port, limit=_LIMIT, encoding="utf-8")
    )
    stack.callback(loop.close)
    stack.callback(writer.close)
    whole = hl7.parse(message.decode())

    async def exchange() -> bytes:
        writer.writemessage(whole)
        await writer.drain()
        return str(await reader.readmessage()).encode()

    return lambda: loop.run_until_complete(exchange())


def hl7lw(message: bytes, port: int, stack: ExitStack) -> Exchange:
    """The client of hl7lw."""
    from hl7lw import MllpClient

    client = MllpClient()
    client.connect(HOST, port)
    stack.callback(client.close)

    def exchange() -> bytes:
        client.send(message)
        return bytes(client.recv())

    return exchange


CLIENTS: Final[dict[str, Connect]] = {
    "raw": raw,
    "raw_each": raw_each,
    "fresh": fresh,
    "ours": ours,
    "python-hl7": python_hl7,
    "python-hl7 asyncio": python_hl7_asyncio,
    "hl7lw": hl7lw,
}


def client(name: str, path: Path, port: int) -> Iterator[tuple[float, float]]:
    """Exchange as many messages as each line of the input says."""
    with ExitStack() as stack:
        exchange = CLIENTS[name](path.read_bytes(), port, stack)
        for line in sys.stdin:
            wall, cpu = time.perf_counter(), time.process_time()
            for _ in range(int(line)):
                answer = exchange()
            yield time.perf_counter() - wall, time.process_time() - cpu
            assert b"MSA|AA" in answer, answer


# --- servers --------------------------------------------------------------------------------------


def raw_server(_folder: Path) -> int:
    """Threads that read until the end of a frame and acknowledge it."""
    listener = socket.create_server((HOST, 0))

    def accept() -> None:
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=_acknowledge_all, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return int(listener.getsockname()[1])


def _acknowledge_all(connection: socket.socket) -> None:
    with connection:
        head, chunk = b"", connection.recv(_CHUNK)
        while chunk:
            head = head or chunk
            tail = chunk
            if tail.endswith(END):
                ACKNOWLEDGED.append(1)  # before: whoever has the answer may ask for the count
                connection.sendall(answer_to(head))
                head = b""
            chunk = connection.recv(_CHUNK)


def answer_to(message: bytes) -> bytes:
    """A framed AA to the message of which this is the beginning."""
    return (
        START
        + rb"MSH|^~\&|DPI|CH|PFI|CH|20260514093213||ACK^T02^ACK|A1|T|2.6|||||FRA|UNICODE UTF-8"
        + b"\rMSA|AA|"
        + control_id(message)
        + b"\r"
        + END
    )


def our_server(folder: Path) -> int:
    """The simulated DPI: it checks each message against the profile and keeps it on the disk."""
    from infra.local.dpi import Dpi

    dpi = Dpi(folder)
    dpi.start()
    return dpi.port


def our_server_without_disk(folder: Path) -> int:
    """The same without what it writes: says what keeping the messages costs it."""
    from infra.local.dpi_disk import Disk

    Disk.write = lambda *_: None  # type: ignore[method-assign]
    return our_server(folder)


def python_hl7_server(_folder: Path) -> int:
    """The asyncio server of python-hl7, its limit raised."""
    from hl7.mllp import start_hl7_server

    async def serve(reader: Any, writer: Any) -> None:
        while not writer.is_closing():
            try:
                message = await reader.readmessage()
            except asyncio.IncompleteReadError:
                writer.close()
                return
            writer.writemessage(message.create_ack())
            await writer.drain()

    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(
        start_hl7_server(serve, HOST, 0, limit=_LIMIT, encoding="utf-8")
    )
    threading.Thread(target=loop.run_forever, daemon=True).start()
    return int(server.sockets[0].getsockname()[1])


def hl7lw_server(_folder: Path) -> int:
    """The server of hl7lw, whose callback acknowledges; it takes a fixed port."""
    from hl7lw import MllpServer

    with socket.create_server((HOST, 0)) as free:
        port = int(free.getsockname()[1])
    server = MllpServer(port, lambda message: answer_to(message)[1:-2])
    threading.Thread(target=server.serve_forever, daemon=True).start()
    time.sleep(0.2)
    return port


SERVERS: Final[dict[str, Serve]] = {
    "raw": raw_server,
    "ours": our_server,
    "ours without disk": our_server_without_disk,
    "python-hl7": python_hl7_server,
    "hl7lw": hl7lw_server,
}


def server(name: str, folder: Path) -> Iterator[tuple[float, float]]:
    """Serve, and tell at each line of the input what it cost so far."""
    yield float(SERVERS[name](folder)), 0.0
    for line in sys.stdin:
        count = line.strip() == "count"
        yield float(len(ACKNOWLEDGED)) if count else time.perf_counter(), time.process_time()


def main(role: str, name: str, place: str, port: str = "0") -> None:
    """One line of JSON per answer."""
    told = client(name, Path(place), int(port)) if role == "client" else server(name, Path(place))
    for pair in told:
        sys.stdout.write(json.dumps(pair) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
