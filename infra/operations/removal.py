"""Take an installation down, when nothing is under way in it; say what retention keeps.

What CloudFormation keeps is read from the stacks' own templates, so that this page cannot drift.
"""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from botocore.exceptions import ClientError

from infra.operations.account import Account, OperationRefused, Stack, fault_code, find_stack
from infra.operations.flight import in_flight
from infra.operations.journal import journal_of
from infra.operations.switches import is_open, turn

PATIENCE_S: Final = 1800.0
_PAUSE_S: Final = 2.0
ORDER: Final = ("-queries", "-feed", "-guard", "", "-network")
"""Ends of the stacks' names, a stack before those whose exports it imports: CloudFormation deletes
no stack whose exports are in use. The one without an end is the core. The audit trail (guard)
watches bucket, tables and key of the core by their exports, so it cannot outlive it: it goes just
before, and what it has written stays. When the core then stays after all, `pfi deploy` brings the
trail back."""
_KEPT: Final = frozenset({"Retain", "RetainExceptOnCreate"})
_WORDS: Final = {
    "AWS::S3::Bucket": "espace de stockage (courriels, documents, traces d'accès)",
    "AWS::DynamoDB::Table": "table (registre ou patients)",
    "AWS::EC2::EIP": "adresse fixe, connue de l'opérateur, facturée tant qu'elle est gardée",
    "AWS::KMS::Key": "clé de chiffrement, sans laquelle le reste est illisible",
    "AWS::Logs::LogGroup": "journal technique, effacé après sa durée de conservation",
    "AWS::SecretsManager::Secret": "secret (certificats, mots de passe)",
    "AWS::CloudTrail::Trail": "traces d'accès",
}


@dataclass(frozen=True, slots=True)
class Kept:
    """One resource that outlives its stack."""

    kind: str
    name: str

    @property
    def words(self) -> str:
        """What it is, in French."""
        return _WORDS.get(self.kind, self.kind)


def stacks_of(account: Account, name: str) -> tuple[Stack, ...]:
    """What is left of an installation, in the order in which it can be deleted."""
    found = [find_stack(account, name + end) for end in ORDER]
    stacks = tuple(stack for stack in found if stack is not None)
    if not stacks:
        raise OperationRefused(f"aucune pile « {name} » dans ce compte et cette région")
    return stacks


def kept_by_retention(stack: Stack) -> Iterator[Kept]:
    """What will stay in the account after the stack is gone."""
    stay = kept_in(template_of(stack))
    for each in _resources(stack):
        if each["LogicalResourceId"] in stay:
            yield Kept(each["ResourceType"], each.get("PhysicalResourceId", ""))


def template_of(stack: Stack) -> dict[str, Any]:
    """The template that CloudFormation holds. One that cannot be read says nothing of what is to be
    kept, and then nothing may be destroyed."""
    found: Any = stack.client("cloudformation").get_template(StackName=stack.name)["TemplateBody"]
    if isinstance(found, str):
        try:
            found = json.loads(found)
        except ValueError:
            found = None
    if not isinstance(found, dict) or not isinstance(found.get("Resources"), dict):
        raise OperationRefused(
            f"le modèle de la pile « {stack.name} » est illisible : ce qu'elle garde n'est pas "
            "connu, rien n'a été détruit"
        )
    return found


def _resources(stack: Stack) -> Iterator[dict[str, Any]]:
    pages = stack.client("cloudformation").get_paginator("list_stack_resources")
    for page in pages.paginate(StackName=stack.name):
        yield from page["StackResourceSummaries"]


def kept_in(template: dict[str, Any]) -> dict[str, str]:
    """Logical id and type of what a template tells CloudFormation to leave behind."""
    resources = template.get("Resources", {}).items()
    return {name: each["Type"] for name, each in resources if each.get("DeletionPolicy") in _KEPT}


def destroy(account: Account, name: str, progress: Callable[[str], None]) -> tuple[Kept, ...]:
    """Refuse while something is in flight; else delete all stacks and return what stays.

    Begun and interrupted, it goes on where it was: the core may be gone already.
    """
    stacks = stacks_of(account, name)
    cores = [stack for stack in stacks if stack.name == name]
    kept = [tuple(kept_by_retention(stack)) for stack in stacks]
    for core in cores:
        _shut(core)
        journal_of(core).record("destroy", account.who())
        if _bucket_goes(core):
            _empty(core)
    for stack in stacks:
        progress(f"Destruction de la pile {stack.name}…")
        _delete(stack)
    return tuple(each for some in kept for each in some)


def _shut(stack: Stack) -> None:
    """Nothing under way, and no mail collected any more."""
    _refuse_in_flight(stack)
    was_open = is_open(stack, "collect")
    list(turn(stack, ("collect",), opened=False, reason="pfi destroy"))
    try:
        _refuse_in_flight(stack)  # a poll may have ended in between
    except OperationRefused:
        if was_open:
            list(turn(stack, ("collect",), opened=True, reason="pfi destroy refusé"))
        raise


def _refuse_in_flight(stack: Stack) -> None:
    flight = in_flight(stack)
    if not flight.empty:
        raise OperationRefused("rien n'a été détruit :\n  " + "\n  ".join(flight.sentences()))


def _bucket_goes(stack: Stack) -> bool:
    """Only where the template says in words that the bucket of the mails is deleted."""
    bucket = stack.output("BucketName")
    goes = {
        name
        for name, each in template_of(stack)["Resources"].items()
        if each["Type"] == "AWS::S3::Bucket" and each.get("DeletionPolicy") == "Delete"
    }
    return any(
        each["LogicalResourceId"] in goes and each.get("PhysicalResourceId") == bucket
        for each in _resources(stack)
    )


def _empty(stack: Stack) -> None:
    """Where nothing is kept (a laptop), CloudFormation still refuses to delete a full bucket."""
    s3, bucket = stack.client("s3"), stack.output("BucketName")
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
        for each in (*page.get("Versions", ()), *page.get("DeleteMarkers", ())):
            s3.delete_object(Bucket=bucket, Key=each["Key"], VersionId=each["VersionId"])


def _delete(stack: Stack) -> None:
    client = stack.client("cloudformation")
    client.update_termination_protection(StackName=stack.name, EnableTerminationProtection=False)
    client.delete_stack(StackName=stack.name)
    _wait(stack)


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
