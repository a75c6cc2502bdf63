"""Which mails a person means by a Message-ID or by the identifier of a document.

No row was made for it: a settled mail stands in the index of the ledger under the digest of its
Message-ID, one under way among the others, and each chain of versions names its mails.
"""

from collections.abc import Iterator

from infra.operations.account import OperationRefused, Stack
from infra.operations.reviews import Desk
from pfi.adapters.dynamodb import DynamoTable
from pfi.journey.keys import chain_key, message_digest
from pfi.journey.ledger import mail_of_row, mails_under_way, message_index


def by_message_id(stack: Stack, desk: Desk, word: str) -> tuple[str, ...]:
    """The mails with this Message-ID, or the one for which we sent it; oldest first."""
    table = DynamoTable(stack.client("dynamodb"), stack.output("LedgerTable"))
    found = [*_received(table, message_digest(word)), *_sent(desk, word)]
    if not found:
        raise OperationRefused("le registre ne connaît pas ce Message-ID")
    return tuple(dict.fromkeys(found))


def _received(table: DynamoTable, message: str) -> Iterator[str]:
    for row in table.indexed(message_index(message)):
        yield mail_of_row(row).mail
    yield from (each.mail for each in mails_under_way(table) if each.message == message)


def _sent(desk: Desk, word: str) -> Iterator[str]:
    bare = word.strip().removeprefix("<").removesuffix(">")
    mail = desk.ledger.sent_by_us(f"<{bare}>")
    if mail is not None:
        yield mail


def by_document(desk: Desk, word: str) -> tuple[str, ...]:
    """The mails that carry a document of this identifier, for whichever DPI, oldest first."""
    dpis = {mailbox.dpi: mailbox for mailbox in desk.settings.mailboxes}
    chains = [desk.ledger.chain(chain_key(mailbox, word)).record for mailbox in dpis.values()]
    links = sorted((link for chain in chains for link in chain.links), key=lambda each: each.order)
    if not links:
        raise OperationRefused("le registre ne connaît ni courriel ni document de ce nom")
    return tuple(dict.fromkeys(link.mail for link in links))
