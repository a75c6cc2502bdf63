"""What the synthesised stacks say of themselves: facts for the documents in docs/hds.

A synthesis in a folder of its own, for the example hospital below; read back as plain JSON, so
that a document states what CloudFormation will be given and nothing else.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import infra.aws  # noqa: F401 (before aws_cdk)

# isort: split
from aws_cdk import App

from infra.aws.packaging import ROOT
from infra.aws.stacks import build

EXAMPLE: Final = {
    "target": "aws",
    "imap": "203.0.113.10/32:143",
    "smtp": "203.0.113.11/32:587",
    "dpi": "10.20.0.0/24:2575",
    "link": "vpn",
    "hospital": "10.20.0.0/16",
    "customer_gateway": "198.51.100.1",
    "malware": "on",
    "feed_domain": "pfi-identites.hopital.example",
    "feed_certificate": (
        "arn:aws:acm:eu-west-3:111122223333:certificate/00000000-0000-4000-8000-000000000000"
    ),
    "feed_truststore": "s3://hopital-example-pfi/truststore.pem",
}
"""Addresses of documentation (RFC 5737); everything else is the default."""


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource of one stack."""

    stack: str
    name: str
    type: str
    properties: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Inventory:
    """Every resource of every stack."""

    resources: tuple[Resource, ...]

    def of(self, resource_type: str) -> list[Resource]:
        """The resources of a type, in a stable order."""
        return [each for each in self.resources if each.type == resource_type]

    def one(self, name: str) -> Resource:
        """The resource of this logical id."""
        return next(each for each in self.resources if each.name == name)


@contextmanager
def _synthesised() -> Iterator[Path]:
    flags = json.loads((ROOT / "cdk.json").read_text(encoding="utf-8"))["context"]
    with TemporaryDirectory() as folder:
        app = App(context={**flags, **EXAMPLE}, analytics_reporting=False, outdir=folder)
        build(app)
        app.synth()
        yield Path(folder)


def inventory() -> Inventory:
    """Synthesise the example and read it back."""
    with _synthesised() as folder:
        return read(folder)


def read(folder: Path) -> Inventory:
    """The inventory of a cloud assembly."""
    found = []
    for template in sorted(folder.glob("*.template.json")):
        resources = json.loads(template.read_text(encoding="utf-8"))["Resources"]
        for name, each in sorted(resources.items()):
            stack = template.name.partition(".")[0]
            found.append(Resource(stack, name, each["Type"], each.get("Properties", {})))
    return Inventory(tuple(found))


def word(value: Any) -> str:
    """An intrinsic function as a reader would say it: ``Mails``, ``Ledger/index/by_state``."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return ", ".join(map(word, value))
    if "Ref" in value:
        return _ABBREVIATED.get(value["Ref"], str(value["Ref"]))
    if "Fn::GetAtt" in value:
        return str(value["Fn::GetAtt"][0])
    if "Fn::ImportValue" in value:
        return _imported(str(value["Fn::ImportValue"]))
    if "Fn::Join" in value:
        separator, parts = value["Fn::Join"]
        return str(separator).join(map(word, parts))
    return json.dumps(value)


_ABBREVIATED: Final = {
    "AWS::Partition": "aws",
    "AWS::AccountId": "account",
    "AWS::Region": "region",
    "AWS::URLSuffix": "amazonaws.com",
}


def _imported(export: str) -> str:
    """``pfi:ExportsOutputFnGetAttMailsArn7DC79C57`` → ``Mails``."""
    name = export.partition("ExportsOutput")[2].removeprefix("FnGetAtt").removeprefix("Ref")
    for known in ("Mails", "Ledger", "Patients", "DataKey"):
        if name.startswith(known):
            return known
    return name
