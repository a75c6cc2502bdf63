"""MLLP framing: 0x0B message 0x1C 0x0D (hl7-mdm L-02). No socket here."""

from typing import Final

START: Final = b"\x0b"
END: Final = b"\x1c\r"


def frame(message: bytes) -> bytes:
    """The message as it goes on the wire."""
    return b"".join((START, message, END))


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
            end = self._pending.find(END, self._seen)
            if end < 0:
                self._seen = max(len(self._pending) - 1, 0)  # END may be cut in two
                break
            complete.append(bytes(self._pending[:end]))
            self._drop(end + len(END))
            self._inside = False
        return complete

    def _open(self) -> bool:
        if not self._inside:
            start = self._pending.find(START)
            self._inside = start >= 0
            self._drop(start + 1 if self._inside else len(self._pending))
        return self._inside

    def _drop(self, count: int) -> None:
        del self._pending[:count]
        self._seen = 0
