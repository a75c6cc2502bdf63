"""The ledger table on DynamoDB: rows with revisions, compare-and-set, strongly consistent."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.exceptions import BotoCoreError, ClientError

from pfi.errors import Unavailable
from pfi.journey.ports import Change, Put, Row
from pfi.names import Reason

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_TO: Final = TypeSerializer().serialize
_FROM: Final = TypeDeserializer().deserialize
_CONDITION_FAILED: Final = frozenset(
    {"ConditionalCheckFailedException", "TransactionCanceledException"}
)


@dataclass(frozen=True, slots=True)
class DynamoTable:
    """One table with string keys ``pk`` and ``sk``, TTL on ``expires_at``."""

    client: "DynamoDBClient"
    name: str

    def get(self, pk: str, sk: str) -> Row | None:
        """The row, None when absent."""
        try:
            answer = self.client.get_item(
                TableName=self.name, Key={"pk": {"S": pk}, "sk": {"S": sk}}, ConsistentRead=True
            )
        except (ClientError, BotoCoreError):
            raise Unavailable(Reason.STORE_UNAVAILABLE) from None
        item = answer.get("Item")
        return row_of(item) if item else None

    def get_all(self, *keys: tuple[str, str]) -> tuple[Row | None, ...]:
        """The rows, None for each that is absent; at most 100."""
        missing = [{"pk": {"S": pk}, "sk": {"S": sk}} for pk, sk in dict.fromkeys(keys)]
        found: dict[tuple[str, str], Row] = {}
        try:
            while missing:
                asked = {self.name: {"Keys": missing, "ConsistentRead": True}}
                answer = self.client.batch_get_item(RequestItems=asked)  # type: ignore[arg-type]  # built as dict
                for row in map(row_of, answer["Responses"].get(self.name, ())):
                    found[row.pk, row.sk] = row
                left = answer["UnprocessedKeys"].get(self.name)
                if left and len(left["Keys"]) == len(missing):
                    raise Unavailable(Reason.STORE_UNAVAILABLE)  # throttled
                missing = list(left["Keys"]) if left else []  # type: ignore[arg-type]  # as asked
        except (ClientError, BotoCoreError):
            raise Unavailable(Reason.STORE_UNAVAILABLE) from None
        return tuple(found.get(key) for key in keys)

    def partition(self, pk: str, prefix: str = "") -> tuple[Row, ...]:
        """Rows of a partition in sort-key order, over as many pages as it takes."""
        condition = "pk = :pk AND begins_with(sk, :sk)" if prefix else "pk = :pk"
        values: dict[str, Any] = {":pk": {"S": pk}}
        if prefix:
            values[":sk"] = {"S": prefix}
        try:
            pages = self.client.get_paginator("query").paginate(
                TableName=self.name,
                KeyConditionExpression=condition,
                ExpressionAttributeValues=values,
                ConsistentRead=True,
            )
            return tuple(row_of(item) for page in pages for item in page["Items"])
        except (ClientError, BotoCoreError):
            raise Unavailable(Reason.STORE_UNAVAILABLE) from None

    def indexed(self, pk: str) -> Iterator[Row]:
        """Rows that the index lists under this key, in its order; it may be a moment late."""
        try:
            pages = self.client.get_paginator("query").paginate(
                TableName=self.name,
                IndexName="by_state",
                KeyConditionExpression="gsi1pk = :pk",
                ExpressionAttributeValues={":pk": {"S": pk}},
            )
            for page in pages:
                yield from map(row_of, page["Items"])
        except (ClientError, BotoCoreError):
            raise Unavailable(Reason.STORE_UNAVAILABLE) from None

    def write(self, *writes: Put | Change) -> bool:
        """All or nothing; False when one condition fails."""
        try:
            if len(writes) == 1 and isinstance(writes[0], Put):
                self.client.put_item(**self._put(writes[0]))
            else:
                self.client.transact_write_items(TransactItems=[self._item(w) for w in writes])
        except ClientError as error:
            if _condition_failed(error):
                return False
            raise Unavailable(Reason.STORE_UNAVAILABLE) from None
        except BotoCoreError:
            raise Unavailable(Reason.STORE_UNAVAILABLE) from None
        return True

    def _item(self, write: Put | Change) -> Any:
        if isinstance(write, Put):
            return {"Put": self._put(write)}
        return {"Update": {"TableName": self.name, **_update(write)}}

    def _put(self, put: Put) -> dict[str, Any]:
        item: dict[str, Any] = {
            "pk": {"S": put.pk},
            "sk": {"S": put.sk},
            "revision": {"N": str((put.revision or 0) + 1)},
            "data": _TO(dict(put.data)),
        }
        if put.expires_at is not None:
            item["expires_at"] = {"N": str(int(put.expires_at.timestamp()))}
        if put.index is not None:
            item |= {"gsi1pk": {"S": put.index[0]}, "gsi1sk": {"S": put.index[1]}}
        return {"TableName": self.name, "Item": item, **_condition(put)}


def _condition(put: Put) -> dict[str, Any]:
    if put.revision is None:
        return {"ConditionExpression": "attribute_not_exists(pk)"}
    return {
        "ConditionExpression": "revision = :revision",
        "ExpressionAttributeValues": {":revision": {"N": str(put.revision)}},
    }


def _update(change: Change) -> dict[str, Any]:
    """Named one by one, for some of the fields are words that DynamoDB keeps for itself."""
    fields, found = list(change.fields), list(change.found)
    names = {"#data": "data"}
    names |= {f"#f{number}": name for number, name in enumerate(fields)}
    names |= {f"#c{number}": name for number, name in enumerate(found)}
    values: dict[str, Any] = {":one": {"N": "1"}}
    values |= {f":f{number}": _TO(change.fields[name]) for number, name in enumerate(fields)}
    values |= {f":c{number}": _TO(change.found[name]) for number, name in enumerate(found)}
    sets = [f"#data.#f{number} = :f{number}" for number in range(len(fields))]
    still = [f"#data.#c{number} = :c{number}" for number in range(len(found))]
    return {
        "Key": {"pk": {"S": change.pk}, "sk": {"S": change.sk}},
        "UpdateExpression": f"SET revision = revision + :one, {', '.join(sets)}",
        "ConditionExpression": " AND ".join(["attribute_exists(pk)", *still]),
        "ExpressionAttributeNames": names,
        "ExpressionAttributeValues": values,
    }


def _condition_failed(error: ClientError) -> bool:
    """Throttled or conflicting transactions are not failed conditions: they may be tried again."""
    if error.response["Error"]["Code"] not in _CONDITION_FAILED:
        return False
    reasons = error.response.get("CancellationReasons", [])
    return not reasons or any(r.get("Code") == "ConditionalCheckFailed" for r in reasons)


def row_of(item: Mapping[str, Any]) -> Row:
    """An item as a row of the ledger."""
    data: dict[str, Any] = _whole(_FROM(item["data"]))
    return Row(item["pk"]["S"], item["sk"]["S"], int(item["revision"]["N"]), data)


def _whole(value: Any) -> Any:
    """DynamoDB numbers come back as Decimal; the ledger only holds whole numbers."""
    if isinstance(value, Decimal):
        return int(value)
    if isinstance(value, dict):
        return {key: _whole(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_whole(each) for each in value]
    return value
