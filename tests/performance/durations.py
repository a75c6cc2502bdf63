"""From CPU measured here to seconds on AWS: what is assumed is named, and stands on the page."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from infra.aws.names import STEPS
from infra.operations.capacity import JOURNEY, at_memory
from infra.operations.cost import read_prices
from tests.performance.steps import Measured


@dataclass(frozen=True, slots=True)
class Assumed:
    """Nothing of this was measured: seconds, unless said otherwise."""

    core: float = 1.0
    """Speed of one processor of Lambda (arm64), that of a core of this machine being 1."""
    invocation_s: float = 0.005
    """What Lambda's own loop takes around a job."""
    call_s: float = 0.010
    """One call of DynamoDB, S3 or SQS from a function of the same region, TLS being open."""
    store_mb_s: float = 0.015
    """A megabyte from or to S3, from a function."""
    line_mb_s: float = 0.080
    """A megabyte to or from the operator or the hospital: a line of 100 Mbit/s."""
    imap_s: float = 0.060
    """FETCH and MOVE of one mail: two round trips to the operator, and its work."""
    smtp_s: float = 0.250
    """A session of submission: TCP, TLS with a client's certificate, one mail."""
    mllp_s: float = 0.060
    """TCP and TLS handshakes with the DPI: each message has a connection of its own."""


ASSUMED: Final = Assumed()
BASE64: Final = 1.4
"""A mail that goes on whole is an attachment of another one (as in `infra.operations.cost`)."""
STORED_MB: Final = {"collect": 1, "parse": 2, "push": 1, "forward": 1}
"""How many times a mail crosses to or from S3 in a step: parse gets it and puts its document."""


def seconds(found: Measured, assumed: Assumed = ASSUMED) -> dict[str, float]:
    """Of a job of each step, without what depends on size and without the DPI's answer."""
    peers = {"collect": assumed.imap_s, "push": assumed.mllp_s, "forward": assumed.smtp_s}
    return {
        step: cpu_s(step, cost.ms, assumed)
        + assumed.invocation_s
        + cost.calls * assumed.call_s
        + peers.get(step, 0.0)
        for step, cost in found.steps.items()
    }


def seconds_per_mb(found: Measured, assumed: Assumed = ASSUMED) -> dict[str, float]:
    """Of each megabyte of the mail."""
    forwarded = read_prices().mail["forwarded"] * BASE64
    lines = {"collect": 1.0, "push": found.mail()["out_share"], "forward": forwarded}
    return {
        step: cpu_s(step, found.steps[step].own_ms_per_mb, assumed)
        + STORED_MB.get(step, 0) * assumed.store_mb_s
        + lines.get(step, 0.0) * assumed.line_mb_s
        for step in JOURNEY
    }


def cpu_s(step: str, ms: float, assumed: Assumed = ASSUMED) -> float:
    """Seconds of that work on the step's memory."""
    return at_memory(ms / 1000 / assumed.core, STEPS[step].memory)


def told(assumed: Assumed = ASSUMED) -> Mapping[str, str]:
    """Value and meaning, for the page."""
    a = assumed
    return {
        "one processor of Lambda (arm64) ÷ one core of this machine": f"{a.core:g}",
        "Lambda's own loop around a job": f"{1000 * a.invocation_s:g} ms",
        "one call of DynamoDB, S3 or SQS from a function": f"{1000 * a.call_s:g} ms",
        "a megabyte from or to S3": f"{1000 * a.store_mb_s:g} ms",
        "a megabyte to the operator or the hospital (100 Mbit/s)": f"{1000 * a.line_mb_s:g} ms",
        "IMAP, round trips of one mail": f"{1000 * a.imap_s:g} ms",
        "SMTP, session of one mail": f"{1000 * a.smtp_s:g} ms",
        "MLLP, TCP and TLS handshakes of one message": f"{1000 * a.mllp_s:g} ms",
    }
