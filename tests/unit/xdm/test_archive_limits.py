"""Whatever an honest archive holds: the limits decide before one byte is inflated (M-15)."""

import io
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st

from pfi import codecs
from pfi.errors import Unreadable
from pfi.xdm import archive
from pfi.xdm.archive import XdmLimits
from tests.data.builders import zip_of

_content = st.builds(
    lambda size, word: (word * (size // len(word) + 1))[:size],
    st.integers(0, 9_000),
    st.binary(min_size=1, max_size=400),
)
_limits = st.builds(
    XdmLimits,
    unzipped_bytes=st.integers(0, 20_000),
    entries=st.integers(1, 5),
    ratio=st.integers(1, 60),
    ratio_free_bytes=st.integers(0, 9_000),
)


@contextmanager
def nothing_is_inflated() -> Iterator[None]:
    with patch.object(codecs, "inflate", side_effect=AssertionError("inflated")):
        yield


def within(content: bytes, limits: XdmLimits) -> bool:
    """The rule, told of what the standard library sees."""
    with zipfile.ZipFile(io.BytesIO(content)) as other:
        files = [(each.file_size, each.compress_size) for each in other.infolist()]
    total = sum(size for size, _ in files)
    bombs = [
        size
        for size, packed in [*files, (total, len(content))]
        if size > limits.ratio_free_bytes and size > limits.ratio * max(packed, 1)
    ]
    return not bombs and len(files) <= limits.entries and total <= limits.unzipped_bytes


@given(st.lists(_content, max_size=6), _limits, st.booleans())
def test_an_archive_is_opened_within_its_limits_and_refused_beyond_without_inflating(
    contents: list[bytes], limits: XdmLimits, stored: bool
) -> None:
    packed = zip_of([(f"{n}.XML", each) for n, each in enumerate(contents)], stored=stored)
    with nothing_is_inflated():
        try:
            opened = archive.read(packed, limits)
        except Unreadable:
            opened = None
    assert (opened is not None) == within(packed, limits)
    if opened is not None:
        assert [opened.read(name) for name in opened.names] == contents
