import time

from hypothesis import given
from hypothesis import strategies as st

from pfi.hl7.mllp import END, START, Deframer, frame, framed

messages = st.binary(max_size=40).filter(lambda m: not {0x0B, 0x1C} & set(m))


def test_a_message_is_framed_by_vt_and_fs_cr() -> None:
    assert frame(b"MSH") == b"\x0bMSH\x1c\r"


@given(st.lists(messages, min_size=1, max_size=5))
def test_a_message_in_pieces_is_framed_as_the_whole_would_be(pieces: list[bytes]) -> None:
    assert b"".join(framed(tuple(pieces))) == frame(b"".join(pieces))


def test_a_large_piece_is_framed_without_a_copy() -> None:
    document = bytes(1000)
    assert framed((b"MSH", document, b"|F"))[1] is document


@given(st.lists(messages, max_size=4), st.lists(st.integers(1, 60), min_size=1))
def test_messages_come_out_whole_however_the_stream_is_cut(
    sent: list[bytes], sizes: list[int]
) -> None:
    stream = b"".join(map(frame, sent))
    deframer, got, at, turn = Deframer(), list[bytes](), 0, 0
    while at < len(stream):
        size = sizes[turn % len(sizes)]
        got += deframer.feed(stream[at : at + size])
        at, turn = at + size, turn + 1
    assert got == sent
    assert deframer.pending == 0


def test_bytes_between_two_frames_are_dropped() -> None:
    assert Deframer().feed(b"junk" + frame(b"a") + b"\r\n" + frame(b"b") + b"x") == [b"a", b"b"]


def test_an_end_cut_in_two_is_found() -> None:
    deframer = Deframer()
    assert deframer.feed(START + b"a" + END[:1]) == []
    assert deframer.feed(END[1:]) == [b"a"]


def test_a_lone_fs_belongs_to_the_message() -> None:
    assert Deframer().feed(START + b"a\x1cb" + END) == [b"a\x1cb"]


def test_a_half_frame_stays_pending() -> None:
    deframer = Deframer()
    assert deframer.feed(START + b"abc") == []
    assert deframer.pending == 3


def test_many_small_pieces_take_linear_time() -> None:
    deframer, started = Deframer(), time.process_time()
    deframer.feed(START)
    for _ in range(20_000):
        deframer.feed(bytes(1000))
    assert len(deframer.feed(END)[0]) == 20_000_000
    assert time.process_time() - started < 3
