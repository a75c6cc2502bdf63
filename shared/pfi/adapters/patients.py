"""The patient base on DynamoDB: one read per match, keys are digests.

Per identity one row ``IPP#<digest>`` and pointer rows that repeat the record, so that a look-up is
a single query: ``INS#<digest of OID and matricule>`` for the current INS and each former one,
``TRAITS#<digest>`` for the reviewer's twins. The identity's own row also keeps what was said of it
and when. ``HEARD#<digest>`` remembers a message, ``FED#<digest>`` when a feed was last alive.
Digests are scoped by establishment and spread over all partitions.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import TypeAdapter

from pfi.errors import Unavailable, Unreadable
from pfi.ins.concordance import inactive
from pfi.ins.feeding import Kept
from pfi.ins.identity import PatientRecord, Traits
from pfi.ins.keys import fed_key, heard_key, ins_key, ipp_key, pointers, traits_key
from pfi.ins.statements import Identity, loaded
from pfi.journey.patient_base import Filed, Reading, Revision
from pfi.names import Reason

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_RECORD: Final = TypeAdapter(PatientRecord)
_IDENTITY: Final = TypeAdapter(Identity)
_TRIES: Final = 5
"""Against other writers of the same record."""
_TRANSACTION: Final = 100
_BATCH: Final = 100
HEARD_DAYS: Final = 30
Request = dict[str, Any]


@dataclass(frozen=True, slots=True)
class DynamoLookup:
    """The `Patients` port: it reads a table with string keys ``pk`` and ``sk``, and only that."""

    client: "DynamoDBClient"
    table: str

    def find(self, establishment: str, matricule: str, oid: str) -> tuple[PatientRecord, ...]:
        """Records whose current or former INS this is."""
        return self._query(ins_key(establishment, matricule, oid))

    def twins(self, establishment: str, traits: Traits) -> tuple[PatientRecord, ...]:
        """Active records equal on the five strict traits, separators equivalent."""
        found = self._query(traits_key(establishment, traits))
        return tuple(record for record in found if not inactive(record))

    def get(self, establishment: str, ipp: str) -> PatientRecord | None:
        """One record by its IPP."""
        found = self._query(ipp_key(establishment, ipp))
        return found[0] if found else None

    def fed_at(self, establishment: str) -> datetime | None:
        """When the feed of an establishment was last alive; None when it never was."""
        rows = self._items(fed_key(establishment))
        return datetime.fromisoformat(rows[0]["fed_at"]["S"]) if rows else None

    def every(self, establishment: str) -> Iterator[Filed]:
        """All identities of an establishment, page by page, in no order. Keys are digests: that of
        another establishment is another one."""
        for item in self._scanned():
            filed = _filed(item)
            if item["pk"]["S"] == ipp_key(establishment, filed.kept.record.ipp):
                yield filed

    def _scanned(self) -> Iterator[Request]:
        try:
            pages = self.client.get_paginator("scan").paginate(
                TableName=self.table,
                FilterExpression="begins_with(pk, :own)",
                ExpressionAttributeValues={":own": {"S": "IPP#"}},
                ConsistentRead=True,
            )
            for page in pages:
                yield from page["Items"]
        except (ClientError, BotoCoreError):
            raise Unavailable(Reason.STORE_UNAVAILABLE) from None

    def _query(self, pk: str) -> tuple[PatientRecord, ...]:
        records = [_RECORD.validate_json(item["record"]["S"]) for item in self._items(pk)]
        return tuple(sorted(records, key=lambda record: record.ipp))

    def _items(self, pk: str) -> list[Request]:
        try:
            pages = self.client.get_paginator("query").paginate(
                TableName=self.table,
                KeyConditionExpression="pk = :pk",
                ExpressionAttributeValues={":pk": {"S": pk}},
                ConsistentRead=True,
            )
            return [item for page in pages for item in page["Items"]]
        except (ClientError, BotoCoreError):
            raise Unavailable(Reason.STORE_UNAVAILABLE) from None


@dataclass(frozen=True, slots=True)
class DynamoPatients(DynamoLookup):
    """The same table, written: by the feed and by loading. The record is JSON in ``record``."""

    # for the feed

    def read(self, establishment: str, ipps: Iterable[str], message: str = "") -> Reading:
        """The identities among these, and the traces of a message, in one read."""
        traces = [heard_key(establishment, message), fed_key(establishment)] if message else []
        keys = iter([*traces, *sorted({ipp_key(establishment, ipp) for ipp in ipps})])
        found: dict[str, Request] = {}
        while some := list(islice(keys, _BATCH)):
            found |= {item["pk"]["S"]: item for item in self._batch(some)}
        heard, fed = ([found.pop(key, None) for key in traces]) if traces else (None, None)
        filed = map(_filed, found.values())
        return Reading(
            {each.kept.record.ipp: each for each in filed},
            heard is not None,
            datetime.fromisoformat(fed["fed_at"]["S"]) if fed else None,
        )

    def write(
        self, establishment: str, changes: Sequence[Revision], message: str, now: datetime
    ) -> bool:
        """Identities with their pointers, and the message (if any) as heard, in one transaction.

        A family too large for one is written in several, the message last: what is left is written
        when the message comes again, and meanwhile a match walks the chain. What the table can
        never take is Unreadable.
        """
        groups = [self._rows(establishment, each) for each in changes]
        if message:
            groups.append([{"Put": self._heard_row(heard_key(establishment, message), now)}])
        if any(len(group) > _TRANSACTION for group in groups):
            raise Unreadable(Reason.FEED_UNREADABLE)
        return all(self._transact(requests) for requests in _transactions(groups))

    def note_fed(self, establishment: str, now: datetime) -> None:
        """Remember that the feed is alive."""
        key = fed_key(establishment)
        self._transact([{"Put": self._put(_item(key, key) | {"fed_at": {"S": now.isoformat()}})}])

    # for loading

    def put(self, establishment: str, records: Iterable[PatientRecord]) -> int:
        """Create or replace records with their pointers; stale pointers are removed. What a feed
        said before is forgotten: every later event overrules what was loaded."""
        count = 0
        for record in records:
            self._replace(establishment, record)
            count += 1
        return count

    def _replace(self, establishment: str, record: PatientRecord) -> None:
        for _ in range(_TRIES):
            if self._replaced(establishment, record):
                return
        raise Unavailable(Reason.STORE_UNAVAILABLE)

    def _replaced(self, establishment: str, record: PatientRecord) -> bool:
        """Only if nobody changed the record since it was read: of two writers at once the slower
        would leave a pointer to a state that is no more."""
        before = self.read(establishment, [record.ipp]).identities.get(record.ipp)
        identity = loaded(record)
        if before:
            identity = identity.absorbing(before.kept.identity.absorbed)
        change = Revision(Kept(identity, record), before)
        return self._transact(self._rows(establishment, change))

    # rows

    def _rows(self, establishment: str, change: Revision) -> list[Request]:
        """The writes of one identity; its own row carries the condition."""
        record, old = change.kept.record, change.before.kept.record if change.before else None
        sort = ipp_key(establishment, record.ipp)
        keys = pointers(establishment, record) - {sort}
        stale = (pointers(establishment, old) if old else frozenset()) - keys - {sort}
        body = {"record": {"S": _RECORD.dump_json(record).decode()}}
        renewed = frozenset() if old == record else keys
        return [
            {"Put": self._own_row(sort, body, change)},
            *({"Put": self._put(_item(key, sort) | body)} for key in sorted(renewed)),
            *({"Delete": self._keyed(_item(key, sort))} for key in sorted(stale)),
        ]

    def _own_row(self, sort: str, body: Request, change: Revision) -> Request:
        known = change.before.revision if change.before else 0
        said = {"said": {"S": _IDENTITY.dump_json(change.kept.identity).decode()}}
        put = self._put(_item(sort, sort) | body | said | {"revision": {"N": str(known + 1)}})
        if not known:
            return put | {"ConditionExpression": "attribute_not_exists(pk)"}
        return put | {
            "ConditionExpression": "revision = :known",
            "ExpressionAttributeValues": {":known": {"N": str(known)}},
        }

    def _heard_row(self, key: str, now: datetime) -> Request:
        until = int((now + timedelta(days=HEARD_DAYS)).timestamp())
        put = self._put(_item(key, key) | {"expires_at": {"N": str(until)}})
        return put | {"ConditionExpression": "attribute_not_exists(pk)"}

    def _put(self, item: Request) -> Request:
        return {"TableName": self.table, "Item": item}

    def _keyed(self, key: Request) -> Request:
        return {"TableName": self.table, "Key": key}

    # calls

    def _transact(self, requests: list[Request]) -> bool:
        try:
            self.client.transact_write_items(TransactItems=requests)  # type: ignore[arg-type]  # built as dict
        except ClientError as error:
            if _never(error):
                raise Unreadable(Reason.FEED_UNREADABLE) from None
            if error.response["Error"]["Code"] == "TransactionCanceledException":
                return False
            raise Unavailable(Reason.STORE_UNAVAILABLE) from None
        except BotoCoreError:
            raise Unavailable(Reason.STORE_UNAVAILABLE) from None
        return True

    def _batch(self, keys: list[str]) -> Iterator[Request]:
        """Items of several keys; a store too busy to give them all does not answer."""
        asked: Any = {self.table: {"Keys": [_item(k, k) for k in keys], "ConsistentRead": True}}
        for _ in range(_TRIES):
            try:
                answer = self.client.batch_get_item(RequestItems=asked)
            except (ClientError, BotoCoreError):
                raise Unavailable(Reason.STORE_UNAVAILABLE) from None
            yield from answer["Responses"].get(self.table, [])
            asked = answer.get("UnprocessedKeys")
            if not asked:
                return
        raise Unavailable(Reason.STORE_UNAVAILABLE)


def _never(error: ClientError) -> bool:
    """True when the table will never take it (an identity of more than 400 kB): the same message
    sent again would stop the feed for good."""
    response: Mapping[str, Any] = error.response
    reasons = [each.get("Code") for each in response.get("CancellationReasons", ())]
    return response["Error"]["Code"] == "ValidationException" or "ValidationError" in reasons


def _transactions(groups: Sequence[list[Request]]) -> Iterator[list[Request]]:
    """As few transactions as hold the groups, none of them cut."""
    some: list[Request] = []
    for group in groups:
        if some and len(some) + len(group) > _TRANSACTION:
            yield some
            some = []
        some = [*some, *group]
    yield some


def _filed(item: Mapping[str, Any]) -> Filed:
    """A row; one without a history was loaded before there was a feed."""
    record = _RECORD.validate_json(item["record"]["S"])
    said = item.get("said")
    identity = _IDENTITY.validate_json(said["S"]) if said else loaded(record)
    return Filed(Kept(identity, record), int(item["revision"]["N"]))


def _item(pk: str, sk: str) -> Request:
    return {"pk": {"S": pk}, "sk": {"S": sk}}
