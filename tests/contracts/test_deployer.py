"""The stack comes into the emulator by the real CDK command line, and only when it has to.

The stand-in project writes its cloud assembly itself: what is tried is the way there, not a stack.
"""

from __future__ import annotations

import json
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import pytest

from infra.local import assembly
from infra.local import deployer as deployer_module
from infra.local.deployer import DeploymentFailed, deploy, destroy, sources_digest
from infra.local.emulator import Emulator
from infra.local.fast_deploy import fast_deploy, zipped
from tests.contracts.emulator_fixture import Aws

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
CONTEXT = {"target": "local", "name": "trial"}
APPLICATION = dedent("""
    import json, os, shutil
    from pathlib import Path
    out = Path(os.environ["CDK_OUTDIR"])
    context = json.loads(os.environ["CDK_CONTEXT_JSON"])
    bucket = "cdk-hnb659fds-assets-${AWS::AccountId}-${AWS::Region}"
    parameter = "/cdk-bootstrap/hnb659fds/version"
    shutil.copytree("functions", out / "asset.code")
    template = {
        "Parameters": {"BootstrapVersion": {"Type": "AWS::SSM::Parameter::Value<String>",
                                            "Default": parameter}},
        "Resources": {
            "Queue": {"Type": "AWS::SQS::Queue"},
            "Role": {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": {}}},
            "Function": {"Type": "AWS::Lambda::Function", "Properties": {
                "Runtime": "python3.13", "Handler": "handler.handle",
                "Role": {"Fn::GetAtt": ["Role", "Arn"]},
                "Code": {"S3Bucket": {"Fn::Sub": bucket}, "S3Key": "code.zip"}}},
        },
        "Outputs": {"QueueUrl": {"Value": {"Ref": "Queue"}},
                    "FunctionName": {"Value": {"Ref": "Function"}}},
    }
    def asset(path, packaging, key):
        place = {"bucketName": bucket, "objectKey": key}
        return {"displayName": path, "source": {"path": path, "packaging": packaging},
                "destinations": {"current": place}}
    stack = {"type": "aws:cloudformation:stack",
             "environment": "aws://unknown-account/unknown-region",
             "displayName": "Pfi", "dependencies": ["Pfi.assets"],
             "properties": {"templateFile": "Pfi.template.json", "stackName": context["name"],
                            "stackTemplateAssetObjectUrl": f"s3://{bucket}/template.json",
                            "requiresBootstrapStackVersion": 6,
                            "bootstrapStackVersionSsmParameter": parameter}}
    assets = {"type": "cdk:asset-manifest", "properties": {"file": "Pfi.assets.json"}}
    version = "48.0.0"
    for name, content in {
        "cdk.out": {"version": version},
        "manifest.json": {"version": version, "artifacts": {"Pfi.assets": assets, "Pfi": stack}},
        "Pfi.template.json": template,
        "Pfi.assets.json": {"version": version, "dockerImages": {}, "files": {
            "code": asset("asset.code", "zip", "code.zip"),
            "template": asset("Pfi.template.json", "file", "template.json")}},
    }.items():
        (out / name).write_text(json.dumps(content))
""")

UNSUPPORTED = {
    "EvaluationPeriods": 1,
    "ComparisonOperator": "GreaterThanThreshold",
    "Metrics": [{"Id": "sum", "Expression": "1 + 1"}],
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project whose application needs no CDK library, with the repository's command line."""
    if not (ROOT / "node_modules" / "aws-cdk").is_dir():
        pytest.skip("the CDK command line is not installed")
    root = tmp_path / "project"
    (root / "infra").mkdir(parents=True)
    (root / "functions").mkdir()
    (root / "cdk.json").write_text('{"app": "python infra/app.py"}')
    (root / "infra" / "app.py").write_text(APPLICATION)
    (root / "functions" / "handler.py").write_text("def handle(event, context):\n    return 1\n")
    (root / "node_modules").symlink_to(ROOT / "node_modules")
    return root


@pytest.fixture
def emulator(tmp_path: Path) -> Iterator[Emulator]:
    with Emulator(tmp_path / "emulator") as running:
        yield running


def answer(emulator: Emulator, function: str) -> Any:
    with Aws(emulator.environment()) as aws:
        called = aws("lambda").invoke(FunctionName=function)
        with called["Payload"] as payload:
            return json.loads(payload.read())


def test_a_deployment_does_again_only_what_changed(
    project: Path, emulator: Emulator, tmp_path: Path
) -> None:
    environment, outputs = emulator.environment(), tmp_path / "local" / "outputs.json"
    said: list[str] = []

    def run() -> dict[str, str]:
        said.clear()
        return deploy(environment, CONTEXT, outputs, said.append, root=project)

    first = run()
    assert [line.split("cdk ")[1][:5] for line in said] == ["synth", "boots", "deplo"]
    assert json.loads(outputs.read_text()) == {"trial": first}
    assert answer(emulator, first["FunctionName"]) == 1

    assert run() == first
    assert said == ["Pile inchangée : rien à déployer."]

    (project / "functions" / "handler.py").write_text("def handle(event, context):\n    return 2\n")
    run()
    assert [line.split("cdk ")[1][:5] for line in said] == ["synth", "deplo"]

    destroy(environment, outputs, said.append, root=project)
    run()
    assert "Synthèse inchangée : reprise de la précédente." in said


def test_a_failure_shows_the_last_lines_of_the_command(
    project: Path, emulator: Emulator, tmp_path: Path
) -> None:
    (project / "infra" / "app.py").write_text("raise SystemExit('the context is refused')")
    with pytest.raises(DeploymentFailed, match=r"cdk synth » a échoué(.|\n)*context is refused"):
        deploy(emulator.environment(), {}, tmp_path / "l" / "o.json", _silent, root=project)


def test_a_command_that_never_ends_is_ended(
    project: Path, emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deployer_module, "LIMIT_SECONDS", 1.0)
    (project / "infra" / "app.py").write_text("import time; time.sleep(60)")
    with pytest.raises(DeploymentFailed, match="n'a pas fini en 1 s"):
        deploy(emulator.environment(), {}, tmp_path / "l" / "o.json", _silent, root=project)


@pytest.mark.parametrize("endpoint", ["", "https://sqs.eu-west-3.amazonaws.com", "http://10.0.0.1"])
def test_nothing_but_this_machine_is_deployed_to(endpoint: str, tmp_path: Path) -> None:
    environment = {"AWS_ENDPOINT_URL": endpoint}
    with pytest.raises(DeploymentFailed, match="qu'à l'émulateur de cette machine"):
        deploy(environment, {}, tmp_path / "o.json", _silent)
    with pytest.raises(DeploymentFailed, match="qu'à l'émulateur de cette machine"):
        destroy(environment, tmp_path / "o.json", _silent)


def test_the_digest_depends_on_contents_names_and_context_only(tmp_path: Path) -> None:
    (tmp_path / "functions" / "__pycache__").mkdir(parents=True)
    source = tmp_path / "functions" / "a.py"
    source.write_text("1")
    before = sources_digest(tmp_path, CONTEXT)
    (tmp_path / "functions" / "__pycache__" / "a.pyc").write_text("x")
    (tmp_path / "unrelated").write_text("x")
    source.touch()
    assert sources_digest(tmp_path, dict(reversed(CONTEXT.items()))) == before
    assert sources_digest(tmp_path, {"target": "aws"}) != before
    source.write_text("2")
    changed = sources_digest(tmp_path, CONTEXT)
    source.rename(source.with_name("b.py"))
    assert len({before, changed, sources_digest(tmp_path, CONTEXT)}) == 3


def test_the_same_assembly_comes_in_without_the_command_line(
    emulator: Emulator, made_assembly: Path
) -> None:
    outputs = fast_deploy(emulator.environment(), made_assembly)
    assert set(outputs) == {"QueueUrl", "FunctionName"}
    assert answer(emulator, outputs["FunctionName"]) == 1


def test_a_stack_that_fails_says_which_resource_and_why(
    emulator: Emulator, made_assembly: Path
) -> None:
    template = made_assembly / "Pfi.template.json"
    content = json.loads(template.read_text())
    content["Resources"]["Sum"] = {"Type": "AWS::CloudWatch::Alarm", "Properties": UNSUPPORTED}
    template.write_text(json.dumps(content))
    with pytest.raises(DeploymentFailed, match=r"Sum : .*metric math"):
        fast_deploy(emulator.environment(), made_assembly)


@pytest.fixture
def made_assembly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    out = tmp_path / "made"
    out.mkdir()
    (tmp_path / "functions").mkdir()
    (tmp_path / "functions" / "handler.py").write_text("def handle(e, c):\n    return 1\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CDK_OUTDIR", str(out))
    monkeypatch.setenv("CDK_CONTEXT_JSON", json.dumps(CONTEXT))
    exec(compile(APPLICATION, "app", "exec"), {})
    return out


def test_a_stack_is_named_by_the_context_and_found_by_its_construct(made_assembly: Path) -> None:
    assert assembly.stack(made_assembly, "Pfi").name == "trial"
    with pytest.raises(KeyError):
        assembly.stack(made_assembly, "Other")


def test_a_zip_depends_on_names_and_contents_only(tmp_path: Path) -> None:
    for folder, order in (("one", "ab"), ("two", "ba")):
        (tmp_path / folder).mkdir()
        for name in order:
            (tmp_path / folder / name).write_text(name)
    assert zipped(tmp_path / "one") == zipped(tmp_path / "two")


def _silent(_: str) -> None:
    """Nobody listens."""
