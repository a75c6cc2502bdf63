"""The readers under fuzzing. To add one: a function of the bytes, its seeds, one line of `TARGETS`.

A reader ends in a value or in one of the exceptions that its target allows, within its bounds;
the functions check besides what the value promises.
"""

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from pydantic import TypeAdapter

from pfi.cda import document as cda
from pfi.edge import lambdas, settings
from pfi.errors import PfiError, Unreadable
from pfi.hl7 import ack, adt, er7, mllp
from pfi.journey import jobs, reading
from pfi.journey.keys import INCOMING
from pfi.journey.message import local_time
from pfi.journey.records import Dossier
from pfi.mail import inbound, mdn, outbound
from pfi.mail.outbound import Cause, Dispatch, OwnMailbox
from pfi.names import Reason
from pfi.xdm import archive, metadata, submission
from pfi.xdm.archive import XdmLimits
from tests.data.builders import SENDER, mail, zip_of
from tests.fuzz import seeds
from tests.fuzz.bounds import Bounds
from tests.unit.mail.asked import everything

LIMITS: Final = XdmLimits(unzipped_bytes=4_000_000, ratio_free_bytes=100_000)

DOSSIER: Final = TypeAdapter(Dossier)
OWN: Final = OwnMailbox("pfi@ch-invente.mssante.fr")


@dataclass(frozen=True, slots=True)
class Target:
    """One reader. `words` are what a mutation likes to put in."""

    run: Callable[[bytes], object]
    seeds: Callable[[], Iterator[bytes]]
    words: tuple[bytes, ...] = ()
    refusals: tuple[type[Exception], ...] = (PfiError,)
    longest: int = 65_536
    bounds: Bounds = field(default_factory=Bounds)

    def check(self, data: bytes) -> bool:
        """One input: True for a value, False for a refusal; anything else raises."""
        accepted = False

        def once(content: bytes) -> None:
            nonlocal accepted
            try:
                self.run(content)
            except self.refusals:
                return
            accepted = True

        self.bounds.watch(once, data)
        return accepted


def read_mail(data: bytes) -> None:
    """A mail never raises, and gives clean lines."""
    everything(data)


def send_on(data: bytes) -> None:
    """Whatever came in comes out of the forward byte for byte."""
    received = inbound.read(data)
    owed = Dispatch(mail=received, digest=seeds.DIGEST, own=OWN, to=SENDER, now=seeds.NOW)
    for out in (
        outbound.forward(owed, Cause.of(Reason.OTHER)),
        mdn.error(owed, Cause.of(Reason.OTHER)),
    ):
        back = inbound.read(out.content)
        whole = next(p for p in back.parts if p.filename == "message_original.eml")
        assert back.content(whole) == data


def read_dossier(data: bytes) -> None:
    """The whole of `parse`: mail, archive, METADATA.XML, document; the dossier is stored whole."""
    found = reading.read_mail(data, seeds.MAILBOXES[0], seeds.SETTINGS)
    assert len(found.contents) == len(found.dossier.documents) <= reading.MAX_DOCUMENTS
    local_time(found.dossier.facts.sent_at)
    assert DOSSIER.validate_json(DOSSIER.dump_json(found.dossier)) == found.dossier


def read_letter(data: bytes) -> None:
    """The same, the document fuzzed under sound checksums; its message holds what it should."""
    described, _, content = data.partition(seeds.BETWEEN)
    packed = zip_of([("METADATA.XML", described), ("DOC0001.XML", content)], stored=True)
    found = reading.read_mail(mail(packed), seeds.MAILBOXES[0], seeds.WARNED)
    for number, (facts, whole) in enumerate(
        zip(found.dossier.documents, found.contents, strict=True), start=1
    ):
        built = seeds.message(number, facts, found.dossier, whole)
        names = [segment.name for segment in er7.segments(built.decode())]
        assert names[:7] == ["MSH", "EVN", "PID", "PV1", "ORC", "OBR", "TXA"]
        assert names[7:] == ["OBX", *["PRT"] * 3, *["OBX"] * 5]


def read_archive(data: bytes) -> None:
    """Never more bytes than announced, never more than allowed."""
    opened, total = archive.read(data, LIMITS), 0
    for name in opened.names:
        assert opened.find(name) == name
        content = opened.read(name)
        assert len(content) == opened.size(name)
        total += len(content)
    assert total <= LIMITS.unzipped_bytes
    assert len(opened.names) <= LIMITS.entries


def read_metadata(data: bytes) -> None:
    """One METADATA.XML."""
    assert metadata.read(data).entries


def read_submission(data: bytes) -> None:
    """An archive whose two files are fuzzed under sound checksums."""
    described, _, content = data.partition(seeds.BETWEEN)
    packed = zip_of([("METADATA.XML", described), ("DOC0001.XML", content)], stored=True)
    submission.read(packed, LIMITS, hash_check="warn", lenient_uri=True)


def read_document(data: bytes) -> None:
    """A CDA header: what identifies the document is there."""
    found = cda.read(data)
    assert found.id_root
    assert found.code


def read_answer(data: bytes) -> None:
    """An ACK never raises; its codes are codes."""
    found = ack.read(data, "ID")
    for code in (found.code, found.error_code, found.application_code):
        assert len(code) <= 20
        assert not code or (code.isascii() and code.isalnum())


def read_identities(data: bytes) -> None:
    """An ADT gets an answer whatever it is, and names identities only by the hospital's numbers."""
    told = adt.read(data)
    answer = adt.acknowledgement(told, "AE", now="20260514093000", control_id="1")
    assert [each.name for each in er7.segments(answer.decode())] == ["MSH", "MSA"]
    for subject in adt.event(told, seeds.AUTHORITY).subjects:
        assert subject.ipp
        assert subject.stated_at


def deframe(data: bytes) -> None:
    """The same messages however the stream is cut."""
    whole = mllp.Deframer().feed(data)
    step = 1 + zlib.crc32(data) % 97
    reader, pieces = mllp.Deframer(), list[bytes]()
    for at in range(0, len(data), step):
        pieces += reader.feed(data[at : at + step])
    assert pieces == whole
    assert sum(map(len, whole)) + reader.pending <= len(data)


def read_er7(data: bytes) -> None:
    """Any field of any segment can be asked for; what is written comes back."""
    text = data.decode("latin-1")
    for segment in er7.segments(text):
        assert segment.name == segment.field(0).strip()
        for number in (1, 2, 3, 9, 999):
            segment.component(number, 2, 2)
    escaped = er7.escape(text)
    assert not set("|^~&\r\n\x0b\x1c") & set(escaped)
    assert er7.unescape(escaped) == er7.clean(text)


def read_job(data: bytes) -> None:
    """A queue body, and the same body as an event and as a dead letter."""
    text = data.decode("utf-8", "surrogateescape")
    for _, document, _ in lambdas._subjects(text):
        assert document is None or document > 0
    try:
        job = jobs.load(text)
    except Unreadable:
        assert all(each.key.startswith(INCOMING) for each in lambdas.arrivals_of(text))
    else:
        assert jobs.load(job.dump()) == job


def read_settings(data: bytes) -> None:
    """Settings that are accepted are written and read back the same."""
    found = settings.read_settings(data)
    assert settings.read_settings(settings.dump_settings(found)) == found


_HEADER_WORDS: Final = (
    *(b"\r\n", b"\n", b"\r", b"\0", b'"', b"\\", b";", b"(", b"<", b"--=_fictif", b"--", b"%"),
    *(b"=?utf-8?b?", b"=?iso-2022-jp?q?", b"?=", b"\xff", b"\xc3", b"*0*=", b"PK\x03\x04"),
    *(b"boundary=", b"Content-Type: multipart/mixed; boundary=\r\n", b"message/rfc822"),
    *(b"Content-Transfer-Encoding: base64\r\n", b"charset=utf-16", b"utf-7", b"filename*0*="),
)
_XML_WORDS: Final = (
    *(b"<", b"/>", b"&#0;", b"&amp;", b"]]>", b"<!--", b"-->", b"<![CDATA[", b"<!DOCTYPE a []>"),
    *(b"<?", b"?>", b"encoding='UTF-7'", b"xmlns=", b"&e;", b"\xff\xfe", b"nullFlavor="),
)
_ZIP_WORDS: Final = (b"PK\x05\x06", b"PK\x01\x02", b"PK\x03\x04", b"PK\x06\x06", b"..", b"/")
_ER7_WORDS: Final = (b"MSH|^~\\&|", b"\rMSA|AA|ID", b"\rERR|", b"\\E\\", b"\x0b", b"\x1c\r", b"&")
_JSON_WORDS: Final = (b"null", b"true", b"1e999", b"NaN", b'"\\ud800"', b'{"', b"[", b"-1")

TARGETS: Final[dict[str, Target]] = {
    "mail": Target(read_mail, seeds.mails, _HEADER_WORDS),
    "forward": Target(send_on, seeds.mails, _HEADER_WORDS),
    "dossier": Target(read_dossier, seeds.mails, _HEADER_WORDS),
    "archive": Target(read_archive, seeds.archives, _ZIP_WORDS),
    "metadata": Target(read_metadata, seeds.descriptions, _XML_WORDS),
    "submission": Target(read_submission, seeds.submissions, _XML_WORDS),
    "letter": Target(read_letter, seeds.submissions, _XML_WORDS),
    "document": Target(read_document, seeds.documents, _XML_WORDS),
    "ack": Target(read_answer, seeds.answers, _ER7_WORDS),
    "adt": Target(read_identities, seeds.feed, _ER7_WORDS),
    "mllp": Target(deframe, seeds.streams, _ER7_WORDS),
    "er7": Target(read_er7, seeds.messages, _ER7_WORDS),
    "job": Target(read_job, seeds.jobs, _JSON_WORDS),
    "settings": Target(
        read_settings, seeds.settings, _JSON_WORDS, refusals=(settings.SettingsRefused,)
    ),
}
