"""A mail that waits for a person keeps its body: `retain` renews it in place and wakes nobody."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.data.builders import LEA
from tests.journeys.letters import letter, written
from tests.journeys.stage import Stage, eventually

FUNCTION = "pfi-retain"


@contextmanager
def bodies_kept_for_a_day(stage: Stage) -> Iterator[None]:
    """Half of one whole day is none: what waits is renewed at once."""
    functions = stage.laptop.client("lambda")
    told = functions.get_function_configuration(FunctionName=FUNCTION)["Environment"]["Variables"]

    def tell(variables: dict[str, str]) -> None:
        functions.update_function_configuration(
            FunctionName=FUNCTION, Environment={"Variables": variables}
        )

    tell({**told, "PFI_MAIL_DAYS": "1"})
    try:
        yield
    finally:
        tell(told)


def retained(stage: Stage) -> dict[str, object]:
    """The end of a run, as the clock asks for it: again, if the emulator lost the line of one."""
    before = len(stage.told("BODIES_RETAINED"))

    def told() -> bool:
        return len(stage.told("BODIES_RETAINED")) > before

    def run() -> bool:
        answer = stage.laptop.client("lambda").invoke(FunctionName=FUNCTION, Payload=b"{}")
        assert "FunctionError" not in answer
        return eventually(told, 10)

    assert eventually(run, 60)
    return stage.told("BODIES_RETAINED")[-1]


def versions(stage: Stage, key: str) -> int:
    s3, bucket = stage.laptop.client("s3"), stage.laptop.outputs["BucketName"]
    return len(s3.list_object_versions(Bucket=bucket, Prefix=key)["Versions"])


def parsed(stage: Stage, mail: str) -> int:
    return sum(line["service"] == "parse" and line.get("mail") == mail for line in stage.told())


@pytest.fixture(scope="module")
def waits(stage: Stage) -> str:
    """From outside the trust space: kept for a person."""
    [report] = stage.process(letter(written(LEA), sender="labo@ailleurs.example"))
    assert stage.reviews(report.mail)
    return report.mail


def test_a_mail_in_review_is_renewed_and_one_that_ended_is_not(stage, waits):
    [ended] = stage.process(letter(written(LEA)))
    keys = {mail: stage.ledger.mail(mail).record.key for mail in (waits, ended.mail)}
    before, heard = stage.objects()[keys[waits]], parsed(stage, waits)
    with bodies_kept_for_a_day(stage):
        end = retained(stage)
    assert (end["failed"], end["left"]) == (0, 0)
    assert end["renewed"] >= 1
    assert versions(stage, keys[waits]) > versions(stage, keys[ended.mail]) == 1
    assert stage.objects()[keys[waits]] == before
    # A mail that comes later has been read: by then a copy would have been announced too.
    stage.process(letter(written(LEA)))
    assert parsed(stage, waits) == heard


def test_what_is_young_is_left_alone_and_what_is_gone_is_told(stage, waits):
    key = stage.ledger.mail(waits).record.key
    known = versions(stage, key)
    assert retained(stage)["renewed"] == 0
    assert versions(stage, key) == known
    s3, bucket = stage.laptop.client("s3"), stage.laptop.outputs["BucketName"]
    marker = s3.delete_object(Bucket=bucket, Key=key)["VersionId"]
    try:
        with bodies_kept_for_a_day(stage):
            assert retained(stage)["gone"] >= 1
    finally:
        s3.delete_object(Bucket=bucket, Key=key, VersionId=marker)
    assert waits in {each["mail"] for each in stage.told("BODY_GONE")}
    assert stage.reviews(waits)
    assert key in stage.objects()
