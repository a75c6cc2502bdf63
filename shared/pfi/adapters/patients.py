"""The patient base on DynamoDB: one read per match, keys are digests.

Per identity one row ``IPP#<digest>`` and pointer rows that repeat the record, so that a look-up is
a single query: ``INS#<digest of OID and matricule>`` for the current INS and each former one,
``TRAITS#<digest>`` for the reviewer's twins. Digests are scoped by establishment.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import TypeAdapter

from pfi.errors import Unavailable
from pfi.ins.concordance import inactive
from pfi.ins.identity import PatientRecord, Traits
from pfi.ins.keys import ins_key, ipp_key, pointers, traits_key
from pfi.names import Reason

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_RECORD: Final = TypeAdapter(PatientRecord)
_TRIES: Final = 5
"""Against other writers of the same record."""


@dataclass(frozen=True, slots=True)
class DynamoPatients:
    """One table with string keys ``pk`` and ``sk``; the record is JSON in ``record``."""

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

    def put(self, establishment: str, records: Iterable[PatientRecord]) -> int:
        """Create or replace records with their pointers; stale pointers are removed."""
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
        """One transaction, only if nobody changed the record since it was read: of two writers at
        once the slower would leave a pointer to a state that is no more."""
        old, revision = self._versioned(establishment, record.ipp)
        sort = ipp_key(establishment, record.ipp)
        keys = pointers(establishment, record)
        stale = pointers(establishment, old) - keys if old else frozenset()
        body = _RECORD.dump_json(record).decode()
        requests: list[dict[str, Any]] = [
            {"Put": {"TableName": self.table, "Item": _item(key, sort, body)}}
            for key in keys - {sort}
        ]
        requests.append({"Put": self._own_row(sort, body, revision)})
        requests += [
            {"Delete": {"TableName": self.table, "Key": _item(key, sort)}} for key in stale
        ]
        try:
            self.client.transact_write_items(TransactItems=requests)  # type: ignore[arg-type]  # built as dict
        except ClientError as error:
            if error.response["Error"]["Code"] == "TransactionCanceledException":
                return False
            raise Unavailable(Reason.STORE_UNAVAILABLE) from None
        except BotoCoreError:
            raise Unavailable(Reason.STORE_UNAVAILABLE) from None
        return True

    def _own_row(self, sort: str, body: str, revision: int) -> dict[str, Any]:
        item = _item(sort, sort, body) | {"revision": {"N": str(revision + 1)}}
        if not revision:
            condition: dict[str, Any] = {"ConditionExpression": "attribute_not_exists(pk)"}
        else:
            condition = {
                "ConditionExpression": "revision = :known",
                "ExpressionAttributeValues": {":known": {"N": str(revision)}},
            }
        return {"TableName": self.table, "Item": item, **condition}

    def _versioned(self, establishment: str, ipp: str) -> tuple[PatientRecord | None, int]:
        key = ipp_key(establishment, ipp)
        items = self._items(key)
        if not items:
            return None, 0
        record = _RECORD.validate_json(items[0]["record"]["S"])
        return record, int(items[0]["revision"]["N"])

    def _query(self, pk: str) -> tuple[PatientRecord, ...]:
        records = [_RECORD.validate_json(item["record"]["S"]) for item in self._items(pk)]
        return tuple(sorted(records, key=lambda record: record.ipp))

    def _items(self, pk: str) -> list[dict[str, Any]]:
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


def _item(pk: str, sk: str, body: str | None = None) -> dict[str, Any]:
    item: dict[str, Any] = {"pk": {"S": pk}, "sk": {"S": sk}}
    if body is not None:
        item["record"] = {"S": body}
    return item
