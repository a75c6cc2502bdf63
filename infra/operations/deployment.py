"""`pfi deploy`: what is checked before, the deployment, what is put in place and tried after."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import version
from pathlib import Path
from typing import Final

from botocore.exceptions import BotoCoreError, ClientError

from infra.aws.context import deployment
from infra.aws.names import CERTIFICATES, LANE_RESERVED, STEPS
from infra.local import deployer
from infra.operations import cdk
from infra.operations.account import (
    Account,
    OperationRefused,
    Stack,
    fault_code,
    find_stack,
    installed_stack,
)
from infra.operations.configuration import DEPLOYED, read_back, sha256, write_settings
from infra.operations.configuration import settings_text as current_text
from infra.operations.flight import queue_depths
from infra.operations.hospital_file import Hospital
from infra.operations.journal import journal_of, utc_now
from infra.operations.secrets import certificates_of, state_of, texts_of
from infra.operations.stranding import stranded
from infra.operations.successors import sentence, successors
from infra.operations.switches import DOORS, Door, Standing, readers_at_rest, standing, turn
from pfi.edge.settings import dump_settings
from pfi.journey.settings import Settings

UNRESERVED: Final = 100
"""AWS keeps so many concurrent executions of an account for functions without a reservation."""
_BOOTSTRAP: Final = "/cdk-bootstrap/hnb659fds/version"
_NOT_IN_THE_EMULATOR: Final = frozenset(
    {"network", "vpc_cidr", "zones", "nat", "endpoints", "imap", "smtp", "dpi", "link", "hospital",
     "customer_gateway", "customer_asn", "direct_connect_gateway", "feed_domain",
     "feed_certificate", "feed_truststore", "feed_truststore_version", "malware", "audit_lock",
     "budget", "break_glass", "alarm_emails"}
)  # fmt: skip


class Grade(StrEnum):
    """How a check ended."""

    GOOD = "ok"
    TO_KNOW = "à savoir"
    BAD = "REFUS"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at before a deployment."""

    subject: str
    grade: Grade
    sentence: str


def checks(hospital: Hospital, account: Account, *, other_dpi: bool = False) -> Iterator[Check]:
    """Account, region, quota, preparation, state of the stack, certificates."""
    yield Check("compte", Grade.GOOD, account.who())
    yield _region(hospital, account)
    yield _quota(hospital, account)
    if not account.emulated:
        yield _prepared(account)
    stack = find_stack(account, hospital.deployment.name)
    yield _state(stack)
    if stack is None and (left := tuple(_left_over(hospital.deployment.name, account))):
        sentence = f"restes d'une installation retirée, à supprimer d'abord : {', '.join(left)}"
        yield Check("noms", Grade.BAD, sentence)
    if stack is not None and "MssanteSecret" in stack.outputs:
        yield from _certificates(hospital, stack)
        yield from _doors(stack)
        yield from _abandoned(hospital, stack)
        if (installed := read_back(current_text(stack))) is not None:
            yield from _stranded(installed, hospital, stack)
            yield from _renamed(installed, hospital, Grade.TO_KNOW if other_dpi else Grade.BAD)


def _region(hospital: Hospital, account: Account) -> Check:
    wanted, session = hospital.deployment.region, account.region
    if wanted == session:
        return Check("région", Grade.GOOD, wanted)
    return Check("région", Grade.BAD, f"le fichier dit {wanted}, la session AWS est en {session}")


def _quota(hospital: Hospital, account: Account) -> Check:
    """Executions that the stack reserves, plus what AWS keeps (quota of a new account: 10)."""
    place = deployment(hospital.context)
    needed = UNRESERVED + sum(place.reserved(step) or 0 for step in STEPS)
    try:
        found = account.client("lambda").get_account_settings()["AccountLimit"]
        quota = int(found["ConcurrentExecutions"])
    except (BotoCoreError, ClientError, KeyError):
        return Check("quota Lambda", Grade.TO_KNOW, "non lisible avec ces droits")
    if quota < needed:
        sentence = f"{quota} exécutions simultanées, il en faut {needed} : demander l'augmentation"
        return Check("quota Lambda", Grade.BAD, sentence + " ou reserve = false")
    return Check("quota Lambda", Grade.GOOD, f"{quota} exécutions simultanées ({needed} requises)")


def _prepared(account: Account) -> Check:
    try:
        account.client("ssm").get_parameter(Name=_BOOTSTRAP)
    except (BotoCoreError, ClientError) as fault:
        sentence = f"cdk bootstrap à faire une fois dans cette région ({fault_code(fault)})"
        return Check("préparation", Grade.BAD, sentence)
    return Check("préparation", Grade.GOOD, "compte préparé (cdk bootstrap)")


def _state(stack: Stack | None) -> Check:
    if stack is None:
        return Check("pile", Grade.GOOD, "première installation")
    if stack.status.endswith("_COMPLETE"):
        return Check("pile", Grade.GOOD, f"mise à jour ({stack.status})")
    return Check("pile", Grade.BAD, f"la pile est en {stack.status}")


def _left_over(name: str, account: Account) -> Iterator[str]:
    """What `pfi destroy` keeps and what bears a name of its own: CloudFormation would find the
    name taken in the middle of the deployment."""
    for peer in CERTIFICATES:
        try:
            yield str(
                account.client("secretsmanager").describe_secret(SecretId=f"{name}/{peer}")["Name"]
            )
        except (BotoCoreError, ClientError):
            continue
    groups = account.client("logs").describe_log_groups(logGroupNamePrefix=f"/aws/lambda/{name}-")
    named = {f"/aws/lambda/{name}-{step}" for step in STEPS}
    yield from sorted(
        each["logGroupName"] for each in groups["logGroups"] if each["logGroupName"] in named
    )


def _certificates(hospital: Hospital, stack: Stack) -> Iterator[Check]:
    """Without certificates an installation waits; with ended ones it is broken: neither blocks
    the deployment that may be needed to repair it."""
    for each in certificates_of(stack, hospital.settings):
        found = state_of(each, texts_of(stack, each), utc_now())
        if found is None:
            yield Check(f"certificat {each.id}", Grade.TO_KNOW, "à installer (pfi certificates)")
        elif found.least_days < 0 or (found.crl_hours is not None and found.crl_hours <= 0):
            yield Check(f"certificat {each.id}", Grade.TO_KNOW, "EXPIRÉ, ou sa liste de révocation")
        else:
            yield Check(f"certificat {each.id}", Grade.GOOD, f"{found.least_days:.0f} jours")


def _doors(stack: Stack) -> Iterator[Check]:
    for door in DOORS:
        match standing(stack, door):
            case Standing.SHUT:
                yield Check(door, Grade.TO_KNOW, "en pause, et le reste (pfi resume)")
            case Standing.MIXED:
                sentence = "en partie en pause : pfi pause pour l'arrêter, pfi resume pour l'ouvrir"
                yield Check(door, Grade.TO_KNOW, sentence)


def _abandoned(hospital: Hospital, stack: Stack) -> Iterator[Check]:
    """The lane of a DPI that left the file goes with it: not before it is empty."""
    lane = f"{stack.name}-push-"
    kept = {f"{lane}{each}" for each in (*LANE_RESERVED, *(dpi.id for dpi in hospital.dpis))}
    for queue, count in queue_depths(stack).items():
        if queue.startswith(lane) and queue not in kept and count:
            sentence = f"{count} message(s) pour un DPI absent du fichier : attendre leur fin"
            yield Check(f"file {queue}", Grade.BAD, sentence)


def _stranded(installed: Settings, hospital: Hospital, stack: Stack) -> Iterator[Check]:
    """A deployment writes the settings too."""
    if found := stranded(installed, hospital.settings, stack):
        yield Check("courriels en cours", Grade.BAD, found)


def _renamed(installed: Settings, hospital: Hospital, grade: Grade) -> Iterator[Check]:
    """A DPI under a new id would get its documents a second time."""
    if pairs := list(successors(installed, hospital.settings)):
        yield Check("DPI renommé", grade, sentence(pairs))


def deploy(
    hospital: Hospital, account: Account, work: Path, progress: Callable[[str], None]
) -> Stack:
    """Deploy, then put the settings in place; the act goes into the journal.

    What was in pause stays so: the source of a new lane is born open, and is shut before settings
    name its DPI.
    """
    before_it = find_stack(account, hospital.deployment.name)
    shut = _shut_doors(before_it) if before_it else ()
    with readers_at_rest(before_it):
        if account.emulated:
            _into_the_emulator(hospital, account, work, progress)
        else:
            words = ("deploy", "--all", "--require-approval", "never")
            cdk.run(words, {"target": "aws", **hospital.context}, work)
    stack = installed_stack(account, hospital.deployment.name)
    list(turn(stack, shut, opened=False, reason="pfi deploy"))
    text = dump_settings(hospital.settings)
    before = sha256(current_text(stack))
    write_settings(stack, text)
    journal_of(stack).record(
        DEPLOYED,
        account.who(),
        before=before,
        after=sha256(text),
        detail=(f"version={version('pfi')}", *_context_words(hospital)),
    )
    return stack


def _shut_doors(stack: Stack) -> tuple[Door, ...]:
    """Of a stack whose first deployment failed there may be no door yet."""
    if "FunctionPush" not in stack.outputs:
        return ()
    return tuple(door for door in DOORS if standing(stack, door) is Standing.SHUT)


def _context_words(hospital: Hospital) -> tuple[str, ...]:
    return tuple(f"{key}={value}" for key, value in hospital.context.items())


def difference(hospital: Hospital, account: Account, work: Path) -> None:
    """What a deployment would change, in the words of CDK."""
    if account.emulated:
        raise OperationRefused("pas de comparaison avec l'émulateur")
    cdk.run(("diff", "--all"), {"target": "aws", **hospital.context}, work)


def _into_the_emulator(
    hospital: Hospital, account: Account, work: Path, progress: Callable[[str], None]
) -> None:
    context = {
        key: value for key, value in hospital.context.items() if key not in _NOT_IN_THE_EMULATOR
    }
    try:
        deployer.deploy(
            account.emulator_environment(),
            {**context, "target": "local"},
            work / "outputs.json",
            progress,
        )
    except deployer.DeploymentFailed as failed:
        raise OperationRefused(str(failed)) from None
