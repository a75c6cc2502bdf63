"""The AWS account that a command works in, and the installed stack as CloudFormation tells it.

The caller's own credentials and region, by boto3's chain; or an emulator named by
``AWS_ENDPOINT_URL``, spoken to without proxies.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from infra.local.aws import arguments
from pfi.errors import PfiError

_CONFIG: Final = Config(
    retries={"mode": "standard", "max_attempts": 4}, connect_timeout=5, read_timeout=60
)
_TRUST: Final = ("AWS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS")
_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})


class OperationRefused(Exception):
    """An operation that must not or cannot be done; the text is French, for the console."""


class Account:
    """Clients of one account, made when asked for and closed at the end of the block."""

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        """`environment` names an emulator; None is the caller's own environment."""
        given = os.environ if environment is None else environment
        self.environment: Mapping[str, str] = given
        self.emulated = urlsplit(given.get("AWS_ENDPOINT_URL", "")).hostname in _LOOPBACK
        self._clients: dict[str, Any] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        for client in self._clients.values():
            client.close()

    def client(self, service: str) -> Any:
        """The client of a service."""
        if service not in self._clients:
            self._clients[service] = self._made(service)
        return self._clients[service]

    def _made(self, service: str) -> Any:
        if self.emulated:
            known = arguments(_complete(self.environment))
            return boto3.client(service, **known)  # type: ignore[call-overload]  # as below
        try:
            return boto3.client(service, config=_CONFIG)  # type: ignore[call-overload]  # per service
        except BotoCoreError as fault:
            raise OperationRefused(_unreached(type(fault).__name__)) from None

    @property
    def region(self) -> str:
        """The region that the clients speak to."""
        return str(self.client("cloudformation").meta.region_name)

    def emulator_environment(self) -> dict[str, str]:
        """What the tools of the laptop need to speak to this emulator."""
        given = _complete(self.environment)
        return {**given, "AWS_DEFAULT_REGION": given["AWS_REGION"]}

    def who(self) -> str:
        """Who runs the command, in the account's own words: for the journal."""
        try:
            return str(self.client("sts").get_caller_identity()["Arn"])
        except (BotoCoreError, ClientError) as fault:
            raise OperationRefused(_unreached(fault_code(fault))) from None


_MISSING: Final = {
    "NoRegionError": "région absente (AWS_DEFAULT_REGION=eu-west-3) ; pour un poste : "
    "--folder .local",
    "NoCredentialsError": "aucun accès à AWS ici (aws configure, AWS_PROFILE) ; pour un poste : "
    "--folder .local",
}


def _unreached(code: str) -> str:
    return (
        f"compte AWS inaccessible : {_MISSING[code]}"
        if code in _MISSING
        else (f"compte AWS inaccessible ({code})")
    )


def _complete(environment: Mapping[str, str]) -> dict[str, str]:
    """An emulator accepts any key; one that names no account gets the emulator's own."""
    region = environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION") or "eu-west-3"
    return {
        "AWS_ENDPOINT_URL": environment["AWS_ENDPOINT_URL"],
        "AWS_ACCESS_KEY_ID": environment.get("AWS_ACCESS_KEY_ID", "000000000000"),
        "AWS_SECRET_ACCESS_KEY": environment.get("AWS_SECRET_ACCESS_KEY", "test"),
        "AWS_REGION": region,
        **{name: environment[name] for name in _TRUST if name in environment},
    }


def fault_code(fault: BotoCoreError | ClientError) -> str:
    """The code of an AWS refusal: its message may quote what was sent."""
    if isinstance(fault, ClientError):
        return str(fault.response["Error"]["Code"])
    return type(fault).__name__


@dataclass(frozen=True, slots=True)
class Stack:
    """An installed stack."""

    account: Account
    name: str
    outputs: Mapping[str, str]
    status: str = ""

    def client(self, service: str) -> Any:
        """The client of a service in the stack's account."""
        return self.account.client(service)

    def output(self, key: str) -> str:
        """One output; an older stack may lack it."""
        try:
            return self.outputs[key]
        except KeyError:
            raise OperationRefused(
                f"la pile « {self.name} » n'a pas la sortie {key} : mettez-la à jour (pfi deploy)"
            ) from None


def find_stack(account: Account, name: str) -> Stack | None:
    """The stack of that name, None when there is none (or no more)."""
    try:
        found = account.client("cloudformation").describe_stacks(StackName=name)["Stacks"]
    except ClientError as fault:
        if fault_code(fault) == "ValidationError":  # its way to say: no such stack
            return None
        raise OperationRefused(_unreached(fault_code(fault))) from None
    except BotoCoreError as fault:
        raise OperationRefused(_unreached(fault_code(fault))) from None
    if not found or found[0]["StackStatus"] == "DELETE_COMPLETE":
        return None
    outputs = {one["OutputKey"]: one["OutputValue"] for one in found[0].get("Outputs", ())}
    return Stack(account, name, outputs, found[0]["StackStatus"])


def installed_stack(account: Account, name: str) -> Stack:
    """The stack of that name, which must exist."""
    stack = find_stack(account, name)
    if stack is None:
        raise OperationRefused(f"aucune pile « {name} » dans ce compte et cette région")
    return stack


@contextmanager
def aws_faults() -> Iterator[None]:
    """What AWS or a store refuses, as a sentence for the console."""
    try:
        yield
    except (BotoCoreError, ClientError) as fault:
        operation = getattr(fault, "operation_name", "")
        raise OperationRefused(
            f"AWS refuse {operation or 'la demande'} ({fault_code(fault)})"
        ) from None
    except PfiError as fault:
        raise OperationRefused(f"opération impossible ({fault.reason.value})") from None
