"""Bodies live until some days after the end of their mail, not after its arrival.

The store lets every object expire by its age, whatever happens to this step: no body stays for
ever. Once a day, what a mail without an end or an open review still needs is renewed in place when
half of that age is reached, so one missed run, or ten, cost nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from pfi.errors import PfiError
from pfi.journey.accounts import Held, bodies_missing
from pfi.journey.keys import folder_of
from pfi.journey.ledger import OPEN_REVIEWS, Ledger, mails_under_way, review_of_row
from pfi.journey.outcome import Digest, Fact, Log, Metric, Outcome
from pfi.journey.ports import Ports
from pfi.journey.records import MailRecord

MOST: Final = 2_000
"""Mails renewed by one run; so many have fifteen days to follow each other."""
_SHARE: Final = 0.8
"""Of the time that the function may take: the last mail must still fit into the rest."""


def retain(ports: Ports, mail_days: int) -> Iterator[Outcome]:
    """Renew what is needed and half as old as the store keeps it, the oldest mail first.

    Whole days, rounded down: with a run a day even two days of life are never missed.
    """
    now = ports.now()
    run = _Run(
        ports,
        Ledger(ports.table, ports.now, ports.settings.ledger_days),
        before=now - timedelta(days=mail_days // 2),
        until=now + timedelta(seconds=_SHARE * ports.life_s),
    )
    yield from run.outcomes()


@dataclass(slots=True)
class _Run:
    """One day's round, and what it counted."""

    ports: Ports
    ledger: Ledger
    before: datetime
    until: datetime
    renewed: int = 0
    gone: int = 0
    failed: int = 0

    def outcomes(self) -> Iterator[Outcome]:
        """A line for each mail that is not as it should be, then one for all."""
        needed, done = self._needed(), 0
        for mail in needed:
            if self.renewed >= MOST or self.ports.now() >= self.until:
                break
            yield from self._one(mail)
            done += 1
        yield self._end(done, left=len(needed) - done)

    def _needed(self) -> list[MailRecord]:
        """Mails without an end, mails in review; what is younger cannot have old bodies."""
        mails = (*mails_under_way(self.ports.table), *self._in_review())
        found = {mail.mail: mail for mail in mails}
        old = (mail for mail in found.values() if mail.received_at <= self.before)
        return sorted(old, key=lambda mail: (mail.received_at, mail.mail))

    def _in_review(self) -> Iterator[MailRecord]:
        """An item may be about an identity message, or about bytes that no row ever named."""
        rows = self.ports.table.indexed(OPEN_REVIEWS)
        mails = {item.mail for item in map(review_of_row, rows) if item.waits}
        for mail in sorted(mails):
            if known := self.ledger.mail(mail):
                yield known.record

    def _one(self, mail: MailRecord) -> Iterator[Outcome]:
        """What cannot be renewed today stays in review, and keeps no other from it."""
        try:
            found = self._renew(mail)
        except PfiError as error:
            self.failed += 1
            facts: dict[str, Fact] = {"mail": Digest(mail.mail), "reason": error.reason}
            yield Outcome(Log.BODY_NOT_RENEWED, facts, {Metric.STEP_ERRORS: 1})
            return
        missing = list(bodies_missing(Held(mail=mail, stored=found)))
        if missing:
            self.gone += 1
            yield Outcome(Log.BODY_GONE, {"mail": Digest(mail.mail), "objects": len(missing)})

    def _renew(self, mail: MailRecord) -> frozenset[str]:
        """All objects of a mail. One set aside in its mailbox has no body; without a name, the
        prefix would be the whole store."""
        prefixes = filter(None, (mail.key, folder_of(mail.dossier_key)))
        found: dict[str, bool] = {}
        for prefix in prefixes:
            found.update(self.ports.store.renew(prefix, self.before))
        self.renewed += any(found.values())
        return frozenset(found)

    def _end(self, done: int, left: int) -> Outcome:
        facts = {"mails": done, "renewed": self.renewed, "gone": self.gone}
        log = Log.RETENTION_PARTIAL if left else Log.BODIES_RETAINED
        counts = {Metric.BODIES_GONE: float(self.gone)}
        return Outcome(log, {**facts, "failed": self.failed, "left": left}, counts)
