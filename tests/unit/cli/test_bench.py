"""`pfi bench` starts the bench of the checkout, or says why it cannot."""

import subprocess
import sys
from types import SimpleNamespace

import pytest

from infra.cli import bench
from infra.cli.main import main


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
