"""The charts of the page. Each stands beside the table that has its figures."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from lxml import etree

from infra.local.drawing import chart, drawn
from infra.rehearsal.report import Report, by_count
from infra.rehearsal.tally import Tally
from infra.rehearsal.wording import ROUTES_FR, number
from pfi.names import Event

_BARS: Final = 12
_WIDTH: Final = 760
_ROW: Final = 26
_FRAME: Final = 90
_FEW: Final = 10
"""Up to here each whole number is a line of the scale; else fractions of mails would be."""
_SVG: Final = "{http://www.w3.org/2000/svg}"


def routes(report: Report) -> str:
    """Mails by where they would end."""
    counts = [each.routes for each in report.tallies]
    keys = [route for route in ROUTES_FR if any(each.get(route) for each in counts)]
    return _bars("routes", report.names, counts, keys, [ROUTES_FR[key] for key in keys])


def reasons(report: Report) -> str:
    """The reasons met most often."""
    counts = [each.reasons for each in report.tallies]
    keys = by_count(counts)[:_BARS]
    return _bars("reasons", report.names, counts, keys, keys)


def senders(report: Report) -> str:
    """Those who send most, and what would be integrated of it under the first settings."""
    found = dict(list(report.tallies[0].senders.items())[:_BARS])
    series = {
        "intégrés": {domain: each.integrated for domain, each in found.items()},
        "à des personnes": {d: each.work - each.integrated for d, each in found.items()},
        "techniques, doublons": {d: each.mails - each.work for d, each in found.items()},
    }
    keys = list(found)
    return _bars("senders", list(series), list(series.values()), keys, keys, stacked=True)


def dpis(report: Report) -> str:
    """Messages for each DPI, by event."""
    keys = [(dpi, event) for dpi in sorted({*_known(report.tallies)}) for event in Event]
    counts = [
        {(dpi, event): each.dpis.get(dpi, {}).get(event, 0) for dpi, event in keys}
        for each in report.tallies
    ]
    return _bars(
        "dpis", report.names, counts, keys, [f"{dpi} {event.value}" for dpi, event in keys]
    )


def _known(tallies: Sequence[Tally]) -> set[str]:
    return {dpi for each in tallies for dpi in each.dpis}


def _bars(
    name: str,
    series: Sequence[str],
    counts: Sequence[Mapping[Any, int]],
    keys: Sequence[Any],
    labels: Sequence[str],
    *,
    stacked: bool = False,
) -> str:
    """Horizontal bars, the first one on top; nothing where there is nothing to show."""
    if not keys:
        return ""
    rows = len(keys) * (1 if stacked else len(series))
    found = chart(
        "HorizontalStackedBar" if stacked else "HorizontalBar",
        f"chart-{name}",
        width=_WIDTH,
        height=_FRAME + _ROW * max(rows, 2),
        show_legend=len(series) > 1,
        legend_at_bottom=True,
        legend_at_bottom_columns=3,
        legend_box_size=10,
        print_values=not stacked,
        value_formatter=number,
        truncate_label=40,
        truncate_legend=40,
    )
    found.x_labels = list(reversed(labels))
    for title, each in zip(series, counts, strict=True):
        found.add(title, [each.get(key) or None for key in reversed(keys)])
    together = sum if stacked else max
    highest = max(together(each.get(key, 0) for each in counts) for key in keys)
    if highest <= _FEW:
        found.y_labels = range(highest + 1)
    return _inline(drawn(found))


def _inline(tree: etree._Element) -> str:
    """A page knows the language of its drawings without being told an address."""
    for node in tree.iter(f"{_SVG}*"):
        node.tag = node.tag.removeprefix(_SVG)
    etree.cleanup_namespaces(tree)
    tree.set("role", "img")
    return etree.tostring(tree, encoding="unicode")
