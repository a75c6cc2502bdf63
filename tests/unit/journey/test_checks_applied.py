"""No check of the journey was removed, for speed or by accident.

Of each check there is a line with the smallest mail that fails it (`checks`, `checks_of_documents`,
`checks_of_identity`).
Both ways are closed: every word of the product stands in a line or in `OF_NO_MAIL`, every function
that says a word in a reader has a line of its own for it, and each line comes true.
"""

import ast
import hashlib
import sys
from enum import Enum
from functools import cache
from pathlib import Path

import pytest

from pfi.adapters.csv_patients import ListedPatients
from pfi.cda.document import CdaWarning
from pfi.errors import PfiError, Unreadable
from pfi.ins.concordance import Decision, Warn
from pfi.journey.answered import BASE_DIFFERS
from pfi.journey.identification import refusal
from pfi.journey.reading import TYPE_NOT_IN_JDV_J07, UNIQUE_ID_DIFFERS
from pfi.mail.archives import archives
from pfi.mail.inbound import read
from pfi.names import Reason
from pfi.xdm import submission
from pfi.xdm.metadata import XdmWarning
from tests.data.builders import LEA, document
from tests.doubles.drive import Drive
from tests.unit.journey.checks import OF_THE_ARCHIVE, OF_THE_MAIL, Check, letter
from tests.unit.journey.checks_of_documents import OF_METADATA, OF_THE_CDA, OF_THE_READING
from tests.unit.journey.checks_of_identity import OF_THE_IDENTITY, OF_THE_JOURNEY

SHARED = Path(__file__).parents[3] / "shared"
READ = (*OF_THE_MAIL, *OF_THE_ARCHIVE, *OF_METADATA, *OF_THE_CDA, *OF_THE_READING)
CHECKS = (*READ, *OF_THE_IDENTITY, *OF_THE_JOURNEY)

OF_NO_MAIL = {
    **dict.fromkeys(
        (
            Reason.FEED_UNREADABLE,
            Reason.FEED_WITHOUT_IPP,
            Reason.FEED_CONTRADICTORY,
            Reason.FEED_TIME,
        ),
        "of an identity message: tests/unit/feed",
    ),
    **dict.fromkeys(
        (
            Reason.MAILBOX_UNAVAILABLE,
            Reason.STORE_UNAVAILABLE,
            Reason.CERTIFICATE,
            Reason.AUTHENTICATION,
            Reason.SETTING_MISSING,
        ),
        "of a peer, a service or the settings: tests/contracts",
    ),
    Reason.JOB_UNREADABLE: "of a queue message: tests/unit/edge/test_events.py",
    Reason.UNEXPECTED: "of our own code: tests/unit/edge/test_wrapper.py",
}
WORDS = {
    *Reason,
    *Warn,
    *CdaWarning,
    *XdmWarning,
    BASE_DIFFERS,
    UNIQUE_ID_DIFFERS,
    TYPE_NOT_IN_JDV_J07,
}
READERS = (
    *("mail", "xdm", "cda", "xml.py", "ins/concordance.py"),
    *("journey/reading.py", "journey/identification.py"),
)
PASSED_ON = {
    ("pfi.mail.compose.code_of", "OTHER"),
    ("pfi.mail.compose.label_of", "OTHER"),
    ("pfi.mail.compose.addressed", "SETTING_MISSING"),
    ("pfi.mail.compose.addressed", "NOT_ANSWERABLE"),
    ("pfi.xml.parse", "NOT_WELL_FORMED"),
    ("pfi.journey.identification.refusal", "MULTIPLE_PATIENTS"),
}
"""Of a mail of ours, nothing is looked at. What `parse` says of METADATA.XML gets another name. And
of two documents that share a number no base makes two patients: `refusal` looks all the same."""


@pytest.fixture
def raised(monkeypatch):
    """Which function raised which refusal."""
    found, make = set(), Unreadable.__init__

    def watched(error, reason, **options):
        frame = sys._getframe(1)
        name = f"{frame.f_globals['__name__']}.{frame.f_code.co_qualname}"
        found.add((name, reason))
        make(error, reason, **options)

    monkeypatch.setattr(Unreadable, "__init__", watched)
    return found


def told(check):
    """Every word that the journey says about the mails of a check."""
    drive = Drive(check.settings, check.base)
    drive.ports.hospital.answers = list(check.dpi)
    drive.ports.outbox.faults = list(check.relay)
    for raw in check.mails:
        deliver(drive, raw, check)
        if check.later is not None:
            drive.work(rounds=2)
            drive.ports.patients = ListedPatients(check.later)
        drive.work(rounds=80, pause_s=1800 if check.dpi else 60)
    return set(words_of(drive)) | set(words_of_archives(check))


def deliver(drive, raw, check):
    if check.dropped:
        drive.ports.store.put_mail("app", hashlib.sha256(raw).hexdigest(), raw)
    else:
        drive.ports.inbox.deliver(raw)
        drive.collect()
    drive.arrive()


def words_of(drive):
    for row in drive.ports.table.rows.values():
        data = row.data
        yield from (data.get("reason"), data.get("code"), data.get("leg_reason"))
        yield from data.get("warnings") or ()
    for failure in drive.failures:
        yield failure.reason
    for outcome in drive.outcomes:
        yield outcome.facts.get("reason")


def words_of_archives(check):
    """What is said of a lot and not of a document."""
    for raw in check.mails:
        for archive in archives(read(raw)):
            try:
                yield from submission.read(archive).warnings
            except PfiError:
                return


def line(check: Check):
    return f"{check!s}-{CHECKS.index(check)}"


@pytest.mark.parametrize("check", CHECKS, ids=line)
def test_a_mail_that_fails_a_check_is_told_so(check, raised):
    assert check.word in told(check)
    by_name = {where for where, word in raised if word == check.word}
    if check in READ and isinstance(check.word, Reason) and by_name:
        assert any(f"{where}.".startswith(f"{check.by}.") for where in by_name)


def test_a_usual_mail_fails_none_of_them():
    usual = Check("", "", (letter(document(LEA)),))
    assert told(usual) & WORDS == set()


def test_every_word_of_the_product_has_its_line():
    assert {check.word for check in CHECKS} | set(OF_NO_MAIL) == WORDS
    assert {check.word for check in CHECKS} & set(OF_NO_MAIL) == set()


def test_every_function_that_says_a_word_has_its_line_and_no_line_is_stale():
    lines = {(each.by, each.word.name) for each in (*READ, *OF_THE_IDENTITY) if named(each)}
    assert lines - spoken() == set()
    assert spoken() - lines == PASSED_ON


def named(check):
    """Its word is a member of an enum, and not a plain text."""
    return isinstance(check.word, Enum)


@cache
def spoken():
    """(function, word) for every reader, as its code says."""
    return {pair for room in READERS for path in sources(room) for pair in said(path)}


def sources(room):
    path = SHARED / "pfi" / room
    return [path] if path.is_file() else sorted(path.glob("*.py"))


def said(path):
    module = ".".join(path.relative_to(SHARED).with_suffix("").parts)
    return set(_said(ast.parse(path.read_text(encoding="utf-8")), module))


_ENUMS = {"Reason", "Warn", "CdaWarning", "XdmWarning"}


def _said(node, place):
    for child in ast.iter_child_nodes(node):
        here = place
        if isinstance(child, ast.FunctionDef | ast.ClassDef):
            here = f"{place}.{child.name}"
        elif isinstance(child, ast.Attribute) and ast.unparse(child.value) in _ENUMS:
            yield place, child.attr
        yield from _said(child, here)


def test_documents_that_were_matched_to_two_patients_are_never_sent_together():
    decisions = [Decision(integrate=True, ipp=ipp) for ipp in ("1", "2")]
    assert refusal([], decisions) is Reason.MULTIPLE_PATIENTS
