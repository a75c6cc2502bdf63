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
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from infra.relay.upstream import Away, NotTaken, Upstream
from pfi.hl7 import adt as pam
from pfi.hl7.mllp import Deframer, frame
from pfi.names import Reason

HANDSHAKE_S: Final = 10.0
PAUSE_S: Final = 1.0
CONNECTIONS: Final = 32
PER_ADDRESS: Final = 16
"""Connections of one sender: half of the room, so that none shuts the others out."""
HANDSHAKES: Final = 64
"""Connections that may be at their handshake, beside those that have a place."""
_CHUNK: Final = 65_536
_SLICE_S: Final = 0.5
"""How often a silent connection looks whether the relay stops."""
_HEAD: Final = 4_096
"""Enough of a message that is too large to answer it."""
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Relaying:
    """Where messages go, and how long the sender is kept waiting for it."""

    upstream: Callable[[], Upstream]
    """Makes the connection of one sender."""
    patience_s: float = 20
    idle_s: float = 900
    """Without a message in hand; a repository connects again when it has one."""
    frame_s: float = 30
    """From the first byte of a message to its last, and for the ACK to be taken."""
    leave_s: float = 30
    """What is under way may take that long when the relay stops."""
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


class Full(Exception):
    """No place for one more connection, of everybody or of this address."""


@dataclass(slots=True)
class Room:
    """The places of connections, a share of them for one address at most."""

    places: int
    share: int
    _taken: Counter[str] = field(default_factory=Counter, init=False)
    _lock: threading.Condition = field(default_factory=threading.Condition, init=False)

    @contextmanager
    def place(self, address: str) -> Iterator[None]:
        """For as long as the connection lasts; Full when there is none."""
        with self._lock:
            if self._taken.total() >= self.places or self._taken[address] >= self.share:
                raise Full
            self._taken[address] += 1
        try:
            yield
        finally:
            with self._lock:
                self._taken[address] -= 1
                self._lock.notify_all()

    @property
    def taken(self) -> int:
        """How many are here."""
        return self._taken.total()

    def emptied(self, seconds: float) -> bool:
        """Whether everybody left within that time."""
        with self._lock:
            return self._lock.wait_for(lambda: not self._taken.total(), seconds)


class _Sender(socketserver.BaseRequestHandler):
    """One connection of a sender, until it closes."""

    server: "Relay"
    request: socket.socket

    def handle(self) -> None:
        try:
            self._welcome()
        except Full:
            self.server.relaying.tell("connection refused: too many")
        except TimeoutError:
            self.server.relaying.tell("connection closed: silent")
        except (OSError, EOFError) as fault:
            self.server.relaying.tell(f"connection lost ({type(fault).__name__})")

    def _welcome(self) -> None:
        """A place is for who may speak: a handshake that never ends takes none."""
        address = str(self.client_address[0])
        self.request.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if isinstance(self.request, ssl.SSLSocket):
            with self.server.doorstep.place(address):
                self.request.settimeout(HANDSHAKE_S)
                self.request.do_handshake()
        with self.server.room.place(address):
            self._serve()

    def _serve(self) -> None:
        upstream = self.server.relaying.upstream()
        try:
            self._exchange(upstream)
        finally:
            upstream.close()

    def _exchange(self, upstream: Upstream) -> None:
        deframer, relaying = Deframer(), self.server.relaying
        inside, until = False, time.monotonic() + relaying.idle_s
        while chunk := self._heard(until):
            messages = deframer.feed(chunk)
            for message in messages:
                self._tell(relaying.answer(message, upstream))
            if messages or inside is not bool(deframer.pending):
                inside = bool(deframer.pending)
                until = time.monotonic() + (relaying.frame_s if inside else relaying.idle_s)
            if deframer.pending > pam.MAX_BYTES:
                relaying.tell("answered AE, too large; connection closed")
                self._tell(own_answer(deframer.head(_HEAD), "AE"))
                return

    def _heard(self, until: float) -> bytes:
        """What comes next; nothing once the relay stops. TimeoutError when nothing came."""
        while not self.server.leaving.is_set():
            left = until - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self.request.settimeout(min(_SLICE_S, left))
            with suppress(TimeoutError):
                return self.request.recv(_CHUNK)
        return b""

    def _tell(self, answer: bytes) -> None:
        self.request.settimeout(self.server.relaying.frame_s)
        self.request.sendall(frame(answer))


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
        self.room = Room(CONNECTIONS, PER_ADDRESS)
        self.doorstep = Room(HANDSHAKES, PER_ADDRESS)
        self.leaving = threading.Event()
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
        """No new connection and no new message; whose answer is under way gets it. An exchange that
        takes longer is cut, and sent again by the sender."""
        self.leaving.set()
        self.shutdown()
        self.server_close()
        self.room.emptied(self.relaying.leave_s)
