"""Which page of `docs/operate` is read when which alarm rings.

An alarm without a page cannot be made (`page_of`), and `tests/infra` compares this list with the
synthesised stacks: neither an alarm nor a page is left alone.
"""

from collections.abc import Mapping
from typing import Final

from infra.aws.names import CERTIFICATES, CLOCKED, QUEUED, STEPS

FOLDER: Final = "docs/operate"
LEVELS: Final = ("notice", "warning", "urgent")
"""A certificate rings three times before it ends."""

RUNBOOKS: Final[Mapping[str, tuple[str, ...]]] = {
    "review.md": ("review",),
    "outcome-unknown.md": ("outcome-unknown",),
    "unaccounted.md": ("unaccounted", "unproven"),
    "misconfigured.md": ("misconfigured",),
    "poll-age.md": ("poll-age",),
    "feed-age.md": ("feed-age",),
    "step-age.md": (*(f"{step}-age" for step in QUEUED), "push-waiting"),
    "step-failing.md": tuple(f"{step}-failing" for step in STEPS),
    "step-dlq.md": tuple(f"{step}-dlq" for step in QUEUED),
    "function-errors.md": tuple(f"{step}-errors" for step in STEPS),
    "function-throttles.md": tuple(f"{step}-throttles" for step in STEPS if step not in CLOCKED),
    "certificate.md": tuple(f"certificate-{p}-{level}" for p in CERTIFICATES for level in LEVELS),
    "crl.md": tuple(f"crl-{peer}" for peer in CERTIFICATES),
    "break-glass.md": ("break-glass",),
}
"""Alarms without the name of the installation, by page."""
BUDGET_PAGE: Final = "budget.md"
"""A budget is no alarm of CloudWatch: it writes to the topic by itself, in words of AWS."""


def page_of(alarm: str) -> str:
    """Path of the page of an alarm; a lane of `push` has that of its step."""
    if alarm.startswith("push-") and alarm.endswith("-age"):
        alarm = "push-age"
    found = [page for page, alarms in RUNBOOKS.items() if alarm in alarms]
    if not found:
        raise LookupError(f"alarm {alarm}: no page in {FOLDER}")
    return f"{FOLDER}/{found[0]}"


def described(alarm: str, sentence: str) -> str:
    """What the alarm says in French, and where to read on."""
    return f"{sentence} Voir {page_of(alarm)}."
