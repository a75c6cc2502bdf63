"""What holds for every matricule, name and person, not only for those of the tables."""

from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pfi.ins import matricule, traits
from pfi.ins.identity import InsKind, Traits
from pfi.ins.traits import Level
from tests.unit.ins.people import NIR, document, keyed, match, record

bodies = st.from_regex(r"[12][0-9]{2}(0[1-9]|1[0-2])([0-9]{2}|2A|2B)[0-9]{6}", fullmatch=True)
blanks = st.sampled_from(["", " ", "\u00a0", ".", "-", "\u202f", "\u2011"])


@given(bodies, st.sampled_from(InsKind))
def test_of_the_hundred_keys_of_a_matricule_exactly_one_is_its_own(
    body: str, kind: InsKind
) -> None:
    read = [matricule.read(f"{body}{key:02d}", kind.value) for key in range(100)]
    assert all(each is not None and each.kind is kind for each in read)
    assert [each.value for each in read if each and each.key_ok] == [keyed(body)]


@given(bodies, st.integers(0, 12), st.sampled_from("0123456789"))
def test_one_wrong_digit_never_keeps_the_key(body: str, at: int, digit: str) -> None:
    wrong = body[:at] + digit + body[at + 1 :]
    read = matricule.read(f"{wrong}{keyed(body)[13:]}", NIR)
    assume(wrong != body and read is not None)
    assert read is not None
    assert not read.key_ok


@pytest.mark.parametrize(("one", "other"), [("2A", "2B"), ("2A", "20"), ("2B", "20")])
@given(bodies)
def test_the_two_halves_of_corsica_have_different_keys(one: str, other: str, body: str) -> None:
    """A sender that writes the other half, or the island as it was before 1976, is noticed."""
    here, there = (f"{body[:5]}{half}{body[7:]}" for half in (one, other))
    assert matricule.nir_key(here) != matricule.nir_key(there)


@given(bodies, st.lists(blanks, min_size=15, max_size=15))
def test_blanks_and_small_letters_change_nothing(body: str, between: list[str]) -> None:
    whole = keyed(body)
    written = "".join(letter + blank for letter, blank in zip(whole, between, strict=True))
    assert matricule.read(written.lower(), NIR) == matricule.read(whole, NIR)


letters = st.sampled_from("ABÉèçÏœßŁ -'’‐ﬁ")
names = st.text(letters, max_size=8)


variants = st.lists(st.sampled_from(["Aaà", "Eéè", "-' ’‐", "B"]), min_size=1, max_size=6)


@given(variants, st.data(), st.booleans())
def test_equality_of_names_goes_through_a_third(
    classes: list[str], data: st.DataObject, separators: bool
) -> None:
    one, other, third = (
        "".join(data.draw(st.sampled_from(each)) for each in classes) for _ in range(3)
    )

    def equal(a: str, b: str) -> bool:
        return traits.compare_names(a, b, separators=separators).equal

    assert equal(one, third) or not (equal(one, other) and equal(other, third))


@given(names, st.booleans())
def test_a_name_equals_its_normal_form_and_its_small_letters(name: str, separators: bool) -> None:
    assume(traits.has_name(name))
    for written in (traits.normal(name), name.lower(), f"  {name} "):
        assert traits.compare_names(name, written, separators=separators).equal


_codes = st.sampled_from(["", "F", "M", "2a004", "2A004", "75056", "19850209"])


@given(_codes, _codes)
def test_comparing_codes_is_symmetric(one: str, other: str) -> None:
    there = traits.compare_codes(one, other, one.upper(), other.upper())
    assert there is traits.compare_codes(other, one, other.upper(), one.upper())


people = st.builds(
    Traits,
    birth_name=names.filter(traits.has_name),
    first_given=names.filter(traits.has_name),
    birth_date=st.dates().map(lambda day: f"{day.year:04}{day.month:02}{day.day:02}"),
    sex=st.sampled_from("FM"),
    birth_place=st.sampled_from(["75056", "2A004", "99352", "97411"]),
)


@given(people, bodies)
def test_a_person_matches_itself(person: Traits, body: str) -> None:
    ins = (keyed(body), NIR)
    person = replace(person, given_list=person.first_given)
    decision = match(document(ins, traits=person), (record(ins=ins, traits=person),))
    assert decision.integrate
    assert decision.level is Level.EXACT


@given(people, people, bodies)
def test_whether_two_persons_are_one_does_not_depend_on_who_is_the_document(
    one: Traits, other: Traits, body: str
) -> None:
    ins = (keyed(body), NIR)

    def joins(sent: Traits, held: Traits) -> tuple[bool, Level]:
        decision = match(document(ins, traits=sent), (record(ins=ins, traits=held),))
        return decision.integrate, decision.level

    assert joins(one, other) == joins(other, one)
