import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum.fr import nir as oracle

from pfi.ins import matricule
from pfi.ins.identity import InsKind

NIR = InsKind.NIR.value


@pytest.mark.parametrize(
    ("written", "cleaned", "key"),
    [
        ("279035121518989", "279035121518989", 89),
        ("277076322082910", "277076322082910", 10),
        ("154039741102235", "154039741102235", 35),
        ("285022A00401764", "285022A00401764", 64),
        ("292112b12004471", "292112B12004471", 71),
        ("2 79 03 51 215 189 89", "279035121518989", 89),
        ("2-79.03\u00a051\u202f215 189 89", "279035121518989", 89),
        ("178069935200261", "178069935200261", 61),
    ],
)
def test_a_well_formed_matricule_is_read_whatever_its_blanks(
    written: str, cleaned: str, key: int
) -> None:
    read = matricule.read(written, NIR)
    assert read == matricule.Matricule(cleaned, InsKind.NIR, key_ok=True)
    assert matricule.nir_key(cleaned[:13]) == key


@pytest.mark.parametrize(
    ("written", "key"),
    [
        ("279035121518988", 89),
        ("276059205062865", 83),
        ("221042545611404", 83),
        ("379035121518900", 39),
    ],
)
def test_a_matricule_with_a_wrong_key_is_read_and_marked(written: str, key: int) -> None:
    read = matricule.read(written, NIR)
    assert read is not None
    assert not read.key_ok
    assert matricule.nir_key(written[:13]) == key


@pytest.mark.parametrize(
    "written",
    [
        "2790351215189",
        "27903512151898X",
        "979035121518900",
        "188201A00401700",
        "000000000000097",
        "185972A123001",
        "",
        "   ",
        "2790351215189890",
        "٢79035121518989",  # an Arabic digit is a digit for Python, not for the NIR
    ],
)
def test_a_matricule_of_another_shape_is_malformed(written: str) -> None:
    assert matricule.read(written, NIR) is None


@pytest.mark.parametrize("kind", InsKind)
def test_the_kind_comes_from_the_oid(kind: InsKind) -> None:
    read = matricule.read("279035121518989", kind.value)
    assert read is not None
    assert read.kind is kind
    assert read.trial == (kind in {InsKind.NIR_TEST, InsKind.NIR_DEMO})


@pytest.mark.parametrize("oid", ["1", "2", "6", "13", "14", "80", ""])
def test_old_numbers_and_social_security_numbers_are_no_ins(oid: str) -> None:
    assert matricule.kind_of(f"1.2.250.1.213.1.4.{oid}") is None
    assert matricule.read("279035121518989", f"1.2.250.1.213.1.4.{oid}") is None


@given(
    st.from_regex(r"[12][0-9]{2}(0[1-9]|1[0-2])(0[1-9]|[1-8][0-9]|2A|2B)[0-9]{6}", fullmatch=True)
)
def test_the_key_agrees_with_an_independent_library(body: str) -> None:
    assert f"{matricule.nir_key(body):02d}" == oracle.calc_check_digits(body)
