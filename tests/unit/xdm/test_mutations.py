"""Damaged archives and METADATA.XML end in PfiError, never in anything else (seeded)."""

import random

import pytest

from pfi.errors import PfiError
from pfi.names import Reason
from pfi.xdm import metadata as xdm_metadata
from pfi.xdm.submission import read
from tests.data.builders import LEA, YANN, document, metadata, xdm_zip, zip_of

DOCUMENTS = [
    document(LEA, action="C", masks=("INVISIBLE_PATIENT",), replaces="urn:uuid:ancien"),
    document(YANN, document_id="2.25.9", patient_id=LEA.cx, uri="2|.XML"),
]
ZIP = xdm_zip([DOCUMENTS[0]])
STORED = zip_of(
    [("METADATA.XML", metadata(DOCUMENTS[:1])), ("DOC0001.XML", DOCUMENTS[0].content)], stored=True
)
METADATA = metadata(DOCUMENTS, action="D")
SINGLE = metadata(DOCUMENTS[:1])
WORDS = [b"", b"<", b"&", b"\xff\xff", b"\0", b"PK\x05\x06", b"PK\x01\x02", b"..", b"|", b"^&^&"]


def damaged(content: bytes, seed: int) -> bytes:
    """Some bytes changed, cut, doubled, moved or replaced by unpleasant words."""
    rng, out = random.Random(seed), bytearray(content)
    for _ in range(rng.randint(1, 6)):
        at = rng.randrange(len(out) + 1)
        end = min(len(out), at + rng.choice((0, 1, 2, 4, 30)))
        what = rng.choice((*WORDS, out[at:end], bytes([rng.randrange(256)]), out[at:end] * 2))
        out[at:end] = what
    return bytes(out)


def outcome(reader, content: bytes) -> str:
    """The reason of the refusal, '' when something was read; any other exception passes."""
    try:
        reader(content)
    except PfiError as fault:
        return str(fault)
    return ""


def reasons(reader, contents) -> set[str]:
    found = {outcome(reader, content) for content in contents}
    assert found <= {"", *Reason}
    return found


@pytest.mark.parametrize("source", [ZIP, STORED], ids=["deflated", "stored"])
def test_a_damaged_archive_gives_a_document_or_a_reason(source):
    found = reasons(read, (damaged(source, seed) for seed in range(1_500)))
    assert {"", Reason.ZIP_UNREADABLE} <= found


def test_a_damaged_metadata_gives_fiches_or_a_reason():
    found = reasons(xdm_metadata.read, (damaged(METADATA, seed) for seed in range(1_500)))
    assert found == {"", Reason.METADATA_INVALID}


def test_a_damaged_metadata_inside_a_sound_archive_gives_documents_or_a_reason():
    contents = (xdm_zip(DOCUMENTS[:1], metadata_bytes=damaged(SINGLE, seed)) for seed in range(600))
    found = reasons(read, contents)
    assert {"", Reason.METADATA_INVALID} < found
