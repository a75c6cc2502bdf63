"""What the mailboxes at the operator hold, read-only: for `pfi prove --mailboxes`.

Each mail of the processed folder is downloaded, for only its bytes say which it is; run it from
where the operator accepts connections.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from infra.operations.account import Stack
from infra.operations.configuration import installed_settings
from infra.operations.journal import utc_now
from infra.operations.secrets import book_of
from pfi.adapters.dynamodb import DynamoTable
from pfi.adapters.imap import ImapReader
from pfi.adapters.s3 import TRUST, S3Reader
from pfi.edge.wiring import mail_access, tls_context
from pfi.errors import Unavailable
from pfi.journey.accounts import Folder
from pfi.journey.ledger import Ledger
from pfi.journey.ports import MailGone
from pfi.journey.settings import MailboxSettings, OperatorSettings, Settings

_TRIES: Final = 3


def folders_of(stack: Stack, grace: timedelta) -> tuple[Folder, ...]:
    """Every mailbox in turn; one that does not open ends the command, for nothing is proven."""
    settings = installed_settings(stack)
    look = _Look(stack, settings, grace)
    return tuple(look.patiently(each) for each in settings.mailboxes)


def reader_of(stack: Stack, settings: Settings, mailbox: MailboxSettings) -> ImapReader:
    """A session that only reads, with the certificate and the passwords of the installation."""
    secret = book_of(stack).read("mssante")[0]
    texts = {**secret, **secret.get("certificates", {}).get(mailbox.id, {})}
    crl = str(texts.get("crl", ""))
    if crl.startswith(TRUST):
        store = S3Reader(stack.client("s3"), stack.output("BucketName"))
        crl = store.get(crl).decode("ascii", "replace")
    return reader_with({**texts, "crl": crl}, settings.operator, mailbox)


def reader_with(
    texts: Mapping[str, Any], operator: OperatorSettings, mailbox: MailboxSettings
) -> ImapReader:
    """The same with PEM texts, passwords and tokens in the form of the secret."""
    peer = (operator.imap_host, operator.imap_port)
    context = tls_context(texts, operator.revocation)
    return ImapReader.open(mail_access(mailbox, operator, texts, peer), context)


@dataclass(frozen=True, slots=True)
class _Look:
    stack: Stack
    settings: Settings
    grace: timedelta

    def patiently(self, mailbox: MailboxSettings) -> Folder:
        """A long reading may break off once; the last try says why."""
        for _ in range(_TRIES - 1):
            with suppress(Unavailable):
                return self.mailbox(mailbox)
        return self.mailbox(mailbox)

    def mailbox(self, mailbox: MailboxSettings) -> Folder:
        """INBOX against the places of the ledger, the processed folder by its bytes."""
        session = reader_of(self.stack, self.settings, mailbox)
        try:
            overdue = self._overdue(mailbox, session)
            processed = Counter(self._processed(session))
        finally:
            session.close()
        return Folder(mailbox.id, processed, overdue)

    def _overdue(self, mailbox: MailboxSettings, session: ImapReader) -> int:
        """Mails of INBOX, when no poll has been complete for longer than the grace."""
        table = DynamoTable(self.stack.client("dynamodb"), self.stack.output("LedgerTable"))
        age = Ledger(table, utc_now).poll_age(mailbox.id)
        return len(session.listing()) if age > self.grace.total_seconds() else 0

    def _processed(self, session: ImapReader) -> Iterator[str]:
        if not session.examine(self.settings.operator.processed_folder):
            return
        for uid, size in session.listing():
            with suppress(MailGone):
                yield hashlib.sha256(session.fetch(uid, size)).hexdigest()
