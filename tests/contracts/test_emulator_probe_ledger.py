"""What the ledger relies on in the emulator's DynamoDB; the rest is in `test_emulator_probe.py`."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.contracts.emulator_fixture import Aws, aws, emulator

__all__ = ["aws", "emulator"]  # fixtures


@pytest.fixture(scope="module")
def table(aws: Aws) -> str:
    aws("dynamodb").create_table(
        TableName="ledger",
        KeySchema=[
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
        AttributeDefinitions=[
            {"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk", "state")
        ],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "by-state",
                "KeySchema": [{"AttributeName": "state", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    return "ledger"


def key(pk: str, sk: str = "mail") -> dict[str, Any]:
    return {"pk": {"S": pk}, "sk": {"S": sk}}


def test_a_refused_put_tells_what_is_there(aws: Aws, table: str) -> None:
    put = {
        "TableName": table,
        "ConditionExpression": "attribute_not_exists(pk)",
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }
    aws("dynamodb").put_item(**put, Item={**key("once"), "step": {"N": "1"}})
    with pytest.raises(ClientError) as refused:
        aws("dynamodb").put_item(**put, Item={**key("once"), "step": {"N": "2"}})
    answer: dict[str, Any] = dict(refused.value.response)
    assert answer["Error"]["Code"] == "ConditionalCheckFailedException"
    assert answer["Item"] == {**key("once"), "step": {"N": "1"}}


def test_an_update_answers_with_the_new_item_and_a_refused_one_with_the_old(
    aws: Aws, table: str
) -> None:
    update = {
        "TableName": table,
        "Key": key("claim"),
        "UpdateExpression": "SET holder = :me ADD tries :one",
        "ConditionExpression": "attribute_not_exists(holder)",
        "ExpressionAttributeValues": {":me": {"S": "push"}, ":one": {"N": "1"}},
        "ReturnValues": "ALL_NEW",
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }
    new = {**key("claim"), "holder": {"S": "push"}, "tries": {"N": "1"}}
    assert aws("dynamodb").update_item(**update)["Attributes"] == new
    with pytest.raises(ClientError, match="ConditionalCheckFailedException") as refused:
        aws("dynamodb").update_item(**update)
    assert dict(refused.value.response)["Item"] == new


def test_a_transaction_does_all_or_nothing_and_says_which_part_refused(
    aws: Aws, table: str
) -> None:
    aws("dynamodb").put_item(TableName=table, Item=key("taken"))

    def put(pk: str) -> dict[str, Any]:
        absent = "attribute_not_exists(pk)"
        return {"Put": {"TableName": table, "Item": key(pk), "ConditionExpression": absent}}

    with pytest.raises(ClientError, match="TransactionCanceledException") as refused:
        aws("dynamodb").transact_write_items(TransactItems=[put("free"), put("taken")])
    reasons: Any = dict(refused.value.response)["CancellationReasons"]
    assert [reason["Code"] for reason in reasons] == ["None", "ConditionalCheckFailed"]
    assert "Item" not in aws("dynamodb").get_item(TableName=table, Key=key("free"))
    aws("dynamodb").transact_write_items(TransactItems=[put("free"), put("other")])
    assert "Item" in aws("dynamodb").get_item(TableName=table, Key=key("other"))


def test_a_transaction_sent_twice_with_its_token_counts_once(aws: Aws, table: str) -> None:
    add = {
        "TableName": table,
        "Key": key("counter"),
        "UpdateExpression": "ADD tries :one",
        "ExpressionAttributeValues": {":one": {"N": "1"}},
    }
    for _ in range(2):
        aws("dynamodb").transact_write_items(
            TransactItems=[{"Update": add}], ClientRequestToken="same"
        )
    found = aws("dynamodb").get_item(TableName=table, Key=key("counter"))
    assert found["Item"]["tries"] == {"N": "1"}


def test_a_consistent_query_sees_the_last_write_in_key_order_and_by_pages(
    aws: Aws, table: str
) -> None:
    for sk in ("document#2", "document#1", "mail"):
        aws("dynamodb").put_item(TableName=table, Item={**key("m", sk), "state": {"S": "open"}})
    question: dict[str, Any] = {
        "TableName": table,
        "KeyConditionExpression": "pk = :pk AND begins_with(sk, :kind)",
        "ExpressionAttributeValues": {":pk": {"S": "m"}, ":kind": {"S": "document#"}},
        "ConsistentRead": True,
        "Limit": 1,
    }
    first = aws("dynamodb").query(**question)
    second = aws("dynamodb").query(**question, ExclusiveStartKey=first["LastEvaluatedKey"])
    assert [item["sk"]["S"] for page in (first, second) for item in page["Items"]] == [
        "document#1",
        "document#2",
    ]


def test_an_index_finds_items_by_state(aws: Aws, table: str) -> None:
    aws("dynamodb").put_item(TableName=table, Item={**key("indexed"), "state": {"S": "review"}})
    found = aws("dynamodb").query(
        TableName=table,
        IndexName="by-state",
        KeyConditionExpression="#state = :state",
        ExpressionAttributeNames={"#state": "state"},
        ExpressionAttributeValues={":state": {"S": "review"}},
    )
    assert [item["pk"]["S"] for item in found["Items"]] == ["indexed"]


def test_a_table_accepts_an_expiry_attribute(aws: Aws, table: str) -> None:
    expiry = {"Enabled": True, "AttributeName": "expires_at"}
    aws("dynamodb").update_time_to_live(TableName=table, TimeToLiveSpecification=expiry)
    found = aws("dynamodb").describe_time_to_live(TableName=table)["TimeToLiveDescription"]
    assert found["AttributeName"] == "expires_at"
