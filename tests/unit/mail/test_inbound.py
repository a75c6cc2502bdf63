"""Reading received mails: structure, names, encodings, headers (mssante-mail §1.2, §1.3)."""

import pytest

from pfi.mail.archives import archives
from pfi.mail.inbound import MailLimits, read
from pfi.names import Reason
from tests.unit.mail.awkward import FAULTY, FOUND, WITHOUT, ZIP
from tests.unit.mail.letters import (
    MESSAGE_ID,
    OWN,
    REQUEST,
    SENDER,
    archive,
    head,
    letter,
    lines,
    multipart,
    part,
    pdf_part,
    plain,
    text_part,
    zip_part,
)


@pytest.mark.parametrize("name", FOUND)
def test_the_archive_comes_out_whole_from_an_awkward_mail(name):
    mail = read(FOUND[name])
    assert mail.fault is None
    (found,) = archives(mail)
    assert found == ZIP or (name == "metadata behind backslashes" and found.startswith(b"PK"))


@pytest.mark.parametrize("name", WITHOUT)
def test_a_mail_without_archive_is_read_without_fault(name):
    mail = read(WITHOUT[name])
    assert mail.fault is None
    assert archives(mail) == ()


@pytest.mark.parametrize("name", FAULTY)
def test_what_is_no_mail_or_over_the_limits_has_a_fault_and_no_parts(name):
    mail = read(FAULTY[name])
    assert mail.fault is Reason.MAIL_UNREADABLE
    assert (mail.parts, archives(mail), mail.text) == ((), (), "")


def test_a_faulty_mail_still_tells_its_headers():
    assert read(FAULTY["too deep"]).sender == SENDER
    assert read(FAULTY["300 parts and more"]).subject == REQUEST


def test_a_mail_over_the_size_limit_has_its_own_reason():
    """M-15."""
    mail = read(letter(), MailLimits(size=200))
    assert mail.fault is Reason.MAIL_TOO_LARGE
    assert mail.message_id == MESSAGE_ID


@pytest.mark.parametrize(
    ("limits", "raw"),
    [
        (MailLimits(parts=3), multipart([text_part()] * 3)),
        (MailLimits(depth=0), letter()),
        (MailLimits(header_block=100), letter()),
    ],
)
def test_each_limit_stops_the_reader_by_itself(limits, raw):
    assert read(raw, limits).fault is Reason.MAIL_UNREADABLE
    assert read(raw).fault is None


def test_an_attached_message_is_one_leaf_and_never_entered():
    mail = read(WITHOUT["forwarded as message"])
    assert [p.content_type for p in mail.parts] == ["text/plain", "message/rfc822"]
    assert mail.content(mail.parts[1]) == letter()


def test_two_delimiters_that_touch_enclose_an_empty_part():
    raw = multipart([text_part()]).replace(b"--=_fictif\r\n", b"--=_fictif\r\n--=_fictif\r\n")
    first, second = read(raw).parts
    assert first.start == first.end
    assert read(raw).content(second).startswith(b"Bonjour")


def test_a_digest_holds_messages_by_default():
    mail = read(multipart([b"\r\n" + letter()], subtype="digest", boundary="=_tous"))
    assert [p.content_type for p in mail.parts] == ["message/rfc822"]


def test_parts_know_where_they_stand():
    first, second = read(letter()).parts
    assert (first.content_type, first.charset, first.encoding) == ("text/plain", "utf-8", "8bit")
    assert (second.filename, second.encoding, second.depth) == ("IHE_XDM.zip", "base64", 1)
    mail = read(WITHOUT["mdn"])
    assert all(p.in_report for p in mail.parts)
    assert mail.report_type == "disposition-notification"


def test_a_misspelt_encoding_field_counts_as_7bit():
    mail = read(FOUND["misspelt encoding field"])
    assert mail.parts[1].encoding == "7bit"


def test_the_last_part_of_a_mail_that_was_cut_reaches_its_end():
    raw = letter()
    mail = read(raw[: raw.rindex(b"--=_fictif")])
    assert mail.content(mail.parts[-1]) == ZIP


def test_a_base64_body_cut_anywhere_gives_its_whole_bytes():
    encoded = zip_part().partition(b"\r\n\r\n")[2]
    for cut in range(8):
        raw = multipart([zip_part().partition(b"\r\n\r\n")[0] + b"\r\n\r\n" + encoded[: 40 - cut]])
        mail = read(raw)
        body = mail.content(mail.parts[0])
        assert ZIP.startswith(body)
        assert len(body) >= 23


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ('filename="a.pdf"', "a.pdf"),
        ("filename=deux mots.pdf", "deux mots.pdf"),
        ('filename="../../etc/passwd"', "passwd"),
        ('filename="a\\"b.pdf"', 'a"b.pdf'),
        ('filename="=?utf-8?q?=C3=A9t=C3=A9=2Epdf?="', "été.pdf"),
        ("filename*=iso-8859-1''%E9t%E9.pdf", "été.pdf"),
        ("filename*=''%C3%A9.pdf", "é.pdf"),
        ("filename=plain.pdf; filename*=utf-8''ext.pdf", "ext.pdf"),
        ("filename*0=a; filename*1=b.pdf", "ab.pdf"),
        ("filename*0*=utf-8''%C3; filename*1*=%A9.pdf", "é.pdf"),
        ("filename*=utf-8''a%0D%0AX-Evil%3A%20b.pdf", "a X-Evil: b.pdf"),
        ('filename="=?utf-8?b?YQ0KWC1FdmlsOiBi?="', "a X-Evil: b"),
        ("filename=", ""),
        (";;;=;=x;filename", ""),
        ('filename="', ""),
    ],
)
def test_a_file_name_is_decoded_to_one_clean_base_name(field, expected):
    raw = multipart([part("application/pdf", "x", f"Content-Disposition: attachment; {field}")])
    assert read(raw).parts[0].filename == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("=?utf-8?B?w6k=?=", "é"),
        ("=?utf-8?Q?=C3?= =?utf-8?Q?=A9t=C3=A9?=", "été"),
        ("=?UTF-8?Q?a?=\r\n =?utf-8?Q?b?=", "ab"),
        ("=?utf-8?Q?a?= =?iso-8859-1?Q?=E9?=", "aé"),
        ("=?utf-8?Q?a?= milieu =?utf-8?Q?b?=", "a milieu b"),
        ("=?iso-8859-1*fr?Q?=E9?=", "é"),
        ("=?klingon?Q?=C3=A9?=", "é"),
        ("=?rot13?Q?abc?= =?unicode_escape?Q?=5Cx41?=", "abc\\x41"),
        ("=?utf-8?Q?a_b?=c", "a bc"),
        ("=?utf-8?Q?a=0D=0ABcc:_x?=", "a Bcc: x"),
        ("=?utf-8?X?abc?=", "=?utf-8?X?abc?="),
        ("=?utf-7?Q?+2AA-?=", "+2AA-"),
        ("=?utf-16-le?B?ANg=?=", "\ufffd"),
        ("a\tb\x00c\x7f\x85d", "a b c d"),
        ("\u202egauche", "gauche"),
        (b"\xc3\xa9t\xc3\xa9", "été"),
        (b"\xe9t\xe9 \x80", "été €"),
        ("=?utf-8?q?" + "a" * 900 + "?=", "a" * 900),
        ("", ""),
    ],
)
def test_a_subject_is_decoded_to_one_clean_line(value, expected):
    assert read(plain(Subject=value)).subject == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (SENDER, SENDER),
        (f"<{SENDER}>", SENDER),
        ("Labo@LABO-Fictif.MSSante.FR", "Labo@labo-fictif.mssante.fr"),
        ("Dupont, Jean <j@x.fr>", "j@x.fr"),
        ('"Dupont, <autre@y.fr>" <j@x.fr>', "j@x.fr"),
        ("(autre@y.fr) j@x.fr (fin (imbriquée))", "j@x.fr"),
        ("=?utf-8?q?a=3Cautre=40y.fr=3E=2C?= <j@x.fr>", "j@x.fr"),
        ("a@x.fr, b@y.fr", ""),
        (["a@x.fr", "b@y.fr"], ""),
        ("a@x.fr <b@y.fr> <c@z.fr>", ""),
        ("Groupe: a@x.fr;", "a@x.fr"),
        ("undisclosed-recipients:;", ""),
        ("<>", ""),
        ("<a@x.fr\r\n\tb>", ""),
        ('"deux mots"@x.fr', ""),
        ("a@@x.fr", ""),
        ("a@x..fr", ""),
        ("é@x.fr", ""),
        ("a@-x.fr", ""),
        ("a" * 65 + "@x.fr", ""),
        ("(" * 3000 + "a@x.fr", ""),
        ('"jamais fermé <a@x.fr>', ""),
        (None, ""),
    ],
)
def test_the_sender_is_one_strict_address_or_nothing(value, expected):
    assert read(plain(From=value)).sender == expected


def test_recipients_are_those_of_to_and_cc_once_each():
    mail = read(plain(To=f"{OWN}, X <b@y.fr>, pas une adresse", Cc="b@Y.fr, c@z.fr, d@@z"))
    assert mail.recipients == (OWN, "b@y.fr", "c@z.fr")


def test_reply_to_is_the_first_strict_address():
    assert read(plain(Reply_To="x@@y, Secrétariat <s@y.fr>")).reply_to == "s@y.fr"
    assert read(plain()).reply_to == ""


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("<>", ""),
        (" <a@X.fr>", "a@x.fr"),
        ("a@x.fr", "a@x.fr"),
        ("", ""),
        ("rien", ""),
        (None, None),
    ],
)
def test_an_absent_return_path_is_not_a_null_one(value, expected):
    assert read(plain(Return_Path=value)).return_path == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (MESSAGE_ID, MESSAGE_ID),
        ("\r\n " + MESSAGE_ID, MESSAGE_ID),
        ("<[a$b]@x>", "<[a$b]@x>"),
        ("<a@b> <c@d>", ""),
        ("a@b", ""),
        ("<sans arobase>", ""),
        ("<a@b\r\n Bcc: x>", ""),
        ("<é@b>", ""),
        ("<" + "a" * 300 + "@b>", ""),
        (None, ""),
    ],
)
def test_only_a_well_formed_message_id_is_known(value, expected):
    assert read(plain(Message_ID=value)).message_id == expected


def test_the_first_of_two_fields_counts():
    mail = read(plain(Subject=["premier", "second"]))
    assert mail.subject == "premier"
    assert mail.all("SUBJECT") == ("premier", "second")
    assert mail.header("Absent") == ""


def test_a_carriage_return_inside_a_line_makes_no_new_field():
    mail = read(plain(Subject="a\rX-Loop: b"))
    assert mail.subject == "a X-Loop: b"
    assert mail.header("x-loop") == ""


def test_the_date_is_given_as_written():
    assert read(letter()).date == "Thu, 14 May 2026 09:31:45 +0200"


def _text(content_type, body, encoding="8bit"):
    return read(multipart([part(content_type, body, encoding=encoding)])).text


def test_the_text_is_the_plain_body_with_its_charset():
    assert _text("text/plain; charset=iso-8859-15", b"10 \xa4") == "10 €"
    assert _text("text/plain", "a=C3=A9=\r\nb\r\nc", "quoted-printable") == "aéb\nc"
    assert _text("text/plain; charset=utf-8", b"a\0b\x1bc\td") == "abc\td"
    assert _text("text/plain; charset=us-ascii", "é".encode()) == "é"


def test_an_html_body_is_read_without_its_tags():
    body = (
        "<html><head><title>t</title><style>p{}</style></head><body><!-- <p>non -->"
        "<p>Bonjour&nbsp;<b>à</b> tous,<br>3 < 4<script>x<y</script></p></body>"
    )
    assert _text("text/html; charset=utf-8", body) == "Bonjour\xa0à tous,\n3 < 4"


def test_the_plain_body_is_preferred_unless_it_is_blank():
    html = part("text/html", "<p>html</p>")
    assert read(multipart([html, text_part("clair")])).text == "clair"
    assert read(multipart([text_part(" \r\n"), html])).text == "html"
    assert read(multipart([pdf_part()])).text == ""


def test_an_attached_text_file_is_not_the_body():
    attached = part("text/plain", "pièce", 'Content-Disposition: attachment; filename="a.txt"')
    assert read(multipart([attached, text_part("corps")])).text == "corps"


def test_continuation_lines_join_without_their_line_end():
    raw = head() + lines("X-Long: a", "\tb", "  c", "Content-Type: text/plain", "", "x")
    assert read(raw).header("x-long") == "a b  c"


def test_bare_line_feeds_do_not_change_what_is_inside():
    mail = read(FOUND["bare LF"])
    assert mail.text.startswith("Bonjour,\nCi-joint")
    assert archive() in archives(mail)
