"""The private way to the hospital: a site-to-site VPN, or a Direct Connect gateway."""

from collections.abc import Sequence

from aws_cdk import CfnOutput, aws_directconnect, aws_ec2
from constructs import Construct

from infra.aws.fixed import fixed
from infra.aws.peers import Link, NetworkPlan

_TUNNELS = 2
_Tunnel = aws_ec2.CfnVPNConnection.VpnTunnelOptionsSpecificationProperty
_Vpn = aws_ec2.CfnVPNConnection


def attach_hospital(scope: Construct, plan: NetworkPlan, vpc: str, tables: Sequence[str]) -> None:
    """A virtual private gateway with routes to the hospital's networks; nothing without a link."""
    if plan.link is Link.NONE:
        return
    gateway = fixed(aws_ec2.CfnVPNGateway(scope, "HospitalGateway", type="ipsec.1"), "VpnGateway")
    attached = aws_ec2.CfnVPCGatewayAttachment(
        scope, "HospitalAttachment", vpc_id=vpc, vpn_gateway_id=gateway.ref
    )
    for zone, table in enumerate(tables, 1):
        for number, network in enumerate(plan.hospital, 1):
            route = aws_ec2.CfnRoute(
                scope,
                f"Hospital{number}From{zone}",
                route_table_id=table,
                destination_cidr_block=str(network),
                gateway_id=gateway.ref,
            )
            route.add_resource_dependency(attached)
    CfnOutput(scope, "HospitalGatewayId", value=gateway.ref)
    if plan.link is Link.VPN:
        _vpn(scope, plan, gateway.ref)
    elif plan.direct_connect_gateway:
        _direct_connect(scope, plan, gateway.ref)


def _vpn(scope: Construct, plan: NetworkPlan, gateway: str) -> None:
    """Two tunnels, IKEv2, no algorithm that ANSSI advises against; AWS makes the shared keys and
    keeps them in Secrets Manager, so that no template and no parameter ever holds one."""
    customer = aws_ec2.CfnCustomerGateway(
        scope,
        "HospitalEnd",
        type="ipsec.1",
        ip_address=plan.customer_gateway,
        bgp_asn=plan.customer_asn,
    )
    connection = fixed(
        aws_ec2.CfnVPNConnection(
            scope,
            "Vpn",
            type="ipsec.1",
            customer_gateway_id=customer.ref,
            vpn_gateway_id=gateway,
            static_routes_only=True,
            pre_shared_key_storage="SecretsManager",
            vpn_tunnel_options_specifications=[_tunnel() for _ in range(_TUNNELS)],
        ),
        "Vpn",
    )
    for number, network in enumerate(plan.hospital, 1):
        aws_ec2.CfnVPNConnectionRoute(
            scope,
            f"VpnRoute{number}",
            vpn_connection_id=connection.ref,
            destination_cidr_block=str(network),
        )
    CfnOutput(scope, "VpnId", value=connection.ref)


def _tunnel() -> _Tunnel:
    ciphers, digests, groups = ("AES256-GCM-16",), ("SHA2-256", "SHA2-384"), (19, 20)
    return _Tunnel(
        ike_versions=[_Vpn.IKEVersionsRequestListValueProperty(value="ikev2")],
        phase1_encryption_algorithms=[
            _Vpn.Phase1EncryptionAlgorithmsRequestListValueProperty(value=each) for each in ciphers
        ],
        phase1_integrity_algorithms=[
            _Vpn.Phase1IntegrityAlgorithmsRequestListValueProperty(value=each) for each in digests
        ],
        phase1_dh_group_numbers=[
            _Vpn.Phase1DHGroupNumbersRequestListValueProperty(value=each) for each in groups
        ],
        phase2_encryption_algorithms=[
            _Vpn.Phase2EncryptionAlgorithmsRequestListValueProperty(value=each) for each in ciphers
        ],
        phase2_integrity_algorithms=[
            _Vpn.Phase2IntegrityAlgorithmsRequestListValueProperty(value=each) for each in digests
        ],
        phase2_dh_group_numbers=[
            _Vpn.Phase2DHGroupNumbersRequestListValueProperty(value=each) for each in groups
        ],
    )


def _direct_connect(scope: Construct, plan: NetworkPlan, gateway: str) -> None:
    """The line itself is ordered by the hospital; here its gateway learns of our VPC."""
    aws_directconnect.CfnDirectConnectGatewayAssociation(
        scope,
        "DirectConnect",
        direct_connect_gateway_id=plan.direct_connect_gateway,
        associated_gateway_id=gateway,
        allowed_prefixes_to_direct_connect_gateway=[str(plan.cidr)],
    )
