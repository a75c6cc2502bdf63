"""Any bytes: no exception, no quadratic cost, and the stdlib's own reading where both apply."""

import base64
import email
import random
import time

import pytest

from pfi.mail import headers, mdn, mime
from pfi.mail.inbound import read
from pfi.mail.outbound import Cause, ForwardStyle, failure_notice, forward
from pfi.mail.rules import archives
from pfi.names import Reason
from tests.unit.mail.asked import everything
from tests.unit.mail.awkward import ORIGINALS
from tests.unit.mail.letters import (
    FALLBACK,
    dispatch,
    head,
    in_base64,
    letter,
    mdn_part,
    multipart,
    part,
    pdf_part,
    report,
    text_part,
    zip_part,
)
from tests.unit.mail.mutants import SHAPES, mutant, oracle, ours

CAUSE = Cause.of(Reason.OTHER)


def _seeds():
    small = [raw for raw in ORIGINALS.values() if len(raw) < 4000]
    dsn = part("message/delivery-status", "Action: failed\r\n")
    status = report("delivery-status", dsn, letter())
    notification = mdn_part("Disposition: a/b; processed/error", "Error: 902^x")
    return [*small, status, report("disposition-notification", notification, letter())]


def test_no_mutant_of_a_mail_raises():
    chance = random.Random(20260514)
    seeds = _seeds()
    for _ in range(1500):
        everything(mutant(chance, chance.choice(seeds)))


def test_every_mutant_can_be_forwarded_whole():
    chance = random.Random(4145)
    seeds = _seeds()
    for _ in range(150):
        raw = mutant(chance, chance.choice(seeds))
        owed = dispatch(raw, to=FALLBACK)
        for out in (forward(owed, CAUSE), failure_notice(owed, CAUSE), mdn.error(owed, CAUSE)):
            back = read(out.content)
            (whole,) = [p for p in back.parts if p.filename == "message_original.eml"][:1]
            assert back.content(whole) == raw


# The stdlib as oracle -------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES)
def test_the_stdlib_sees_the_same_leaves(shape):
    raw = SHAPES[shape]
    assert list(ours(read(raw))) == oracle(email.message_from_bytes(raw))


@pytest.mark.parametrize("shape", SHAPES)
def test_the_stdlib_sees_the_same_fields(shape):
    raw = SHAPES[shape]
    theirs = [
        (name.lower(), " ".join(str(value).split()))
        for name, value in email.message_from_bytes(raw).items()
    ]
    ours = [(name, " ".join(value.decode().split())) for name, value in read(raw).headers]
    assert ours == theirs


# Cost grows with size, not with its square ----------------------------------------------------


def _header(value):
    return lambda n: head(Subject=value * n, From=value * n, To=value * n) + b"\r\nx"


def _parameter(value):
    return lambda n: head(Content_Type="multipart/mixed; boundary=" + value * n) + b"\r\nx"


def _body(row, kind_of_text="text/plain", encoding="8bit"):
    def build(n):
        return multipart([part(kind_of_text, row * n, encoding=encoding)])

    return build


COSTLY = {
    "open comments": (_header("("), 48_000),
    "open quotes": (_header('\\"'), 24_000),
    "commas": (_header(",@"), 12_000),
    "encoded words": (_header("=?utf-8?b?w6k=?= "), 5_000),
    "unended encoded words": (_header("=?utf-8?q?"), 8_000),
    "folds": (lambda n: head(X="a\r\n " * n) + b"\r\nx", 9_000),
    "fields": (lambda n: head() + b"X: y\r\n" * n + b"\r\nx", 9_000),
    "escaped quotes in a parameter": (_parameter('"\\";'), 8_000),
    "semicolons in a parameter": (_parameter(";a*0*=%41"), 4_000),
    "false delimiters": (_body(b"\r\n--=_fictif x"), 9_000),
    "one long line": (_body(b"x"), 4_000_000),
    "line ends": (_body(b"\r\n"), 1_500_000),
    "base64": (_body(b"UEsDBBQA" * 9 + b"\r\n", "image/png", "base64"), 40_000),
    "broken base64": (_body(b"UEs=!~DBBQA\r\n", "image/png", "base64"), 600_000),
    "quoted-printable": (_body(b"=C3=A9=\r\n", "text/plain", "quoted-printable"), 240_000),
    "tags": (_body(b"<p>a", "text/html"), 30_000),
    "open tags": (_body(b"<!-- <script <", "text/html"), 20_000),
    "zip entries": (_body(b"PK\x03\x04PK\x01\x02", "application/zip"), 900_000),
}


def _cpu(raw):
    def once():
        start = time.process_time()
        everything(raw)
        return time.process_time() - start

    return min(once() for _ in range(4))


@pytest.mark.parametrize("shape", COSTLY)
def test_eight_times_the_bytes_cost_at_most_twelve_times_the_time(shape):
    build, size = COSTLY[shape]
    small, large = build(size // 8), build(size)
    floor = 0.001  # under this, fixed costs and the clock are all that is measured
    rounds = (_cpu(large) <= 12 * max(_cpu(small), floor) for _ in range(3))
    assert any(rounds)  # a square would fail each round; a noisy neighbour does not last


def test_a_large_mail_is_read_without_copying_its_bodies():
    raw = letter(pdf_part()) + b""
    big = multipart([text_part(), zip_part(), part("application/pdf", in_base64(b"%" * 6_000_000))])
    assert _cpu(big) < 50 * max(_cpu(raw), 0.005)


def test_attached_payloads_survive_a_plain_stdlib_reader():
    """What a hospital's mail client will see of a forward."""
    out = email.message_from_bytes(forward(dispatch(to=FALLBACK), CAUSE, ForwardStyle()).content)
    text, original, archive = out.get_payload()
    assert "intégré automatiquement" in text.get_payload(decode=True).decode()
    assert original.get_payload(0)["Message-ID"] == read(letter()).message_id
    assert base64.b64decode(archive.get_payload()) == archives(read(letter()))[0]


# What is passed over ---------------------------------------------------------------------------


def test_a_body_passed_over_from_dash_to_dash_ends_where_the_whole_search_says(monkeypatch):
    """No dash, or forty of them looked at one by one: the same parts as by searching for lines."""
    chance = random.Random(20261122)
    mails = [mutant(chance, chance.choice(_seeds())) for _ in range(400)]
    mails += [raw.replace(b"Bonjour", b"- " * chance.randrange(60)) for raw in mails[:100]]
    quickly = [read(raw).parts for raw in mails]
    monkeypatch.setattr(mime, "_FEW_DASHES", 0)
    assert quickly == [read(raw).parts for raw in mails]
    assert sum(map(len, quickly)) > 600


def test_lines_end_as_the_first_line_feed_or_the_bare_blank_line_says():
    chance = random.Random(7)
    for _ in range(3000):
        raw = bytes(chance.choices(b"\r\nax", (4, 1, 2, 2), k=chance.randrange(12)))
        start, limit = chance.randrange(3), chance.randrange(1, 14)
        blank = raw.find(b"\r\r", start, start + limit)
        without = blank >= 0 and raw.find(b"\n", start, blank + 3) < 0
        assert headers.line_break(raw, start, limit) == (b"\r" if without else b"\n")


def test_a_header_block_of_more_than_ten_thousand_lines_is_unreadable():
    kept, refused = (read(head() + b"X: y\r\n" * n + b"\r\nx") for n in (9_900, 10_100))
    assert (kept.fault, refused.fault) == (None, Reason.MAIL_UNREADABLE)
