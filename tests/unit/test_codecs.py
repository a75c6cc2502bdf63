"""Inflating, checksums and base64: the same with and without accelerators (decision 0024)."""

import base64
import binascii
import importlib.util
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pfi import codecs
from pfi.errors import PfiError
from pfi.journey.reading import read_mail
from pfi.mail import transfer
from pfi.xdm import archive
from tests.data.builders import LEA, document, mail, xdm_zip, zip_of
from tests.fuzz.seeds import MAILBOXES, SETTINGS

ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
JUNK = st.sampled_from([b"=", b"==", b"\r\n", b"\n", b" ", b"-", b"_", b"\0", b"\xff", b".", b"AB"])
WORDS = st.lists(st.binary(max_size=60), max_size=6)

pytestmark = pytest.mark.skipif(
    codecs.ACCELERATED != (True, True), reason="isal and pybase64 are not installed"
)


@contextmanager
def standard() -> Iterator[None]:
    """As where neither accelerator is installed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(codecs, "_zlib", zlib)
        patch.setattr(codecs, "_base64", None)
        yield


def both(run: Callable[[], object]) -> tuple[object, object]:
    """What comes out with the accelerators, and without."""
    with standard():
        plain = ended(run)
    return ended(run), plain


def ended(run: Callable[[], object]) -> object:
    try:
        return run()
    except PfiError as fault:
        return type(fault), fault.reason


def deflated(content: bytes, level: int = 6) -> bytes:
    packer = zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS)
    return packer.compress(content) + packer.flush()


def test_without_accelerators_the_standard_library_does_it_silently(monkeypatch):
    monkeypatch.setitem(sys.modules, "isal", None)
    monkeypatch.setitem(sys.modules, "pybase64", None)
    found = importlib.util.spec_from_file_location("codecs_alone", codecs.__file__)
    alone = importlib.util.module_from_spec(found)
    found.loader.exec_module(alone)
    assert alone.ACCELERATED == (False, False)
    assert alone.inflate(deflated(b"abc"), 3) == b"abc"
    assert alone.crc32(b"abc") == zlib.crc32(b"abc")
    assert alone.from_base64(alone.to_base64(b"abc")) == b"abc"


@given(st.binary(max_size=300))
def test_base64_is_written_the_same(content):
    fast, plain = both(lambda: codecs.to_base64(content))
    assert fast == plain == base64.b64encode(content)


@given(
    st.binary(max_size=200), st.sampled_from([b"\r\n", b"\n", b" \r\n", b""]), st.integers(1, 90)
)
def test_base64_in_lines_gives_what_was_encoded(content, between, width):
    text = base64.b64encode(content)
    lines = between.join(text[at : at + width] for at in range(0, len(text), width))
    assert both(lambda: transfer.from_base64(lines + between)) == (content, content)


@given(WORDS, st.lists(JUNK, max_size=6), st.randoms())
def test_base64_with_junk_anywhere_is_read_the_same(words, junk, order):
    pieces = [*(base64.b64encode(word) for word in words), *junk]
    order.shuffle(pieces)
    body = b"".join(pieces)
    fast, plain = both(lambda: transfer.from_base64(body))
    assert fast == plain


@given(st.text(max_size=80), st.integers(0, 40), st.integers(0, 90))
def test_base64_is_read_where_it_lies(text, start, length):
    body = text.encode() + base64.b64encode(text.encode())
    here = body[start : start + length]
    fast, plain = both(lambda: transfer.from_base64(body, start, start + length))
    assert fast == plain == transfer.from_base64(here)


def test_padding_inside_a_body_ends_it_as_the_standard_library_says():
    for body in (b"QUI=QUJD", b"QQ==QUJD", b"QUJD=QUJD", b"QQ==" + b"\r\n" * 60, b"QUI==\r\n=="):
        expected = binascii.a2b_base64(body)
        assert both(lambda body=body: codecs.from_base64(body)) == (expected, expected)


@given(st.binary(max_size=3000), st.integers(0, 9))
def test_a_sound_stream_is_inflated_the_same(content, level):
    packed = deflated(content * 3, level)
    assert both(lambda: codecs.inflate(packed, 3 * len(content))) == (content * 3, content * 3)


@given(st.binary(min_size=1, max_size=3000), st.integers(1, 40))
def test_a_cut_stream_is_none_for_both(content, cut):
    packed = deflated(content)
    shorter = packed[: max(0, len(packed) - cut)]
    assert both(lambda: codecs.inflate(shorter, len(content))) == (None, None)


@given(st.binary(min_size=1, max_size=3000), st.integers(1, 3000))
def test_a_stream_longer_than_announced_is_none_for_both(content, less):
    packed, announced = deflated(content), max(0, len(content) - less)
    assert both(lambda: codecs.inflate(packed, announced)) == (None, None)


def test_a_bomb_is_never_written_out():
    asked: list[int] = []

    class Watched:
        """An inflater that notes how much it may write."""

        error = zlib.error

        @staticmethod
        def decompressobj(bits):
            inflater = zlib.decompressobj(bits)

            class Inflater:
                eof = False

                def decompress(self, packed, most):
                    asked.append(most)
                    return inflater.decompress(packed, most)

            return Inflater()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(codecs, "_zlib", Watched)
        assert codecs.inflate(deflated(bytes(10_000_000)), 1000) is None
    assert asked == [1001]


def test_what_the_accelerator_refuses_is_asked_of_the_standard_library():
    class Refusing:
        """An accelerator that knows nothing."""

        class error(Exception):  # as zlib spells it
            pass

        @staticmethod
        def decompressobj(_bits):
            raise Refusing.error

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(codecs, "_zlib", Refusing)
        assert codecs.inflate(deflated(b"abc"), 3) == b"abc"


@given(st.binary(max_size=500))
def test_checksums_are_the_same(content):
    assert codecs.crc32(content) == zlib.crc32(content)


def test_a_damaged_archive_gives_the_same_files_or_the_same_reason():
    """Streams, directories, sizes and CRC-32 hit anywhere; the standard library is the judge."""
    source = zip_of([("A.XML", b"<a>" + b"texte " * 300 + b"</a>"), ("B.XML", bytes(range(256)))])
    seen = set()
    for seed in range(1500):
        random, out = Random(seed), bytearray(source)
        for _ in range(random.randint(1, 3)):
            out[random.randrange(len(out))] ^= 1 << random.randrange(8)
        fast, plain = both(lambda out=out: everything(bytes(out)))
        assert fast == plain, seed
        seen.add(fast[1] if isinstance(fast, tuple) else "read")
    assert len(seen) == 3  # read, unreadable, unsafe


def everything(content: bytes) -> list[bytes]:
    opened = archive.read(content)
    return [opened.read(name) for name in opened.names]


def test_a_mail_gives_the_same_dossier():
    for level in (1, 3):
        raw = mail(xdm_zip([document(LEA, level=level, payload=bytes(range(256)) * 400)]))
        fast, plain = both(lambda raw=raw: read_mail(raw, MAILBOXES[0], SETTINGS))
        assert fast == plain
        assert fast.contents
