"""Which job comes next for a mail: computed from the ledger, so repeating it is harmless."""

from collections.abc import Iterable

from pfi.journey.jobs import Job
from pfi.journey.ledger import Ledger
from pfi.journey.outcome import Digest, Log, Outcome
from pfi.journey.ports import Jobs, Ports
from pfi.journey.records import DocumentRecord, MailRecord, MailState
from pfi.names import Step


def send_onward(mail: MailRecord, documents: Iterable[DocumentRecord], ports: Ports) -> None:
    """Send the job that the state of the mail calls for; nothing once it is settled.

    Called after every state change and again by every repeated job: a crash between the write
    and the send is repaired by the redelivery (design §1, third bullet).
    """
    jobs, lane = ports.jobs, ports.settings.lane(mail.mailbox)
    if mail.state is MailState.READ:
        jobs.send(Step.MATCH, Job(mail.mail))
    if mail.state is not MailState.DECIDED:
        return
    waiting = [each for each in documents if not each.integration.ended]
    for document in waiting:
        jobs.send(Step.PUSH, push_of(document), lane)
    if not waiting:
        jobs.send(Step.FORWARD, Job(mail.mail))


def repeated(mail: MailRecord, ledger: Ledger, ports: Ports) -> Outcome:
    """A job that was done before: the one that follows it is sent again."""
    documents = [each.record for each in ledger.documents(mail.mail)]
    send_onward(mail, documents, ports)
    return Outcome(Log.MAIL_REPEATED, {"mail": Digest(mail.mail)})


def push_of(document: DocumentRecord) -> Job:
    """The job of sending one document."""
    chains = tuple(filter(None, (document.chain, document.parent_chain)))
    return Job(document.mail, document.number, chains)


def close_if_ended(mail: str, documents: Iterable[DocumentRecord], jobs: Jobs) -> None:
    """Give the mail to `forward` once its last document has ended.

    Two last documents ending at once both see all ended: `forward` is idempotent.
    """
    if all(each.integration.ended for each in documents):
        jobs.send(Step.FORWARD, Job(mail))
