"""What makes the simulated DPI fast changes nothing of what it reads and keeps."""

import json
import os
import socket
import threading
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.local import dpi_disk
from infra.local.dpi_disk import Disk
from infra.local.dpi_wire import Wire
from infra.local.mdm_profile import Segments, check, read
from pfi.hl7 import er7
from pfi.hl7.mllp import frame
from tests.unit.hl7.orders import order, written

CONTENT = os.urandom(30_000)
MESSAGE = written(order(content=CONTENT))


def received(stream: bytes, cuts: list[int]) -> list[bytes]:
    """The messages of a stream that comes in pieces."""
    near, far = socket.socketpair(socket.AF_UNIX)
    ends = sorted({cut % (len(stream) + 1) for cut in cuts} | {0, len(stream)})
    pieces = [stream[a:b] for a, b in pairwise(ends)]

    def send() -> None:
        with far:
            for piece in pieces:
                far.sendall(piece)

    sender = threading.Thread(target=send)
    sender.start()
    with near:
        messages = list(Wire(near).messages())
    sender.join()
    return messages


@given(
    st.lists(st.binary(max_size=40).map(lambda b: b.replace(b"\x0b", b"").replace(b"\x1c", b"."))),
    st.lists(st.integers(0, 10_000), max_size=6),
)
@settings(max_examples=40, deadline=None)
def test_messages_come_out_however_the_stream_is_cut(bodies: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(b"noise" + frame(body) for body in bodies)
    assert received(stream, cuts) == bodies


def test_a_message_longer_than_the_buffer_is_whole() -> None:
    bodies = [b"a" * 3_000_000, b"b", b"c" * 700_000]
    assert received(b"".join(map(frame, bodies)), []) == bodies


def test_the_document_is_set_aside_and_is_the_same() -> None:
    found = read(MESSAGE)
    assert found.decoded(found.first("OBX")) == CONTENT
    assert len(found.first("OBX").field(5)) < 40
    assert check(found) is None


def test_the_rest_is_read_as_without_it() -> None:
    found, plain = read(MESSAGE), Segments(er7.segments(MESSAGE.decode()), {})
    assert found.names == plain.names
    for name in {*found.names} - {"OBX"}:
        assert found.all_of(name) == plain.all_of(name)
    for mine, other in zip(found.all_of("OBX"), plain.all_of("OBX"), strict=True):
        assert found.decoded(mine) == plain.decoded(other)


@pytest.mark.parametrize("bad", [b"*", b"\r", b"=="])
def test_base64_that_is_not_one_clean_line_is_refused(bad: bytes) -> None:
    at = MESSAGE.index(b"^Base64^") + 100
    fault = check(read(MESSAGE[:at] + bad + MESSAGE[at:]))
    assert fault is not None


def test_a_message_with_the_mark_of_what_is_set_aside_is_read_as_it_is() -> None:
    message = MESSAGE.replace(b"HERMIT", b"\x1f0RMIT")
    assert "\x1f0RMIT" in read(message).first("PID").field(5)
    found = read(message)
    assert found.decoded(found.first("OBX")) == CONTENT


def test_the_disk_keeps_the_order_and_settles(tmp_path: Path) -> None:
    disk, path = Disk(), str(tmp_path / "index")
    for number in range(200):
        disk.write((path, {"number": number}))
    disk.settle()
    lines = Path(path).read_text().splitlines()
    assert [json.loads(line)["number"] for line in lines] == list(range(200))
    assert Path(path).stat().st_mode & 0o777 == 0o600


def test_a_disk_that_failed_takes_nothing_any_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "no space left")

    disk = Disk()
    with monkeypatch.context() as patched:
        patched.setattr(dpi_disk, "_write", full)
        disk.write((str(tmp_path / "a"), b"a"), (str(tmp_path / "index"), {"a": 1}))
        with pytest.raises(OSError, match="no space"):
            disk.settle()
    with pytest.raises(OSError, match="no space"):
        disk.write((str(tmp_path / "b"), b"b"))
    assert list(tmp_path.iterdir()) == []
