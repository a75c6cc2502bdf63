"""An MLLP server whose answers come from the endpoint.

One message at a time on a connection, and its ACK as it came. The relay itself never says AA. When
the endpoint does not answer it tries again for a while, then says AR: the sender keeps the message
and sends it again. What is too large, or no HL7 for the endpoint, is answered AE: a person mends.
Nothing is kept here, so there is nothing to lose and nothing to protect on this machine.
"""

import hashlib
import socket
import socketserver
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from infra.relay.upstream import Away, NotTaken, Upstream
from pfi.hl7 import adt as pam
from pfi.hl7.mllp import Deframer, frame
from pfi.names import Reason

HANDSHAKE_S: Final = 10.0
PAUSE_S: Final = 1.0
CONNECTIONS: Final = 32
_CHUNK: Final = 65_536
_HEAD: Final = 4_096
"""Enough of a message that is too large to answer it."""
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Relaying:
    """Where messages go, and how long the sender is kept waiting for it."""

    upstream: Callable[[], Upstream]
    """Makes the connection of one sender."""
    patience_s: float = 20
    tell: Tell = print

    def answer(self, message: bytes, upstream: Upstream) -> bytes:
        """The ACK for the sender; one line, with nothing of the message but its size."""
        started = time.monotonic()
        answer, what = self._answer(message, upstream, started + self.patience_s)
        ms = round(1000 * (time.monotonic() - started))
        self.tell(f"{what} {ms} ms, {len(message)} bytes")
        return answer

    def _answer(self, message: bytes, upstream: Upstream, until: float) -> tuple[bytes, str]:
        while True:
            try:
                answer = upstream.exchange(message)
            except NotTaken:
                return own_answer(message, "AE"), "answered AE, refused by the endpoint"
            except Away as away:
                if time.monotonic() + PAUSE_S >= until:
                    return own_answer(message, "AR"), f"answered AR, endpoint away ({away.why})"
                time.sleep(PAUSE_S)
            else:
                return answer, f"relayed {_code(answer)}"


def own_answer(message: bytes, code: str) -> bytes:
    """AR: send again; AE: a person mends. Never AA: only the patient base can say that."""
    reason = Reason.STORE_UNAVAILABLE if code == "AR" else Reason.FEED_UNREADABLE
    now = datetime.now().astimezone().strftime("%Y%m%d%H%M%S%z")
    control = hashlib.sha256(message).hexdigest()[:20]
    adt = pam.read(message[:_HEAD])
    return pam.acknowledgement(adt, code, now=now, control_id=control, reason=reason, error="207")


def _code(answer: bytes) -> str:
    found = answer.partition(b"\rMSA|")[2][:2].decode("ascii", "replace")
    return found if found in ("AA", "AE", "AR") else "?"


class _Sender(socketserver.BaseRequestHandler):
    """One connection of a sender, until it closes."""

    server: "Relay"
    request: socket.socket

    def handle(self) -> None:
        if not self.server.room.acquire(blocking=False):
            self.server.relaying.tell("connection refused: too many")
            return
        try:
            self._serve()
        except (OSError, EOFError) as fault:
            self.server.relaying.tell(f"connection lost ({type(fault).__name__})")
        finally:
            self.server.room.release()

    def _serve(self) -> None:
        self.request.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._secure()
        upstream = self.server.relaying.upstream()
        try:
            self._exchange(upstream)
        finally:
            upstream.close()

    def _secure(self) -> None:
        """A sender that does not finish its handshake keeps no thread."""
        if isinstance(self.request, ssl.SSLSocket):
            self.request.settimeout(HANDSHAKE_S)
            self.request.do_handshake()
            self.request.settimeout(None)

    def _exchange(self, upstream: Upstream) -> None:
        deframer, relaying = Deframer(), self.server.relaying
        while chunk := self.request.recv(_CHUNK):
            for message in deframer.feed(chunk):
                self.request.sendall(frame(relaying.answer(message, upstream)))
            if deframer.pending > pam.MAX_BYTES:
                relaying.tell("answered AE, too large; connection closed")
                self.request.sendall(frame(own_answer(deframer.head(_HEAD), "AE")))
                return


class Relay(socketserver.ThreadingTCPServer):
    """Listens; `start` returns once it does, `stop` lets what is under way be answered."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(
        self,
        at: tuple[str, int],
        relaying: Relaying,
        context: ssl.SSLContext | None = None,
    ) -> None:
        self.relaying, self.context = relaying, context
        self.room = threading.BoundedSemaphore(CONNECTIONS)
        super().__init__(at, _Sender)

    def get_request(self) -> tuple[socket.socket, Any]:
        """Wrapped at once; the handshake belongs to the thread of the connection."""
        plain, peer = super().get_request()
        if self.context is None:
            return plain, peer
        wire = self.context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False)
        return wire, peer

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.server_address[1])

    def start(self) -> None:
        """Serve in a thread of its own."""
        threading.Thread(target=self.serve_forever, args=(0.1,), daemon=True).start()

    def stop(self) -> None:
        """No new connection. An exchange that is cut is sent again by the sender."""
        self.shutdown()
        self.server_close()
