"""Bodies as an export writes them: as they came, a document within its dossier beside it."""

import io
from types import SimpleNamespace

import pytest

from infra.operations.export import MANIFEST, README, Export, verified

SEAL, OLD = "ab" * 32, "cd" * 32
CDA = b'<?xml version="1.0"?>\n<ClinicalDocument/>\n'
TWO = {f"documents/{SEAL}/deux/{number:04}.xml": CDA + b"%d" % number for number in (1, 2)}
STORED = {
    f"incoming/app/{SEAL}.eml": b"From: a\r\n\r\nb\n",
    f"documents/{SEAL}/app/dossier.json": b'{"facts":1}\n' + CDA,
    f"documents/{SEAL}/deux/dossier.json": b'{"facts":2}\n',
    **TWO,
    f"documents/{OLD}/dossier.json": b'{"facts":3}',
    f"documents/{OLD}/0001.xml": CDA,
}


class Body(io.BytesIO):
    def iter_chunks(self, size):
        yield from iter(lambda: self.read(size), b"")


class Bucket:
    def get_paginator(self, name):
        assert name == "list_objects_v2"
        return SimpleNamespace(paginate=lambda Bucket: [{"Contents": [{"Key": k} for k in STORED]}])

    def get_object(self, Bucket, Key):
        return {"Body": Body(STORED[Key])}


@pytest.fixture
def export(tmp_path):
    stack = SimpleNamespace(name="pfi", client=lambda _: Bucket(), output=lambda _: "bucket")
    found = Export(stack, tmp_path / "export", lambda _: None)
    found._prepare()
    found._bodies()
    return found


def test_a_document_within_its_dossier_is_a_file_of_its_own(export):
    folder = export.folder / "documents" / SEAL / "app"
    assert (folder / "dossier.json").read_bytes() == b'{"facts":1}\n'
    assert (folder / "0001.xml").read_bytes() == CDA


def test_everything_else_is_written_as_it_is_stored(export):
    alone = f"documents/{SEAL}/app/dossier.json"
    for key in STORED.keys() - {alone}:
        assert (export.folder / key).read_bytes() == STORED[key]
    files = {str(p.relative_to(export.folder)) for p in export.folder.rglob("*") if p.is_file()}
    assert files == {*STORED, f"documents/{SEAL}/app/0001.xml", README}


def test_the_manifest_is_over_what_was_written(export):
    text = "".join(f"{digest}  {name}\n" for name, digest in sorted(export.digests.items()))
    export._write(MANIFEST, [text])
    assert list(verified(export.folder)) == []
    (export.folder / "documents" / SEAL / "app" / "0001.xml").write_bytes(b"other")
    assert list(verified(export.folder)) == [f"documents/{SEAL}/app/0001.xml"]


def test_the_reader_is_told_where_a_single_document_was(export):
    told = (export.folder / README).read_text(encoding="utf-8")
    assert "documents/SHA256/BOITE/NNNN.xml" in told
    assert "0001.xml" in told
    assert MANIFEST in told
