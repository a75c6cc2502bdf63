"""A test mail with a test INS through the whole chain of an installation of the test environment.

The mailbox writes to itself through the operator: SMTP, IMAP, collect, parse, match, push, forward.
From a machine that the operator does not let in, the mail starts as every arrival does, as an
object in the store. In production neither is ever sent.
"""

import hashlib
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Final, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from infra.local.invented.archives import document, xdm_zip
from infra.local.invented.mails import mail
from infra.local.invented.people import LEA, Patient
from infra.operations.account import OperationRefused, Stack
from infra.operations.secrets import book_of, certificates_of, texts_of
from pfi.adapters.dynamodb import DynamoTable
from pfi.adapters.mail_access import MailAccess
from pfi.adapters.patients import DynamoPatients
from pfi.adapters.s3 import S3Store
from pfi.adapters.smtp import SmtpRelay
from pfi.edge.wiring import tls_context
from pfi.errors import PfiError, Unavailable
from pfi.ins.keys import ipp_key, pointers
from pfi.journey.keys import INCOMING
from pfi.journey.ledger import Ledger
from pfi.journey.records import MailRecord, MailState
from pfi.journey.settings import MailboxSettings, Settings
from pfi.mail.compose import Outgoing
from pfi.names import Environment, Route

T = TypeVar("T")

PATIENCE_S: Final = 180.0
_PAUSE_S: Final = 0.5
VISITOR: Final = replace(
    LEA, ipp="PFI-ESSAI", body="2990199999042", birth_name="ESSAI-PFI", first_given="CONTROLE",
    given_list="CONTROLE", used_name="", birth_date="19990101", birth_place="99999",
)  # fmt: skip
"""Nobody: a test INS (OID of the test space) with a birthplace that does not exist."""


@dataclass(frozen=True, slots=True)
class Result:
    """One test mail: where it ended, and whether that proves the way it went."""

    mailbox: str
    way: str
    passed: bool
    sentence: str


@dataclass(frozen=True, slots=True)
class Smoke:
    """The test of one installation."""

    stack: Stack
    settings: Settings
    patience_s: float = PATIENCE_S

    def run(self) -> Iterator[Result]:
        """Every mailbox in turn."""
        if self.settings.environment is not Environment.TEST:
            raise OperationRefused("pas de courriel d'essai en production")
        for mailbox in self.settings.mailboxes:
            with known(self.stack, mailbox.establishment, VISITOR):
                yield self._one(mailbox)

    def _one(self, mailbox: MailboxSettings) -> Result:
        number = uuid.uuid4()
        raw = letter(mailbox, number)
        try:
            self._submit(mailbox, raw)
        except Unavailable:
            way = "opérateur injoignable d'ici, déposé dans le stockage"
            digest: str | None = hashlib.sha256(raw).hexdigest()
            self._store().put_mail(mailbox.id, str(digest), raw)
        except PfiError as fault:
            return Result(mailbox.id, "SMTP", False, f"l'opérateur refuse ({fault.reason.value})")
        else:
            way = "par l'opérateur"
            digest = self._until(lambda: self._arrived(mailbox, str(number)), poll=True)
        if digest is None:
            return Result(mailbox.id, way, False, "courriel envoyé, jamais relevé")
        passed, sentence = self._judged(self._ended(digest))
        return Result(mailbox.id, way, passed, sentence)

    def _submit(self, mailbox: MailboxSettings, raw: bytes) -> None:
        operator = self.settings.operator
        known = {each.id: each for each in certificates_of(self.stack, self.settings)}
        own = known.get(f"mssante-{mailbox.id}") or known["mssante"]
        secret = book_of(self.stack).read("mssante")[0]
        access = MailAccess(
            host=operator.smtp_host,
            port=operator.smtp_port,
            user=mailbox.address,
            tls=operator.tls,
            auth=operator.auth,
            password=secret.get("passwords", {}).get(mailbox.id, ""),
            token=secret.get("tokens", {}).get(mailbox.id, ""),
            timeout_s=operator.timeout_s,
        )
        context = tls_context(texts_of(self.stack, own), operator.revocation)
        relay = SmtpRelay(access, context, mailbox.address.rpartition("@")[2])
        relay.send(Outgoing("", mailbox.address, mailbox.address, raw))

    def _arrived(self, mailbox: MailboxSettings, number: str) -> str | None:
        """Digest of the mail with this number in its Message-ID; the operator added headers."""
        s3, bucket = self.stack.client("s3"), self.stack.output("BucketName")
        since = datetime.now(UTC).timestamp() - 2 * self.patience_s
        pages = s3.get_paginator("list_objects_v2").paginate(
            Bucket=bucket, Prefix=f"{INCOMING}{mailbox.id}/"
        )
        for page in pages:
            for each in page.get("Contents", ()):
                if each["LastModified"].timestamp() < since or each["Size"] > 100_000:
                    continue
                if number.encode() in self._store().get(each["Key"]):
                    return str(each["Key"]).rpartition("/")[2].removesuffix(".eml")
        return None

    def _judged(self, record: MailRecord | None) -> tuple[bool, str]:
        """A DPI that answers 902 has been reached all the same: our patient is nobody's."""
        if record is None or not record.route:
            return False, _where(record)
        if record.route is Route.INTEGRATED:
            return True, "document intégré, acquitté par le DPI"
        for each in self._ledger().documents(record.mail):
            code = each.record.code
            if each.record.ack == "AE" and code and code.startswith("90"):
                told = (
                    "transmis au repli" if record.route is Route.FORWARDED else record.route.value
                )
                return True, f"le DPI a répondu {code} au patient d'essai, courriel {told}"
        return False, _where(record)

    # waiting

    def _ended(self, digest: str) -> MailRecord | None:
        def ended() -> MailRecord | None:
            known = self._ledger().mail(digest)
            over = known and (known.record.state is MailState.SETTLED or known.record.review)
            return known.record if known and over else None

        return self._until(ended)

    def _until(self, ask: Callable[[], T | None], *, poll: bool = False) -> T | None:
        deadline = time.monotonic() + self.patience_s
        while (found := ask()) is None and time.monotonic() < deadline:
            if poll:
                self._collect()
            time.sleep(_PAUSE_S)
        return found

    def _collect(self) -> None:
        """Now instead of at the next minute; refused when one runs already, which is as good."""
        with suppress(BotoCoreError, ClientError):
            self.stack.client("lambda").invoke(
                FunctionName=self.stack.output("FunctionCollect"), Payload=b"{}"
            )

    def _store(self) -> S3Store:
        return S3Store(self.stack.client("s3"), self.stack.output("BucketName"))

    def _ledger(self) -> Ledger:
        table = DynamoTable(self.stack.client("dynamodb"), self.stack.output("LedgerTable"))
        return Ledger(table, lambda: datetime.now(UTC))


@contextmanager
def known(stack: Stack, establishment: str, person: Patient) -> Iterator[None]:
    """The patient of the test exists while the test runs, and not afterwards."""
    base = DynamoPatients(stack.client("dynamodb"), stack.output("PatientsTable"))
    record = person.record
    if base.find(establishment, record.matricule, record.oid):
        yield
        return
    base.put(establishment, [record])
    try:
        yield
    finally:
        sort = {"S": ipp_key(establishment, record.ipp)}
        for key in pointers(establishment, record):
            stack.client("dynamodb").delete_item(
                TableName=base.table, Key={"pk": {"S": key}, "sk": sort}
            )


def letter(mailbox: MailboxSettings, number: uuid.UUID) -> bytes:
    """A new document in a new mail of the mailbox to itself: neither is ever a duplicate."""
    entry = document(VISITOR, document_id=f"2.25.{number.int}.1.1", set_id=f"2.25.{number.int}.1")
    return mail(
        xdm_zip([entry]), sender=mailbox.address, recipient=mailbox.address, return_path=None,
        reply_to="", mdn=False, message_id=f"<{number}@{mailbox.address.rpartition('@')[2]}>",
        date=format_datetime(datetime.now(UTC)),
        subject="XDM/1.0/DDM+Controle apres installation ESSAI-PFI CONTROLE",
        text="Courriel d'essai de la PFI : patient fictif, INS de test.\n",
    )  # fmt: skip


def _where(record: MailRecord | None) -> str:
    if record is None:
        return "aucune issue dans le temps imparti"
    return f"issue {record.route.value if record.route else '?'}, motif {record.reason or '-'}"
