"""Take an installation down, when nothing is under way in it; say what retention keeps.

What CloudFormation keeps is read from the stack's own template, so that this page cannot drift.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from botocore.exceptions import ClientError

from infra.operations.account import OperationRefused, Stack, fault_code, find_stack
from infra.operations.flight import in_flight
from infra.operations.journal import journal_of
from infra.operations.switches import is_open, turn

PATIENCE_S: Final = 1800.0
_PAUSE_S: Final = 2.0
_KEPT: Final = frozenset({"Retain", "RetainExceptOnCreate"})
_WORDS: Final = {
    "AWS::S3::Bucket": "espace de stockage (courriels, documents, traces d'accès)",
    "AWS::DynamoDB::Table": "table (registre ou patients)",
    "AWS::KMS::Key": "clé de chiffrement, sans laquelle le reste est illisible",
    "AWS::Logs::LogGroup": "journal technique, effacé après six mois",
    "AWS::SecretsManager::Secret": "secret (certificats, mots de passe)",
    "AWS::CloudTrail::Trail": "traces d'accès",
}


@dataclass(frozen=True, slots=True)
class Kept:
    """One resource that outlives the stack."""

    kind: str
    name: str

    @property
    def words(self) -> str:
        """What it is, in French."""
        return _WORDS.get(self.kind, self.kind)


def kept_by_retention(stack: Stack) -> Iterator[Kept]:
    """What will stay in the account after the stack is gone."""
    client = stack.client("cloudformation")
    template: Any = client.get_template(StackName=stack.name)["TemplateBody"]
    resources = template["Resources"] if isinstance(template, dict) else {}
    pages = client.get_paginator("list_stack_resources").paginate(StackName=stack.name)
    for page in pages:
        for each in page["StackResourceSummaries"]:
            definition = resources.get(each["LogicalResourceId"], {})
            if definition.get("DeletionPolicy") in _KEPT:
                yield Kept(each["ResourceType"], each.get("PhysicalResourceId", ""))


def destroy(stack: Stack, progress: Callable[[str], None]) -> tuple[Kept, ...]:
    """Refuse while something is in flight; else delete the stack and return what stays."""
    _refuse_in_flight(stack)
    was_open = is_open(stack, "collect")
    list(turn(stack, ("collect",), opened=False, reason="pfi destroy"))
    try:
        _refuse_in_flight(stack)  # a poll may have ended in between
    except OperationRefused:
        if was_open:
            list(turn(stack, ("collect",), opened=True, reason="pfi destroy refusé"))
        raise
    kept = tuple(kept_by_retention(stack))
    journal_of(stack).record("destroy", stack.account.who())
    if not kept:
        _empty(stack)
    progress("Destruction de la pile…")
    client = stack.client("cloudformation")
    client.update_termination_protection(StackName=stack.name, EnableTerminationProtection=False)
    client.delete_stack(StackName=stack.name)
    _wait(stack)
    return kept


def _refuse_in_flight(stack: Stack) -> None:
    flight = in_flight(stack)
    if not flight.empty:
        raise OperationRefused("rien n'a été détruit :\n  " + "\n  ".join(flight.sentences()))


def _empty(stack: Stack) -> None:
    """Where nothing is kept (a laptop), CloudFormation still refuses to delete a full bucket."""
    s3, bucket = stack.client("s3"), stack.output("BucketName")
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
        for each in (*page.get("Versions", ()), *page.get("DeleteMarkers", ())):
            s3.delete_object(Bucket=bucket, Key=each["Key"], VersionId=each["VersionId"])


def _wait(stack: Stack) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            found = find_stack(stack.account, stack.name)
        except ClientError as fault:
            raise OperationRefused(f"suivi impossible ({fault_code(fault)})") from None
        if found is None:
            return
        if found.status.endswith("_FAILED") or time.monotonic() > deadline:
            raise OperationRefused(
                f"la pile « {stack.name} » est en {found.status} : voir CloudFormation"
            )
        time.sleep(_PAUSE_S)
