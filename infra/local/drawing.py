"""A chart of pygal, made fit for a picture or a page: without scripts or foreign addresses."""

import sys
from typing import Any, Final

import pygal
from lxml import etree
from pygal.style import Style

# pygal leaves a finder behind that Python no longer understands: every later import would warn.
sys.meta_path[:] = [finder for finder in sys.meta_path if hasattr(finder, "find_spec")]

STYLE: Final = Style(
    background="#ffffff",
    plot_background="#fafafa",
    colors=(
        *("#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd"),
        *("#8c564b", "#e377c2", "#7f7f7f", "#bcbd22", "#17becf"),
    ),
    font_family="sans-serif",
    title_font_size=20,
    legend_font_size=13,
    label_font_size=11,
    major_label_font_size=11,
    no_data_font_size=16,
)


def chart(kind: str, name: str, **options: Any) -> Any:
    """An empty chart of pygal; `name` keeps the styles of several on one page apart."""
    found = getattr(pygal, kind)(style=STYLE, js=(), **options)
    found.uuid = name
    return found


def drawn(found: Any) -> etree._Element:
    """Without scripts, comments, tooltips and the descriptions they read."""
    tree = found.render_tree()
    for tag in ("script", "desc", "title"):
        for node in list(tree.iter(f"{{*}}{tag}")):
            node.getparent().remove(node)
    etree.strip_tags(tree, etree.Comment)
    return etree.fromstring(etree.tostring(tree))
