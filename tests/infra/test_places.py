"""Where the stacks may be synthesised, and that production and test never touch."""

import json

import pytest

from infra.aws.refused import RefusedContextError
from tests.infra.conftest import synthesised


def texts(stack):
    return {each: json.dumps(stack.other(each).template) for each in stack.stacks}


def test_frankfurt_synthesises(tmp_path):
    stack = synthesised(tmp_path, region="eu-central-1")
    assert len(stack.stacks) == 4
    assert "eu-west-3" not in texts(stack)["PfiNetwork"]


@pytest.mark.parametrize("region", ["us-east-1", "eu-west-2", "eu-central-2"])
def test_outside_the_eea_nothing_is_synthesised(tmp_path, region):
    with pytest.raises(RefusedContextError, match="European Economic Area"):
        synthesised(tmp_path, region=region)


def test_nothing_in_the_sovereign_cloud_names_the_commercial_partition(sovereign):
    for name, text in texts(sovereign).items():
        assert "arn:aws:" not in text, name
        assert "kms:ViaService" not in text or "AWS::URLSuffix" in text, name
        assert "eu-west-3" not in text.replace(json.dumps(sovereign.template.get("Rules")), ""), (
            name
        )
    assert "logs.eusc-de-east-1.amazonaws.eu" in texts(sovereign)["Pfi"]


def test_production_and_test_share_no_name(aws, public):
    """Two accounts are the rule; in one account they would still not meet."""

    def names(stack):
        keys = ("Name", "Id", "Alias", "Url")
        return {
            value
            for each in stack.stacks
            for resource in stack.other(each).template["Resources"].values()
            for key, value in resource.get("Properties", {}).items()
            if key.endswith(keys) and isinstance(value, str) and "pfi" in value
        }

    assert names(aws)
    assert not names(aws) & names(public)


def test_no_tag_is_set_on_a_stack(aws):
    """Tags of a stack reach the settings parameter, and CloudFormation would reset its value."""
    manifest = json.loads((aws.folder / "manifest.json").read_text())["artifacts"]
    assert not any("tags" in each.get("properties", {}) for each in manifest.values())
