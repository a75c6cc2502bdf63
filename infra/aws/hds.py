"""`python -m infra.aws.hds` writes the pages of docs that state facts of the stacks.

Where a fact lives in a template, no hand may write it: a test compares the committed pages with
what the stacks say today (HDS: location of data, exigence 28; PGSSI-S: traces; tenders: flows).
"""

import os
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from infra.aws.inventory import EXAMPLE, Inventory, Resource, inventory, word
from infra.aws.names import EEA_REGIONS
from infra.aws.packaging import ROOT
from infra.aws.retention import QUEUE_DAYS, RECOVERY_DAYS

HEAD: Final = "<!-- Written by `python -m infra.aws.hds`; do not edit. -->\n\n"
DOCS: Final = ROOT / "docs"

STORES: Final = {
    "Mails": "raw mails, CDA documents, patient traits read from them",
    "AccessLogs": "who read which object: digests only",
    "AuditBucket": "audit trail: who read or wrote what",
    "Ledger": "state of each mail and document: digests, codes, addresses of mailboxes",
    "Patients": "identities of the hospital's patients (INS, traits, IPP)",
    "MssanteSecret": "certificate and key for the MSSanté operator",
    "DpiSecret": "certificate and key for the DPI",
    "Settings": "settings: addresses of mailboxes and servers, no patient",
}


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join(f"| {' | '.join(str(c).replace('|', '/') for c in line)} |\n" for line in lines)


def data_location(found: Inventory) -> str:
    """Where data is stored, under which key."""
    rows = [
        (each.name, _kind(each), what, _key(each), each.stack)
        for name, what in STORES.items()
        if (each := found.one(name))
    ]
    rows += [
        (word(q.properties["QueueName"]), "SQS queue", "identifiers of jobs only", _key(q), q.stack)
        for q in found.of("AWS::SQS::Queue")
    ]
    rows += [
        (word(g.properties["LogGroupName"]), "log group", "codes and digests", _key(g), g.stack)
        for g in found.of("AWS::Logs::LogGroup")
    ]
    return (
        "# Where data is stored\n\n"
        "Every store is in the one region that the installation was deployed to; the synthesis and "
        f"the template refuse any other than: {', '.join(EEA_REGIONS)} (HDS, exigence 28). Nothing "
        "is replicated to another region.\n\n"
        + table(("store", "kind", "holds", "key", "stack"), rows)
    )


_TABLES: Final = ("Ledger", "Patients")


def retention(found: Inventory) -> str:
    """How long each store keeps what it holds."""
    rows: list[Sequence[object]] = []
    for name in ("Mails", "AccessLogs", "AuditBucket"):
        rules = found.one(name).properties["LifecycleConfiguration"]["Rules"]
        rows += [(name, rule.get("Prefix", "all"), _days(rule), _how(rule)) for rule in rules]
    lock = found.one("AuditBucket").properties["ObjectLockConfiguration"]["Rule"]
    locked = lock["DefaultRetention"]
    rows.append(("AuditBucket", "all", locked["Days"], f"Object Lock, {locked['Mode'].lower()}"))
    attribute = found.one("Ledger").properties["TimeToLiveSpecification"]["AttributeName"]
    rows.append(("Ledger", "each line", "its own date", f"time to live, `{attribute}`"))
    # The table could expire lines too, but nothing writes a date into them.
    rows.append(("Patients", "each line", "no limit", "replaced or removed by the hospital"))
    rows += [(name, "backups", RECOVERY_DAYS, "point-in-time recovery") for name in _TABLES]
    rows.append(("all queues", "jobs", QUEUE_DAYS, "SQS"))
    rows += [
        (word(g.properties["LogGroupName"]), "all", g.properties["RetentionInDays"], "log group")
        for g in found.of("AWS::Logs::LogGroup")
    ]
    return (
        "# How long data is kept\n\n"
        "Days with the default context (`retention`, `retention_versions`, `retention_traces`, "
        "`retention_audit`: see `infra/app.py`). Bodies are counted from their arrival, or from "
        "their last renewal: the function `retain` renews each day those that a mail under way or "
        "in review still needs and that are half as old "
        "([why](../decisions/0021-bodies-live-until-the-end.md)). The product writes the date of a "
        "line of the ledger (`ledger_days` of its settings, 400).\n\n"
        + table(("store", "part", "days", "by"), rows)
    )


def flows(found: Inventory) -> str:
    """Who speaks to whom: the flow matrix."""
    rows: list[Sequence[object]] = []
    for group in found.of("AWS::EC2::SecurityGroup"):
        if group.name == "EndpointGroup":
            continue
        step = group.name.removesuffix("Group").lower()
        rows += [
            (step, *_destination(rule), rule["FromPort"], rule["Description"])
            for rule in group.properties["SecurityGroupEgress"]
        ]
    exits = len(found.of("AWS::EC2::NatGateway"))
    return (
        "# Flow matrix\n\n"
        "For the example hospital (addresses of RFC 5737; its DPI behind a VPN): "
        f"`{' '.join(f'-c {k}={v}' for k, v in EXAMPLE.items())}`.\n\n"
        "All flows go out, but for one: identity messages (HL7 v2) come in over HTTPS, port 443, "
        "from clients with a certificate of the truststore, at "
        f"`{EXAMPLE['feed_domain']}` (API Gateway, mutual TLS 1.2 or newer), and only where a feed "
        "is configured. **Nothing else is open from outside.** The private subnets have no default "
        f"route: a destination that is not in this table has no way. {exits} fixed addresses are "
        "seen outside (outputs `Exit…` of the network stack). All flows are TCP; TLS 1.2 or "
        "newer, but for a DPI whose setting `tls` is off.\n\n"
        + table(("from", "to", "way", "port", "what"), rows)
        + "\nparse, match, review, certificates, prove, retain and feed stand outside the VPC: "
        "they call AWS services in the region, and `certificates` fetches revocation lists where "
        "their authority publishes them (HTTP; a list is signed).\n"
    )


def permissions(found: Inventory) -> str:
    """Role × action × resource, from the policies of the templates."""
    rows: list[Sequence[object]] = []
    for policy in found.of("AWS::IAM::Policy"):
        rows += [
            _permission(role["Ref"], statement)
            for statement in policy.properties["PolicyDocument"]["Statement"]
            for role in policy.properties["Roles"]
        ]
    return (
        "# Who may do what\n\n"
        "Every identity policy of the stacks, one line per statement. What is not listed is "
        "refused. Keys are used through a service only (`kms:ViaService`).\n\n"
        + table(("role", "effect", "actions", "resources", "condition"), sorted(rows, key=str))
    )


PAGES: Final[dict[str, Callable[[Inventory], str]]] = {
    "hds/data-location.md": data_location,
    "hds/retention.md": retention,
    "hds/flow-matrix.md": flows,
    "reference/permissions.md": permissions,
}


def pages(found: Inventory) -> dict[str, str]:
    """Path below docs → text."""
    return {path: HEAD + write(found) for path, write in PAGES.items()}


def _kind(each: Resource) -> str:
    return {
        "AWS::S3::Bucket": "S3 bucket",
        "AWS::DynamoDB::Table": "DynamoDB table",
        "AWS::SecretsManager::Secret": "secret",
        "AWS::SSM::Parameter": "SSM parameter",
    }[each.type]


def _key(each: Resource) -> str:
    text = str(each.properties)
    known = ("DataKey", "FlowKey", "AuditKey", "NetworkKey")
    named = next((key for key in known if f"'{key}'" in text or f"GetAtt{key}" in text), None)
    return f"{named} (customer key)" if named else "AWS's own"


def _days(rule: dict[str, Any]) -> object:
    noncurrent = rule.get("NoncurrentVersionExpiration", {}).get("NoncurrentDays")
    return rule.get("ExpirationInDays", noncurrent)


def _how(rule: dict[str, Any]) -> str:
    if "ExpirationInDays" not in rule:
        return "lifecycle: versions no longer current"
    return "lifecycle"


def _destination(rule: dict[str, Any]) -> tuple[str, str]:
    if "CidrIp" in rule:
        private = str(rule["CidrIp"]).startswith("10.")
        return str(rule["CidrIp"]), "VPN" if private else "NAT"
    if "DestinationPrefixListId" in rule:
        return word(rule["DestinationPrefixListId"]).removesuffix("PrefixList"), "gateway endpoint"
    return "SQS, SSM, Secrets Manager", "interface endpoints"


def _permission(role: str, statement: dict[str, Any]) -> tuple[str, ...]:
    listed = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
    resources = statement["Resource"]
    named = resources if isinstance(resources, list) else [resources]
    condition = statement.get("Condition", {})
    keys = sorted(
        f"{key} = {word(value)}" for test in condition.values() for key, value in test.items()
    )
    return (
        _role(role),
        statement["Effect"],
        "<br>".join(listed),
        "<br>".join(f"`{word(each)}`" for each in named),
        "<br>".join(keys),
    )


def _role(name: str) -> str:
    """``CollectRole5B8F44D4`` → collect; other roles keep their name without CDK's suffix."""
    step, found, _ = name.partition("Role")
    return step.lower() if found and "Emergency" not in name and step else name


def main() -> None:
    """Write the pages; name those that changed."""
    os.environ.setdefault("CDK_VALIDATION", "false")
    for path, text in pages(inventory()).items():
        page = DOCS / path
        page.parent.mkdir(parents=True, exist_ok=True)
        if not page.is_file() or page.read_text(encoding="utf-8") != text:
            page.write_text(text, encoding="utf-8")
            sys.stdout.write(f"{page.relative_to(ROOT)}\n")


if __name__ == "__main__":
    main()
