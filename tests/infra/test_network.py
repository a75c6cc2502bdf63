"""The network stack: what the three functions that leave can reach, and what they cannot."""

import json

import pytest

from infra.aws.names import STEPS
from infra.aws.peers import LEAVING


def egress(stack, group: str) -> set[tuple[int, str]]:
    """Port and destination of every rule of a security group."""
    rules = stack.all("AWS::EC2::SecurityGroup")[group]["SecurityGroupEgress"]
    where = ("CidrIp", "DestinationPrefixListId", "DestinationSecurityGroupId")
    found = set()
    for rule in rules:
        assert (rule["IpProtocol"], rule["FromPort"]) == ("tcp", rule["ToPort"])
        [place] = [rule[key] for key in where if key in rule]
        if isinstance(place, dict):  # Ref, or Fn::GetAtt and its first word
            place = next(iter(place.values()))
        found.add((rule["FromPort"], place if isinstance(place, str) else place[0]))
    return found


@pytest.fixture(scope="module")
def public_network(public):
    return public.other("PfiNetwork")


AWS_DOORS = {(443, "S3PrefixList"), (443, "DynamodbPrefixList"), (443, "EndpointGroup")}


@pytest.mark.parametrize(
    ("group", "peers"),
    [
        ("CollectGroup", {(143, "203.0.113.10/32")}),
        ("ForwardGroup", {(587, "203.0.113.11/32")}),
        ("PushGroup", {(2575, "10.20.0.0/24"), (2576, "10.21.0.5/32")}),
    ],
)
def test_a_function_reaches_its_peers_and_aws_and_nobody_else(network, group, peers):
    assert egress(network, group) == peers | AWS_DOORS


def test_nothing_is_open_from_outside(network):
    for name, group in network.all("AWS::EC2::SecurityGroup").items():
        for rule in group.get("SecurityGroupIngress", ()):
            assert name == "EndpointGroup"
            assert rule["CidrIp"].startswith("10.76.0.")
            assert (rule["FromPort"], rule["ToPort"]) == (443, 443)


def test_the_private_subnets_have_no_default_route(network):
    routes = network.all("AWS::EC2::Route").values()
    default = [each for each in routes if each["DestinationCidrBlock"] == "0.0.0.0/0"]
    assert [each["RouteTableId"]["Ref"] for each in default] == ["PublicTable"]


def test_each_peer_has_its_own_way(network, public_network):
    def ways(stack, kind):
        return {
            r["DestinationCidrBlock"] for r in stack.all("AWS::EC2::Route").values() if kind in r
        }

    assert ways(network, "NatGatewayId") == {"203.0.113.10/32", "203.0.113.11/32"}
    assert ways(network, "GatewayId") == {"10.20.0.0/15", "0.0.0.0/0"}
    assert ways(public_network, "NatGatewayId") == {"203.0.113.10/32", "198.51.100.7/32"}


def test_the_fixed_addresses_are_outputs(network, public_network):
    for stack, exits in ((network, 2), (public_network, 1)):
        assert len(stack.all("AWS::EC2::NatGateway")) == len(stack.all("AWS::EC2::EIP")) == exits
        shown = {
            k: v["Value"] for k, v in stack.template["Outputs"].items() if k.startswith("Exit")
        }
        assert shown == {f"Exit{n}": {"Ref": f"FixedAddress{n}"} for n in range(1, exits + 1)}


def test_endpoints_serve_this_account_only_and_interfaces_where_they_pay(network):
    found = {}
    for each in network.all("AWS::EC2::VPCEndpoint").values():
        found[each["ServiceName"].rpartition(".")[2]] = each.get("VpcEndpointType", "Gateway")
        [statement] = each["PolicyDocument"]["Statement"]
        condition = statement["Condition"]["StringEquals"]
        assert condition == {"aws:ResourceAccount": {"Ref": "AWS::AccountId"}}
    assert found == {
        "s3": "Gateway",
        "dynamodb": "Gateway",
        "sqs": "Interface",
        "ssm": "Interface",
        "secretsmanager": "Interface",
    }


def test_only_the_functions_that_leave_stand_in_the_network(aws, local):
    for step in STEPS:
        assert ("VpcConfig" in aws.function(step)) == (step in LEAVING)
        assert "VpcConfig" not in local.function(step)
        if step in LEAVING:
            config = aws.function(step)["VpcConfig"]
            assert len(config["SubnetIds"]) == 2
            assert f"{step.capitalize()}Group" in json.dumps(config["SecurityGroupIds"])


def test_the_vpn_has_two_modern_tunnels_and_no_key_in_the_template(network):
    [vpn] = network.all("AWS::EC2::VPNConnection").values()
    assert vpn["PreSharedKeyStorage"] == "SecretsManager"
    tunnels = vpn["VpnTunnelOptionsSpecifications"]
    assert len(tunnels) == 2
    for tunnel in tunnels:
        assert [each["Value"] for each in tunnel["IKEVersions"]] == ["ikev2"]
        assert "PreSharedKey" not in tunnel
        assert {each["Value"] for each in tunnel["Phase1DHGroupNumbers"]} <= {19, 20, 21}
    [customer] = network.all("AWS::EC2::CustomerGateway").values()
    assert customer["IpAddress"] == "198.51.100.1"


def test_without_a_link_nothing_private_is_made(public_network):
    types = {each["Type"] for each in public_network.template["Resources"].values()}
    assert not {t for t in types if "VPN" in t or "CustomerGateway" in t or "DirectConnect" in t}


def test_a_direct_connect_gateway_learns_of_our_network_only(sovereign):
    stack = sovereign.other("PfiNetwork")
    [line] = stack.all("AWS::DirectConnect::DirectConnectGatewayAssociation").values()
    assert line["AllowedPrefixesToDirectConnectGateway"] == ["10.76.0.0/24"]
    assert not stack.all("AWS::EC2::VPNConnection")


def test_what_flows_is_logged_encrypted_for_six_months(network):
    [flow] = network.all("AWS::EC2::FlowLog").values()
    assert flow["TrafficType"] == "ALL"
    [logs] = network.all("AWS::Logs::LogGroup").values()
    assert (logs["LogGroupName"], logs["RetentionInDays"]) == ("/aws/vpc/pfi", 180)
    assert "KmsKeyId" in logs


def test_prefix_lists_are_known_or_asked_for(network, sovereign):
    paris = network.template["Parameters"]["S3PrefixList"]
    assert paris["Default"].startswith("pl-")
    brandenburg = sovereign.other("PfiNetwork").template["Parameters"]
    assert all(
        "Default" not in brandenburg[each] for each in ("S3PrefixList", "DynamodbPrefixList")
    )
