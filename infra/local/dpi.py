r"""A simulated DPI: an MLLP server that checks, keeps and acknowledges MDM messages.

Each message is checked against the profile (AE with ERR 100…203 when it fails). A message whose
MSH-10 was already accepted with the same bytes gets its AA again and is not stored twice; other
bytes under that MSH-10 get AE 205. What is accepted lies in `folder` (mode 0700): one ``.hl7``
file per message, ``index.jsonl`` (one line per accepted message) and ``exchanges.jsonl`` (one
line per message received).

Answers can be scripted with a JSON file, a list of rules (or ``{"rules": [...]}``), read again
whenever it changes. The first rule that takes a message answers it; without one the answer is
AA. Every key is optional::

    {"event": "T02",            selector: trigger event T02, T10 or T04
     "document": "<TXA-12>",    selector: the whole field or its first component
     "matricule": "<PID-3.1>",  selector: any identifier of the patient
     "control_id": "<MSH-10>",  selector
     "nth": 1,                  only the n-th message that the selectors match (from 1)
     "times": 2,                answer at most that many times, then leave it to the next rules
     "answer": "AE",            see below; AA when absent
     "err3": "207",             ERR-3 of an AE (default 207)
     "err5": "900",             ERR-5 of an AE whose err3 is 207 (default 906, "" for none)
     "text": "…",               ERR-5.2 of an AE, MSA-3 of any other answer
     "seconds": 5,              how long LATE waits, and SILENCE keeps the connection
     "accept": true}            store the message or not, against the habit of the answer

Answers: ``AA`` (stored), ``AE``, ``AR``, ``CA`` (and nothing more), ``CA_THEN_AA`` (stored, CA and
then AA), ``SILENCE`` (no word, then close), ``DROP`` (close before the ACK), ``LATE`` (stored, AA
after `seconds`), ``WRONG_ID`` (AA for another message), ``GARBAGE`` (no HL7), ``ACCEPT_THEN_DROP``
(stored, close before the ACK).
"""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from infra.local.dpi_script import Answer, Rule, Script
from infra.local.dpi_store import Accepted, Kept, Message, accepted, exchanges
from infra.local.dpi_wire import Wire
from infra.local.mdm_profile import Fault, Segments, check, read
from pfi.hl7 import er7
from pfi.hl7.mllp import frame

_HANDSHAKE_S: Final = 10.0
_APPLICATION_ERROR: Final = "207"
_DUPLICATE_KEY: Final = Fault("205", "MSH^1^10", "Duplicate key identifier")


class Dpi:
    """The server. `start` returns once it listens; `stop` ends every connection."""

    def __init__(
        self,
        folder: Path,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        script: Path | None = None,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self._kept = Kept(folder)
        self._script = Script(script)
        self._host = host
        self._port = port
        self._ssl_context = ssl_context
        self._listener: socket.socket | None = None
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._open: set[socket.socket] = set()
        self._waiting: set[int] = set()
        self._counting = threading.Lock()
        self.most_at_once = 0
        """The most connections that waited for an answer together; set it to 0 to measure anew."""
        self.broken_off = 0
        """Connections that TLS ended: as a rule one of the two certificates was refused."""

    @property
    def port(self) -> int:
        """The port it listens on; the one asked for before `start`."""
        return self._port

    @property
    def folder(self) -> Path:
        """Where it keeps what it accepted; all of it is there when this returns."""
        return self._kept.folder

    @property
    def accepted(self) -> tuple[Accepted, ...]:
        """What it holds as integrated, in order of arrival."""
        return accepted(self._kept.folder)

    @property
    def exchanges(self) -> tuple[dict[str, Any], ...]:
        """Every message it received and the answer it gave."""
        return exchanges(self._kept.folder)

    @property
    def duplicates(self) -> int:
        """How many messages came again after they were accepted."""
        return sum(bool(one["repeat"]) for one in self.exchanges)

    @property
    def script_fault(self) -> str:
        """Why the script file was not taken; '' when all is well."""
        return self._script.fault

    def play(self, rules: Sequence[Mapping[str, Any]]) -> None:
        """Replace the rules in force, without a file."""
        self._script.play(rules)

    def present(self, ssl_context: ssl.SSLContext) -> None:
        """Show another certificate from the next connection on."""
        self._ssl_context = ssl_context

    def start(self) -> None:
        """Listen, and serve in threads."""
        self._stopping.clear()
        self._listener = socket.create_server((self._host, self._port))
        self._port = self._listener.getsockname()[1]
        self._run(self._accept, self._listener)

    def stop(self) -> None:
        """Close the listener and every connection, wait for the threads."""
        self._stopping.set()
        for open_socket in (self._listener, *tuple(self._open)):
            _hang_up(open_socket)
        for thread in self._threads:
            thread.join(5)
        self._threads.clear()
        self._kept.settle()

    def _run(self, task: Callable[[socket.socket], None], connection: socket.socket) -> None:
        thread = threading.Thread(target=task, args=(connection,), daemon=True)
        self._threads = [t for t in self._threads if t.is_alive()]
        self._threads.append(thread)
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        with listener:
            while not self._stopping.is_set():
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                self._run(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        self._open.add(connection)
        self._waits()
        try:
            if self._ssl_context is None:
                self._talk(connection)
            else:
                self._talk_secured(connection, self._ssl_context)
        except ssl.SSLError:
            self.broken_off += 1  # no common ground: a certificate was refused, mostly ours
        except OSError:
            pass  # the other side left
        finally:
            self._answered()
            self._open.discard(connection)
            connection.close()

    def _waits(self) -> None:
        with self._counting:
            self._waiting.add(threading.get_ident())
            self.most_at_once = max(self.most_at_once, len(self._waiting))

    def _answered(self) -> None:
        """Called before the answer leaves: then the client may open its next connection."""
        with self._counting:
            self._waiting.discard(threading.get_ident())

    def _talk_secured(self, connection: socket.socket, context: ssl.SSLContext) -> None:
        connection.settimeout(_HANDSHAKE_S)
        with context.wrap_socket(connection, server_side=True) as secured:
            secured.settimeout(None)
            self._open.add(secured)
            try:
                self._talk(secured)
            finally:
                self._open.discard(secured)

    def _talk(self, connection: socket.socket) -> None:
        for message in Wire(connection).messages():
            reply = self._reply(message)
            self._answered()
            if reply is None:
                return
            connection.sendall(reply)

    def _reply(self, message: bytes) -> bytes | None:
        """The bytes to send back; None = close without a word."""
        segments = read(message)
        header = segments.first("MSH")
        fault = check(segments)
        known = None if fault else self._kept.knows(header.field(10), message)
        if known is False:
            fault = _DUPLICATE_KEY
        rule = self._script.rule(segments) if fault is None else None
        exchange = {
            "control_id": header.field(10),
            "event": header.component(9, 2),
            "answer": rule.answer.value if rule else "AE",
            "error": fault.code if fault else "",
            "location": fault.location if fault else "",
            "repeat": bool(known),
        }
        keeps = rule is not None and rule.keeps
        self._kept.note(exchange, Message(message, segments, _now()) if keeps else None)
        if rule is None or fault is not None:
            return frame(_faulty(segments, fault or _DUPLICATE_KEY))
        return self._scripted(rule, segments)

    def _scripted(self, rule: Rule, segments: Segments) -> bytes | None:
        match rule.answer:
            case Answer.DROP | Answer.ACCEPT_THEN_DROP:
                return None
            case Answer.SILENCE:
                self._stopping.wait(rule.seconds)
                return None
            case Answer.LATE:
                self._stopping.wait(rule.seconds)
            case Answer.GARBAGE:
                return b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"
            case Answer.CA_THEN_AA:
                return b"".join(frame(_acknowledge(segments, code)) for code in ("CA", "AA"))
        return frame(_answer(rule, segments))


def _now() -> str:
    return time.strftime("%Y%m%d%H%M%S")


def _acknowledge(segments: Segments, code: str, error: str = "", **more: str) -> bytes:
    """An ACK with the names of the MDM mirrored (hl7-mdm §5.5)."""
    header = segments.first("MSH")
    event = header.component(9, 2)
    back = "|".join(header.field(number) for number in (5, 6, 3, 4))
    control_id = more.get("control_id") or header.field(10)
    text = f"|{er7.escape(more['text'])}" if more.get("text") else ""
    lines = [
        rf"MSH|^~\&|{back}|{_now()}||ACK^{event}^ACK|DPI{_now()}|{header.field(11) or 'T'}|2.6"
        f"|||||FRA|UNICODE UTF-8",
        f"MSA|{code}|{control_id}{text}",
        *([error] if error else []),
    ]
    return "".join(f"{line}\r" for line in lines).encode()


def _faulty(segments: Segments, fault: Fault) -> bytes:
    error = f"ERR||{fault.location}|{fault.code}^{fault.text}^messageErrorCondition|E"
    return _acknowledge(segments, "AE", error)


def _answer(rule: Rule, segments: Segments) -> bytes:
    if rule.answer is Answer.AE:
        return _acknowledge(segments, "AE", _error(rule))
    if rule.answer is Answer.WRONG_ID:
        return _acknowledge(segments, "AA", control_id="SOMEOTHERMESSAGE0001", text=rule.text)
    code = rule.answer.value if rule.answer in {Answer.AR, Answer.CA} else "AA"
    return _acknowledge(segments, code, text=rule.text)


def _error(rule: Rule) -> str:
    applicative = ""
    if rule.err3 == _APPLICATION_ERROR and rule.err5:
        text = er7.escape(rule.text)
        applicative = f"{er7.escape(rule.err5)}^{text}^applicationErrorCondition"
    kind = f"{er7.escape(rule.err3)}^^messageErrorCondition"
    return f"ERR|||{kind}|E|{applicative}".rstrip("|")


def _hang_up(connection: socket.socket | None) -> None:
    if connection is None:
        return
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # already gone
    finally:
        connection.close()
