"""What a decision about a patient costs, in a base of any size.

The decision itself is arithmetic on two records. The read before it, and the reviewer's look at the
candidates, are queries of one key; here they are timed on tables of three sizes in turns, through
the adapter, and the table says what they consumed.
"""

import gc
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Final

import boto3

from infra.local.aws import arguments
from infra.local.emulator import Emulator
from infra.local.invented.identities import identities, write_csv
from infra.local.invented.people import Patient
from infra.operations.candidates import candidates
from pfi.adapters.patients import DynamoPatients
from pfi.ins.concordance import Decision
from pfi.ins.identity import DocumentIdentity, PatientId, PatientRecord
from pfi.journey.identification import identify, match_policy
from tests.doubles.drive import HOSPITAL
from tests.performance.patient_base import ESTABLISHMENT, TABLE, load, new_table, units_of_a_look_up
from tests.performance.table import Row

READ_SMALL: Final = 1_000
TRAITS_SMALL: Final = 2_000
LARGE: Final = 200_000
SAMPLE: Final = 150
ROUNDS: Final = 7
POLICY: Final = match_policy(HOSPITAL)
Table = tuple[DynamoPatients, Sequence[Patient]]
"""A base, and people who are in it."""


def rows() -> Iterable[Row]:
    """Reads of small and large bases of the emulator."""
    with bases((READ_SMALL, TRAITS_SMALL, LARGE)) as found:
        yield from _at_scale(found)


def decision_us(people: int = 1000, rounds: int = ROUNDS) -> tuple[float, ...]:
    """Microseconds of `seek` and `decide` for a patient whom the base knows, once per round."""
    pairs = [(identity_of(each), each.record) for each in _qualified(people)]
    assert all(_decided(*pair).integrate for pair in pairs)
    found = []
    for _ in range(rounds):
        gc.collect()
        began = time.process_time()
        for identity, record in pairs:
            _decided(identity, record)
        found.append(1e6 * (time.process_time() - began) / len(pairs))
    return tuple(found)


def _decided(identity: DocumentIdentity, record: PatientRecord) -> Decision:
    """As `identify` does it, the base's answer being there."""
    return identify(identity, ESTABLISHMENT, _Knowing(record), POLICY)


@dataclass(frozen=True, slots=True)
class _Knowing:
    """A base that finds one patient."""

    record: PatientRecord

    def find(self, *_: str) -> tuple[PatientRecord, ...]:
        return (self.record,)

    def get(self, *_: str) -> PatientRecord | None:
        return None

    def twins(self, *_: object) -> tuple[PatientRecord, ...]:
        return ()


def identity_of(person: Patient) -> DocumentIdentity:
    """What a document says of somebody."""
    number = (person.matricule, str(person.oid))
    return DocumentIdentity((PatientId(number[1], number[0]),), person.traits, 1, number)


def _qualified(count: int, among: int = 0) -> list[Patient]:
    """People with an INS and without another record, spread over the first `among`."""
    among = among or 4 * count
    fit = [p for p in identities(among) if p.body and p.birth_place and not p.merged_into]
    return fit[:: max(1, len(fit) // count)][:count]


def _at_scale(found: Mapping[int, Table]) -> Iterator[Row]:
    reads = in_turns(found, (READ_SMALL, LARGE), _matched)
    traits = in_turns(found, (TRAITS_SMALL, LARGE), _looked_at)
    yield _ratio("one match on the emulator", READ_SMALL, reads, limit=2.5)
    yield _ratio("the reviewer's candidates, by traits", TRAITS_SMALL, traits, limit=2.5)
    base, _ = found[LARGE]
    queries, units = units_of_a_look_up(base.client, base.table)
    what = f"queries for a look-up by INS, among {LARGE:,} identities"
    yield Row("T16", what, 1, True, (queries,), "", exact=True)
    yield Row("", what.replace("queries", "read units"), 1, True, (units,), "", exact=True)


def _ratio(what: str, small: int, ms: Mapping[int, list[float]], limit: float) -> Row:
    ratios = tuple(large / less for large, less in zip(ms[LARGE], ms[small], strict=True))
    note = f"{median(ms[small]):.2f} ms and {median(ms[LARGE]):.2f} ms, wall time"
    return Row(
        "T16",
        f"{what}: {LARGE:,} identities ÷ {small:,}",
        limit,
        True,
        ratios,
        "×",
        note,
        wall=True,
    )


def in_turns(
    found: Mapping[int, Table], sizes: Sequence[int], ask: Callable[[DynamoPatients, Patient], None]
) -> dict[int, list[float]]:
    """Milliseconds of one question by size: the median of each round, question after question in
    turns, for the emulators share their cores with everything else."""
    ms: dict[int, list[float]] = {size: [] for size in sizes}
    _round(found, sizes, ask)  # connections and caches are there in the first one that counts
    for _ in range(ROUNDS):
        for size, seen in _round(found, sizes, ask).items():
            ms[size].append(1000 * median(seen))
    return ms


def _round(
    found: Mapping[int, Table], sizes: Sequence[int], ask: Callable[[DynamoPatients, Patient], None]
) -> dict[int, list[float]]:
    seen: dict[int, list[float]] = {size: [] for size in sizes}
    for people in zip(*(found[size][1] for size in sizes), strict=False):
        for size, person in zip(sizes, people, strict=True):
            began = time.perf_counter()
            ask(found[size][0], person)
            seen[size].append(time.perf_counter() - began)
    return seen


def _matched(base: DynamoPatients, person: Patient) -> None:
    assert identify(identity_of(person), ESTABLISHMENT, base, POLICY).integrate


def _looked_at(base: DynamoPatients, person: Patient) -> None:
    """A document with these traits under a number that nobody has: found by traits alone."""
    stranger = replace(person, body=f"{person.body[:-3]}999")
    found = candidates(identity_of(stranger), ESTABLISHMENT, base, HOSPITAL)
    assert person.ipp in {each.ipp for each in found}


@contextmanager
def bases(sizes: Sequence[int]) -> Iterator[dict[int, Table]]:
    """A base for each number of identities, each in an emulator of its own: a process that holds
    many rows is slower with all its tables."""
    with ExitStack() as stack:
        yield {size: (stack.enter_context(_base(size)), _qualified(SAMPLE, size)) for size in sizes}


@contextmanager
def _base(size: int) -> Iterator[DynamoPatients]:
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        emulator = Emulator(folder / "emulator")
        emulator.start()
        client = boto3.client("dynamodb", **arguments(emulator.environment()))
        try:
            new_table(client)
            with (folder / "patients.csv").open("w", encoding="utf-8") as file:
                write_csv(file, size)
            load(emulator.environment(), folder / "patients.csv")
            yield DynamoPatients(client, TABLE)
        finally:
            client.close()
            emulator.kill()  # to save all these rows is of no use
