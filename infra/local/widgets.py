"""The body of a CloudWatch dashboard, read as CloudWatch does: widgets, their lines, their values.

Of metric math only what our dashboards use: SEARCH, SUM, FILL and the four operations.
"""

from __future__ import annotations

import ast
import operator
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from infra.local.figures import Recording, Values

_SEARCH: Final = re.compile(
    r"SEARCH\('\{([^,}]+),([^}]+)\} MetricName=\"(\w+)\"', '(\w+)', \d+\)(?: \* (\d+))?"
)
_PROPERTY: Final = re.compile(r"\$\{PROP\('Dim\.(\w+)'\)\}")
_OPERATIONS: Final[dict[type[ast.operator], Callable[[float, float], float]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a graph."""

    label: str
    values: Values


@dataclass(frozen=True, slots=True)
class Widget:
    """One graph, and where it stands in the grid of 24 columns."""

    title: str
    x: int
    y: int
    width: int
    height: int
    stacked: bool
    lines: tuple[Line, ...]


def widgets(body: Mapping[str, Any], recording: Recording) -> Iterator[Widget]:
    """Every graph of a dashboard."""
    for each in body["widgets"]:
        given = each["properties"]
        if each["type"] == "metric":
            yield Widget(
                title=given["title"],
                x=each["x"],
                y=each["y"],
                width=each["width"],
                height=each["height"],
                stacked=given.get("stacked", False),
                lines=tuple(lines(given["metrics"], recording)),
            )


def lines(metrics: Sequence[Sequence[Any]], recording: Recording) -> Iterator[Line]:
    """The visible lines of one graph."""
    known: dict[str, Values] = {}
    for each in metrics:
        if not isinstance(each[0], dict):
            words, options = _split(each)
            values = _plain(words, options, recording)
            known[options.get("id", "")] = values
            if options.get("visible", True):
                yield Line(options.get("label", words[1]), values)
    for each in metrics:
        if isinstance(each[0], dict):
            yield from _calculated(each[0], known, recording)


def _split(metric: Sequence[Any]) -> tuple[list[str], dict[str, Any]]:
    options = metric[-1] if isinstance(metric[-1], dict) else {}
    return [word for word in metric if isinstance(word, str)], options


def _plain(words: list[str], options: Mapping[str, Any], recording: Recording) -> Values:
    dimensions = dict(zip(words[2::2], words[3::2], strict=True))
    return recording.values(words[0], words[1], dimensions, options.get("stat", "Average"))


def _calculated(
    options: Mapping[str, Any], known: Mapping[str, Values], recording: Recording
) -> Iterator[Line]:
    expression, label = options["expression"], options.get("label", "")
    found = _SEARCH.search(expression)
    if found is None:
        yield Line(label, _math(expression, known, recording.slices))
        return
    searched = list(_searched(found, label, recording))
    if expression.startswith("SUM("):
        yield Line(label, _summed([each.values for each in searched], recording.slices))
    else:
        yield from searched


def _searched(found: re.Match[str], label: str, recording: Recording) -> Iterator[Line]:
    namespace, schema, name, statistic, times = found.groups()
    for dimensions in recording.combinations(namespace, name, schema.split(",")):
        values = recording.values(namespace, name, dimensions, statistic)
        own = _PROPERTY.sub(lambda word: dimensions[word[1]], label)  # noqa: B023  (used at once)
        factor = float(times or 1)
        yield Line(own, [None if value is None else value * factor for value in values])


def _summed(several: Sequence[Values], slices: int) -> Values:
    found: Values = [None] * slices
    for values in several:
        found = [
            one if two is None else two + (one or 0) for one, two in zip(found, values, strict=True)
        ]
    return found


def _math(expression: str, known: Mapping[str, Values], slices: int) -> Values:
    tree = ast.parse(expression, mode="eval").body
    return [_at(tree, known, moment) for moment in range(slices)]


def _at(tree: ast.expr, known: Mapping[str, Values], moment: int) -> float | None:
    """One value; None where a figure is missing or the division has no sense."""
    match tree:
        case ast.Constant(value=int() | float() as number):
            return float(number)
        case ast.Name(id=name):
            return known[name][moment]
        case ast.Call(func=ast.Name(id="FILL"), args=[inner, ast.Constant(value=int(other))]):
            value = _at(inner, known, moment)
            return float(other) if value is None else value
        case ast.BinOp(left=left, op=sign, right=right):
            one, two = _at(left, known, moment), _at(right, known, moment)
            if one is None or two is None or (isinstance(sign, ast.Div) and not two):
                return None
            return _OPERATIONS[type(sign)](one, two)
    raise ValueError(f"not understood: {ast.unparse(tree)}")
