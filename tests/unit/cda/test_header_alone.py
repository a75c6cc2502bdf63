"""The header read up to the body gives what the whole document gives, or it is not used."""

import random

import pytest

from pfi import xml
from pfi.cda.document import read
from pfi.errors import PfiError, Unreadable
from pfi.names import Reason
from tests.data.builders import LEA, SAMIR, cda
from tests.unit.cda.test_hostile import HEAD, TAIL

END = b"</ClinicalDocument>"
BODY = b"<component><nonXMLBody><text>QUJD</text></nonXMLBody></component>"
FAR = b"\n" * 40_000
"""More than is read at once: what stands behind it is not in the tree by chance."""
RECORD = (
    FAR
    + b"<recordTarget><patientRole><id root='2.25.3' extension='9'/></patientRole></recordTarget>"
)


def outcome(content: bytes) -> object:
    try:
        return read(content)
    except PfiError as fault:
        return fault.reason


def by_the_whole(content: bytes) -> object:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(xml, "_header_alone", lambda *_: None)
        return outcome(content)


def behind(addition: bytes, level: int = 1) -> bytes:
    """Put where a document usually ends."""
    return cda(LEA, level=level).replace(END, addition + END)


SELF_CLOSED = HEAD[: HEAD.index(b"<component>")] + b"<component><nonXMLBody/></component>"
PREFIXED = (
    cda(LEA, level=1)
    .replace(b"nonXMLBody", b"x:nonXMLBody")
    .replace(b"<x:nonXMLBody", b'<x:nonXMLBody xmlns:x="urn:hl7-org:v3"')
)
ODD = {
    "a record target behind the body": behind(RECORD),
    "a second body": behind(RECORD + BODY),
    "a second body of the other kind": behind(RECORD + BODY, level=3),
    "a second body of the same kind in the end tags": (
        SELF_CLOSED + RECORD + b"<component><nonXMLBody></nonXMLBody></component>" + END
    ),
    "a body that was closed, another at the end": HEAD
    + b"</text>"
    + TAIL.replace(END, RECORD + BODY + END),
    "a body closed at once, a person behind": SELF_CLOSED + RECORD + END,
    "a feigned end in a comment": SELF_CLOSED + RECORD + b"<!-- </nonXMLBody -->" + END,
    "a feigned end, its comment closed by a tag": (
        SELF_CLOSED + RECORD + b"<!-- </nonXMLBody></a -->" + END
    ),
    "a feigned end in a CDATA section": (
        SELF_CLOSED
        + b"<title>"
        + FAR
        + b"</title>"
        + RECORD
        + b"<a><![CDATA[</nonXMLBody></a]]></a>"
        + END
    ),
    "a feigned end, its comment closed by a name": (
        SELF_CLOSED + RECORD + b"<!-- </nonXMLBody></a-->" + END
    ),
    "an entry before the body": cda(LEA, level=2).replace(
        b"  <component>", b"<entry/><component>", 1
    ),
    "an entry and no body": (
        HEAD[: HEAD.index(b"<component>")] + b"<component><entry></entry></component>" + END
    ),
    "a comment behind the body": behind(b"<!-- fin -->"),
    "a comment behind the root": cda(LEA) + b"<!-- fin -->",
    "the name of the body in a comment": cda(LEA, prolog="<!-- <nonXMLBody> -->"),
    "the name of the body in the body": HEAD + b"<b a='nonXMLBody'/></text>" + TAIL,
    "a body of another namespace": cda(LEA).replace(b"<nonXMLBody>", b'<nonXMLBody xmlns="a:b">'),
    "a prefixed body": PREFIXED,
    "blanks in the end tags": cda(LEA).replace(b"</nonXMLBody>", b"</nonXMLBody \n>"),
    "an entry far behind": cda(LEA, level=3).replace(b"<entry", b"<a/>" * 60_000 + b"<entry"),
    "an entry in words only": cda(LEA, level=2).replace(b"Fictif", b"entry Fictif"),
    "an entry of another namespace": cda(LEA, level=2).replace(
        b"<text>Fictif</text>", b'<text><entry xmlns="a:b"/></text>'
    ),
    "an entry of level 1": HEAD + b"<entry/></text>" + TAIL,
    "utf-16": cda(LEA, encoding="UTF-16"),
    "utf-16 behind its header": cda(LEA, encoding="UTF-16", level=3).replace(b"v", b"w", 1),
    "presented": cda(SAMIR, self_presenting=True, level=3),
    "a prefix that nobody declared, behind the header": HEAD + b"<p:b/></text>" + TAIL,
    "one attribute under two prefixes": (
        HEAD + b"<b xmlns:p='u' xmlns:q='u' p:a='1' q:a='2'/></text>" + TAIL
    ),
    "a prefix bound to nothing": HEAD + b"<b xmlns:p=''/></text>" + TAIL,
    "depth behind the header": HEAD + b"<b>" * 3_000 + b"</b>" * 3_000 + b"</text>" + TAIL,
    "an undeclared entity behind the header": HEAD + b"&e;</text>" + TAIL,
}


@pytest.mark.parametrize("content", ODD.values(), ids=ODD)
def test_an_odd_document_gives_the_same_either_way(content):
    assert outcome(content) == by_the_whole(content)


def test_a_person_behind_the_body_is_counted_either_way():
    for content in filter(lambda each: RECORD in each, ODD.values()):
        assert read(content).identity.record_targets == 2


@pytest.mark.parametrize("name", [name for name in ODD if "prefix" in name and "body" not in name])
def test_a_fault_of_namespaces_behind_the_header_is_seen(name):
    assert outcome(ODD[name]) is Reason.NOT_WELL_FORMED


def test_a_fault_of_namespaces_hidden_under_many_warnings_is_seen():
    warned = b"<b xmlns='relative'/>" * 300
    assert outcome(HEAD + b"<p:b/>" + warned + b"</text>" + TAIL) is Reason.NOT_WELL_FORMED


@pytest.mark.parametrize("options", [{}, {"level": 2}, {"level": 3}, {"self_presenting": True}])
def test_an_ordinary_document_is_never_built_whole(options, monkeypatch):
    monkeypatch.setattr(xml, "_HeaderReading", lambda *_: pytest.fail("built"))
    assert read(cda(LEA, **options)).identity.record_targets == 1


def test_a_text_of_20_megabytes_is_never_built(monkeypatch):
    """P-05: base64 over 10 MB is ordinary for an image."""
    monkeypatch.setattr(xml, "_HeaderReading", lambda *_: pytest.fail("built"))
    assert read(HEAD + b"QUJD" * 5_000_000 + b"</text>" + TAIL).level == 1


def test_a_header_of_a_megabyte_is_refused_without_its_tree(monkeypatch):
    monkeypatch.setattr(xml, "_HeaderReading", lambda *_: pytest.fail("built"))
    long = cda(LEA).replace(b"  <component>", b"<x/>" * 300_000 + b"  <component>")
    with pytest.raises(Unreadable) as caught:
        read(long)
    assert caught.value.reason is Reason.FORBIDDEN_CONSTRUCT


WORDS = (b"<", b">", b"&#0;", b"]]>", b"<!--", b"-->", b"<![CDATA[", b"/", b"<nonXMLBody/>",
         b"</nonXMLBody>", b"<structuredBody>", b"<entry/>", b"<p:a/>", RECORD)  # fmt: skip


@pytest.mark.parametrize("options", [{}, {"level": 3}, {"self_presenting": True, "level": 2}])
def test_a_damaged_document_gives_the_same_either_way(options):
    source, found = cda(LEA, parent="2.25.8", **options), set()
    for seed in range(600):
        draw, out = random.Random(seed), bytearray(source)
        for _ in range(draw.randint(1, 3)):
            at = draw.randrange(len(out))
            end = at + draw.choice((0, 0, 1, 8))
            out[at:end] = draw.choice((*WORDS, b""))
        fast = outcome(bytes(out))
        assert fast == by_the_whole(bytes(out)), seed
        found.add(fast if isinstance(fast, Reason) else "read")
    assert len(found) > 2
