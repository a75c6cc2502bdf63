"""The context of a `cdk` command: what is accepted, what is refused, and what it changes."""

import ast
from pathlib import Path

import pytest

from infra.aws.names import EEA_REGIONS, Deployment, RefusedContextError, Target, deployment
from infra.aws.packaging import ROOT


def test_the_defaults_are_paris_and_aws():
    assert deployment({}) == Deployment(Target.AWS, "pfi", "eu-west-3", 30, 10, True)


@pytest.mark.parametrize("region", EEA_REGIONS)
def test_a_region_of_the_eea_is_accepted(region):
    assert deployment({"region": region}).region == region


@pytest.mark.parametrize("region", ["us-east-1", "eu-west-2", "eu-central-2", "eu-west-9"])
def test_a_region_outside_the_eea_is_refused_by_name(region):
    with pytest.raises(RefusedContextError, match=f"{region}.*European Economic Area"):
        deployment({"region": region})


@pytest.mark.parametrize(
    "context",
    [
        {"name": "PFI"},
        {"name": "p"},
        {"name": "9pfi"},
        {"name": "pfi_test"},
        {"name": "hôpital"},
        {"name": "a" * 25},
        {"target": "azure"},
        {"retention": "month"},
        {"retention": "-1"},
        {"concurrency": "1"},
        {"concurrency": "1001"},
    ],
)
def test_a_context_that_cannot_work_is_refused(context):
    with pytest.raises(RefusedContextError):
        deployment(context)


def test_the_context_of_a_command_line_is_text():
    asked = {"target": "local", "retention": "7", "concurrency": "4", "collect": "off"}
    assert deployment(asked) == Deployment(Target.LOCAL, "pfi", "eu-west-3", 7, 4, False)


@pytest.mark.parametrize(
    "path", sorted((ROOT / "infra" / "aws").glob("*.py")), ids=lambda p: p.name
)
def test_the_stacks_name_the_code_by_path_only(path: Path):
    imported = {
        name.split(".")[0]
        for node in ast.walk(ast.parse(path.read_text()))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert not imported & {"pfi", "functions", "boto3"}
