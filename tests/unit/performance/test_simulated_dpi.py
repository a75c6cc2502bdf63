"""What makes the simulated DPI fast changes nothing of what it reads and keeps."""

import json
import os
import threading
from collections import deque
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


class Pieces:
    """A connection on which a stream comes in pieces."""

    def __init__(self, stream: bytes, cuts: list[int]) -> None:
        ends = sorted({cut % (len(stream) + 1) for cut in cuts} | {0, len(stream)})
        self._pieces = deque(stream[a:b] for a, b in pairwise(ends))

    def recv_into(self, room: memoryview) -> int:
        piece = self._pieces.popleft() if self._pieces else b""
        now, later = piece[: len(room)], piece[len(room) :]
        if later:
            self._pieces.appendleft(later)
        room[: len(now)] = now
        return len(now)


def received(stream: bytes, cuts: list[int]) -> list[bytes]:
    connection: Any = Pieces(stream, cuts)
    return list(Wire(connection).messages())


@given(
    st.lists(st.binary(max_size=40).map(lambda b: b.replace(b"\x0b", b"").replace(b"\x1c", b"."))),
    st.lists(st.integers(0, 10_000), max_size=60),
)
@settings(max_examples=40, deadline=None)
def test_messages_come_out_however_the_stream_is_cut(bodies: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(b"noise" + frame(body) for body in bodies)
    assert received(stream, cuts) == bodies


def test_an_end_that_comes_in_two_pieces_is_an_end() -> None:
    stream = frame(b"one") + frame(b"two")
    assert received(stream, [*range(len(stream))]) == [b"one", b"two"]


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
    start = MESSAGE.index(b"^text^^Base64^") + len(b"^text^^Base64^")
    forged = MESSAGE[:start] + b"\x1f0" + MESSAGE[MESSAGE.index(b"|", start) :]
    fault = check(read(forged))
    assert fault is not None
    assert fault.location == "OBX^2^5"


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
    asked, write = threading.Event(), dpi_disk._write

    def full_once(path: str, content: bytes, flag: int) -> None:
        if path.endswith("first"):
            asked.wait()
            raise OSError(28, "no space left")
        write(path, content, flag)

    monkeypatch.setattr(dpi_disk, "_write", full_once)
    disk = Disk()
    disk.write((str(tmp_path / "first"), b"a"), (str(tmp_path / "index"), {"a": 1}))
    disk.write((str(tmp_path / "second"), b"b"))
    asked.set()
    with pytest.raises(OSError, match="no space"):
        disk.settle()
    with pytest.raises(OSError, match="no space"):
        disk.write((str(tmp_path / "third"), b"c"))
    assert list(tmp_path.iterdir()) == []
