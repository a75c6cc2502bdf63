"""Jobs on a patient base: a decision on one document, a patient file loaded.

The table is in memory, so that what is measured is the product and not the client of AWS.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from io import BytesIO, StringIO
from typing import Final

from infra.local.invented.identities import identities, write_csv
from infra.local.invented.people import LEA
from pfi.adapters.loads import raws
from pfi.ins.concordance import Decision, MatchPolicy
from pfi.ins.identity import DocumentIdentity, PatientId, PatientRecord, Traits
from pfi.ins.patient_lines import Format, Line, layout
from pfi.journey.identification import identify, match_policy
from pfi.journey.loading import Loading, Progress, Writers, beginning
from pfi.names import Environment
from tests.doubles.patient_base import MemoryPatientBase
from tests.performance.product import SETTINGS

CH: Final = "ch"
LINES: Final = 1_000
_AT: Final = datetime(2026, 5, 14, 2, 0, tzinfo=UTC)
_POLICY: Final[MatchPolicy] = match_policy(replace(SETTINGS, environment=Environment.TEST))
KNOWN: Final = DocumentIdentity(ids=(PatientId(str(LEA.oid), LEA.matricule),), traits=LEA.traits)
UNKNOWN: Final = replace(KNOWN, ids=(PatientId(str(LEA.oid), "187042A04101265"),))
"""The same traits under a number that nobody has."""


class CountingBase(MemoryPatientBase):
    """Counts the queries of a match."""

    def __init__(self) -> None:
        super().__init__()
        self.queries = 0

    def find(self, establishment: str, matricule: str, oid: str) -> tuple[PatientRecord, ...]:
        """By number."""
        self.queries += 1
        return super().find(establishment, matricule, oid)

    def twins(self, establishment: str, traits: Traits) -> tuple[PatientRecord, ...]:
        """By traits."""
        self.queries += 1
        return super().twins(establishment, traits)

    def get(self, establishment: str, ipp: str) -> PatientRecord | None:
        """By IPP."""
        self.queries += 1
        return super().get(establishment, ipp)


def base() -> CountingBase:
    """A thousand identities and one more."""
    made = CountingBase()
    made.put(CH, [LEA.record, *(each.record for each in identities(LINES))])
    return made


def decided(patients: CountingBase, identity: DocumentIdentity = KNOWN) -> Decision:
    """The decision for one document."""
    return identify(identity, CH, patients, _POLICY)


def queries(identity: DocumentIdentity) -> int:
    """How often one decision asks the table."""
    patients = base()
    decided(patients, identity)
    return patients.queries


@dataclass
class _Ports:
    """Of a load: one writer, a clock that stands, progress that is forgotten."""

    base: MemoryPatientBase = field(default_factory=MemoryPatientBase)
    writers: Writers = field(default_factory=Writers)
    now: Callable[[], datetime] = lambda: _AT
    wait: Callable[[float], None] = lambda _: None

    @property
    def checkpoints(self) -> "_Ports":
        return self

    def progress(self, establishment: str, file: str) -> None:
        """Nothing was begun."""

    def keep(self, establishment: str, progress: Progress, now: datetime) -> None:
        """Nothing is taken up again."""


def patient_file(_: bytes) -> bytes:
    """The invented identities as CSV."""
    text = StringIO()
    write_csv(text, LINES)
    return text.getvalue().encode()


def load(content: bytes) -> int:
    """Read, check and write every line; how many identities were written."""
    head = layout(content.splitlines(keepends=True)[:2], Format.CSV)
    begun = beginning("f" * 64, head, _AT, _AT)
    stream = BytesIO(content)
    stream.seek(begun.offset)
    loading = Loading(CH, head, _Ports())
    return loading.run(raws(stream, begun.offset), begun, lambda _: True).written


def lines(content: bytes) -> list[Line]:
    """Read and check every line; nothing is decided."""
    first, *others = content.splitlines(keepends=True)
    head = layout([first, others[0]], Format.CSV)
    return [head.read(raw, number) for number, raw in enumerate(others, start=2)]


JOBS: Final = {
    "decide": (lambda _: base(), decided),
    "load": (patient_file, load),
    "lines": (patient_file, lines),
}
