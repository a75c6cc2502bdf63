"""One suite per port, run on the double and on the real adapter in the emulator.

A double that drifts from what it stands for would make every test above it worthless.
"""

import json
import time
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from infra.aws.names import ARRIVING
from pfi.adapters.csv_patients import ListedPatients
from pfi.adapters.dynamodb import DynamoTable
from pfi.adapters.patients import DynamoPatients
from pfi.adapters.s3 import S3Store
from pfi.adapters.sqs import SqsJobs
from pfi.errors import Misconfigured, Unavailable
from pfi.ins.identity import InsKind
from pfi.journey.jobs import Job, load
from pfi.journey.ports import Put, Row
from pfi.journey.reading import read_mail
from pfi.names import Reason, Step
from tests.contracts.emulator_fixture import aws, emulator  # noqa: F401
from tests.data.builders import ANDRE, LEA, SAMIR, THEO, YANN, document, mail, xdm_zip
from tests.doubles.drive import HOSPITAL
from tests.doubles.memory import MemoryStore, MemoryTable

MAIL = "a" * 64
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


@pytest.fixture(params=["double", "s3"])
def store(request):
    if request.param == "double":
        return MemoryStore()
    clients = request.getfixturevalue("aws")
    bucket = f"b{uuid.uuid4().hex}"
    place = {"LocationConstraint": "eu-west-3"}
    clients("s3").create_bucket(Bucket=bucket, CreateBucketConfiguration=place)
    return S3Store(clients("s3"), bucket)


PEOPLE = (
    LEA.record,
    replace(YANN.record, aliases=((LEA.matricule, LEA.oid),)),
    THEO.record,
    replace(THEO.record, ipp="900104", matricule="", oid="", status="PROV"),
    replace(SAMIR.record, active=False),
)


@pytest.fixture(params=["csv", "dynamodb"])
def patients(request):
    if request.param == "csv":
        return ListedPatients(PEOPLE)
    clients = request.getfixturevalue("aws")
    base = DynamoPatients(clients("dynamodb"), new_table(clients))
    base.put("ch", PEOPLE)
    return base


# --- Table


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


def test_the_index_lists_rows_by_their_place_until_they_have_none(table):
    table.write(Put("p", "late", {"n": 2}, index=("open", "2026-02")))
    table.write(Put("q", "early", {"n": 1}, index=("open", "2026-01")))
    table.write(Put("p", "elsewhere", {}, index=("closed", "2026-01")), Put("p", "nowhere", {}))
    assert [row.data["n"] for row in table.indexed("open")] == [1, 2]
    table.write(Put("q", "early", {"n": 1}, revision=1))
    assert [row.sk for row in table.indexed("open")] == ["late"]
    assert list(table.indexed("unheard of")) == []


# --- Store


def test_bytes_are_kept_exactly(store):
    raw = bytes(range(256)) * 5000
    key = store.put_mail("app", MAIL, raw)
    assert (key, store.get(key)) == (f"incoming/app/{MAIL}.eml", raw)
    store.put_document(MAIL, 12, raw)
    assert store.document(MAIL, 12) == raw


def test_what_is_not_there_is_unavailable_and_says_nothing_more(store):
    for ask in (lambda: store.get("incoming/app/x"), lambda: store.dossier(MAIL)):
        with pytest.raises(Unavailable, match=r"^PFI-EDGE-04$"):
            ask()


def test_a_dossier_is_read_back_as_it_was(store):
    raw = mail(xdm_zip([document(LEA), document(LEA, document_id=("2.25.4", "A"))]))
    dossier = read_mail(raw, HOSPITAL.mailboxes[0], HOSPITAL).dossier
    assert len(dossier.documents) == 2
    store.put_dossier(MAIL, dossier)
    assert store.dossier(MAIL) == dossier


PAST = timedelta(hours=-1)
SOON = timedelta(hours=1)


def held(store):
    raw, key = b"From: x\r\n\r\nbody", store.put_mail("app", MAIL, b"From: x\r\n\r\nbody")
    store.put_document(MAIL, 1, raw)
    return key, f"documents/{MAIL}/0001.xml", raw


def test_what_is_young_is_found_and_left_alone(store):
    key, document_key, _ = held(store)
    assert store.renew("incoming/app/", datetime.now(UTC) + PAST) == {key: False}
    assert store.renew(f"documents/{MAIL}/", datetime.now(UTC) + PAST) == {document_key: False}
    assert store.renew("documents/b", datetime.now(UTC) + SOON) == {}


def test_what_is_old_begins_its_life_anew_and_stays_what_it_was(store):
    key, document_key, raw = held(store)
    store.put_dossier(MAIL, read_mail(raw, HOSPITAL.mailboxes[0], HOSPITAL).dossier)
    time.sleep(1.1)  # S3 dates to the second
    before = datetime.now(UTC)
    time.sleep(1.1)
    below = store.renew(f"documents/{MAIL}/", before)
    assert below == {document_key: True, f"documents/{MAIL}/dossier.json": True}
    assert store.renew(f"documents/{MAIL}/", before) == dict.fromkeys(below, False)
    assert store.renew(key, before) == {key: True}
    assert (store.get(key), store.document(MAIL, 1)) == (raw, raw)
    assert not store.dossier(MAIL).documents


def test_a_renewed_mail_keeps_its_type_its_verdict_and_its_encryption(aws):  # noqa: F811
    client, bucket = aws("s3"), f"b{uuid.uuid4().hex}"
    place = {"LocationConstraint": "eu-west-3"}
    client.create_bucket(Bucket=bucket, CreateBucketConfiguration=place)
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    store = S3Store(client, bucket)
    key = store.put_mail("app", MAIL, b"body")
    verdict = {"TagSet": [{"Key": "GuardDutyMalwareScanStatus", "Value": "NO_THREATS_FOUND"}]}
    client.put_object_tagging(Bucket=bucket, Key=key, Tagging=verdict)
    first = client.head_object(Bucket=bucket, Key=key)
    assert store.renew(key, datetime.now(UTC) + SOON) == {key: True}
    now = client.head_object(Bucket=bucket, Key=key)
    assert now["VersionId"] != first["VersionId"]
    assert now["ContentType"] == first["ContentType"] == "message/rfc822"
    assert client.get_object_tagging(Bucket=bucket, Key=key)["TagSet"] == verdict["TagSet"]


def test_a_body_renewed_in_place_wakes_nobody(aws):  # noqa: F811
    """Announced as the stack does: every way to make an object, but a copy."""
    client, bucket, queue = aws("s3"), f"b{uuid.uuid4().hex}", aws.queue(f"w{uuid.uuid4().hex}")
    place = {"LocationConstraint": "eu-west-3"}
    client.create_bucket(Bucket=bucket, CreateBucketConfiguration=place)
    arn = aws("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
    told = [
        {"QueueArn": arn["Attributes"]["QueueArn"], "Events": [f"s3:ObjectCreated:{how}"]}
        for how in ARRIVING
    ]
    client.put_bucket_notification_configuration(
        Bucket=bucket, NotificationConfiguration={"QueueConfigurations": told}
    )
    store = S3Store(client, bucket)
    key = store.put_mail("app", MAIL, b"body")
    announced = keys_in(aws, queue)
    assert announced == [key]
    assert store.renew(key, datetime.now(UTC) + SOON) == {key: True}
    assert keys_in(aws, queue) == []


def keys_in(aws, queue):  # noqa: F811
    """Of the objects announced within two seconds; each is told once."""
    found, until = [], time.monotonic() + 2
    while time.monotonic() < until:
        for each in aws.receive(queue):
            body = json.loads(each["Body"])
            found += [record["s3"]["object"]["key"] for record in body.get("Records", ())]
            aws("sqs").delete_message(QueueUrl=queue, ReceiptHandle=each["ReceiptHandle"])
    return found


# --- Patients


def test_a_current_matricule_finds_its_record(patients):
    assert patients.find("ch", THEO.matricule, THEO.oid) == (THEO.record,)


def test_an_alias_finds_its_holder_too_in_ipp_order(patients):
    found = patients.find("ch", LEA.matricule, LEA.oid)
    assert [record.ipp for record in found] == [LEA.ipp, YANN.ipp]


def test_the_same_number_under_another_oid_is_another_ins(patients):
    assert patients.find("ch", LEA.matricule, InsKind.NIR) == ()


def test_an_unknown_matricule_finds_nobody(patients):
    assert patients.find("ch", ANDRE.matricule, ANDRE.oid) == ()


def test_a_record_is_found_by_its_ipp(patients):
    assert patients.get("ch", YANN.ipp).aliases == ((LEA.matricule, LEA.oid),)
    assert patients.get("ch", "nobody") is None


def test_twins_are_equal_up_to_separators_and_active(patients):
    asked = replace(THEO.traits, birth_name="benezard de l aubepinede")
    assert [record.ipp for record in patients.twins("ch", asked)] == [THEO.ipp, "900104"]
    assert patients.twins("ch", SAMIR.traits) == ()


def test_an_updated_record_leaves_no_stale_pointer(aws):  # noqa: F811
    base = DynamoPatients(aws("dynamodb"), new_table(aws))
    base.put("ch", [LEA.record])
    base.put("ch", [replace(LEA.record, matricule=YANN.matricule)])
    assert base.find("ch", LEA.matricule, LEA.oid) == ()
    assert base.find("ch", YANN.matricule, LEA.oid)[0].ipp == LEA.ipp
    assert base.find("other", YANN.matricule, LEA.oid) == ()


def test_no_key_of_the_patient_base_holds_a_matricule_or_a_name(aws):  # noqa: F811
    name = new_table(aws)
    DynamoPatients(aws("dynamodb"), name).put("ch", [LEA.record])
    items = aws("dynamodb").scan(TableName=name)["Items"]
    keys = " ".join(item["pk"]["S"] + item["sk"]["S"] for item in items)
    assert len(items) == 3
    assert not any(word in keys for word in (LEA.matricule, LEA.birth_name, LEA.ipp))


# --- Jobs


def test_a_job_is_sent_and_read_back(aws):  # noqa: F811
    queue, dlq = aws.queue_with_dlq("jobs")
    jobs = SqsJobs(aws("sqs"), {Step.PUSH: queue}, {Step.PUSH: dlq})
    jobs.send(Step.PUSH, Job(MAIL, 2))
    [message] = aws.receive(queue)
    assert load(message["Body"]) == Job(MAIL, 2)


def test_a_push_takes_the_lane_of_its_dpi_and_every_other_job_the_queue_of_its_step(aws):  # noqa: F811
    queue, _ = aws.queue_with_dlq("push")
    lane, _ = aws.queue_with_dlq("push-chi")
    jobs = SqsJobs(aws("sqs"), {Step.PUSH: queue, Step.MATCH: queue}, {}, {"chi": lane})
    jobs.send(Step.PUSH, Job(MAIL, 1), "chi")
    jobs.send(Step.PUSH, Job(MAIL, 2), "new")
    jobs.send(Step.MATCH, Job(MAIL), "chi")
    assert [load(each["Body"]) for each in aws.receive(lane)] == [Job(MAIL, 1)]
    found = {load(each["Body"]) for _ in range(2) for each in aws.receive(queue)}
    assert found == {Job(MAIL), Job(MAIL, 2)}


def test_a_job_with_a_delay_is_not_seen_before(aws):  # noqa: F811
    queue, _ = aws.queue_with_dlq("late")
    started = time.monotonic()
    SqsJobs(aws("sqs"), {Step.PUSH: queue}, {}).send(Step.PUSH, Job(MAIL, 1), delay_s=2)
    [message] = aws.receive(queue, wait=5)
    assert load(message["Body"]) == Job(MAIL, 1)
    assert time.monotonic() - started > 1.8


def test_a_failed_job_waits_in_the_lane_that_it_came_from(aws):  # noqa: F811
    queue, _ = aws.queue_with_dlq("push-a")
    lane, _ = aws.queue_with_dlq("push-a-chi")
    jobs = SqsJobs(aws("sqs"), {Step.PUSH: queue}, {}, {"chi": lane})
    jobs.send(Step.PUSH, Job(MAIL, 1), "chi")
    [message] = aws.receive(lane)
    jobs.postpone(lane.rpartition("/")[2], message["ReceiptHandle"], 0)
    assert len(aws.receive(lane)) == 1
    jobs.postpone("some-dlq", message["ReceiptHandle"], 0)  # not ours to postpone


def test_a_job_for_review_carries_its_reason(aws):  # noqa: F811
    _, dlq = aws.queue_with_dlq("jobs-review")
    SqsJobs(aws("sqs"), {}, {Step.PUSH: dlq}).to_review(Step.PUSH, Job(MAIL), Reason.BOUNCED)
    [message] = aws.receive(dlq)
    assert message["MessageAttributes"]["reason"]["StringValue"] == "PFI-MAIL-07"


def test_a_queue_that_a_step_may_not_use_is_a_misconfiguration(aws):  # noqa: F811
    with pytest.raises(Misconfigured, match="PFI-EDGE-07"):
        SqsJobs(aws("sqs"), {}, {}).send(Step.PUSH, Job(MAIL))


def test_of_two_writers_of_one_record_no_pointer_of_the_slower_one_stays(aws):  # noqa: F811
    base = DynamoPatients(aws("dynamodb"), new_table(aws))
    base.put("ch", [LEA.record])
    read = base.read("ch", [LEA.ipp])
    base.put("ch", [replace(LEA.record, status="PROV", matricule=YANN.matricule)])

    class Late(DynamoPatients):
        """Has read before the other wrote."""

        def read(self, establishment, ipps, message=""):
            return stale.pop() if stale else super().read(establishment, ipps, message)

    stale = [read]
    Late(base.client, base.table).put("ch", [replace(LEA.record, matricule=THEO.matricule)])
    assert base.find("ch", LEA.matricule, LEA.oid) == ()
    assert base.find("ch", YANN.matricule, LEA.oid) == ()
    assert base.find("ch", THEO.matricule, LEA.oid)[0].ipp == LEA.ipp
