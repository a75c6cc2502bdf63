"""Once an hour: the account of a bounded part of the installation (design §6.1).

Every mail under way is looked at, through the index. Of the bucket, one slice of the digests, those
that arrived within `WINDOW`: 24 runs go through all of it, so a mail is proven about once a day for
a week. Where a run begins is told by the clock, so nothing is remembered and nothing is written.
What the time does not suffice for is said to be unproven, never taken for proven.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from time import sleep
from typing import Any, Final, Self

from pfi.edge.freshness import tell_ages
from pfi.edge.telemetry import Telemetry
from pfi.edge.wiring import Services, services
from pfi.errors import PfiError
from pfi.journey.accounts import (
    GRACE,
    Fault,
    Terms,
    Unnamed,
    faults_of,
    faults_of_objects,
)
from pfi.journey.holdings import held_now
from pfi.journey.keys import DOCUMENTS, INCOMING, folder_of, owner_of
from pfi.journey.ledger import Ledger, mails_under_way
from pfi.journey.outcome import Digest, Fact, Log, Metric, Outcome
from pfi.journey.records import DocumentRecord, MailRecord
from pfi.journey.stuck import longest_waits, stuck
from pfi.names import Step

SLICES: Final = 256
PER_RUN: Final = 11
"""24 runs make 264: a little more than all slices, so each run of a day begins elsewhere."""
WINDOW: Final = timedelta(days=7)
AGAIN_S: Final = 45.0
"""Until the second look at what does not close: counts of SQS may be a minute late."""
THREADS: Final = 8
NAMED: Final = 20
"""Faults that get a line of their own; the metric counts them all."""
MOST_AGAIN: Final = 500
"""Mails looked at twice; where more are wrong, it is no matter of a moment."""
_SLICE: Final = re.compile(r"[0-9a-f]{2}")
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Slice:
    """What the bucket holds of the digests that begin so, and when it was stored."""

    bodies: dict[str, datetime] = field(default_factory=dict)
    read: dict[str, dict[str, datetime]] = field(default_factory=dict)
    """By folder: documents and a dossier."""

    def mails(self, ledger: Ledger, since: datetime) -> dict[str, datetime]:
        """The mails of these objects, as far as one is younger, and when the last was stored.

        The same bytes in two mailboxes are two mails, of which the first bears their digest.
        """
        found: dict[str, datetime] = {}
        for (seal, mailbox), at in self._latest().items():
            if at > since:
                mail = ledger.mail_of(mailbox, seal)[0] if mailbox else seal
                found[mail] = max(at, found.get(mail, at))
        return found

    def _latest(self) -> dict[tuple[str, str], datetime]:
        """By the digest and the mailbox that objects are named after, if by one at all."""
        named = {owner_of(each): max(keys.values()) for each, keys in self.read.items()}
        for key, at in self.bodies.items():
            own = _name(key), key.split("/")[1]
            if _DIGEST.fullmatch(own[0]):
                named[own] = max(at, named.get(own, at))
        return named

    def stored_at(self, mail: str) -> datetime | None:
        """The latest object that bears the digest of a mail."""
        return max((at for (seal, _), at in self._latest().items() if seal == mail), default=None)


def due(now: datetime) -> list[str]:
    """The slices of this hour, as the first two digits of a digest."""
    hour = int(now.timestamp()) // 3600
    return [f"{(hour * PER_RUN + number) % SLICES:02x}" for number in range(PER_RUN)]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a person who calls the function may ask for instead of the hour's part."""

    slices: list[str]
    grace: timedelta

    @classmethod
    def of(cls, event: Mapping[str, Any]) -> Self:
        """``{"slices": ["0a", …], "grace_s": 60}``; the clock asks for nothing."""
        slices = [str(each) for each in event.get("slices", ()) if _SLICE.fullmatch(str(each))]
        return cls(slices, timedelta(seconds=float(event.get("grace_s", GRACE.total_seconds()))))


@dataclass(frozen=True, slots=True)
class Audit:
    """One hourly run. `left_s`: how long it may still go on."""

    ports: Services
    telemetry: Telemetry
    left_s: Callable[[], float]
    wanted: Wanted

    def run(self) -> None:
        """Look, look again at what does not close, tell."""
        terms, again_s = self._terms(), min(AGAIN_S, self.left_s() / 12)
        faults, proven, mails = list(self._stuck(terms)), 0, 0
        wanted = self.wanted.slices or due(terms.now)
        for digits in wanted:
            if self.left_s() <= 2 * again_s:
                break
            count, found = self._slice(digits, terms)
            faults, mails, proven = [*faults, *found], mails + count, proven + 1
        if faults:
            sleep(again_s)
            faults = self._again(faults, terms)
        self._tell(faults, mails, proven, len(wanted))

    def _tell(self, faults: list[Fault], mails: int, proven: int, wanted: int) -> None:
        for each in faults[:NAMED]:
            facts: dict[str, Fact] = {"mail": _digest(each.subject), "document": each.document}
            self.telemetry.emit(Outcome(Log.MAIL_UNACCOUNTED, {**facts, "doubt": each.doubt}))
        counted: dict[str, Fact] = {"mails": mails, "faults": len(faults)}
        slices: dict[str, Fact] = {"slices": proven, "unproven": wanted - proven}
        log = Log.ACCOUNT_PROVEN if proven == wanted else Log.ACCOUNT_PARTIAL
        values = {
            Metric.MAILS_UNACCOUNTED: float(len(faults)),
            Metric.SLICES_UNPROVEN: float(wanted - proven),
        }
        self.telemetry.emit(Outcome(log, {**counted, **slices}, values))

    def _terms(self) -> Terms:
        days = self.ports.names.mail_days
        return Terms(
            now=self.ports.now(),
            grace=self.wanted.grace,
            body_days=days or None,
            ledger_days=self.ports.settings.ledger_days,
            longest=longest_waits(self.ports.settings),
        )

    @property
    def _ledger(self) -> Ledger:
        return Ledger(self.ports.table, self.ports.now, self.ports.settings.ledger_days)

    def _stuck(self, terms: Terms) -> Iterator[Fault]:
        """Among all mails without an end, of sixteen short partitions of the index."""
        mails = list(mails_under_way(self.ports.table))
        yield from stuck(mails, self._queued(), terms, self._documents)

    def _documents(self, mail: str) -> Iterator[DocumentRecord]:
        yield from (each.record for each in self._ledger.documents(mail))

    def _queued(self) -> dict[Step, int]:
        """Messages of each step, dead letters included, and the lanes of `push`."""
        names, found = self.ports.names, dict.fromkeys(Step, 0)
        urls = [*names.queues.items(), *names.dead_letters.items()]
        urls += [(Step.PUSH, url) for url in names.lanes.values()]
        for step, url in urls:
            found[step] += self.ports.jobs.depth(url)
        return found

    def _slice(self, digits: str, terms: Terms) -> tuple[int, list[Fault]]:
        """Every mail of the window whose digest begins so: how many, and what does not close."""
        seen = self._listed(digits)
        mails = seen.mails(self._ledger, terms.now - WINDOW)
        with ThreadPoolExecutor(THREADS) as pool:
            found = pool.map(lambda mail: list(self._one(mail, mails[mail], seen, terms)), mails)
            return len(mails), [fault for faults in found for fault in faults]

    def _listed(self, digits: str) -> Slice:
        store, seen = self.ports.store, Slice()
        for mailbox in self.ports.settings.mailboxes:
            seen.bodies.update(store.listed(f"{INCOMING}{mailbox.id}/{digits}"))
        for key, at in store.listed(f"{DOCUMENTS}{digits}"):
            seen.read.setdefault(folder_of(key), {})[key] = at
        return seen

    def _one(self, mail: str, at: datetime, seen: Slice, terms: Terms) -> Iterator[Fault]:
        """One mail; what the slice does not show of it is looked up."""
        held = held_now(self._ledger, mail, partial(self._stored, seen))
        if held is None:
            reviewed = bool(self._ledger.reviews(mail))
            yield from faults_of_objects([Unnamed(mail, at, reviewed)], terms)
            return
        yield from faults_of(held, terms)

    def _stored(self, seen: Slice, mail: MailRecord) -> frozenset[str]:
        folder = folder_of(mail.dossier_key)
        body = {mail.key} if mail.key in seen.bodies else self._keys(mail.key)
        return frozenset({*(seen.read.get(folder) or self._keys(folder)), *body})

    def _keys(self, prefix: str) -> list[str]:
        return [key for key, _ in self.ports.store.listed(prefix)] if prefix else []

    def _again(self, faults: Iterable[Fault], terms: Terms) -> list[Fault]:
        """Those that a second look finds too: mails move while they are counted."""
        first = dict.fromkeys(faults)
        subjects = dict.fromkeys(each.subject for each in first)
        if len(subjects) > MOST_AGAIN:
            return list(first)
        second = set(self._stuck(terms))
        second |= {each for each in first if not _DIGEST.fullmatch(each.subject)}
        for mail in filter(_DIGEST.fullmatch, subjects):
            seen = self._listed(mail)
            at = seen.stored_at(mail)
            if at or self._ledger.mail(mail):
                second |= set(self._one(mail, at or terms.now, seen, terms))
            else:  # its bytes lie under the name of those of another mailbox
                second |= {each for each in first if each.subject == mail}
        return [each for each in first if each in second]


def _name(key: str) -> str:
    return key.rpartition("/")[2].removesuffix(".eml")


def _digest(subject: str) -> Digest:
    """A folder of the bucket that somebody else made may have any name."""
    known = _DIGEST.fullmatch(subject)
    return Digest(subject if known else hashlib.sha256(subject.encode()).hexdigest())


def _left_s(context: Any) -> float:
    return float(context.get_remaining_time_in_millis()) / 1000


def prove_function() -> Callable[[dict[str, Any], Any], None]:
    """A Lambda run by the clock."""
    telemetry = Telemetry(Step.PROVE)

    def handler(event: dict[str, Any], context: Any) -> None:
        left_s = partial(_left_s, context)
        with _told(telemetry):
            tell_ages(services(), telemetry)
        with _told(telemetry):
            Audit(services(), telemetry, left_s, Wanted.of(event)).run()

    return handler


@contextmanager
def _told(telemetry: Telemetry) -> Iterator[None]:
    """What fails is told, and keeps nothing else from being done; the next hour tries again."""
    try:
        yield
    except PfiError as error:
        telemetry.failed(error)
    except Exception as error:
        telemetry.unexpected(error)
