"""The report on the console."""

from collections.abc import Iterator

from infra.rehearsal.report import Report, Table
from infra.rehearsal.wording import PROMISE, number

_WIDEST = 60


def printed(report: Report) -> Iterator[str]:
    """Line by line, without the list of mails that would not be integrated."""
    yield f"{number(report.mails)} courriels lus : {report.source} ; patients : {report.base}"
    yield PROMISE
    yield ""
    yield from report.headlines()
    yield from report.notes()
    for _, each in report.tables():
        if each.rows:
            yield ""
            yield from _table(each)


def _table(table: Table) -> Iterator[str]:
    rows = [[_cut(cell) for cell in row] for row in (table.head, *table.rows)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    yield table.title
    for row in rows:
        cells = (
            cell.ljust(width) if place < table.words else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        yield "  " + "  ".join(cells).rstrip()
    if table.note:
        yield f"  {table.note}"


def _cut(cell: str) -> str:
    return cell if len(cell) <= _WIDEST else cell[: _WIDEST - 1] + "…"
