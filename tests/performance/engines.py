"""Two engines that bring mails to a DPI, each in a process of its own, driven alike.

Ours is `local_run`; the other is MessageFoundry, with the route of peers/messagefoundry. The DPI is
the raw server, that acknowledges at once: what is measured is the engine.
"""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from random import Random
from typing import Final, Protocol

from infra.local.emulator import any_port
from infra.local.invented.archives import document, xdm_zip
from infra.local.invented.mails import MAILBOX, mail
from infra.local.invented.people import LEA
from infra.local.operator import Operator
from infra.local.operator_rules import OperatorOptions
from infra.local.pki import Pki
from tests.performance import peers
from tests.performance.mllp_child import END, HOST, START
from tests.performance.mllp_peers import Child, Server

MESSAGEFOUNDRY: Final = "messagefoundry"
_PATIENCE_S: Final = 60.0
_SHARE: Final = 0.7
"""Of a mail: the picture in its document, before base64 twice and deflate."""


class Engine(Protocol):
    """Whatever brings mails to a DPI."""

    def bring(self, mails: Sequence[bytes]) -> tuple[float, float]:
        """Seconds of wall and of CPU until all of them are acknowledged."""
        ...


def letters(count: int, size: int, first: int) -> list[bytes]:
    """Mails of about so many bytes; each has a document of its own, of a patient known here."""
    return [_letter(number, size) for number in range(first, first + count)]


def _letter(number: int, size: int) -> bytes:
    noise = Random(number).randbytes(int(size * _SHARE))
    name = f"2.25.88{number:09}"
    fiche = document(LEA, document_id=f"{name}.1", set_id=name, payload=b"%PDF-1.4\n" + noise)
    return mail(xdm_zip([fiche]), message_id=f"<{name}@labo-invente.mssante.fr>", mdn=False)


class Local:
    """The product's steps over local ports. Each mail is a frame, or waits at the operator."""

    def __init__(self, child: Child, dpi: Server, operator: Operator | None) -> None:
        self._child, self._dpi, self._operator = child, dpi, operator
        self._connection = socket.create_connection((HOST, int(child.answer()[0])))

    def bring(self, mails: Sequence[bytes]) -> tuple[float, float]:
        before = self._dpi.ask("count")[0]
        self._child.put(len(mails))
        for raw in mails:
            if self._operator is None:
                self._connection.sendall(START + raw + END)
        found = self._child.answer()
        if self._dpi.ask("count")[0] != before + len(mails):
            raise ConnectionError("our steps delivered too little")
        return found

    def shares(self) -> tuple[float, float]:
        """CPU seconds of collecting and of reading the last mails; the rest is match and push."""
        return self._child.ask("shares")

    def put(self, mails: Sequence[bytes]) -> None:
        """Mails that wait in the mailbox."""
        assert self._operator
        for raw in mails:
            self._operator.store.deliver(MAILBOX, raw)


@contextmanager
def local(folder: Path, dpi: Server, *, imap: bool = False) -> Iterator[Local]:
    """Fed by frames, or from a mailbox of the simulated operator."""
    folder.mkdir(exist_ok=True)
    pki = Pki.ensure(folder / "pki", [MAILBOX])
    command = [sys.executable, "-m", "tests.performance.local_run", str(folder), str(dpi.port)]
    with ExitStack() as stack:
        options = OperatorOptions(size_limit=100_000_000)
        operator = Operator(pki, [MAILBOX], options=options) if imap else None
        port = stack.enter_context(operator).imap_port if operator else 0
        child = stack.enter_context(Child([*command, str(port)]))
        yield Local(child, dpi, operator)


class MessageFoundry:
    """The peer. Each mail is a frame, since it collects no mail; what is no HL7 it takes without a
    word, so that nothing waits for its answers."""

    def __init__(self, process: "subprocess.Popen[bytes]", port: int, dpi: Server) -> None:
        self._process, self._dpi = process, dpi
        self._connection = _connected(port, process)

    def bring(self, mails: Sequence[bytes]) -> tuple[float, float]:
        wall, cpu, before = time.perf_counter(), self._cpu(), self._dpi.ask("count")[0]
        for raw in mails:
            self._connection.sendall(START + raw + END)
        deadline = time.monotonic() + _PATIENCE_S
        while self._dpi.ask("count")[0] < before + len(mails):
            if time.monotonic() > deadline:
                raise ConnectionError("MessageFoundry delivered too little")
            time.sleep(0.005)
        return time.perf_counter() - wall, self._cpu() - cpu

    def _cpu(self) -> float:
        """User and system time, as the kernel tells it: in steps of 10 ms."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def messagefoundry(folder: Path, dpi: Server) -> Iterator[MessageFoundry]:
    """Started on an empty database, with its defaults; ended with all that it kept."""
    python = peers.python(MESSAGEFOUNDRY)
    assert python
    port, home = any_port(), folder / MESSAGEFOUNDRY
    home.mkdir()
    command = [str(python), "-m", "messagefoundry", "serve", "--env", "dev", "--log-level", "ERROR"]
    command += ["--config", str(peers.HERE / MESSAGEFOUNDRY), "--db", str(home / "store.db")]
    process = subprocess.Popen(
        [*command, "--port", str(any_port())],
        cwd=home,
        env={**peers.environment(), "PFI_IN": str(port), "PFI_OUT": str(dpi.port)},
        stdout=(home / "log").open("wb"),
        stderr=subprocess.STDOUT,
    )
    try:
        yield MessageFoundry(process, port, dpi)
    finally:
        process.kill()
        process.wait()


def _connected(port: int, process: "subprocess.Popen[bytes]") -> socket.socket:
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            return socket.create_connection((HOST, port))
        except OSError:
            time.sleep(0.1)
    raise ConnectionError("MessageFoundry does not listen")
