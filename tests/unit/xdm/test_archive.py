"""Opening IHE_XDM.ZIP safely: X-10 to X-14 (xdm-archive §2.2)."""

import random
import struct
import tracemalloc
import zipfile
import zlib
from dataclasses import replace
from io import BytesIO

import pytest

from pfi.errors import Unreadable
from pfi.names import Reason
from pfi.xdm import archive
from pfi.xdm.archive import XdmLimits
from tests.data.builders import zip_of

CONTENT = b"<fictif/>" * 20


DEFAULTS = XdmLimits()


def refusal(content: bytes, limits: XdmLimits = DEFAULTS) -> Reason:
    """Reason of the refusal, be it at opening or at reading."""
    with pytest.raises(Unreadable) as caught:
        read_all(content, limits)
    return caught.value.reason


def read_all(content: bytes, limits: XdmLimits) -> list[bytes]:
    opened = archive.read(content, limits)
    return [opened.read(name) for name in opened.names]


def central(content: bytes, rank: int = 0) -> int:
    at = -1
    for _ in range(rank + 1):
        at = content.index(b"PK\x01\x02", at + 1)
    return at


def patched(content: bytes, at: int, layout: str, value: int) -> bytes:
    out = bytearray(content)
    struct.pack_into(layout, out, at, value)
    return bytes(out)


def with_info(name: str, *, mode: int = 0o100644, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = BytesIO()
    with zipfile.ZipFile(out, "w") as writer:
        info = zipfile.ZipInfo(name)
        info.external_attr, info.compress_type, info.create_system = mode << 16, method, 3
        writer.writestr(info, CONTENT)
    return out.getvalue()


@pytest.mark.parametrize("stored", [True, False])
def test_the_bytes_come_back_untouched(stored):
    opened = archive.read(zip_of([("A.XML", CONTENT), ("B.XML", b"")], stored=stored))
    assert [opened.read(name) for name in opened.names] == [CONTENT, b""]


def test_folders_are_no_files():
    opened = archive.read(zip_of([("IHE_XDM/", b""), ("./", b""), ("IHE_XDM/A.XML", CONTENT)]))
    assert opened.names == ("IHE_XDM/A.XML",)


def test_a_comment_and_line_ends_after_the_archive_are_tolerated():
    assert archive.read(zip_of([("A.XML", CONTENT)]) + b"\r\n\r\n").names == ("A.XML",)


@pytest.mark.parametrize("content", [b"", b"PK", b"%PDF-1.4", b"PK\x03\x04" + bytes(200)])
def test_what_is_no_zip_is_unreadable(content):
    assert refusal(content) is Reason.ZIP_UNREADABLE


def test_an_archive_with_bytes_before_it_is_unreadable():
    out = BytesIO(b"MZ programme")
    with zipfile.ZipFile(out, "a") as writer:
        writer.writestr("A.XML", CONTENT)
    assert refusal(out.getvalue()) is Reason.ZIP_UNREADABLE


def test_an_archive_in_several_volumes_is_unreadable():
    content = zip_of([("A.XML", CONTENT)])
    for field in (4, 8):
        at = content.rindex(b"PK\x05\x06") + field
        assert refusal(patched(content, at, "<H", 2)) is Reason.ZIP_UNREADABLE


def test_a_truncated_archive_is_unreadable():
    whole = zip_of([("A.XML", CONTENT)])
    for end in range(4, len(whole) - 1):
        assert refusal(whole[:end]) is Reason.ZIP_UNREADABLE


def test_an_encrypted_entry_is_unreadable():
    content = zip_of([("A.XML", CONTENT)])
    assert refusal(patched(content, central(content) + 8, "<H", 1)) is Reason.ZIP_UNREADABLE


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_method_other_than_stored_and_deflate_is_unreadable(method):
    with pytest.raises(Unreadable) as caught:
        archive.read(with_info("A.XML", method=method))  # at opening, whoever reads the entry
    assert caught.value.reason is Reason.ZIP_UNREADABLE


def test_a_wrong_crc_is_unreadable():
    content = zip_of([("A.XML", CONTENT)])
    assert refusal(patched(content, central(content) + 16, "<L", 7)) is Reason.ZIP_UNREADABLE


@pytest.mark.parametrize("announced", [1, len(CONTENT) - 1, len(CONTENT) + 1])
def test_an_entry_that_does_not_have_its_announced_size_is_unreadable(announced):
    content = zip_of([("A.XML", CONTENT)])
    lying = patched(content, central(content) + 24, "<L", announced)
    assert refusal(lying) is Reason.ZIP_UNREADABLE


def test_a_stored_entry_that_lies_on_its_size_is_unreadable():
    content = zip_of([("A.XML", CONTENT)], stored=True)
    lying = patched(content, central(content) + 24, "<L", len(CONTENT) - 1)
    assert refusal(lying) is Reason.ZIP_UNREADABLE


def test_a_stored_entry_that_hides_bytes_is_unreadable():
    content = zip_of([("A.XML", CONTENT)], stored=True)
    at = central(content)
    lying = patched(content, at + 24, "<L", len(CONTENT) - 1)
    assert refusal(patched(lying, at + 16, "<L", zlib.crc32(CONTENT[:-1]))) is (
        Reason.ZIP_UNREADABLE
    )


def test_a_compressed_stream_without_its_end_is_unreadable():
    content = zip_of([("A.XML", CONTENT)])
    at = central(content) + 20
    (packed,) = struct.unpack_from("<L", content, at)
    assert refusal(patched(content, at, "<L", packed - 1)) is Reason.ZIP_UNREADABLE


def test_an_entry_without_its_local_header_is_unreadable():
    content = zip_of([("A.XML", CONTENT), ("B.XML", CONTENT)])
    at = content.rindex(b"PK\x03\x04")
    assert refusal(patched(content, at, "<L", 0)) is Reason.ZIP_UNREADABLE


def test_an_entry_that_points_outside_of_the_archive_is_unreadable():
    content = zip_of([("A.XML", CONTENT)])
    for offset in (5, len(content), 0xFFFFFFFF):
        lying = patched(content, central(content) + 42, "<L", offset)
        assert refusal(lying) is Reason.ZIP_UNREADABLE


@pytest.mark.parametrize(
    "name",
    [
        "/etc/A.XML",
        "\\A.XML",
        "C:\\A.XML",
        "c:A.XML",
        "../A.XML",
        "IHE_XDM/../../A.XML",
        "IHE_XDM\\..\\A.XML",
        "//hote/A.XML",
        "",
    ],
)
def test_a_name_that_leaves_the_archive_is_unsafe(name):
    assert refusal(zip_of([(name, CONTENT)])) is Reason.ZIP_UNSAFE


def test_a_name_with_a_nul_is_unsafe():
    content = zip_of([("A.XML", CONTENT)])
    at = central(content) + 46
    assert refusal(content[: at + 1] + b"\0" + content[at + 2 :]) is Reason.ZIP_UNSAFE


def test_a_symbolic_link_is_unsafe():
    assert refusal(with_info("A.XML", mode=0o120777)) is Reason.ZIP_UNSAFE


@pytest.mark.parametrize("twin", ["S/A.XML", "S\\A.XML", "S//A.XML", "./S/A.XML", "S/./A.XML"])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_entries_of_one_normalised_name_are_unsafe(twin):
    assert refusal(zip_of([("S/A.XML", CONTENT), (twin, CONTENT)])) is Reason.ZIP_UNSAFE


def test_too_many_entries_are_unsafe_before_they_are_listed():
    files = [(f"F{rank}", b"") for rank in range(501)]
    assert refusal(zip_of(files)) is Reason.ZIP_UNSAFE
    assert len(archive.read(zip_of(files[:500])).names) == 500


def test_a_directory_with_more_lines_than_it_counts_is_unreadable():
    content = zip_of([("A.XML", CONTENT), ("B.XML", CONTENT)])
    end = content.rindex(b"PK\x05\x06")
    lying = patched(patched(content, end + 8, "<H", 1), end + 10, "<H", 1)
    assert refusal(lying) is Reason.ZIP_UNREADABLE


def test_a_zip_bomb_is_unsafe_and_never_inflated(monkeypatch):
    bomb = zip_of([("A.XML", bytes(3_000_000))])
    monkeypatch.setattr(archive.codecs, "inflate", lambda *_: pytest.fail("inflated"))
    assert refusal(bomb) is Reason.ZIP_UNSAFE


def test_a_small_entry_may_be_very_compressible():
    assert len(archive.read(zip_of([("A.XML", bytes(900_000))])).read("A.XML")) == 900_000


def test_many_small_very_compressible_entries_are_a_bomb():
    assert refusal(zip_of([(f"F{n}", bytes(900_000)) for n in range(3)])) is Reason.ZIP_UNSAFE


def test_a_bomb_beside_an_incompressible_file_is_unsafe():
    noise = random.Random(1).randbytes(100_000)
    assert refusal(zip_of([("A.XML", bytes(3_000_000)), ("B.PDF", noise)])) is Reason.ZIP_UNSAFE


def test_more_than_the_unzipped_limit_is_unsafe():
    limits = replace(XdmLimits(), unzipped_bytes=100)
    assert refusal(zip_of([("A.XML", CONTENT)]), limits) is Reason.ZIP_UNSAFE


def test_overlapping_entries_are_unsafe():
    content = zip_of([(f"F{n}", bytes(range(256)) * 4) for n in range(3)], stored=True)
    out = bytearray(content)
    for rank in range(3):  # every line announces most of the archive as its own packed bytes
        struct.pack_into("<L", out, central(content, rank) + 20, 2_000)
    assert refusal(bytes(out)) is Reason.ZIP_UNSAFE


def test_inflating_stops_just_after_the_announced_size():
    """A lie that no ratio sees: 100 bytes announced, 40 MB inside."""
    content = zip_of([("A.XML", bytes(40_000_000))])
    opened = archive.read(patched(content, central(content) + 24, "<L", 100))
    tracemalloc.start()
    with pytest.raises(Unreadable):
        opened.read("A.XML")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000


def test_names_are_found_whatever_separator_and_case():
    opened = archive.read(zip_of([("IHE_XDM\\SUBSET01\\Doc.xml", CONTENT)]))
    assert opened.find("IHE_XDM/SUBSET01/DOC.XML") == "IHE_XDM/SUBSET01/Doc.xml"
    assert opened.find("DOC.XML") is None


def test_an_exact_name_wins_and_an_ambiguous_case_finds_nothing():
    opened = archive.read(zip_of([("Doc.xml", b"1"), ("DOC.XML", b"2")]))
    assert opened.find("DOC.XML") == "DOC.XML"
    assert opened.find("doc.xml") is None


@pytest.mark.parametrize("codec", ["utf-8", "cp437", "cp850", "cp1252"])
def test_an_accented_name_is_found_in_any_code_page(codec):
    """X-14: without UTF-8 flag the code page is unknown."""
    raw = "Résumé.xml".encode(codec)
    content = zip_of([("X" * len(raw), CONTENT)]).replace(b"X" * len(raw), raw)
    opened = archive.read(content)
    assert opened.find("résumé.XML") == opened.names[0]


def test_a_utf8_flag_that_lies_still_gives_a_name():
    content = zip_of([("é.xml", CONTENT)]).replace("é".encode(), b"\xff\xfe")
    assert len(archive.read(content).names) == 1
