"""The patient base on a table that answers in its bad ways."""

from datetime import UTC, datetime

import pytest
from botocore.exceptions import ClientError

from infra.local.invented.identity_messages import Told, message
from pfi.adapters.patients import DynamoPatients
from pfi.errors import Unreadable
from pfi.ins.feeding import Kept
from pfi.ins.statements import loaded
from pfi.journey.feed import feed
from pfi.journey.patient_base import Revision
from tests.data.builders import LEA
from tests.doubles.patient_base import FEED, MemoryFeed

NOW = datetime(2026, 5, 14, 8, 0, tzinfo=UTC)
NEW = Revision(Kept(loaded(LEA.record), LEA.record))


class Table:
    """Gives one key at a time, and refuses writes as it is told to."""

    def __init__(self, error=None):
        self.error = error
        self.rows, self.reads, self.pages = {}, [], []

    def transact_write_items(self, TransactItems):
        if self.error:
            raise ClientError(self.error, "TransactWriteItems")
        for put in (each["Put"]["Item"] for each in TransactItems):
            self.rows[put["pk"]["S"]] = put

    def batch_get_item(self, RequestItems):
        [(table, asked)] = RequestItems.items()
        self.reads.append(asked["ConsistentRead"])
        first, *others = asked["Keys"]
        found = self.rows.get(first["pk"]["S"])
        left = {table: asked | {"Keys": others}} if others else {}
        return {"Responses": {table: [found] if found else []}, "UnprocessedKeys": left}

    def get_paginator(self, _operation):
        return self

    def paginate(self, **asked):
        self.pages.append(asked["ConsistentRead"])
        return [{"Items": []}]


def refusal(code, *reasons):
    return {"Error": {"Code": code}, "CancellationReasons": [{"Code": each} for each in reasons]}


def test_keys_that_a_busy_table_left_out_are_asked_again():
    base = DynamoPatients(Table(), "t")
    assert base.write("ch", [NEW], "m1", NOW)
    reading = base.read("ch", [LEA.ipp], "m1")
    assert (reading.heard, set(reading.identities)) == (True, {LEA.ipp})


def test_every_read_is_consistent():
    base = DynamoPatients(Table(), "t")
    base.read("ch", [LEA.ipp], "m1")
    base.find("ch", LEA.matricule, str(LEA.oid))
    assert base.client.reads
    assert all(base.client.reads)
    assert base.client.pages == [True]


NEVER = [
    refusal("ValidationException"),
    refusal("TransactionCanceledException", "None", "ValidationError"),
]


@pytest.mark.parametrize("error", NEVER)
def test_what_the_table_can_never_take_is_unreadable(error):
    with pytest.raises(Unreadable):
        DynamoPatients(Table(error), "t").write("ch", [NEW], "m1", NOW)


def test_somebody_quicker_is_no_fault():
    error = refusal("TransactionCanceledException", "ConditionalCheckFailed")
    assert not DynamoPatients(Table(error), "t").write("ch", [NEW], "m1", NOW)


def test_a_message_that_can_never_be_written_does_not_stop_the_feed():
    numbers = [(f"2870421041{n:03}57", str(LEA.oid)) for n in range(120)]
    told = Told(trigger="A28", at="20260514080000", patient=LEA, numbers=numbers)
    ports = MemoryFeed(base=DynamoPatients(Table(), "t"))
    assert b"MSA|AE|" in feed(message(told), FEED, ports).ack
    assert len(ports.store.objects) == 1
    other = Told(trigger="A28", at=told.at, patient=LEA)
    assert b"MSA|AA|" in feed(message(other), FEED, ports).ack
