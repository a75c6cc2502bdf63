"""METADATA.XML: ebRIM to DocumentEntry and SubmissionSet (xdm-archive §2.3, §2.4)."""

import pytest

from pfi.errors import Unreadable
from pfi.names import Reason
from pfi.xdm import metadata as xdm
from pfi.xdm.metadata import SubmissionSet, XdmWarning
from tests.data.builders import LEA, SAMIR, document, entry, metadata

DOC = document(LEA)
PLAIN = metadata([DOC])
UNIQUE = "urn:uuid:2e82c1f6-a085-4c72-9da3-8640a32e42ab"
PATIENT = "urn:uuid:58a6f841-87b3-4a3e-92fd-a8ffeff98427"


def edited(*changes: tuple[str, str], source: bytes = PLAIN) -> bytes:
    """The nominal METADATA.XML with texts replaced; each must be there."""
    text = source.decode()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return text.encode()


def refusal(content: bytes) -> Reason:
    with pytest.raises(Unreadable) as caught:
        xdm.read(content)
    return caught.value.reason


def association(kind: str, source: str = "Document01", target: str = "urn:uuid:ancien") -> str:
    return (
        f'<rim:Association associationType="{kind}" sourceObject="{source}"'
        f' targetObject="{target}"/>'
    )


def slot(name: str, *values: str) -> str:
    listed = "".join(f"<rim:Value>{value}</rim:Value>" for value in values)
    return f'<rim:Slot name="{name}"><rim:ValueList>{listed}</rim:ValueList></rim:Slot>'


def test_every_attribute_of_the_fiche_is_read():
    content = metadata([document(LEA, masks=("INVISIBLE_PATIENT",), action="c")])
    (fiche,) = xdm.read(content).entries
    assert (fiche.entry_uuid, fiche.mime_type) == ("Document01", "text/xml")
    assert (fiche.unique_id, fiche.patient_id) == (DOC.unique_id, LEA.cx)
    assert (fiche.uri, fiche.size, len(fiche.hash)) == ("DOC0001.XML", len(DOC.content), 40)
    assert (fiche.type_code, fiche.action) == ("11502-2", "C")
    assert fiche.confidentiality == (
        ("N", "2.16.840.1.113883.5.25"),
        ("INVISIBLE_PATIENT", "1.2.250.1.213.1.1.4.13"),
    )


def test_the_lot_is_read():
    lot = xdm.read(metadata([DOC], action=" d ")).submission_set
    assert lot == SubmissionSet("Lot01", "2.25.7700.1", LEA.cx, "2.25.7700", "D", "20260514073000")


def test_a_nominal_metadata_has_no_warning():
    assert xdm.read(PLAIN).warnings == ()


def test_any_prefix_or_none_is_read():
    other = edited(("<rim:", "<r:"), ("</rim:", "</r:"), ("xmlns:rim=", "xmlns:r="))
    assert xdm.read(other).entries == xdm.read(PLAIN).entries
    bare = edited(("<rim:", "<"), ("</rim:", "</"), ("xmlns:rim=", "xmlns="))
    assert xdm.read(bare).entries == xdm.read(PLAIN).entries


def test_classification_in_small_letters_is_read():
    content = edited(("rim:Classification", "rim:classification"))
    assert xdm.read(content) == xdm.read(PLAIN)


def test_a_provide_and_register_request_is_opened():
    inner = PLAIN.decode().partition("?>")[2]
    outer = "ProvideAndRegisterDocumentSetRequest"
    content = f'<x:{outer} xmlns:x="urn:ihe:iti:xds-b:2007">{inner}</x:{outer}>'
    assert xdm.read(content.encode()).entries == xdm.read(PLAIN).entries


def test_classifications_beside_their_object_count():
    """A mask that hangs beside the fiche is a mask."""
    beside = (
        '<rim:Classification classifiedObject="Document01" nodeRepresentation="MASQUE_PS"'
        ' classificationScheme="urn:uuid:f4f85eac-e6cb-4883-b524-f2705394840f"/>'
        '<rim:Classification classifiedObject="Autre" nodeRepresentation="INVISIBLE_PATIENT"'
        ' classificationScheme="urn:uuid:f4f85eac-e6cb-4883-b524-f2705394840f"/>'
    )
    (fiche,) = xdm.read(metadata([DOC], extra=beside)).entries
    assert [code for code, _ in fiche.confidentiality] == ["N", "MASQUE_PS"]


def test_the_lot_classification_may_stand_beside_the_package():
    node = (
        '<rim:Classification classifiedObject="Lot01"'
        ' classificationNode="urn:uuid:a54d6aa5-d40d-43f9-88c5-b4633d873bdd"/>'
    )
    content = edited((node, ""), ("</rim:RegistryPackage>", f"</rim:RegistryPackage>{node}"))
    assert xdm.read(content) == xdm.read(PLAIN)


def test_a_folder_is_ignored():
    folder = (
        '<rim:RegistryPackage id="Dossier"><rim:Classification classifiedObject="Dossier"'
        ' classificationNode="urn:uuid:d9d542f3-6cc4-48b6-8870-ea235fbc94c2"/>'
        "</rim:RegistryPackage>"
    )
    assert xdm.read(metadata([DOC], extra=folder)) == xdm.read(PLAIN)


def test_two_lots_in_one_metadata_are_refused():
    other = (
        '<rim:RegistryPackage id="Lot02"><rim:Classification'
        ' classificationNode="urn:uuid:a54d6aa5-d40d-43f9-88c5-b4633d873bdd"/>'
        "</rim:RegistryPackage>"
    )
    assert refusal(metadata([DOC], extra=other)) is Reason.METADATA_INVALID


def test_no_lot_is_a_warning():
    content = edited(("a54d6aa5", "ffffffff"))
    assert XdmWarning.NO_SUBMISSION_SET in xdm.read(content).warnings


def test_a_patient_id_under_the_scheme_of_the_unique_id_is_known_by_its_name():
    content = edited((PATIENT, UNIQUE))
    (fiche,) = xdm.read(content).entries
    assert (fiche.patient_id, fiche.unique_id) == (LEA.cx, DOC.unique_id)


def test_a_patient_id_under_the_scheme_of_the_unique_id_is_never_a_unique_id():
    content = edited((PATIENT, UNIQUE), ("XDSDocumentEntry.uniqueId", "XDSDocumentEntry.patientId"))
    assert xdm.read(content).entries[0].unique_id == ""


def test_an_identifier_without_name_is_known_by_its_scheme():
    content = edited(("XDSDocumentEntry.", "Sans."), ("Sans.patientId", ""), ("Sans.uniqueId", ""))
    (fiche,) = xdm.read(content).entries
    assert (fiche.patient_id, fiche.unique_id) == (LEA.cx, DOC.unique_id)


def test_a_split_uri_is_joined_in_the_order_of_its_numbers():
    parts = slot("URI", "2|LONG/", "10|DOC.XML", "1|TRES/")
    (fiche,) = xdm.read(edited((slot("URI", "DOC0001.XML"), parts))).entries
    assert fiche.uri == "TRES/LONG/DOC.XML"


def test_a_hash_in_capitals_and_a_padded_slot_are_read():
    (plain,) = xdm.read(PLAIN).entries
    content = edited((plain.hash, f"\n {plain.hash.upper()} "))
    assert xdm.read(content).entries == (plain,)


@pytest.mark.parametrize(("written", "size"), [("12 ko", -1), ("-3", -1), ("٣", -1), ("007", 7)])
def test_a_size_that_is_no_number_never_equals_a_size(written, size):
    (fiche,) = xdm.read(metadata([document(LEA, size=written)])).entries
    assert fiche.size == size


def test_the_mime_type_loses_its_parameters_and_capitals():
    content = metadata([document(LEA, mime_type="Text/XML; charset=utf-8")])
    assert xdm.read(content).entries[0].mime_type == "text/xml"


@pytest.mark.parametrize("name", ["action", "ACTION", "Action", "urn:asip:ci-sis:2013:Action"])
@pytest.mark.parametrize("value", ["D", "d", " C "])
def test_the_action_slot_is_read_in_any_case(name, value):
    content = metadata([document(LEA, action=value, action_slot=name)])
    assert xdm.read(content).entries[0].action == value.strip().upper()


def test_a_slot_that_only_resembles_action_is_not_one():
    content = metadata([document(LEA, action="D", action_slot="reaction")])
    assert xdm.read(content).entries[0].action == ""


def test_two_different_actions_on_one_fiche_are_refused():
    both = slot("action", "D") + slot("urn:x:action", "C")
    hash_slot = '<rim:Slot name="hash">'
    assert refusal(edited((hash_slot, both + hash_slot))) is Reason.ACTION_UNKNOWN


@pytest.mark.parametrize("kind", ["RPLC", "XFRM_RPLC"])
def test_a_replacing_association_belongs_to_its_source(kind):
    content = metadata(
        [DOC, document(LEA, document_id="2.25.9")],
        extra=association(f"urn:ihe:iti:2007:AssociationType:{kind}", "Document02"),
    )
    assert [fiche.replaces for fiche in xdm.read(content).entries] == [(), ("urn:uuid:ancien",)]


@pytest.mark.parametrize("kind", ["APND", "XFRM", "signs"])
def test_other_associations_are_ignored_with_a_warning(kind):
    content = metadata([DOC], extra=association(f"urn:ihe:iti:2007:AssociationType:{kind}"))
    read = xdm.read(content)
    assert read.warnings == (XdmWarning.ASSOCIATION_IGNORED,)
    assert read.entries[0].replaces == ()


@pytest.mark.parametrize("kind", ["HasMember", "urn:x:AssociationType:hasmember"])
def test_membership_is_read_short_or_long(kind):
    content = edited(("urn:oasis:names:tc:ebxml-regrep:AssociationType:HasMember", kind))
    assert xdm.read(content).warnings == ()


def test_a_fiche_without_membership_is_a_warning():
    content = edited(("AssociationType:HasMember", "AssociationType:Inconnu"))
    assert xdm.read(content).warnings == (XdmWarning.NO_MEMBER,)


WITHDRAWAL = "urn:ihe:iti:2010:AssociationType:UpdateAvailabilityStatus"


@pytest.mark.parametrize("entries", [[], [DOC]])
def test_a_withdrawal_of_a_document_that_is_not_here_is_refused(entries):
    content = metadata(entries, extra=association(WITHDRAWAL, "Lot01"))
    assert refusal(content) is Reason.ACTION_UNKNOWN


def test_a_withdrawal_of_a_document_of_the_archive_is_a_warning():
    content = metadata([DOC], extra=association(WITHDRAWAL, "Lot01", "Document01"))
    assert xdm.read(content).warnings == (XdmWarning.ASSOCIATION_IGNORED,)


def test_an_on_demand_entry_is_refused():
    content = edited(
        ("7edca82f-054d-47f2-a032-9b2a5b5186c1", "34268E47-fdf5-41a6-ba33-82133c465248")
    )
    assert refusal(content) is Reason.METADATA_INVALID


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<a/>",
        PLAIN[:-20],
        metadata([]),
        b"<!DOCTYPE lcm:SubmitObjectsRequest>" + PLAIN.partition(b"?>\n")[2],
        edited(("SubmitObjectsRequest", "AdhocQueryRequest")),
        edited(("urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0", "urn:autre")),
        edited(("<rim:RegistryObjectList>", "<rim:RegistryObjectList><rim:RegistryObjectList/>")),
    ],
    ids=["empty", "root", "cut", "no entry", "doctype", "request", "namespace", "two lists"],
)
def test_what_is_no_submission_is_invalid(content):
    assert refusal(content) is Reason.METADATA_INVALID


def test_a_latin1_metadata_is_read():
    text = PLAIN.decode().replace("UTF-8", "ISO-8859-1").replace("Document01", "Été")
    assert xdm.read(text.encode("latin-1")).entries[0].entry_uuid == "Été"


@pytest.mark.parametrize("person", [LEA, SAMIR])
def test_the_patient_id_gives_matricule_and_scheme(person):
    assert xdm.patient(person.cx) == (person.matricule, person.oid)


def test_a_matricule_with_blanks_and_another_type_code_is_the_same_patient():
    spaced = f" {LEA.matricule[:5]} {LEA.matricule[5:].lower()}^^^INS&{LEA.oid}&ISO^INS-NIR"
    assert xdm.patient(spaced) == (LEA.matricule, LEA.oid)


@pytest.mark.parametrize(
    "cx",
    ["", "123", "123^^^&1.2.250.1.213.1.4.2&ISO^NH", "^^^&1.2.250.1.213.1.4.10&ISO", "a^b^c^d"],
)
def test_a_patient_id_that_is_no_ins_is_none(cx):
    assert xdm.patient(cx) is None


@pytest.mark.parametrize("spelling", ["2.25.AB^7", "2.25.ab.7"])
def test_a_unique_id_names_the_cda_in_both_spellings(spelling):
    (fiche,) = xdm.read(metadata([entry(LEA, b"x", unique_id=spelling)])).entries
    assert xdm.describes(fiche, "2.25.ab", "7")
    assert not xdm.describes(fiche, "2.25.ab", "")
