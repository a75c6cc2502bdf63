"""The local ports of the end-to-end comparison: what is decided is on the disk."""

import sqlite3
from pathlib import Path

from pfi.journey.jobs import Job
from pfi.journey.ledger import Ledger
from pfi.names import Step
from tests.data.builders import LEA, document, mail, xdm_zip
from tests.doubles.drive import Drive
from tests.performance import durable


def test_all_that_the_steps_decided_is_on_the_disk(tmp_path: Path) -> None:
    drive, disk = Drive(), durable.Disk(tmp_path)
    ports = drive.ports
    ports.table, ports.store, ports.jobs = (
        durable.Table(disk), durable.store(disk), durable.jobs(disk),
    )  # fmt: skip
    ports.store.now = drive.clock
    drive.ledger = Ledger(ports.table, drive.clock)
    drive.process(mail(xdm_zip([document(LEA)])))
    disk.close()
    again = durable.Disk(tmp_path)
    assert len(ports.hospital.accepted) == 1
    assert again.names("row") == {" ".join(key) for key in ports.table.rows}
    assert again.names("dossier") == set(ports.store.dossiers)
    written = {path.name: path.read_bytes() for path in tmp_path.glob("*_*")}
    assert written == {key.replace("/", "_"): body for key, body in ports.store.objects.items()}
    assert not any(again.names(f"job {step.value}") for step in Step)


def test_a_job_is_on_the_disk_until_it_is_taken(tmp_path: Path) -> None:
    disk = durable.Disk(tmp_path)
    queue = durable.jobs(disk).queues[Step.PUSH]
    queue.append(Job("0" * 64, 1))
    with sqlite3.connect(tmp_path / "journal.sqlite") as other:
        assert other.execute("SELECT count(*) FROM kept").fetchone() == (1,)
    queue.popleft()
    assert not disk.names("job push")
