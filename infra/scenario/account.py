"""Where every mail of the scenario ended: counted at the DPI, at the operator and in the ledger."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from infra.local.demo import SENDER
from infra.local.dpi_store import Accepted
from infra.local.hospital import DEMO_FALLBACK
from infra.scenario.acts import EVENTS_IN_ORDER
from infra.scenario.bench import Bench
from infra.scenario.letters import Letter, chain_of
from pfi.journey.records import DocumentRecord, MailRecord, MailState
from pfi.names import Integration, Mdn, Route

_COUNTED: Final = {Integration.INTEGRATED: (1, 1), Integration.UNKNOWN: (0, 1)}
"""How often the DPI may hold a document, by what the ledger says; (0, 0) for all others."""


@dataclass(frozen=True, slots=True)
class Fate:
    """One letter and everything that is known of it at the end."""

    letter: Letter
    record: MailRecord | None
    documents: tuple[DocumentRecord, ...]
    reviewed: bool
    accepted: tuple[tuple[Accepted, ...], ...]
    """What the DPI holds of each document."""
    answers: int
    forwards: int

    @property
    def lost(self) -> bool:
        """Nowhere: neither settled nor in review."""
        found = self.record
        return not (found and (found.state is MailState.SETTLED or self.reviewed))

    @property
    def route(self) -> Route:
        """Where it ended."""
        return (self.record.route if self.record else None) or Route.REVIEW

    @property
    def twice(self) -> int:
        """Documents accepted more than once, unless a person is told that it may be so."""
        return sum(len(each) > 1 for each in self.accepted) if not self.unknown else 0

    @property
    def unknown(self) -> bool:
        """In review, because the DPI may or may not hold it."""
        return any(each.integration is Integration.UNKNOWN for each in self.documents)

    @property
    def wrong_patient(self) -> int:
        """Documents that the DPI filed under somebody else."""
        return sum(
            one.patient_sha256 != owed.patient_sha256
            for owed, held in zip(self.letter.documents, self.accepted, strict=True)
            for one in held
        )

    @property
    def faults(self) -> Iterator[str]:
        """What does not close."""
        if self.lost:
            yield "perdu"
        elif self.route is not self.letter.route:
            yield f"fini en {self.route.value}, non en {self.letter.route.value}"
        if self.twice:
            yield "intégré deux fois"
        if self.wrong_patient:
            yield "chez un autre patient"
        yield from self._documents()
        yield from self._mails()

    def _documents(self) -> Iterator[str]:
        for known, held in zip(self.documents, self.accepted, strict=False):
            least, most = _COUNTED.get(known.integration, (0, 0))
            if not known.integration.ended and not self.reviewed:
                yield f"document {known.number} : rien de décidé"
            elif len(held) < least:
                yield f"document {known.number} : absent du DPI"
            elif len(held) > most:
                yield f"document {known.number} : {len(held)} fois dans le DPI"

    def _mails(self) -> Iterator[str]:
        """One answer at most (N-04); a forward may come twice, under one Message-ID."""
        if self.record is None:
            return
        if self.answers > 1 or (self.record.mdn is not Mdn.NONE and not self.answers):
            yield f"{self.answers} réponses à l'expéditeur"
        if self.record.forwarded_to and not self.forwards:
            yield "absent de la messagerie de repli"
        if self.forwards > max(1, self.record.forward_sends):
            yield "transmis plus de fois qu'envoyé"


@dataclass(frozen=True, slots=True)
class Account:
    """All letters at the end, and what was found besides."""

    fates: tuple[Fate, ...]
    disorder: int
    strange: int
    """Messages at the DPI that belong to no letter."""
    left: int
    """Mails in the mailbox and messages in queues, when nothing should be there."""
    repeats: int
    """Messages that the DPI recognised as already accepted."""
    most_at_once: int

    @property
    def lost(self) -> int:
        """Mails that are nowhere."""
        return sum(each.lost for each in self.fates)

    @property
    def twice(self) -> int:
        """Documents integrated more than once."""
        return sum(each.twice for each in self.fates)

    @property
    def wrong_patient(self) -> int:
        """Documents of one patient in the record of another."""
        return sum(each.wrong_patient for each in self.fates)

    @property
    def unknown(self) -> int:
        """Mails in review because nobody knows whether the DPI holds them."""
        return sum(each.unknown for each in self.fates)

    @property
    def copies(self) -> int:
        """Mails more than once in the fallback mailbox, under the same Message-ID."""
        return sum(max(0, each.forwards - 1) for each in self.fates)

    def faults(self) -> Iterator[str]:
        """What does not close, without a name or a number of a person."""
        for each in self.fates:
            yield from (f"courriel {each.letter.mail[:12]} : {fault}" for fault in each.faults)
        if self.disorder:
            yield f"{self.disorder} document(s) reçus dans le désordre par le DPI"
        if self.strange:
            yield f"{self.strange} message(s) dans le DPI sans courriel"
        if self.left:
            yield f"{self.left} message(s) ou courriel(s) restés en attente"

    def routes(self, letters: Sequence[Letter]) -> Counter[Route]:
        """How many of these letters ended where."""
        wanted = {each.mail for each in letters}
        return Counter(each.route for each in self.fates if each.letter.mail in wanted)


def account(bench: Bench, left: int) -> Account:
    """Count everything."""
    held = bench.laptop.dpi.accepted
    by_document: dict[tuple[str, str], list[Accepted]] = defaultdict(list)
    for each in held:
        by_document[each.document.partition("^")[0], each.event].append(each)
    store = bench.laptop.operator.store
    answers, forwards = store.contents(SENDER), store.contents(DEMO_FALLBACK)
    fates = tuple(_fate(bench, each, by_document, answers, forwards) for each in bench.sent)
    ours = {(owed.document, owed.event.value) for each in bench.sent for owed in each.documents}
    return Account(
        fates=fates,
        disorder=_disorder(held),
        strange=sum(len(found) for key, found in by_document.items() if key not in ours),
        left=left,
        repeats=bench.laptop.dpi.duplicates,
        most_at_once=bench.laptop.dpi.most_at_once,
    )


def _fate(
    bench: Bench,
    letter: Letter,
    held: dict[tuple[str, str], list[Accepted]],
    answers: Sequence[bytes],
    forwards: Sequence[bytes],
) -> Fate:
    name = letter.message_id.encode()
    return Fate(
        letter=letter,
        record=bench.record(letter),
        documents=bench.documents(letter),
        reviewed=bench.reviewed(letter),
        accepted=tuple(
            tuple(held.get((owed.document, owed.event.value), ())) for owed in letter.documents
        ),
        answers=sum(name in raw for raw in answers),
        forwards=sum(name in raw for raw in forwards),
    )


def _disorder(held: Sequence[Accepted]) -> int:
    """Documents whose replacement or deletion reached the DPI before what it is about."""
    seen: dict[str, list[int]] = defaultdict(list)
    for each in held:
        document = each.document.partition("^")[0]
        seen[chain_of(document)].append(EVENTS_IN_ORDER.index(each.event))
    return sum(found != sorted(found) for found in seen.values())
