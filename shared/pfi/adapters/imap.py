"""The mailbox at the operator, by IMAP4 (RFC 3501, 6851, 4315).

Only what every server has is relied on (mail-edge §1.2): UID, partial FETCH, COPY, STORE; MOVE
and UIDPLUS when advertised. Bodies are fetched in pieces of 1 MiB and stay byte for byte.
"""

import base64
import imaplib
import re
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final, Self

from pfi.adapters.mail_access import (
    MailAccess,
    certificate_refused,
    initial_response,
    required_context,
)
from pfi.errors import Misconfigured, Unavailable
from pfi.journey.ports import MailGone
from pfi.names import Reason

PIECE: Final = 1 << 20
BATCH: Final = 200

_UID: Final = re.compile(rb"\bUID (\d+)")
_SIZE: Final = re.compile(rb"\bRFC822\.SIZE (\d+)")
_NEXT: Final = re.compile(rb"\d+ \(")
_QUOTED: Final = re.compile(rb'\bBODY\[[^\]]*\](?:<\d+>)? "((?:[^"\\]|\\.)*)"')
_LATER: Final = re.compile(rb"\[(UNAVAILABLE|LIMIT|INUSE|SERVERBUG|CONTACTADMIN)\b", re.IGNORECASE)
"""RFC 5530 codes of a refusal that says nothing about our credentials."""


class ImapReader:
    """One open session on INBOX that cannot change it: it has no verb for that, and it EXAMINEs."""

    def __init__(self, client: imaplib.IMAP4, capabilities: frozenset[str], validity: int) -> None:
        self._client = client
        self._capabilities = capabilities
        self.uid_validity = validity

    @classmethod
    def open(cls, access: MailAccess, context: ssl.SSLContext | None) -> Self:
        """Connect, secure, authenticate, EXAMINE INBOX.

        Unavailable(MAILBOX_UNAVAILABLE), Misconfigured(CERTIFICATE | AUTHENTICATION).
        """
        return cls._opened(access, context, read_only=True)

    @classmethod
    def _opened(
        cls, access: MailAccess, context: ssl.SSLContext | None, *, read_only: bool
    ) -> Self:
        with _failures():
            client = _connected(access, context)
        try:
            with _failures():
                _secured(client, access, context)
                _authenticated(client, access)
                selected = _selected(client, access, read_only=read_only)
                return cls(client, _capabilities(client), selected)
        except BaseException:
            _hang_up(client)
            raise

    def listing(self) -> Sequence[tuple[int, int]]:
        """(uid, RFC822.SIZE) of the mails not deleted; a mail that goes meanwhile is left out."""
        with _failures():
            lines = _ok(self._client.uid("SEARCH", "UNDELETED"))
            uids = sorted({int(uid) for line in lines if line for uid in line.split()})
            sizes: dict[int, int] = {}
            for start in range(0, len(uids), BATCH):
                sizes |= self._sizes(uids[start : start + BATCH])
        return [(uid, sizes[uid]) for uid in uids if uid in sizes]

    def examine(self, folder: str) -> bool:
        """Look into another folder, unable to change it; False when there is none."""
        with _failures():
            status, _ = self._client.select(_folder(folder), readonly=True)
        return status == "OK"

    def header(self, uid: int) -> bytes:
        """The header block only; the body is never downloaded. Raises MailGone."""
        with _failures():
            block = self._section(uid, "BODY.PEEK[HEADER]")
        if block is None:
            raise MailGone
        return block

    def fetch(self, uid: int, size: int) -> bytes:
        """The whole mail; Unavailable when its length is not `size`. Raises MailGone."""
        pieces: list[bytes] = []
        read = 0
        with _failures():
            while read < size or not pieces:
                piece = self._section(uid, f"BODY.PEEK[]<{read}.{PIECE}>")
                if piece is None and not read:
                    raise MailGone
                pieces.append(piece or b"")
                read += len(piece or b"")
                if not piece:
                    break
        if read != size:
            raise Unavailable(Reason.MAILBOX_UNAVAILABLE)
        return b"".join(pieces)

    def close(self) -> None:
        """LOGOUT; never CLOSE, which would expunge."""
        with suppress(imaplib.IMAP4.error, OSError):
            self._client.logout()
        _hang_up(self._client)

    def _sizes(self, uids: Sequence[int]) -> dict[int, int]:
        query = ",".join(map(str, uids))
        sizes = {}
        for text, _ in _fetched(_ok(self._client.uid("FETCH", query, "(UID RFC822.SIZE)"))):
            uid, size = _UID.search(text), _SIZE.search(text)
            if uid and size:
                sizes[int(uid[1])] = int(size[1])
        return sizes

    def _section(self, uid: int, section: str) -> bytes | None:
        """None is NIL: so Dovecot answers for a mail expunged under a session's feet."""
        answer = _ok(self._client.uid("FETCH", str(uid), f"(UID {section})"))
        for text, literal in _fetched(answer):
            found = _UID.search(text)
            if found and int(found[1]) == uid and b"BODY[" in text:
                return literal if literal is not None else _quoted(text)
        raise MailGone


class ImapMailbox(ImapReader):
    """One open session, INBOX selected read-write. Implements `pfi.journey.ports.Mailbox`."""

    @classmethod
    def open(cls, access: MailAccess, context: ssl.SSLContext | None) -> Self:
        """Connect, secure, authenticate, SELECT INBOX; the same faults."""
        return cls._opened(access, context, read_only=False)

    def move(self, uid: int, folder: str) -> None:
        """File a mail, creating the folder when the server asks for it (TRYCREATE).

        Without MOVE: COPY, \\Deleted, UID EXPUNGE; without UIDPLUS the mail stays \\Deleted,
        for a plain EXPUNGE would take other clients' mails with it.
        """
        name = _folder(folder)
        with _failures():
            if "MOVE" in self._capabilities:
                self._filed("MOVE", uid, name)
                return
            self._filed("COPY", uid, name)
            _ok(self._client.uid("STORE", str(uid), "+FLAGS.SILENT", r"(\Deleted)"))
            if "UIDPLUS" in self._capabilities:
                _ok(self._client.uid("EXPUNGE", str(uid)))

    def _filed(self, command: str, uid: int, name: str) -> None:
        status, lines = self._client.uid(command, str(uid), name)
        if status == "NO" and b"TRYCREATE" in _text(lines).upper():
            # Its answer does not matter: another session may have made it in between.
            self._client.create(name)
            status, lines = self._client.uid(command, str(uid), name)
        _ok((status, lines))


@contextmanager
def _failures() -> Iterator[None]:
    """Every way imaplib fails, as a family of ours; the server's words are dropped."""
    try:
        yield
    except (imaplib.IMAP4.error, OSError) as error:
        if certificate_refused(error):
            raise Misconfigured(Reason.CERTIFICATE) from None
        raise Unavailable(Reason.MAILBOX_UNAVAILABLE) from None


def _connected(access: MailAccess, context: ssl.SSLContext | None) -> imaplib.IMAP4:
    if access.tls == "implicit":
        return imaplib.IMAP4_SSL(
            access.host,
            access.port,
            ssl_context=required_context(context),
            timeout=access.timeout_s,
        )
    return imaplib.IMAP4(access.host, access.port, timeout=access.timeout_s)


def _secured(client: imaplib.IMAP4, access: MailAccess, context: ssl.SSLContext | None) -> None:
    if access.tls != "starttls":
        return
    if "STARTTLS" not in client.capabilities:
        raise Misconfigured(Reason.CERTIFICATE)
    client.starttls(required_context(context))


def _authenticated(client: imaplib.IMAP4, access: MailAccess) -> None:
    if access.auth == "none":
        client.state = "AUTH"  # the certificate was the authentication
        return
    mechanism, response = initial_response(access)
    answers = iter([response])
    try:
        # A second challenge is an error report (XOAUTH2): the empty answer ends the exchange.
        client.authenticate(mechanism, lambda _: next(answers, b""))
    except imaplib.IMAP4.abort:
        raise
    except imaplib.IMAP4.error as error:
        if _LATER.search(str(error).encode()):
            raise
        raise Misconfigured(Reason.AUTHENTICATION) from None


def _capabilities(client: imaplib.IMAP4) -> frozenset[str]:
    """Asked again: servers advertise MOVE and UIDPLUS only after authentication."""
    return frozenset(_text(_ok(client.capability())).decode("ascii", "replace").upper().split())


def _selected(client: imaplib.IMAP4, access: MailAccess, *, read_only: bool) -> int:
    try:
        status, lines = client.select("INBOX", readonly=read_only)
    except imaplib.IMAP4.abort:
        raise
    except imaplib.IMAP4.error:
        status, lines = "BAD", []
    if status != "OK" and access.auth == "none" and not _LATER.search(_text(lines)):
        raise Misconfigured(Reason.AUTHENTICATION)
    _ok((status, lines))
    _, validity = client.response("UIDVALIDITY")
    if not validity or not validity[0]:
        raise Unavailable(Reason.MAILBOX_UNAVAILABLE)
    return int(validity[0])


def _hang_up(client: imaplib.IMAP4) -> None:
    with suppress(OSError):
        client.shutdown()


def _ok(answer: tuple[str, list[Any]]) -> list[Any]:
    status, lines = answer
    if status != "OK":
        raise Unavailable(Reason.MAILBOX_UNAVAILABLE)
    return lines


def _text(lines: Sequence[Any]) -> bytes:
    return b" ".join(line for line in lines if isinstance(line, bytes))


def _fetched(lines: Sequence[Any]) -> Iterator[tuple[bytes, bytes | None]]:
    """One (text, literal) per FETCH response; servers slip in others that nobody asked for."""
    text, literal = b"", None
    for line in lines:
        head = line[0] if isinstance(line, tuple) else line or b""
        if _NEXT.match(head) and text:
            yield text, literal
            text, literal = b"", None
        text += b" " + head if text else head
        if isinstance(line, tuple):
            literal = line[1]
    if text:
        yield text, literal


def _quoted(text: bytes) -> bytes | None:
    """A short section may come as a quoted string, an absent one as NIL (RFC 3501 nstring)."""
    found = _QUOTED.search(text)
    return re.sub(rb"\\(.)", rb"\1", found[1]) if found else None


def _folder(name: str) -> str:
    """Quoted, in modified UTF-7 (RFC 3501 §5.1.3)."""
    encoded = re.sub(r"[^\x20-\x7e]+|&", _shifted, name)
    return '"' + encoded.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _shifted(run: re.Match[str]) -> str:
    if run[0] == "&":
        return "&-"
    text = base64.b64encode(run[0].encode("utf-16-be")).decode("ascii")
    return "&" + text.rstrip("=").replace("/", ",") + "-"
