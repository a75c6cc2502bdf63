"""The network stack (AWS only): where collect, push and forward stand, and what they may reach.

The private subnets have no default route. Each network of a peer has a route of its own: public
ones through NAT, whose addresses are fixed because operators filter by address; the hospital's
through its VPN or Direct Connect. A security group per function opens the configured ports and
nothing else. All other functions stay outside: they speak to AWS only, and a VPC would add nothing.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Final

from aws_cdk import (
    Annotations,
    Aws,
    CfnOutput,
    CfnParameter,
    CfnResource,
    Environment,
    Fn,
    RemovalPolicy,
    Stack,
    aws_ec2,
    aws_iam,
    aws_kms,
)
from constructs import Construct

from infra.aws import access
from infra.aws.fixed import fixed
from infra.aws.links import attach_hospital
from infra.aws.names import Deployment
from infra.aws.peers import LEAVING, NetworkPlan
from infra.aws.traces import let_logs_use, log_group

GATEWAYS: Final = ("s3", "dynamodb")
"""Free of charge, and the bulk of the traffic: mails, documents, ledger."""
INTERFACES: Final = ("sqs", "ssm", "secretsmanager")
"""The only other services that these three functions call: they log through Lambda itself."""
PREFIX_LISTS: Final[Mapping[str, tuple[str, str]]] = {
    "eu-west-3": ("pl-23ad484a", "pl-abb451c2"),
    "eu-west-1": ("pl-6da54004", "pl-6fa54006"),
    "eu-central-1": ("pl-6ea54007", "pl-66a5400f"),
}
"""AWS's own lists of the addresses of S3 and DynamoDB. In another region whoever deploys gives
them (``aws ec2 describe-managed-prefix-lists``): asking AWS is nothing a synthesis does."""
HTTPS: Final = 443


@dataclass(frozen=True, slots=True)
class Reach:
    """Where one function stands in the network."""

    subnets: tuple[str, ...]
    security_group: str


class NetworkStack(Stack):
    """One VPC; `reach` says where each of the functions that leave stands."""

    def __init__(
        self, scope: Construct, construct_id: str, place: Deployment, plan: NetworkPlan
    ) -> None:
        super().__init__(
            scope,
            construct_id,
            stack_name=f"{place.name}-network",
            description="PFI: the way out to the MSSante operator and to the DPI",
            env=Environment(region=place.region),
            termination_protection=True,
        )
        self.place, self.plan = place, plan
        self.vpc = self._vpc()
        self._nats = self._exits()
        self._tables, self._subnets = self._inside()
        attach_hospital(self, plan, self.vpc.ref, [table.ref for table in self._tables])
        self._lists = self._prefix_lists()
        self._gateway_endpoints()
        self._endpoint_group = self._interface_endpoints() if plan.endpoints else None
        subnets = tuple(subnet.ref for subnet in self._subnets)
        self.reach = {step: Reach(subnets, self._group_of(step)) for step in LEAVING}
        self._flow_log()
        if not plan.peers:
            Annotations.of(self).add_warning_v2(
                "pfi:no-peer", "no peer is configured (imap, smtp, dpi): nothing can be reached"
            )

    def _vpc(self) -> aws_ec2.CfnVPC:
        return fixed(
            aws_ec2.CfnVPC(
                self,
                "Vpc",
                cidr_block=str(self.plan.cidr),
                enable_dns_hostnames=True,
                enable_dns_support=True,
            ),
            "Vpc",
        )

    def _exits(self) -> list[aws_ec2.CfnNatGateway]:
        """Public subnets hold the NAT gateways and nothing else."""
        door = aws_ec2.CfnInternetGateway(self, "Door")
        attached = aws_ec2.CfnVPCGatewayAttachment(
            self, "DoorAttachment", vpc_id=self.vpc.ref, internet_gateway_id=door.ref
        )
        table = aws_ec2.CfnRouteTable(self, "PublicTable", vpc_id=self.vpc.ref)
        out = aws_ec2.CfnRoute(
            self,
            "PublicOut",
            route_table_id=table.ref,
            destination_cidr_block="0.0.0.0/0",
            gateway_id=door.ref,
        )
        out.add_resource_dependency(attached)
        return [self._nat(zone, table, attached) for zone in range(self.plan.nats)]

    def _nat(
        self, zone: int, table: aws_ec2.CfnRouteTable, attached: CfnResource
    ) -> aws_ec2.CfnNatGateway:
        subnet = self._subnet("Public", zone, self.plan.public_subnets[zone], table)
        address = fixed(
            aws_ec2.CfnEIP(self, f"FixedAddress{zone + 1}", domain="vpc"),
            f"FixedAddress{zone + 1}",
        )
        address.add_resource_dependency(attached)
        CfnOutput(
            self,
            f"Exit{zone + 1}",
            value=address.ref,
            description="Address that the MSSante operator and the DPI see: give it to them",
        )
        return aws_ec2.CfnNatGateway(
            self,
            f"Nat{zone + 1}",
            subnet_id=subnet.ref,
            allocation_id=address.attr_allocation_id,
        )

    def _subnet(
        self, kind: str, zone: int, network: IPv4Network, table: aws_ec2.CfnRouteTable
    ) -> aws_ec2.CfnSubnet:
        name = f"{kind}{zone + 1}"
        subnet = aws_ec2.CfnSubnet(
            self,
            name,
            vpc_id=self.vpc.ref,
            cidr_block=str(network),
            availability_zone=Fn.select(zone, Fn.get_azs()),
            map_public_ip_on_launch=False,
        )
        aws_ec2.CfnSubnetRouteTableAssociation(
            self, f"{name}Association", subnet_id=subnet.ref, route_table_id=table.ref
        )
        return fixed(subnet, name)

    def _inside(self) -> tuple[list[aws_ec2.CfnRouteTable], list[aws_ec2.CfnSubnet]]:
        """A private subnet per zone, with a route per public peer and none for the rest."""
        tables, subnets = [], []
        for zone, network in enumerate(self.plan.private_subnets):
            table = aws_ec2.CfnRouteTable(self, f"PrivateTable{zone + 1}", vpc_id=self.vpc.ref)
            nat = self._nats[zone % len(self._nats)]
            for peer in self._outside():
                aws_ec2.CfnRoute(
                    self,
                    f"Out{zone + 1}To{_word(peer)}",
                    route_table_id=table.ref,
                    destination_cidr_block=peer,
                    nat_gateway_id=nat.ref,
                )
            tables.append(table)
            subnets.append(self._subnet("Private", zone, network, table))
        return tables, subnets

    def _outside(self) -> Iterable[str]:
        if not self.plan.endpoints:
            return ("0.0.0.0/0",)  # AWS's own services have no address to name
        return map(str, self.plan.over_internet)

    def _prefix_lists(self) -> dict[str, str]:
        known = PREFIX_LISTS.get(self.place.region, (None, None))
        return {
            service: CfnParameter(
                self,
                f"{service.capitalize()}PrefixList",
                description=f"AWS-managed prefix list com.amazonaws.{self.place.region}.{service}",
                default=default,
                allowed_pattern="^pl-[0-9a-f]+$",
            ).value_as_string
            for service, default in zip(GATEWAYS, known, strict=True)
        }

    def _gateway_endpoints(self) -> None:
        for service in GATEWAYS:
            aws_ec2.CfnVPCEndpoint(
                self,
                f"{service.capitalize()}Endpoint",
                vpc_id=self.vpc.ref,
                service_name=self._service(service),
                route_table_ids=[table.ref for table in self._tables],
                policy_document=_own_account_only(),
            )

    def _interface_endpoints(self) -> aws_ec2.CfnSecurityGroup:
        group = aws_ec2.CfnSecurityGroup(
            self,
            "EndpointGroup",
            vpc_id=self.vpc.ref,
            group_description="Interface endpoints: HTTPS from the functions",
            security_group_ingress=[
                aws_ec2.CfnSecurityGroup.IngressProperty(
                    ip_protocol="tcp",
                    from_port=HTTPS,
                    to_port=HTTPS,
                    cidr_ip=str(network),
                    description=f"functions, zone {zone + 1}",
                )
                for zone, network in enumerate(self.plan.private_subnets)
            ],
            security_group_egress=[_nowhere()],
        )
        for service in INTERFACES:
            aws_ec2.CfnVPCEndpoint(
                self,
                f"{service.capitalize()}Endpoint",
                vpc_id=self.vpc.ref,
                service_name=self._service(service),
                vpc_endpoint_type="Interface",
                private_dns_enabled=True,
                subnet_ids=[subnet.ref for subnet in self._subnets],
                security_group_ids=[group.ref],
                policy_document=_own_account_only(),
            )
        return fixed(group, "EndpointGroup")

    def _service(self, name: str) -> str:
        return f"com.amazonaws.{self.place.region}.{name}"

    def _group_of(self, step: str) -> str:
        group = aws_ec2.CfnSecurityGroup(
            self,
            f"{step.capitalize()}Group",
            vpc_id=self.vpc.ref,
            group_description=f"What {step} may reach",
            security_group_egress=[*self._to_peers(step), *self._to_aws()],
        )
        return fixed(group, f"{step.capitalize()}Group").ref

    def _to_peers(self, step: str) -> list[aws_ec2.CfnSecurityGroup.EgressProperty]:
        return [
            _to(peer.port, f"{LEAVING[step]} peer", cidr_ip=str(peer.network))
            for peer in self.plan.of(step)
        ]

    def _to_aws(self) -> list[aws_ec2.CfnSecurityGroup.EgressProperty]:
        doors = [
            _to(HTTPS, f"{service} gateway", destination_prefix_list_id=each)
            for service, each in self._lists.items()
        ]
        if self._endpoint_group is None:
            return [*doors, _to(HTTPS, "AWS services through NAT", cidr_ip="0.0.0.0/0")]
        inside = self._endpoint_group.attr_group_id
        return [*doors, _to(HTTPS, "AWS services", destination_security_group_id=inside)]

    def _flow_log(self) -> None:
        """Who was spoken to, when, how much: addresses and sizes, no content."""
        name = f"/aws/vpc/{self.place.name}"
        key = aws_kms.Key(
            self,
            "NetworkKey",
            description=f"{self.place.name}: logs of the network",
            enable_key_rotation=True,
            removal_policy=RemovalPolicy.RETAIN,
        )
        let_logs_use(fixed(key, "NetworkKey"), self.place, [name])
        logs = log_group(self, "FlowLogs", name, self.place, key)
        role = aws_iam.Role(
            self,
            "FlowLogRole",
            assumed_by=aws_iam.ServicePrincipal("vpc-flow-logs.amazonaws.com"),
        )
        writing = ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
        role.add_to_policy(access.allow(writing, [logs.log_group_arn]))
        aws_ec2.CfnFlowLog(
            self,
            "FlowLog",
            resource_id=self.vpc.ref,
            resource_type="VPC",
            traffic_type="ALL",
            log_group_name=logs.log_group_name,
            deliver_logs_permission_arn=role.role_arn,
        )


def _to(port: int, description: str, **where: str) -> aws_ec2.CfnSecurityGroup.EgressProperty:
    return aws_ec2.CfnSecurityGroup.EgressProperty(
        ip_protocol="tcp", from_port=port, to_port=port, description=description, **where
    )


def _nowhere() -> aws_ec2.CfnSecurityGroup.EgressProperty:
    """Without any rule AWS would add one that allows everything."""
    return aws_ec2.CfnSecurityGroup.EgressProperty(
        ip_protocol="icmp",
        from_port=252,
        to_port=86,
        cidr_ip="255.255.255.255/32",
        description="nothing leaves",
    )


def _own_account_only() -> aws_iam.PolicyDocument:
    """Through an endpoint only what belongs to this account is reached: no way out for data."""
    return aws_iam.PolicyDocument(
        statements=[
            aws_iam.PolicyStatement(
                principals=[aws_iam.AnyPrincipal()],
                actions=["*"],
                resources=["*"],
                conditions={"StringEquals": {"aws:ResourceAccount": Aws.ACCOUNT_ID}},
            )
        ]
    )


def _word(network: str) -> str:
    """A network as part of a logical id."""
    return network.replace(".", "x").replace("/", "n")
