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
from tests.contracts.emulator_fixture import queue_arn
from tests.journeys.canary import CANARIES
from tests.journeys.letters import CATALOGUE, Case
from tests.journeys.stage import Stage

HERE = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
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
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Emulator, operator, DPI and the deployed stack, with patients and a listener to alarms."""
    with Laptop(tmp_path_factory.mktemp("laptop"), hospital(), lambda _: None) as laptop:
        patients = (*Demo().patients(), *(person.record for person in CANARIES))
        laptop.load_patients(DEMO_ESTABLISHMENT, patients)
        stage = Stage(laptop, _hear_alarms(laptop))
        stage.send("Match", Job(stage.lost).dump())
        yield stage


def _hear_alarms(laptop: Laptop) -> str:
    """A queue that subscribes to the topic of the alarms, as a pager would."""
    queue = str(laptop.client("sqs").create_queue(QueueName="astreinte")["QueueUrl"])
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
