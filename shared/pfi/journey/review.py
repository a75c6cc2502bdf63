"""Record jobs that a person must look at: everything that lands in a dead-letter queue.

The ledger item outlives the queue's retention; the mail is marked, so that it is counted as in
review and nowhere else (design §6.1).
"""

from dataclasses import dataclass, replace

from pfi.errors import Unavailable
from pfi.journey.ledger import Ledger
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


def review(letter: DeadLetter, ports: Ports) -> Outcome:
    """One review item per stuck job and reason; recording it twice changes nothing."""
    ledger = Ledger(ports.table, ports.now, ports.settings.ledger_days)
    item = ReviewItem(
        mail=letter.mail,
        step=letter.step.value,
        document=letter.document,
        reason=letter.reason.value,
        attempts=letter.attempts,
        recorded_at=ports.now(),
    )
    fresh = ledger.record_review(item)
    _mark(ledger, letter)
    facts: dict[str, Fact] = {
        "mail": Digest(letter.mail),
        "step": letter.step,
        "reason": letter.reason,
    }
    return Outcome(Log.REVIEW_RECORDED, facts, {Metric.REVIEW_ENTRIES: 1} if fresh else {})


def _mark(ledger: Ledger, letter: DeadLetter) -> None:
    """A mail still under way is now in review; one that is settled keeps its route.

    Its `reason` is left alone: there settlement reads why the mail was not integrated, and a job
    delivered once more would forward an integrated mail for the reason of the review item.
    """
    known = ledger.mail(letter.mail)
    if known is None or known.record.review:
        return
    record = replace(known.record, review=True)
    if record.state is not MailState.SETTLED:
        record = replace(record, route=Route.REVIEW)
    if not ledger.write(ledger.mail_put(record, known.revision)):
        raise Unavailable(Reason.STORE_UNAVAILABLE)
