"""One dashboard as one picture: SVG as pygal draws it, without scripts or foreign addresses."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

import pygal
from lxml import etree
from pygal.style import Style

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from infra.local.figures import Recording
    from infra.local.widgets import Widget

# pygal leaves a finder behind that Python no longer understands: every later import would warn.
sys.meta_path[:] = [finder for finder in sys.meta_path if hasattr(finder, "find_spec")]

COLUMN: Final = 46
"""Pixels of one of the 24 columns; a row is as high."""
_SVG: Final = "http://www.w3.org/2000/svg"
_NO_DATA: Final = "aucun chiffre sur un poste"
_COLOURS: Final = (
    *("#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd"),
    *("#8c564b", "#e377c2", "#7f7f7f", "#bcbd22", "#17becf"),
)
_STYLE: Final = Style(
    background="#ffffff",
    plot_background="#fafafa",
    colors=_COLOURS,
    font_family="sans-serif",
    title_font_size=20,
    legend_font_size=13,
    label_font_size=11,
    major_label_font_size=11,
    no_data_font_size=16,
)
_LOOK: Final[Mapping[str, Any]] = {
    "width": 560,
    "height": 420,
    "js": (),
    "dots_size": 3,
    "include_x_axis": True,
    "max_scale": 6,
    "legend_at_bottom": True,
    "legend_at_bottom_columns": 3,
    "legend_box_size": 10,
    "no_data_text": _NO_DATA,
    "x_labels_major_every": 3,
    "show_minor_x_labels": False,
}


def picture(name: str, found: Sequence[Widget], recording: Recording) -> str:
    """One dashboard as one SVG."""
    height = max(each.y + each.height for each in found) * COLUMN
    root = etree.Element(
        "svg", {"width": str(24 * COLUMN), "height": str(height), "font-family": "sans-serif"},
        nsmap={None: _SVG},  # type: ignore[dict-item]  # None is the default namespace
    )  # fmt: skip
    root.set("viewBox", f"0 0 {24 * COLUMN} {height}")
    etree.SubElement(root, "rect", {"width": "100%", "height": "100%", "fill": "#ffffff"})
    heading = etree.SubElement(root, "text", {"x": "12", "y": "32", "font-size": "24"})
    heading.text = name
    for number, each in enumerate(found):
        root.append(_graph(each, number, recording))
    etree.cleanup_namespaces(root)
    etree.indent(root, " ")
    return etree.tostring(root, encoding="unicode") + "\n"


def _graph(widget: Widget, number: int, recording: Recording) -> etree._Element:
    """One graph as pygal draws it, put where it stands on the dashboard."""
    tree = _chart(widget, number, recording).render_tree()
    drawn = etree.fromstring(etree.tostring(_local(tree)))
    drawn.set("x", str(widget.x * COLUMN))
    drawn.set("y", str(widget.y * COLUMN))
    drawn.set("width", str(widget.width * COLUMN))
    drawn.set("height", str(widget.height * COLUMN))
    return drawn


def _chart(widget: Widget, number: int, recording: Recording) -> Any:
    kind = pygal.StackedLine if widget.stacked else pygal.Line
    chart = kind(title=widget.title, fill=widget.stacked, style=_STYLE, **_LOOK)
    chart.uuid = f"graph-{number}"
    chart.x_labels = [f"{slot * recording.length:.0f} s" for slot in range(recording.slices)]
    for line in widget.lines:
        chart.add(line.label, line.values)
    return chart


def _local(tree: Any) -> Any:
    """Without scripts, comments, tooltips and the descriptions they read."""
    for tag in ("script", "desc", "title"):
        for node in list(tree.iter(f"{{*}}{tag}")):
            node.getparent().remove(node)
    etree.strip_tags(tree, etree.Comment)
    return tree
