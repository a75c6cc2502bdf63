"""recordTarget: identifiers and strict traits (cda-header §3.3)."""

from dataclasses import replace

import pytest

from pfi.cda.document import CdaWarning, read
from pfi.ins.identity import DocumentIdentity, PatientId, Traits
from tests.data.builders import EVERYBODY, LEA, SAMIR, YANN, cda


def identity(content: bytes) -> DocumentIdentity:
    return read(content).identity


def named(names: str) -> Traits:
    return identity(cda(LEA, names=names)).traits


@pytest.mark.parametrize("person", EVERYBODY, ids=lambda person: person.ipp)
def test_the_traits_are_those_written(person):
    found = identity(cda(person))
    assert found.traits == person.traits
    assert (found.record_targets, found.legacy_given) == (1, False)
    assert found.metadata_patient is None


def test_the_identifiers_keep_the_order_of_the_document():
    ids = [("2.25.4", "A1"), (SAMIR.oid, SAMIR.matricule), (LEA.oid, LEA.matricule)]
    assert identity(cda(LEA, ids=ids)).ids == tuple(PatientId(*each) for each in ids)


def test_an_identifier_of_unknown_value_is_skipped():
    content = cda(LEA).replace(b"<patientRole>", b'<patientRole><id nullFlavor="UNK"/>')
    content = content.replace(b"<addr>", b'<id root="2.25.6" nullFlavor="NI"/><addr>')
    assert identity(content) == identity(cda(LEA))


def test_an_ins_without_number_is_kept_to_be_refused():
    assert identity(cda(LEA, ids=[(LEA.oid, "")])).ids == (PatientId(LEA.oid, ""),)


def test_a_qualifier_is_a_set_of_tokens():
    traits = named('<family qualifier="SP BR CL">A</family><given qualifier="CL BR">B</given>')
    assert traits == replace(
        LEA.traits,
        **NOTHING | {"birth_name": "A", "first_given": "B", "used_name": "A", "used_given": "B"},
    )


NOTHING = dict.fromkeys(("birth_name", "first_given", "given_list", "used_name", "used_given"), "")


def test_a_name_that_only_contains_the_letters_of_a_qualifier_is_not_it():
    assert named('<family qualifier="BRX">A</family>').birth_name == ""


def test_an_unqualified_family_is_no_birth_name():
    assert named("<family>A</family><given>B</given>").birth_name == ""


def test_the_list_that_begins_with_the_first_given_name_is_kept():
    found = identity(cda(LEA, names='<given>Lea Marie</given><given qualifier="BR">LÉA</given>'))
    assert (found.traits.given_list, found.legacy_given) == ("Lea Marie", False)


def test_the_list_of_the_other_names_is_completed_and_marked():
    found = identity(cda(LEA, names='<given qualifier="BR">LÉA</given><given>MARIE</given>'))
    assert (found.traits.given_list, found.legacy_given) == ("LÉA MARIE", True)


def test_a_first_name_is_not_begun_by_another_name():
    """ANNE does not begin ANNETTE."""
    found = identity(cda(LEA, names='<given qualifier="BR">ANNE</given><given>ANNETTE</given>'))
    assert (found.traits.given_list, found.legacy_given) == ("ANNE ANNETTE", True)


def test_a_compound_first_name_begins_its_list_with_or_without_hyphen():
    names = '<given qualifier="BR">JEAN-YANN</given><given>JEAN YANN MALO</given>'
    assert not identity(cda(YANN, names=names)).legacy_given


def test_a_list_in_several_elements_is_joined():
    assert named("<given>LÉA</given><given> MARIE \n ROSE</given>").given_list == "LÉA MARIE ROSE"


def test_the_first_given_name_is_never_deduced():
    assert named("<given>LÉA MARIE</given>").first_given == ""


def test_an_absent_list_stays_absent():
    found = identity(cda(LEA, names='<given qualifier="BR">LÉA</given>'))
    assert (found.traits.given_list, found.legacy_given) == ("", False)


def test_a_comment_inside_a_name_does_not_cut_it():
    traits = named('<family qualifier="BR">D\'ARTI<!-- saisi --> \n<?x y?>GUE</family>')
    assert traits.birth_name == "D'ARTI GUE"


def test_of_several_names_the_one_with_a_birth_name_is_read():
    other = b'<patient><name use="ASGN"><family>PSEUDO</family></name>'
    header = read(cda(LEA).replace(b"<patient>", other))
    assert header.identity.traits == LEA.traits
    assert header.warnings == (CdaWarning.SEVERAL_NAMES,)


def test_the_name_of_a_guardian_is_never_taken():
    guardian = (
        b"<guardian><guardianPerson><name><family qualifier='BR'>TUTEUR</family>"
        b"<given qualifier='BR'>Z</given></name></guardianPerson></guardian></patient>"
    )
    content = cda(LEA, names="").replace(b"</patient>", guardian)
    assert identity(content).traits == replace(LEA.traits, **NOTHING)


@pytest.mark.parametrize("value", ["19870412000000+0100", "198704", "1987", "12/04/1987", ""])
def test_the_birth_date_is_kept_as_written(value):
    assert identity(cda(replace(LEA, birth_date=value))).traits.birth_date == value


@pytest.mark.parametrize("code", ["UN", "f", "", "X"])
def test_the_sex_is_kept_as_written(code):
    assert identity(cda(replace(LEA, sex=code))).traits.sex == code


def test_an_absent_birth_place_is_empty():
    assert identity(cda(replace(LEA, birth_place=""))).traits.birth_place == ""


def test_the_birth_place_is_the_code_not_the_town():
    content = cda(LEA).replace(b"<county>2A041</county>", b"")
    assert identity(content).traits.birth_place == ""


@pytest.mark.parametrize("count", [0, 2, 3])
def test_record_targets_are_counted(count):
    assert identity(cda(LEA, record_targets=count)).record_targets == count


def test_a_document_without_record_target_has_no_identity():
    assert identity(cda(LEA, record_targets=0)) == DocumentIdentity(record_targets=0)


@pytest.mark.parametrize("element", ["patientRole", "patient"])
def test_a_second_person_hidden_in_the_same_record_target_is_counted(element):
    content = cda(LEA).replace(f"</{element}>".encode(), f"</{element}><{element}/>".encode())
    assert identity(content).record_targets == 2


@pytest.mark.parametrize("level", [1, 3])
def test_a_record_target_after_the_body_is_counted(level):
    content = cda(LEA, level=level)
    start, end = content.index(b"<recordTarget>"), content.index(b"</recordTarget>") + 15
    again = content[start:end] + b"</ClinicalDocument>"
    assert identity(content.replace(b"</ClinicalDocument>", again)).record_targets == 2


def beside(mark: str, addition: str) -> bytes:
    """Léa's document with one more element behind `mark`."""
    content = cda(LEA).decode()
    assert mark in content
    return content.replace(mark, mark + addition, 1).encode()


NAME_END = "</name>"
SEX = f'<administrativeGenderCode code="{LEA.sex}" codeSystem="2.16.840.1.113883.5.1"/>'
BORN = f'<birthTime value="{LEA.birth_date}"/>'
COUNTY = f"<county>{LEA.birth_place}</county>"


@pytest.mark.parametrize(
    ("mark", "addition"),
    [
        (NAME_END, '<name><family qualifier="BR">KERGOUSTIN</family></name>'),
        (NAME_END, '<name><given qualifier="BR">YANN</given></name>'),
        (NAME_END, '<name use="L"><family qualifier="SP BR">KERGOUSTIN</family></name>'),
        ("<patient><name>", '<family qualifier="BR">KERGOUSTIN</family>'),
        ("<patient><name>", '<given qualifier="BR">YANN</given>'),
        (BORN, '<birthTime value="19540929"/>'),
        (BORN, '<birthTime value="1954"/>'),
        (SEX, '<administrativeGenderCode code="M"/>'),
        (SEX, '<administrativeGenderCode code="UN"/>'),
        (COUNTY, "<county>29019</county>"),
        ("<birthplace>", "<place><addr><county>29019</county></addr></place>"),
    ],
)
def test_two_values_of_a_strict_trait_are_two_persons(mark, addition):
    assert identity(beside(mark, addition)).record_targets == 2


SEVERAL = '<given qualifier="BR">MARIE</given><given qualifier="BR">Anne-Lou</given>'


@pytest.mark.parametrize(
    ("names", "persons"),
    [
        (SEVERAL, 1),
        (f"<given>MARIE ANNE LOU</given>{SEVERAL}", 1),
        (f"<given>MARIE</given><given>ANNE LOU</given>{SEVERAL}", 1),
        (f'{SEVERAL}<given qualifier="BR">MARIE ANNE LOU</given>', 1),
        (f"<given>MARIE LOU</given>{SEVERAL}", 2),
        (f"<given>MARIE ANNE LOUISE</given>{SEVERAL}", 2),
    ],
)
def test_given_names_that_are_all_marked_as_of_birth_are_one_persons(names, persons):
    assert identity(cda(LEA, names=names)).record_targets == persons


@pytest.mark.parametrize(
    ("mark", "addition"),
    [
        (NAME_END, '<name use="L"><family qualifier="BR">d’Artiguelouve</family></name>'),
        (NAME_END, '<name><given qualifier="BR">Lea</given><given>LÉA ROSE</given></name>'),
        (NAME_END, '<name use="C"><family qualifier="SP">X</family><given>Y</given></name>'),
        (NAME_END, '<name><family qualifier="CL">X</family><given qualifier="CL">Y</given></name>'),
        (NAME_END, "<name><family>X</family><given>Y</given></name>"),
        (NAME_END, '<name><family qualifier="BR"> - </family><given qualifier="BR"/></name>'),
        (BORN, f'<birthTime value="{LEA.birth_date}083000+0200"/>'),
        (BORN, '<birthTime nullFlavor="UNK"/>'),
        (SEX, '<administrativeGenderCode code="f"/>'),
        (SEX, '<administrativeGenderCode nullFlavor="UNK"/>'),
        (COUNTY, "<county>2a041 </county>"),
        (COUNTY, "<county/>"),
    ],
)
def test_a_strict_trait_said_twice_and_any_other_name_are_one_person(mark, addition):
    found = identity(beside(mark, addition))
    assert (found.record_targets, found.traits) == (1, LEA.traits)
