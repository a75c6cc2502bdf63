"""A thousand mails that nobody should have sent, in front of ten good ones."""

from dataclasses import replace

import pytest

from tests.data.builders import MAILBOX, mail, xdm_zip, zip_of
from tests.simulation.population import Letter, Maker
from tests.simulation.run import CRASHES
from tests.simulation.scenarios import Run, arriving, made, ordinary

JUNK = 1000
GOOD = 10
REJECTED = "refuse@labo-invente.mssante.fr"
SLOWER = 1.1
"""How much longer a good mail may take behind junk than behind as many ordinary mails."""


def _wrapped(make: Maker, kind: str, archive: bytes | None, **options: object) -> Letter:
    options.setdefault("message_id", f"<{make.number}.junk@labo-invente.mssante.fr>")
    return make.take(mail(archive, **options), kind, good=False)  # type: ignore[arg-type]


def _no_mail(make: Maker) -> None:
    make.take(b"\x00\xff\xfe no header %d" % make.number + b"\0" * 99, "unreadable", silent=True)


def _nested(make: Maker) -> None:
    """Deeper than any reader should go."""
    head = (
        b"Message-ID: <%d@n.fr>\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" % make.number
    )
    make.take(head + b"--b\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" * 200, "nested",
              silent=True)  # fmt: skip


def _no_archive(make: Maker) -> None:
    _wrapped(make, "no archive", None)


def _not_a_zip(make: Maker) -> None:
    _wrapped(make, "not a zip", b"PK\x03\x04" + b"\xff" * 400)


def _cut(make: Maker) -> None:
    _wrapped(make, "cut", xdm_zip([make.entry()])[:-200])


def _bomb(make: Maker) -> None:
    _wrapped(make, "bomb", zip_of([("IHE_XDM/SUBSET01/DOC.XML", b"\0" * 2_000_000)]))


def _outside(make: Maker) -> None:
    _wrapped(make, "outside", zip_of([("../../etc/x.xml", b"<a/>"), ("INDEX.HTM", b"")]))


def _crash(make: Maker) -> None:
    letter = make.add("crash", make.entry(), good=False)
    make.letters[-1] = replace(letter, raw=CRASHES + letter.raw)


def _rejected(make: Maker) -> None:
    """Its failure notice is refused by the relay."""
    _wrapped(make, "rejected", None, sender=REJECTED, return_path=REJECTED, reply_to=REJECTED)


def _loop(make: Maker) -> None:
    make.add("own", make.entry(), good=False, silent=True, headers=[("X-Loop", MAILBOX)])


KINDS = (
    _no_mail, _nested, _no_archive, _not_a_zip, _cut, _bomb, _outside, _crash, _rejected, _loop,
)  # fmt: skip


def _junk() -> list[Letter]:
    return [made(30_000 + n, KINDS[n % len(KINDS)])[0] for n in range(JUNK)]


def _good() -> list[Letter]:
    return [ordinary(40_000 + number) for number in range(GOOD)]


def _last_good(run: Run) -> float:
    return max(run.accepted_at[each.digest][0] for each in _good())


@pytest.fixture(scope="module")
def behind_junk():
    run = Run(arriving([*_junk(), *_good()], 0, 0.01), crashes=True)
    run.relay.rejects = {REJECTED}
    return run.done()


def test_good_mails_behind_a_thousand_junk_mails_are_integrated(behind_junk):
    assert behind_junk.ended(_good()) == {("integrated", None)}
    assert [len(behind_junk.accepted_at[each.digest]) for each in _good()] == [1] * GOOD
    assert [behind_junk.answers(each) for each in _good()] == [1] * GOOD


def test_junk_costs_good_mails_no_more_time_than_ordinary_mails_would(behind_junk):
    ordinary_ones = [ordinary(50_000 + number) for number in range(JUNK)]
    normal = Run(arriving([*ordinary_ones, *_good()], 0, 0.01)).done()
    assert _last_good(behind_junk) <= SLOWER * _last_good(normal)


def test_every_junk_mail_ends_somewhere_and_none_at_the_dpi(behind_junk):
    """`Run.done` checked that each is settled or in review; here, that nothing was integrated."""
    junk = {each.digest for each in _junk()}
    assert not junk & set(behind_junk.accepted_at)
    assert behind_junk.report.mails == JUNK + GOOD


def test_a_mail_that_crashes_its_reader_is_reviewed_without_a_word_of_it(behind_junk):
    """The canary searched every line, key and queue body of the run."""
    crashing = [each for each in _junk() if each.kind == "crash"]
    items = [item for each in crashing for item in behind_junk.witness.ledger.reviews(each.digest)]
    assert len(items) >= len(crashing)
