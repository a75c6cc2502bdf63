"""Awkward originals: every shape that some sender, relay or attacker has been seen to produce."""

import binascii

from pfi.mail.mime import MailLimits
from tests.unit.mail.letters import (
    REQUEST,
    archive,
    forwarded,
    head,
    in_base64,
    inner_multipart,
    letter,
    lines,
    mdn_part,
    multipart,
    part,
    pdf_part,
    plain,
    report,
    text_part,
    zip_part,
)

ZIP = archive()


def _named(*fields, content_type="application/octet-stream"):
    return multipart([text_part(), part(content_type, in_base64(ZIP), *fields, encoding="base64")])


def _encoded(body, encoding):
    field = 'Content-Disposition: attachment; filename="IHE_XDM.zip"'
    return multipart([text_part(), part("application/zip", body, field, encoding=encoding)])


# The archive must be found in each of these.
FOUND = {
    "usual": letter(),
    "with a pdf": letter(pdf_part()),
    "pdf with an apostrophe": letter(pdf_part("CR d'examen_L'HERMINE.pdf")),
    "RFC 2047 file name": _named(
        'Content-Disposition: attachment; filename="=?utf-8?B?SUhFX1hETS56aXA=?="'
    ),
    "RFC 2047 file name in Q, unquoted": _named(
        "Content-Disposition: attachment; filename==?iso-8859-1?Q?IHE=5FXDM.zip?="
    ),
    "RFC 2231 file name": _named(
        "Content-Disposition: attachment; filename*=UTF-8''IHE%5FXDM%20%C3%A9t%C3%A9.zip"
    ),
    "RFC 2231 sections": _named(
        "Content-Disposition: attachment;",
        " filename*1*=DM%2E; filename*0*=utf-8'fr'IHE%5FX;",
        ' filename*2="zip"',
    ),
    "name only": _named(content_type='application/zip; name="IHE_XDM.zip"'),
    "no name at all": _named(content_type="application/zip"),
    "no name, octet-stream": _named(),
    "unix path in the name": _named(
        'Content-Disposition: attachment; filename="/tmp/envoi/ihe_xdm.ZIP"'
    ),
    "windows path in the name": _named(
        'Content-Disposition: attachment; filename="C:\\envoi\\IHE_XDM.zip"'
    ),
    "numbered copy": _named('Content-Disposition: attachment; filename="IHE_XDM (1).zip"'),
    "IHEXDM": _named("Content-Disposition: attachment; filename=ihexdm-20260514.Zip"),
    "unclosed quote": _named('Content-Disposition: attachment; filename="IHE_XDM.zip'),
    "typed as text": _named(
        'Content-Disposition: attachment; filename="IHE_XDM.zip"', content_type="text/plain"
    ),
    "base64 unpadded": _encoded(in_base64(ZIP).rstrip(b"="), "base64"),
    "base64 indented": _encoded(b"  " + in_base64(ZIP).replace(b"\n", b"\n\t "), "base64"),
    "base64 quoted by >": _encoded(b"> " + in_base64(ZIP).replace(b"\n", b"\n> "), "base64"),
    "base64 with line noise": _encoded(in_base64(ZIP).replace(b"\r\n", b"\x00!~\r\n"), "base64"),
    "base64 in one line": _encoded(binascii.b2a_base64(ZIP).strip(), "base64"),
    "encoding in upper case with a comment": _encoded(in_base64(ZIP), "BASE64 (zip)"),
    "quoted-printable": _encoded(binascii.b2a_qp(ZIP, istext=False), "quoted-printable"),
    "binary": _encoded(ZIP, "binary"),
    "misspelt encoding field": multipart(
        [
            text_part(),
            lines(
                'Content-Type: application/zip; name="IHE_XDM.zip"',
                "Content-Transfert-Encoding: base64",
                "",
            )
            + in_base64(ZIP),
        ]
    ),
    "no blank line before the base64": multipart(
        [
            text_part(),
            lines("Content-Type: application/zip", "Content-Transfer-Encoding: base64")
            + in_base64(ZIP),
        ]
    ),
    "byte-order mark": b"\xef\xbb\xbf" + letter(),
    "blank lines first": b"\r\n\r\n" + letter(),
    "mailbox line first": b"From labo Thu May 14 09:31:45 2026\r\n" + letter(),
    "no closing boundary": multipart([text_part(), zip_part()], closed=False),
    "bare LF": letter().replace(b"\r\n", b"\n"),
    "bare CR": letter().replace(b"\r\n", b"\r"),
    "CR CR LF": letter().replace(b"\r\n", b"\r\r\n"),
    "unquoted boundary": multipart(
        [text_part(), zip_part()], Content_Type="multipart/mixed; boundary==_fictif; x=y"
    ),
    "boundary without semicolon": multipart(
        [text_part(), zip_part()], Content_Type='multipart/mixed boundary="=_fictif"'
    ),
    "blanks after the boundary": letter().replace(b"--=_fictif\r\n", b"--=_fictif \t\r\n"),
    "boundary that begins another": multipart(
        [
            inner_multipart([text_part("--=_fictif2 pas une limite\r\n")], boundary="=_fictif1"),
            zip_part(),
        ]
    ),
    "nested mixed": multipart([inner_multipart([text_part(), zip_part()])]),
    "in alternative": multipart([text_part(), zip_part()], subtype="alternative"),
    "in related inside alternative": multipart(
        [text_part(), inner_multipart([part("text/html", "<p>a"), zip_part()], subtype="related")],
        subtype="alternative",
    ),
    "clear-signed": multipart(
        [
            inner_multipart([text_part(), zip_part()]),
            part(
                "application/pkcs7-signature; name=smime.p7s",
                in_base64(b"0\x80"),
                encoding="base64",
            ),
        ],
        subtype="signed",
    ),
    "preamble and epilogue": letter().replace(b"\r\n\r\n", b"\r\n\r\nCeci est en MIME.\r\n", 1)
    + b"fin\r\n",
    "metadata behind backslashes": multipart(
        [zip_part(archive("IHE_XDM\\SUBSET01\\Metadata.xml"), name="envoi.bin")]
    ),
    "whole mail is the zip": head()
    + lines("Content-Type: application/zip", "Content-Transfer-Encoding: base64", "")
    + in_base64(ZIP),
    "noise line in the header": letter().replace(b"MIME-Version", b"ligne perdue\r\nMIME-Version"),
    "tab folded content type": letter().replace(b"; boundary", b";\r\n\tboundary"),
}

# Nothing must be found in these, and none is a fault.
WITHOUT = {
    "plain text": plain(),
    "html only": head() + lines("Content-Type: text/html", "", "<p>Bonjour</p>"),
    "pdf only": multipart([text_part(), pdf_part()]),
    "a zip of something else": multipart([zip_part(archive("photos/1.XML"), name="photos.zip")]),
    "junk that starts as a zip": multipart([zip_part(b"PK\x03\x04" + b"x" * 90, name="a.zip")]),
    "uuencoded": plain("begin 644 IHE_XDM.zip\r\n#4$L#\r\n`\r\nend\r\n"),
    "opaque S/MIME": head()
    + lines("Content-Type: application/pkcs7-mime; smime-type=enveloped-data", "", "MIAGCSq"),
    "forwarded as message": forwarded(letter()),
    "forwarded twice": forwarded(forwarded(letter())),
    "mdn": report(
        "disposition-notification",
        mdn_part("Disposition: automatic-action/MDN-sent-automatically; processed"),
        letter(),
    ),
    "multipart without any part": multipart([]),
    "multipart without boundary": multipart([text_part()], Content_Type="multipart/mixed"),
    "header only": head(),
    "unknown charset": head()
    + lines("Content-Type: text/plain; charset=klingon", "", b"\xe9t\xe9"),
    "raw cp1252 header": plain(Subject="Résumé été".encode("cp1252")),
    "empty part": multipart([b"", text_part()]),
    "nul bytes": plain("a\0b\r\n"),
    "very long line": plain("x" * 5000 + "\r\n"),
    "does not end with a line end": plain("fin sans retour"),
    "ends with blank lines": plain("fin\r\n\r\n\r\n"),
    "dots alone on lines": plain(".\r\n..\r\n.\r\n"),
    "header of 70 kB": plain(References="\r\n ".join(f"<{n}@x.fr>" for n in range(7000))),
    "our own boundary style inside": plain("--=_pfi_0\r\nContent-Type: text/plain\r\n\r\n"),
    "two subjects": plain(Subject=[REQUEST, "autre"]),
    "bare LF in the middle": plain("a\r\nb\nc\r\n"),
    "8-bit body": plain("été à l'hôpital\r\n"),
}

# Over the limits or no mail at all.
FAULTY = {
    "nothing": b"",
    "one blank line": b"\r\n",
    "no header": b"bonjour tout le monde\r\nsans en-tete\r\n",
    "only a zip": ZIP,
    "random bytes": bytes(range(256)) * 9,
    "300 parts and more": multipart([text_part("x")] * (MailLimits().parts + 5)),
    "header block over the limit": plain(References="<a@b.fr> " * 70_000),
    "false delimiters": plain("\r\n--=_fictif x" * 10_001).replace(
        b"text/plain", b'multipart/mixed; boundary="=_fictif"'
    ),
    "part header over the limit": multipart([lines("X: " + "y" * 600_000, "") + b"x"]),
}


def _too_deep():
    body = text_part()
    for level in range(MailLimits().depth + 2):
        body = inner_multipart([body], boundary=f"=_niveau{level:02d}")
    return multipart([body])


FAULTY["too deep"] = _too_deep()
ORIGINALS = {**FOUND, **WITHOUT, **FAULTY}
