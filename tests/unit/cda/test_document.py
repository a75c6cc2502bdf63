"""The CDA header (cda-header §3.1, §3.2, §3.4)."""

import pytest

from pfi.cda.document import CdaWarning, read
from pfi.errors import Unreadable
from pfi.names import Reason
from tests.data.builders import AISSATA, ANDRE, DOCUMENT_ID, LEA, SET_ID, cda

RPPS = "1.2.250.1.71.4.2.1"


def edited(*changes: tuple[str, str], **options) -> bytes:
    """A nominal CDA with texts replaced; each must be there."""
    text = cda(LEA, **options).decode()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return text.encode()


def refusal(content: bytes) -> Reason:
    with pytest.raises(Unreadable) as caught:
        read(content)
    return caught.value.reason


def test_every_field_of_the_header_is_read():
    header = read(cda(LEA, version="2", parent=("2.25.8", "1")))
    assert (header.id_root, header.id_extension) == (DOCUMENT_ID, "")
    assert (header.code, header.code_system) == ("11502-2", "2.16.840.1.113883.6.1")
    assert header.display_name == header.title == "CR d'examens biologiques"
    assert header.effective_time == "20260514091500+0200"
    assert (header.confidentiality, header.set_id, header.version) == ("N", SET_ID, 2)
    assert header.parent == ("2.25.8", "1")
    assert header.author_ids == ((RPPS, "899700000017"),)
    assert header.custodian_id == ("1.2.250.1.71.4.2.2", "1990000099")
    assert header.legal_authenticator == "899700000017"
    assert header.legal_authenticator_root == RPPS
    assert header.legal_authenticator_name == ("FICTIF", "Camille")
    assert (header.self_presenting, header.warnings) == (False, ())


def test_the_first_address_of_the_patient_is_read():
    header = read(edited(("</addr>\n", "</addr><addr><city>AUTRE</city></addr>\n")))
    assert (header.street, header.city) == ("4 rue des Essais", "VILLEFICTIVE")
    assert (header.postal_code, header.country) == ("99990", "FRANCE")


def test_an_address_in_lines_is_read():
    line = "<streetAddressLine>12 allée des Tests</streetAddressLine>"
    old = "<houseNumber>4</houseNumber><streetName>rue des Essais</streetName>"
    assert read(edited((old, line))).street == "12 allée des Tests"


@pytest.mark.parametrize("level", [1, 2, 3])
def test_the_level_comes_from_the_body(level):
    assert read(cda(LEA, level=level)).level == level


def test_a_document_without_body_is_a_warning():
    header = read(edited(("nonXMLBody", "autreBody")))
    assert (header.level, header.warnings) == (0, (CdaWarning.NO_BODY,))


def test_an_id_with_extension_is_read():
    header = read(cda(LEA, document_id=("5F0E-Ab", "7")))
    assert (header.id_root, header.id_extension) == ("5F0E-Ab", "7")


@pytest.mark.parametrize(
    "change",
    [
        (f'<id root="{DOCUMENT_ID}"/>', ""),
        (f'<id root="{DOCUMENT_ID}"/>', '<id nullFlavor="UNK"/>'),
        (f'<id root="{DOCUMENT_ID}"/>', '<id root=" "/>'),
        ('<code code="11502-2"', '<code nullFlavor="UNK"'),
        ("urn:hl7-org:v3", "urn:hl7-org:v2"),
        ("ClinicalDocument", "OtherDocument"),
    ],
)
def test_a_document_without_root_id_or_code_is_incomplete(change):
    assert refusal(edited(change)) is Reason.HEADER_INCOMPLETE


@pytest.mark.parametrize("content", [b"<html/>", b'<svg xmlns="http://www.w3.org/2000/svg"/>'])
def test_another_root_is_incomplete(content):
    assert refusal(content) is Reason.HEADER_INCOMPLETE


def test_the_id_of_another_element_is_never_taken():
    """H-04: only the child of ClinicalDocument."""
    content = edited((f'<id root="{DOCUMENT_ID}"/>', f'<x><id root="{DOCUMENT_ID}"/></x>'))
    assert refusal(content) is Reason.HEADER_INCOMPLETE


@pytest.mark.parametrize(
    ("change", "warning"),
    [
        (("  <title>CR d'examens biologiques</title>\n", ""), CdaWarning.NO_TITLE),
        (('<effectiveTime value="20260514091500+0200"/>', ""), CdaWarning.NO_EFFECTIVE_TIME),
        (("<confidentialityCode ", "<autreCode "), CdaWarning.NO_CONFIDENTIALITY),
        ((f'<setId root="{SET_ID}"/>', ""), CdaWarning.NO_SET_ID),
        (('<versionNumber value="1"/>', ""), CdaWarning.NO_VERSION),
        (('<versionNumber value="1"/>', '<versionNumber value="1a"/>'), CdaWarning.NO_VERSION),
        (('<realmCode code="FR"/>', '<realmCode code="BE"/>'), CdaWarning.NOT_FRENCH),
        (("assignedAuthor", "autreAuteur"), CdaWarning.NO_AUTHOR),
        (("assignedCustodian", "autreCustodian"), CdaWarning.NO_CUSTODIAN),
        (("legalAuthenticator", "autreSignataire"), CdaWarning.NO_LEGAL_AUTHENTICATOR),
    ],
)
def test_what_is_missing_and_not_indispensable_is_a_warning(change, warning):
    assert read(edited(change)).warnings == (warning,)


def test_a_parent_is_only_that_of_a_replacement():
    related = cda(LEA, parent="2.25.8")
    assert read(related).parent == ("2.25.8", "")
    assert read(related.replace(b'"RPLC"', b'"APND"')).parent is None
    assert read(related.replace(b'root="2.25.8"', b'nullFlavor="NI"')).parent is None


def test_several_parents_are_a_warning():
    one = '<relatedDocument typeCode="RPLC"><parentDocument><id root="2.25.7"/></parentDocument>'
    content = edited(("  <component>", f"{one}</relatedDocument><component>"), parent="2.25.8")
    header = read(content)
    assert (header.parent, header.warnings) == (("2.25.8", ""), (CdaWarning.SEVERAL_PARENTS,))


def test_a_replacing_document_may_call_itself_version_1():
    """P-11."""
    header = read(cda(LEA, version="1", parent="2.25.8"))
    assert (header.version, header.parent) == (1, ("2.25.8", ""))


def test_a_self_presenting_document_is_read_inside_its_style_sheet():
    header = read(cda(LEA, self_presenting=True))
    assert header.self_presenting
    assert header.identity.traits == LEA.traits


def test_a_style_sheet_without_document_is_incomplete():
    content = cda(LEA, self_presenting=True).replace(b"urn:asip-sante:ci-sis", b"urn:autre")
    assert refusal(content) is Reason.HEADER_INCOMPLETE


@pytest.mark.parametrize("between", ["", '</c:Contenu><c:Contenu xmlns:c="urn:asip-sante:ci-sis">'])
@pytest.mark.parametrize("people", [(LEA, ANDRE), (LEA, LEA)])
def test_a_style_sheet_around_two_documents_is_neither(people, between):
    """The second one may be another patient's, and the DPI may show that one."""
    one, other = (cda(each, self_presenting=True).decode() for each in people)
    start, end = one.index("<ClinicalDocument"), one.index("</c:Contenu>")
    second = other[start : other.index("</c:Contenu>")]
    content = one[:end] + between + second + one[end:]
    assert refusal(content.encode()) is Reason.HEADER_INCOMPLETE


@pytest.mark.parametrize("encoding", ["UTF-8", "UTF-16", "ISO-8859-15", "windows-1252"])
@pytest.mark.parametrize("person", [LEA, ANDRE, AISSATA])
def test_every_encoding_gives_the_same_traits(encoding, person):
    assert read(cda(person, encoding=encoding)).identity.traits == person.traits


@pytest.mark.parametrize("encoding", ["ISO-8859-1", "us-ascii"])
def test_an_encoding_without_ligature_is_read(encoding):
    content = cda(LEA).decode().replace("UTF-8", encoding).encode(encoding, "xmlcharrefreplace")
    assert read(content).identity.traits == LEA.traits


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be"])
def test_utf16_is_read_with_and_without_byte_order_mark(codec):
    text = cda(LEA).decode().replace("UTF-8", "UTF-16")
    assert read(f"\ufeff{text}".encode(codec)).identity.traits == LEA.traits
    assert read(text.encode(codec)).identity.traits == LEA.traits


def test_a_utf8_mark_and_a_missing_declaration_are_read():
    bare = cda(LEA).partition(b"?>\n")[2]
    for content in (bare, b"\xef\xbb\xbf" + bare, b"\xef\xbb\xbf" + cda(LEA), b" \n" + bare):
        assert read(content).identity.traits == LEA.traits


def test_latin1_bytes_declared_utf8_are_not_well_formed():
    assert refusal(cda(LEA, encoding="latin-1", declared="UTF-8")) is Reason.NOT_WELL_FORMED


@pytest.mark.parametrize("declared", ["ISO-8859-1", "windows-1252"])
def test_utf8_bytes_declared_latin1_are_a_warning(declared):
    header = read(cda(LEA, encoding="UTF-8", declared=declared))
    assert header.warnings == (CdaWarning.SUSPECT_ENCODING,)


def test_comments_and_instructions_do_not_cut_a_text():
    """P-06."""
    title = "CR <!-- relu --> d'examens <?oxygen x?>\n biologiques"
    content = edited(("<title>CR d'examens biologiques", f"<title>{title}"))
    assert read(content).title == "CR d'examens biologiques"


def test_comments_and_instructions_before_the_root_are_ignored():
    prolog = '<?xml-stylesheet href="a.xsl"?>\n<!-- <!DOCTYPE leurre> -->\n'
    assert read(cda(LEA, prolog=prolog)).identity.traits == LEA.traits


def test_a_title_with_markup_is_read_as_text():
    content = edited(("<title>CR d'examens", "<title><b>CR</b> d'<i>examens</i>"))
    assert read(content).title == "CR d'examens biologiques"


def test_a_prefixed_namespace_is_read():
    text = cda(LEA, level=3).decode().replace('xmlns="', 'xmlns:c="')
    content = text.replace("</", "</c:").replace("<c:", "<").replace("<", "<c:")
    content = content.replace("<c:?", "<?").replace("<c:/c:", "</c:").replace("<c:/", "</c:")
    header = read(content.encode())
    assert (header.identity.traits, header.level) == (LEA.traits, 3)
