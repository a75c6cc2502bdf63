"""What a row says of its values, and when the command ends badly."""

from dataclasses import replace

import pytest

from tests.performance import table
from tests.performance.__main__ import main
from tests.performance.parts import parts
from tests.performance.table import Part, Row


def row(*values: float, limit: float | None = 4.0, at_most: bool = True, **more: object) -> Row:
    return Row("T1", "path ÷ floor", limit, at_most, values, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("values", "at_most", "verdict"),
    [
        ((3.0, 3.9, 9.0), True, "met"),
        ((4.0,), True, "met"),
        ((4.01,), True, "close"),
        ((5.0,), True, "close"),
        ((1.0, 5.01, 6.0), True, "MISSED"),
        ((1.0, 4.1, 6.0), False, "met"),
        ((3.9,), False, "close"),
        ((3.2,), False, "close"),
        ((9.0, 3.19, 1.0), False, "MISSED"),
    ],
)
def test_the_median_is_held_against_the_target_and_a_quarter(values, at_most, verdict):
    found = row(*values, at_most=at_most)
    assert found.verdict == verdict
    assert found.met == (verdict != "MISSED")


def test_a_count_has_no_allowance():
    assert row(4, exact=True).verdict == "met"
    assert row(4.01, exact=True).verdict == "MISSED"
    assert row(3.99, exact=True, at_most=False).verdict == "MISSED"


def test_what_has_no_target_or_was_not_measured_misses_nothing():
    printed, absent = row(1e9, limit=None), row(note="absent: hl7apy not installed")
    assert [printed.verdict, absent.verdict] == ["", "absent"]
    assert not table.missed([printed, absent])


def test_an_absent_row_shows_its_note_and_no_number():
    shown = table.printed(row(note="absent: hl7apy not installed"))
    assert shown.splitlines()[1].strip() == "absent: hl7apy not installed"
    assert table.cells(row(note="x"))[3:5] == ("", "")


def test_the_table_shows_median_and_spread():
    assert table.cells(row(3, 2.5, 8))[3:5] == ("3×", "2.50–8")
    assert table.cells(row(12.345, unit="ms"))[3:5] == ("12.3 ms", "")
    found = table.markdown([row(3, note="why"), row(1)]).splitlines()
    assert found[2] == "| T1 | path ÷ floor | ≤ 4 | 3× |  | met | why |"
    assert [line.count("|") for line in found] == [8] * 4


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (7, "7"), (0.1234, "0.123"), (1.5, "1.50"), (99.94, "99.9"), (12345.6, "12,346")],
)
def test_a_number_has_three_digits(value, text):
    assert table.number(value) == text


def planted(monkeypatch: pytest.MonkeyPatch, *rows: Row) -> None:
    part = Part("planted", quick=True, rows=lambda _full: rows)
    late = Part("late", quick=False, rows=lambda _full: [row(99.0)])
    monkeypatch.setattr("tests.performance.__main__.parts", lambda _only: [part, late])


def test_the_command_ends_with_1_exactly_when_a_row_is_missed(monkeypatch, capsys):
    planted(monkeypatch, row(4.9), row(99.0, limit=None))
    assert main(["--quick"]) == 0
    planted(monkeypatch, row(4.9), row(5.1))
    assert main([]) == 1
    assert "1 missed\n  T1 path ÷ floor\n" in capsys.readouterr().out


def test_a_part_that_is_not_quick_is_measured_in_the_full_table(monkeypatch):
    planted(monkeypatch, row(1.0))
    assert main(["--full"]) == 1


@pytest.mark.parametrize("words", [["--write"], ["--full", "--write", "--only", "documents"]])
def test_only_a_whole_table_is_kept(words, capsys):
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2


def test_every_part_can_be_asked_for_by_its_name():
    names = [part.name for part in parts()]
    assert len(names) == len(set(names)) > 0
    assert [part.name for part in parts(names[-1:])] == names[-1:]


def test_an_unknown_part_is_a_usage_error_before_anything_is_printed(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--only", "nothing"])
    assert ended.value.code == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert all(part.name in told.err for part in parts())


def test_a_rate_by_the_clock_on_the_wall_is_judged_and_fails_no_run():
    slow = Row("T9", "mails/s", 8, at_most=False, values=(4.0,), wall=True)
    assert (slow.verdict, table.missed([slow])) == ("missed", [])
    assert replace(slow, values=(9.0,)).verdict == "met"
    assert replace(slow, wall=False).verdict == "MISSED"
