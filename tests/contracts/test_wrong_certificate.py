"""A wrong certificate on real sockets: nothing is consumed, and work goes on when it is right."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from ssl import SSLContext

import pytest

from pfi.adapters.circuit import OPEN_S, Circuits
from pfi.adapters.mllp import MllpDpi
from pfi.errors import Misconfigured
from pfi.hl7.mllp import frame
from pfi.journey.outcome import Log
from pfi.journey.ports import Dpi
from pfi.journey.settings import DpiSettings
from pfi.names import Integration, Reason, Route
from tests.contracts.mllp_peer import Certificates, Peer
from tests.data.builders import LEA, document
from tests.doubles.drive import Drive
from tests.doubles.memory import MemoryPorts, ack
from tests.unit.journey.test_routes import letter


@pytest.fixture(scope="module")
def trusts(tmp_path_factory: pytest.TempPathFactory) -> tuple[Certificates, Certificates]:
    """Of the hospital, and of somebody else."""
    folder = tmp_path_factory.mktemp("tls")
    return Certificates.make(folder / "ours"), Certificates.make(folder / "theirs")


@dataclass
class WiredPorts(MemoryPorts):
    """The doubles, but the DPI is reached over a socket, through a circuit."""

    port: int = 0
    context: SSLContext | None = None
    circuits: Circuits | None = None

    def dpi(self, target: DpiSettings) -> Dpi:  # type: ignore[override]
        assert self.circuits is not None
        found = MllpDpi("127.0.0.1", self.port, 2, 2, self.context)
        return self.circuits.fuse(target, lambda: found)


def answering(peer: Peer, connection: object) -> None:
    """A DPI that accepts every message."""
    message = peer.hear(connection)  # type: ignore[arg-type]
    connection.sendall(frame(ack("AA", message.split(b"|")[9].decode())))  # type: ignore[attr-defined]


@pytest.fixture
def peer(trusts: tuple[Certificates, Certificates]) -> Iterator[Peer]:
    with Peer(answering, trusts[0].server()) as found:
        yield found


def test_a_document_waits_for_the_right_certificate_and_leaves_by_itself(
    trusts: tuple[Certificates, Certificates], peer: Peer
) -> None:
    ours, theirs = trusts
    drive = Drive()
    clock = drive.clock
    circuits = Circuits(lambda: clock().timestamp())
    drive.ports = WiredPorts(
        drive.ports.settings,
        drive.ports.patients,
        drive.ports.table,
        now=clock,
        port=peer.port,
        context=theirs.client(),
        circuits=circuits,
    )
    raw = letter(document(LEA))
    drive.ports.inbox.deliver(raw)
    drive.collect()
    drive.work(rounds=3)
    mail = drive.mail(hashlib.sha256(raw).hexdigest())
    [waiting] = drive.documents(mail)
    assert {type(each) for each in drive.failures} == {Misconfigured}
    assert {each.reason for each in drive.failures} == {Reason.CERTIFICATE}
    assert (waiting.integration, waiting.sends) == (Integration.WAITING, 0)
    assert (peer.heard, drive.ports.outbox.sent) == ([], [])

    drive.ports.context = ours.client()
    clock.advance(OPEN_S)
    drive.work()
    assert drive.mail(mail.mail).route is Route.INTEGRATED
    assert len(peer.heard) == 1
    assert [each.log for each in drive.outcomes].count(Log.DOCUMENT_INTEGRATED) == 1
