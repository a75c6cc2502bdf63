"""The disk of the simulated DPI: written in order, beside the answers.

A DPI answers once the message is in its hands. Most of what keeping 300 kB costs is the system's
page cache; it is paid in a thread while the next message comes in. Whoever looks at the folder
waits for it (`settle`).
"""

import json
import os
import threading
from collections.abc import Mapping
from queue import SimpleQueue
from typing import Any, Final

_AHEAD: Final = 64
"""Messages that may wait; then answers wait for the disk."""
Write = tuple[str, bytes | Mapping[str, Any]]
"""A path and what it holds from now on, or a line of JSON that is added at its end."""


class Disk:
    """Files written one after the other in a thread of its own; private."""

    def __init__(self) -> None:
        self._asked: SimpleQueue[tuple[Write, ...] | threading.Event] = SimpleQueue()
        self._room = threading.Semaphore(_AHEAD)
        self._fault: OSError | None = None
        threading.Thread(target=self._run, daemon=True, name="dpi-disk").start()

    def write(self, *writes: Write) -> None:
        """Have these written, in this order, after all that was asked before."""
        self._refuse()
        self._room.acquire()
        self._asked.put(writes)

    def settle(self) -> None:
        """Wait until all that was asked so far is written."""
        done = threading.Event()
        self._asked.put(done)
        done.wait()
        self._refuse()

    def _refuse(self) -> None:
        """A disk that failed once is not written to again: an index may not have holes."""
        if self._fault:
            raise self._fault

    def _run(self) -> None:
        while True:
            asked = self._asked.get()
            if isinstance(asked, threading.Event):
                asked.set()
            else:
                self._write(asked)
                self._room.release()

    def _write(self, writes: tuple[Write, ...]) -> None:
        try:
            for path, what in () if self._fault else writes:
                if isinstance(what, bytes):
                    _write(path, what, os.O_TRUNC)
                else:
                    _write(path, (json.dumps(what) + "\n").encode(), os.O_APPEND)
        except OSError as error:
            self._fault = error


def _write(path: str, content: bytes, flag: int) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | flag, 0o600)
    try:
        while content:
            content = content[os.write(file, content) :]
    finally:
        os.close(file)
