"""One dashboard as one picture: SVG as pygal draws it, without scripts or foreign addresses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from lxml import etree

from infra.local.drawing import chart, drawn

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from infra.local.figures import Recording
    from infra.local.widgets import Widget

COLUMN: Final = 46
"""Pixels of one of the 24 columns; a row is as high."""
_SVG: Final = "http://www.w3.org/2000/svg"
_NO_DATA: Final = "aucun chiffre sur un poste"
_LOOK: Final[Mapping[str, Any]] = {
    "width": 560,
    "height": 420,
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
    found = drawn(_chart(widget, number, recording))
    found.set("x", str(widget.x * COLUMN))
    found.set("y", str(widget.y * COLUMN))
    found.set("width", str(widget.width * COLUMN))
    found.set("height", str(widget.height * COLUMN))
    return found


def _chart(widget: Widget, number: int, recording: Recording) -> Any:
    kind = "StackedLine" if widget.stacked else "Line"
    found = chart(kind, f"graph-{number}", title=widget.title, fill=widget.stacked, **_LOOK)
    found.x_labels = [f"{slot * recording.length:.0f} s" for slot in range(recording.slices)]
    for line in widget.lines:
        found.add(line.label, line.values)
    return found
