"""The data stage of SMTP, cut in bundles: the same bytes on the wire (RFC 5321 §4.5.2)."""

from hypothesis import given
from hypothesis import strategies as st

from pfi.adapters import smtp

LINES = st.lists(st.sampled_from([b"\r\n", b".", b"..", b"a", b"a" * 30, b".\r\n"]), max_size=40)


def at_once(content):
    """The rule on the whole mail."""
    first = b"." if content.startswith(b".") else b""
    end = b"" if not content or content.endswith(b"\r\n") else b"\r\n"
    return first + content.replace(b"\r\n.", b"\r\n..") + end + b".\r\n"


@given(LINES, st.integers(1, 50))
def test_bundles_of_lines_are_stuffed_as_the_whole_mail_would_be(lines, size):
    content, usual = b"".join(lines), smtp.PIECE
    smtp.PIECE = size
    try:
        pieces = list(smtp._stuffed(content))
    finally:
        smtp.PIECE = usual
    assert b"".join(pieces) == at_once(content)
    assert all(piece.endswith(b"\r\n") for piece in pieces)


def test_lines_without_a_dot_are_sent_as_they_are():
    lines = b"QUJD" * 19 + b"\r\n"
    assert smtp._transparent(lines) is lines
