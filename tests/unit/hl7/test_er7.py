import pytest
from hypothesis import given
from hypothesis import strategies as st

from pfi.hl7 import er7


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("a|b^c~d&e\\f", r"a\F\b\S\c\R\d\T\e\E\f"),
        ("L'HERMIT", "L'HERMIT"),
        ("one\r\ntwo\nthree\rfour\tfive", "one two three four five"),
        ("a\x00b\x0bc\x1cd\x7fe\x9ff", "ab cdef"),
        ("a\u2028b", "a b"),
        ("", ""),
    ],
)
def test_text_is_escaped_and_loses_its_control_characters(text: str, escaped: str) -> None:
    assert er7.escape(text) == escaped


@given(st.text())
def test_unescaping_gives_the_text_back(text: str) -> None:
    assert er7.unescape(er7.escape(text)) == er7.clean(text)


@given(st.text())
def test_an_escaped_text_holds_no_delimiter_and_no_control(text: str) -> None:
    assert not set("|^~&\r\n\x0b\x1c") & set(er7.escape(text))


def test_an_unknown_escape_stays_as_it_is() -> None:
    assert er7.unescape(r"a\H\b\.br\c\Z") == "a\\H\\b\nc\\Z"


@pytest.mark.parametrize(
    ("text", "fitted"),
    [
        ("déjà € œŒŸ Ž", "déjà € œŒŸ Ž"),
        ("l’hôpital – « 2 » … “x”", 'l\'hôpital - « 2 » ... "x"'),
        ("Łódź ā ő ı", "Lódz a o i"),
        ("明 ☺", "? ?"),
        ("a\u200bb\u0301", "ab"),
        ("ﬁn", "fin"),
    ],
)
def test_latin_9_gets_the_nearest_character_else_a_question_mark(text: str, fitted: str) -> None:
    assert er7.fit(text, er7.LATIN9) == fitted
    assert er7.encode(fitted, er7.LATIN9).decode("iso8859-15") == fitted


def test_utf_8_changes_nothing_but_half_characters() -> None:
    assert er7.fit("明 ☺ ’", er7.UTF8) == "明 ☺ ’"
    assert er7.fit("a\ud800b", er7.UTF8) == "a?b"


def test_lost_characters_are_counted_and_question_marks_are_not() -> None:
    assert er7.lost("明? Ł", er7.LATIN9) == 1
    assert er7.lost("Où ?", er7.LATIN9) == 0


def test_a_transliteration_cannot_become_a_delimiter() -> None:
    assert er7.text("a｜b＾c", er7.LATIN9) == r"a\F\b\S\c"


@given(st.text(), st.sampled_from([er7.UTF8, er7.LATIN9]))
def test_any_text_can_be_encoded_once_fitted(text: str, charset: str) -> None:
    er7.encode(er7.text(text, charset), charset)


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n"])
def test_segments_are_read_whatever_ends_them(end: str) -> None:
    read = er7.segments(end.join(["MSH|^~\\&|A||B", "MSA|AA|77", "", "ZZZ"]))
    assert [s.name for s in read] == ["MSH", "MSA", "ZZZ"]
    assert (read[0].field(3), read[0].field(5), read[0].field(9)) == ("A", "B", "")
    assert read[1].component(2) == "77"


def test_the_delimiters_are_those_of_the_header() -> None:
    read = er7.segments("MSH#*!\\&#A*B#\rPID###1*2!3*4")
    assert read[0].component(3, 2) == "B"
    assert read[1].component(3, 2, 2) == "4"
    assert read[1].component(3, 2, 9) == ""


@given(st.text(alphabet="A|^~\\E&"), st.integers(1, 4))
def test_the_first_component_of_a_field_is_that_of_its_segment(line: str, number: int) -> None:
    fields, separators = er7.split(f"MSH|^~\\&|A\rMSA|{line}")
    [_, segment] = er7.segments(f"MSH|^~\\&|A\rMSA|{line}")
    assert er7.first(fields[1], number, separators) == segment.component(number)


@given(st.text())
def test_an_ordinary_text_is_written_as_it_is(text: str) -> None:
    if er7.ordinary(text):
        assert {er7.escape(er7.fit(text, each)) for each in (er7.UTF8, er7.LATIN9)} == {text}


@pytest.mark.parametrize("text", ["", "MSH", "MSH|^\r~", "MSH|^", "MSA|AA|1", "\x0b\x1c\r"])
def test_what_has_no_header_is_no_message(text: str) -> None:
    assert er7.segments(text) == ()
