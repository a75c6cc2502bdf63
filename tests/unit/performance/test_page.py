"""The section of the page that a full run writes."""

import pytest

from tests.performance import page
from tests.performance.page import BEGIN, END, written
from tests.performance.table import Row

ROWS = [Row("T1", "path ÷ floor", 1.5, True, (1.2, 1.4), note="digests")]
BEFORE, AFTER = "# Performance\n\n## Bench\n\n", "\n\n## Patient base\n\nkept\n"


def test_what_stands_between_the_marks_is_replaced_and_nothing_else():
    first = written(f"{BEFORE}{BEGIN}\nold figures\n{END}{AFTER}", ROWS)
    assert first.startswith(BEFORE + BEGIN)
    assert first.endswith(END + AFTER)
    assert "old figures" not in first
    assert "| T1 | path ÷ floor | ≤ 1.50 | 1.30× | 1.20–1.40 | met | digests |" in first
    assert written(first, ROWS) == first


def test_the_machine_is_named():
    found = written(f"{BEGIN}{END}", ROWS)
    for word in ("cores", "Python 3.", "libxml2 2.", "zlib 1."):
        assert word in found


@pytest.mark.parametrize("text", ["", BEGIN, END, END + BEGIN, BEGIN + BEGIN + END])
def test_a_page_without_its_marks_is_left_alone(text, tmp_path):
    path = tmp_path / "performance.md"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match="marks"):
        page.write(ROWS, path)
    assert path.read_text(encoding="utf-8") == text


def test_the_page_of_the_repository_has_its_marks():
    assert written(page.PAGE.read_text(encoding="utf-8"), ROWS).count("| T1 |") == 1
