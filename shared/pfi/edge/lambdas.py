"""Lambda ceremony, once: batches, logs, and what an error does to its queue message.

| family | queue message |
|---|---|
| Unreadable | consumed, after a copy went to the dead-letter queue: a job that cannot be read |
| Unavailable, OutcomeUnknown | comes back after a back-off with jitter; DLQ after maxReceiveCount |
| Misconfigured | comes back after the longest back-off; alarm |
| anything else | comes back a few times, then the dead-letter queue; type and frames are logged |

Steps turn the endings of a mail (forward, refuse, file) into values themselves.

The answer to a batch, the list of the messages that come back, is made here: BatchProcessor of
Powertools does no more of it and costs a third of boto3 in a cold start (docs/decisions/0026).
"""

import hashlib
import json
import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import unquote_plus

from pfi.edge.settings import environment
from pfi.edge.telemetry import Telemetry
from pfi.edge.wiring import Services, services
from pfi.errors import Misconfigured, PfiError, Unreadable
from pfi.journey.collect import by_age, collect
from pfi.journey.jobs import Job, ReadMail, load
from pfi.journey.keys import DOCUMENTS, INCOMING, dossier_key
from pfi.journey.outcome import Log, Metric, Outcome
from pfi.journey.review import DeadLetter
from pfi.journey.settings import MailboxSettings
from pfi.names import Reason, Step

if TYPE_CHECKING:
    from pfi.journey.parse import Arrival

Handler = Callable[[dict[str, Any], Any], Any]
Work = Callable[["Message", Services], Iterable[Outcome]]
MAX_VISIBILITY_S = 43_200
_TEST_EVENT = "s3:TestEvent"
"""What S3 sends once, when the notification is set up."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a queue, as the event source hands it over; `reason` is that of a letter."""

    body: str
    queue: str
    receipt: str
    received: int
    reason: str

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Self:
        """From a record of the event of a batch."""
        return cls(
            body=record["body"],
            queue=record["eventSourceARN"].rsplit(":", 1)[-1],
            receipt=record["receiptHandle"],
            received=int(record["attributes"]["ApproximateReceiveCount"]),
            reason=record["messageAttributes"].get("reason", {}).get("stringValue", ""),
        )


def job_function(step: Step, run: Callable[[Job, Services], Outcome]) -> Handler:
    """A Lambda that does one job per queue message."""
    return _queue_function(step, lambda message, ports: (run(load(message.body), ports),))


def arrival_function(step: Step, run: Callable[["Arrival", Services], Outcome]) -> Handler:
    """A Lambda fed by ObjectCreated events of the store, through a queue."""

    def work(message: Message, ports: Services) -> Iterable[Outcome]:
        arrivals = list(arrivals_of(message.body))
        if not arrivals:
            return (Outcome(Log.EVENT_IGNORED),)
        return tuple(run(arrival, ports) for arrival in arrivals)

    return _queue_function(step, work)


def match_function(step: Step, run: Callable[[Job | ReadMail, Services], Outcome]) -> Handler:
    """A Lambda fed by jobs, and by ObjectCreated events of dossiers, through one queue."""

    def work(message: Message, ports: Services) -> Iterable[Outcome]:
        if not is_event(message.body):
            return (run(load(message.body), ports),)
        read = list(read_mails_of(message.body))
        return tuple(run(each, ports) for each in read) or (Outcome(Log.EVENT_IGNORED),)

    return _queue_function(step, work)


def file_function(step: Step, run: Callable[[str, Services], tuple[Outcome, bool]]) -> Handler:
    """A Lambda fed by files of the store, through a queue. A file that is not done goes on with
    the same event, as a new message: a long file is no failed one."""

    def work(message: Message, ports: Services) -> Iterable[Outcome]:
        told = [run(key, ports) for key in _keys_of(message.body)]
        if not all(done for _, done in told):
            ports.jobs.again(step, message.body)
        return [outcome for outcome, _ in told] or [Outcome(Log.EVENT_IGNORED)]

    return _queue_function(step, work)


def review_function(run: Callable[[DeadLetter, Services], Outcome]) -> Handler:
    """A Lambda fed by every dead-letter queue."""
    dead_letters = environment().dead_letters

    def work(message: Message, ports: Services) -> Iterable[Outcome]:
        return [run(letter, ports) for letter in letters_of(message, dead_letters)]

    return _queue_function(Step.REVIEW, work)


def schedule_function(step: Step) -> Handler:
    """A Lambda run by the clock, for every mailbox in turn; one broken mailbox stops no other.

    The metric is the age of the mailbox polled least recently: the alarm sees one that fails
    among many that work.
    """
    telemetry = Telemetry(step)

    def handler(_event: dict[str, Any], context: Any) -> None:
        with telemetry.last_net():
            _poll(services(), context, telemetry)

    return handler


def _poll(ports: Services, context: Any, telemetry: Telemetry) -> None:
    needed_ms = 1000 * ports.settings.operator.run_budget_s
    for mailbox, _ in by_age(ports):
        if context.get_remaining_time_in_millis() > needed_ms:
            _collect(mailbox, context.aws_request_id, telemetry, ports)
    oldest = max((age for _, age in by_age(ports)), default=0.0)
    telemetry.emit(Outcome(Log.POLL_DONE, counts={Metric.POLL_AGE_SECONDS: oldest}))


def _collect(mailbox: MailboxSettings, owner: str, telemetry: Telemetry, ports: Services) -> None:
    try:
        telemetry.emit_all(collect(mailbox, owner, ports))
    except PfiError as error:
        failed = {Metric.STEP_ERRORS: 1.0}
        failed |= {Metric.MISCONFIGURED: 1.0} if isinstance(error, Misconfigured) else {}
        telemetry.emit(Outcome(Log.MAILBOX_FAILED, {"reason": error.reason}, failed))
    except Exception as error:  # last resort: the next mailbox must be polled
        telemetry.unexpected(error)


def _queue_function(step: Step, work: Work) -> Handler:
    telemetry = Telemetry(step)

    def handler(event: dict[str, Any], _context: Any) -> Any:
        records = event["Records"]
        back = [each["messageId"] for each in records if not _consumed(step, work, telemetry, each)]
        return {"batchItemFailures": [{"itemIdentifier": each} for each in back]}

    return handler


def _consumed(step: Step, work: Work, telemetry: Telemetry, record: Mapping[str, Any]) -> bool:
    """Whether a message is done with; no other of its batch waits for it or comes back with it."""
    try:
        return _one(step, work, telemetry, Message.of(record))
    except Exception:  # its error could not be dealt with: a dead letter that is not safe, say
        return False


def _one(step: Step, work: Work, telemetry: Telemetry, message: Message) -> bool:
    """One message: done, or back to the queue, or to the dead-letter queue. Never silent."""
    ports, received = services(), message.received
    try:
        telemetry.emit_all(work(message, ports))
    except Unreadable as error:
        telemetry.failed(error, received=received)
        return _dead_letter(step, message, error.reason, ports)
    except PfiError as error:
        telemetry.failed(error, received=received)
        wait = _delay(ports, received, longest=isinstance(error, Misconfigured))
        ports.jobs.postpone(message.queue, message.receipt, wait)
        return False
    except Exception as error:  # the one broad net (design §4, last line)
        telemetry.unexpected(error, received=received)
        if received < _unexpected_attempts(ports):
            return False
        return _dead_letter(step, message, Reason.UNEXPECTED, ports)
    return True


def _dead_letter(step: Step, message: Message, reason: Reason, ports: Services) -> bool:
    if step is Step.REVIEW:
        return False  # the last queue: its own alarm tells
    ports.jobs.dead_letter(step, message.body, reason)
    return True


def _unexpected_attempts(ports: Services) -> int:
    try:
        return ports.settings.retry.unexpected_attempts
    except Exception:  # settings themselves may be what is broken
        return 3


def _delay(ports: Services, received: int, *, longest: bool) -> int:
    """Back-off of hl7-mdm §5.5 with jitter, so that a recovered peer is not stampeded."""
    try:
        steps = ports.settings.retry.backoff_s
    except PfiError:
        steps = (60,)
    seconds = steps[-1] if longest else steps[min(received, len(steps)) - 1]
    jittered = seconds * random.uniform(0.75, 1.25)  # noqa: S311 - not a secret
    return max(1, min(int(jittered), MAX_VISIBILITY_S))


def arrivals_of(body: str) -> Iterator["Arrival"]:
    """Mails announced by an S3 event; a test event announces none."""
    from pfi.journey.parse import Arrival  # noqa: PLC0415 - brings all readers, for `parse` alone

    for key, mailbox in _mails_of(body):
        yield Arrival(key, mailbox)


def _mails_of(body: str) -> Iterator[tuple[str, str]]:
    """Key and mailbox of each. A mail dropped without the folder of a mailbox belongs to none:
    `parse` has it reviewed."""
    for key in _keys_of(body):
        mailbox, _, name = key.removeprefix(INCOMING).partition("/")
        if key.startswith(INCOMING):
            yield key, mailbox if name else ""


def read_mails_of(body: str) -> Iterator[ReadMail]:
    """Dossiers announced by an S3 event: ``documents/<digest>/<mailbox>/dossier.json``."""
    for key in _keys_of(body):
        seal, mailbox, _ = f"{key.removeprefix(DOCUMENTS)}//".split("/", 2)
        if _is_digest(seal) and key == dossier_key(mailbox, seal):
            yield ReadMail(key, mailbox, seal)


def is_event(body: str) -> bool:
    """Whether a message is of S3, and not a job of ours."""
    return not body.startswith('{"v"')


def _keys_of(body: str) -> list[str]:
    """The objects that an S3 event announces. Keys come URL-encoded."""
    try:
        event: Mapping[str, Any] = json.loads(body)
        records = () if event.get("Event") == _TEST_EVENT else event["Records"]
        return [unquote_plus(each["s3"]["object"]["key"]) for each in records]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise Unreadable(Reason.JOB_UNREADABLE) from None


def letters_of(message: Message, dead_letters: Mapping[Step, str]) -> Iterator[DeadLetter]:
    """What a dead message was about: codes and digests, whatever its body."""
    step = _step_of(message.queue, dead_letters)
    known = Reason(message.reason) if message.reason in list(Reason) else Reason.UNEXPECTED
    for mail, document, mailbox in _subjects(message.body):
        yield DeadLetter(step, mail, document, known, message.received, mailbox)


def _step_of(queue: str, dead_letters: Mapping[Step, str]) -> Step:
    found = (step for step, url in dead_letters.items() if url.rsplit("/", 1)[-1] == queue)
    return next(found, Step.REVIEW)


def _subjects(body: str) -> Iterable[tuple[str, int | None, str | None]]:
    """Mail, document, and for an arrival its mailbox: the bytes there may be those of another."""
    try:
        job = load(body)
    except Unreadable:
        pass
    else:
        return [(job.mail, job.document, None)]
    try:
        arrivals = [_arrived(*each) for each in _mails_of(body)]
        read = [(each.seal, None, each.mailbox) for each in read_mails_of(body)]
    except Unreadable:
        arrivals, read = [], []
    return [*arrivals, *read] or [(_digest_of(body), None, None)]


def _arrived(key: str, mailbox: str) -> tuple[str, int | None, str | None]:
    """A name that is no digest is another producer's: the digest of the whole key stands for it,
    for a name may say who the patient is."""
    name = key.rsplit("/", 1)[-1].removesuffix(".eml")
    if _is_digest(name):
        return name, None, mailbox
    return _digest_of(key), None, None


def _digest_of(name: str) -> str:
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()


def _is_digest(name: str) -> bool:
    return len(name) == 64 and not set(name) - set("0123456789abcdef")
