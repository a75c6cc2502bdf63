"""`pfi bench` starts the bench of the checkout, or says why it cannot."""

import subprocess
import sys
from types import SimpleNamespace

import pytest

from infra.cli import bench
from infra.cli.main import main
from tests.docs.pages import REFERENCE, section
from tests.performance.parts import parts


@pytest.fixture
def started(monkeypatch):
    calls = []

    def run(command, **options):
        calls.append((command, options))
        return SimpleNamespace(returncode=1)

    monkeypatch.setattr(subprocess, "run", run)
    return calls


def test_the_words_and_the_exit_status_pass_through(started):
    assert main(["bench", "--full", "--write"]) == 1
    assert main(["bench", "--quick", "--only", "documents", "--only", "memory"]) == 1
    python = [sys.executable, "-m", "tests.performance"]
    assert [command for command, _ in started] == [
        [*python, "--full", "--write"],
        [*python, "--quick", "--only", "documents", "--only", "memory"],
    ]
    assert all(options["cwd"] == bench.ROOT for _, options in started)


def test_an_unknown_part_is_a_usage_error_in_french_that_lists_the_parts(started, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["bench", "--only", "nothing"])
    told = capsys.readouterr()
    assert told.out == ""
    assert "--only : 'nothing' est inconnu (au choix : " in told.err
    assert all(name in told.err for name in bench.PARTS)
    assert not started


def test_the_parts_of_the_help_are_those_of_the_bench_and_of_the_page(capsys):
    assert tuple(part.name for part in parts()) == bench.PARTS
    page = section(REFERENCE / "cli.md", "pfi bench")
    assert all(f"`{name}`" in page for name in bench.PARTS)
    with pytest.raises(SystemExit, match="0"):
        main(["bench", "--help"])
    told = " ".join(capsys.readouterr().out.split())
    assert ", ".join(bench.PARTS) in told


def test_without_the_repository_it_is_refused_in_french(started, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(bench, "ROOT", tmp_path)
    assert main(["bench"]) == 2
    assert "cloner le dépôt" in capsys.readouterr().err
    assert not started


@pytest.mark.parametrize("words", [["--write"], ["--full", "--write", "--only", "documents"]])
def test_only_a_whole_table_is_kept(words, started, capsys):
    assert main(["bench", *words]) == 2
    assert "--full" in capsys.readouterr().err
    assert not started
