"""The patient base: one suite on the double and on the real table, and what its reads cost."""

import os
import uuid
from collections import Counter
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random

import pytest

from infra.local.invented.identity_messages import Told, message
from pfi.adapters.patients import DynamoPatients
from pfi.adapters.s3 import S3Store
from pfi.errors import Unreadable
from pfi.ins.feeding import Kept
from pfi.ins.identity import DocumentIdentity, InsKind, PatientId
from pfi.ins.statements import Identity, loaded
from pfi.journey.feed import feed
from pfi.journey.identification import identify, match_policy
from pfi.journey.outcome import Metric
from pfi.journey.patient_base import Revision
from pfi.names import Reason
from tests.contracts.emulator_fixture import aws, emulator  # noqa: F401 - fixtures
from tests.data.builders import LEA, SAMIR, THEO, YANN
from tests.data.hospital_day import Day, delivered
from tests.data.patient_model import Model
from tests.doubles.drive import HOSPITAL
from tests.doubles.patient_base import FEED, MemoryFeed, MemoryPatientBase

NOW = datetime(2026, 5, 14, 8, 0, tzinfo=UTC)
DAY_EVENTS = int(os.environ.get("PFI_FEED_EVENTS", "5200"))


def new_base(clients):
    client = clients("dynamodb")
    name = f"t{uuid.uuid4().hex}"
    keys = [("pk", "HASH"), ("sk", "RANGE")]
    client.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": k, "KeyType": t} for k, t in keys],
        AttributeDefinitions=[{"AttributeName": k, "AttributeType": "S"} for k, _ in keys],
        BillingMode="PAY_PER_REQUEST",
    )
    return DynamoPatients(client, name)


@pytest.fixture(params=["double", "dynamodb"])
def base(request):
    if request.param == "double":
        return MemoryPatientBase()
    return new_base(request.getfixturevalue("aws"))


def kept(record):
    return Kept(loaded(record), record)


def test_what_was_written_is_read_back(base):
    identity = Identity("1").told("20260514", {"sex": ("F",), "ins": ()}, [("2", "3")])
    one = Kept(identity.absorbing(["9"]), LEA.record)
    assert base.write("ch", [Revision(one)], "m1", NOW)
    read = base.read("ch", [LEA.ipp, "nobody"]).identities
    assert set(read) == {LEA.ipp}
    assert read[LEA.ipp].kept.record == LEA.record
    assert read[LEA.ipp].kept.identity == one.identity


def test_a_change_must_find_what_was_read(base):
    base.write("ch", [Revision(kept(LEA.record))], "m1", NOW)
    before = base.read("ch", [LEA.ipp]).identities[LEA.ipp]
    assert base.write("ch", [Revision(kept(LEA.record), before)], "m2", NOW)
    assert not base.write("ch", [Revision(kept(LEA.record), before)], "m3", NOW)
    assert not base.write("ch", [Revision(kept(LEA.record))], "m4", NOW)
    assert not base.read("ch", [], "m4").heard


def test_of_several_changes_all_or_none_are_written(base):
    base.write("ch", [Revision(kept(LEA.record))], "m1", NOW)
    both = [Revision(kept(THEO.record)), Revision(kept(LEA.record))]
    assert not base.write("ch", both, "m2", NOW)
    assert base.read("ch", [THEO.ipp]).identities == {}
    assert base.find("ch", THEO.matricule, THEO.oid) == ()


def test_a_message_is_heard_once_and_by_one_establishment(base):
    assert not base.read("ch", [LEA.ipp], "m1").heard
    assert base.write("ch", [], "m1", NOW)
    assert base.read("ch", [LEA.ipp], "m1").heard
    assert not base.read("other", [LEA.ipp], "m1").heard
    assert not base.write("ch", [Revision(kept(LEA.record))], "m1", NOW)


def test_pointers_follow_the_record(base):
    base.write("ch", [Revision(kept(LEA.record))], "m1", NOW)
    before = base.read("ch", [LEA.ipp]).identities[LEA.ipp]
    moved = replace(LEA.record, matricule=YANN.matricule, active=False)
    assert base.write("ch", [Revision(kept(moved), before)], "m2", NOW)
    assert base.find("ch", LEA.matricule, LEA.oid) == ()
    assert base.find("ch", YANN.matricule, LEA.oid) == (moved,)
    assert base.twins("ch", LEA.traits) == ()
    assert base.get("ch", LEA.ipp) == moved


def test_a_loaded_base_can_be_fed(base):
    base.put("ch", [LEA.record, SAMIR.record])
    ports = MemoryFeed(base=base)
    merge = Told(trigger="A40", at="20260514080000", patient=LEA, replaced=(SAMIR.ipp,))
    assert b"MSA|AA|" in feed(message(merge), FEED, ports).ack
    assert base.get("ch", SAMIR.ipp).merged_into == LEA.ipp


def test_a_base_knows_when_its_feed_was_last_alive(base):
    assert base.read("ch", [], "m1").fed_at is None
    base.note_fed("ch", NOW)
    base.note_fed("ch", NOW + timedelta(seconds=61))
    assert base.read("ch", [], "m1").fed_at == NOW + timedelta(seconds=61)
    assert base.read("other", [], "m1").fed_at is None
    assert base.fed_at("ch") == NOW + timedelta(seconds=61)
    assert base.fed_at("other") is None


def test_a_message_for_review_lies_in_the_store(aws):  # noqa: F811 - a fixture
    bucket = f"b{uuid.uuid4().hex}"
    place = {"LocationConstraint": "eu-west-3"}
    aws("s3").create_bucket(Bucket=bucket, CreateBucketConfiguration=place)
    store = S3Store(aws("s3"), bucket)
    key = store.put_message("ab" * 32, b"MSH|\xff")
    assert (key, store.get(key)) == (f"feed/{'ab' * 32}.hl7", b"MSH|\xff")


def test_a_family_larger_than_a_transaction_is_written_whole(aws):  # noqa: F811 - a fixture
    base = new_base(aws)
    many = [replace(LEA.record, ipp=f"8{n:05}") for n in range(70)]
    assert base.write("ch", [Revision(kept(each)) for each in many], "m1", NOW)
    assert len(base.find("ch", LEA.matricule, LEA.oid)) == 70
    assert base.read("ch", [], "m1").heard


def test_a_message_is_heard_only_after_all_that_it_says_is_written(aws):  # noqa: F811 - a fixture
    base = new_base(aws)
    base.write("ch", [Revision(kept(replace(LEA.record, ipp="899999")))], "m1", NOW)
    many = [replace(LEA.record, ipp=f"8{n:05}") for n in range(70)]
    late = [*many, replace(LEA.record, ipp="899999")]  # the last one is no longer new
    assert not base.write("ch", [Revision(kept(each)) for each in late], "m2", NOW)
    assert not base.read("ch", [], "m2").heard


def test_what_the_table_can_never_take_is_a_persons(aws):  # noqa: F811 - a fixture
    base = new_base(aws)
    wide = replace(LEA.record, aliases=tuple((f"{n:015}", "1.2") for n in range(120)))
    large = replace(LEA.record, traits=replace(LEA.traits, given_list="X" * 410_000))
    for record in (wide, large):
        with pytest.raises(Unreadable):
            base.write("ch", [Revision(kept(record))], "m1", NOW)
    assert not base.read("ch", [], "m1").heard


# --- what reads cost


@contextmanager
def calls_of(client):
    """The operations and the read units that the table says they consumed; never less than what
    their items must cost (4 kB each, strong)."""
    seen = Counter()

    def before(params, **_):
        params["ReturnConsumedCapacity"] = "TOTAL"

    def after(http_response, parsed, model, **_):
        items = [*parsed.get("Items", ()), *filter(None, [parsed.get("Item")])]
        size = sum(len(n) + len(str(v)) for item in items for n, v in item.items())
        consumed = parsed.get("ConsumedCapacity", {}) if model.name == "Query" else {}
        seen[model.name] += 1
        seen["units"] += max(1, -(-size // 4096), consumed.get("CapacityUnits", 0))

    hooks = (("before-parameter-build.dynamodb.Query", before), ("after-call.dynamodb", after))
    for event, hook in hooks:
        client.meta.events.register(event, hook)
    yield seen
    for event, hook in hooks:
        client.meta.events.unregister(event, hook)


def asked(base, person):
    """What a document of this person gets, and what asking cost."""
    number = (person.matricule, str(person.oid))
    identity = DocumentIdentity((PatientId(number[1], number[0]),), person.traits, 1, number)
    with calls_of(base.client) as seen:
        return identify(identity, "ch", base, match_policy(HOSPITAL)), seen


NIA = replace(YANN, oid=InsKind.NIA.value)
NIR = replace(YANN, body=YANN.body[:-1] + "9", oid=InsKind.NIR.value)
OLD = replace(SAMIR, status="VALI", attributes=())
NEW = replace(OLD, body=OLD.body[:-1] + "7", ipp="600999")


def merges():
    """Nine numbers of one person, absorbed one by the next; the last has another matricule."""
    chain = [replace(OLD, ipp=f"60000{n}") for n in range(9)]
    for n, each in enumerate(chain):
        yield Told(trigger="A28", at=f"202605140900{n:02}", patient=each)
    for n, (old, new) in enumerate(pairwise([*chain, NEW])):
        yield Told(trigger="A40", at=f"202605141000{n:02}", patient=new, replaced=(old.ipp,))


@pytest.fixture(scope="module")
def crowded(aws):  # noqa: F811 - a fixture
    """A hospital with merges, a NIA that became a NIR, and two holders of one matricule."""
    base = new_base(aws)
    ports = MemoryFeed(base=base)
    story = [
        Told(trigger="A28", at="20260514080000", patient=LEA),
        Told(trigger="A28", at="20260514080100", patient=NIA),
        Told(trigger="A31", at="20260514080200", patient=NIR),
        Told(trigger="A28", at="20260514080300", patient=THEO),
        Told(trigger="A28", at="20260514080400", patient=replace(THEO, ipp="900555")),
        *merges(),
    ]
    counts = Counter()
    for told in story:
        answer = feed(message(told), FEED, ports)
        assert b"MSA|AA|" in answer.ack
        counts.update(answer.outcome.counts)
    assert counts[Metric.INS_HELD_TWICE] == 9  # THEO once, the nine of one number eight times
    return base


def test_a_match_is_one_read_of_one_unit(crowded):
    decision, seen = asked(crowded, LEA)
    assert (decision.integrate, decision.ipp) == (True, LEA.ipp)
    assert seen == {"Query": 1, "units": 1}


def test_a_nia_that_became_a_nir_is_one_read(crowded):
    decision, seen = asked(crowded, NIA)
    assert (decision.integrate, decision.ipp) == (True, YANN.ipp)
    assert seen == {"Query": 1, "units": 1}


def test_a_survivor_is_found_by_its_own_number_in_one_read(crowded):
    decision, seen = asked(crowded, NEW)
    assert (decision.integrate, decision.ipp) == (True, NEW.ipp)
    assert seen == {"Query": 1, "units": 1}


def test_nine_merges_in_a_row_are_two_reads(crowded):
    decision, seen = asked(crowded, OLD)
    assert (decision.reason, decision.ipp) == (Reason.INS_DIFFERS, NEW.ipp)
    assert seen["Query"] == 2
    assert seen["units"] <= 4


def test_nobody_is_two_reads_the_second_for_the_reviewer(crowded):
    decision, seen = asked(crowded, replace(LEA, body=LEA.body[:-1] + "9"))
    assert (decision.reason, decision.twins) == (Reason.INS_DIFFERS, (LEA.ipp,))
    assert seen == {"Query": 2, "units": 2}


def test_two_qualified_holders_of_a_matricule_are_ambiguous_until_the_hospital_merges(crowded):
    decision, seen = asked(crowded, THEO)
    assert (decision.reason, decision.reason.outward) == (Reason.AMBIGUOUS, "906")
    assert seen == {"Query": 1, "units": 1}
    merge = Told(trigger="A40", at="20260514110000", patient=THEO, replaced=("900555",))
    feed(message(merge), FEED, MemoryFeed(base=crowded))
    decision, seen = asked(crowded, THEO)
    assert (decision.integrate, decision.ipp) == (True, THEO.ipp)
    assert seen["Query"] == 1


def test_a_message_is_one_read_and_one_transaction(aws):  # noqa: F811 - a fixture
    base = new_base(aws)
    ports = MemoryFeed(base=base)
    base.note_fed("ch", ports.now())
    told = Told(trigger="A28", at="20260514080000", patient=LEA)
    with calls_of(base.client) as seen:
        feed(message(told), FEED, ports)
        feed(message(replace(told, at="20260514080100")), FEED, ports)
    assert seen["BatchGetItem"] == 2
    assert seen["TransactWriteItems"] == 2
    assert seen["Query"] == 1  # a new official INS: does another identity hold it?
    with calls_of(base.client) as seen:
        feed(message(told), FEED, ports)
    assert seen == {"BatchGetItem": 1, "units": 1}


# --- a day


def test_a_day_of_a_hospital_ends_in_the_table_as_the_model_says(aws):  # noqa: F811 - a fixture
    """`PFI_FEED_EVENTS` shortens or lengthens the day."""
    base = new_base(aws)
    day = Day(seed=5).lived(DAY_EVENTS)
    for each in delivered(day.events, Random(6)):
        assert b"MSA|AA|" in feed(message(each), FEED, MemoryFeed(base=base)).ack
    expected = Model(day.events).records()
    found = base.read("ch", expected).identities
    assert {i: f.kept.record for i, f in found.items()} == expected
    pointing = {i for r in expected.values() for i in base.find("ch", r.matricule, r.oid)}
    assert {r for r in expected.values() if r.matricule} <= pointing
