"""What operators did to an installation: who, when, what, in the partition CONFIG# of the ledger.

Rows are only ever added. They hold names and digests of configurations, no patient data.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from infra.operations.account import OperationRefused, Stack
from pfi.adapters.dynamodb import DynamoTable
from pfi.journey.ports import Put, Table

PARTITION: Final = "CONFIG#journal"
KEPT_DAYS: Final = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One act. `before` and `after` are SHA-256 of what was changed, '' when that means nothing."""

    action: str
    who: str
    at: str
    before: str = ""
    after: str = ""
    detail: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Journal:
    """The acts on one installation."""

    table: Table
    now: Callable[[], datetime]

    def record(
        self,
        action: str,
        who: str,
        *,
        before: str = "",
        after: str = "",
        detail: tuple[str, ...] = (),
    ) -> Entry:
        """Add one act; two at the same instant each keep their row."""
        at = self.now()
        entry = Entry(
            action=action, who=who, at=at.isoformat(), before=before, after=after, detail=detail
        )
        data = {**asdict(entry), "detail": list(detail)}
        for number in range(100):
            key = f"{entry.at}#{action}#{number:02}"
            put = Put(PARTITION, key, data, None, at + timedelta(days=KEPT_DAYS))
            if self.table.write(put):
                return entry
        raise OperationRefused("le journal des opérations n'accepte pas cette écriture")

    def entries(self) -> tuple[Entry, ...]:
        """All acts still kept, oldest first."""
        rows = self.table.partition(PARTITION)
        return tuple(Entry(**{**row.data, "detail": tuple(row.data["detail"])}) for row in rows)

    def last(self, *actions: str) -> Entry | None:
        """The latest of these acts."""
        found = [each for each in self.entries() if each.action in actions]
        return found[-1] if found else None


def utc_now() -> datetime:
    """The clock of the commands."""
    return datetime.now(UTC)


def journal_of(stack: Stack, now: Callable[[], datetime] = utc_now) -> Journal:
    """The journal of an installed stack."""
    return Journal(DynamoTable(stack.client("dynamodb"), stack.output("LedgerTable")), now)
