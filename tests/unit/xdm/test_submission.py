"""IHE_XDM.ZIP to documents: resolution, integrity, one patient, operation, masks."""

import hashlib
from dataclasses import replace

import pytest

from pfi.errors import Unreadable
from pfi.names import Reason
from pfi.xdm.archive import Archive as XdmArchive
from pfi.xdm.archive import XdmLimits
from pfi.xdm.metadata import XdmWarning
from pfi.xdm.submission import Masks, Requested, read
from tests.data.builders import LEA, PDF, YANN, document, entry, metadata, xdm_zip, zip_of

DOC = document(LEA)
OTHER = document(LEA, document_id="2.25.9")


def refusal(content: bytes, **options) -> Reason:
    with pytest.raises(Unreadable) as caught:
        read(content, **options)
    return caught.value.reason


def test_a_document_comes_out_with_its_bytes_untouched():
    submission = read(xdm_zip([DOC]))
    (found,) = submission.documents
    assert (found.content, found.name) == (DOC.content, "IHE_XDM/SUBSET01/DOC0001.XML")
    assert (found.requested, found.masks, found.warnings) == (Requested.UNSAID, Masks(), ())
    assert (submission.patient, submission.warnings) == ((LEA.matricule, LEA.oid), ())


def test_several_documents_keep_their_order():
    submission = read(xdm_zip([DOC, OTHER]))
    assert [each.content for each in submission.documents] == [DOC.content, OTHER.content]


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("", "METADATA.XML"),
        ("KA202601/IHE_XDM/SS000001/", "metadata.xml"),
        ("IHE_XDM\\SUBSET01\\", "METADATA.xml"),
    ],
)
def test_metadata_is_found_at_any_depth_and_case_without_index(folder, name):
    assert read(xdm_zip([DOC], folder=folder, metadata_name=name, index=False)).documents


def test_several_subsets_of_one_patient_are_merged():
    second = [("IHE_XDM/SUBSET02/METADATA.XML", metadata([OTHER]))]
    second.append(("IHE_XDM/SUBSET02/DOC0001.XML", OTHER.content))
    assert len(read(xdm_zip([DOC], extra=second)).documents) == 2


def test_an_archive_without_metadata_is_refused():
    assert refusal(zip_of([("DOC.XML", DOC.content)])) is Reason.METADATA_MISSING


def test_a_giant_metadata_is_refused_before_it_is_parsed():
    limits = replace(XdmLimits(), metadata_bytes=1_000)
    assert refusal(xdm_zip([DOC]), limits=limits) is Reason.METADATA_INVALID


# --- where the document is


@pytest.mark.parametrize(
    ("uri", "name"),
    [
        ("DOC0001.XML", "doc0001.xml"),
        ("./DOC0001.XML", "DOC0001.XML"),
        ("DOCS\\DOC1.XML", "DOCS/DOC1.XML"),
        ("CR%20BIO.XML", "CR BIO.XML"),
        ("CR%20BIO.XML", "CR%20BIO.XML"),
        ("r%C3%A9sultat.xml", "résultat.xml"),
        ("../AUTRE/DOC.XML", "../AUTRE/DOC.XML"),
    ],
)
def test_a_uri_is_resolved_from_the_folder_of_its_metadata(uri, name):
    described = metadata([document(LEA, uri=uri)])
    target = f"IHE_XDM/SUBSET01/{name}".replace("SUBSET01/../", "")
    content = zip_of([("IHE_XDM/SUBSET01/METADATA.XML", described), (target, DOC.content)])
    assert read(content).documents[0].content == DOC.content


@pytest.mark.parametrize(
    "uri",
    ["ABSENT.XML", "../../../DOC0001.XML", "/DOC0001.XML", "METADATA.XML", "file:DOC0001.XML"],
)
def test_a_uri_that_is_not_found_is_never_guessed(uri):
    described = metadata([document(LEA, uri=uri)])
    content = xdm_zip([DOC], metadata_bytes=described)
    assert refusal(content) is Reason.DOCUMENT_MISSING
    assert refusal(content, lenient_uri=True) is Reason.DOCUMENT_MISSING


def test_without_uri_the_file_of_the_same_hash_is_taken_with_a_warning():
    content = xdm_zip([document(LEA, no_uri=True), OTHER])
    found = read(content).documents[0]
    assert (found.content, found.warnings) == (DOC.content, (XdmWarning.NO_URI,))


def test_without_uri_nor_right_hash_the_document_is_missing():
    for digest in ("", "0" * 40):
        content = xdm_zip([document(LEA, no_uri=True, digest=digest)])
        assert refusal(content) is Reason.DOCUMENT_MISSING


def test_lenient_uri_takes_the_only_document_of_a_single_fiche():
    alone = xdm_zip([document(LEA, no_uri=True, digest="")])
    assert read(alone, lenient_uri=True).documents[0].content == DOC.content
    pair = xdm_zip([document(LEA, no_uri=True, digest=""), OTHER])
    assert refusal(pair, lenient_uri=True) is Reason.DOCUMENT_MISSING
    pdf = entry(LEA, PDF, mime_type="application/pdf", unique_id="2.25.8", uri="CR.PDF")
    beside = xdm_zip([document(LEA, no_uri=True, digest=""), pdf])
    assert refusal(beside, lenient_uri=True) is Reason.DOCUMENT_MISSING
    extra = [("IHE_XDM/SUBSET01/AUTRE.XML", b"<a/>")]
    two = xdm_zip([document(LEA, no_uri=True, digest="")], extra=extra)
    assert refusal(two, lenient_uri=True) is Reason.DOCUMENT_MISSING


# --- integrity


@pytest.mark.parametrize("wrong", [{"digest": "0" * 40}, {"size": "1"}, {"size": "gros"}])
def test_a_hash_or_size_that_differs_is_refused_unless_told_to_warn(wrong):
    content = xdm_zip([document(LEA, **wrong)])
    assert refusal(content) is Reason.HASH_OR_SIZE_MISMATCH
    warned = read(content, hash_check="warn").documents[0].warnings
    assert warned == (XdmWarning.HASH_OR_SIZE_DIFFERS,)


def test_a_hash_in_capitals_is_the_same_hash():
    digest = hashlib.sha1(DOC.content).hexdigest().upper()
    assert read(xdm_zip([document(LEA, digest=digest)])).documents[0].warnings == ()


def test_a_missing_hash_or_size_is_a_warning():
    found = read(xdm_zip([document(LEA, digest="", size="")])).documents[0]
    assert found.warnings == (XdmWarning.NO_HASH, XdmWarning.NO_SIZE)


# --- which documents


def test_what_is_no_cda_is_left_out_with_a_warning():
    pdf = entry(LEA, PDF, mime_type="application/pdf", unique_id="2.25.8", uri="CR.PDF")
    submission = read(xdm_zip([DOC, pdf]))
    assert len(submission.documents) == 1
    assert submission.warnings == (XdmWarning.NOT_CDA,)


def test_an_archive_without_any_cda_is_refused():
    pdf = entry(LEA, PDF, mime_type="application/pdf")
    assert refusal(xdm_zip([pdf])) is Reason.NO_CDA


@pytest.mark.parametrize("kind", ["text/xml", "application/xml", "application/xslt+xml"])
def test_three_types_are_cda(kind):
    assert read(xdm_zip([document(LEA, mime_type=kind)])).documents


def test_an_xml_file_without_fiche_is_a_warning_and_not_sent():
    submission = read(xdm_zip([DOC], extra=[("IHE_XDM/SUBSET01/X.XML", b"<a/>")]))
    assert submission.warnings == (XdmWarning.UNDESCRIBED_FILE,)
    assert len(submission.documents) == 1


def test_the_same_document_twice_goes_once():
    submission = read(xdm_zip([DOC, DOC]))
    (found,) = submission.documents
    assert found.warnings == (XdmWarning.SAME_DOCUMENT_TWICE,)


def test_one_unique_id_over_two_contents_is_refused():
    other = document(YANN, patient_id=LEA.cx)
    assert refusal(xdm_zip([DOC, other])) is Reason.METADATA_INVALID


def test_the_same_document_with_two_operations_is_refused():
    assert refusal(xdm_zip([DOC, document(LEA, action="D")])) is Reason.METADATA_INVALID


def test_a_file_that_many_fiches_point_at_is_inflated_once(monkeypatch):
    calls = []
    original = XdmArchive.read
    monkeypatch.setattr(XdmArchive, "read", lambda self, n: calls.append(n) or original(self, n))
    described = metadata([document(LEA, uri="DOC0001.XML") for _ in range(20)])
    read(xdm_zip([DOC], metadata_bytes=described))
    assert calls.count("IHE_XDM/SUBSET01/DOC0001.XML") == 1


# --- one patient


def test_two_patients_in_one_archive_are_refused():
    pair = [DOC, document(YANN, document_id="2.25.9")]
    assert refusal(xdm_zip(pair)) is Reason.MULTIPLE_PATIENTS


def test_a_lot_of_another_patient_is_refused():
    content = xdm_zip([DOC], metadata_bytes=metadata([DOC], patient_id=YANN.cx))
    assert refusal(content) is Reason.MULTIPLE_PATIENTS


def test_the_same_matricule_under_another_scheme_is_another_patient():
    production = replace(LEA, oid="1.2.250.1.213.1.4.8")
    content = xdm_zip([DOC], metadata_bytes=metadata([DOC], patient_id=production.cx))
    assert refusal(content) is Reason.MULTIPLE_PATIENTS


def test_two_subsets_of_two_patients_are_refused():
    other = document(YANN, document_id="2.25.9")
    second = [("S2/METADATA.XML", metadata([other])), ("S2/DOC0001.XML", other.content)]
    assert refusal(xdm_zip([DOC], extra=second)) is Reason.MULTIPLE_PATIENTS


def test_two_spellings_of_one_ins_are_one_patient():
    spaced = f"{LEA.matricule[:1]} {LEA.matricule[1:]}^^^&{LEA.oid}&ISO^INS-NIR"
    content = xdm_zip([DOC], metadata_bytes=metadata([DOC], patient_id=spaced))
    assert read(content).patient == (LEA.matricule, LEA.oid)


def test_an_empty_patient_id_of_the_lot_says_nothing():
    content = xdm_zip([DOC], metadata_bytes=metadata([DOC], patient_id=""))
    assert read(content).patient == (LEA.matricule, LEA.oid)


def test_a_local_patient_id_is_a_warning():
    submission = read(xdm_zip([document(LEA, patient_id="900001^^^&2.25.4&ISO^PI")]))
    assert submission.patient is None
    assert submission.warnings == (XdmWarning.PATIENT_NOT_INS,)


def test_two_local_patient_ids_are_two_patients():
    local = document(LEA, patient_id="900001^^^&2.25.4&ISO^PI")
    content = metadata([local], patient_id="900002^^^&2.25.4&ISO^PI")
    assert refusal(xdm_zip([local], metadata_bytes=content)) is Reason.MULTIPLE_PATIENTS


def test_one_local_number_of_two_authorities_is_two_patients():
    local = document(LEA, patient_id="LAB-9^^^&2.25.9&ISO^PI")
    content = metadata([local], patient_id="LAB-9^^^&2.25.10&ISO^PI")
    assert refusal(xdm_zip([local], metadata_bytes=content)) is Reason.MULTIPLE_PATIENTS


def test_a_local_patient_id_that_miscounts_its_separators_is_the_same():
    local = document(LEA, patient_id="900001^^&2.25.4&ISO")
    content = metadata([local], patient_id="900001^^^&2.25.4&ISO^PI")
    assert read(xdm_zip([local], metadata_bytes=content)).documents


# --- §2.4: which operation


@pytest.mark.parametrize(
    ("of_fiche", "of_lot", "requested"),
    [
        ("D", "", Requested.DELETE),
        ("C", "", Requested.REPLACE),
        ("", "d", Requested.DELETE),
        ("C", "D", Requested.REPLACE),
        ("", "", Requested.UNSAID),
    ],
)
def test_the_action_of_the_fiche_then_of_the_lot_decides(of_fiche, of_lot, requested):
    described = metadata([document(LEA, action=of_fiche)], action=of_lot)
    found = read(xdm_zip([DOC], metadata_bytes=described)).documents[0]
    assert found.requested is requested


@pytest.mark.parametrize("value", ["X", "DC", "SUPPRESSION"])
def test_an_unknown_action_is_refused(value):
    assert refusal(xdm_zip([document(LEA, action=value)])) is Reason.ACTION_UNKNOWN
    of_lot = metadata([DOC], action=value)
    assert refusal(xdm_zip([DOC], metadata_bytes=of_lot)) is Reason.ACTION_UNKNOWN


@pytest.mark.parametrize("kind", ["RPLC", "XFRM_RPLC"])
def test_an_association_without_action_asks_a_replacement(kind):
    linked = document(
        LEA, replaces="urn:uuid:ancien", association=f"urn:ihe:iti:2007:AssociationType:{kind}"
    )
    assert read(xdm_zip([linked])).documents[0].requested is Requested.RPLC


def test_the_action_wins_over_the_association():
    both = document(LEA, action="D", replaces="urn:uuid:ancien")
    assert read(xdm_zip([both])).documents[0].requested is Requested.DELETE


# --- §2.6: masks


@pytest.mark.parametrize(
    ("code", "masks"),
    [
        ("MASQUE_PS", Masks(masque_ps=True)),
        ("INVISIBLE_PATIENT", Masks(invisible_patient=True)),
        ("INVISIBLE_REPRESENTANTS_LEGAUX", Masks(invisible_rep_legaux=True)),
        ("INVISIBLE_REPRENSANTS_LEGAUX", Masks(invisible_rep_legaux=True)),
        ("INVISIBLE_ REP_LEGAUX", Masks(invisible_rep_legaux=True)),
        ("invisible_rep_legaux", Masks(invisible_rep_legaux=True)),
    ],
)
def test_every_mask_and_its_spellings(code, masks):
    assert read(xdm_zip([document(LEA, masks=(code,))])).documents[0].masks == masks


def test_masks_add_up():
    both = document(LEA, masks=("MASQUE_PS", "INVISIBLE_PATIENT"))
    masks = read(xdm_zip([both])).documents[0].masks
    assert masks == Masks(masque_ps=True, invisible_patient=True)


def test_a_mask_under_a_wrong_scheme_is_still_a_mask():
    wrong = document(LEA, masks=("MASQUE_PS",), mask_oid="2.25.1")
    assert read(xdm_zip([wrong])).documents[0].masks.masque_ps


def test_an_unknown_code_of_the_mask_scheme_is_refused():
    assert refusal(xdm_zip([document(LEA, masks=("MASQUE_X",))])) is Reason.MASK_UNKNOWN


@pytest.mark.parametrize("prefix", ["urn:oid:", "URN:OID:", " urn:oid: "])
def test_the_mask_scheme_may_be_written_as_a_urn(prefix):
    """X-52."""
    entry = document(LEA, masks=("MASQUE_X",), mask_oid=prefix + "1.2.250.1.213.1.1.4.13")
    assert refusal(xdm_zip([entry])) is Reason.MASK_UNKNOWN


@pytest.mark.parametrize("code", ["N", "R", "V"])
def test_a_confidentiality_level_is_no_mask(code):
    assert read(xdm_zip([document(LEA, masks=(code,))])).documents[0].masks == Masks()


def test_an_unknown_code_of_another_scheme_is_no_mask():
    other = document(LEA, masks=("ETH",), mask_oid="2.16.840.1.113883.5.25")
    assert read(xdm_zip([other])).documents[0].masks == Masks()
