"""One laptop for the whole folder: the real CDK deploys once, all tests run in one worker."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from infra.cli.report import MailReport
from infra.local.demo import Demo
from infra.local.hospital import (
    DEMO_ESTABLISHMENT,
    DEMO_FALLBACK,
    DEMO_MAILBOX,
    settings_of,
)
from infra.local.laptop import Laptop
from pfi.journey.jobs import Job
from pfi.journey.settings import RetrySettings, Settings
from pfi.names import Environment
from tests.contracts.emulator_fixture import let_topics_send, queue_arn
from tests.journeys.canary import CANARIES
from tests.journeys.letters import CATALOGUE, Case
from tests.journeys.stage import Stage

HERE = Path(__file__).parent
_STAGE = pytest.StashKey[Stage]()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE) and not item.get_closest_marker("xdist_group"):
            item.add_marker(pytest.mark.xdist_group("laptop"))


def hospital() -> Settings:
    """The demo's mailbox; one without fallback; one whose DPI gets nothing twice and soon."""
    settings = settings_of(Environment.TEST, DEMO_MAILBOX, DEMO_FALLBACK)
    [usual], [dpi] = settings.mailboxes, settings.dpis
    direct = replace(usual, id="direct", address="pfi.direct@ch-demo.mssante.test", fallback="")
    careful = replace(
        usual, id="prudent", address="pfi.prudent@ch-demo.mssante.test", dpi="prudent"
    )
    return replace(
        settings,
        mailboxes=(usual, direct, careful),
        dpis=(dpi, replace(dpi, id="prudent", resend_on_unknown=0, hold_s=4)),
        retry=RetrySettings(unexpected_attempts=1),
    )


@pytest.fixture(scope="session")
def stage(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stage]:
    """Emulator, operator, DPI and the deployed stack, with patients and a listener to alarms.

    IAM is enforced: every journey passes with the rights of each function's own role, or fails.
    """
    folder = tmp_path_factory.mktemp("laptop")
    with Laptop(folder, hospital(), lambda _: None, strict=True) as laptop:
        patients = (*Demo().patients(), *(person.record for person in CANARIES))
        laptop.load_patients(DEMO_ESTABLISHMENT, patients)
        stage = Stage(laptop, _hear_alarms(laptop))
        stage.send("Match", Job(stage.lost).dump())
        request.config.stash[_STAGE] = stage
        yield stage


@pytest.fixture(scope="module", autouse=True)
def _the_account_closes(request: pytest.FixtureRequest) -> Iterator[None]:
    """After each file: every mail of every test so far is in exactly one place."""
    yield
    stage = request.config.stash.get(_STAGE, None)
    if stage is not None:
        assert stage.at_rest()
        proof = stage.proof(mailboxes=True)
        assert proof.closes, "\n".join(proof.sentences())


def _hear_alarms(laptop: Laptop) -> str:
    """A queue that subscribes to the topic of the alarms, as a pager would."""
    queue = str(laptop.client("sqs").create_queue(QueueName="astreinte")["QueueUrl"])
    let_topics_send(laptop.client("sqs"), queue)
    alarms = laptop.client("cloudwatch").describe_alarms()["MetricAlarms"]
    [topic] = {action for alarm in alarms for action in alarm["AlarmActions"]}
    laptop.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue_arn(queue))
    return queue


@pytest.fixture(scope="session")
def catalogue(stage: Stage) -> dict[str, tuple[Case, bytes, MailReport]]:
    """Every case of the catalogue, delivered once, in order, mailbox by mailbox."""
    built = [(case, case.build()) for case in CATALOGUE]
    found = {}
    for mailbox in dict.fromkeys(case.mailbox for case, _ in built):
        ours = [(case, raw) for case, raw in built if case.mailbox == mailbox]
        reports = stage.process(*(raw for _, raw in ours), mailbox=mailbox)
        for (case, raw), report in zip(ours, reports, strict=True):
            found[case.name] = (case, raw, report)
    return found
