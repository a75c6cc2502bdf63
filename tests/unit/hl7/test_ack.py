import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pfi.hl7 import ack
from pfi.hl7.ack import Ack, Verdict

ID = "PFI2345678ABCDEFGHIJ"


def answer(
    code: str = "AA", *errors: str, control: str = ID, kind: str = "ACK^T02^ACK", end: str = "\r"
) -> bytes:
    header = rf"MSH|^~\&|DPI|CH|PFI|CH|20260417082113||{kind}|DPI-1|T|2.6|||||FRA|UNICODE UTF-8"
    return end.join([header, f"MSA|{code}|{control}", *errors, ""]).encode()


def error(code: str, application: str = "", severity: str = "E") -> str:
    described = f"{application}^Texte^applicationErrorCode" if application else ""
    return f"ERR||PID^1^3|{code}^Texte^messageErrorCondition|{severity}|{described}"


@pytest.mark.parametrize("code", ["100", "101", "102", "103", "198", "199"])
def test_a_syntax_error_is_ours_to_correct(code: str) -> None:
    assert ack.read(answer("AE", error(code)), ID) == Ack(Verdict.SYNTAX, "AE", code, "", ID)


@pytest.mark.parametrize("code", ["200", "201", "202", "203"])
def test_an_unsupported_message_is_a_configuration_fault(code: str) -> None:
    assert ack.read(answer("AE", error(code)), ID).verdict is Verdict.CONFIGURATION


@pytest.mark.parametrize("code", ["900", "901", "902", "903", "904", "905", "906", "950"])
def test_an_applicative_error_is_functional_with_its_code(code: str) -> None:
    expected = Ack(Verdict.FUNCTIONAL, "AE", "207", code, ID)
    assert ack.read(answer("AE", error("207", code)), ID) == expected


@pytest.mark.parametrize(
    ("errors", "verdict"),
    [
        ([error("205")], Verdict.DUPLICATE),
        ([error("206")], Verdict.RETRY),
        ([error("204")], Verdict.FUNCTIONAL),
        ([error("207")], Verdict.FUNCTIONAL),
        ([error("0")], Verdict.FUNCTIONAL),
        ([error("999")], Verdict.FUNCTIONAL),
        ([], Verdict.FUNCTIONAL),
        (["ERR"], Verdict.FUNCTIONAL),
        (["ERR|PID^1^3^101&Required field missing&HL70357"], Verdict.SYNTAX),
        ([error("101", severity="W"), error("207", "902")], Verdict.FUNCTIONAL),
        ([error("101", severity=" E")], Verdict.SYNTAX),
        ([error("101", severity="W")], Verdict.SYNTAX),
    ],
)
def test_an_application_error_is_classified_by_its_codes(
    errors: list[str], verdict: Verdict
) -> None:
    assert ack.read(answer("AE", *errors), ID).verdict is verdict


@pytest.mark.parametrize(
    ("code", "verdict"),
    [
        ("AA", Verdict.INTEGRATED),
        ("aa", Verdict.INTEGRATED),
        (" AA ", Verdict.INTEGRATED),
        ("AR", Verdict.RETRY),
        ("CR", Verdict.RETRY),
        ("CA", Verdict.COMMIT_ONLY),
        ("CE", Verdict.FUNCTIONAL),
        ("", Verdict.UNREADABLE),
        ("OK", Verdict.UNREADABLE),
    ],
)
def test_the_acknowledgement_code_decides_first(code: str, verdict: Verdict) -> None:
    assert ack.read(answer(code), ID).verdict is verdict


def test_a_warning_does_not_undo_an_integration() -> None:
    raw = answer("AA", error("207", "906", severity="W"))
    assert ack.read(raw, ID).verdict is Verdict.INTEGRATED


@pytest.mark.parametrize("control", ["OTHER", "", ID.lower(), ID + "X"])
def test_an_answer_to_another_message_is_not_ours(control: str) -> None:
    assert ack.read(answer(control=control), ID) == Ack(Verdict.NOT_OURS, "AA")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("kind", ["ACK", "ACK^T10^ACK", "ack^T04"])
def test_line_ends_and_message_types_may_vary(kind: str, end: str) -> None:
    assert ack.read(answer(kind=kind, end=end), ID).verdict is Verdict.INTEGRATED


def test_a_2_4_error_condition_in_msa_6_is_read() -> None:
    raw = answer().replace(f"AA|{ID}".encode(), f"AE|{ID}||||101^Required".encode())
    assert ack.read(raw, ID).verdict is Verdict.SYNTAX


def test_frame_characters_and_a_mark_of_utf_8_do_not_hide_an_answer() -> None:
    assert ack.read(b"\x0b" + answer() + b"\x1c\r", ID).verdict is Verdict.INTEGRATED
    assert ack.read(b"\xef\xbb\xbf" + answer(), ID).verdict is Verdict.INTEGRATED


def test_only_the_first_repetition_counts_under_the_delimiters_of_the_header() -> None:
    raw = f"MSH#*!\\&#DPI#CH#PFI#CH#2026##ACK*T02#1#T\rMSA#AE*|#{ID}\rERR###205*x!101##902!900\r"
    assert ack.read(raw.encode(), ID) == Ack(Verdict.DUPLICATE, "AE", "205", "902", ID)


def test_an_escaped_control_id_is_read_back() -> None:
    assert ack.read(answer(control="A\\T\\B"), "A&B").verdict is Verdict.INTEGRATED


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"MSH|^~\\&|DPI\r",
        answer(kind="MDM^T02^MDM_T02"),
        answer() + f"MSA|AE|{ID}\r".encode(),
        answer().decode().encode("utf-16"),
    ],
)
def test_what_is_no_single_answer_is_unreadable(raw: bytes) -> None:
    assert ack.read(raw, ID) == Ack(Verdict.UNREADABLE)


def test_a_sentence_in_place_of_a_code_is_never_kept() -> None:
    read = ack.read(answer("AE", error("207", "Patient DUCOIN inconnu")), ID)
    assert read == Ack(Verdict.FUNCTIONAL, "AE", "207", "", ID)


@given(st.binary())
@example(answer()[:-5])
@example(b"MSH|^~\\&")
def test_no_bytes_raise_and_none_are_taken_for_an_integration(raw: bytes) -> None:
    assert ack.read(raw, "never sent").verdict is not Verdict.INTEGRATED


@given(st.integers(0, len(answer("AE", error("207", "902")))), st.binary(max_size=4))
def test_a_damaged_answer_is_still_read_without_raising(cut: int, noise: bytes) -> None:
    whole = answer("AE", error("207", "902"))
    ack.read(whole[:cut] + noise + whole[cut:], ID)
