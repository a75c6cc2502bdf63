"""The context of a `cdk` command: what is accepted, what is refused, and what it changes."""

import ast
from pathlib import Path

import pytest

import infra.app
from infra.aws.context import KEYS, deployment
from infra.aws.names import EEA_REGIONS, Deployment, Environment, GuardPlan, Target
from infra.aws.packaging import ROOT
from infra.aws.peers import Link, NetworkPlan, Peer, cidr
from infra.aws.refused import RefusedContextError
from infra.aws.retention import Retention
from infra.aws.thresholds import Thresholds, thresholds


def test_the_defaults_are_paris_aws_production_and_a_network():
    assert deployment({}) == Deployment(network=NetworkPlan())
    assert Deployment().target is Target.AWS
    assert Deployment().environment is Environment.PRODUCTION
    assert Deployment().region == "eu-west-3"


def test_each_key_is_explained_where_the_command_starts():
    for key, meaning in KEYS.items():
        assert f"    {key}: {meaning.split()[0]}" in (infra.app.__doc__ or ""), key


@pytest.mark.parametrize("region", EEA_REGIONS)
def test_a_region_of_the_eea_is_accepted(region):
    assert deployment({"region": region}).region == region


@pytest.mark.parametrize("region", ["us-east-1", "eu-west-2", "eu-central-2", "eu-west-9"])
def test_a_region_outside_the_eea_is_refused_by_name(region):
    with pytest.raises(RefusedContextError, match=f"{region}.*European Economic Area"):
        deployment({"region": region})


@pytest.mark.parametrize(
    "context",
    [
        {"name": "PFI"},
        {"name": "p"},
        {"name": "9pfi"},
        {"name": "pfi_test"},
        {"name": "hôpital"},
        {"name": "a" * 25},
        {"target": "azure"},
        {"retention": "month"},
        {"retention": "-1"},
        {"concurrency": "1"},
        {"concurrency": "1001"},
        {"push_concurrency": "1"},
        {"environment": "prod"},
        {"environment": "test"},  # its name does not say so
        {"name": "pfi-test"},
        {"name": "pfi-guard"},
        {"name": "pfi-network"},
        {"name": "pfi-queries"},
        {"name": "pfi-feed"},
        {"collect": "maybe"},
        {"retention_traces": "100"},
        {"retention_audit": "0"},
        {"nat": "two"},
        {"zones": "4"},
        {"vpc_cidr": "8.8.8.0/24"},
        {"vpc_cidr": "10.0.0.0/8"},
        {"imap": "203.0.113.10"},
        {"imap": "203.0.113.10/32:0"},
        {"imap": "imap.example:143"},
        {"imap": "0.0.0.0/0:143"},
        {"dpi": "10.20.0.5/32:2575"},  # private, and no link
        {"dpi": "10.76.0.5/32:2575", "link": "direct-connect", "hospital": "10.76.0.0/16"},
        {"link": "vpn"},
        {"link": "vpn", "hospital": "10.20.0.0/16"},
        {"hospital": "10.20.0.0/16"},
        {"malware": "yes"},
        {"audit_lock": "none"},
        {"budget": "many"},
        {"thresholds": "nowhere.json"},
        {"thresholds": {"unheard_of": 1}},
        {"thresholds": {"poll_age_s": -1}},
        {"thresholds": {"poll_age_s": "300"}},
        {"thresholds": {"certificate_urgent_days": 40}},
        {"thresholds": "[1]"},
    ],
)
def test_a_context_that_cannot_work_is_refused(context):
    with pytest.raises(RefusedContextError):
        deployment(context)


def test_the_context_of_a_command_line_is_text():
    asked = {"target": "local", "retention": "7", "concurrency": "4", "collect": "off"}
    assert deployment(asked) == Deployment(
        target=Target.LOCAL,
        environment=Environment.TEST,
        concurrency=4,
        collect=False,
        retention=Retention(mail_days=7),
        guard=GuardPlan(compliance=False),
    )


def test_peers_are_text_with_commas_or_a_list():
    expected = (Peer(cidr("203.0.113.10"), 143), Peer(cidr("203.0.113.0/28"), 993))
    for given in (
        "203.0.113.10/32:143, 203.0.113.0/28:993",
        ["203.0.113.10:143", "203.0.113.0/28:993"],
    ):
        plan = deployment({"imap": given}).network
        assert plan is not None
        assert plan.of("collect") == expected


def test_a_hospital_behind_a_link_is_not_reached_over_the_internet():
    plan = NetworkPlan(
        imap=(Peer.read("203.0.113.10/32:143"),),
        dpi=(Peer.read("10.20.0.5/32:2575"),),
        link=Link.DIRECT_CONNECT,
        hospital=(cidr("10.20.0.0/16"),),
    )
    assert plan.over_internet == (cidr("203.0.113.10/32"),)


def test_subnets_fit_into_the_smallest_and_the_largest_vpc():
    for network in ("10.76.0.0/24", "10.76.0.0/16"):
        plan = NetworkPlan(cidr=cidr(network), zones=3)
        subnets = [*plan.private_subnets, *plan.public_subnets]
        assert len(subnets) == 6
        assert all(each.subnet_of(plan.cidr) for each in subnets)
        assert not any(a.overlaps(b) for a in subnets for b in subnets if a is not b)
        assert all(each.prefixlen <= 28 for each in subnets)  # the least AWS accepts


def test_thresholds_may_stand_in_a_file(tmp_path):
    file = tmp_path / "thresholds.json"
    file.write_text('{"queue_age_s": 1200}')
    assert thresholds(str(file)) == Thresholds(queue_age_s=1200)
    assert thresholds(None) == Thresholds()


def test_a_production_trail_is_locked_against_everybody():
    assert deployment({}).guard.compliance
    assert not deployment({"environment": "test", "name": "pfi-test"}).guard.compliance
    assert not deployment({"audit_lock": "governance"}).guard.compliance


@pytest.mark.parametrize(
    "path", sorted((ROOT / "infra" / "aws").glob("*.py")), ids=lambda p: p.name
)
def test_the_stacks_name_the_code_by_path_only(path: Path):
    imported = {
        name.split(".")[0]
        for node in ast.walk(ast.parse(path.read_text()))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert not imported & {"pfi", "functions", "boto3"}
