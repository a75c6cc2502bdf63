"""Lambda ceremony, once: batches, logs, and what an error does to its queue message.

| family | queue message |
|---|---|
| Unreadable | consumed, after a copy went to the dead-letter queue: a job that cannot be read |
| Unavailable, OutcomeUnknown | comes back after a back-off with jitter; DLQ after maxReceiveCount |
| Misconfigured | comes back after the longest back-off; alarm |
| anything else | comes back a few times, then the dead-letter queue; type and frames are logged |

Steps turn the endings of a mail (forward, refuse, file) into values themselves.
"""

import hashlib
import json
import random
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any
from urllib.parse import unquote_plus

from aws_lambda_powertools.utilities.batch import (
    BatchProcessor,
    EventType,
    process_partial_response,
)
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from pfi.edge.settings import environment
from pfi.edge.telemetry import Telemetry
from pfi.edge.wiring import Services, services
from pfi.errors import Misconfigured, PfiError, Unreadable
from pfi.journey.collect import by_age, collect
from pfi.journey.jobs import Job, ReadMail, load
from pfi.journey.keys import DOCUMENTS, INCOMING, dossier_key
from pfi.journey.outcome import Log, Metric, Outcome
from pfi.journey.parse import Arrival
from pfi.journey.review import DeadLetter
from pfi.journey.settings import MailboxSettings
from pfi.names import Reason, Step

Handler = Callable[[dict[str, Any], Any], Any]
Work = Callable[[SQSRecord, Services], Iterable[Outcome]]
MAX_VISIBILITY_S = 43_200
_TEST_EVENT = "s3:TestEvent"
"""What S3 sends once, when the notification is set up."""


class _ComesBack(Exception):
    """Tells Powertools to report the record as failed; carries nothing."""


def job_function(step: Step, run: Callable[[Job, Services], Outcome]) -> Handler:
    """A Lambda that does one job per queue message."""
    return _queue_function(step, lambda record, ports: (run(load(record.body), ports),))


def arrival_function(step: Step, run: Callable[[Arrival, Services], Outcome]) -> Handler:
    """A Lambda fed by ObjectCreated events of the store, through a queue."""

    def work(record: SQSRecord, ports: Services) -> Iterable[Outcome]:
        arrivals = list(arrivals_of(record.body))
        if not arrivals:
            return (Outcome(Log.EVENT_IGNORED),)
        return tuple(run(arrival, ports) for arrival in arrivals)

    return _queue_function(step, work)


def match_function(step: Step, run: Callable[[Job | ReadMail, Services], Outcome]) -> Handler:
    """A Lambda fed by jobs, and by ObjectCreated events of dossiers, through one queue."""

    def work(record: SQSRecord, ports: Services) -> Iterable[Outcome]:
        if not is_event(record.body):
            return (run(load(record.body), ports),)
        read = list(read_mails_of(record.body))
        return tuple(run(each, ports) for each in read) or (Outcome(Log.EVENT_IGNORED),)

    return _queue_function(step, work)


def file_function(step: Step, run: Callable[[str, Services], tuple[Outcome, bool]]) -> Handler:
    """A Lambda fed by files of the store, through a queue. A file that is not done goes on with
    the same event, as a new message: a long file is no failed one."""

    def work(record: SQSRecord, ports: Services) -> Iterable[Outcome]:
        told = [run(key, ports) for key in _keys_of(record.body)]
        if not all(done for _, done in told):
            ports.jobs.again(step, record.body)
        return [outcome for outcome, _ in told] or [Outcome(Log.EVENT_IGNORED)]

    return _queue_function(step, work)


def review_function(run: Callable[[DeadLetter, Services], Outcome]) -> Handler:
    """A Lambda fed by every dead-letter queue."""
    dead_letters = environment().dead_letters

    def work(record: SQSRecord, ports: Services) -> Iterable[Outcome]:
        return [run(letter, ports) for letter in letters_of(record, dead_letters)]

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
    processor = BatchProcessor(EventType.SQS, raise_on_entire_batch_failure=False)
    record_handler = partial(_one, step, work, telemetry)

    def handler(event: dict[str, Any], context: Any) -> Any:
        return process_partial_response(
            event=event, record_handler=record_handler, processor=processor, context=context
        )

    return handler


def _one(step: Step, work: Work, telemetry: Telemetry, record: SQSRecord) -> None:
    """One message: done, or back to the queue, or to the dead-letter queue. Never silent."""
    ports = services()
    received = int(record.attributes.approximate_receive_count)
    try:
        telemetry.emit_all(work(record, ports))
    except Unreadable as error:
        telemetry.failed(error, received=received)
        _dead_letter(step, record, error.reason, ports)
    except PfiError as error:
        telemetry.failed(error, received=received)
        longest = isinstance(error, Misconfigured)
        wait = _delay(ports, received, longest=longest)
        ports.jobs.postpone(_queue_of(record), record.receipt_handle, wait)
        raise _ComesBack from None
    except Exception as error:  # the one broad net (design §4, last line)
        telemetry.unexpected(error, received=received)
        if received >= _unexpected_attempts(ports):
            _dead_letter(step, record, Reason.UNEXPECTED, ports)
            return
        raise _ComesBack from None


def _dead_letter(step: Step, record: SQSRecord, reason: Reason, ports: Services) -> None:
    if step is Step.REVIEW:
        raise _ComesBack  # the last queue: its own alarm tells
    ports.jobs.dead_letter(step, record.body, reason)


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


def arrivals_of(body: str) -> Iterable[Arrival]:
    """Mails announced by an S3 event; a test event announces none. Keys come URL-encoded.

    A mail dropped without the folder of a mailbox belongs to none: `parse` has it reviewed.
    """
    for key in _keys_of(body):
        mailbox, _, name = key.removeprefix(INCOMING).partition("/")
        if key.startswith(INCOMING):
            yield Arrival(key, mailbox if name else "")


def read_mails_of(body: str) -> Iterable[ReadMail]:
    """Dossiers announced by an S3 event: ``documents/<digest>/<mailbox>/dossier.json``."""
    for key in _keys_of(body):
        seal, mailbox, _ = f"{key.removeprefix(DOCUMENTS)}//".split("/", 2)
        if _is_digest(seal) and key == dossier_key(mailbox, seal):
            yield ReadMail(key, mailbox, seal)


def is_event(body: str) -> bool:
    """Whether a message is of S3, and not a job of ours."""
    return not body.startswith('{"v"')


def _keys_of(body: str) -> list[str]:
    """The objects that an S3 event announces."""
    try:
        event: Mapping[str, Any] = json.loads(body)
        records = () if event.get("Event") == _TEST_EVENT else event["Records"]
        return [unquote_plus(each["s3"]["object"]["key"]) for each in records]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise Unreadable(Reason.JOB_UNREADABLE) from None


def letters_of(record: SQSRecord, dead_letters: Mapping[Step, str]) -> Iterable[DeadLetter]:
    """What a dead message was about: codes and digests, whatever its body."""
    step = _step_of(record, dead_letters)
    attributes = record.message_attributes  # its `get` gives a plain dict, only [] a typed one
    attribute = attributes["reason"] if "reason" in attributes else None  # noqa: SIM401 (see above)
    reason = attribute.string_value if attribute else None
    known = Reason(reason) if reason in list(Reason) else Reason.UNEXPECTED
    attempts = int(record.attributes.approximate_receive_count)
    for mail, document, mailbox in _subjects(record.body):
        yield DeadLetter(step, mail, document, known, attempts, mailbox)


def _queue_of(record: SQSRecord) -> str:
    """The name of the queue that a message came from."""
    return record.event_source_arn.rsplit(":", 1)[-1]


def _step_of(record: SQSRecord, dead_letters: Mapping[Step, str]) -> Step:
    queue = _queue_of(record)
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
        arrivals = [_arrived(each) for each in arrivals_of(body)]
        read = [(each.seal, None, each.mailbox) for each in read_mails_of(body)]
    except Unreadable:
        arrivals, read = [], []
    return [*arrivals, *read] or [(_digest_of(body), None, None)]


def _arrived(arrival: Arrival) -> tuple[str, int | None, str | None]:
    """A name that is no digest is another producer's: the digest of the whole key stands for it,
    for a name may say who the patient is."""
    name = arrival.key.rsplit("/", 1)[-1].removesuffix(".eml")
    if _is_digest(name):
        return name, None, arrival.mailbox
    return _digest_of(arrival.key), None, None


def _digest_of(name: str) -> str:
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()


def _is_digest(name: str) -> bool:
    return len(name) == 64 and not set(name) - set("0123456789abcdef")
