"""Collect each mail of a mailbox exactly once (mail-edge §4.1).

INBOX is the to-do list, there is no UID cursor. The bytes go to the store under their SHA-256,
the ledger commits, and only then is the mail moved: a crash anywhere is repaired by the next
poll. The arrival of the bytes in the store is the event that starts the journey.

What is known of a mail's place is asked only when it matters: a commit finds out that its place is
taken. After a poll that did not end well each mail is looked up, and each try is written down
before it is made, so that one that kills the collector is set aside at last. A mail that is
committed, or in review for it is set aside, and cannot be moved takes nobody's turn, and counts as
a failed try in each poll.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from pfi.errors import Unavailable
from pfi.journey.jobs import Job
from pfi.journey.keys import dossier_key, place_key
from pfi.journey.ledger import Lease, Ledger, Place, Versioned
from pfi.journey.outcome import Digest, Fact, Log, Metric, Outcome
from pfi.journey.ports import Mailbox, MailGone, Ports
from pfi.journey.records import MailRecord, MailState
from pfi.journey.settings import MailboxSettings
from pfi.names import Reason, Route, Step

_LOOKED_UP: Final = 4
"""How many times `mails_per_run` of a long list are looked up, those dealt with not counted."""
_TOGETHER: Final = 100
"""Places that are looked up in one call."""
_ALONE: Final = 20
"""How many times more patience a mail gets when none other shows that mailbox and store work."""
_COMMITS: Final = 5
"""Tries of the commit against other writers of the same row."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    uid: int
    size: int
    known: Versioned[Place]


def collect(mailbox: MailboxSettings, owner: str, ports: Ports) -> Iterator[Outcome]:
    """Poll one mailbox once, under its lease."""
    ledger = Ledger(ports.table, ports.now, ports.settings.ledger_days)
    operator = ports.settings.operator
    lease = ledger.lease(mailbox.id, owner, operator.run_budget_s + 2 * operator.timeout_s)
    if lease is Lease.BUSY:
        yield Outcome(Log.MAILBOX_BUSY)
        return
    polled, unfiled = False, set[int]()
    try:
        with ports.mailbox(mailbox) as session:
            poll = _Poll(mailbox, session, ledger, ports, lease is Lease.ANEW, unfiled)
            yield from poll.run()
        polled = True
    finally:
        ledger.release(mailbox.id, owner, polled=polled, well=polled and not unfiled)


def by_age(ports: Ports) -> list[tuple[MailboxSettings, float]]:
    """The mailboxes with the seconds since their last complete poll, the oldest first: so none
    starves behind slow ones, and one that always fails is seen among many that work."""
    ledger = Ledger(ports.table, ports.now, ports.settings.ledger_days)
    ages = [(each, ledger.poll_age(each.id)) for each in ports.settings.mailboxes]
    return sorted(ages, key=lambda each: -each[1])


@dataclass(frozen=True, slots=True)
class _Poll:
    """`warned`: the poll before did not end well. `unfiled`: dealt with, and in INBOX still."""

    mailbox: MailboxSettings
    session: Mailbox
    ledger: Ledger
    ports: Ports
    warned: bool
    unfiled: set[int] = field(default_factory=set)

    def run(self) -> Iterator[Outcome]:
        budget = timedelta(seconds=self.ports.settings.operator.run_budget_s)
        started = self.ports.now()
        collected = 0
        for waiting in self._waiting(started + budget / 2):
            if self.ports.now() > started + budget:
                break
            outcome = self._one(waiting, proven=collected > 0)
            if outcome is not None:
                collected += outcome.log is Log.MAIL_COLLECTED
                yield outcome
        counts = {Metric.MAILS_COLLECTED: float(collected)}
        if self.unfiled:  # where it lasts, the alarm of a step that fails without a pause rings
            counts[Metric.STEP_ERRORS] = float(len(self.unfiled))
        yield Outcome(Log.MAILBOX_POLLED, {"collected": collected}, counts)

    def _waiting(self, until: datetime) -> list[_Waiting]:
        """Mails least often tried first, so that one that kills the session blocks nobody; those
        that are dealt with and only have to be moved come last, and take no other's turn.

        Only the head of a long list is looked up: a backlog must not eat the time of the run.
        """
        most = self.ports.settings.operator.mails_per_run
        waiting: list[_Waiting] = []
        dealt_with: list[_Waiting] = []
        for each in self._listed():
            (dealt_with if each.known.record.dealt_with else waiting).append(each)
            if len(waiting) == _LOOKED_UP * most or self.ports.now() > until:
                break
        self.unfiled.update(each.uid for each in dealt_with)
        waiting.sort(key=lambda each: (each.known.record.tries, each.uid))
        return waiting[:most] + dealt_with

    def _listed(self) -> Iterator[_Waiting]:
        """The mails in uid order, with what is known of their places."""
        listing = self.session.listing()
        for start in range(0, len(listing), _TOGETHER):
            some = listing[start : start + _TOGETHER]
            for (uid, size), known in zip(some, self._known(some), strict=True):
                yield _Waiting(uid, size, known)

    def _known(self, some: Sequence[tuple[int, int]]) -> Iterable[Versioned[Place]]:
        """What is known of their places, which after a good poll is nothing."""
        if not self.warned:
            return [Versioned(Place(), None)] * len(some)
        return self.ledger.places(self._place(uid, size) for uid, size in some)

    def _place(self, uid: int, size: int) -> tuple[str, str]:
        host = self.ports.settings.operator.imap_host
        return place_key(self.mailbox, host, self.session.uid_validity, uid, size)

    def _one(self, waiting: _Waiting, *, proven: bool) -> Outcome | None:
        place, operator = waiting.known.record, self.ports.settings.operator
        try:
            if place.mail is not None:
                return self._moved(waiting.uid, place.mail, operator.processed_folder)
            if place.aside is not None:
                return self._moved(waiting.uid, place.aside, operator.set_aside_folder)
            if waiting.size > self.ports.settings.limits.mail_bytes:
                return self._set_aside(waiting, Reason.MAIL_TOO_LARGE)
            if self._hopeless(place, proven=proven):
                return self._set_aside(waiting, Reason.MAILBOX_UNAVAILABLE)
            return self._take(waiting)
        except MailGone:
            return None

    def _hopeless(self, place: Place, *, proven: bool) -> bool:
        """It failed often while another mail passes in this very run. Alone, it has more patience:
        then it may be the mailbox or the store that fails (mail-edge §4.2)."""
        attempts = self.ports.settings.operator.fetch_attempts
        return place.tries >= (attempts if proven else attempts * _ALONE)

    def _moved(self, uid: int, mail: str, folder: str) -> Outcome:
        """Whatever the server says, only a poll that sees it no more proves the move."""
        if self._file(uid, folder):
            return Outcome(Log.MAIL_SEEN, {"mail": Digest(mail)})
        reason = Reason.MAILBOX_UNAVAILABLE
        return Outcome(Log.MAIL_NOT_MOVED, {"mail": Digest(mail), "reason": reason})

    def _take(self, waiting: _Waiting) -> Outcome | None:
        tried = self._tried(waiting) if self.warned else waiting.known
        if tried is None:
            return None
        raw = self.session.fetch(waiting.uid, waiting.size)
        seal = hashlib.sha256(raw).hexdigest()
        key = self.ports.store.put_mail(self.mailbox.id, seal, raw)
        mail, fresh = self._commit(waiting, tried, seal, key)
        self._file(waiting.uid, self.ports.settings.operator.processed_folder)
        facts: dict[str, Fact] = {"mail": Digest(mail)}
        if not fresh:
            self.unfiled.add(waiting.uid)  # the mailbox kept it: the next poll looks before
            return Outcome(Log.MAIL_SEEN, facts)
        return Outcome(Log.MAIL_COLLECTED, {**facts, "bytes": len(raw)})

    def _file(self, uid: int, folder: str) -> bool:
        """Dealt with: should it stay, the others go on, and the next poll tries again."""
        try:
            self.session.move(uid, folder)
        except Unavailable:
            self.unfiled.add(uid)
            return False
        return True

    def _tried(self, waiting: _Waiting) -> Versioned[Place] | None:
        """Count the attempt before it: a mail that kills the collector is set aside at last."""
        place = Place(waiting.known.record.tries + 1)
        key, revision = self._place(waiting.uid, waiting.size), waiting.known.revision
        if not self.ledger.write(self.ledger.place_put(key, place, revision)):
            return None
        return Versioned(place, (revision or 0) + 1)

    def _commit(
        self, waiting: _Waiting, tried: Versioned[Place], seal: str, key: str
    ) -> tuple[str, bool]:
        """One transaction: the mail exists and its place is known. The usual mail is new, and so is
        its place; when one of the two is not, both are looked at. `parse` may be quicker than we
        are, the bytes being its event. False: another poll had committed this very place."""
        arrived = _arrived(seal, self.mailbox.id, key, self.ports)
        known: Versioned[MailRecord] | None = None
        where = self._place(waiting.uid, waiting.size)
        mail, place = seal, tried
        for _ in range(_COMMITS):
            record = replace(known.record if known else arrived, mail=mail)
            record = replace(record, copies=record.copies + 1)
            put = self.ledger.mail_put(record, known.revision if known else None)
            seen = replace(place.record, mail=seal)
            if self.ledger.write(put, self.ledger.place_put(where, seen, place.revision)):
                return mail, True
            mail, known = self.ledger.mail_of(self.mailbox.id, seal)
            place = self.ledger.place(where)
            if place.record.mail is not None:
                return mail, False
        raise Unavailable(Reason.STORE_UNAVAILABLE)

    def _set_aside(self, waiting: _Waiting, reason: Reason) -> Outcome:
        """Not downloaded: the mail stays in the mailbox, in a folder for people, and in review.
        Known already, it was in review before and may be closed there: no poll opens it again."""
        header = self.session.header(waiting.uid)
        place = f"{self.session.uid_validity}#{waiting.uid}#{waiting.size}".encode()
        mail = hashlib.sha256(place + header).hexdigest()
        record = MailRecord(
            mail=mail,
            mailbox=self.mailbox.id,
            key="",
            received_at=self.ports.now(),
            state=MailState.SETTLED,
            route=Route.REVIEW,
            reason=reason.value,
            review=True,
        )
        fresh = self.ledger.mail(mail) is None
        if fresh:
            self.ports.jobs.to_review(Step.PARSE, Job(mail), reason)
            self.ledger.write(self.ledger.mail_put(record, None))
        moved = self._file(waiting.uid, self.ports.settings.operator.set_aside_folder)
        if not (fresh and moved):
            self._remember(waiting, mail)
        return Outcome(Log.MAIL_SET_ASIDE, {"mail": Digest(mail), "reason": reason})

    def _remember(self, waiting: _Waiting, mail: str) -> None:
        """The mailbox kept it, whatever it said: the next poll looks, and only moves it."""
        self.unfiled.add(waiting.uid)
        key = self._place(waiting.uid, waiting.size)
        place = self.ledger.place(key)
        aside = replace(place.record, aside=mail)
        self.ledger.write(self.ledger.place_put(key, aside, place.revision))


def _arrived(mail: str, mailbox: str, key: str, ports: Ports) -> MailRecord:
    """`mail` is the digest of its bytes, until another mailbox turns out to have them too."""
    return MailRecord(
        mail=mail,
        mailbox=mailbox,
        key=key,
        received_at=ports.now(),
        dossier=dossier_key(mailbox, mail),
    )
