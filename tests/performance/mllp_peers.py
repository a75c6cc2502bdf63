"""Who exchanges messages in the MLLP rows, and the processes in which they do.

Client and server are never in one process, and each candidate has a process of its own that lives
through all rounds, so that no one pays for another's garbage or start.
"""

import json
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Final, Self

from tests.performance import peers
from tests.unit.hl7.orders import order, written

_BATCHES: Final = 1 << 6
_CHILD: Final = "tests.performance.mllp_child"
_SCRIPT: Final = peers.HERE / "mllp.mjs"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A client or a server by its name in `mllp_child` or `mllp.mjs`; what has to be installed for
    it, and where: our own environment, the peers' one, or the peers' Node packages."""

    name: str
    home: str = ""
    package: str = ""

    @property
    def command(self) -> list[str] | None:
        """How to start it, None when it is absent."""
        match self.home:
            case "node":
                node = peers.node(self.package or self.name)
                return [str(node), str(_SCRIPT)] if node else None
            case "venv":
                python = peers.python(self.package or self.name)
                return [str(python), "-m", _CHILD] if python else None
        return [sys.executable, "-m", _CHILD]


RAW: Final = Candidate("raw")
RAW_EACH: Final = Candidate("raw_each")
FRESH: Final = Candidate("fresh")
OURS: Final = Candidate("ours")
UNKEPT: Final = Candidate("ours without disk")
CLIENTS: Final = (
    Candidate("python-hl7"),
    Candidate("python-hl7 asyncio"),
    Candidate("hl7lw", "venv"),
    Candidate("node-hl7-client", "node"),
    Candidate("@medplum/hl7", "node"),
)
QUICK_SERVERS: Final = (
    Candidate("python-hl7"),
    Candidate("@medplum/hl7", "node"),
    Candidate("simple-hl7", "node"),
)
SERVERS: Final = (
    *QUICK_SERVERS,
    Candidate("hl7lw", "venv"),
    Candidate("node-hl7-server", "node"),
)
"""The last two are never the best; they need 10 and 100 ms for a message."""


def message(size: int) -> bytes:
    """An MDM of about so many bytes, the same at every run."""
    least = len(written(order(content=b"")))
    noise = Random(size).randbytes(max(3, (size - least) * 3 // 4))
    return written(order(content=noise))


class Child:
    """A process that answers each line with a pair of numbers."""

    def __init__(self, command: Sequence[str]) -> None:
        self._process = subprocess.Popen(
            command,
            cwd=peers.ROOT,
            env=dict(peers.environment()),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def answer(self) -> tuple[float, float]:
        """The next pair; ConnectionError when the process ended instead."""
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise ConnectionError(self._process.args)
        first, second = json.loads(line)
        return first, second

    def ask(self, question: object) -> tuple[float, float]:
        """What it says to a line."""
        self.put(question)
        return self.answer()

    def put(self, question: object) -> None:
        """A line that is answered later."""
        assert self._process.stdin
        try:
            self._process.stdin.write(f"{question}\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise ConnectionError(self._process.args) from None


class Server(Child):
    """A server that listens."""

    def __init__(self, candidate: Candidate, folder: Path) -> None:
        assert candidate.command
        super().__init__([*candidate.command, "server", candidate.name, str(folder)])
        self.port = int(self.answer()[0])

    def cpu(self) -> float:
        """Seconds of CPU so far."""
        return self.ask("cpu")[1]


class Client(Child):
    """A client of one server, with one message."""

    def __init__(self, candidate: Candidate, path: Path, port: int) -> None:
        assert candidate.command
        super().__init__([*candidate.command, "client", candidate.name, str(path), str(port)])
        self.count = 1

    def warm(self, seconds: float, most: int = 400) -> None:
        """Exchange for a while, then know how many exchanges fill so many seconds: by the quickest
        batch, since a busy machine only ever makes one slower."""
        best, spent, count = 1.0, 0.0, 1
        while count < most and (spent < 2 * seconds or (count < _BATCHES and spent < 1)):
            wall = self.exchange(count)[0]
            best, spent, count = min(best, wall), spent + wall * count, count * 2
        self.count = max(1, min(most, int(seconds / best)))

    def exchange(self, count: int = 0) -> tuple[float, float]:
        """Seconds of wall and of CPU for each of some exchanges."""
        wall, cpu = self.ask(count or self.count)
        return wall / (count or self.count), cpu / (count or self.count)


def present(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Those that are installed."""
    return [each for each in candidates if each.command]
