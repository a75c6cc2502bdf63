"""SMTP submission of the simulated operator (RFC 6409), on aiosmtpd: an implementation of the
protocol that is not ours, so that our relay is tested against somebody else's reading of it.
"""

import asyncio
import base64
import binascii
import itertools
import logging
from asyncio import sslproto
from collections.abc import Callable, MutableSet
from email.utils import format_datetime
from typing import Any, Final

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session, TLSSetupException

from infra.local.operator_rules import OperatorRules, certified_mailbox

_DSN_AFTER_S: Final = 0.05
_NAME: Final = "operator.pfi.invalid"

# It logs every line of every mail, and warns about the client certificates we want.
logging.getLogger("mail.log").setLevel(logging.CRITICAL + 1)
logging.getLogger("mail.debug").setLevel(logging.CRITICAL + 1)


class SubmissionPolicy:
    """aiosmtpd's hooks: who may send as whom, to whom, and the fault switches."""

    def __init__(self, rules: OperatorRules, loop: asyncio.AbstractEventLoop) -> None:
        self._rules = rules
        self._loop = loop
        self._numbers = itertools.count(1)

    async def auth_EXTERNAL(self, server: SMTP, args: list[str]) -> AuthResult:
        """The certificate is the credential; the response may name its mailbox."""
        try:
            asked = base64.b64decode(args[1] if args[1:] != ["="] else "", validate=True).decode()
        except (binascii.Error, IndexError, UnicodeDecodeError):
            return AuthResult(success=False, handled=False)
        mailbox = self._rules.signed_in(_certified(server.session), asked, None)
        return AuthResult(success=bool(mailbox), handled=False, auth_data=mailbox)

    def authenticate(
        self, _server: SMTP, session: Session, _envelope: Envelope, _mechanism: str, data: Any
    ) -> AuthResult:
        """PLAIN."""
        if not isinstance(data, LoginPassword):
            return AuthResult(success=False, handled=False)
        user, password = data.login.decode(), data.password.decode()
        mailbox = self._rules.signed_in(_certified(session), user, password)
        return AuthResult(success=bool(mailbox), handled=False, auth_data=mailbox)

    async def handle_MAIL(
        self, _server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """The envelope sender is the mailbox that signed in, or empty (RFC 8098 §3)."""
        await asyncio.sleep(self._rules.faults.delay_s)
        mailbox = session.auth_data or _certified(session)
        if not mailbox:
            return "530 5.7.0 Authentication required"
        if address == "<>" and self._rules.faults.refuse_null_sender:
            return "501 5.1.7 Null sender refused"
        if address not in {"<>", ""} and address.lower() != mailbox:
            return "553 5.7.1 Not your address"
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 Ok"

    async def handle_RCPT(
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Only inside the trust space; nobody is told which mailboxes exist."""
        faults = self._rules.faults
        await asyncio.sleep(faults.delay_s)
        if faults.use("smtp_temporary") or _among(address, faults.smtp_later):
            return "451 4.7.1 Try again later"
        if not self._rules.admits(address):
            return "550 5.7.1 Domain not in the trust space"
        if _among(address, faults.smtp_refused):
            return "550 5.1.1 Mailbox refused"
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 2.1.5 Ok"

    async def handle_DATA(self, server: "Submission", session: Session, envelope: Envelope) -> str:
        """Deliver with the trace headers of a final MTA (RFC 5321 §4.4)."""
        faults = self._rules.faults
        await asyncio.sleep(faults.delay_s)
        content = envelope.original_content or b""
        sender = (envelope.mail_from or "").strip("<>")
        for recipient in envelope.rcpt_tos:
            self._deliver(sender, recipient, content, session)
        if faults.use("drop_after_delivery"):
            server.cut()
            await asyncio.Event().wait()  # ended by the loss of the connection
        return "250 2.0.0 Ok: delivered"

    def _deliver(self, sender: str, recipient: str, content: bytes, session: Session) -> None:
        if not _among(recipient, self._rules.faults.full_mailboxes):
            trace = self._trace(sender, recipient, session)
            self._rules.store.deliver(recipient, trace + content)
        elif sender:  # a bounce never bounces (RFC 5321 §6.1)
            report = delivery_report(sender, recipient, content, next(self._numbers))
            self._loop.call_later(_DSN_AFTER_S, self._rules.store.deliver, sender, report)

    def _trace(self, sender: str, recipient: str, session: Session) -> bytes:
        when = format_datetime(self._rules.store.time())
        return (
            f"Return-Path: <{sender}>\r\n"
            f"Received: from {session.host_name} by {_NAME} with ESMTPS\r\n"
            f" id {next(self._numbers):06d} for <{recipient}>; {when}\r\n"
        ).encode("ascii", "replace")


class Submission(SMTP):
    """One SMTP connection; STARTTLS that tells the client why it failed."""

    # aiosmtpd stops reading at each 2 lines of this length: 1001 makes big mails slow, and real
    # relays accept longer lines too.
    line_length_limit = 1 << 16

    def cut(self) -> None:
        """Drop the connection without a word."""
        if isinstance(self.transport, asyncio.WriteTransport):
            self.transport.abort()

    async def smtp_STARTTLS(self, _arg: str | None) -> None:
        """As in aiosmtpd, with a TLS layer that sends its alert before it closes."""
        if self.transport is None or self.tls_context is None or self._tls_protocol:
            await self.push("503 5.5.1 Not now")
            return
        await self.push("220 2.0.0 Ready to start TLS")
        done = self.loop.create_future()
        layer = _AlertingTls(self.loop, self, self.tls_context, done, server_side=True)
        plain = self.transport
        self._original_transport = plain
        self._tls_protocol = layer
        plain.set_protocol(layer)
        self.transport = layer._app_transport
        layer.connection_made(plain)
        try:
            await done
        except OSError as error:
            raise TLSSetupException from error


class _AlertingTls(sslproto.SSLProtocol):
    """asyncio drops the alert of a failed handshake: the client would see a bare close."""

    def _on_handshake_complete(self, handshake_exc: BaseException | None) -> None:
        if handshake_exc is not None:
            self._process_outgoing()  # type: ignore[attr-defined]  # asyncio private
        super()._on_handshake_complete(handshake_exc)


def submission(
    rules: OperatorRules, loop: asyncio.AbstractEventLoop, opened: MutableSet[Submission]
) -> Callable[[], Submission]:
    """The protocol factory; each connection is added to `opened`."""
    policy = SubmissionPolicy(rules, loop)

    def connect() -> Submission:
        connection = Submission(
            policy,
            hostname=_NAME,
            ident="ESMTP",
            data_size_limit=rules.options.size_limit,
            tls_context=rules.tls,
            require_starttls=True,
            authenticator=policy.authenticate,
            auth_exclude_mechanism=["LOGIN"],
            loop=loop,
        )
        opened.add(connection)
        return connection

    return connect


def delivery_report(sender: str, recipient: str, content: bytes, number: int) -> bytes:
    """A DSN for a full mailbox (RFC 3464), the whole mail inside, null return path."""
    boundary = f"=_report_{number:06d}"
    part = f"--{boundary}\r\nContent-Type: "
    lines = (
        "Return-Path: <>\r\n"
        f"From: Mail Delivery System <MAILER-DAEMON@{_NAME}>\r\n"
        f"To: {sender}\r\n"
        "Subject: Undelivered Mail Returned to Sender\r\n"
        f"Message-ID: <report.{number:06d}@{_NAME}>\r\n"
        "Auto-Submitted: auto-replied\r\n"
        "MIME-Version: 1.0\r\n"
        "Content-Type: multipart/report; report-type=delivery-status;\r\n"
        f' boundary="{boundary}"\r\n'
        "\r\n"
        f"{part}text/plain; charset=us-ascii\r\n\r\nThe mailbox is full.\r\n"
        f"{part}message/delivery-status\r\n\r\n"
        f"Reporting-MTA: dns; {_NAME}\r\n"
        "\r\n"
        f"Final-Recipient: rfc822; {recipient}\r\n"
        "Action: failed\r\n"
        "Status: 5.2.2\r\n"
        "Diagnostic-Code: smtp; 552 5.2.2 Mailbox full\r\n"
        f"{part}message/rfc822\r\n\r\n"
    )
    return lines.encode("ascii", "replace") + content + f"\r\n--{boundary}--\r\n".encode("ascii")


def _certified(session: Session | None) -> str:
    layer = session.ssl if session else None
    return certified_mailbox(layer.get("peercert")) if layer else ""


def _among(address: str, others: set[str]) -> bool:
    return address.lower() in {other.lower() for other in others}
