"""A simulated MSSanté operator: IMAP and SMTP submission over mutual TLS, on loopback.

Started by the laptop and by the tests, in a thread of its own. What it keeps is in
`OperatorStore`; what makes it fail, in `Faults`. The suites of tests/contracts run on it and on
a real Dovecot, so that it cannot drift (mail-edge §2.6).
"""

import asyncio
import threading
import weakref
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from infra.local.operator_faults import Faults
from infra.local.operator_imap import ImapSession
from infra.local.operator_rules import OperatorOptions, OperatorRules
from infra.local.operator_smtp import Submission, submission
from infra.local.operator_store import OperatorStore
from infra.local.operator_wire import Wire
from infra.local.pki import Pki

HOST: Final = "127.0.0.1"
_WAIT_S: Final = 10


class Operator:
    """start() and stop() in-process; a context manager. Port 0 means: any free one."""

    def __init__(
        self,
        pki: Pki,
        mailboxes: Sequence[str] = (),
        *,
        path: Path | None = None,
        ports: tuple[int, int] = (0, 0),
        options: OperatorOptions | None = None,
    ) -> None:
        """`ports` are IMAP and SMTP; without `path` everything is in memory."""
        chosen = options or OperatorOptions()
        tls = pki.server_context(chosen.server, client_certificate=chosen.client_certificate)
        self.store = OperatorStore(path)
        self.faults = Faults()
        self.imap_port, self.smtp_port = ports
        self._rules = OperatorRules(self.store, self.faults, tls, chosen)
        self._imap: set[asyncio.Task[None]] = set()
        self._smtp: weakref.WeakSet[Submission] = weakref.WeakSet()
        self._stopped: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        for mailbox in mailboxes:
            self.store.create_mailbox(mailbox)

    def start(self) -> Self:
        """Listen; returns when both ports answer."""
        ready: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, args=(ready,), name="operator")
        self._thread.daemon = True
        self._thread.start()
        ready.result(_WAIT_S)
        return self

    def stop(self) -> None:
        """Drop all connections, free the ports, close the store (the file stays)."""
        self.go_down()
        self.store.close()

    def go_down(self) -> None:
        """Drop all connections, free the ports; `start` listens on the same ones again."""
        if self._thread and self._loop and self._stopped:
            with suppress(RuntimeError):  # the loop has ended by itself
                self._loop.call_soon_threadsafe(self._stopped.set)
            self._thread.join(_WAIT_S)
        self._thread = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _run(self, ready: Future[None]) -> None:
        try:
            asyncio.run(self._serve(ready))
        except OSError as error:  # a port is taken: start() raises it
            if not ready.done():
                ready.set_exception(error)

    async def _serve(self, ready: Future[None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopped = asyncio.Event()
        imap = await asyncio.start_server(self._imap_connection, HOST, self.imap_port)
        try:
            factory = submission(self._rules, self._loop, self._smtp)
            smtp = await self._loop.create_server(factory, HOST, self.smtp_port)
            self.imap_port = imap.sockets[0].getsockname()[1]
            self.smtp_port = smtp.sockets[0].getsockname()[1]
            ready.set_result(None)
            await self._stopped.wait()
            smtp.close()
        finally:
            imap.close()
        await self._drop_connections()

    async def _imap_connection(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        task = asyncio.current_task()
        if task:
            self._imap.add(task)
            task.add_done_callback(self._imap.discard)
        with suppress(asyncio.CancelledError):  # the operator goes down: no fault of the session
            await ImapSession(Wire(reader, writer), self._rules).run()

    async def _drop_connections(self) -> None:
        for task in self._imap:
            task.cancel()
        for connection in list(self._smtp):
            connection.cut()
        await asyncio.gather(*self._imap, return_exceptions=True)
        await asyncio.sleep(0)  # lets the transports say connection_lost
