"""Hostile XML: declared constructs, malformed ends, memory (cda-header P-04, P-05)."""

import multiprocessing
import random
from pathlib import Path

import pytest

from pfi.cda.document import read
from pfi.errors import PfiError, Unreadable
from pfi.names import Reason
from tests.data.builders import LEA, cda

MB = 1_000_000
HEAD, TAIL = cda(LEA, payload=b"").split(b"</text>")


def refusal(content: bytes) -> Reason:
    with pytest.raises(Unreadable) as caught:
        read(content)
    return caught.value.reason


LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
DOCTYPES = {
    "bare": "<!DOCTYPE ClinicalDocument>",
    "system": '<!DOCTYPE ClinicalDocument SYSTEM "http://example.invalid/a.dtd">',
    "xxe": '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
    "parameter": '<!DOCTYPE a [<!ENTITY % p SYSTEM "http://example.invalid/p"> %p;]>',
    "laughs": f'<!DOCTYPE a [<!ENTITY l0 "ha">{LAUGHS}]>',
    "after comments": "<!-- a --><?b c?>\n<!DOCTYPE ClinicalDocument>",
}


@pytest.mark.parametrize("doctype", DOCTYPES.values(), ids=DOCTYPES)
@pytest.mark.parametrize("encoding", ["UTF-8", "UTF-16", "ISO-8859-1"])
def test_any_doctype_is_forbidden(doctype, encoding):
    assert refusal(cda(LEA, prolog=doctype, encoding=encoding)) is Reason.FORBIDDEN_CONSTRUCT


def test_a_doctype_is_seen_before_the_parser_starts(monkeypatch):
    monkeypatch.setattr("pfi.xml._HeaderReading", lambda *_: pytest.fail("parsed"))
    content = cda(LEA, prolog=DOCTYPES["laughs"], names="&l9;")
    assert refusal(content) is Reason.FORBIDDEN_CONSTRUCT


def test_a_doctype_hidden_by_the_encoding_is_forbidden():
    hidden = "<!DOCTYPE a [<!ENTITY e 'x'>]>".encode("utf-7")
    text = cda(LEA).replace(b"UTF-8", b"UTF-7").replace(b"?>\n", b"?>\n" + hidden, 1)
    assert refusal(text) is Reason.FORBIDDEN_CONSTRUCT


@pytest.mark.parametrize("encoding", ["UTF-32", "UTF-32-LE", "cp500"])
def test_an_exotic_encoding_is_refused(encoding):
    content = cda(LEA).decode().replace("UTF-8", encoding).encode(encoding)
    assert refusal(content) in {Reason.FORBIDDEN_CONSTRUCT, Reason.NOT_WELL_FORMED}


def test_an_undeclared_entity_is_not_well_formed():
    names = '<family qualifier="BR">&nbsp;</family>'
    assert refusal(cda(LEA, names=names)) is Reason.NOT_WELL_FORMED


def test_a_late_doctype_is_not_well_formed():
    content = cda(LEA).replace(b"<realmCode", b"<!DOCTYPE a><realmCode", 1)
    assert refusal(content) is Reason.NOT_WELL_FORMED


@pytest.mark.parametrize(
    "content", [b"", b"   ", b"texte", b"\x00", b"<", b"PK\x03\x04", b"\xff\xfe"]
)
def test_what_is_no_xml_is_not_well_formed(content):
    assert refusal(content) is Reason.NOT_WELL_FORMED


def test_text_before_the_declaration_is_not_well_formed():
    assert refusal(b"\n" + cda(LEA)) is Reason.NOT_WELL_FORMED


@pytest.mark.parametrize("level", [1, 3])
def test_a_document_cut_anywhere_is_not_well_formed(level):
    content = cda(LEA, level=level, payload=bytes(300_000))
    ends = [*range(40, len(content) - 1, 30_000), len(content) - 3, len(content) - 40]
    for end in ends:
        assert refusal(content[:end]) is Reason.NOT_WELL_FORMED


def test_a_fault_far_behind_the_header_is_seen():
    for fault in (b"<a></b>", b"\x01", b"&inconnue;", b"<a a='1' a='2'/>"):
        assert (
            refusal(HEAD + b"QUJD" * 50_000 + fault + b"</text>" + TAIL) is Reason.NOT_WELL_FORMED
        )


def test_junk_after_the_root_is_not_well_formed():
    assert refusal(cda(LEA) + b"<a/>") is Reason.NOT_WELL_FORMED


def test_a_header_without_end_is_forbidden():
    content = cda(LEA).replace(b"<realmCode", b"<x/>" * 300_000 + b"<realmCode")
    assert refusal(content) is Reason.FORBIDDEN_CONSTRUCT


def test_junk_after_the_body_is_bounded_too():
    junk = b"<x/>" * 600_000 + b"<component><nonXMLBody/></component>"
    content = cda(LEA).replace(b"</ClinicalDocument>", junk * 2 + b"</ClinicalDocument>")
    assert refusal(content) is Reason.FORBIDDEN_CONSTRUCT


def test_junk_between_bodies_set_at_every_step_of_the_reader_is_bounded_too():
    body = b"<component><nonXMLBody/></component>"
    junk = (b"<x/>" * 16_375 + body).rjust(65_536)
    start = cda(LEA).removesuffix(b"</ClinicalDocument>\n") + b" "
    content = start + b" " * (-len(start) % 65_536) + junk * 40 + b"</ClinicalDocument>"
    assert refusal(content) is Reason.FORBIDDEN_CONSTRUCT


def test_a_text_of_20_megabytes_is_read():
    """P-05: base64 over 10 MB is ordinary for an image."""
    assert read(HEAD + b"QUJD" * 5 * MB + b"</text>" + TAIL).level == 1


def test_a_tag_of_endless_attributes_is_forbidden():
    attributes = b" ".join(b'a%d=""' % number for number in range(60_000))
    assert refusal(HEAD + b"<b " + attributes + b"/></text>" + TAIL) is Reason.FORBIDDEN_CONSTRUCT


@pytest.mark.parametrize("prose", [b"=" * 200_000, "L'été, l'âge d'or. ".encode() * 10_000])
def test_prose_without_markup_is_no_endless_tag(prose):
    assert read(HEAD + prose + b"</text>" + TAIL).level == 1


def test_depth_is_bounded():
    assert refusal(HEAD + b"<b>" * 5_000 + b"</b>" * 5_000 + b"</text>" + TAIL) is (
        Reason.NOT_WELL_FORMED
    )


WIDE = {
    "siblings": lambda: b'<b c="1"/>' * (15 * MB // 10),
    "small siblings": lambda: b"<b/>" * (15 * MB // 4),
    "mixed content": lambda: b"texte<b/>" * (15 * MB // 9),
    "nested": lambda: (b"<b>" + b"<c/>" * 100_000 + b"</b>") * 37,
    "coded entries": lambda: b'<entry xmlns="urn:hl7-org:v3"/>' * (15 * MB // 31),
    "comments": lambda: b"<!---->" * (15 * MB // 7),
}


def growth(kind: str, answer) -> None:
    """Peak of memory of one reading, in a process of its own. Its `ru_maxrss` would begin with that
    of the process that started it, which has run thousands of tests.
    """
    content = HEAD + b"</text>" + WIDE[kind]() + b"<text>x</text>" + TAIL
    read(cda(LEA))
    before = highest()
    read(content)
    answer.send(highest() - before)


def highest() -> int:
    """Kilobytes of memory of this process at its highest, as Linux counts them."""
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])


@pytest.mark.parametrize("kind", WIDE)
def test_a_wide_document_does_not_fill_the_memory(kind):
    """15 MB of elements cost a whole-tree parser 500 MB."""
    fresh = multiprocessing.get_context("spawn")
    receiver, sender = fresh.Pipe(duplex=False)
    process = fresh.Process(target=growth, args=(kind, sender))
    process.start()
    process.join(60)
    assert receiver.poll()
    assert receiver.recv() < 50_000  # kilobytes


WORDS = (b"<", b">", b"&#0;", b"&amp;", b"\xff", b"\0", b"]]>", b"<!--", b"<![CDATA[", b'"', b"/")


def outcome(content: bytes) -> str:
    try:
        read(content)
    except PfiError as fault:
        return str(fault)
    return ""


@pytest.mark.parametrize("options", [{}, {"level": 3}, {"self_presenting": True}])
def test_a_damaged_document_gives_a_header_or_a_reason(options):
    source, found = cda(LEA, parent="2.25.8", **options), set()
    for seed in range(800):
        rng, out = random.Random(seed), bytearray(source)
        for _ in range(rng.randint(1, 5)):
            at = rng.randrange(len(out))
            end = at + rng.choice((0, 1, 2, 8, 60))
            out[at:end] = rng.choice((*WORDS, b"", bytes(out[at:end]) * 2))
        found.add(outcome(bytes(out)))
    assert {"", Reason.NOT_WELL_FORMED} < found <= {"", *Reason}
