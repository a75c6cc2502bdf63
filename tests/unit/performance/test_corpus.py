"""The mails that are measured: the same at every run, of the sizes that they say."""

import hashlib
import subprocess
import sys

import pytest

from tests.performance import corpus
from tests.performance.corpus import Specimen
from tests.performance.product_jobs import document_of

SMALL = (corpus.L1_10K, corpus.L3_50K, corpus.L1_300K, corpus.L3_300K)
MAIL_BYTES = {
    "10k_l1": (8_000, 12_000),
    "50k_l3": (45_000, 75_000),
    "300k_l1": (280_000, 320_000),
    "300k_l3": (280_000, 360_000),
}


@pytest.mark.parametrize("specimen", SMALL, ids=lambda each: each.name)
def test_a_mail_has_the_size_of_its_name(specimen: Specimen) -> None:
    least, most = MAIL_BYTES[specimen.name]
    assert least <= len(specimen.raw) <= most


def test_another_process_makes_the_same_bytes() -> None:
    told = (
        "import hashlib; from tests.performance import corpus;"
        "print(hashlib.sha256(corpus.L3_300K.raw).hexdigest())"
    )
    found = subprocess.run(
        [sys.executable, "-c", told], capture_output=True, text=True, check=True,
        env={"PYTHONPATH": ":".join(sys.path), "PYTHONHASHSEED": "77"},
    ).stdout.strip()  # fmt: skip
    assert found == hashlib.sha256(corpus.L3_300K.raw).hexdigest()


def test_noise_does_not_compress_and_text_does() -> None:
    packed = len(corpus.archive(corpus.L1_300K.document))
    assert packed > 0.72 * len(corpus.L1_300K.document)  # base64 in, bytes out
    assert len(corpus.archive(corpus.L3_50K.document)) < len(corpus.L3_50K.document) / 4


def test_the_header_is_as_long_as_a_real_one() -> None:
    document = corpus.L1_300K.document
    assert 12_000 < document.index(b"<nonXMLBody>") < 61_000
    assert document_of(corpus.archive(document)) == document
