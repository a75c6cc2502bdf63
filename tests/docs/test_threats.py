"""The threat model: every line names tests that cover it, and each of them exists."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, rows, section

PAGE = ROOT / "docs" / "security.md"
KINDS = {"S", "T", "R", "I", "D", "E"}
NAMED = re.compile(r"`([\w/]+\.py)::(\w+)`")


def threats() -> list[list[str]]:
    return list(rows(section(PAGE, "Threats")))


@cache
def defined(path: Path) -> frozenset[str]:
    assert path.exists(), path
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


@pytest.mark.parametrize("row", threats(), ids=lambda row: row[1][:40])
def test_each_threat_has_its_kind_its_answer_and_tests_that_exist(row):
    kinds, threat, answer, covered = row
    assert set(kinds.split(", ")) <= KINDS
    assert threat
    assert answer
    named = NAMED.findall(covered)
    assert named, "no test"
    missing = [name for path, name in named if name not in defined(ROOT / "tests" / path)]
    assert missing == []


def test_every_kind_of_stride_is_there():
    assert {kind for row in threats() for kind in row[0].split(", ")} == KINDS
