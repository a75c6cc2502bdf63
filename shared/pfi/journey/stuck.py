"""Mails under way that no job can be about (design §6.1): lost, although their row is there.

Pure, as `accounts`: readers bring the mails, the depth of the queues and, where needed, documents.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import timedelta
from typing import Final

from pfi.journey.accounts import IN_FLIGHT, MARGIN, Doubt, Fault, Terms, place_of
from pfi.journey.grace import LONGEST as LONGEST_GRACE
from pfi.journey.records import DocumentRecord, MailRecord, MailState
from pfi.journey.settings import Settings
from pfi.names import Step

COUNTED_LATE: Final = timedelta(minutes=1)
"""SQS may be as late to count a message: the job of a younger mail may not be seen yet."""
PAUSE: Final = timedelta(days=4)
"""A long week-end: for so long `push` may be shut and nobody is told that a mail is lost."""
Documents = Callable[[str], Iterable[DocumentRecord]]
"""Reader of the documents of a mail."""
_JOBS_OF: Final = {
    MailState.RECEIVED: (Step.PARSE, Step.MATCH),
    MailState.READ: (),
    MailState.DECIDED: (Step.PUSH, Step.FORWARD),
}
"""Where the job of a mail in this state is, unless a step before is just about to send it, or,
while it waits for its patient, `match` holds it still. In the order of the journey: what is left
over of a state may be about a mail of the next."""


def longest_waits(settings: Settings) -> dict[MailState, timedelta]:
    """How long a mail may be under way: the grace of the patient base; once decided, a pause of
    `push` too, after which the hold of the DPI begins anew."""
    undecided = min(timedelta(seconds=settings.match.grace_s), LONGEST_GRACE) + MARGIN
    hold = timedelta(seconds=max((each.hold_s for each in settings.dpis), default=0))
    return {
        MailState.RECEIVED: undecided,
        MailState.READ: undecided,
        MailState.DECIDED: undecided + PAUSE + hold,
    }


def stuck(
    under_way: Iterable[MailRecord],
    queued: Mapping[Step, int],
    terms: Terms,
    documents: Documents = lambda _: (),
) -> Iterator[Fault]:
    """Mails without an end that no job can be about.

    A job leaves its queue only after the next one entered its own: so each mail under way has a
    message somewhere, and one for each document that is still to be sent. All mails of a state
    together are owed no more than its queues hold; what is missing is some old mail's. Which one
    cannot be told without receiving, hence the oldest are named.
    """
    waiting: dict[MailState, list[MailRecord]] = {}
    for mail in sorted(under_way, key=lambda each: each.received_at):
        if terms.now - mail.received_at > min(COUNTED_LATE, terms.grace):
            waiting.setdefault(mail.state, []).append(mail)
    jobs = 0
    for state, steps in _JOBS_OF.items():
        mails = waiting.get(state, [])
        jobs += sum(queued.get(step, 0) for step in steps)
        owed = _owed(mails, jobs, terms, documents)
        yield from _without(mails, owed, sum(owed) - jobs, terms)
        jobs = max(0, jobs - sum(owed))  # of a step before: may be about a mail that is further


def _without(
    mails: list[MailRecord], owed: list[int], missing: int, terms: Terms
) -> Iterator[Fault]:
    """The oldest mails, until what is missing is theirs."""
    for mail, messages in zip(mails, owed, strict=True):
        if place_of(mail) != IN_FLIGHT or not terms.settled_down(mail.received_at):
            continue
        if missing > 0 or _forgotten(mail, terms):
            yield Fault(Doubt.STUCK, mail.mail)
        missing -= messages


def _owed(mails: list[MailRecord], jobs: int, terms: Terms, documents: Documents) -> list[int]:
    """Messages that there must be for each mail. Its documents are read only where the queues hold
    fewer messages than there are documents."""
    most = [mail.documents if _has_many(mail) else _alone(mail) for mail in mails]
    if sum(most) <= jobs:
        return most
    return [
        _for_documents(mail, documents(mail.mail), terms) if _has_many(mail) else _alone(mail)
        for mail in mails
    ]


def _has_many(mail: MailRecord) -> bool:
    return mail.state is MailState.DECIDED and mail.documents > 1


def _alone(mail: MailRecord) -> int:
    """A mail in review waits for a person, and its job with it."""
    return 0 if mail.review else 1


def _for_documents(mail: MailRecord, documents: Iterable[DocumentRecord], terms: Terms) -> int:
    """One for each document that has not ended; the last to end sends the one that closes the
    mail. Of what was decided just now, `match` may still hold the only one."""
    waiting = [each for each in documents if not each.integration.ended]
    if mail.review:
        return _beside_the_review(mail, waiting)
    decided = (each.decided_at for each in waiting)
    old = all(at is None or terms.settled_down(at) for at in decided)
    return max(1, len(waiting)) if old else 1


def _beside_the_review(mail: MailRecord, waiting: list[DocumentRecord]) -> int:
    """Documents of a mail in review that go on by themselves."""
    told = [each.split("#") for each in mail.reviewed]
    if any(step != Step.PUSH.value for step, *_ in told):
        return 0
    kept = {int(number) for _, number, *_ in told}
    return sum(each.number not in kept for each in waiting)


def _forgotten(mail: MailRecord, terms: Terms) -> bool:
    """Under way for too long. A mail that a person sent back into the journey began anew then."""
    longest = terms.longest.get(mail.state, timedelta.max)
    return not mail.reviewed and terms.now - mail.received_at > longest
