"""Open IMAP, SMTP and MLLP as the functions would, with the certificate in force and the next one.

Nothing is read, sent or moved. Run it from where the peers accept connections: a machine of the
hospital, or one behind the same fixed addresses.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ssl import SSLContext
from typing import Any

from infra.operations.account import OperationRefused, Stack
from infra.operations.secrets import Candidate, Texts, book_of, texts_of
from pfi.adapters.imap import ImapMailbox
from pfi.adapters.mail_access import MailAccess
from pfi.adapters.mllp import MllpDpi
from pfi.adapters.smtp import SmtpRelay
from pfi.edge.certificates import Held
from pfi.edge.wiring import mail_access, tls_context
from pfi.errors import PfiError
from pfi.journey.settings import DpiSettings, MailboxSettings, Settings
from pfi.names import Reason


@dataclass(frozen=True, slots=True)
class Trial:
    """One connection tried: `fault` None when the peer accepted us."""

    protocol: str
    peer: str
    certificate: str
    fault: Reason | None

    @property
    def passed(self) -> bool:
        """True when the peer accepted us."""
        return self.fault is None


def rehearse(
    stack: Stack, settings: Settings, each: Held, brought: Candidate | None = None
) -> Iterator[Trial]:
    """Every connection that the certificate opens, with the texts in force or the candidate's."""
    texts = texts_of(stack, each)
    which = "actuel" if brought is None else "suivant"
    trial = _Trial(which, texts if brought is None else brought.over(texts))
    if each.peer == "dpi":
        target = settings.dpi(each.path[0])
        if target is not None:
            yield trial.dpi(target)
        return
    secret = _with_credentials(book_of(stack).read("mssante")[0], brought)
    concerned = list(_mailboxes(each, settings, secret))
    if brought is not None and not concerned:
        raise OperationRefused("chaque boîte a son propre certificat : --for mssante-BOÎTE")
    for mailbox in concerned:
        yield from trial.mailbox(mailbox, settings, secret)


def _with_credentials(secret: dict[str, Any], brought: Candidate | None) -> dict[str, Any]:
    more = brought.values if brought else {}
    return {**secret, **{name: more[name] for name in ("passwords", "tokens") if name in more}}


def _mailboxes(each: Held, settings: Settings, secret: dict[str, Any]) -> Iterator[MailboxSettings]:
    """The mailboxes that this certificate opens: its own, or all that have none of their own."""
    own = secret.get("certificates", {})
    for mailbox in settings.mailboxes:
        mine = each.path == ("certificates", mailbox.id)
        if mine or (not each.path and mailbox.id not in own):
            yield mailbox


@dataclass(frozen=True, slots=True)
class _Trial:
    which: str
    texts: Texts

    def dpi(self, target: DpiSettings) -> Trial:
        """MLLP: connect and secure."""
        revocation = "crl" if self.texts.get("crl") else "off"

        def connect(context: SSLContext) -> None:
            MllpDpi(
                target.host, target.port, target.connect_timeout_s, ssl_context=context
            ).rehearse()

        return self._tried(
            "MLLP", f"{target.id} ({target.host}:{target.port})", revocation, connect
        )

    def mailbox(
        self, mailbox: MailboxSettings, settings: Settings, secret: dict[str, Any]
    ) -> Iterator[Trial]:
        """IMAP: authenticate and select; SMTP: authenticate."""
        operator = settings.operator

        def access(host: str, port: int) -> MailAccess:
            return mail_access(mailbox, operator, secret, (host, port))

        def imap(context: SSLContext) -> None:
            ImapMailbox.open(access(operator.imap_host, operator.imap_port), context).close()

        def smtp(context: SSLContext) -> None:
            domain = mailbox.address.rpartition("@")[2]
            SmtpRelay(access(operator.smtp_host, operator.smtp_port), context, domain).rehearse()

        for protocol, connect in (("IMAP", imap), ("SMTP", smtp)):
            yield self._tried(protocol, mailbox.id, operator.revocation, connect)

    def _tried(
        self, protocol: str, peer: str, revocation: str, connect: Callable[[SSLContext], None]
    ) -> Trial:
        try:
            connect(tls_context(self.texts, revocation))
        except PfiError as fault:
            return Trial(protocol, peer, self.which, fault.reason)
        return Trial(protocol, peer, self.which, None)
