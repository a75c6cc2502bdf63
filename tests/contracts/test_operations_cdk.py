"""`pfi deploy` on AWS runs the pinned CDK with the context of the reviewed file, no more."""

import json
from dataclasses import replace

import pytest

from infra.cli.config import EXAMPLE
from infra.operations import cdk
from infra.operations.account import OperationRefused
from infra.operations.coherence import review

HOSPITAL = review(EXAMPLE.read_text(encoding="utf-8")).hospital


def test_the_example_synthesises_for_aws_with_its_own_name_network_and_retention(tmp_path):
    words = ("synth", "--quiet", "--all")
    cdk.run(words, {"target": "aws", **HOSPITAL.context}, tmp_path)
    manifest = json.loads((tmp_path / "cdk.out" / "manifest.json").read_text())["artifacts"]
    core = json.loads((tmp_path / "cdk.out" / "Pfi.template.json").read_text())
    assert manifest["Pfi"]["properties"]["stackName"] == HOSPITAL.deployment.name
    assert manifest["Pfi"]["properties"]["terminationProtection"]
    assert "PfiNetwork" in manifest
    emails = [
        each["Properties"]["Endpoint"]
        for each in core["Resources"].values()
        if each["Type"] == "AWS::SNS::Subscription"
    ]
    assert emails == list(HOSPITAL.alarms.addresses)


def test_a_refused_context_ends_in_one_sentence(tmp_path):
    elsewhere = replace(HOSPITAL, deployment=replace(HOSPITAL.deployment, region="us-east-1"))
    with pytest.raises(OperationRefused, match="cdk synth"):
        cdk.run(("synth", "--quiet"), {"target": "aws", **elsewhere.context}, tmp_path)
