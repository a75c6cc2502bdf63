"""A bounded run of every target, the same each time; `make fuzz TIME=…` runs longer."""

import subprocess

import pytest

from tests.fuzz import run
from tests.fuzz.bounds import Bounds, TooCostly
from tests.fuzz.targets import TARGETS

RUNS = 1000
"""A second for each target."""
SAME = ("-seed=1", "-max_total_time=60")
needs_atheris = pytest.mark.skipif(not run.available(), reason=run.MISSING)


@pytest.mark.parametrize("name", TARGETS)
def test_a_seed_ends_in_a_value_or_a_refusal_and_one_in_a_value(name):
    target = TARGETS[name]
    assert any([target.check(seed) for seed in target.seeds()])


@needs_atheris
@pytest.mark.parametrize("name", TARGETS)
def test_no_mutant_escapes_its_family_or_its_bounds(name, tmp_path):
    ended = run.fuzz(name, tmp_path, f"-runs={RUNS}", *SAME)
    assert ended.passed, ended.told


@needs_atheris
@pytest.mark.parametrize(
    ("name", "said"), [("escapes", "KeyError"), ("grows", " MB for"), ("lingers", " s of CPU for")]
)
def test_a_planted_fault_is_found_saved_and_told_with_its_command(name, said, tmp_path):
    ended = run.fuzz(name, tmp_path, "-runs=60000", *SAME)
    assert not ended.passed
    assert said in ended.told
    [saved] = ended.inputs
    assert f"tests.fuzz.run again {name} {saved}" in ended.told


def test_a_saved_input_is_run_again_by_the_command_that_is_told(tmp_path):
    saved = tmp_path / "input"
    saved.write_bytes(b"no archive")
    command = run.again("archive", saved).partition(": ")[2].split()
    done = subprocess.run(command, cwd=run.ROOT, check=True, capture_output=True, text=True)
    assert done.stdout == "[fuzz] archive: a refusal\n"


def test_without_atheris_the_command_says_which_python_has_it(monkeypatch, capsys):
    monkeypatch.setattr(run, "find_spec", lambda _name: None)
    assert run.run(1, []) == 2
    told = capsys.readouterr().out
    assert "atheris cannot be installed" in told
    assert "3.11" in told


def test_the_bounds_follow_the_size_of_the_input():
    bounds = Bounds(seconds=0, seconds_per_byte=1)
    bounds.watch(lambda data: sum(range(100_000)), bytes(100))
    with pytest.raises(TooCostly, match="CPU"):
        bounds.watch(lambda data: sum(range(100_000)), b"")
