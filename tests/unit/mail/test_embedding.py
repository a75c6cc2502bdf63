"""The original travels byte for byte in every outgoing mail (design decision 4, N-11, F-04)."""

import email
import re

import pytest

from pfi.mail import compose, mdn
from pfi.mail.inbound import read
from pfi.mail.outbound import Cause, ForwardStyle, Layout, failure_notice, forward
from pfi.names import Reason
from tests.unit.mail.awkward import FOUND, ORIGINALS, ZIP
from tests.unit.mail.letters import (
    FALLBACK,
    dispatch,
    head,
    inner_multipart,
    letter,
    lines,
    multipart,
    part,
    pdf_part,
    plain,
    zip_part,
)

CAUSE = Cause.of(Reason.UNKNOWN_PATIENT)
BUILDERS = {
    "forward": lambda d: forward(d, CAUSE, ForwardStyle(Layout.BOTH)),
    "notice": lambda d: failure_notice(d, CAUSE, reattach=True),
    "mdn": lambda d: mdn.error(d, CAUSE),
}


def by_our_reader(content):
    mail = read(content)
    assert mail.fault is None
    (found,) = [p for p in mail.parts if p.filename == "message_original.eml"]
    return found, mail.content(found)


def by_the_stdlib(content):
    """The stdlib gives the bytes of a leaf only, so the embedded type is renamed first."""
    opaque = content.replace(b"\nContent-Type: message/rfc822\r", b"\nContent-Type: x/y\r", 1)
    message = email.message_from_bytes(opaque)
    parts = [p for p in message.get_payload() if p.get_filename() == "message_original.eml"]
    assert len(parts) == 1
    return parts[0].get_payload(decode=True)


def safe_for_smtp(content):
    assert content.count(b"\r\n") == content.count(b"\n") == content.count(b"\r")
    assert b"\0" not in content
    assert max(map(len, content.split(b"\r\n"))) <= 998


@pytest.mark.parametrize("built", BUILDERS)
@pytest.mark.parametrize("name", ORIGINALS)
def test_an_awkward_original_comes_out_byte_for_byte(name, built):
    raw = ORIGINALS[name]
    content = BUILDERS[built](dispatch(raw)).content
    found, whole = by_our_reader(content)
    assert whole == raw
    assert by_the_stdlib(content) == raw
    safe_for_smtp(content)
    assert found.content_type in ("message/rfc822", "application/octet-stream")


def test_there_are_enough_awkward_originals():
    assert len(ORIGINALS) >= 65


VERBATIM = {"usual", "8-bit body", "does not end with a line end", "dots alone on lines", "mdn"}
OPAQUE = {
    "nothing",
    "bare LF",
    "bare CR",
    "CR CR LF",
    "nul bytes",
    "very long line",
    "header of 70 kB",
    "bare LF in the middle",
    "only a zip",
}


@pytest.mark.parametrize("name", sorted(VERBATIM | OPAQUE))
def test_a_message_is_verbatim_unless_a_relay_would_alter_it(name):
    """RFC 2046 §5.2.1: never base64 inside message/rfc822."""
    found, _ = by_our_reader(mdn.processed(dispatch(ORIGINALS[name])).content)
    if name in VERBATIM:
        assert found.content_type == "message/rfc822"
        assert found.encoding in ("7bit", "8bit")
    else:
        assert (found.content_type, found.encoding) == ("application/octet-stream", "base64")


def test_the_width_declared_is_that_of_the_original():
    found, _ = by_our_reader(mdn.processed(dispatch(letter())).content)
    assert found.encoding == "7bit"
    out = read(mdn.processed(dispatch(ORIGINALS["8-bit body"])).content)
    assert out.parts[2].encoding == out.header("content-transfer-encoding") == "8bit"


def test_the_boundary_never_occurs_in_the_original():
    """Even in an original made from the boundary that its own digest leads to."""
    content = mdn.processed(dispatch(plain("x"))).content
    line = re.search(rb'boundary="([^"]+)"', content)[1]
    raw = plain("x")
    wrapped = mdn.processed(dispatch(raw + b"\r\n--" + line + b"--\r\n")).content
    assert by_our_reader(wrapped)[1] == raw + b"\r\n--" + line + b"--\r\n"


def test_the_boundary_is_extended_until_it_is_absent():
    first = compose._boundary("o", [])
    second = compose._boundary("o", [b"x" + first + b"x"])
    assert first != second
    assert compose._boundary("o", [first, second]) not in (first, second)


@pytest.mark.parametrize("name", FOUND)
def test_the_loose_archive_is_the_archive_itself(name):
    out = read(forward(dispatch(FOUND[name], to=FALLBACK), CAUSE).content)
    contents = [out.content(p) for p in out.parts]
    assert any(c == ZIP or c.startswith(b"PK") for c in contents)


def _loose(*parts, layout=Layout.FLAT):
    raw = multipart([*parts], boundary="=_dehors")
    out = read(forward(dispatch(raw, to=FALLBACK), CAUSE, ForwardStyle(layout)).content)
    safe_for_smtp(out.raw)
    return [(p, out.raw[p.start : p.end]) for p in out.parts][1:]


def test_loose_attachments_keep_their_own_encoded_bytes():
    body = zip_part().partition(b"\r\n\r\n")[2]
    ((found, encoded),) = _loose(zip_part())
    assert encoded == body
    assert (found.content_type, found.filename) == ("application/zip", "IHE_XDM.zip")


def test_what_a_relay_would_alter_is_encoded_again():
    binary = part("application/zip; name=IHE_XDM.zip", ZIP, encoding="binary")
    ((found, encoded),) = _loose(binary)
    assert found.encoding == "base64"
    assert encoded.isascii()
    ((found, encoded),) = _loose(part("text/csv; name=a.csv", b"\xe9t\xe9", encoding="7bit"))
    assert (found.encoding, encoded) == ("base64", b"6XTp")


@pytest.mark.parametrize(
    ("fields", "kind", "name"),
    [
        (("application/pdf; name=a.pdf",), "application/pdf", "a.pdf"),
        (("application/pdf; name*=utf-8''%C3%A9t%C3%A9.pdf",), "application/pdf", "été.pdf"),
        (("application/pdf",), "application/pdf", "piece_jointe"),
        (("multipart/mixed; name=a",), "application/octet-stream", "a"),
        (("sans type; name=a.txt",), "text/plain", "a.txt"),
        (('application/x; name="a\\"b\\\\c"',), "application/x", "c"),
        (("application/x; name*=utf-8''a%0D%0ABcc:x",), "application/x", "a Bcc:x"),
        (("application/x; name*=utf-8''" + "%F0%9F%98%80" * 300 + ".pdf",), "application/x", None),
        (("application/" + "x" * 900 + "; name=b",), "application/octet-stream", "b"),
    ],
)
def test_attachments_get_clean_fields(fields, kind, name):
    ((found, _),) = _loose(part(fields[0], "corps"))
    assert found.content_type == kind
    assert found.filename == name or (name is None and found.filename.endswith(".pdf"))


def test_the_charset_of_an_attached_text_is_kept():
    raw = part("text/csv; charset=iso-8859-15; name=a.csv", b"10 \xa4", encoding="8bit")
    ((found, encoded),) = _loose(raw)
    assert (found.charset, encoded) == ("iso-8859-15", b"10 \xa4")


def test_attachments_of_a_forwarded_message_are_shown_too():
    inner = letter(pdf_part())
    message = part("message/rfc822", inner)
    found = [p.filename for p, _ in _loose(message, layout=Layout.BOTH)]
    assert found == ["message_original.eml", "IHE_XDM.zip", "20260514_CR_FICTIF_ALIX.pdf"]


def test_bodies_are_not_attachments_but_images_are():
    html = inner_multipart(
        [part("text/html", "<p>"), part("image/png; name=l.png", "x")], subtype="related"
    )
    assert [p.filename for p, _ in _loose(html)] == ["l.png"]


def test_a_mail_that_is_itself_a_pdf_is_attached():
    raw = head() + lines("Content-Type: application/pdf", "Content-Transfer-Encoding: base64", "")
    out = read(forward(dispatch(raw + b"JVBERi0=\r\n", to=FALLBACK), CAUSE).content)
    assert [p.content_type for p in out.parts][1:] == ["message/rfc822", "application/pdf"]
