"""Damage that senders, relays and attackers do to a mail, and the standard library as oracle."""

import email

from pfi.mail.inbound import read
from tests.unit.mail.awkward import FOUND, WITHOUT
from tests.unit.mail.letters import (
    forwarded,
    inner_multipart,
    letter,
    multipart,
    part,
    pdf_part,
    plain,
    text_part,
    zip_part,
)

HOSTILE = (
    *(b"\r\n", b"\n", b"\r", b"\0", b'"', b"\\", b";", b"(", b"<", b"--=_fictif", b"--", b"%"),
    *(b"=?utf-8?b?", b"?=", b"\xff", b"\xc3", b"*0*=", b"PK", b"boundary=", b"\r\nX-Loop: a@b"),
    b"Content-Type: multipart/mixed; boundary=\r\n",
)


def mutant(chance, seed):
    """`seed` with one to six wounds."""
    raw = bytearray(seed)
    for _ in range(chance.randint(1, 6)):
        at = chance.randrange(len(raw) + 1)
        until = min(len(raw), at + chance.randint(0, 40))
        what = chance.randrange(5)
        if what == 0:
            raw[at:until] = b""
        elif what == 1:
            raw[at:at] = chance.choice(HOSTILE)
        elif what == 2:
            raw[at:until] = chance.randbytes(until - at)
        elif what == 3:
            raw[at:at] = raw[at:until] * chance.randint(1, 4)
        else:
            del raw[chance.randrange(len(raw) + 1) :]
    return bytes(raw)


SHAPES = {
    "plain": plain("Bonjour\r\nà tous\r\n"),
    "letter": letter(),
    "with pdf": letter(pdf_part()),
    "nested": multipart([inner_multipart([text_part(), zip_part()]), pdf_part()]),
    "alternative": multipart([text_part(), part("text/html", "<p>x")], subtype="alternative"),
    "bare LF": letter().replace(b"\r\n", b"\n"),
    "not closed": multipart([text_part(), zip_part()], closed=False),
    "empty part": multipart([b"", text_part()]),
    "preamble": FOUND["preamble and epilogue"],
    "prefix boundary": FOUND["boundary that begins another"],
    "sections": FOUND["RFC 2231 sections"],
    "name only": FOUND["name only"],
    "quoted-printable": FOUND["quoted-printable"],
    "unquoted boundary": FOUND["unquoted boundary"],
    "no header": FOUND["no blank line before the base64"],
    "header only": WITHOUT["header only"],
    "html": WITHOUT["html only"],
    "attached message": forwarded(letter()),
}


def oracle(message):
    """Leaves as the stdlib sees them, an attached message staying whole."""
    if message.get_content_maintype() == "multipart" and message.is_multipart():
        return [leaf for one in message.get_payload() for leaf in oracle(one)]
    name = email.utils.collapse_rfc2231_value(message.get_filename() or "")
    if message.get_content_type() == "message/rfc822":
        return [("message/rfc822", name, message.get_payload(0)["Subject"] or "")]
    return [(message.get_content_type(), name, message.get_payload(decode=True))]


def ours(mail):
    """Our leaves, in the same form."""
    for found in mail.parts:
        content = mail.content(found)
        attached = found.content_type == "message/rfc822"
        told = read(content).subject if attached else content
        yield found.content_type, found.filename, told
