"""Links resolve, both READMEs say the same, decisions are whole, the version is one."""

import re
import tomllib
import unicodedata
from pathlib import Path

import pytest

from infra.cli.main import main
from infra.local.demo import Demo
from infra.local.invented.people import patient_csv
from tests.docs.pages import ROOT, blocks, headings, pages, prose, text

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
DECISIONS = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))


def _anchor(heading: str) -> str:
    """As code forges make it: lower case, no signs, blanks to hyphens."""
    kept = [c for c in heading.lower() if c in " -_" or unicodedata.category(c)[0] in "LN"]
    return "".join(kept).replace(" ", "-")


@pytest.mark.parametrize("page", pages(), ids=lambda p: p.name)
def test_every_relative_link_leads_to_a_page_and_a_heading(page: Path):
    for target in LINK.findall(prose(page)):
        if target.startswith(("http://", "https://")):
            continue
        name, _, anchor = target.partition("#")
        there = (page.parent / name).resolve() if name else page
        assert there.exists(), target
        if anchor:
            assert anchor in map(_anchor, headings(there)), target


def test_every_page_can_be_reached_from_the_readme():
    reached, todo = set[Path](), [ROOT / "README.md"]
    while todo:
        page = todo.pop()
        if page in reached or page.suffix != ".md":
            continue
        reached.add(page)
        links = (t.partition("#")[0] for t in LINK.findall(prose(page)) if "://" not in t)
        todo += [(page.parent / link).resolve() for link in links if link]
    assert set(pages()) - reached == set()


def test_both_readmes_have_the_same_headings_blocks_and_links():
    english, french = ROOT / "README.md", ROOT / "README.fr.md"
    assert len(headings(english)) == len(headings(french))
    assert [kind for kind, _ in blocks(english)] == [kind for kind, _ in blocks(french)]
    assert _commands(english) == _commands(french)
    own = {"README.md", "README.fr.md"}
    links = [[t for t in LINK.findall(prose(p)) if t not in own] for p in (english, french)]
    assert links[0] == links[1]


def _commands(page: Path) -> list[str]:
    """The lines of the blocks with a language; what follows a # is in that of the page."""
    lines = [line for kind, block in blocks(page) if kind for line in block.splitlines()]
    return [line.split(" #")[0].rstrip() for line in lines]


@pytest.mark.parametrize("page", ["README.md", "README.fr.md"])
def test_the_front_pages_name_what_a_newcomer_runs_and_say_what_it_does(page: str):
    [(_, listing)] = [block for block in blocks(ROOT / page) if block[0] == "sh"]
    named = re.findall(r"^make ([a-z]+) +# \S", listing, re.MULTILINE)
    assert named == ["up", "test", "bench", "peers"]


@pytest.mark.parametrize("page", DECISIONS, ids=lambda p: p.name)
def test_a_decision_says_context_decision_what_was_refused_and_the_way_back(page: Path):
    title, *sections = headings(page)
    assert title.startswith(f"{page.name[:4]}. ")
    assert sections == ["Context", "Decision", "Refused", "Way back"]


def test_decisions_are_numbered_without_a_gap_and_listed():
    assert [p.name[:4] for p in DECISIONS] == [f"{n:04}" for n in range(1, len(DECISIONS) + 1)]
    listed = text(ROOT / "docs" / "decisions" / "README.md")
    assert all(f"]({page.name})" in listed for page in DECISIONS)


def test_pages_and_decisions_named_by_the_code_exist():
    sources = [p for top in ("shared", "functions", "infra") for p in (ROOT / top).rglob("*.py")]
    named = {word for p in sources for word in re.findall(r"docs/[a-z/-]+(?:\.md|\d{4})", text(p))}
    assert named
    for word in named:
        exact = (ROOT / word).exists()
        assert exact or list(ROOT.glob(f"{word}-*.md")), word


def test_the_version_of_the_package_is_the_latest_of_the_changelog():
    with (ROOT / "pyproject.toml").open("rb") as file:
        version = tomllib.load(file)["project"]["version"]
    entry = r"^## \[(\d+\.\d+\.\d+)\] - \d{4}-\d\d-\d\d$"
    released = re.findall(entry, text(ROOT / "CHANGELOG.md"), re.MULTILINE)
    assert released
    assert released[0] == version


def test_the_explanation_on_the_front_pages_is_the_one_that_is_printed(tmp_path, capsys):
    [(name, raw)] = [file for file in Demo().files() if file[0].startswith("08")]
    (tmp_path / name).write_bytes(raw)
    (tmp_path / "patients.csv").write_text(patient_csv(), encoding="utf-8")
    words = ["explain", str(tmp_path / name), "--patients", str(tmp_path / "patients.csv")]
    assert main(words) == 0
    printed = capsys.readouterr().out.strip()
    assert len(printed.splitlines()) > 10
    for page in ("README.md", "README.fr.md"):
        assert printed in (ROOT / page).read_text(encoding="utf-8")
