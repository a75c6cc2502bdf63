"""Each closed list of the code has its lines in the reference, and no page names what is not."""

import json
import re
from collections.abc import Iterator
from dataclasses import MISSING, Field, fields, is_dataclass
from enum import Enum
from typing import Any, get_args, get_type_hints

from infra.aws.names import QUEUED, STEPS
from pfi.edge.settings import read_settings
from pfi.ins.wording import ADVICE_FR, LABELS_FR
from pfi.journey.outcome import Log, Metric
from pfi.journey.settings import Settings
from pfi.names import Reason, Route
from tests.docs.pages import REFERENCE, ROOT, first_column, pages, rows, section, text

OWN_CODE = re.compile(r"PFI-(?:MAIL|XDM|CDA|CONF|ID|PAM|DPI|EDGE)-\d\d")


def _settings(owner: type, path: str = "") -> Iterator[tuple[str, "Field[Any]"]]:
    hints = get_type_hints(owner)
    for each in fields(owner):
        kind = hints[each.name]
        inner = next((a for a in get_args(kind) if is_dataclass(a)), None)
        if inner is not None:
            yield from _settings(inner, f"{path}{each.name}[].")  # type: ignore[arg-type]
        elif is_dataclass(kind):
            yield from _settings(kind, f"{path}{each.name}.")  # type: ignore[arg-type]
        else:
            yield f"{path}{each.name}", each


def _default(each: "Field[Any]") -> str:
    if each.default is MISSING:
        return "—"
    value = each.default.value if isinstance(each.default, Enum) else each.default
    return f"`{json.dumps(value, ensure_ascii=False)}`"


def _documented_settings() -> dict[str, list[str]]:
    found = [row for row in rows(text(REFERENCE / "settings.md")) if row[0].startswith("`")]
    return {row[0].strip("`"): row for row in found}


def test_every_setting_has_its_line_and_no_line_names_another():
    assert set(_documented_settings()) == {path for path, _ in _settings(Settings)}


def test_every_default_of_a_setting_is_the_documented_one():
    documented = {path: row[1] for path, row in _documented_settings().items()}
    assert documented == {path: _default(each) for path, each in _settings(Settings)}


def test_every_setting_says_in_a_sentence_what_it_does():
    short = [path for path, row in _documented_settings().items() if len(row[3]) < 4]
    assert short == []


def test_every_setting_that_changes_a_decision_says_what_another_value_risks():
    matching = {p: row for p, row in _documented_settings().items() if p.startswith("match.")}
    assert [path for path, row in matching.items() if len(row[4].split()) < 5] == []


def test_the_smallest_settings_of_the_page_are_accepted():
    sample = re.search(r"```json\n(.*?)```", text(REFERENCE / "settings.md"), re.DOTALL)
    assert sample is not None
    assert len(read_settings(sample.group(1)).mailboxes) == 1


def test_every_reason_has_its_line_with_outward_code_label_and_advice():
    documented = {row[0]: row for row in rows(text(REFERENCE / "reason-codes.md"))}
    assert set(documented) == {each.value for each in Reason}
    for each in Reason:
        row = documented[each.value]
        assert row[1:3] == [each.outward, LABELS_FR[each]], each
        assert row[5] == ADVICE_FR[each], each
        assert all(row[3:5]), each


def test_no_page_names_a_reason_code_that_does_not_exist():
    known = {each.value for each in Reason}
    wrong = {(p.name, code) for p in pages() for code in OWN_CODE.findall(text(p))}
    assert {(page, code) for page, code in wrong if code not in known} == set()


def test_every_log_code_has_its_line_with_its_level():
    documented = {row[0]: row[1] for row in rows(text(REFERENCE / "log-codes.md"))}
    assert documented == {each.name: each.level for each in Log}


def test_every_metric_has_its_line():
    heads = text(REFERENCE / "metrics.md").split("\n## ")[0]
    assert [row[0] for row in rows(heads)] == [each.value for each in Metric]


def test_every_route_is_named_beside_the_metrics():
    assert all(f"`{route.value}`" in text(REFERENCE / "metrics.md") for route in Route)


def test_every_function_and_queue_has_its_name_on_the_page_of_the_machinery():
    table = section(REFERENCE / "metrics.md", "Queues and functions")
    by_step = {row[0]: row for row in rows(table)}
    assert set(by_step) == set(STEPS)
    for step in QUEUED:
        row = by_step[step]
        assert row[1:4] == [f"`pfi-{step}`", f"`pfi-{step}`", f"`pfi-{step}-dlq`"]
        assert row[4] == str(STEPS[step].receives)
    assert all(by_step[step][1] == f"`pfi-{step}`" for step in STEPS)


def test_open_questions_are_numbered_without_a_gap_and_those_of_the_code_exist():
    known = first_column(REFERENCE / "open-questions.md")
    assert known == [f"Q-{n:02}" for n in range(1, len(known) + 1)]
    sources = [*(ROOT / "shared").rglob("*.py"), *pages()]
    named = {q for path in sources for q in re.findall(r"\bQ-\d\d\b", text(path))}
    assert named <= set(known)


def test_settings_named_by_the_open_questions_exist():
    known = {path for path, _ in _settings(Settings)} | {"limits"}
    page = rows(text(REFERENCE / "open-questions.md"))
    named = {word for row in page for word in re.findall(r"`([^`]+)`", row[3])}
    assert named <= known
