"""One exchange with a DPI over MLLP: one connection, one message, one answer.

What counts is what we may say afterwards: nothing left (Unavailable), or bytes may have left and
no answer of ours came back (OutcomeUnknown). A connection is never used twice, so a late answer
to another message can never be taken for ours.
"""

import socket
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from pfi.errors import Misconfigured, OutcomeUnknown, PfiError, Unavailable
from pfi.hl7 import ack
from pfi.hl7.ack import Verdict
from pfi.hl7.mllp import Deframer, Message, framed
from pfi.names import Reason

MAX_ANSWER: Final = 1_000_000
"""Bytes read before an answer is taken for garbage."""
_CHUNK: Final = 65_536
_MOST_AT_ONCE: Final = 1 << 20
_ALERT_WAIT_S: Final = 2.0
_NO_ANSWER: Final = frozenset({Verdict.NOT_OURS, Verdict.UNREADABLE})
_REFUSED_SESSION: Final = (
    "CERTIFICATE_REQUIRED",
    "BAD_CERTIFICATE",
    "UNSUPPORTED_CERTIFICATE",
    "CERTIFICATE_REVOKED",
    "CERTIFICATE_EXPIRED",
    "CERTIFICATE_UNKNOWN",
    "UNKNOWN_CA",
    "ACCESS_DENIED",
)
"""Alerts by which a peer refuses our certificate: no application byte was read (TLS 1.3)."""


@dataclass(frozen=True, slots=True)
class MllpDpi:
    """A DPI interface. Time-outs are totals: for connecting, and from first byte out to answer."""

    host: str
    port: int
    connect_timeout: float = 10
    ack_timeout: float = 60
    ssl_context: ssl.SSLContext | None = None

    def exchange(self, message: Message, control_id: str) -> bytes:
        """Send one message, return the raw answer whose MSA-2 is its control id (L-02, L-07); a CA
        only when nothing followed it until the time-out (§5.5).
        """
        connection = self._connect()
        try:
            return _Exchange(connection, time.monotonic() + self.ack_timeout).run(
                framed(message), control_id
            )
        finally:
            connection.close()

    def rehearse(self) -> None:
        """Connect and secure as for a message, then leave: nothing is sent.

        Under TLS 1.3 a peer refuses our certificate after the handshake, hence the short wait.
        """
        connection = self._connect()
        try:
            connection.settimeout(_ALERT_WAIT_S)
            if not connection.recv(1):
                raise Unavailable(Reason.DPI_UNAVAILABLE)
        except TimeoutError:
            return  # a peer content with us says nothing before it is spoken to
        except OSError as error:
            if _refused_session(error):
                raise Misconfigured(Reason.CERTIFICATE) from None
            raise Unavailable(Reason.DPI_UNAVAILABLE) from None
        finally:
            connection.close()

    def _connect(self) -> socket.socket:
        deadline = time.monotonic() + self.connect_timeout
        try:
            plain = socket.create_connection((self.host, self.port), self.connect_timeout)
            # The last piece is short: it must not wait for the acknowledgement of those before.
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError:
            raise Unavailable(Reason.DPI_UNAVAILABLE) from None
        if self.ssl_context is None:
            return plain
        return self._secured(plain, self.ssl_context, deadline)

    def _secured(
        self, plain: socket.socket, context: ssl.SSLContext, deadline: float
    ) -> ssl.SSLSocket:
        try:
            plain.settimeout(_left(deadline))
            return context.wrap_socket(plain, server_hostname=self.host)
        except (OSError, ValueError) as error:
            plain.close()
            raise _handshake_failure(error) from None


def _handshake_failure(error: OSError | ValueError) -> PfiError:
    """A peer that closes or is silent may come back; any other fault needs an operator."""
    gone = isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError))
    certificate = isinstance(error, (ssl.SSLError, ValueError)) and not gone
    if certificate and not isinstance(error, TimeoutError):
        return Misconfigured(Reason.CERTIFICATE)
    return Unavailable(Reason.DPI_UNAVAILABLE)


class _Exchange:
    """The talk on an open connection, until its deadline."""

    def __init__(self, connection: socket.socket, deadline: float) -> None:
        self._connection = connection
        self._deadline = deadline

    def run(self, pieces: Message, control_id: str) -> bytes:
        started = isinstance(self._connection, ssl.SSLSocket)
        for piece in pieces:
            self._send(piece, started=started)
            started = True
        return self._answer(control_id)

    def _send(self, piece: bytes, *, started: bool) -> None:
        """`started`: something may have left before."""
        rest = memoryview(piece)
        while rest:
            try:
                self._connection.settimeout(_left(self._deadline))
                sent = self._connection.send(rest[:_MOST_AT_ONCE])
            except OSError as error:
                raise self._broken(error, started=started or len(rest) < len(piece)) from None
            rest = rest[sent:]

    def _broken(self, error: OSError, *, started: bool) -> PfiError:
        """Why sending stopped. A plain `send` that fails took no byte; a TLS one may have."""
        if not started:
            return Unavailable(Reason.DPI_UNAVAILABLE)
        if _refused_session(error) or self._alerted():
            return Misconfigured(Reason.CERTIFICATE)
        return OutcomeUnknown(Reason.DPI_OUTCOME_UNKNOWN)

    def _alerted(self) -> bool:
        """The alert that explains a broken connection may still wait to be read."""
        if not isinstance(self._connection, ssl.SSLSocket):
            return False
        try:
            self._connection.settimeout(_ALERT_WAIT_S)
            self._connection.recv(1)
        except OSError as error:
            return _refused_session(error)
        return False

    def _answer(self, control_id: str) -> bytes:
        """What the DPI says of this message. A CA only says that it is kept: the word on its
        integration may follow on the same connection (§5.5). An answer to another message is none.
        """
        kept = b""
        try:
            for answer in self._frames():
                verdict = ack.read(answer, control_id).verdict
                if verdict in _NO_ANSWER:
                    raise OutcomeUnknown(Reason.DPI_OUTCOME_UNKNOWN)
                if verdict is not Verdict.COMMIT_ONLY:
                    return answer
                kept = answer
        except PfiError:
            if not kept:
                raise
        return kept

    def _frames(self) -> Iterator[bytes]:
        """Whole frames as they come, within the deadline and the size limit; then a fault."""
        deframer, received = Deframer(), 0
        while received < MAX_ANSWER and (chunk := self._receive()):
            received += len(chunk)
            yield from deframer.feed(chunk)
        raise OutcomeUnknown(Reason.DPI_OUTCOME_UNKNOWN)

    def _receive(self) -> bytes:
        try:
            self._connection.settimeout(_left(self._deadline))
            return self._connection.recv(_CHUNK)
        except OSError as error:
            if _refused_session(error):
                raise Misconfigured(Reason.CERTIFICATE) from None
            raise OutcomeUnknown(Reason.DPI_OUTCOME_UNKNOWN) from None


def _left(deadline: float) -> float:
    """Seconds until the deadline; once passed, a time-out like any other."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _refused_session(error: OSError) -> bool:
    reason = error.reason if isinstance(error, ssl.SSLError) else None
    return bool(reason) and any(alert in str(reason) for alert in _REFUSED_SESSION)
