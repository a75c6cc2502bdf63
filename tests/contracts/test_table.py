"""The `Table` suite, run on the double and on DynamoDB in the emulator."""

import uuid
from datetime import UTC, datetime

import pytest

from pfi.adapters.dynamodb import DynamoTable
from pfi.errors import Unavailable
from pfi.journey.ports import Change, Put, Row
from tests.contracts.emulator_fixture import aws, emulator  # noqa: F401 - fixtures
from tests.doubles.memory import MemoryTable

LATER = datetime(2027, 1, 1, tzinfo=UTC)


def new_table(clients):
    name = f"t{uuid.uuid4().hex}"
    keys, places = _keys("pk", "sk"), _keys("gsi1pk", "gsi1sk")
    named = [each["AttributeName"] for each in (*keys, *places)]
    by_state = {"IndexName": "by_state", "KeySchema": places}
    clients("dynamodb").create_table(
        TableName=name,
        KeySchema=keys,
        AttributeDefinitions=[{"AttributeName": k, "AttributeType": "S"} for k in named],
        GlobalSecondaryIndexes=[{**by_state, "Projection": {"ProjectionType": "ALL"}}],
        BillingMode="PAY_PER_REQUEST",
    )
    return name


def _keys(partition, sort):
    return [
        {"AttributeName": partition, "KeyType": "HASH"},
        {"AttributeName": sort, "KeyType": "RANGE"},
    ]


@pytest.fixture(params=["double", "dynamodb"])
def table(request):
    if request.param == "double":
        return MemoryTable()
    clients = request.getfixturevalue("aws")
    return DynamoTable(clients("dynamodb"), new_table(clients))


# --- one row


def test_an_absent_row_is_none(table):
    assert table.get("p", "s") is None
    assert table.partition("p") == ()


def test_a_row_is_read_back_as_written_with_revision_one(table):
    data = {"text": "é", "number": 7, "flag": True, "none": None, "list": ["a", {"b": 2}]}
    assert table.write(Put("p", "s", data, expires_at=LATER, index=("i", "j")))
    assert table.get("p", "s") == Row("p", "s", 1, data)


def test_creating_twice_fails_the_second_time(table):
    assert table.write(Put("p", "s", {"n": 1}))
    assert not table.write(Put("p", "s", {"n": 2}))
    assert table.get("p", "s").data == {"n": 1}


def test_a_change_needs_the_revision_that_was_read(table):
    table.write(Put("p", "s", {"n": 1}))
    assert table.write(Put("p", "s", {"n": 2}, revision=1))
    assert not table.write(Put("p", "s", {"n": 3}, revision=1))
    assert table.get("p", "s") == Row("p", "s", 2, {"n": 2})


def test_changing_an_absent_row_fails(table):
    assert not table.write(Put("p", "s", {}, revision=1))


def test_several_writes_are_all_or_nothing(table):
    table.write(Put("p", "1", {"n": 1}))
    assert not table.write(Put("p", "2", {"n": 2}), Put("p", "1", {"n": 9}))
    assert table.get("p", "2") is None
    assert table.write(Put("p", "2", {"n": 2}), Put("p", "1", {"n": 9}, revision=1))
    assert [row.data["n"] for row in table.partition("p")] == [9, 2]


def test_a_partition_is_read_whole_in_order_and_by_prefix(table):
    for number in (3, 1, 2):
        table.write(Put("p", f"DOC#{number:04}", {"big": "x" * 100_000}))
    table.write(Put("p", "MAIL", {}), Put("q", "DOC#0001", {}))
    assert [row.sk for row in table.partition("p", "DOC#")] == ["DOC#0001", "DOC#0002", "DOC#0003"]
    assert len(table.partition("p")) == 4


def test_a_transaction_of_a_hundred_rows_passes(table):
    assert table.write(*(Put("p", f"{n:03}", {"n": n}) for n in range(100)))
    assert len(table.partition("p")) == 100


def test_a_row_is_written_once_in_a_transaction_and_there_are_a_hundred_at_most(table):
    change = Change("p", "s", {}, {"n": 2})
    table.write(Put("p", "s", {"n": 1}))
    for writes in ([Put("q", "s", {}), Put("q", "s", {})], [change, change]):
        with pytest.raises(Unavailable):
            table.write(*writes)
    with pytest.raises(Unavailable):
        table.write(*(Put("p", f"{n:03}", {"n": n}) for n in range(101)))
    assert [row.sk for row in table.partition("p")] == ["s"]


# --- the index


def test_the_index_lists_rows_by_their_place_until_they_have_none(table):
    table.write(Put("p", "late", {"n": 2}, index=("open", "2026-02")))
    table.write(Put("q", "early", {"n": 1}, index=("open", "2026-01")))
    table.write(Put("p", "elsewhere", {}, index=("closed", "2026-01")), Put("p", "nowhere", {}))
    assert [row.data["n"] for row in table.indexed("open")] == [1, 2]
    table.write(Put("q", "early", {"n": 1}, revision=1))
    assert [row.sk for row in table.indexed("open")] == ["late"]
    assert list(table.indexed("unheard of")) == []


# --- several rows in one call


def test_rows_are_given_in_the_order_asked_and_none_for_each_that_is_absent(table):
    for name in "abc":
        table.write(Put(name, "s", {"n": name}))
    found = table.get_all(("c", "s"), ("x", "s"), ("a", "s"), ("a", "other"), ("b", "s"))
    assert [row and (row.pk, row.data["n"]) for row in found] == [
        ("c", "c"),
        None,
        ("a", "a"),
        None,
        ("b", "b"),
    ]


def test_a_row_asked_twice_is_given_twice(table):
    table.write(Put("a", "s", {"n": 1}))
    asked = (("a", "s"), ("x", "s"), ("a", "s"), ("x", "s"))
    assert table.get_all(*asked) == (Row("a", "s", 1, {"n": 1}), None) * 2


def test_a_hundred_rows_are_read_in_one_call(table):
    table.write(*(Put(f"p{n}", "s", {"n": n}) for n in range(100)))
    found = table.get_all(*((f"p{n}", "s") for n in reversed(range(100))))
    assert [row.data["n"] for row in found] == list(reversed(range(100)))


def test_big_rows_that_one_answer_cannot_hold_are_read_whole(table):
    for number in range(60):
        table.write(Put("p", f"{number:02}", {"big": "x" * 350_000}))
    found = table.get_all(*(("p", f"{number:02}") for number in range(60)))
    assert [len(row.data["big"]) for row in found] == [350_000] * 60


def test_a_row_is_read_among_others_as_it_is_read_alone(table):
    data = {"text": "é", "number": 7, "flag": True, "none": None, "list": ["a", {"b": 2}]}
    table.write(Put("p", "s", data, expires_at=LATER, index=("i", "j")))
    table.write(Put("p", "s", data, revision=1))
    assert table.get_all(("p", "s")) == (table.get("p", "s"),) == (Row("p", "s", 2, data),)


def test_what_was_just_written_is_read(table):
    for number in range(20):
        table.write(Put("p", "s", {"n": number}, revision=number or None))
        [row] = table.get_all(("p", "s"))
        assert (row.revision, row.data["n"]) == (number + 1, number)


# --- a change of some fields


def test_a_change_replaces_its_fields_and_leaves_the_others(table):
    table.write(Put("p", "s", {"state": "received", "copies": 3}))
    assert table.write(Change("p", "s", {"state": "received"}, {"state": "decided", "n": 1}))
    assert table.get("p", "s") == Row("p", "s", 2, {"state": "decided", "copies": 3, "n": 1})


@pytest.mark.parametrize(
    ("found", "passes"),
    [
        ({"state": "received", "mailbox": "app"}, True),
        ({"state": "decided", "mailbox": "app"}, False),
        ({"state": "received", "mailbox": "other"}, False),
        ({"state": "received", "unheard": "x"}, False),
        ({"unheard": None}, False),
        ({"none": None, "list": ["a", {"b": 2}], "number": 7, "flag": True}, True),
        ({"none": ""}, False),
        ({"state": None}, False),
        ({"list": ["a"]}, False),
        ({"number": "7"}, False),
        ({}, True),
    ],
    ids=str,
)
def test_each_field_that_a_change_names_must_hold_its_value_still(table, found, passes):
    held = {"state": "received", "mailbox": "app", "none": None, "flag": True}
    held |= {"list": ["a", {"b": 2}], "number": 7}
    table.write(Put("p", "s", held))
    assert table.write(Change("p", "s", found, {"state": "done"})) is passes
    assert table.get("p", "s").data["state"] == ("done" if passes else "received")
    assert table.get("p", "s").revision == 1 + passes


def test_a_change_does_not_ask_how_often_the_row_was_written(table):
    table.write(Put("p", "s", {"state": "received", "copies": 1}))
    for revision in (1, 2, 3):
        table.write(Put("p", "s", {"state": "received", "copies": revision + 1}, revision=revision))
    assert table.write(Change("p", "s", {"state": "received"}, {"state": "decided"}))
    assert table.get("p", "s") == Row("p", "s", 5, {"state": "decided", "copies": 4})


def test_whoever_read_a_row_before_its_change_cannot_write_over_it(table):
    table.write(Put("p", "s", {"state": "received"}))
    table.write(Change("p", "s", {}, {"state": "decided"}))
    assert not table.write(Put("p", "s", {"state": "received", "copies": 2}, revision=1))
    assert table.write(Put("p", "s", {"state": "decided", "copies": 2}, revision=2))


def test_a_row_that_is_absent_is_not_changed_and_not_made(table):
    assert not table.write(Change("p", "s", {}, {"n": 1}))
    assert table.get("p", "s") is None


def test_a_change_writes_nested_values_nothing_and_words_that_a_database_keeps_for_itself(table):
    table.write(Put("p", "s", {"state": "received", "size": 1}))
    fields = {
        "sent": {"domain": "é", "documents": 2, "mdn": False, "none": None, "list": [{"a": []}]},
        "reason": None,
        "state": "decided",
        "size": 0,
        "key": "k",
        "data": {"revision": 7},
        "#f0": ":f0",
    }
    assert table.write(Change("p", "s", {"state": "received", "size": 1}, fields))
    assert table.get("p", "s") == Row("p", "s", 2, fields)


def test_changes_and_writes_are_all_or_nothing(table):
    table.write(Put("mail", "s", {"state": "received"}))
    change = Change("mail", "s", {"state": "received"}, {"state": "decided"})
    table.write(Put("taken", "s", {}))
    assert not table.write(change, Put("new", "s", {}), Put("taken", "s", {}))
    assert (table.get("mail", "s").revision, table.get("new", "s")) == (1, None)
    assert table.write(change, Put("new", "s", {}), Put("other", "s", {}))
    assert table.get("mail", "s").data == {"state": "decided"}
    assert not table.write(change, Put("late", "s", {}))
    assert table.get("late", "s") is None


def test_a_change_with_ninety_nine_writes_passes(table):
    table.write(Put("mail", "s", {"state": "received"}))
    change = Change("mail", "s", {"state": "received"}, {"state": "decided"})
    assert table.write(change, *(Put("p", f"{n:03}", {"n": n}) for n in range(99)))
    assert len(table.partition("p")) == 99


def test_a_change_leaves_the_place_in_the_index(table):
    table.write(Put("p", "s", {"n": 1}, index=("open", "2026-01"), expires_at=LATER))
    table.write(Change("p", "s", {"n": 1}, {"n": 2}))
    assert [(row.revision, row.data) for row in table.indexed("open")] == [(2, {"n": 2})]


# --- what only the real one may meet


class Throttled:
    """A client of DynamoDB that answers a part of what it is asked, and keeps the questions."""

    def __init__(self, answered):
        self.answered, self.asked = answered, []

    def batch_get_item(self, RequestItems):
        [(name, request)] = RequestItems.items()
        self.asked.append(request)
        done, left = request["Keys"][: self.answered], request["Keys"][self.answered :]
        rows = [{**key, "revision": {"N": "1"}, "data": {"M": {}}} for key in done]
        return {
            "Responses": {name: rows},
            "UnprocessedKeys": {name: {"Keys": left}} if left else {},
        }


def test_what_an_answer_leaves_out_is_asked_again_and_every_question_is_consistent():
    client = Throttled(answered=3)
    found = DynamoTable(client, "t").get_all(*((f"p{n}", "s") for n in range(8)))
    assert [row.pk for row in found] == [f"p{n}" for n in range(8)]
    assert [len(each["Keys"]) for each in client.asked] == [8, 5, 2]
    assert all(each["ConsistentRead"] is True for each in client.asked)


def test_an_answer_that_leaves_everything_out_is_unavailable():
    with pytest.raises(Unavailable):
        DynamoTable(Throttled(answered=0), "t").get_all(("p", "s"))
