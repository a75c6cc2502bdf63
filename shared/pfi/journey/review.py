"""Record jobs that a person must look at: everything that lands in a dead-letter queue.

The ledger item outlives the queue's retention; the mail is marked, so that it is counted as in
review and nowhere else (design §6.1).
"""

from dataclasses import dataclass, replace

from pfi.errors import Unavailable
from pfi.journey.ledger import Ledger, review_key
from pfi.journey.outcome import Digest, Fact, Log, Metric, Outcome
from pfi.journey.ports import Ports
from pfi.journey.records import MailState, ReviewItem
from pfi.names import Reason, Route, Step


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message of a dead-letter queue: codes and digests only."""

    step: Step
    mail: str
    document: int | None
    reason: Reason
    attempts: int
    mailbox: str | None = None
    """Of an arrival: there `mail` is the digest of bytes, which two mailboxes may share."""


def review(letter: DeadLetter, ports: Ports) -> Outcome:
    """One review item per stuck job and reason; recording it twice changes nothing."""
    ledger = Ledger(ports.table, ports.now, ports.settings.ledger_days)
    if letter.mailbox is not None:
        mail, _ = ledger.mail_of(letter.mailbox, letter.mail)
        letter = replace(letter, mail=mail, mailbox=None)
    item = ReviewItem(
        mail=letter.mail,
        step=letter.step.value,
        document=letter.document,
        reason=letter.reason.value,
        attempts=letter.attempts,
        recorded_at=ports.now(),
    )
    # The item last: a letter that comes back for its mark would find it, and nobody were alarmed.
    _mark(ledger, letter.mail, review_key(item))
    fresh = ledger.record_review(item)
    facts: dict[str, Fact] = {
        "mail": Digest(letter.mail),
        "step": letter.step,
        "reason": letter.reason,
    }
    return Outcome(Log.REVIEW_RECORDED, facts, {Metric.REVIEW_ENTRIES: 1} if fresh else {})


def _mark(ledger: Ledger, mail: str, key: str) -> None:
    """A mail still under way is now in review; one that is settled keeps its route. It remembers
    the item, which `pfi prove` asks for.

    Its `reason` is left alone: there settlement reads why the mail was not integrated, and a job
    delivered once more would forward an integrated mail for the reason of the review item.
    """
    known = ledger.mail(mail)
    if known is None or (known.record.review and key in known.record.reviewed):
        return
    names = tuple(sorted({*known.record.reviewed, key}))
    record = replace(known.record, review=True, reviewed=names)
    if record.state is not MailState.SETTLED:
        record = replace(record, route=Route.REVIEW)
    if not ledger.write(ledger.mail_put(record, known.revision)):
        raise Unavailable(Reason.STORE_UNAVAILABLE)
