"""MLLP framing: 0x0B message 0x1C 0x0D (hl7-mdm L-02). No socket here."""

from typing import Final

Message = tuple[bytes, ...]
"""A message in the pieces that it is sent in: one with a document is never joined in memory."""

START: Final = b"\x0b"
END: Final = b"\x1c\r"


def frame(message: bytes) -> bytes:
    """The message as it goes on the wire."""
    return b"".join((START, message, END))


def framed(message: Message) -> Message:
    """The same for a message in pieces, of which only the first and the last are written anew."""
    first, *others = (START + message[0], *message[1:])
    return (first, *others[:-1], others[-1] + END) if others else (first + END,)


class Deframer:
    """Complete messages out of a stream cut anywhere. Bytes between two frames are dropped.

    Each byte is looked at once, however many pieces it comes in.
    """

    def __init__(self) -> None:
        self._pending = bytearray()
        self._seen = 0
        self._inside = False

    @property
    def pending(self) -> int:
        """Bytes of the frame that is not complete yet."""
        return len(self._pending)

    def head(self, size: int) -> bytes:
        """The beginning of the frame that is not complete yet."""
        return bytes(self._pending[:size])

    def feed(self, chunk: bytes) -> list[bytes]:
        """The messages that this chunk completes, in order."""
        self._pending += chunk
        complete: list[bytes] = []
        while self._open():
            end = self._end()
            if end < 0:
                self._seen = max(len(self._pending) - 1, 0)  # END may be cut in two
                break
            with memoryview(self._pending) as pending:
                complete.append(bytes(pending[:end]))  # copied once
            self._drop(end + len(END))
            self._inside = False
        return complete

    def _end(self) -> int:
        """Where END is, -1 when it is not there; one byte is looked for much faster than two."""
        first = self._pending.find(END[0], self._seen)
        return first if first < 0 else self._pending.find(END, first)

    def _open(self) -> bool:
        if not self._inside:
            start = self._pending.find(START)
            self._inside = start >= 0
            self._drop(start + 1 if self._inside else len(self._pending))
        return self._inside

    def _drop(self, count: int) -> None:
        del self._pending[:count]
        self._seen = 0
