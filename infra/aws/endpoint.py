"""Where the identity feed is received: a domain, its certificate, and whom it trusts."""

import re
from dataclasses import dataclass
from typing import Final

from infra.aws.refused import RefusedContextError

_DOMAIN: Final = re.compile(r"([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}")
_CERTIFICATE: Final = re.compile(r"arn:aws[a-z-]*:acm:[a-z0-9-]+:[0-9]{12}:certificate/[0-9a-f-]+")
_TRUSTSTORE: Final = re.compile(r"s3://[a-z0-9][a-z0-9.-]+/[^\s?#]+\.pem")


@dataclass(frozen=True, slots=True)
class EndpointPlan:
    """The HTTPS endpoint with mutual TLS; without a domain there is none."""

    domain: str
    certificate: str
    """ARN of the server's certificate in ACM, in the region of the stack."""
    truststore: str
    """``s3://bucket/key.pem``: the authorities that issue the clients' certificates."""
    version: str = ""
    """Of the object: a new one makes CloudFormation read the truststore again."""

    def __post_init__(self) -> None:
        for key, value, shape, expected in (
            ("domain", self.domain, _DOMAIN, "a domain name in lower case"),
            ("certificate", self.certificate, _CERTIFICATE, "arn:aws:acm:…:certificate/…"),
            ("truststore", self.truststore, _TRUSTSTORE, "s3://bucket/key.pem"),
        ):
            if not shape.fullmatch(value):
                raise RefusedContextError(f"feed_{key}: {expected}")
