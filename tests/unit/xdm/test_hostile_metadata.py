"""METADATA.XML made to cost: what a small file could make the reader do for minutes."""

import time
from contextlib import suppress

import pytest

from pfi.errors import PfiError, Unreadable
from pfi.names import Reason
from pfi.xdm import metadata as xdm
from tests.data.builders import LEA, document, metadata

HEAD = (
    b'<l:SubmitObjectsRequest xmlns:l="urn:oasis:names:tc:ebxml-regrep:xsd:lcm:3.0"'
    b' xmlns="urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0"><RegistryObjectList>'
)
TAIL = b"</RegistryObjectList></l:SubmitObjectsRequest>"
ENTRY, LINK = b"<ExtrinsicObject/>", b'<Association associationType="RPLC" sourceObject="a"/>'
NAMED, BESIDE = b'<ExtrinsicObject id="a"/>', b'<Classification classifiedObject="a"/>'
SUBMISSION_SET = b'classificationNode="urn:uuid:a54d6aa5-d40d-43f9-88c5-b4633d873bdd"'
COSTLY = {
    "fiches and codes that name nobody": lambda n: ENTRY * n + b"<Classification/>" * n,
    "fiches of one id and codes beside": lambda n: NAMED * 400 + BESIDE * n,
    "fiches of one id and associations": lambda n: NAMED * 400 + LINK * n,
    "packages of one id and codes beside": lambda n: (
        b'<RegistryPackage id="a"/>' * n
        + b'<Classification classifiedObject="a" ' * n
        + (SUBMISSION_SET + b"/>") * n
        + ENTRY
    ),
    "many fiches": lambda n: ENTRY * n,
}


def cost(content: bytes) -> float:
    started = time.thread_time()
    with suppress(PfiError):
        xdm.read(HEAD + content + TAIL)
    return time.thread_time() - started


@pytest.mark.parametrize("shape", COSTLY)
def test_eight_times_the_objects_cost_at_most_sixteen_times_the_time(shape):
    build = COSTLY[shape]
    small, large = (min(cost(build(n)) for _ in range(3)) for n in (1_000, 8_000))
    assert large <= 16 * max(small, 0.002)


def refused(content: bytes) -> bool:
    with pytest.raises(Unreadable) as caught:
        xdm.read(content)
    return caught.value.reason is Reason.METADATA_INVALID


def test_more_fiches_than_an_archive_may_hold_files_are_refused():
    assert refused(HEAD + ENTRY * 501 + TAIL)
    assert len(xdm.read(HEAD + ENTRY * 500 + TAIL).entries) == 500


def test_a_code_beside_two_fiches_of_its_id_belongs_to_neither():
    """Else the patient of one would be the patient of the other."""
    twins = metadata([document(LEA, entry_id="a"), document(LEA, entry_id="a")])
    beside = twins.replace(b"</rim:RegistryObjectList>", b"%s</rim:RegistryObjectList>")
    code = b'<rim:Classification classifiedObject="a"/>'
    assert len(xdm.read(twins).entries) == 2
    assert refused(beside % code)


@pytest.mark.parametrize("number", ["1" * 5_000, "\u0661"])
def test_a_part_number_that_is_no_small_number_makes_no_part(number):
    """Python refuses to read 5 000 digits with an error of its own."""
    uri = f"{number}|DOC.XML"
    assert xdm.read(metadata([document(LEA, uri=uri)])).entries[0].uri == uri


def test_more_tags_than_a_hundred_long_fiches_have_are_refused_before_they_are_parsed(monkeypatch):
    wide = HEAD + ENTRY + b"<x/>" * 59_990 + TAIL
    assert len(xdm.read(wide).entries) == 1
    monkeypatch.setattr(xdm.xml, "parse", lambda _: pytest.fail("parsed"))
    assert refused(wide.replace(TAIL, b"<x/>" * 20 + TAIL))
