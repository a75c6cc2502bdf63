"""The core stack, synthesised once per target and per session, as plain JSON.

Nothing here needs the network but the layer, which is built once and then found again by the
digest of its lock.
"""

import json
import os
import warnings
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest

os.environ["CDK_VALIDATION"] = "false"  # seconds per synth; cfn-lint and cdk-nag look here

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", module="jsii|aws_cdk|typeguard|attr")
    import infra.aws  # noqa: F401 (before aws_cdk)

    # isort: split
    from aws_cdk import App

    from infra.aws.packaging import ROOT
    from infra.aws.stacks import build


def new_app(outdir: Path, **context: str) -> App:
    """An app with the flags of `cdk.json`."""
    flags = json.loads((ROOT / "cdk.json").read_text())["context"]
    return App(context=flags | context, analytics_reporting=False, outdir=str(outdir))


@dataclass(frozen=True)
class Synthesised:
    """One cloud assembly and short ways into its template."""

    folder: Path
    stack: str = "Pfi"

    def other(self, stack: str) -> "Synthesised":
        """Another stack of the same assembly."""
        return Synthesised(self.folder, stack)

    @property
    def stacks(self) -> list[str]:
        """Construct ids of all stacks."""
        return sorted(p.name.split(".")[0] for p in self.folder.glob("*.template.json"))

    @cached_property
    def template(self) -> dict:
        return json.loads((self.folder / f"{self.stack}.template.json").read_text())

    @cached_property
    def assets(self) -> dict[str, Path]:
        """Folder of each zip, by its object key."""
        files = json.loads((self.folder / f"{self.stack}.assets.json").read_text())[
            "files"
        ].values()
        return {
            next(iter(each["destinations"].values()))["objectKey"]: self.folder
            / each["source"]["path"]
            for each in files
        }

    def whole(self, resource_type: str) -> dict[str, dict]:
        """Resources of a type, by logical id."""
        found = self.template["Resources"].items()
        return {name: each for name, each in found if each["Type"] == resource_type}

    def all(self, resource_type: str) -> dict[str, dict]:
        """Their properties, by logical id."""
        return {name: each["Properties"] for name, each in self.whole(resource_type).items()}

    def function(self, step: str) -> dict:
        """Properties of the function of a step."""
        [found] = [
            each
            for each in self.all("AWS::Lambda::Function").values()
            if each["Handler"] == f"functions.{step}.handler.handler"
        ]
        return found

    def statements(self, step: str) -> list[dict]:
        """What the role of a step may do: actions as a list, resources as one JSON text."""
        role = self.function(step)["Role"]["Fn::GetAtt"][0]
        return [
            {
                "actions": as_list(each["Action"]),
                "resources": json.dumps(each["Resource"]),
                "effect": each["Effect"],
                "condition": each.get("Condition", {}),
            }
            for policy in self.all("AWS::IAM::Policy").values()
            if {"Ref": role} in policy["Roles"]
            for each in policy["PolicyDocument"]["Statement"]
        ]


def as_list(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def synthesised(folder: Path, **context: str) -> Synthesised:
    app = new_app(folder, **context)
    build(app)
    app.synth()
    return Synthesised(folder)


VPN = {
    "imap": "203.0.113.10/32:143",
    "smtp": "203.0.113.11/32:587",
    "dpi": "10.20.0.0/24:2575,10.21.0.5/32:2576",
    "link": "vpn",
    "hospital": "10.20.0.0/15",
    "customer_gateway": "198.51.100.1",
}
"""A hospital with two DPIs behind a VPN."""
PUBLIC = {
    "imap": "203.0.113.10/32:993",
    "smtp": "203.0.113.10/32:465",
    "dpi": "198.51.100.7/32:2575",
    "name": "pfi-test",
    "environment": "test",
    "nat": "one",
    "zones": "3",
    "malware": "on",
    "alarm_emails": "astreinte@hopital.example, dsi@hopital.example",
    "lanes": "psy:1,chi-2:5",
    "break_glass": "arn:aws:iam::111122223333:role/Astreinte",
    "feed_domain": "pfi.hopital.example",
    "feed_certificate": "arn:aws:acm:eu-west-3:111122223333:certificate/0a1b2c3d-4e5f",
    "feed_truststore": "s3://hopital-pfi/truststore.pem",
}
"""A test installation without a VPN, with everything optional switched on."""


@pytest.fixture(scope="session")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Synthesised:
    """As a hospital deploys it."""
    return synthesised(tmp_path_factory.mktemp("aws"), target="aws", **VPN)


@pytest.fixture(scope="session")
def network(aws: Synthesised) -> Synthesised:
    return aws.other("PfiNetwork")


@pytest.fixture(scope="session")
def guard(aws: Synthesised) -> Synthesised:
    return aws.other("PfiGuard")


@pytest.fixture(scope="session")
def public(tmp_path_factory: pytest.TempPathFactory) -> Synthesised:
    """The core stack of the installation without a VPN."""
    return synthesised(tmp_path_factory.mktemp("public"), target="aws", **PUBLIC)


@pytest.fixture(scope="session")
def sovereign(tmp_path_factory: pytest.TempPathFactory) -> Synthesised:
    """In the European Sovereign Cloud, the DPI behind Direct Connect."""
    line = {
        "link": "direct-connect",
        "direct_connect_gateway": "0a1b2c3d-0000-4000-8000-0123456789ab",
    }
    folder = tmp_path_factory.mktemp("sovereign")
    return synthesised(folder, region="eusc-de-east-1", **{**VPN, **line})


@pytest.fixture(scope="session")
def local(tmp_path_factory: pytest.TempPathFactory) -> Synthesised:
    """As `make up` deploys it."""
    return synthesised(tmp_path_factory.mktemp("local"), target="local")
