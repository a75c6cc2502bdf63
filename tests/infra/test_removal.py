"""What `pfi destroy` deletes, in which order, and what it leaves: by the synthesised templates."""

import json

import pytest

from infra.aws.names import BESIDE
from infra.operations.removal import ORDER, kept_in

KEPT = {
    "AWS::S3::Bucket",
    "AWS::DynamoDB::Table",
    "AWS::KMS::Key",
    "AWS::Logs::LogGroup",
    "AWS::SecretsManager::Secret",
}
"""Health data, traces, what proves who we are, and the keys without which all of it is lost."""


def stacks(assembly) -> dict[str, dict]:
    """Artifacts of the stacks of an assembly, by construct id."""
    found = json.loads((assembly.folder / "manifest.json").read_text())["artifacts"]
    return {k: each for k, each in found.items() if each["type"] == "aws:cloudformation:stack"}


@pytest.mark.parametrize("assembly", ["aws", "public", "sovereign", "local"])
def test_every_stack_is_deleted_before_those_that_it_needs(assembly, request):
    found = stacks(request.getfixturevalue(assembly))
    core = found["Pfi"]["properties"]["stackName"]
    place = {
        construct: ORDER.index(each["properties"]["stackName"].removeprefix(core))
        for construct, each in found.items()
    }
    for construct, each in found.items():
        for needed in set(each.get("dependencies", ())) & set(found):
            assert place[construct] < place[needed], f"{construct} needs {needed}"


def test_the_audit_trail_goes_last_before_the_core_that_it_watches(aws):
    """It cannot go after: it imports what the core exports."""
    assert ORDER[ORDER.index("") - 1] == "-guard"
    assert "Pfi" in stacks(aws)["PfiGuard"]["dependencies"]


def test_no_installation_can_be_named_like_a_stack_beside_another_one():
    assert set(BESIDE) == set(ORDER) - {""}


def test_health_data_traces_and_keys_stay_and_nothing_else(aws):
    kept = {s: kept_in(aws.other(s).template) for s in aws.stacks}
    assert {kind for each in kept.values() for kind in each.values()} == KEPT
    stores = {"Mails", "Ledger", "Patients", "DataKey", "MssanteSecret", "DpiSecret"}
    assert stores <= set(kept["Pfi"])
    for stack in aws.stacks:
        resources = aws.other(stack).template["Resources"]
        data = {name for name, each in resources.items() if each["Type"] in KEPT}
        assert data == set(kept[stack]), stack


def test_on_a_laptop_nothing_stays(local):
    assert kept_in(local.template) == {}
