"""The report as one page that needs nothing else: no script, no address, no patient data."""

from collections.abc import Iterator
from html import escape
from typing import Final

from infra.rehearsal import charts
from infra.rehearsal.report import Report, Table
from infra.rehearsal.wording import PROMISE, number
from pfi.journey.message import PARIS

_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"
_STYLE: Final = """
body { font: 16px/1.5 sans-serif; color: #222; max-width: 60rem; margin: 2rem auto }
body { padding: 0 1rem }
h1 { font-size: 1.6rem } h2 { font-size: 1.2rem; margin-top: 2.5rem }
.promise { background: #eef5ee; border-left: 4px solid #2c7a2c; padding: .5rem 1rem }
.figure { font-size: 1.15rem; font-weight: bold }
table { border-collapse: collapse; margin: 1rem 0; font-variant-numeric: tabular-nums }
th, td { padding: .25rem .75rem; border-bottom: 1px solid #ddd; text-align: left }
td:first-child { white-space: nowrap }
.n { text-align: right; white-space: nowrap }
.scroll { overflow-x: auto } svg { max-width: 100%; height: auto }
footer, .note { color: #666; font-size: .9rem }
@media print { details { display: none } }
"""


def page(report: Report) -> str:
    """The whole document."""
    return "\n".join(_parts(report)) + "\n"


def _parts(report: Report) -> Iterator[str]:
    yield "<!DOCTYPE html>"
    yield '<html lang="fr"><head><meta charset="utf-8">'
    yield f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>Répétition de la PFI</title><style>{_STYLE}</style></head><body>"
    yield "<h1>Répétition avant mise en service</h1>"
    yield f'<p class="promise">{escape(PROMISE)}</p>'
    read = f"{number(report.mails)} courriels lus : {report.source} ; patients : {report.base}."
    yield f"<p>{escape(read)}</p>"
    for line in report.headlines():
        yield f'<p class="figure">{escape(line)}</p>'
    for line in report.notes():
        yield f'<p class="note">{escape(line)}</p>'
    yield from _sections(report)
    at = report.at.astimezone(PARIS)
    yield f"<footer><p>{_NOTE} Fait le {at:%d/%m/%Y à %H:%M}.</p></footer></body></html>"


_NOTE: Final = (
    "Là où le DPI décide, son acceptation (AA) est supposée. Un courriel est nommé par le début de "
    "son empreinte SHA-256."
)


def _sections(report: Report) -> Iterator[str]:
    for name, table in report.tables():
        if table.rows:
            yield f"<section><h2>{escape(table.title)}</h2>"
            if name in _DRAWINGS:
                yield _DRAWINGS[name](report)
            yield f"{_table(table)}</section>"
    listed = report.fallen_back()
    if listed.rows:
        yield f"<section><h2>{escape(listed.title)}</h2><details><summary>"
        yield f"{number(len(listed.rows))} lignes</summary>{_table(listed)}</details></section>"


_DRAWINGS: Final = {
    "routes": charts.routes,
    "reasons": charts.reasons,
    "senders": charts.senders,
    "dpis": charts.dpis,
}


def _table(table: Table) -> str:
    head = "".join(_cell("th", *each, table) for each in enumerate(table.head))
    rows = (
        f"<tr>{''.join(_cell('td', *each, table) for each in enumerate(row))}</tr>"
        for row in table.rows
    )
    note = f'<p class="note">{escape(table.note)}</p>' if table.note else ""
    return (
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>'
        f"{''.join(rows)}</tbody></table></div>{note}"
    )


def _cell(tag: str, place: int, text: str, table: Table) -> str:
    kind = ' class="n"' if place >= table.words else ""
    return f"<{tag}{kind}>{escape(text)}</{tag}>"
