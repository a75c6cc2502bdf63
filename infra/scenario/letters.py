"""The mails of the scenario: invented people, numbers that the seed decides, what must become."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count
from random import Random
from typing import Final

from infra.local.demo import SENDER
from infra.local.hospital import DEMO_MAILBOX
from infra.local.invented.archives import document, xdm_zip
from infra.local.invented.mails import mail
from infra.local.invented.people import AISSATA, ANDRE, LEA, THEO, YANN, Patient
from pfi.names import Event, Route

KNOWN: Final = (LEA, YANN, AISSATA, ANDRE, THEO)
STRANGER: Final = replace(LEA, body="2910775102003", birth_name="INCONNUE", first_given="MARGOT")
_ACTION: Final = {Event.NEW: "", Event.REPLACE: "C", Event.DELETE: "D"}


@dataclass(frozen=True, slots=True)
class Owed:
    """One document: its identifier, what is asked of the DPI, and the patient, by a digest."""

    document: str
    event: Event
    patient_sha256: str


@dataclass(frozen=True, slots=True)
class Letter:
    """A mail, what it brings, and where it must end."""

    raw: bytes
    message_id: str
    documents: tuple[Owed, ...]
    route: Route

    @property
    def mail(self) -> str:
        """Its name everywhere."""
        return hashlib.sha256(self.raw).hexdigest()


class Sender:
    """Writes letters; the same seed always writes the same ones."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)  # noqa: S311 - a plan that can be repeated, not a secret
        self._root = f"2.25.{6600 + seed}"
        self._numbers = count(1)

    def mixed(self, number: int) -> list[Letter]:
        """Letters of every usual kind."""
        kinds = (self.letter, self.letter, self.pair, self.stranger)
        return [self.random.choice(kinds)() for _ in range(number)]

    def letter(self, route: Route = Route.INTEGRATED) -> Letter:
        """One new document of a known patient."""
        return self._written(self.random.choice(KNOWN), [next(self._numbers)], route)

    def letters(self, number: int) -> list[Letter]:
        """Several of them."""
        return [self.letter() for _ in range(number)]

    def pair(self) -> Letter:
        """Two new documents of one patient."""
        numbers = [next(self._numbers), next(self._numbers)]
        return self._written(self.random.choice(KNOWN), numbers, Route.INTEGRATED)

    def stranger(self) -> Letter:
        """A patient whom the hospital does not know: for the fallback mailbox."""
        return self._written(STRANGER, [next(self._numbers)], Route.FORWARDED)

    def strangers(self, number: int) -> list[Letter]:
        """Several of them."""
        return [self.stranger() for _ in range(number)]

    def versions(self) -> tuple[Letter, Letter, Letter]:
        """A document, its replacement, and the deletion of that."""
        person, number = self.random.choice(KNOWN), next(self._numbers)
        first, second, third = (
            self._written(person, [number], Route.INTEGRATED, event)
            for event in (Event.NEW, Event.REPLACE, Event.DELETE)
        )
        return first, second, third

    def _written(
        self, person: Patient, numbers: list[int], route: Route, event: Event = Event.NEW
    ) -> Letter:
        version = "1" if event is Event.NEW else "2"
        names = [f"{self._root}.{number}" for number in numbers]
        entries = [
            document(
                person,
                document_id=f"{name}.{version}",
                set_id=name,
                version=version,
                parent="" if event is Event.NEW else f"{name}.1",
                action=_ACTION[event],
            )
            for name in names
        ]
        message_id = f"<{names[0]}.{event.value}@labo-demo.mssante.test>"
        raw = mail(
            xdm_zip(entries),
            sender=SENDER,
            return_path=SENDER,
            recipient=DEMO_MAILBOX,
            message_id=message_id,
            mdn=self.random.random() < 0.7,
        )
        patient = hashlib.sha256(person.matricule.encode()).hexdigest()
        owed = tuple(Owed(f"{name}.{version}", event, patient) for name in names)
        return Letter(raw, message_id, owed, route)


def chain_of(document_id: str) -> str:
    """What all versions of a document have in common here."""
    return document_id.rpartition(".")[0]


def documents_of(letters: list[Letter]) -> Iterator[str]:
    """The identifiers of all documents."""
    return (each.document for letter in letters for each in letter.documents)
