"""Seeded populations of mails, with what each must become. Letters are built once per process."""

import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache

from pfi.journey.settings import LimitSettings, MailboxSettings, Settings
from tests.data.builders import (
    AISSATA,
    ANDRE,
    LEA,
    MAILBOX,
    SAMIR,
    SENDER,
    THEO,
    YANN,
    Entry,
    Patient,
    document,
    forwarded,
    mail,
    xdm_zip,
)
from tests.doubles.drive import FALLBACK, HOSPITAL

STRUCK = replace(
    YANN, ipp="900091", body="1610229019245", birth_name="TREGUINNEC", first_given="GWENDAL",
    given_list="GWENDAL", birth_date="19610212",
)  # fmt: skip
"""Becomes doubtful in the middle of a run."""
ADMITTED = replace(
    YANN, ipp="900092", body="1720329019251", birth_name="QUEMENEVEN", first_given="TANGUY",
    given_list="TANGUY", birth_date="19720319",
)  # fmt: skip
"""Not in the base at the beginning of a run."""
UNKNOWN_NAME = "INCONNUE"
PEOPLE = (LEA, YANN, AISSATA, THEO, ANDRE, SAMIR)
BARE = "pfi.sans.repli@ch-invente.mssante.fr"
LARGEST = 60_000
SETTINGS = replace(
    HOSPITAL,
    mailboxes=(
        *HOSPITAL.mailboxes,
        MailboxSettings(id="bare", address=BARE, establishment="ch", dpi="dpi"),
    ),
    dpis=(replace(HOSPITAL.dpis[0], hold_s=86_400),),
    limits=LimitSettings(mail_bytes=LARGEST),
)
"""Two mailboxes on one DPI: one with a fallback mailbox, one without."""


@dataclass(frozen=True)
class Letter:
    """A mail and the truth about it.

    `good`: its documents may go to the DPI. `silent`: nobody may get a mail because of it.
    `content` maps the number of a document to its bytes.
    """

    raw: bytes
    kind: str
    good: bool = False
    silent: bool = False
    patient: Patient = LEA
    contents: tuple[bytes, ...] = ()
    poison: bool = False
    changing: bool = False
    """The patient base changes about its patient in the middle of the run."""
    dropped: str = ""
    """Name under which another producer puts it into the store, past the mailbox."""

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.raw).hexdigest()

    @property
    def asks(self) -> bool:
        """Its sender asked to be told, and may be told without a person."""
        asked = b"Disposition-Notification-To:" in self.raw
        return asked and not self.silent and self.kind != "to confirm"


@dataclass(frozen=True)
class Delivery:
    """A letter that arrives at a mailbox after so many seconds."""

    at: float
    mailbox: str
    letter: Letter


@dataclass
class Maker:
    """Builds the letters of one family; `number` keeps families apart."""

    number: int
    patient: Patient = LEA
    letters: list[Letter] = field(default_factory=list)

    def id(self, rank: int) -> str:
        return f"2.25.88{self.number:04}.{rank}"

    def entry(self, rank: int = 1, who: Patient | None = None, **options: object) -> Entry:
        return document(who or self.patient, document_id=self.id(rank), **options)  # type: ignore[arg-type]

    def add(self, kind: str, *entries: Entry, good: bool = True, **options: object) -> Letter:
        truth = {name: bool(options.pop(name, False)) for name in ("silent", "poison", "changing")}
        options.setdefault("message_id", f"<{self.number}.{len(self.letters)}@labo-invente.fr>")
        raw = mail(xdm_zip(list(entries)) if entries else None, **options)  # type: ignore[arg-type]
        return self.take(raw, kind, entries, good=good, **truth)

    def take(
        self, raw: bytes, kind: str, entries: tuple[Entry, ...] = (), **truth: object
    ) -> Letter:
        contents = tuple(each.content for each in entries)
        letter = Letter(raw, kind, patient=self.patient, contents=contents, **truth)  # type: ignore[arg-type]
        self.letters.append(letter)
        return letter


def _single(make: Maker) -> None:
    make.add("single", make.entry())


def _single_unasked(make: Maker) -> None:
    make.add("unasked", make.entry(), mdn=False)


def _to_confirm(make: Maker) -> None:
    make.add("to confirm", make.entry(), mdn_to="autre@labo-invente.mssante.fr")


def _two(make: Maker) -> None:
    make.add("two documents", make.entry(1), make.entry(2))


def _chain(make: Maker) -> None:
    make.add("T02", make.entry(1))
    make.add("T10", make.entry(2, parent=make.id(1), version="2", action="C"))
    make.add("T04", make.entry(2, parent=make.id(1), version="2", action="D"))


def _chain_reversed(make: Maker) -> None:
    _chain(make)
    make.letters.reverse()


def _deleted(make: Maker) -> None:
    make.add("T02", make.entry(1), mdn=False)
    make.add("T04", make.entry(1, action="D"))


def _twice(make: Maker) -> None:
    letter = make.add("bytes twice", make.entry())
    make.letters += [letter, letter]


def _rewrapped(make: Maker) -> None:
    letter = make.add("rewrapped", make.entry())
    for hop in (b"a", b"b"):
        raw = b"Received: from " + hop + b".invente.fr by c.invente.fr\r\n" + letter.raw
        make.letters.append(replace(letter, raw=raw))


def _rewrapped_replacement(make: Maker) -> None:
    _rewrapped(make)
    make.add("T10", make.entry(2, parent=make.id(1), version="2", action="C"))


def _same_document(make: Maker) -> None:
    make.add("same document", make.entry())
    make.add("same document", make.entry(), mdn=False)


def _other_content(make: Maker) -> None:
    for payload in (b"%PDF-1.4 un", b"%PDF-1.4 deux"):
        make.add(
            "same Message-ID", make.entry(payload=payload), message_id=f"<same{make.number}@l.fr>"
        )


def _back_and_forth(make: Maker) -> None:
    for payload in (b"%PDF-1.4 un", b"%PDF-1.4 deux", b"%PDF-1.4 un"):
        make.add("back and forth", make.entry(payload=payload))


def _staff(make: Maker) -> None:
    entry = make.entry()
    inner = mail(xdm_zip([entry]), message_id=f"<staff{make.number}@l.fr>")
    raw = forwarded(inner).replace(b"1002.f1", f"1002.f{make.number}".encode())
    make.take(raw, "forwarded by staff", (entry,), good=True)


def _half_bad(make: Maker) -> None:
    make.add("half bad", make.entry(1), make.entry(2, replace(make.patient, sex="UN")), good=False)


def _differs(make: Maker) -> None:
    make.add("differs", make.entry(who=replace(make.patient, birth_name="AUTREMENT")), good=False)


def _unknown(make: Maker) -> None:
    who = replace(make.patient, body="2910775102003", birth_name=UNKNOWN_NAME, key="", oid=LEA.oid)
    make.add("unknown patient", make.entry(who=who), good=False)
    make.add("unknown patient", make.entry(2, who), good=False, mdn=False)


def _changing(make: Maker) -> None:
    """The hospital's word about these two changes."""
    for make.patient in (STRUCK, ADMITTED):
        for rank in (1, 2):
            entry = make.entry(rank + 2 * (make.patient is ADMITTED))
            make.add("base changes", entry, changing=True)


def _masked(make: Maker) -> None:
    make.add("masked", make.entry(masks=("MASQUE_PS",)), good=False)


def _bad_parent(make: Maker) -> None:
    """The parent fails identity: its replacement must not wait for it."""
    make.add("bad parent", make.entry(1, replace(make.patient, sex="UN")), good=False)
    make.add("T10", make.entry(2, parent=make.id(1), version="2", action="C"))


def _bad_archive(make: Maker) -> None:
    broken = xdm_zip([make.entry()])[:300]
    raw = mail(broken, message_id=f"<bad{make.number}@l.fr>")
    make.take(raw, "bad archive", good=False)
    make.add("no archive", good=False)


def _unanswerable(make: Maker) -> None:
    bad = make.entry(who=replace(make.patient, sex="UN"))
    make.add("list", bad, good=False, mdn=False, headers=[("Precedence", "bulk")])


def _untrusted(make: Maker) -> None:
    options = {"sender": "qui@ailleurs.example", "return_path": "qui@ailleurs.example"}
    make.add("untrusted", make.entry(), good=False, silent=True, **options)


def _automatic(make: Maker) -> None:
    automatic = [("Auto-Submitted", "auto-replied")]
    make.add("automatic", good=False, silent=True, headers=automatic)
    loop = [("X-Loop", MAILBOX)]
    make.add("own", make.entry(), good=False, silent=True, headers=loop)


def _between_services(make: Maker) -> None:
    """From one mailbox of ours to another: read, never answered."""
    make.add("between services", make.entry(), silent=True, sender=MAILBOX, return_path=MAILBOX)


def _large(make: Maker) -> None:
    make.add(
        "large",
        make.entry(payload=random.Random(make.number).randbytes(LARGEST)),
        good=False,
        silent=True,
    )


def _poison(make: Maker) -> None:
    make.add("poison", make.entry(), good=False, silent=True, poison=True)


def _dropped(make: Maker) -> None:
    letter = make.add("dropped", make.entry())
    name = letter.digest if make.number % 2 else f"lettre-{make.number}"
    make.letters[-1] = replace(letter, dropped=name)


FAMILIES: tuple[Callable[[Maker], None], ...] = (
    _single, _single, _single_unasked, _to_confirm, _two, _two, _chain, _chain, _chain,
    _chain_reversed, _deleted, _deleted, _twice, _rewrapped, _rewrapped, _rewrapped_replacement,
    _rewrapped_replacement, _same_document, _same_document, _other_content, _back_and_forth,
    _staff, _half_bad, _differs, _unknown, _changing, _masked, _bad_parent, _bad_archive,
    _unanswerable, _untrusted, _automatic, _large, _poison, _dropped, _between_services,
)  # fmt: skip
VARIANTS = 3


@cache
def family(number: int, variant: int) -> tuple[Letter, ...]:
    """The letters of one family, in the order in which they leave."""
    make = Maker(number * VARIANTS + variant, PEOPLE[(number + variant) % len(PEOPLE)])
    FAMILIES[number](make)
    return tuple(make.letters)


def deliveries(rng: random.Random) -> list[Delivery]:
    """Some families, each in one mailbox, over a quarter of an hour or some hours."""
    found: list[Delivery] = []
    spread = rng.choice((60.0, 900.0, 7200.0))
    for number in rng.sample(range(len(FAMILIES)), rng.randint(12, 20)):
        at = rng.uniform(0, spread)
        gap = rng.choice((0.0, 5.0, 300.0))
        mailbox = "app" if rng.random() < 0.75 else "bare"
        for letter in family(number, rng.randrange(VARIANTS)):
            found.append(Delivery(at, mailbox, letter))
            at += rng.uniform(0, gap)
    return sorted(found, key=lambda each: each.at)


def settings() -> Settings:
    """The hospital of every run."""
    return SETTINGS


def bounce(message_id: str) -> bytes:
    """A DSN of the operator: a mail of ours could not be delivered."""
    return (
        "Return-Path: <>\r\nFrom: MAILER-DAEMON@operateur.mssante.fr\r\n"
        f"To: {MAILBOX}\r\nMessage-ID: <dsn.{hashlib.sha256(message_id.encode()).hexdigest()[:9]}"
        "@operateur.mssante.fr>\r\nSubject: Undelivered\r\nMIME-Version: 1.0\r\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="=_d"\r\n\r\n'
        "--=_d\r\nContent-Type: text/plain\r\n\r\nNon remis.\r\n"
        "--=_d\r\nContent-Type: message/delivery-status\r\n\r\n"
        "Reporting-MTA: dns; operateur\r\n\r\nAction: failed\r\nStatus: 5.2.2\r\n"
        "--=_d\r\nContent-Type: text/rfc822-headers\r\n\r\n"
        f"Message-ID: {message_id}\r\n\r\n--=_d--\r\n"
    ).encode()


__all__ = ["FALLBACK", "SENDER", "Delivery", "Letter", "bounce", "deliveries", "settings"]
