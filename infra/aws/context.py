"""The context of a `cdk` command: every key, what it means, and how its text is read."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from infra.aws.endpoint import EndpointPlan
from infra.aws.names import Deployment, Environment, GuardPlan, Lane, Target
from infra.aws.peers import Link, NetworkPlan, Peer, cidr
from infra.aws.refused import RefusedContextError
from infra.aws.retention import Retention
from infra.aws.thresholds import thresholds

KEYS: Final[Mapping[str, str]] = {
    "target": "aws (default) or local, the emulator of a laptop",
    "name": "of the stack, 2 to 24 characters; ends in -test in a test environment [pfi]",
    "region": "in the European Economic Area, European Sovereign Cloud included [eu-west-3]",
    "environment": "production (default) or test",
    "collect": "on (default) or off: the mailboxes are polled every minute",
    "concurrency": "most executions at once of parse, match and forward [10]",
    "push_concurrency": "most connections at once to the DPIs that have no lane, together [2]",
    "lanes": "a queue of its own per DPI, dpi:connections separated by commas",
    "reserve": "on (default) or off: executions reserved per function (quota of the account)",
    "retention": "days a body is kept [30]",
    "retention_versions": "days an overwritten or expired body can be brought back [7]",
    "retention_traces": "days logs are kept [180]",
    "retention_audit": "days the audit trail is kept, locked [365]",
    "thresholds": "of the alarms: a JSON object, its text, or the path of its file",
    "network": "on (default) or off: a VPC for collect, push and forward",
    "vpc_cidr": "private network of the VPC, /16 to /24 [10.76.0.0/24]",
    "zones": "availability zones, 1 to 3 [2]",
    "nat": "zone (default, one per zone) or one",
    "endpoints": "on (default) or off: interface endpoints, else HTTPS is open to the internet",
    "imap": "peers of collect, cidr:port separated by commas (the MSSanté operator)",
    "smtp": "peers of forward, cidr:port separated by commas (the MSSanté operator)",
    "dpi": "peers of push, cidr:port separated by commas (the hospital)",
    "link": "none (default: public MLLP over mutual TLS), vpn or direct-connect",
    "hospital": "networks behind the link, separated by commas",
    "customer_gateway": "public address of the hospital's VPN gateway",
    "customer_asn": "its BGP number [65000]",
    "direct_connect_gateway": "id of a Direct Connect gateway to associate, if it is ours to do",
    "feed_domain": "name of the HTTPS endpoint of the identity feed; without it there is none",
    "feed_certificate": "ARN of its certificate in ACM, in the same region",
    "feed_truststore": "s3://bucket/key.pem, authorities of the certificates that may feed",
    "feed_truststore_version": "version of that object",
    "malware": "off (default) or on: GuardDuty scans mails, and only clean ones can be read",
    "audit_lock": "compliance (default in production) or governance (default in test)",
    "budget": "monthly amount that is watched, in USD (EUR in the Sovereign Cloud); 0 = none [300]",
    "break_glass": "ARNs that may take the emergency role, separated by commas",
    "alarm_emails": "addresses that alarms are sent to, separated by commas",
}


def deployment(context: Mapping[str, Any]) -> Deployment:
    """Read the context; a key that is absent or empty has its default."""
    try:
        return _read({key: value for key, value in context.items() if value not in (None, "")})
    except RefusedContextError:
        raise
    except ValueError as wrong:
        raise RefusedContextError(f"context: {wrong}") from None


def _read(given: Mapping[str, Any]) -> Deployment:
    target = Target(given.get("target", "aws"))
    usual = Environment.TEST if target is Target.LOCAL else Environment.PRODUCTION
    environment = Environment(given.get("environment", usual))
    return Deployment(
        target=target,
        name=str(given.get("name", "pfi")),
        region=str(given.get("region", "eu-west-3")),
        environment=environment,
        concurrency=int(given.get("concurrency", 10)),
        push_concurrency=int(given.get("push_concurrency", 2)),
        lanes=tuple(map(_lane, _several(given, "lanes"))),
        collect=_switch(given, "collect"),
        reserve=_switch(given, "reserve"),
        retention=_retention(given),
        thresholds=thresholds(given.get("thresholds")),
        network=_network(given) if _switch(given, "network", target is Target.AWS) else None,
        endpoint=_endpoint(given) if given.get("feed_domain") else None,
        guard=_guard(given, environment),
    )


def _endpoint(given: Mapping[str, Any]) -> EndpointPlan:
    return EndpointPlan(
        domain=str(given["feed_domain"]),
        certificate=str(given.get("feed_certificate", "")),
        truststore=str(given.get("feed_truststore", "")),
        version=str(given.get("feed_truststore_version", "")),
    )


def _retention(given: Mapping[str, Any]) -> Retention:
    return Retention(
        mail_days=int(given.get("retention", 30)),
        version_days=int(given.get("retention_versions", 7)),
        trace_days=int(given.get("retention_traces", 180)),
        audit_days=int(given.get("retention_audit", 365)),
    )


def _network(given: Mapping[str, Any]) -> NetworkPlan:
    return NetworkPlan(
        cidr=cidr(str(given.get("vpc_cidr", "10.76.0.0/24"))),
        zones=int(given.get("zones", 2)),
        one_nat=_choice(given, "nat", ("zone", "one")) == "one",
        endpoints=_switch(given, "endpoints"),
        imap=_peers(given, "imap"),
        smtp=_peers(given, "smtp"),
        dpi=_peers(given, "dpi"),
        link=Link(given.get("link", "none")),
        hospital=tuple(map(cidr, _several(given, "hospital"))),
        customer_gateway=str(given.get("customer_gateway", "")),
        customer_asn=int(given.get("customer_asn", 65000)),
        direct_connect_gateway=str(given.get("direct_connect_gateway", "")),
    )


def _guard(given: Mapping[str, Any], environment: Environment) -> GuardPlan:
    usual = "compliance" if environment is Environment.PRODUCTION else "governance"
    locks = (usual, *({"compliance", "governance"} - {usual}))
    return GuardPlan(
        malware=_switch(given, "malware", usual=False),
        compliance=_choice(given, "audit_lock", locks) == "compliance",
        budget=int(given.get("budget", 300)),
        break_glass=_several(given, "break_glass"),
        alarm_emails=_several(given, "alarm_emails"),
    )


def _peers(given: Mapping[str, Any], key: str) -> tuple[Peer, ...]:
    return tuple(map(Peer.read, _several(given, key)))


def lanes(dpis: Iterable[tuple[str, int]]) -> str:
    """The value of the key `lanes`: each DPI, and the connections that it accepts at once."""
    return ",".join(f"{dpi}:{connections}" for dpi, connections in dpis)


def _lane(text: str) -> Lane:
    dpi, _, connections = text.partition(":")
    return Lane(dpi, int(connections or 2))


def _several(given: Mapping[str, Any], key: str) -> tuple[str, ...]:
    """A list, or one text with commas."""
    value = given.get(key, ())
    parts = value.split(",") if isinstance(value, str) else list(value)
    return tuple(each for part in parts if (each := str(part).strip()))


def _switch(given: Mapping[str, Any], key: str, usual: bool = True) -> bool:
    return _choice(given, key, ("on", "off") if usual else ("off", "on")) == "on"


def _choice(given: Mapping[str, Any], key: str, accepted: tuple[str, ...]) -> str:
    """One of these words; the first one when the key is absent."""
    value = given.get(key, accepted[0])
    text = {True: "on", False: "off"}.get(value, str(value)) if isinstance(value, bool) else value
    if text not in accepted:
        raise RefusedContextError(f"{key}: {' or '.join(sorted(accepted))}")
    return str(text)
