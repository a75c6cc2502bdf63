"""How often each step goes through a document, counted.

A pass makes something else of the document: its bytes out of the archive, its header and its form
out of XML, OBX-5 out of its bytes. A digest is no pass; each is one that a check of the journey or
a promise of the ledger asks for, and stands in the table as well. What is smaller than a tenth of
the document (a header, an opening) is not counted.
"""

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from random import Random

import pytest
from lxml import etree

from pfi import codecs
from pfi.names import Integration
from tests.data.builders import LEA, document, mail, xdm_zip
from tests.doubles.drive import Drive

PASSES_PER_STEP = 2
PASSES = {"inflate", "xml", "base64"}
DOCUMENT = document(LEA, payload=Random(1).randbytes(1_000_000))
ARCHIVE = xdm_zip([DOCUMENT])
MAIL = mail(ARCHIVE, mdn=False)

CONTENT = len(DOCUMENT.content)
SUBJECTS = {
    CONTENT: "document",
    len(ARCHIVE): "archive",
    len(MAIL): "mail",
}


@dataclass
class Walks:
    """What was gone through, how, since the last look."""

    found: Counter[tuple[str, str]] = field(default_factory=Counter)

    def note(self, operation, size):
        if size > CONTENT // 10:
            self.found[operation, self._subject(size)] += 1

    def _subject(self, size):
        """Its size tells it: pieces around it are small."""
        near = min(SUBJECTS, key=lambda each: abs(each - size))
        if abs(near - size) < CONTENT // 50:
            return SUBJECTS[near]
        return "message" if size > len(MAIL) else "part"

    def taken(self):
        found, self.found = dict(self.found), Counter()
        return found


@pytest.fixture
def walks(monkeypatch):
    walks = Walks()

    def watched(module, name, operation, size):
        run = getattr(module, name)

        def counted(*given, **options):
            made = run(*given, **options)
            walks.note(operation, size(made, *given))
            return made

        monkeypatch.setattr(module, name, counted)

    watched(codecs, "inflate", "inflate", lambda made, *_: len(made))
    watched(codecs, "crc32", "crc32", lambda _, content: len(content))
    watched(codecs, "to_base64", "base64", lambda _, content: len(content))
    watched(codecs, "from_base64", "from base64", _decoded)
    watched(etree, "fromstring", "xml", lambda _, content, *__: len(content))
    for name in ("sha1", "sha256"):
        monkeypatch.setattr(hashlib, name, _digest(name, walks))
    monkeypatch.setattr(etree, "XMLPullParser", _pulling(walks))
    return walks


def _decoded(_, body, start=0, end=None):
    return (len(body) if end is None else end) - start


def _digest(name, walks):
    make = getattr(hashlib, name)

    class Digest:
        """Counts when asked for what it found: pieces make one walk."""

        def __init__(self, content=b"", **options):
            self._seal, self._size = make(content, **options), len(content)

        def update(self, piece):
            self._seal.update(piece)
            self._size += len(piece)

        def hexdigest(self):
            walks.note(name, self._size)
            return self._seal.hexdigest()

        def digest(self):
            walks.note(name, self._size)
            return self._seal.digest()

    return Digest


def _pulling(walks):
    class Pulling(etree.XMLPullParser):
        """Counts what it was fed in all, when it has had the whole document."""

        fed = 0

        def feed(self, chunk):
            self.fed += len(chunk)
            if self.fed == CONTENT:
                walks.note("xml", self.fed)
            return super().feed(chunk)

    return Pulling


@pytest.fixture
def table(walks):
    """What each step of one mail on the straight path goes through."""
    drive, steps = Drive(), {}
    drive.ports.inbox.deliver(MAIL)
    walks.taken()
    for step, run in (("collect", drive.collect), ("parse", drive.arrive), ("later", drive.work)):
        run()
        steps[step] = walks.taken()
    [row] = drive.documents(drive.mail(hashlib.sha256(MAIL).hexdigest()))
    assert row.integration is Integration.INTEGRATED
    return steps


def test_no_step_makes_more_than_two_passes_over_a_document(table):
    passes = {
        step: sum(n for (how, what), n in found.items() if how in PASSES and what == "document")
        for step, found in table.items()
    }
    assert max(passes.values()) <= PASSES_PER_STEP
    assert passes == {"collect": 0, "parse": 2, "later": 1}


def test_nothing_large_is_gone_through_that_is_not_listed_here(table):
    """Of the steps after `parse`, the first to touch the document is `push`."""
    assert table == {
        "collect": {("sha256", "mail"): 1},
        "parse": {
            ("sha256", "mail"): 1,
            ("from base64", "mail"): 1,
            ("sha256", "archive"): 1,
            ("inflate", "document"): 1,
            ("crc32", "document"): 1,
            ("sha1", "document"): 1,
            ("sha256", "document"): 1,
            ("xml", "document"): 1,
        },
        "later": {("base64", "document"): 1, ("sha256", "message"): 1},
    }
