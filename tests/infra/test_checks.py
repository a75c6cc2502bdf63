"""The checks of others, on both templates: cfn-lint, cdk-nag, and what the emulator knows."""

import json
from contextlib import suppress

import pytest

import infra.aws  # noqa: F401 (before aws_cdk)

# isort: split
from aws_cdk import Validations
from cdk_nag import AwsSolutionsChecks
from cfnlint.api import ManualArgs, lint, lint_file
from ministack.services.cloudformation.provisioners import _RESOURCE_HANDLERS

from infra.aws import explained
from infra.aws.packaging import ROOT
from infra.aws.stacks import build
from tests.infra.conftest import PUBLIC, VPN, new_app

IGNORED = {
    "W3005": "CDK writes DependsOn on the role beside DependsOn on its policy; only the latter is "
    "needed, and both come from one call",
}
STACKS = {
    "local": ["Pfi"],
    **{each: ["Pfi", "PfiGuard", "PfiNetwork", "PfiQueries"] for each in ("aws", "sovereign")},
    "public": ["Pfi", "PfiFeed", "PfiGuard", "PfiNetwork", "PfiQueries"],
}


@pytest.mark.parametrize("place", STACKS)
def test_the_stacks_are_these(request, place):
    assert request.getfixturevalue(place).stacks == STACKS[place]


@pytest.mark.parametrize(
    ("place", "stack"), [(place, stack) for place, stacks in STACKS.items() for stack in stacks]
)
def test_cfn_lint_has_nothing_to_say(request, place, stack):
    regions = ["eusc-de-east-1"] if place == "sovereign" else ["eu-west-3", "eu-central-1"]
    template = (request.getfixturevalue(place).folder / f"{stack}.template.json").read_text()
    found = lint(template, config=ManualArgs(regions=regions))
    assert [str(each) for each in found if each.rule.id not in IGNORED] == []


def test_cfn_lint_ignores_nothing_in_vain(aws):
    found = lint_file(aws.folder / "Pfi.template.json")
    assert {each.rule.id for each in found} == set(IGNORED)


def nag(folder, context) -> dict[str, set[str]]:
    """Rule → paths of the constructs that break it."""
    app = new_app(folder, **context)
    build(app)
    Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    with suppress(RuntimeError):  # how jsii says that a validation failed; the report says why
        app.synth()
    report = json.loads((folder / "validation-report.json").read_text())
    return {
        violation["ruleName"]: {each["constructPath"] for each in violation["violatingConstructs"]}
        for plugin in report["pluginReports"]
        for violation in plugin["violations"]
    }


@pytest.mark.parametrize("context", [VPN, PUBLIC], ids=["vpn", "public"])
def test_cdk_nag_has_no_unexplained_finding(tmp_path, context):
    assert nag(tmp_path, context) == {}


def test_each_explanation_is_still_needed(tmp_path, monkeypatch):
    given: list[tuple[str, str]] = []

    class Deaf:
        """Takes explanations and passes none on."""

        def __init__(self, construct):
            self.construct = construct

        @classmethod
        def of(cls, construct):
            return cls(construct)

        def acknowledge(self, acknowledgment):
            assert len(acknowledgment.reason) > 40
            given.append((self.construct.node.path, acknowledgment.id))

    monkeypatch.setattr(explained, "Validations", Deaf)
    found = nag(tmp_path, VPN | PUBLIC | {"link": "vpn"})
    assert given
    for path, rule in given:
        assert any(each.startswith(path) for each in found.get(rule, set())), (path, rule)


def test_the_emulator_knows_every_type_of_the_core_stack(local, aws):
    for stack in (local, aws):
        types = {each["Type"] for each in stack.template["Resources"].values()}
        assert types <= set(_RESOURCE_HANDLERS)


def test_the_emulator_is_given_no_metric_math(local):
    for name, alarm in local.all("AWS::CloudWatch::Alarm").items():
        assert "MetricName" in alarm, name


def test_the_command_line_is_pinned_exactly():
    package = json.loads((ROOT / "package.json").read_text())
    assert package["devDependencies"] == {"aws-cdk": "2.1148.1"}
    lock = json.loads((ROOT / "package-lock.json").read_text())
    assert lock["packages"]["node_modules/aws-cdk"]["version"] == "2.1148.1"
    assert "resolved" not in json.dumps(lock)
