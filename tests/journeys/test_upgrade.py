"""A hospital upgrades while mails are on their way: every one of them settles.

The version before is deployed by its own sources, taken out of the history; the version of the
working tree is deployed over it, with mails waiting at each station.
"""

import io
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from infra.local.demo import Demo
from infra.local.deployer import ROOT
from infra.local.hospital import (
    DEMO_ESTABLISHMENT,
    DEMO_FALLBACK,
    DEMO_MAILBOX,
    settings_of,
)
from infra.local.laptop import Laptop, Times
from pfi.journey.records import MailRecord, MailState
from pfi.names import Environment, Integration, Route
from tests.data.builders import AISSATA, LEA, YANN
from tests.journeys.letters import enclosing, letter, written
from tests.journeys.stage import Stage, digest_of, eventually

BEFORE = "890d36830b49005b96413605428200b76a7d7059"
"""The last commit of version 0.1.0."""


def sources_before(folder: Path) -> Path:
    """The sources of version 0.1.0; what they need is installed here."""
    git = ["git", "-C", str(ROOT), "archive", BEFORE]
    found = subprocess.run(git, capture_output=True, check=False)
    if found.returncode:
        pytest.fail(
            f"version 0.1.0 (commit {BEFORE}) is not in the history of this clone; fetch the whole "
            f"history (git fetch --unshallow): {found.stderr.decode(errors='replace').strip()}"
        )
    with tarfile.open(fileobj=io.BytesIO(found.stdout)) as archive:
        archive.extractall(folder, filter="data")
    for installed in (".venv", "node_modules"):
        (folder / installed).symlink_to(ROOT / installed)
    return folder


@pytest.fixture
def old(tmp_path: Path) -> Iterator[Stage]:
    """A laptop with version 0.1.0 on it, whose DPI may be away for long."""
    settings = settings_of(Environment.TEST, DEMO_MAILBOX, DEMO_FALLBACK)
    settings = replace(settings, feeds=())  # 0.1.0 knows no identity feed
    sources = sources_before(tmp_path / "before")
    patient = Times(hold=600)
    with Laptop(
        tmp_path / "laptop", settings, lambda _: None, times=patient, root=sources
    ) as laptop:
        laptop.load_patients(DEMO_ESTABLISHMENT, Demo().patients())
        yield Stage(laptop)


def hold(stage: Stage, *steps: str, back: bool = False) -> None:
    """These steps take nothing out of their queues, or do again."""
    client = stage.laptop.client("lambda")
    for step in steps:
        found = client.list_event_source_mappings(FunctionName=f"pfi-{step}")
        for mapping in found["EventSourceMappings"]:
            client.update_event_source_mapping(UUID=mapping["UUID"], Enabled=back)


@dataclass
class Flight:
    """Mails that version 0.1.0 left on their way, by where each was."""

    stage: Stage
    mails: dict[str, str] = field(default_factory=dict)

    def sent_and_answer_lost(self) -> None:
        """The DPI holds it and its answer never came."""
        entry = written(LEA)
        rule = {"document": entry.unique_id, "answer": "ACCEPT_THEN_DROP", "times": 1}
        with self.stage.dpi_plays(rule):
            self.mails["lost answer"] = self.stage.put(letter(entry))
            assert eventually(lambda: self.stage.received_by_dpi(entry.unique_id))
            self.stage.laptop.dpi.stop()

    def waiting_for_the_dpi(self) -> None:
        """A first version and its replacement, one behind the other."""
        first = written(YANN)
        later = written(YANN, version="2", parent=first.unique_id, action="C")
        self.mails["push"] = self.stage.put(letter(first))
        assert eventually(lambda: self.waits("push"))
        self.mails["push, replacement"] = self.stage.put(letter(later))
        assert eventually(lambda: self.waits("push, replacement"))

    def before(self, step: str, raw: bytes) -> None:
        """A job in the queue of a step that takes none."""
        hold(self.stage, step)
        self.mails[step] = self.stage.put(raw)
        assert eventually(lambda: self.stage.depths("Queue")[step.capitalize()] > 0)

    def uncollected(self, raw: bytes) -> None:
        """Still in the mailbox."""
        self.stage.laptop.operator.store.deliver(DEMO_MAILBOX, raw)
        self.mails["mailbox"] = digest_of(raw)

    def waits(self, where: str) -> bool:
        """Its document is decided, and not sent."""
        known = self.stage.ledger.document(self.mails[where], 1)
        return known is not None and known.record.integration is Integration.WAITING

    def routes(self) -> dict[str, Route | None]:
        """Where each mail ended."""
        found = {where: self._route(mail) for where, mail in self.mails.items()}
        assert None not in found.values(), f"{found}\n{self.stage.diagnosis()}"
        return found

    def _route(self, mail: str) -> Route | None:
        def ended() -> MailRecord | None:
            known = self.stage.ledger.mail(mail)
            return known.record if known and known.record.state is MailState.SETTLED else None

        record = eventually(ended, 60)
        return record.route if record else None


def test_mails_in_flight_at_every_station_settle_after_the_upgrade(old):
    flight = Flight(old)
    flight.sent_and_answer_lost()
    flight.waiting_for_the_dpi()
    flight.before("forward", enclosing(None))
    flight.before("match", letter(written(AISSATA)))
    flight.before("parse", letter(written(LEA)))
    flight.uncollected(letter(written(YANN)))

    old.laptop.install(ROOT)
    old.laptop.configure(old.laptop.settings)
    hold(old, "forward", "match", "parse", back=True)
    old.laptop.dpi.start()
    old.collect()

    assert flight.routes() == {
        where: Route.FORWARDED if where == "forward" else Route.INTEGRATED for where in flight.mails
    }
    assert old.laptop.dpi.duplicates >= 1, "the lost answer was asked for again, with its bytes"
    assert len(old.laptop.dpi.accepted) == len(flight.mails) - 1
    assert old.at_rest()


def test_a_history_without_the_version_before_is_told_and_not_skipped(tmp_path, monkeypatch):
    monkeypatch.setattr("tests.journeys.test_upgrade.BEFORE", "0" * 40)
    with pytest.raises(pytest.fail.Exception, match="fetch the whole history"):
        sources_before(tmp_path)
