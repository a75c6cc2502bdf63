"""The messages of one connection, received into a buffer that is used again and again.

A server that answers thousands of messages of 300 kB each second may not ask for fresh memory for
each; that is all that this adds to `pfi.hl7.mllp.Deframer`.
"""

import socket
from collections.abc import Iterator
from typing import Final

from pfi.hl7.mllp import END, START

_ROOM: Final = 1 << 19


class Wire:
    """Complete messages out of a connection. Bytes between two frames are dropped."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._buffer = bytearray(_ROOM)
        self._filled = 0
        self._seen = 0

    def messages(self) -> Iterator[bytes]:
        """Each message when it is whole, until the other side leaves."""
        while self._received():
            while (message := self._next()) is not None:
                yield message

    def _received(self) -> int:
        if self._filled == len(self._buffer):
            self._buffer += bytes(len(self._buffer))
        with memoryview(self._buffer) as room:
            count = self._connection.recv_into(room[self._filled :])
        self._filled += count
        return count

    def _next(self) -> bytes | None:
        end = self._end()
        if end < 0:
            self._seen = max(self._filled - 1, 0)  # END may be cut in two
            return None
        start = self._buffer.find(START, 0, end)
        with memoryview(self._buffer) as whole:
            message = bytes(whole[start + 1 : end])
        self._drop(end + len(END))
        return message if start >= 0 else self._next()

    def _end(self) -> int:
        """Where END is, -1 when it is not there; one byte is looked for much faster than two."""
        first = self._buffer.find(END[0], self._seen, self._filled)
        return first if first < 0 else self._buffer.find(END, first, self._filled)

    def _drop(self, count: int) -> None:
        """Move what follows to the beginning: as a rule nothing."""
        rest = self._filled - count
        self._buffer[:rest] = self._buffer[count : self._filled]
        self._filled, self._seen = rest, 0
