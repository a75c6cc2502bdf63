"""The same synthesised assembly brought in by boto3: for tests that need many fresh stacks.

Reads only what the cloud assembly says of itself, as the CDK command line does, so that no stack
is described twice.
"""

from __future__ import annotations

import os
import time
import zipfile
from io import BytesIO
from typing import TYPE_CHECKING

import boto3

from infra.local import assembly
from infra.local.aws import arguments
from infra.local.deployer import DeploymentFailed
from infra.local.emulator import ACCOUNT, REGION

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from mypy_boto3_cloudformation.client import CloudFormationClient
    from mypy_boto3_s3.client import S3Client

ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)
LIMIT_SECONDS = 120.0
BOOTSTRAP_VERSION = 30
_FAILED = ("ROLLBACK", "FAILED", "DELETE")


def fast_deploy(
    environment: Mapping[str, str], assembly_dir: Path, construct: str | None = None
) -> dict[str, str]:
    """Create the stack of an assembly (its first, or the one named) and return its outputs."""
    stack = assembly.stack(assembly_dir, construct)
    s3 = boto3.client("s3", **arguments(environment))
    cloudformation = boto3.client("cloudformation", **arguments(environment))
    try:
        bucket, key = _uploaded(s3, assembly_dir)[stack.template]
        _pretend_bootstrapped(environment, stack)
        cloudformation.create_stack(
            StackName=stack.name,
            TemplateURL=f"{environment['AWS_ENDPOINT_URL']}/{bucket}/{key}",
            Capabilities=["CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"],
            DisableRollback=True,
        )
        return _outputs_when_complete(cloudformation, stack.name)
    finally:
        s3.close()
        cloudformation.close()


def _uploaded(s3: S3Client, assembly_dir: Path) -> dict[str, tuple[str, str]]:
    """Upload every asset; path in the assembly → bucket and key."""
    buckets = {one["Name"] for one in s3.list_buckets()["Buckets"]}
    uploaded = {}
    for asset in assembly.assets(assembly_dir):
        content = _content(assembly_dir, asset)
        for place in asset.places:
            bucket, key = map(_resolved, place)
            if bucket not in buckets:
                _create_bucket(s3, bucket)
                buckets.add(bucket)
            s3.put_object(Bucket=bucket, Key=key, Body=content)
            uploaded[asset.path] = (bucket, key)
    return uploaded


def _create_bucket(s3: S3Client, bucket: str) -> None:
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})


def _content(assembly_dir: Path, asset: assembly.Asset) -> bytes:
    path = assembly_dir / asset.path
    if not asset.zipped:
        return path.read_bytes()
    kept = assembly_dir / ".zips" / f"{asset.digest}.zip"
    if not kept.is_file():
        kept.parent.mkdir(exist_ok=True)
        # Test workers share the assembly: each writes its own file, the last one to end wins.
        own = kept.with_suffix(f".{os.getpid()}")
        own.write_bytes(zipped(path))
        own.replace(kept)
    return kept.read_bytes()


def zipped(folder: Path) -> bytes:
    """A folder as a zip that depends on names and contents only."""
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for path in sorted(_files(folder)):
            entry = zipfile.ZipInfo(path.relative_to(folder).as_posix(), ZIP_EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = (0o755 if path.stat().st_mode & 0o100 else 0o644) << 16
            archive.writestr(entry, path.read_bytes())
    return buffer.getvalue()


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())


def _pretend_bootstrapped(environment: Mapping[str, str], stack: assembly.Stack) -> None:
    """The template reads the version of the bootstrap stack from a parameter."""
    name = stack.bootstrap_parameter
    if not name:
        return
    ssm = boto3.client("ssm", **arguments(environment))
    try:
        if not ssm.get_parameters(Names=[name])["Parameters"]:
            version = max(stack.bootstrap_version, BOOTSTRAP_VERSION)
            ssm.put_parameter(Name=name, Value=str(version), Type="String")
    finally:
        ssm.close()


def _outputs_when_complete(cloudformation: CloudFormationClient, name: str) -> dict[str, str]:
    deadline = time.monotonic() + LIMIT_SECONDS
    while True:
        stack = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
        status = stack["StackStatus"]
        if status == "CREATE_COMPLETE":
            return {one["OutputKey"]: one["OutputValue"] for one in stack.get("Outputs", [])}
        if any(word in status for word in _FAILED) or time.monotonic() > deadline:
            raise DeploymentFailed(_explanation(cloudformation, name, status))
        time.sleep(0.1)


def _explanation(cloudformation: CloudFormationClient, name: str, status: str) -> str:
    events = cloudformation.describe_stack_events(StackName=name)["StackEvents"]
    causes = [
        f"{event.get('LogicalResourceId', '')} : {event.get('ResourceStatusReason', '')}"
        for event in events
        if "FAILED" in event.get("ResourceStatus", "")
    ]
    return "\n".join([f"La pile {name} est en {status}.", *causes])


def _resolved(text: str) -> str:
    """Placeholders of the cloud assembly, for the emulator's one account and region."""
    values = {"AccountId": ACCOUNT, "Region": REGION, "Partition": "aws"}
    for name, value in values.items():
        text = text.replace(f"${{AWS::{name}}}", value)
    return text
