"""The endpoint of the feed, as a client with a certificate sees it: HL7 v2 over HTTP."""

import http.client
import ssl
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from pfi.hl7 import adt as pam

MEDIA_TYPE: Final = "application/hl7-v2"
_CHARSETS: Final = {"8859/15": "iso-8859-15", "8859/1": "iso-8859-1"}
_NO_USE: Final = frozenset({400, 413, 415})
"""The function takes it for no HL7 message, and will tomorrow."""
_MARK: Final = "x-pfi-feed"
"""A header of every answer of the function (`pfi.edge.feed`). Without it a proxy or the gateway
spoke: what either says of a request is no word about the message."""
MOST: Final = 1_000_000
"""Bytes of an answer; an ACK has a few hundred."""


class Away(Exception):
    """Nobody answered for the message. Sending it again is harmless (rule F-01 of the feed)."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class NotTaken(Exception):
    """The endpoint refuses the message as it is: sending it again is of no use."""


@dataclass(slots=True)
class Upstream:
    """One connection, kept open between two messages. One thread uses it."""

    url: str
    context: ssl.SSLContext
    timeout_s: float = 30
    _connection: http.client.HTTPSConnection | None = field(default=None, init=False)

    def exchange(self, message: bytes) -> bytes:
        """The ACK of the endpoint, byte for byte; whatever else comes is no answer."""
        try:
            status, kind, body, ours = self._post(message)
        except (OSError, http.client.HTTPException) as fault:
            self.close()
            raise Away(type(fault).__name__) from None
        if ours and status in _NO_USE:
            raise NotTaken
        if status != 200 or kind != MEDIA_TYPE or not _acknowledges(body):
            self.close()
            raise Away(f"status {status}")
        return body

    def close(self) -> None:
        """The next message opens a new one."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def _post(self, message: bytes) -> tuple[int, str, bytes, bool]:
        at = urlsplit(self.url)
        if self._connection is None:
            self._connection = http.client.HTTPSConnection(
                at.hostname or "", at.port or 443, timeout=self.timeout_s, context=self.context
            )
        headers = {"content-type": f"{MEDIA_TYPE}; charset={_charset(message)}"}
        self._connection.request("POST", at.path or "/", body=message, headers=headers)
        answer = self._connection.getresponse()
        told = answer.headers
        return answer.status, told.get_content_type(), answer.read(MOST), _MARK in told


def _charset(message: bytes) -> str:
    return _CHARSETS.get(pam.read(message).header(18).strip(), "utf-8")


def _acknowledges(body: bytes) -> bool:
    return body.startswith(b"MSH") and b"\rMSA|" in body
