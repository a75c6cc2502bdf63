"""The closed list of checks, second part: METADATA.XML, the CDA, and the two together."""

import re
from collections.abc import Callable
from dataclasses import replace

from pfi.cda.document import CdaWarning
from pfi.journey.reading import MAX_DOCUMENTS, TYPE_NOT_IN_JDV_J07, UNIQUE_ID_DIFFERS
from pfi.journey.settings import XdmSettings
from pfi.names import Reason
from pfi.xdm.metadata import XdmWarning
from tests.data.builders import LEA, SAMIR, YANN, cda, document, entry, mail, metadata, xdm_zip
from tests.doubles.drive import HOSPITAL
from tests.unit.journey.checks import FOLDER, checked, letter

# --- METADATA.XML


def described(change: Callable[[bytes], bytes], *entries, **options):
    """A mail whose METADATA.XML was changed."""
    fiches = entries or (document(LEA),)
    return mail(xdm_zip(fiches, metadata_bytes=change(metadata(fiches, **options))))


def without(pattern: str) -> Callable[[bytes], bytes]:
    """A text without what matches; something must."""
    return instead(pattern, "")


def instead(pattern: str, text: str) -> Callable[[bytes], bytes]:
    def change(content):
        changed, times = re.subn(pattern.encode(), text.encode(), content, flags=re.DOTALL)
        assert times, pattern
        return changed

    return change


def added(text: str) -> Callable[[bytes], bytes]:
    """Further objects at the end of the list."""
    return instead("</rim:RegistryObjectList>", f"{text}</rim:RegistryObjectList>")


_ASSOCIATION = (
    '<rim:Association associationType="urn:x:{}" sourceObject="Document01" targetObject="{}"/>'
)
_SECOND_SET = (
    '<rim:RegistryPackage id="Lot02"><rim:Classification classifiedObject="Lot02"'
    ' classificationNode="urn:uuid:a54d6aa5-d40d-43f9-88c5-b4633d873bdd"/></rim:RegistryPackage>'
)
_TWO_OF_ONE_NAME = (
    '<rim:RegistryPackage id="Document01"/><rim:Classification classifiedObject="Document01"/>'
)
_ON_DEMAND = "34268e47-fdf5-41a6-ba33-82133c465248"
_TWO_ACTIONS = (
    '<rim:Slot name="urn:a:action"><rim:ValueList><rim:Value>D</rim:Value></rim:ValueList>'
    '</rim:Slot><rim:Slot name="action"><rim:ValueList><rim:Value>C</rim:Value></rim:ValueList>'
    "</rim:Slot>"
)
_PDF = entry(LEA, b"%PDF", uri="A.PDF", mime_type="application/pdf", unique_id="2.25.9")
_SAME = document(LEA)
_LONG = " ".join(map(str, range(700_000)))
_WARNED = replace(HOSPITAL, xdm=XdmSettings(hash="warn"))

OF_METADATA = (
    checked(
        "xdm.submission._subsets",
        Reason.METADATA_MISSING,
        mail(xdm_zip([document(LEA)], metadata_name="AUTRE.XML")),
    ),
    checked(
        "xdm.submission._subsets",
        Reason.METADATA_INVALID,
        described(added(_LONG)),
    ),
    checked(
        "xdm.metadata._registry_objects",
        Reason.METADATA_INVALID,
        described(lambda _: b"pas du XML"),
    ),
    checked(
        "xdm.metadata._registry_objects",
        Reason.METADATA_INVALID,
        described(instead("rim:RegistryObjectList", "rim:Autre")),
    ),
    checked(
        "xdm.metadata._registry_objects",
        Reason.METADATA_INVALID,
        described(added("".join(map("<a{}/>".format, range(200_000))))),
    ),
    checked(
        "xdm.metadata.read",
        Reason.METADATA_INVALID,
        described(instead("rim:ExtrinsicObject", "rim:Autre")),
    ),
    checked(
        "xdm.metadata.read",
        Reason.ACTION_UNKNOWN,
        described(added(_ASSOCIATION.format("UpdateAvailabilityStatus", "ailleurs"))),
    ),
    checked(
        "xdm.metadata._Objects.__init__",
        Reason.METADATA_INVALID,
        described(added(_TWO_OF_ONE_NAME)),
    ),
    checked(
        "xdm.metadata._entry",
        Reason.METADATA_INVALID,
        described(instead("7edca82f-054d-47f2-a032-9b2a5b5186c1", _ON_DEMAND)),
    ),
    checked("xdm.metadata._submission_set", Reason.METADATA_INVALID, described(added(_SECOND_SET))),
    checked(
        "xdm.metadata._action",
        Reason.ACTION_UNKNOWN,
        described(instead("</rim:ExtrinsicObject>", f"{_TWO_ACTIONS}</rim:ExtrinsicObject>")),
    ),
    checked(
        "xdm.metadata._warnings",
        XdmWarning.NO_SUBMISSION_SET,
        described(instead("a54d6aa5-d40d-43f9-88c5-b4633d873bdd", "0")),
    ),
    checked(
        "xdm.metadata._warnings",
        XdmWarning.NO_MEMBER,
        described(without("<rim:Association [^>]*/>")),
    ),
    checked(
        "xdm.metadata._warnings",
        XdmWarning.ASSOCIATION_IGNORED,
        described(added(_ASSOCIATION.format("APND", "2.25.1"))),
    ),
    checked(
        "xdm.submission._one_patient",
        Reason.MULTIPLE_PATIENTS,
        letter(document(LEA), document(YANN, document_id="2.25.8")),
    ),
    checked("xdm.submission.read", Reason.NO_CDA, letter(_PDF)),
    checked(
        "xdm.submission._located",
        Reason.DOCUMENT_MISSING,
        described(instead("DOC0001.XML", "AUTRE.XML")),
    ),
    checked("xdm.submission._located", XdmWarning.NO_URI, letter(document(LEA, no_uri=True))),
    checked("xdm.submission._integrity", XdmWarning.NO_HASH, letter(document(LEA, digest=""))),
    checked("xdm.submission._integrity", XdmWarning.NO_SIZE, letter(document(LEA, size=""))),
    checked(
        "xdm.submission._integrity",
        Reason.HASH_OR_SIZE_MISMATCH,
        letter(document(LEA, digest="0" * 40)),
    ),
    checked(
        "xdm.submission._integrity",
        Reason.HASH_OR_SIZE_MISMATCH,
        letter(document(LEA, size="1")),
    ),
    checked(
        "xdm.submission._integrity",
        XdmWarning.HASH_OR_SIZE_DIFFERS,
        letter(document(LEA, size="1")),
        settings=_WARNED,
    ),
    checked("xdm.submission._requested", Reason.ACTION_UNKNOWN, letter(document(LEA, action="Z"))),
    checked(
        "xdm.submission._masks", Reason.MASK_UNKNOWN, letter(document(LEA, masks=("INCONNU",)))
    ),
    checked(
        "xdm.submission._once",
        Reason.METADATA_INVALID,
        letter(_SAME, replace(_SAME, masks=("INVISIBLE_PATIENT",))),
    ),
    checked(
        "xdm.submission._once",
        Reason.METADATA_INVALID,
        letter(_SAME, document(LEA, version="2")),
    ),
    checked("xdm.submission._once", XdmWarning.SAME_DOCUMENT_TWICE, letter(_SAME, _SAME)),
    checked("xdm.submission._warnings", XdmWarning.NOT_CDA, letter(document(LEA), _PDF)),
    checked(
        "xdm.submission._warnings",
        XdmWarning.UNDESCRIBED_FILE,
        mail(xdm_zip([document(LEA)], extra=[(FOLDER + "SEUL.XML", b"<a/>")])),
    ),
    checked(
        "xdm.submission._warnings",
        XdmWarning.PATIENT_NOT_INS,
        letter(document(LEA, patient_id="LAB-1^^^&2.25.9&ISO^PI")),
    ),
)


# --- the CDA


def changed(change: Callable[[bytes], bytes], **options):
    """A mail whose CDA was changed, and described as it is."""
    return letter(entry(LEA, change(cda(LEA, **options))))


_TWO_PARENTS = (
    '<relatedDocument typeCode="RPLC"><parentDocument><id root="2.25.1"/></parentDocument>'
    '</relatedDocument><relatedDocument typeCode="RPLC"><parentDocument><id root="2.25.2"/>'
    "</parentDocument></relatedDocument><component>"
)
_ENDLESS = "<a " + " ".join(map('a{}="1"'.format, range(20_000))) + "/>"
_HIDDEN = f"<!--{'a' * 300_000}--><!DOCTYPE a><Clin"
_MUCH = "".join(map("<b>{}</b>".format, range(120_000)))


def _endless_in_utf16(content):
    text = instead("<component>.*</component>", _MUCH)(content).decode()
    return text.replace("UTF-8", "UTF-16").encode("utf-16")


OF_THE_CDA = (
    *(
        checked(f"xml.{place}", word, changed(change))
        for place, word, change in (
            ("refuse_dtd", Reason.FORBIDDEN_CONSTRUCT, instead("<Clin", "<!DOCTYPE a><Clin")),
            ("refuse_dtd", Reason.FORBIDDEN_CONSTRUCT, instead('"UTF-8"', '"UTF-7"')),
            ("refuse_dtd", Reason.NOT_WELL_FORMED, lambda _: b"du texte"),
            ("parse_header", Reason.NOT_WELL_FORMED, instead("</ClinicalDocument>", "</a>")),
            ("parse_header", Reason.NOT_WELL_FORMED, instead("</nonXMLBody>", "<x></nonXMLBody>")),
            (
                "_refuse_faults",
                Reason.NOT_WELL_FORMED,
                instead("</nonXMLBody>", "<p:x/></nonXMLBody>"),
            ),
            (
                "_refuse_faults",
                Reason.FORBIDDEN_CONSTRUCT,
                instead("</nonXMLBody>", f"{_ENDLESS}</nonXMLBody>"),
            ),
            (
                "_HeaderReading.read",
                Reason.FORBIDDEN_CONSTRUCT,
                instead("<component>.*</component>", _ENDLESS),
            ),
            (
                "_refuse_endless_header",
                Reason.FORBIDDEN_CONSTRUCT,
                instead("<component>.*</component>", _MUCH),
            ),
            ("_HeaderReading._feed", Reason.FORBIDDEN_CONSTRUCT, _endless_in_utf16),
            ("_refuse_internal_dtd", Reason.FORBIDDEN_CONSTRUCT, instead("<Clin", _HIDDEN)),
            (
                "_inside",
                Reason.FORBIDDEN_CONSTRUCT,
                instead("</component>", f"</component>{_MUCH}"),
            ),
        )
    ),
    checked(
        "cda.document.read", Reason.HEADER_INCOMPLETE, changed(without("  <id [^>]*/>\n  <code"))
    ),
    checked("cda.document._presented", Reason.HEADER_INCOMPLETE, changed(lambda _: b"<a/>")),
    *(
        checked(f"cda.document{place}", word, changed(change))
        for place, word, change in (
            ("", CdaWarning.NO_TITLE, without("<title>.*?</title>")),
            ("", CdaWarning.NO_EFFECTIVE_TIME, without("<effectiveTime [^>]*/>")),
            ("", CdaWarning.NO_CONFIDENTIALITY, without("<confidentialityCode [^>]*/>")),
            ("", CdaWarning.NO_SET_ID, without("<setId [^>]*/>")),
            ("", CdaWarning.NO_AUTHOR, without("<author>.*?</author>")),
            ("", CdaWarning.NO_CUSTODIAN, without("<custodian>.*?</custodian>")),
            (
                "",
                CdaWarning.NO_LEGAL_AUTHENTICATOR,
                without("<legalAuthenticator>.*?</legalAuthenticator>"),
            ),
            ("._warnings", CdaWarning.NOT_FRENCH, without("<realmCode [^>]*/>")),
            ("._warnings", CdaWarning.NO_VERSION, without("<versionNumber [^>]*/>")),
            ("._warnings", CdaWarning.NO_BODY, without("<component>.*</component>")),
            ("._warnings", CdaWarning.SEVERAL_PARENTS, instead("<component>", _TWO_PARENTS)),
            ("._warnings", CdaWarning.SEVERAL_NAMES, instead("</name>\n", "</name><name/>\n")),
            ("._warnings", CdaWarning.SUSPECT_ENCODING, instead("LÉA MARIE", "LÃ\u0089A MARIE")),
        )
    ),
)

_TOO_MANY = [document(LEA, document_id=f"2.25.{n}") for n in range(MAX_DOCUMENTS + 1)]

_LEA, _YANN, _NIA = ((str(each.oid), each.matricule) for each in (LEA, YANN, SAMIR))


def _two_archives(one, other):
    second = ("IHE_XDM2.zip", "application/zip", xdm_zip([other]))
    return mail(xdm_zip([one]), attachments=[second])


OF_THE_READING = (
    checked("journey.reading._read_documents", Reason.ZIP_UNSAFE, letter(*_TOO_MANY)),
    checked(
        "journey.reading._warnings", UNIQUE_ID_DIFFERS, letter(document(LEA, unique_id="2.25.1"))
    ),
    checked(
        "journey.reading._warnings",
        TYPE_NOT_IN_JDV_J07,
        letter(document(LEA, code=("0-0", "2.16.840.1.113883.6.1", "Autre"))),
    ),
    checked(
        "journey.reading.requested_event",
        Reason.REPLACE_WITHOUT_PARENT,
        letter(document(LEA, action="C")),
    ),
    checked(
        "journey.reading._distinct",
        Reason.METADATA_INVALID,
        _two_archives(document(LEA), document(LEA, version="2")),
    ),
    *(
        checked("journey.reading._one_patient", Reason.MULTIPLE_PATIENTS, each)
        for each in (
            _two_archives(document(LEA), document(YANN, document_id="2.25.8")),
            _two_archives(
                document(LEA, ids=[_LEA, _NIA], patient_id=SAMIR.cx),
                document(YANN, ids=[_YANN, _NIA], patient_id=SAMIR.cx, document_id="2.25.8"),
            ),
            _two_archives(
                document(LEA, ids=[_LEA], patient_id=""),
                document(LEA, ids=[_NIA], patient_id="", document_id="2.25.8"),
            ),
            _two_archives(document(LEA), document(LEA, patient_id=YANN.cx, document_id="2.25.8")),
        )
    ),
)
