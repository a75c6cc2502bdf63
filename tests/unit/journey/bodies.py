"""What the store double holds of a mail, and where: this version's places, and those of 0.2."""

from dataclasses import replace

from pfi.journey.collect import collect
from pfi.journey.keys import folder_of
from pfi.journey.records import MailRecord
from tests.data.builders import LEA, document, mail, xdm_zip
from tests.doubles.drive import Drive
from tests.doubles.memory import MemoryMailbox


def sent_with_two(number: int = 7) -> bytes:
    names = [f"2.25.71.{number}{each}" for each in (1, 2)]
    entries = [document(LEA, document_id=f"{each}.1", set_id=each) for each in names]
    return mail(xdm_zip(entries), message_id=f"<compte.{number}@labo.mssante.fr>")


def objects(drive: Drive) -> frozenset[str]:
    return frozenset({*drive.ports.store.objects, *drive.ports.store.dossiers})


def remove(drive: Drive, *keys: str) -> None:
    """Out of the store, a dossier with the document that it holds."""
    for key in keys:
        drive.ports.store.objects.pop(key, None)
        drive.ports.store.dossiers.pop(key, None)


def as_of_version_0_2(drive: Drive, record: MailRecord) -> MailRecord:
    """Its dossier and its documents lie under its own digest; its row does not say where."""
    store, known = drive.ports.store, drive.ledger.mail(record.mail)
    assert known is not None
    old = replace(known.record, dossier="")
    assert drive.ledger.write(drive.ledger.mail_put(old, known.revision))
    facts = store.dossier(record.dossier_key)
    for number in range(1, record.documents + 1):
        _, store.objects[f"documents/{old.mail}/{number:04}.xml"] = store.document(
            record.dossier_key, number
        )
    remove(drive, *(k for k in objects(drive) if k.startswith(folder_of(record.dossier_key))))
    store.dossiers[old.dossier_key] = facts
    return old


def in_a_second_mailbox(drive: Drive, first: MailRecord) -> MailRecord:
    """The same bytes, collected there too."""
    settings = drive.ports.settings
    other = replace(settings.mailboxes[0], id="autre", address="autre@ch.mssante.fr")
    drive.ports.settings = replace(settings, mailboxes=(settings.mailboxes[0], other))
    drive.ports.inbox = MemoryMailbox(uid_validity=2)
    drive.ports.inbox.deliver(drive.ports.store.objects[first.key])
    drive.outcomes += collect(other, "me", drive.ports)
    drive.work()
    _, known = drive.ledger.mail_of("autre", first.mail)
    assert known is not None
    return known.record
