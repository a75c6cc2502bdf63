"""The operator's SMTP submission (RFC 5321, 6409).

One recipient per transaction, so that one reply means one outcome. The DATA stage is ours:
smtplib rewrites line ends, and a mail must leave byte for byte (mail-edge §5).
"""

import re
import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Final

from pfi.adapters.mail_access import (
    MailAccess,
    base64_line,
    certificate_refused,
    initial_response,
    required_context,
)
from pfi.errors import Misconfigured, OutcomeUnknown, PfiError, Refused, Unavailable
from pfi.mail.compose import has_bare_line_ends
from pfi.mail.outbound import Outgoing
from pfi.names import Reason

PIECE: Final = 1 << 18

_ADDRESS: Final = re.compile(r"[!-;=?-~]+@[!-;=?-~]+")
"""Printable ASCII without blank or angle bracket: nothing that could add a command."""
_AUTHENTICATION: Final = frozenset({530, 534, 535, 538})
_NULL_PATH_REFUSED: Final = frozenset({501, 550, 553})


@dataclass(frozen=True, slots=True)
class SmtpRelay:
    """One connection per mail. Implements `pfi.journey.ports.Relay`."""

    access: MailAccess
    context: ssl.SSLContext | None
    domain: str
    """What EHLO says: the domain of the product's mailboxes."""

    def send(self, mail: Outgoing) -> None:
        """Hand over one mail to one recipient.

        Returns once the relay has answered 250. Unavailable: it has nothing, send again later.
        OutcomeUnknown: the mail left and the reply was lost. Refused carries the reply code.
        """
        _check(mail)
        client = self._client()
        try:
            self._open(client)
            self._envelope(client, mail)
            _hand_over(client, mail.content)
        finally:
            _hang_up(client)

    def rehearse(self) -> None:
        """Connect, secure and authenticate as for a mail, then leave: nothing is sent."""
        client = self._client()
        try:
            self._open(client)
        finally:
            _hang_up(client)

    def _client(self) -> smtplib.SMTP:
        """Not yet connected, so that whatever happens next there is something to close."""
        access = self.access
        if access.tls == "implicit":
            return smtplib.SMTP_SSL(
                timeout=access.timeout_s,
                local_hostname=self.domain,
                context=required_context(self.context),
            )
        return smtplib.SMTP(timeout=access.timeout_s, local_hostname=self.domain)

    def _open(self, client: smtplib.SMTP) -> None:
        access = self.access
        with _failures():
            # connect() does not tell the client the name that the certificate must bear.
            client._host = access.host  # type: ignore[attr-defined]  # smtplib checks TLS by it
            code, _ = client.connect(access.host, access.port)
            if code != 220:  # a server that turns everybody away says nothing about this mail
                raise Unavailable(Reason.RELAY_UNAVAILABLE)
            client.ehlo_or_helo_if_needed()
            if access.tls == "starttls":
                self._secure(client)
            if access.auth != "none":
                _authenticate(client, access)

    def _secure(self, client: smtplib.SMTP) -> None:
        if not client.has_extn("starttls"):
            raise Misconfigured(Reason.CERTIFICATE)
        _expect(client.starttls(context=required_context(self.context)))
        client.ehlo_or_helo_if_needed()

    def _envelope(self, client: smtplib.SMTP, mail: Outgoing) -> None:
        with _failures():
            options = _options(client, mail.content)
            code = client.mail(mail.envelope_from, options)[0]
            if not mail.envelope_from and code in _NULL_PATH_REFUSED:
                # RFC 8098 §3 wants <>; some submission servers do not (mail-edge §5).
                code = client.mail(self.access.user, options)[0]
            _expect((code, b""))
            _expect(client.rcpt(mail.recipient))


def _check(mail: Outgoing) -> None:
    """What must never reach the wire: an odd address, a bare CR or LF (smuggling)."""
    sender = mail.envelope_from or mail.recipient
    if not (_ADDRESS.fullmatch(mail.recipient) and _ADDRESS.fullmatch(sender)):
        raise Refused(Reason.RELAY_REFUSED, code="5.1.3")
    if has_bare_line_ends(mail.content):
        raise Refused(Reason.RELAY_REFUSED, code="5.6.0")


def _authenticate(client: smtplib.SMTP, access: MailAccess) -> None:
    mechanism, response = initial_response(access)
    code, _ = client.docmd("AUTH", f"{mechanism} {base64_line(response)}")
    if code == 334:  # XOAUTH2 reports its error in a challenge; the empty answer ends it
        code, _ = client.docmd("")
    if code >= 500:
        raise Misconfigured(Reason.AUTHENTICATION)
    _expect((code, b""))


def _options(client: smtplib.SMTP, content: bytes) -> list[str]:
    """SIZE (RFC 1870), refused here before any byte leaves; BODY=8BITMIME (RFC 6152)."""
    options = []
    if client.has_extn("size"):
        limit = client.esmtp_features["size"].strip()
        if limit.isdigit() and 0 < int(limit) < len(content):
            raise Refused(Reason.RELAY_REFUSED, code="552")
        options.append(f"SIZE={len(content)}")
    if client.has_extn("8bitmime") and not content.isascii():
        options.append("BODY=8BITMIME")
    return options


def _hand_over(client: smtplib.SMTP, content: bytes) -> None:
    with _failures():
        _expect(client.docmd("DATA"), 354)
    with _failures(lost=OutcomeUnknown):
        # In pieces: the time-out is per call, and a big mail may rightly take longer.
        for piece in _stuffed(content):
            client.send(piece)
        _expect(client.getreply())


def _stuffed(content: bytes) -> Iterator[bytes]:
    """Transparency (RFC 5321 §4.5.2), the end of the last line, and the end of data.

    Bundle of whole lines by bundle: those of base64 have no dot, and are only looked at.
    """
    start = 0
    while len(content) - start > PIECE:
        end = content.find(b"\n", start + PIECE) + 1
        if not end:
            break
        yield _transparent(content[start:end])
        start = end
    close = b"" if not content or content.endswith(b"\r\n") else b"\r\n"
    yield _transparent(content[start:]) + close + b".\r\n"


def _transparent(lines: bytes) -> bytes:
    if b"." not in lines:
        return lines
    dot = b"." if lines.startswith(b".") else b""
    return dot + lines.replace(b"\r\n.", b"\r\n..")


def _expect(reply: tuple[int, bytes], wanted: int = 250) -> None:
    """4xx: later; 5xx: never; a reply of another class is no SMTP and tells nothing."""
    code = reply[0]
    if code // 100 == wanted // 100:
        return
    if code in _AUTHENTICATION:
        raise Misconfigured(Reason.AUTHENTICATION)
    if code >= 500:
        raise Refused(Reason.RELAY_REFUSED, code=str(code))
    raise Unavailable(Reason.RELAY_UNAVAILABLE)


@contextmanager
def _failures(lost: type[PfiError] = Unavailable) -> Iterator[None]:
    """Every way smtplib fails, as a family of ours; the server's words are dropped."""
    try:
        yield
    except OSError as error:  # SMTPException is one
        if lost is Unavailable and certificate_refused(error):
            raise Misconfigured(Reason.CERTIFICATE) from None
        raise lost(Reason.RELAY_UNAVAILABLE) from None


def _hang_up(client: smtplib.SMTP) -> None:
    with suppress(OSError):
        if client.sock:
            client.quit()
    client.close()
