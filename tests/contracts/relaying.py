"""An MLLP sender, the relay, HTTPS with client certificates, a function: the stage of its tests.

In a test module: `from tests.contracts.relaying import front, function, lines, pki, relay, …`.
"""

import socket
import time
from contextlib import contextmanager

import pytest

from infra.local.front import Front
from infra.local.invented.identity_messages import Told
from infra.local.invented.identity_messages import message as adt
from infra.local.pki import Pki
from infra.relay.server import Relay, Relaying
from infra.relay.upstream import Upstream
from pfi.edge.feed import MARK
from pfi.hl7.mllp import Deframer, frame
from tests.data.builders import LEA

CLIENT = "relais"
RAW = adt(Told(trigger="A28", at="20260514080000", patient=LEA))
ACK = b"MSH|^~\\&|PFI|CH|GAM|CH|20260514||ACK^A28^ACK|1|T|2.5\rMSA|AA|GAM-1\r"


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    return Pki.ensure(tmp_path_factory.mktemp("pki"), [CLIENT])


class Function:
    """What the endpoint calls; says what it is told to, or AA."""

    def __init__(self):
        self.events = []
        self.answers = []
        self.marked = True
        self.takes_s = 0

    def __call__(self, event):
        self.events.append(event)
        time.sleep(self.takes_s)
        found = self.answers.pop(0) if self.answers else 200
        if isinstance(found, Exception):
            raise found
        if found != 200:
            return {"statusCode": found, "headers": MARK if self.marked else {}, "body": ""}
        kind = {"content-type": "application/hl7-v2; charset=utf-8", **MARK}
        return {"statusCode": 200, "headers": kind, "body": ACK.decode()}


@contextmanager
def started(server):
    server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture
def function():
    return Function()


@pytest.fixture
def front(pki, function):
    with started(Front(pki.server_context(), function)) as front:
        yield front


@pytest.fixture
def lines():
    return []


@pytest.fixture
def relay(pki, front, lines):
    with started(relaying(pki, front.url, lines)) as relay:
        yield relay


def relaying(pki, url, lines, client=CLIENT, patience=0.0, context=None, **waits):
    trusted = pki.client_context(client)
    told = Relaying(
        upstream=lambda: Upstream(url, trusted, timeout_s=5),
        patience_s=patience,
        tell=lines.append,
        **waits,
    )
    return Relay(("127.0.0.1", 0), told, context)


class Sender:
    """The identity repository."""

    def __init__(self, port, context=None):
        self.wire = socket.create_connection(("127.0.0.1", port), timeout=10)
        if context is not None:
            self.wire = context.wrap_socket(self.wire, server_hostname="localhost")
        self.deframer = Deframer()

    def send(self, *messages):
        self.wire.sendall(b"".join(map(frame, messages)))
        found = []
        while len(found) < len(messages):
            chunk = self.wire.recv(65_536)
            if not chunk:
                break
            found += self.deframer.feed(chunk)
        return found

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.wire.close()


def code(answer):
    return answer.split(b"\rMSA|")[1][:2].decode()
