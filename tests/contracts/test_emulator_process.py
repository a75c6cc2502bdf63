"""The emulator as a process: what survives it, what it leaves, what it says when it fails."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from infra.local import emulator as emulator_module
from infra.local.emulator import Emulator, EmulatorFailed, running
from tests.contracts.emulator_fixture import Aws, eventually

ROOT = Path(__file__).parents[2]
SLEEP = """
import time
def handle(event, context):
    time.sleep(60)
"""
PARENT = """
import sys, time
from pathlib import Path
from infra.local.emulator import Emulator
emulator = Emulator(Path(sys.argv[1]))
emulator.start()
print(emulator.pid, flush=True)
time.sleep(60)
"""


def fill(aws: Aws) -> str:
    """Something in each kind of store; the address of a queue."""
    queue = aws.queue("kept", VisibilityTimeout="900")
    for body in ("in flight", "waiting"):
        aws("sqs").send_message(QueueUrl=queue, MessageBody=body)
    aws("sqs").receive_message(QueueUrl=queue)
    aws("s3").create_bucket(
        Bucket="kept", CreateBucketConfiguration={"LocationConstraint": "eu-west-3"}
    )
    aws("s3").put_object(Bucket="kept", Key="mail", Body=b"\0\r\n")
    aws("dynamodb").create_table(
        TableName="kept",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    aws("dynamodb").put_item(TableName="kept", Item={"pk": {"S": "a"}, "n": {"N": "1"}})
    aws("ssm").put_parameter(Name="/kept", Value="v", Type="String")
    aws("secretsmanager").create_secret(Name="kept", SecretString="invented")
    aws.consumer("kept", SLEEP, aws.queue("unused"))
    return queue


def found(aws: Aws, queue: str) -> list[object]:
    """The same things again."""
    attributes = aws("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])
    names = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
    with aws("s3").get_object(Bucket="kept", Key="mail")["Body"] as body:
        content = body.read()
    return [
        *(attributes["Attributes"][name] for name in names),
        content,
        aws("dynamodb").get_item(TableName="kept", Key={"pk": {"S": "a"}})["Item"]["n"],
        aws("ssm").get_parameter(Name="/kept")["Parameter"]["Value"],
        aws("secretsmanager").get_secret_value(SecretId="kept")["SecretString"],
        len(aws("lambda").list_event_source_mappings()["EventSourceMappings"]),
    ]


KEPT = ["1", "1", b"\0\r\n", {"N": "1"}, "v", "invented", 1]


def test_everything_is_there_after_a_clean_stop(tmp_path: Path) -> None:
    with Emulator(tmp_path) as first, Aws(first.environment()) as aws:
        queue = fill(aws)
    with Emulator(tmp_path) as second, Aws(second.environment()) as aws:
        assert second.port == first.port
        assert found(aws, queue) == KEPT


def test_everything_older_than_a_snapshot_is_there_after_a_kill(tmp_path: Path) -> None:
    first = Emulator(tmp_path)
    first.start()
    with Aws(first.environment()) as aws:
        queue = fill(aws)
        filled = time.time()
        saved = tmp_path / "state" / "sqs.json"
        # Snapshots write service by service: the second one after the filling is complete.
        assert eventually(lambda: saved.exists() and saved.stat().st_mtime > filled + 2)
    time.sleep(0.5)
    first.kill()
    with Emulator(tmp_path) as second, Aws(second.environment()) as aws:
        assert found(aws, queue) == KEPT


def test_stopping_leaves_no_worker_behind_even_a_hanging_one(tmp_path: Path) -> None:
    emulator = Emulator(tmp_path)
    emulator.start()
    group = emulator.pid
    with Aws(emulator.environment()) as aws:
        aws.function("sleeper", SLEEP, timeout=60)
        aws("lambda").invoke(FunctionName="sleeper", InvocationType="Event", Payload=b"{}")
        assert eventually(lambda: list((tmp_path / "tmp").glob("ministack-lambda-*")))
        began = time.monotonic()
        emulator.stop()
    assert time.monotonic() - began < 5
    assert eventually(lambda: not _alive(group))  # a killed orphan waits for its reaper


def test_the_emulator_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as parent:
        assert parent.stdout
        group = int(parent.stdout.readline())
        assert running(tmp_path)
        parent.send_signal(signal.SIGKILL)
    assert eventually(lambda: not _alive(group))
    assert running(tmp_path) is None


def test_its_folder_is_private(tmp_path: Path) -> None:
    with Emulator(tmp_path / "new" / "emulator") as emulator:
        assert emulator.folder.stat().st_mode & 0o777 == 0o700
        assert (emulator.folder / "state").stat().st_mode & 0o777 == 0o700


@pytest.mark.skipif(sys.platform != "linux", reason="only there is all of 127.0.0.0/8 the loopback")
def test_it_listens_on_the_loopback_only(tmp_path: Path) -> None:
    with Emulator(tmp_path) as emulator, socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Free on any other address of this machine, so not bound to all of them.
        other.bind(("127.0.0.2", emulator.port))


def test_a_taken_port_is_said_in_one_sentence(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(EmulatorFailed, match=f"Le port {port} est déjà pris"):
            Emulator(tmp_path, port).start()


def test_a_port_that_another_program_takes_meanwhile_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ports = [taken.getsockname()[1], emulator_module.any_port()]
        monkeypatch.setattr(emulator_module, "_port", lambda *_: ports.pop(0))
        with Emulator(tmp_path) as emulator:
            assert emulator.port != taken.getsockname()[1]


def test_two_emulators_never_share_a_folder(tmp_path: Path) -> None:
    with (
        Emulator(tmp_path) as first,
        pytest.raises(EmulatorFailed, match="utilise déjà le dossier"),
    ):
        Emulator(tmp_path).start()
    assert first.pid == 0


def test_a_process_that_ends_at_once_shows_its_last_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text("raise SystemExit('cannot go on')")
    monkeypatch.setattr(emulator_module, "_PROCESS", broken)
    with pytest.raises(EmulatorFailed, match=r"a fini \(code 1\)(.|\n)*cannot go on"):
        Emulator(tmp_path / "folder").start()


def _alive(group: int) -> bool:
    """Whether any process of the group lives."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
