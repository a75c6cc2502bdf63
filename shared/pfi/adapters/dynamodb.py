"""The ledger table on DynamoDB: rows with revisions, compare-and-set, strongly consistent."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.exceptions import BotoCoreError, ClientError

from pfi.errors import Unavailable
from pfi.journey.ports import Put, Row
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

    def write(self, *puts: Put) -> bool:
        """All or nothing; False when one condition fails."""
        try:
            if len(puts) == 1:
                self.client.put_item(**self._put(puts[0]))
            else:
                self.client.transact_write_items(
                    TransactItems=[{"Put": self._put(put)} for put in puts]  # type: ignore[typeddict-item]  # built as dict
                )
        except ClientError as error:
            if _condition_failed(error):
                return False
            raise Unavailable(Reason.STORE_UNAVAILABLE) from None
        except BotoCoreError:
            raise Unavailable(Reason.STORE_UNAVAILABLE) from None
        return True

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
