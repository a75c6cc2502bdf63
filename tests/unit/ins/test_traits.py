import pytest
from hypothesis import given
from hypothesis import strategies as st

from pfi.ins import traits
from pfi.ins.traits import Level

NAMES = [
    ("d’Escampe-Rival", "D'ESCAMPE-RIVAL", "D'ESCAMPE-RIVAL", Level.NORMALISED),
    ("FRANÇOISE SACRÉ-CŒUR", "FRANCOISE SACRE-COEUR", "FRANCOISE SACRE-COEUR", Level.NORMALISED),
    ("Jean Pierre", "JEAN-PIERRE", "JEAN PIERRE", Level.SEPARATORS),
    ("VAL FLEURI", "VAL-FLEURI", "VAL FLEURI", Level.SEPARATORS),
    ("DESCAMPE", "D'ESCAMPE", "DESCAMPE", Level.DIFFERENT),
    ("Müller", "MULLER", "MULLER", Level.NORMALISED),
    ("MUELLER", "MULLER", "MUELLER", Level.DIFFERENT),
    ("Straße", "STRASSE", "STRASSE", Level.NORMALISED),
    ("Nuñez", "NUNEZ", "NUNEZ", Level.NORMALISED),
    ("Łukasz", "LUKASZ", "LUKASZ", Level.NORMALISED),
    ("DE\u00a0 LA TOUR", "DE LA TOUR", "DE LA TOUR", Level.NORMALISED),
    ("N'Guyen", "N GUYEN", "N'GUYEN", Level.SEPARATORS),
    ("O’ Connor", "O'CONNOR", "O'CONNOR", Level.NORMALISED),
    ("e\u0301lodie", "ÉLODIE", "ELODIE", Level.NORMALISED),
    ("DUPONT", "DUPOND", "DUPONT", Level.DIFFERENT),
    ("MARIE–LOUISE", "MARIE-LOUISE", "MARIE-LOUISE", Level.NORMALISED),
    ("ISTANBUL-İLKER", "ISTANBUL-ILKER", "ISTANBUL-ILKER", Level.NORMALISED),
    ("SAINT--MARTIN", "SAINT-MARTIN", "SAINT-MARTIN", Level.NORMALISED),
    ("ZOE ", "ZOÉ", "ZOE", Level.NORMALISED),
    ("ZO\u00adE\u200b", "ZOE", "ZOE", Level.NORMALISED),
    ("Ǽgir", "AEGIR", "AEGIR", Level.NORMALISED),
    ("D´ORVAL", "D`ORVAL", "D'ORVAL", Level.NORMALISED),
    ("ZOE", "ZOE", "ZOE", Level.EXACT),
    ("", "", "", Level.MISSING),
    ("ZOE", " ", "ZOE", Level.MISSING),
    ("-", "-", "-", Level.MISSING),
    ("ZOE", "?", "ZOE", Level.MISSING),
]


@pytest.mark.parametrize(("one", "other", "normal", "level"), NAMES)
def test_names_compare_on_their_normal_form(
    one: str, other: str, normal: str, level: Level
) -> None:
    assert traits.normal(one) == normal
    assert traits.compare_names(one, other, separators=True) is level
    assert traits.compare_names(other, one, separators=True) is level


@pytest.mark.parametrize(
    ("one", "other"), [(a, b) for a, b, _, level in NAMES if level is Level.SEPARATORS]
)
def test_a_site_may_hold_hyphen_apostrophe_and_blank_apart(one: str, other: str) -> None:
    assert traits.compare_names(one, other, separators=False) is Level.DIFFERENT


@given(st.text())
def test_a_normal_form_is_its_own_normal_form(name: str) -> None:
    assert traits.normal(traits.normal(name)) == traits.normal(name)


@given(st.text(), st.text(), st.booleans())
def test_comparing_names_is_symmetric(one: str, other: str, separators: bool) -> None:
    there = traits.compare_names(one, other, separators=separators)
    assert there is traits.compare_names(other, one, separators=separators)


@given(st.text())
def test_a_name_equals_itself_unless_it_has_no_letter(name: str) -> None:
    level = traits.compare_names(name, name, separators=True)
    assert level is (Level.EXACT if traits.has_name(name) else Level.MISSING)


@pytest.mark.parametrize(
    ("date", "day"),
    [
        ("19790328", "19790328"),
        ("19790328000000+0100", "19790328"),
        ("197903282359", "19790328"),
        (" 19790328", "19790328"),
        ("1979", ""),
        ("197903", ""),
        ("1979032", ""),
        ("1979-03-28", ""),
        ("", ""),
        ("١٩٧٩٠٣٢٨", ""),
    ],
)
def test_a_birth_date_is_its_first_eight_digits_or_partial(date: str, day: str) -> None:
    assert traits.day(date) == day


@pytest.mark.parametrize(
    ("code", "sex"), [("F", "F"), ("m", "M"), (" F ", "F"), ("UN", ""), ("U", ""), ("", "")]
)
def test_the_ins_knows_two_sexes(code: str, sex: str) -> None:
    assert traits.sex(code) == sex


@pytest.mark.parametrize(
    ("code", "place"),
    [
        ("2a004", "2A004"),
        ("99352", "99352"),
        ("97411", "97411"),
        ("99999", "99999"),
        ("1053", ""),
        ("AJACCIO", ""),
        ("2C004", ""),
        ("", ""),
    ],
)
def test_a_birth_place_is_a_five_character_code(code: str, place: str) -> None:
    assert traits.place(code) == place


def test_a_code_written_otherwise_is_equal_in_its_normal_form() -> None:
    assert traits.compare_codes("2a004", "2A004", "2A004", "2A004") is Level.NORMALISED
    assert traits.compare_codes("2A004", "2A004", "2A004", "2A004") is Level.EXACT
    assert traits.compare_codes("75056", "2A004", "75056", "2A004") is Level.DIFFERENT
    assert traits.compare_codes("", "2A004", "", "2A004") is Level.MISSING


def test_the_worst_level_is_the_farthest() -> None:
    assert traits.worst((Level.EXACT, Level.SEPARATORS, Level.NORMALISED)) is Level.SEPARATORS
    assert traits.worst((Level.MISSING, Level.DIFFERENT)) is Level.DIFFERENT
    assert traits.worst(()) is Level.EXACT
