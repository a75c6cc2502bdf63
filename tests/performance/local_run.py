"""The product's steps in one process, from the mailbox to the DPI.

    python -m tests.performance.local_run FOLDER DPI-PORT IMAP-PORT

It writes a port first. `N` has it take N mails and work until each has ended; it answers seconds
as [wall, cpu], and to `shares` those of CPU as [collecting, reading]. The mails come from the
mailbox, by the product's IMAP adapter; where IMAP-PORT is 0, they come as frames on the port, as
the peer gets them. MLLP is the product's adapter; ledger, queues and store are those of `durable`.
This is not the deployed product: no function, no AWS.
"""

import json
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

from infra.local.dpi_wire import Wire
from infra.local.pki import Pki
from pfi.adapters.csv_patients import ListedPatients
from pfi.adapters.imap import ImapMailbox
from pfi.adapters.mail_access import MailAccess, client_context
from pfi.adapters.mllp import MllpDpi
from pfi.journey.ledger import Ledger
from tests.data.builders import EVERYBODY, MAILBOX
from tests.doubles.drive import HOSPITAL, Drive
from tests.doubles.memory import MemoryPorts
from tests.performance import durable

HOST: Final = "127.0.0.1"


@dataclass
class Sockets(MemoryPorts):
    """Mailbox and DPI as in the product."""

    access: MailAccess | None = None
    trust: Any = None
    dpi_port: int = 0

    @contextmanager
    def mailbox(self, _mailbox: object) -> Iterator[Any]:
        if self.access is None:
            yield self.inbox
            return
        session = ImapMailbox.open(self.access, self.trust)
        try:
            yield session
        finally:
            session.close()

    def dpi(self, _target: object) -> Any:
        return MllpDpi(HOST, self.dpi_port)


class Run(Drive):
    """Mails from a mailbox to a DPI, everything written on the way."""

    ports: Sockets
    shares: tuple[float, float]
    """CPU seconds of collecting and of reading, in the last run."""

    def __init__(self, folder: Path, dpi_port: int, imap_port: int, pki: Pki) -> None:
        super().__init__()
        self.disk = disk = durable.Disk(folder)
        self.ports = Sockets(
            HOSPITAL,
            ListedPatients(tuple(each.record for each in EVERYBODY)),
            table=durable.Table(disk),
            store=durable.store(disk),
            jobs=durable.jobs(disk),
            now=self.clock,
            access=MailAccess(HOST, imap_port, MAILBOX) if imap_port else None,
            trust=client_context(
                pki.trust_pem(), pki.certificate_pem(MAILBOX), pki.key_pem(MAILBOX), pki.crl_pem()
            ),
            dpi_port=dpi_port,
        )
        self.ledger = Ledger(self.ports.table, self.clock)

    def mails(self, count: int, frames: Iterator[bytes]) -> None:
        """Collect, then work until nothing is left."""
        began = time.process_time()
        if self.ports.access is None:
            for raw in islice(frames, count):
                self.ports.inbox.deliver(raw)
        assert len(self.collect()) >= count
        collected = time.process_time()
        self.arrive()
        self.shares = collected - began, time.process_time() - collected
        self.work(pause_s=1)
        assert not self.failures, self.failures


def main(folder: Path, dpi_port: int, imap_port: int) -> None:
    """A new journal for each line of the input."""
    pki = Pki(folder / "pki")
    with socket.create_server((HOST, 0)) as listener:
        _say(listener.getsockname()[1], 0)
        connection, _ = listener.accept()
    frames = Wire(connection).messages()
    run = None
    for number, line in enumerate(sys.stdin):
        if run and line.strip() == "shares":
            _say(*run.shares)
            continue
        run = Run(folder / f"run{number}", dpi_port, imap_port, pki)
        wall, cpu = time.perf_counter(), time.process_time()
        run.mails(int(line), frames)
        _say(time.perf_counter() - wall, time.process_time() - cpu)
        run.disk.close()


def _say(*pair: float) -> None:
    sys.stdout.write(json.dumps(pair) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
