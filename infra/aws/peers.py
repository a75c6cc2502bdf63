"""Where the three functions that leave may go, and over which link: the plan of the network."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Network
from typing import Final

from infra.aws.refused import RefusedContextError

LEAVING: Final = {"collect": "imap", "push": "dpi", "forward": "smtp"}
"""The functions that speak to somebody outside AWS, and to which kind of peer."""
MAX_ZONES: Final = 3
_USUAL: Final = IPv4Network("10.76.0.0/24")


class Link(StrEnum):
    """How the DPI is reached."""

    NONE = "none"
    """Over the internet: MLLP over mutual TLS, from our fixed addresses."""
    VPN = "vpn"
    DIRECT_CONNECT = "direct-connect"


@dataclass(frozen=True, slots=True)
class Peer:
    """Addresses and the one port that is opened towards them."""

    network: IPv4Network
    port: int

    @classmethod
    def read(cls, text: str) -> "Peer":
        """``203.0.113.10/32:143``; an address alone is a network of one."""
        network, colon, port = text.strip().rpartition(":")
        if not colon or not port.isdecimal() or not 1 <= int(port) <= 65535:
            raise RefusedContextError(f"peer {text!r}: cidr:port is expected")
        found = cls(cidr(network), int(port))
        if found.network.prefixlen < 8:
            raise RefusedContextError(f"peer {text!r}: wider than /8 is no peer but the internet")
        return found


def cidr(text: str) -> IPv4Network:
    """An IPv4 network, or a refusal."""
    try:
        return IPv4Network(text.strip())
    except ValueError:
        raise RefusedContextError(f"{text!r} is not an IPv4 network") from None


def private(network: IPv4Network) -> bool:
    """RFC 1918: the internet has no route to it."""
    inside = (IPv4Network(each) for each in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))
    return any(network.subnet_of(each) for each in inside)


@dataclass(frozen=True, slots=True)
class NetworkPlan:
    """What the network stack is made from; refused when a packet could not get through."""

    cidr: IPv4Network = _USUAL
    zones: int = 2
    one_nat: bool = False
    """One NAT for all zones: cheaper by half, and a zone that fails takes the exit with it."""
    endpoints: bool = True
    """Interface endpoints of SQS, SSM and Secrets Manager. They cost more than the NAT traffic
    they save, and pay all the same: without them HTTPS has to be open to the whole internet."""
    imap: tuple[Peer, ...] = ()
    smtp: tuple[Peer, ...] = ()
    dpi: tuple[Peer, ...] = ()
    link: Link = Link.NONE
    hospital: tuple[IPv4Network, ...] = ()
    customer_gateway: str = ""
    customer_asn: int = 65000
    direct_connect_gateway: str = ""

    def __post_init__(self) -> None:
        if not 16 <= self.cidr.prefixlen <= 24 or not private(self.cidr):
            raise RefusedContextError("vpc_cidr: a private network from /16 to /24")
        if not 1 <= self.zones <= MAX_ZONES:
            raise RefusedContextError(f"zones: 1 to {MAX_ZONES}")
        self._check_link()
        for each in (*(peer.network for peer in self.peers), *self.hospital):
            if each.overlaps(self.cidr):
                raise RefusedContextError(f"vpc_cidr {self.cidr} overlaps {each}")
        for each in {peer.network for peer in self.peers}:
            self._check_reached(each)

    @property
    def peers(self) -> tuple[Peer, ...]:
        """Everybody outside."""
        return (*self.imap, *self.smtp, *self.dpi)

    def of(self, step: str) -> tuple[Peer, ...]:
        """The peers of one function."""
        found: dict[str, tuple[Peer, ...]] = {"imap": self.imap, "smtp": self.smtp, "dpi": self.dpi}
        return found[LEAVING[step]]

    @property
    def nats(self) -> int:
        """How many NAT gateways, hence fixed addresses."""
        return 1 if self.one_nat else self.zones

    @property
    def over_internet(self) -> tuple[IPv4Network, ...]:
        """Distinct networks reached through NAT, in a stable order."""
        return _distinct(peer.network for peer in self.peers if not self._by_link(peer.network))

    @property
    def private_subnets(self) -> tuple[IPv4Network, ...]:
        """A quarter of the VPC per zone: the last quarter is for the public ones."""
        return tuple(self.cidr.subnets(2))[: self.zones]

    @property
    def public_subnets(self) -> tuple[IPv4Network, ...]:
        """Small ones: only NAT gateways live there."""
        return tuple(tuple(self.cidr.subnets(2))[MAX_ZONES].subnets(2))[: self.zones]

    def _by_link(self, network: IPv4Network) -> bool:
        return any(network.subnet_of(each) for each in self.hospital)

    def _check_link(self) -> None:
        if (self.link is Link.NONE) != (not self.hospital):
            raise RefusedContextError("link and hospital go together: a link, and what it reaches")
        if self.link is Link.VPN and not self.customer_gateway:
            raise RefusedContextError("link=vpn: customer_gateway, the hospital's public address")

    def _check_reached(self, network: IPv4Network) -> None:
        if private(network) and not self._by_link(network):
            raise RefusedContextError(
                f"{network} is a private network that no link reaches (link, hospital)"
            )


def _distinct(networks: Iterable[IPv4Network]) -> tuple[IPv4Network, ...]:
    return tuple(sorted(set(networks)))
