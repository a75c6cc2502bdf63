"""A connection that may turn to TLS, over asyncio streams.

Not `StreamWriter.start_tls`: asyncio throws away the TLS alert of a failed handshake, so that a
client with a wrong certificate would only see the connection close.
"""

import asyncio
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

_PIECE: Final = 1 << 18
_LINE: Final = 1 << 20


class Gone(Exception):
    """The peer closed, or a fault switch did."""


class Wire:
    """Reads lines and literals, writes bytes; plain until `start_tls`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._buffer = bytearray()
        self._in = ssl.MemoryBIO()
        self._out = ssl.MemoryBIO()
        self._tls: ssl.SSLObject | None = None

    @property
    def secure(self) -> bool:
        """True once TLS is up."""
        return self._tls is not None

    @property
    def certificate(self) -> dict[str, Any] | None:
        """The verified client certificate, if one was shown."""
        return self._tls.getpeercert() if self._tls else None

    async def start_tls(self, context: ssl.SSLContext) -> None:
        """Handshake as server; what was pipelined in clear is dropped (RFC 3207 §6)."""
        self._buffer.clear()
        tls = context.wrap_bio(self._in, self._out, server_side=True)
        while True:
            try:
                tls.do_handshake()
            except ssl.SSLWantReadError:
                await self._flush()
                self._in.write(await self._raw())
            except ssl.SSLError:
                await self._flush()
                raise Gone from None
            else:
                break
        await self._flush()
        self._tls = tls

    async def line(self) -> bytes:
        """Up to and with the next LF."""
        while (end := self._buffer.find(b"\n")) < 0:
            if len(self._buffer) > _LINE:
                raise Gone
            await self._more()
        return self._take(end + 1)

    async def exactly(self, size: int) -> bytes:
        """So many bytes."""
        while len(self._buffer) < size:
            await self._more()
        return self._take(size)

    async def write(self, data: bytes) -> None:
        """Send; waits while the peer does not read."""
        if self._tls is None:
            self._writer.write(data)
        else:
            self._tls.write(data)
            self._writer.write(self._out.read())
        await self._drained()

    def cut(self) -> None:
        """Drop the connection without a word."""
        self._writer.transport.abort()

    async def close(self) -> None:
        """Close politely."""
        with suppress(OSError):
            self._writer.close()
            await self._writer.wait_closed()

    def _take(self, size: int) -> bytes:
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data

    async def _more(self) -> None:
        data = await self._raw()
        if self._tls is None:
            self._buffer += data
            return
        self._in.write(data)
        self._decrypt(self._tls.read)
        await self._flush()

    def _decrypt(self, read: Callable[[int], bytes]) -> None:
        try:
            while piece := read(_PIECE):
                self._buffer += piece
        except ssl.SSLWantReadError:
            return
        except ssl.SSLError:
            raise Gone from None

    async def _raw(self) -> bytes:
        try:
            data = await self._reader.read(_PIECE)
        except OSError:
            raise Gone from None
        if not data:
            raise Gone
        return data

    async def _flush(self) -> None:
        if self._out.pending:
            self._writer.write(self._out.read())
            await self._drained()

    async def _drained(self) -> None:
        try:
            await self._writer.drain()
        except OSError:
            raise Gone from None
