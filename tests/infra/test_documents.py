"""The pages that state facts of the stacks say what the stacks say."""

import pytest

from infra.aws.hds import DOCS, PAGES, STORES, pages
from infra.aws.inventory import inventory


@pytest.fixture(scope="module")
def found():
    return inventory()


@pytest.mark.parametrize("path", PAGES)
def test_the_committed_page_is_current(found, path):
    assert (DOCS / path).read_text() == pages(found)[path], "python -m infra.aws.hds"


def test_every_store_has_its_line(found):
    kinds = {
        "AWS::S3::Bucket",
        "AWS::DynamoDB::Table",
        "AWS::SecretsManager::Secret",
        "AWS::SSM::Parameter",
    }
    assert {each.name for each in found.resources if each.type in kinds} == STORES.keys()


def test_every_statement_of_every_policy_has_its_line(found):
    statements = sum(
        len(each.properties["PolicyDocument"]["Statement"]) * len(each.properties["Roles"])
        for each in found.of("AWS::IAM::Policy")
    )
    lines = [line for line in pages(found)["reference/permissions.md"].splitlines() if "|" in line]
    assert len(lines) == statements + 2
    assert not {"AWS::IAM::ManagedPolicy", "AWS::IAM::User"} & {r.type for r in found.resources}


def test_no_page_shows_an_unresolved_function_of_cloudformation(found):
    for path, text in pages(found).items():
        assert "Fn::" not in text, path
        assert "ExportsOutput" not in text, path
