"""Arguments of boto3 clients that speak to the emulator and never to an account of the user."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from botocore.config import Config

if TYPE_CHECKING:
    from collections.abc import Mapping


class ClientArguments(TypedDict):
    """Keyword arguments of `boto3.client(service, **arguments)`."""

    endpoint_url: str
    aws_access_key_id: str
    aws_secret_access_key: str
    region_name: str
    verify: str | None
    config: Config


def arguments(environment: Mapping[str, str]) -> ClientArguments:
    """From what `Emulator.environment()` gives; nothing is read from this process's own."""
    return ClientArguments(
        endpoint_url=environment["AWS_ENDPOINT_URL"],
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        region_name=environment["AWS_REGION"],
        verify=environment.get("AWS_CA_BUNDLE"),
        config=Config(
            connect_timeout=2,
            read_timeout=30,
            retries={"total_max_attempts": 3, "mode": "standard"},
            proxies={},
            max_pool_connections=20,
        ),
    )
