"""The `Store` suite, run on the double and on S3 in the emulator."""

import json
import time
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import TypeAdapter

from infra.aws.names import ARRIVING
from pfi.adapters.s3 import S3Store
from pfi.errors import Unavailable
from pfi.journey.keys import DOCUMENTS, INCOMING, dossier_key
from pfi.journey.reading import read_mail
from pfi.journey.records import Dossier
from tests.contracts.emulator_fixture import aws, emulator, queue_arn  # noqa: F401 - fixtures
from tests.data.builders import LEA, document, mail, xdm_zip
from tests.doubles.drive import HOSPITAL
from tests.doubles.memory import MemoryStore

MAIL = "a" * 64
KEY = dossier_key("app", MAIL)
FOLDER = KEY.removesuffix("dossier.json")


def new_bucket(client):
    bucket = f"b{uuid.uuid4().hex}"
    place = {"LocationConstraint": "eu-west-3"}
    client.create_bucket(Bucket=bucket, CreateBucketConfiguration=place)
    return bucket


@pytest.fixture(params=["double", "s3"])
def store(request):
    if request.param == "double":
        return MemoryStore()
    clients = request.getfixturevalue("aws")
    return S3Store(clients("s3"), new_bucket(clients("s3")))


def dossier_of(*entries, **options):
    """What parse learns of a mail, and the bytes of its documents."""
    reading = read_mail(mail(xdm_zip(list(entries)), **options), HOSPITAL.mailboxes[0], HOSPITAL)
    return reading.dossier, reading.contents


ONE = dossier_of(document(LEA))
TWO = dossier_of(document(LEA), document(LEA, document_id=("2.25.4", "A")))
OTHER, _ = dossier_of(document(LEA), subject="XDM/1.0/DDM+AUTRE")
NONE, _ = dossier_of()


# --- mails


def test_bytes_are_kept_exactly(store):
    raw = bytes(range(256)) * 5000
    key = store.put_mail("app", MAIL, raw)
    assert (key, store.get(key)) == (f"incoming/app/{MAIL}.eml", raw)


def test_bytes_arrive_with_the_moment_when_they_were_stored(store):
    before = datetime.now(UTC) - timedelta(seconds=1)  # S3 dates to the second
    key = store.put_mail("app", MAIL, raw := bytes(range(256)))
    found, stored_at = store.arrived(key)
    assert found == raw
    assert before <= stored_at <= datetime.now(UTC) + timedelta(seconds=1)
    assert store.arrived(key) == (raw, stored_at)


@pytest.mark.parametrize(
    "ask",
    [
        lambda store: store.get("incoming/app/x"),
        lambda store: store.arrived("incoming/app/x"),
        lambda store: store.dossier(KEY),
        lambda store: store.document(KEY, 1),
    ],
    ids=["get", "arrived", "dossier", "document"],
)
def test_what_is_not_there_is_unavailable_and_says_nothing_more(store, ask):
    with pytest.raises(Unavailable, match=r"^PFI-EDGE-04$"):
        ask(store)


# --- dossiers


@pytest.mark.parametrize(("dossier", "contents"), [ONE, TWO, (NONE, ())], ids=["1", "2", "0"])
def test_a_dossier_is_read_back_as_it_was_with_each_of_its_documents(store, dossier, contents):
    assert store.put_dossier(KEY, dossier, contents) is True
    assert store.dossier(KEY) == dossier
    assert len(contents) == len(dossier.documents)
    for number, content in enumerate(contents, start=1):
        assert store.document(KEY, number) == (dossier, content)


@pytest.mark.parametrize(
    "content",
    [b"\n", b"\n\n{}\n", b"<a/>\n", bytes(range(256)) * 5000, b"{}\n" * 40_000],
    ids=["newline", "newlines", "xml", "any byte", "lines"],
)
def test_a_single_document_is_kept_byte_for_byte_whatever_its_bytes(store, content):
    dossier, _ = ONE
    store.put_dossier(KEY, dossier, [content])
    assert store.document(KEY, 1) == (dossier, content)
    assert store.dossier(KEY) == dossier


@pytest.mark.parametrize("size", [1_000, 65_000, 70_000, 500_000])
def test_a_dossier_of_any_length_is_read_whole(store, size):
    long, contents = dossier_of(document(LEA), text="é" * size)
    for key, of in ((KEY, contents), (dossier_key("other", MAIL), (contents[0], contents[0]))):
        store.put_dossier(key, long, of)
        assert store.dossier(key) == long
        assert store.document(key, len(of)) == (long, contents[0])


def test_a_long_document_does_not_hide_a_short_dossier(store):
    dossier, _ = ONE
    store.put_dossier(KEY, dossier, [b"<a/>" * 100_000])
    assert store.dossier(KEY) == dossier


def test_a_dossier_that_is_there_stays_and_whoever_comes_second_is_told(store):
    (dossier, contents), (other, _) = ONE, (OTHER, ())
    assert store.put_dossier(KEY, dossier, contents)
    assert store.put_dossier(KEY, other, [b"other bytes"]) is False
    assert store.document(KEY, 1) == (dossier, contents[0])


def test_a_dossier_is_written_anew_only_when_so_asked(store):
    store.put_dossier(KEY, *ONE)
    assert store.put_dossier(KEY, OTHER, [b"other bytes"], anew=True) is True
    assert store.document(KEY, 1) == (OTHER, b"other bytes")
    assert store.put_dossier(KEY, ONE[0], ONE[1]) is False


@pytest.mark.parametrize("pair", [(ONE, TWO), (TWO, ONE)], ids=["more", "less"])
def test_a_dossier_written_anew_may_have_another_number_of_documents(store, pair):
    before, after = pair
    store.put_dossier(KEY, *before)
    store.put_dossier(KEY, *after, anew=True)
    found = [store.document(KEY, number) for number in range(1, len(after[1]) + 1)]
    assert found == [(after[0], content) for content in after[1]]


def test_a_dossier_that_is_written_anew_need_not_be_there(store):
    assert store.put_dossier(KEY, *TWO, anew=True) is True
    assert store.document(KEY, 2) == (TWO[0], TWO[1][1])


def test_the_dossiers_of_two_mailboxes_for_the_same_bytes_are_two(store):
    assert store.put_dossier(KEY, *TWO)
    assert store.put_dossier(dossier_key("other", MAIL), OTHER, [b"a", b"b"])
    assert store.document(KEY, 2) == (TWO[0], TWO[1][1])


@pytest.mark.parametrize("contents", [(b"<a/>",), (b"<a/>", b"<b/>")], ids=["1", "2"])
def test_what_version_0_2_stored_is_read(store, contents):
    """One JSON object without a newline, each document beside it, under the digest of the mail."""
    key = f"documents/{MAIL}/dossier.json"
    _store_as_0_2(store, key, contents)
    assert store.dossier(key) == TWO[0]
    for number, content in enumerate(contents, start=1):
        assert store.document(key, number) == (TWO[0], content)


def _store_as_0_2(store, key, contents):
    folder = key.removesuffix("dossier.json")
    documents = {f"{folder}{n:04}.xml": each for n, each in enumerate(contents, start=1)}
    if isinstance(store, MemoryStore):
        store.dossiers[key] = TWO[0]
        store.objects |= documents
        return
    body = TypeAdapter(Dossier).dump_json(TWO[0])
    assert b"\n" not in body
    for place, content in {**documents, key: body}.items():
        store.client.put_object(Bucket=store.bucket, Key=place, Body=content)


# --- lives that begin anew


PAST = timedelta(hours=-1)
SOON = timedelta(hours=1)


def held(store):
    """A mail and its dossier with two documents: keys of the mail, and of what was read."""
    raw = b"From: x\r\n\r\nbody"
    key = store.put_mail("app", MAIL, raw)
    store.put_dossier(KEY, *TWO)
    return key, {f"{FOLDER}0001.xml", f"{FOLDER}0002.xml", KEY}, raw


def test_what_is_young_is_found_and_left_alone(store):
    key, below, _ = held(store)
    assert store.renew("incoming/app/", datetime.now(UTC) + PAST) == {key: False}
    assert store.renew(FOLDER, datetime.now(UTC) + PAST) == dict.fromkeys(below, False)
    assert store.renew("documents/b", datetime.now(UTC) + SOON) == {}


def test_what_is_old_begins_its_life_anew_and_stays_what_it_was(store):
    key, below, raw = held(store)
    time.sleep(1.1)  # S3 dates to the second
    before = datetime.now(UTC)
    time.sleep(1.1)
    assert store.renew(FOLDER, before) == dict.fromkeys(below, True)
    assert store.renew(FOLDER, before) == dict.fromkeys(below, False)
    assert store.renew(key, before) == {key: True}
    assert store.get(key) == raw
    assert [store.document(KEY, n) for n in (1, 2)] == [(TWO[0], each) for each in TWO[1]]


def test_a_single_document_begins_its_life_anew_with_its_dossier(store):
    store.put_dossier(KEY, *ONE)
    assert store.renew(FOLDER, datetime.now(UTC) + SOON) == {KEY: True}
    assert store.document(KEY, 1) == (ONE[0], ONE[1][0])


def test_a_renewed_mail_keeps_its_type_its_verdict_and_its_encryption(aws):  # noqa: F811 - a fixture
    client = aws("s3")
    store = S3Store(client, bucket := new_bucket(client))
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    key = store.put_mail("app", MAIL, b"body")
    verdict = {"TagSet": [{"Key": "GuardDutyMalwareScanStatus", "Value": "NO_THREATS_FOUND"}]}
    client.put_object_tagging(Bucket=bucket, Key=key, Tagging=verdict)
    first = client.head_object(Bucket=bucket, Key=key)
    assert store.renew(key, datetime.now(UTC) + SOON) == {key: True}
    now = client.head_object(Bucket=bucket, Key=key)
    assert now["VersionId"] != first["VersionId"]
    assert now["ContentType"] == first["ContentType"] == "message/rfc822"
    assert client.get_object_tagging(Bucket=bucket, Key=key)["TagSet"] == verdict["TagSet"]


# --- what is announced


@pytest.fixture(params=["double", "s3"])
def announcing(request):
    """A store, and the keys that it announced since they were last asked for. As the stack does:
    of mails and dossiers every way to be made, but a copy."""
    if request.param == "double":
        store = MemoryStore()
        return store, lambda: _taken(store.arrivals) + _taken(store.read)
    clients = request.getfixturevalue("aws")
    store, queue = S3Store(clients("s3"), new_bucket(clients("s3"))), f"w{uuid.uuid4().hex}"
    url = clients.queue(queue)
    told = [
        {
            "QueueArn": queue_arn(url),
            "Events": [f"s3:ObjectCreated:{how}"],
            "Filter": {"Key": {"FilterRules": _rules(prefix=prefix, suffix=suffix)}},
        }
        for how in ARRIVING
        for prefix, suffix in ((INCOMING, ".eml"), (DOCUMENTS, "dossier.json"))
    ]
    store.client.put_bucket_notification_configuration(
        Bucket=store.bucket, NotificationConfiguration={"QueueConfigurations": told}
    )
    return store, lambda: keys_in(clients, url)


def _taken(keys):
    found = list(keys)
    keys.clear()
    return found


def _rules(**filters):
    return [{"Name": name, "Value": value} for name, value in filters.items()]


def keys_in(aws, queue):  # noqa: F811 - a fixture
    """Of the objects announced within two seconds; each is told once."""
    found, until = [], time.monotonic() + 2
    while time.monotonic() < until:
        for each in aws.receive(queue):
            body = json.loads(each["Body"])
            found += [record["s3"]["object"]["key"] for record in body.get("Records", ())]
            aws("sqs").delete_message(QueueUrl=queue, ReceiptHandle=each["ReceiptHandle"])
    return found


def test_a_body_renewed_in_place_wakes_nobody(announcing):
    store, announced = announcing
    key = store.put_mail("app", MAIL, b"body")
    store.put_dossier(KEY, *ONE)
    assert announced() == [key, KEY]
    for each in (key, KEY):
        assert store.renew(each, datetime.now(UTC) + SOON) == {each: True}
    assert announced() == []


def test_a_dossier_is_announced_once_however_many_its_documents(announcing):
    store, announced = announcing
    store.put_dossier(KEY, *TWO)
    assert announced() == [KEY]
    assert not store.put_dossier(KEY, *TWO)
    assert announced() == []


def test_a_dossier_that_is_written_anew_is_announced_again(announcing):
    store, announced = announcing
    store.put_dossier(KEY, *ONE)
    store.put_dossier(KEY, *ONE, anew=True)
    assert announced() == [KEY, KEY]


def test_whoever_sees_the_dossier_sees_its_documents(aws):  # noqa: F811 - a fixture
    client, bucket = aws("s3"), new_bucket(aws("s3"))
    written = []

    class Watched:
        """Notes in which order objects are made."""

        def put_object(self, **terms):
            written.append(terms["Key"].rpartition("/")[2])
            return client.put_object(**terms)

    store = S3Store(Watched(), bucket)
    store.put_dossier(KEY, *TWO)
    store.put_dossier(dossier_key("other", MAIL), *ONE)
    assert written == ["0001.xml", "0002.xml", "dossier.json", "dossier.json"]
