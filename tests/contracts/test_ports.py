"""One suite per port, run on the double and on the real adapter in the emulator: the patient base
and the queues here, the ledger in `test_table`, the store in `test_store`.

A double that drifts from what it stands for would make every test above it worthless.
"""

import time
from dataclasses import replace

import pytest

from pfi.adapters.csv_patients import ListedPatients
from pfi.adapters.patients import DynamoPatients
from pfi.adapters.sqs import SqsJobs
from pfi.errors import Misconfigured
from pfi.ins.identity import InsKind
from pfi.journey.jobs import Job, load
from pfi.names import Reason, Step
from tests.contracts.emulator_fixture import aws, emulator  # noqa: F401 - fixtures
from tests.contracts.test_table import new_table
from tests.data.builders import ANDRE, LEA, SAMIR, THEO, YANN

MAIL = "a" * 64


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


def test_an_updated_record_leaves_no_stale_pointer(aws):  # noqa: F811 - a fixture
    base = DynamoPatients(aws("dynamodb"), new_table(aws))
    base.put("ch", [LEA.record])
    base.put("ch", [replace(LEA.record, matricule=YANN.matricule)])
    assert base.find("ch", LEA.matricule, LEA.oid) == ()
    assert base.find("ch", YANN.matricule, LEA.oid)[0].ipp == LEA.ipp
    assert base.find("other", YANN.matricule, LEA.oid) == ()


def test_no_key_of_the_patient_base_holds_a_matricule_or_a_name(aws):  # noqa: F811 - a fixture
    name = new_table(aws)
    DynamoPatients(aws("dynamodb"), name).put("ch", [LEA.record])
    items = aws("dynamodb").scan(TableName=name)["Items"]
    keys = " ".join(item["pk"]["S"] + item["sk"]["S"] for item in items)
    assert len(items) == 3
    assert not any(word in keys for word in (LEA.matricule, LEA.birth_name, LEA.ipp))


# --- Jobs


def test_a_job_is_sent_and_read_back(aws):  # noqa: F811 - a fixture
    queue, dlq = aws.queue_with_dlq("jobs")
    jobs = SqsJobs(aws("sqs"), {Step.PUSH: queue}, {Step.PUSH: dlq})
    jobs.send(Step.PUSH, Job(MAIL, 2, ("b" * 64,)))
    [message] = aws.receive(queue)
    found = load(message["Body"])
    assert (found, found.chains) == (Job(MAIL, 2), ("b" * 64,))


def test_a_push_takes_the_lane_of_its_dpi_and_every_other_job_the_queue_of_its_step(aws):  # noqa: F811 - a fixture
    queue, _ = aws.queue_with_dlq("push")
    lane, _ = aws.queue_with_dlq("push-chi")
    jobs = SqsJobs(aws("sqs"), {Step.PUSH: queue, Step.MATCH: queue}, {}, {"chi": lane})
    jobs.send(Step.PUSH, Job(MAIL, 1), "chi")
    jobs.send(Step.PUSH, Job(MAIL, 2), "new")
    jobs.send(Step.MATCH, Job(MAIL), "chi")
    assert [load(each["Body"]) for each in aws.receive(lane)] == [Job(MAIL, 1)]
    found = {load(each["Body"]) for _ in range(2) for each in aws.receive(queue)}
    assert found == {Job(MAIL), Job(MAIL, 2)}


def test_a_job_with_a_delay_is_not_seen_before(aws):  # noqa: F811 - a fixture
    queue, _ = aws.queue_with_dlq("late")
    started = time.monotonic()
    SqsJobs(aws("sqs"), {Step.PUSH: queue}, {}).send(Step.PUSH, Job(MAIL, 1), delay_s=2)
    [message] = aws.receive(queue, wait=5)
    assert load(message["Body"]) == Job(MAIL, 1)
    assert time.monotonic() - started > 1.8


def test_a_failed_job_waits_in_the_lane_that_it_came_from(aws):  # noqa: F811 - a fixture
    queue, _ = aws.queue_with_dlq("push-a")
    lane, _ = aws.queue_with_dlq("push-a-chi")
    jobs = SqsJobs(aws("sqs"), {Step.PUSH: queue}, {}, {"chi": lane})
    jobs.send(Step.PUSH, Job(MAIL, 1), "chi")
    [message] = aws.receive(lane)
    jobs.postpone(lane.rpartition("/")[2], message["ReceiptHandle"], 0)
    assert len(aws.receive(lane)) == 1
    jobs.postpone("some-dlq", message["ReceiptHandle"], 0)  # not ours to postpone


def test_a_job_for_review_carries_its_reason(aws):  # noqa: F811 - a fixture
    _, dlq = aws.queue_with_dlq("jobs-review")
    SqsJobs(aws("sqs"), {}, {Step.PUSH: dlq}).to_review(Step.PUSH, Job(MAIL), Reason.BOUNCED)
    [message] = aws.receive(dlq)
    assert message["MessageAttributes"]["reason"]["StringValue"] == "PFI-MAIL-07"


def test_a_queue_that_a_step_may_not_use_is_a_misconfiguration(aws):  # noqa: F811 - a fixture
    with pytest.raises(Misconfigured, match="PFI-EDGE-07"):
        SqsJobs(aws("sqs"), {}, {}).send(Step.PUSH, Job(MAIL))


def test_of_two_writers_of_one_record_no_pointer_of_the_slower_one_stays(aws):  # noqa: F811 - a fixture
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
