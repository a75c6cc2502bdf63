"""What a mail is, and whether it may be answered (mssante-mail §1.1, §1.3, F-06, F-07)."""

import io
import zipfile

import pytest

from pfi.mail.inbound import read
from pfi.mail.rules import (
    Kind,
    MailPolicy,
    answer_address,
    archives,
    kind,
    may_answer,
    opened,
    trusted,
)
from tests.unit.mail.awkward import FAULTY, ZIP
from tests.unit.mail.letters import (
    MESSAGE_ID,
    OWN,
    REQUEST,
    SENDER,
    archive,
    forwarded,
    inner_multipart,
    letter,
    mdn_part,
    multipart,
    part,
    pdf_part,
    plain,
    report,
    text_part,
    zip_part,
)

POLICY = MailPolicy(own_addresses=frozenset({OWN}))
DISPOSITION = mdn_part("Disposition: automatic-action/MDN-sent-automatically; processed")
MDN = report("disposition-notification", DISPOSITION, letter())
DSN = report("delivery-status", part("message/delivery-status", "Action: failed\r\n"), letter())
KO = "[KO Intégration système !][902] " + REQUEST


def kind_of(raw):
    return kind(read(raw), POLICY.own_addresses)


# M-01 and §1.3 step 1 -------------------------------------------------------------------------


def test_a_mail_with_or_without_archive_is_a_document_mail():
    assert kind_of(letter()) is Kind.DOCUMENT
    assert kind_of(plain()) is Kind.DOCUMENT
    assert kind_of(FAULTY["nothing"]) is Kind.DOCUMENT


@pytest.mark.parametrize("subject", [None, "", "TR: " + REQUEST, "facture", "Accusé de lecture"])
def test_the_subject_does_not_make_a_document_mail_something_else(subject):
    assert kind_of(letter(Subject=subject)) is Kind.DOCUMENT


def test_reports_are_known_by_their_structure():
    assert kind_of(MDN) is Kind.MDN
    assert kind_of(DSN) is Kind.DSN
    assert kind_of(report("feedback-report", text_part(), letter())) is Kind.DSN


def test_a_report_without_report_type_is_known_by_its_parts():
    without = MDN.replace(b"report-type=disposition-notification; ", b"")
    assert kind_of(without) is Kind.MDN


def test_an_mdn_that_repeats_our_subject_and_archive_is_never_a_document():
    loose = report("disposition-notification", DISPOSITION, letter())
    loose = loose.replace(b"--=_rapport--", b"--=_rapport\r\n" + zip_part() + b"\r\n--=_rapport--")
    mail = read(loose)
    assert "application/zip" in [p.content_type for p in mail.parts]
    assert kind(mail, frozenset()) is Kind.MDN
    assert archives(mail) == ()


def test_an_archive_in_a_report_nested_in_another_mail_is_no_candidate():
    inner = inner_multipart([text_part(), zip_part()], subtype="report")
    assert archives(read(multipart([inner]))) == ()


@pytest.mark.parametrize(
    "changes",
    [
        {"X_Loop": OWN},
        {"X_Loop": [f"<{OWN.upper()}>", "autre@x.fr"]},
    ],
)
def test_our_own_mail_coming_back_is_recognised(changes):
    assert kind_of(letter(**changes)) is Kind.OWN


def test_a_mail_from_a_bal_of_ours_is_read_but_never_answered():
    mail = read(letter(From=OWN))
    assert kind_of(letter(From=OWN)) is Kind.DOCUMENT
    assert not may_answer(mail, POLICY)


def test_the_loop_mark_of_somebody_else_is_not_ours():
    assert kind_of(letter(X_Loop="pfi@autre.mssante.fr")) is Kind.DOCUMENT


@pytest.mark.parametrize(
    "subject",
    [
        KO,
        "[KO Integration systeme !][902] x",
        "[ko intégration]",
        "TR: [KO INTÉGRATION SYSTÈME !] x",
        "[KO Inte\u0301gration système]",
        "[ KO  Intégration",
        "[KO IntÃ©gration système !]",
        "=?utf-8?q?=5BKO_Int=C3=A9gration_syst=C3=A8me_!=5D?=",
        "[Erreur d'intégration !][902] x",
        "[Erreur d’Integration !]",
    ],
)
def test_a_failure_notice_of_another_platform_is_known_by_its_mark(subject):
    """F-03: it carries a valid archive that must not be integrated."""
    mail = read(letter(Subject=subject))
    assert kind(mail, POLICY.own_addresses) is Kind.FAILURE_NOTICE
    assert not may_answer(mail, POLICY)
    assert opened(read(forwarded(letter(), Subject=subject))).subject == mail.subject


@pytest.mark.parametrize("subject", ["KO Intégration", "[KO] Intégration", "Intégration [OK]"])
def test_words_like_the_mark_are_not_the_mark(subject):
    assert kind_of(letter(Subject=subject)) is Kind.DOCUMENT


AUTOMATIC = [
    {"Auto_Submitted": "auto-replied"},
    {"Auto_Submitted": "Auto-Generated; owner=x"},
    {"Auto_Submitted": ["no", "auto-replied"]},
    {"Return_Path": "<>"},
    {"From": "MAILER-DAEMON@ch-fictif.mssante.fr"},
    {"From": "Postmaster <postmaster@labo-fictif.mssante.fr>"},
    {"X_Autoreply": "yes"},
]


@pytest.mark.parametrize("changes", AUTOMATIC)
def test_an_automatic_mail_is_filed_unless_it_carries_an_archive(changes):
    assert kind_of(plain(**changes)) is Kind.AUTO_REPLY
    with_archive = read(letter(**changes))
    assert kind(with_archive, POLICY.own_addresses) is Kind.DOCUMENT
    assert archives(with_archive) == (ZIP,)
    assert not may_answer(with_archive, POLICY)


@pytest.mark.parametrize("value", ["no", "NO", "no (fait main)", "no; x=y", ""])
def test_auto_submitted_no_is_a_human(value):
    assert may_answer(read(letter(Auto_Submitted=value)), POLICY)


# §1.3 steps 3 and 4 ---------------------------------------------------------------------------


def test_identical_archives_count_once_and_different_ones_each():
    other = archive(filler=b"<y/>")
    mail = read(multipart([zip_part(), zip_part(name="copie.zip"), zip_part(other)]))
    assert archives(mail) == (ZIP, other)


def test_a_broken_archive_with_the_right_name_is_still_a_candidate():
    assert archives(read(multipart([zip_part(b"PK\x03\x04cass\xe9")]))) == (b"PK\x03\x04cass\xe9",)
    assert archives(read(multipart([zip_part(b"")]))) == (b"",)


def test_a_zip_of_any_name_needs_a_metadata_file():
    for metadata in ("METADATA.XML", "a/b/metadata.xml", "a\\Metadata.Xml"):
        assert archives(read(multipart([zip_part(archive(metadata), name="x.dat")])))
    for metadata in ("METADATA.XML.txt", "XMETADATA.XML", "METADATA.XML/x"):
        assert not archives(read(multipart([zip_part(archive(metadata), name="x.dat")])))


def test_a_zip_with_a_monstrous_directory_is_not_opened():
    for entries, found in ((4_990, 1), (5_010, 0)):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as writer:
            for number in range(entries):
                writer.writestr(f"{number}/METADATA.XML", b"")
        mail = read(multipart([zip_part(out.getvalue(), name="x.dat")]))
        assert len(archives(mail)) == found


def test_an_attached_message_named_like_an_archive_is_no_archive():
    message = part("message/rfc822", letter(), 'Content-Disposition: x; filename="IHE_XDM.zip"')
    assert archives(read(multipart([message], boundary="=_dehors"))) == ()


# Decision 11, M-03, M-04 ----------------------------------------------------------------------

STAFF = {"From": "bal.org@ch-fictif.mssante.fr", "Return_Path": None, "Message_ID": "<tr.1@ch>"}


def test_a_message_forwarded_by_staff_is_opened_one_level():
    inner = letter(pdf_part(), From="autre@autre.mssante.fr", Message_ID="<dedans@autre>")
    mail = read(forwarded(inner, **STAFF))
    assert archives(mail) == ()
    assert archives(opened(mail)) == (ZIP,)
    assert opened(mail).text.startswith("Bonjour")


def test_the_identity_of_an_opened_mail_stays_that_of_who_forwarded():
    mail = read(forwarded(letter(), **STAFF))
    assert opened(mail).sender == "bal.org@ch-fictif.mssante.fr"
    assert opened(mail).message_id == "<tr.1@ch>"
    assert answer_address(opened(mail), POLICY) == "bal.org@ch-fictif.mssante.fr"


def test_a_second_level_stays_closed():
    assert archives(opened(read(forwarded(forwarded(letter()))))) == ()


def _with(*messages, **changes):
    parts = [part("message/rfc822", m) for m in messages]
    return multipart([text_part(), *parts], boundary="=_dehors", **changes)


@pytest.mark.parametrize(
    "raw",
    [
        plain(),
        letter(),
        _with(letter(), letter()),
        multipart([zip_part(), part("message/rfc822", letter(boundary="=_b"))], boundary="=_a"),
        MDN,
        DSN,
        forwarded(letter(), Subject=KO),
        forwarded(letter(), Auto_Submitted="auto-replied"),
        forwarded(letter(), X_Loop=OWN),
        forwarded(MDN),
        forwarded(DSN),
        forwarded(letter(Subject=KO)),
        forwarded(letter(X_Loop=OWN)),
        forwarded(letter(X_PFI_Reason="902 902")),
        forwarded(FAULTY["too deep"]),
        forwarded(b""),
        multipart([inner_multipart([part("message/rfc822", letter())], subtype="report")]),
        multipart([part("application/octet-stream; name=a.eml", letter())], boundary="=_dehors"),
    ],
)
def test_every_other_mail_stays_as_it_is(raw):
    mail = read(raw)
    assert opened(mail, POLICY.own_addresses) is mail


# M-05 -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        (SENDER, True),
        (SENDER.upper(), True),
        ("a@exact.example", True),
        ("a@sous.exact.example", False),
        ("a@mssante.fr", False),
        ("a@fauxmssante.fr", False),
        ("a@x.mssante.fr.example", False),
        ("a@b@x.mssante.fr", False),
        (f"<{SENDER}>", False),
        ("", False),
    ],
)
def test_trust_is_a_matter_of_the_whole_domain(address, expected):
    assert trusted(address, (".MSSANTE.fr", "exact.example", "", ".")) is expected


# F-06, F-07 -----------------------------------------------------------------------------------


def test_the_answer_goes_to_the_return_path_else_to_from_never_to_reply_to():
    """F-07."""
    mail = letter(Return_Path="<retour@labo-fictif.mssante.fr>", Reply_To="humain@x.mssante.fr")
    assert answer_address(read(mail), POLICY) == "retour@labo-fictif.mssante.fr"
    mail = letter(Return_Path=None, Reply_To="humain@x.mssante.fr")
    assert answer_address(read(mail), POLICY) == SENDER


NEVER_ANSWERED = [
    *AUTOMATIC,
    {"From": None},
    {"From": f"{SENDER}, autre@x.mssante.fr"},
    {"From": "pas une adresse"},
    {"From": "labo@gmail.example", "Return_Path": None},
    {"From": OWN},
    {"X_Loop": OWN},
    {"Subject": KO},
    {"List_Id": "<annonces.x.mssante.fr>"},
    {"List_Unsubscribe": "<mailto:x@y.fr>"},
    {"Precedence": "Bulk"},
    {"Precedence": "junk"},
    {"Precedence": "list"},
    {"From": "no-reply@labo-fictif.mssante.fr"},
    {"From": "noreply.labo@labo-fictif.mssante.fr"},
    {"From": "NE_PAS_REPONDRE@labo-fictif.mssante.fr"},
    {"From": "nepasrepondre@labo-fictif.mssante.fr"},
]


@pytest.mark.parametrize("changes", NEVER_ANSWERED)
def test_nobody_is_answered_who_must_not_be(changes):
    """F-06, design §6.4."""
    mail = read(letter(**changes))
    assert not may_answer(mail, POLICY)
    assert answer_address(mail, POLICY) == ""


@pytest.mark.parametrize("raw", [MDN, DSN])
def test_no_report_is_ever_answered(raw):
    """N-04."""
    assert not may_answer(read(raw), POLICY)


@pytest.mark.parametrize(
    "path",
    [
        "<ailleurs@gmail.example>",
        f"<{OWN}>",
        "<postmaster@labo-fictif.mssante.fr>",
        "<a@x.mssante.fr, b@x.mssante.fr>",
        "rien",
    ],
)
def test_an_answer_address_must_itself_be_strict_trusted_and_not_ours(path):
    assert answer_address(read(letter(Return_Path=path)), POLICY) == ""


def test_a_usual_sender_may_be_answered():
    mail = read(letter(Precedence="first-class", X_Priority="1"))
    assert may_answer(mail, POLICY)
    assert answer_address(mail, POLICY) == SENDER
    assert mail.message_id == MESSAGE_ID
