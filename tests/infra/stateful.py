"""What an upgrade must never replace: the resources that hold something, and the properties of
each type whose change makes CloudFormation replace it (documentation of each type, *Replacement*).

`python -m tests.infra.stateful` writes the snapshot again. A line that disappears or changes in it
is a body, a line or an address that the next deployment would lose: look twice before committing.
"""

import json
import sys
import tempfile
from pathlib import Path

SNAPSHOT = Path(__file__).with_name("stateful.json")

REPLACING = {
    "AWS::CloudTrail::Trail": ("TrailName",),
    "AWS::DynamoDB::Table": ("KeySchema", "TableName", "LocalSecondaryIndexes"),
    "AWS::EC2::EIP": ("Domain", "Address"),
    "AWS::EC2::SecurityGroup": ("GroupDescription", "GroupName", "VpcId"),
    "AWS::EC2::Subnet": ("AvailabilityZone", "CidrBlock", "VpcId"),
    "AWS::EC2::VPC": ("CidrBlock",),
    "AWS::EC2::VPNConnection": ("Type", "StaticRoutesOnly", "PreSharedKeyStorage"),
    "AWS::EC2::VPNGateway": ("Type", "AmazonSideAsn"),
    "AWS::KMS::Key": (),
    "AWS::Logs::LogGroup": ("LogGroupName",),
    "AWS::S3::Bucket": ("BucketName", "ObjectLockEnabled"),
    "AWS::SNS::Topic": ("TopicName", "FifoTopic"),
    "AWS::SQS::Queue": ("QueueName", "FifoQueue"),
    "AWS::SSM::Parameter": ("Name",),
    "AWS::SecretsManager::Secret": ("Name",),
}


def stateful(stacks) -> dict:
    """Stack → logical id → type and the properties that make it another resource."""
    return {
        stack: {
            name: {
                "Type": each["Type"],
                **{
                    key: each["Properties"][key]
                    for key in REPLACING[each["Type"]]
                    if key in each.get("Properties", {})
                },
            }
            for name, each in sorted(stacks.other(stack).template["Resources"].items())
            if each["Type"] in REPLACING
        }
        for stack in stacks.stacks
    }


def main() -> None:
    """Write the snapshot."""
    from tests.infra.conftest import VPN, synthesised  # noqa: PLC0415 (imports CDK)

    with tempfile.TemporaryDirectory() as folder:
        found = stateful(synthesised(Path(folder), target="aws", **VPN))
    SNAPSHOT.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
    sys.stdout.write(f"{SNAPSHOT.name}: {sum(map(len, found.values()))} resources\n")


if __name__ == "__main__":
    main()
