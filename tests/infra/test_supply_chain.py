"""The bill of materials says what the locks say, and an audit that failed says that it failed."""

import json
import re
import sys

import pytest

from infra.local import supply_chain
from infra.local.deployer import ROOT
from infra.local.supply_chain import LOCKS, NotAudited, audited, bills, npm_components

PINNED = re.compile(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)", re.MULTILINE)
HASHED = re.compile(r"--hash=sha256:([0-9a-f]{64})")
WEAK = {"id": "CVE-2026-1", "fix_versions": ["2.0"]}


@pytest.fixture(scope="module")
def made():
    return bills()


@pytest.mark.parametrize("name", LOCKS)
def test_every_package_of_a_lock_is_in_the_bill_with_its_version_and_hashes(made, name):
    lock = (ROOT / LOCKS[name]).read_text()
    python = [c for c in made[name]["components"] if c["purl"].startswith("pkg:pypi/")]
    assert {(c["name"], c["version"]) for c in python} == set(PINNED.findall(lock))
    hashes = {h["content"] for c in python for e in c["externalReferences"] for h in e["hashes"]}
    assert hashes == set(HASHED.findall(lock))


def test_the_bill_is_that_of_this_version_and_the_same_at_every_run(made):
    root = made["function"]["metadata"]["component"]
    declared = re.search(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert (root["name"], root["version"]) == ("pfi", declared[1])
    assert supply_chain.bill(ROOT / LOCKS["function"]) == made["function"]


def test_the_command_line_of_cdk_is_in_the_bill_of_the_development(made):
    wanted = json.loads((ROOT / "package.json").read_text())["devDependencies"]["aws-cdk"]
    npm = [c for c in made["development"]["components"] if c["purl"].startswith("pkg:npm/")]
    assert [(c["name"], c["version"]) for c in npm] == [("aws-cdk", wanted)]
    assert len(npm[0]["hashes"][0]["content"]) == 128


def test_an_npm_package_with_a_scope_keeps_it():
    package = {"version": "1.0", "integrity": "sha512-AAAA", "license": "MIT"}
    [found] = npm_components({"packages": {"": {}, "node_modules/@a/b": package}})
    assert (found["name"], found["purl"]) == ("@a/b", "pkg:npm/%40a/b@1.0")


def auditor(report: str, code: int = 0) -> list[str]:
    """A program that answers as pip-audit would."""
    script = f"import sys; sys.stdout.write({report!r}); sys.stderr.write('no route'); exit({code})"
    return [sys.executable, "-c", script]


def test_a_known_weakness_is_told_with_its_correction(tmp_path):
    package = {"name": "lxml", "version": "1.0", "vulns": [WEAK]}
    report = json.dumps({"dependencies": [package, {"name": "a", "version": "1", "vulns": []}]})
    assert audited(tmp_path, auditor(report, 1)) == ["lxml 1.0: CVE-2026-1, corrected in 2.0"]


def test_packages_that_were_skipped_are_no_clean_audit(tmp_path):
    """pip-audit itself ends with 0 and « no known vulnerabilities » then."""
    report = json.dumps({"dependencies": [{"name": "lxml", "skip_reason": "not found"}]})
    with pytest.raises(NotAudited, match="1 packages were not looked up"):
        audited(tmp_path, auditor(report))


def test_a_service_that_does_not_answer_is_no_clean_audit(tmp_path):
    with pytest.raises(NotAudited, match="does not answer: no route"):
        audited(tmp_path, auditor("", 1))


def test_the_command_ends_badly_when_nothing_was_audited(monkeypatch, capsys):
    def unreachable(_lock):
        raise NotAudited("no route")

    monkeypatch.setattr(supply_chain, "audited", unreachable)
    assert supply_chain.main(["audit"]) == 2
    assert capsys.readouterr().out == "NOT AUDITED: no route\n"
