"""Every alarm has its page, and no page sends the reader to something that is not there.

Commands and their options are looked at by `test_commands`, reason codes by `test_reference`.
The list of alarms is compared with the synthesised stacks in `tests/infra`.
"""

import re
from argparse import ArgumentParser, _SubParsersAction
from collections.abc import Iterator
from importlib import import_module

import pytest

from infra.aws.context import KEYS
from infra.aws.names import QUEUED, STEPS
from infra.aws.runbooks import BUDGET_PAGE, RUNBOOKS
from pfi.journey.outcome import Log, Metric
from tests.docs.pages import REFERENCE, ROOT, codes, first_column, prose, rows, section, text

OPERATE = ROOT / "docs" / "operate"
INDEX = OPERATE / "README.md"
PAGES = sorted(set(OPERATE.glob("*.md")) - {INDEX})
SECTIONS = ["What it means", "Look at", "Do", "Never", "Clears"]
LINES = 40
OWNERS = {alarm: page for page, alarms in RUNBOOKS.items() for alarm in alarms}
OWNERS |= {"monthly": BUDGET_PAGE}
STACKS = "\n".join(text(path) for path in sorted((ROOT / "infra" / "aws").glob("*.py")))

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)


def _index() -> Iterator[tuple[str, str]]:
    """(alarm without the name of the installation, page), one for each step or peer of a row."""
    for name, of, _, link in rows(text(INDEX)):
        page = re.fullmatch(r"\[.+\]\((.+)\)", link)
        assert page is not None, link
        for one in of.split(", "):
            yield re.sub("<(?:step|peer)>", one, name.strip("`").removeprefix("pfi-")), page[1]


def _spoken() -> list[tuple[str, str]]:
    """(page, code) of everything set as code."""
    return [(p.name, code) for p in [*PAGES, INDEX] for code in codes(prose(p))]


def _absent(shape: str, known: set[str]) -> set[tuple[str, str]]:
    """Codes of that shape that are not known; some must have that shape."""
    found = {(page, code) for page, code in _spoken() if re.fullmatch(shape, code)}
    assert found, shape
    return {(page, code) for page, code in found if code not in known}


def test_every_alarm_has_its_line_with_the_page_that_its_description_names():
    lines = list(_index())
    assert len(lines) == len(set(lines))
    assert dict(lines) == OWNERS


def test_every_page_belongs_to_an_alarm():
    assert {page.name for page in PAGES} == set(OWNERS.values())


@each_page
def test_a_page_is_short_and_has_every_section(page):
    parts = re.split(r"^## ", text(page), flags=re.MULTILINE)
    assert parts[0].startswith("# ")
    assert [part.splitlines()[0] for part in parts[1:]] == SECTIONS
    assert all("".join(part.splitlines()[1:]).strip() for part in parts[1:])
    assert len(text(page).splitlines()) <= LINES


@each_page
def test_a_page_says_at_its_head_which_alarms_lead_to_it(page):
    lines = [row for row in rows(text(INDEX)) if row[3].endswith(f"]({page.name})")]
    assert codes(text(page).split("\n## ")[0]) == [row[0].strip("`") for row in lines]


def test_widgets_that_are_named_stand_on_a_dashboard():
    shown = set(re.findall(r'\bgraph\(\s*"([^"]+)"', STACKS))
    named = {title for p in PAGES for title in re.findall(r"«\s*([^»]+?)\s*»", text(p))}
    assert named
    assert named <= shown


def test_saved_queries_that_are_named_exist():
    assert (
        _absent(r"pfi/\d\d.*", {f"pfi/{q}" for q in re.findall(r'"(\d\d-[a-z-]+)"', STACKS)})
        == set()
    )


def test_metrics_that_are_named_exist():
    assert _absent(r"(?:[A-Z][a-z]+){2,}", {each.value for each in Metric}) == set()


def test_log_codes_that_are_named_exist():
    assert _absent(r"[A-Z]+(?:_[A-Z]+)+", {each.name for each in Log}) == set()


def test_settings_that_are_named_exist():
    known = set(first_column(REFERENCE / "settings.md"))
    owners = "|".join({re.escape(path.split(".")[0]) for path in known if "." in path})
    assert _absent(rf"(?:{owners})\.[a-z_.]+", known) == set()


def test_context_keys_that_are_named_exist():
    named = {key for p in PAGES for key in re.findall(r"context key\s+`([^`]+)`", text(p))}
    assert named
    assert named <= KEYS.keys()


def test_partitions_of_the_ledger_that_are_named_exist():
    ledger = text(ROOT / "shared" / "pfi" / "journey" / "ledger.py")
    named = {code.split("#")[0] for _, code in _spoken() if re.match(r"[A-Z]+#", code)}
    assert named
    assert all(f'"{word}#' in ledger for word in named)


def test_resources_that_are_named_exist():
    made = {"<step>", "<step>-dlq", *OWNERS, *STEPS, *(f"{step}-dlq" for step in QUEUED)}
    made |= {name.strip("`").removeprefix("pfi-") for name in first_column(INDEX)}
    made |= set(re.findall(r"name\}-([a-z-]+)", STACKS))
    made |= set(re.findall(r'\("([a-z]+)", _(?:activity|machinery)\(', STACKS))
    assert _absent(r"pfi-.+", {f"pfi-{each}" for each in made}) == set()


def test_the_reference_of_metrics_names_the_alarms_of_the_index():
    listed = {row[0].split(", ")[0] for row in rows(section(REFERENCE / "metrics.md", "Alarms"))}
    assert listed <= set(f"`{name}`" for name in first_column(INDEX))


@pytest.mark.parametrize("command", ["config", "certificates", "review"])
def test_words_behind_a_command_are_its_own(command):
    parser = ArgumentParser()
    sub = parser.add_subparsers()
    import_module(f"infra.cli.{command}").add_to(sub)
    (inner,) = (a for a in sub.choices[command]._actions if isinstance(a, _SubParsersAction))
    shape = re.compile(rf"pfi {command} ([a-z]+)")
    named = {found[1] for _, code in _spoken() if (found := shape.match(code))}
    assert named
    assert named <= set(inner.choices)
