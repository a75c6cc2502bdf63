"""Patient files into the real table: as on the double, killed, in bounded memory, dropped."""

import json
import os
import uuid
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from infra.local.emulator import Emulator
from infra.local.invented.identities import identities
from infra.operations.base_export import export_base
from infra.operations.base_quality import Finding, quality
from infra.operations.patients import load_file, patient_file, ports_on, records_by_ipp
from pfi.adapters.loads import S3Drops, raws
from pfi.edge.load import load_dropped
from pfi.errors import Unavailable
from pfi.ins.patient_lines import Fault, Flaw, Format
from pfi.journey.outcome import Log, Metric
from tests.contracts.emulator_fixture import Aws, aws, emulator  # noqa: F401 - fixtures
from tests.contracts.test_patient_base import NIA, calls_of, new_base
from tests.data.builders import LEA, SAMIR, THEO, YANN, patient_csv
from tests.performance import patient_base as measured

COUNT = int(os.environ.get("PFI_LOAD_COUNT", "20000"))
AS_OF = datetime(2026, 5, 14, 2, 0, tzinfo=UTC)


def loaded(base, path: Path, establishment="ch", as_of=AS_OF):
    with ports_on(base.client, base.table) as ports:
        return load_file(patient_file(path, as_of), establishment, ports, lambda _: None)


def records(base, establishment="ch"):
    return {each.kept.record.ipp: each.kept.record for each in base.every(establishment)}


@pytest.fixture
def base(aws):  # noqa: F811 - a fixture
    return new_base(aws)


def test_several_writers_make_the_base_that_the_file_says(base, tmp_path):
    people = [*identities(2000), LEA, replace(YANN, ipp=LEA.ipp)]
    path = tmp_path / "base.csv"
    path.write_text(patient_csv(people), encoding="utf-8")
    done = loaded(base, path)
    assert (done.identities, done.written, done.refused) == (2002, 2001, 1)
    assert done.flaws == (Flaw(2003, "ipp", Fault.REPEATED),)
    found = records(base)
    own = [p for p in people[:-1] if not p.merged_into]
    assert {p.ipp: p.traits for p in own} == {p.ipp: found[p.ipp].traits for p in own}
    assert all(found[p.ipp].merged_into for p in people if p.merged_into)
    assert base.find("ch", LEA.matricule, LEA.oid) == (found[LEA.ipp],)


def test_a_load_of_thirty_identities_is_one_read_and_one_transaction(base, tmp_path):
    path = tmp_path / "base.csv"
    path.write_text(patient_csv([p for p in identities(60) if not p.merged_into][:30]))
    with calls_of(base.client) as seen, ports_on(base.client, base.table, 1) as ports:
        load_file(patient_file(path, AS_OF), "ch", ports, lambda _: None)
    assert seen["BatchGetItem"] == 1
    assert seen["TransactWriteItems"] == 1


def test_an_export_loads_into_an_equal_base(base, aws, tmp_path):  # noqa: F811 - a fixture
    first = tmp_path / "first.csv"
    first.write_text(patient_csv([*identities(300), NIA, SAMIR, THEO]))
    loaded(base, first)
    path = tmp_path / "export.ndjson"
    everybody = (each.kept.record for each in base.every("ch"))
    count, digest = export_base(everybody, path, Format.NDJSON, lambda _: None)
    assert count == 303
    assert path.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "export.ndjson.sha256").read_text() == f"{digest}  export.ndjson\n"
    other = new_base(aws)
    assert loaded(other, path).refused == 0
    assert records(other) == records(base)


def test_a_csv_export_says_what_its_columns_can_say(base, aws, tmp_path):  # noqa: F811 - a fixture
    first = tmp_path / "first.csv"
    first.write_text(patient_csv([*identities(100), SAMIR]))
    loaded(base, first)
    path = tmp_path / "export.csv"
    count, _ = export_base(
        (each.kept.record for each in base.every("ch")), path, Format.CSV, lambda _: None
    )
    other = new_base(aws)
    assert count == loaded(other, path).identities == 101
    without = {ipp: replace(each, aliases=()) for ipp, each in records(base).items()}
    assert {ipp: replace(each, aliases=()) for ipp, each in records(other).items()} == without


def test_the_quality_of_a_base_is_counted_by_establishment(base, tmp_path):
    path, elsewhere = tmp_path / "base.csv", tmp_path / "other.csv"
    path.write_text(
        patient_csv(
            [
                LEA,
                replace(LEA, ipp="2"),
                replace(YANN, status="PROV"),
                replace(THEO, key="00", birth_place="", birth_date="19000101"),
                replace(SAMIR, ipp="5", merged_into="6"),
                replace(SAMIR, ipp="7", merged_into="8"),
                replace(SAMIR, ipp="8", merged_into="7"),
                replace(SAMIR, ipp="9", body="", merged_into=""),
            ]
        )
    )
    elsewhere.write_text(patient_csv(list(identities(20))))
    loaded(base, path)
    loaded(base, elsewhere, "other")
    listed = []
    found = quality(
        base.every("ch"),
        lambda ipps: records_by_ipp(base, "ch", ipps),
        lambda finding, ipp: listed.append((finding, ipp)),
    )
    assert found.identities == 9  # the eight, and the one that 5 was merged into
    assert {
        finding: sorted(ipp for each, ipp in listed if each is finding)
        for finding in found.findings
        if finding is not Finding.TEST_INS
    } == {
        Finding.INS_HELD_TWICE: sorted(["2", LEA.ipp]),
        Finding.UNQUALIFIED: sorted([YANN.ipp, "6"]),
        Finding.VALI_WITHOUT_INS: ["9"],
        Finding.FALSE_KEY: [THEO.ipp],
        Finding.MISSING_BIRTH_PLACE: sorted([THEO.ipp, "6"]),
        Finding.PLACEHOLDER_DATE: [THEO.ipp],
        Finding.MERGED_IN_CIRCLE: ["7", "8"],
        **{
            each: ["6"]
            for each in (
                Finding.MISSING_BIRTH_NAME,
                Finding.MISSING_FIRST_GIVEN,
                Finding.MISSING_BIRTH_DATE,
                Finding.MISSING_SEX,
            )
        },
    }


def test_a_killed_load_of_a_large_file_goes_on_in_bounded_memory(tmp_path):
    """`PFI_LOAD_COUNT` makes it larger."""
    path = tmp_path / "patients.csv"
    with path.open("w", encoding="utf-8") as file:
        measured.write_csv(file, COUNT)
    with Emulator(tmp_path / "emulator") as running, Aws(running.environment()) as clients:
        measured.new_table(clients("dynamodb"))
        killed = measured.load(running.environment(), path, kill_at=COUNT // 2)
        resumed = measured.load(running.environment(), path)
        base = measured.DynamoPatients(clients("dynamodb"), measured.TABLE)
        assert measured.found_again(base, COUNT) == COUNT
        assert measured.units_of_a_look_up(clients("dynamodb"), measured.TABLE) == (1, 1.0)
    assert COUNT // 2 <= killed.lines < COUNT
    assert resumed.lines == COUNT + 1
    assert resumed.lines_read < COUNT
    assert max(killed.peak_mb, resumed.peak_mb) <= 1.15 * killed.first_mb


@pytest.fixture
def drops(aws):  # noqa: F811 - a fixture
    bucket = f"b{uuid.uuid4().hex}"
    place = {"LocationConstraint": "eu-west-3"}
    aws("s3").create_bucket(Bucket=bucket, CreateBucketConfiguration=place)
    return S3Drops(aws("s3"), bucket)


def test_a_dropped_file_is_read_on_from_any_line_of_the_same_version(drops):
    content = b"head\n" + b"".join(b"line %d\n" % n for n in range(1000))
    put = {"Bucket": drops.bucket, "Key": "imports/ch/a.csv"}
    drops.client.put_object(**put, Body=content)
    dropped = drops.looked_at(put["Key"])
    assert (dropped.head, dropped.size) == ([b"head\n", b"line 0\n"], len(content))
    with drops.opened(put["Key"], dropped, 5) as stream:
        whole = list(raws(stream, 5))
    assert b"".join(raw for raw, _ in whole) == content[5:]
    with drops.opened(put["Key"], dropped, whole[700][1]) as stream:
        assert list(raws(stream, whole[700][1])) == whole[701:]
    with drops.opened(put["Key"], dropped, len(content)) as stream:
        assert list(raws(stream, len(content))) == []
    drops.client.put_object(**put, Body=b"another\n")
    with pytest.raises(Unavailable), drops.opened(put["Key"], dropped, 5):
        pass


def service(base, drops, timeout_s):
    """What the function has, with so much time for a call."""
    mailbox = SimpleNamespace(establishment="ch")
    return SimpleNamespace(
        names=SimpleNamespace(timeout_s=timeout_s),
        settings=SimpleNamespace(mailboxes=(mailbox,), feeds=()),
        store=drops,
        patients=base,
        now=lambda: datetime.now(UTC),
    )


def report(drops, key):
    found = drops.client.get_object(Bucket=drops.bucket, Key=f"{key}.report.json")
    return json.loads(found["Body"].read())


def test_a_file_too_long_for_one_call_goes_on_in_the_next_one(base, drops):
    key, people = "imports/ch/a.csv", list(identities(3000))
    wrong = patient_csv([*people, replace(LEA, sex="H")]).encode()
    drops.client.put_object(Bucket=drops.bucket, Key=key, Body=wrong)
    told = [load_dropped(key, service(base, drops, 0)) for _ in range(4)]
    assert [done for _, done in told] == [False, False, False, True]
    assert [outcome.facts["lines"] for outcome, _ in told] == [1201, 2401, 3002, 3002]
    counts = Counter()
    for outcome, _ in told:
        counts.update(outcome.counts)
    assert counts == {Metric.IDENTITIES_LOADED: 3000, Metric.PATIENT_LINES_REFUSED: 1}
    assert report(drops, key)["listed"] == [{"line": 3002, "field": "sex", "fault": "form"}]
    assert len(records(base)) == 3000
    again, done = load_dropped(key, service(base, drops, 0))
    assert done
    assert again.counts[Metric.IDENTITIES_LOADED] == 0


def test_a_file_that_is_put_again_is_another_one(base, drops):
    key = "imports/ch/a.csv"
    drops.client.put_object(Bucket=drops.bucket, Key=key, Body=patient_csv([LEA]).encode())
    load_dropped(key, service(base, drops, 60))
    text = patient_csv([replace(LEA, status="PROV")])
    later = (datetime.now(UTC) + timedelta(minutes=1)).isoformat()
    body = f"# as_of={later}\n{text}".encode()
    drops.client.put_object(Bucket=drops.bucket, Key=key, Body=body)
    load_dropped(key, service(base, drops, 60))
    assert records(base)[LEA.ipp].status == "PROV"


@pytest.mark.parametrize(
    ("key", "content", "field"),
    [
        ("imports/other/a.csv", patient_csv([LEA]), "establishment"),
        ("imports/ch/a.csv", "ipp;status\n", "attributes"),
        ("imports/ch/a.csv", "# as_of=2999-01-01T00:00:00Z\n" + patient_csv([LEA]), "as_of"),
    ],
)
def test_a_file_that_cannot_be_meant_is_reported_once(base, drops, key, content, field):
    drops.client.put_object(Bucket=drops.bucket, Key=key, Body=content.encode())
    outcome, done = load_dropped(key, service(base, drops, 60))
    assert done
    assert outcome.log is Log.FILE_REFUSED
    assert report(drops, key)["listed"][0]["field"] == field
    assert records(base) == {}
