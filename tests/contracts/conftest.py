"""Slow tests go last: what they wait for is set going when the session begins."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from infra.local.emulator import Emulator
from tests.contracts.emulator_fixture import Aws, queue_arn

if TYPE_CHECKING:
    from collections.abc import Iterator

Schedule = tuple[Aws, str, float]
"""Clients, the queue that a rule of every minute writes to, and since when."""


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "slow: waits for a clock of the emulator (about a minute)")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=_slow)


@pytest.fixture(scope="session", autouse=True)
def schedule(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Schedule | None]:
    """Started with the first test of the session, in an emulator that nothing else disturbs."""
    if not any(map(_slow, request.session.items)):
        yield None
        return
    with (
        Emulator(tmp_path_factory.mktemp("schedule")) as emulator,
        Aws(emulator.environment()) as aws,
    ):
        queue = aws.queue("scheduled")
        aws("events").put_rule(Name="every-minute", ScheduleExpression="rate(1 minute)")
        target = {"Id": "queue", "Arn": queue_arn(queue)}
        aws("events").put_targets(Rule="every-minute", Targets=[target])
        yield aws, queue, time.monotonic()


def _slow(item: pytest.Item) -> bool:
    return item.get_closest_marker("slow") is not None
