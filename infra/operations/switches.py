"""Stop and resume the two doors of an installation: the collection of mails, the push to DPIs.

While a door is shut nothing is lost: mails stay in their mailbox, jobs in their queue (14 days).
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Literal

from infra.operations.account import OperationRefused, Stack
from infra.operations.journal import journal_of

Door = Literal["collect", "push"]
DOORS: Final[tuple[Door, ...]] = ("collect", "push")
SETTLING_S: Final = 120.0
_PAUSE_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Position:
    """One door, and whether the command moved it."""

    door: Door
    opened: bool
    moved: bool


def turn(
    stack: Stack, doors: tuple[Door, ...], *, opened: bool, reason: str = ""
) -> Iterator[Position]:
    """Open or shut doors, one act in the journal for each that moved."""
    for door in doors:
        moved = is_open(stack, door) is not opened
        if moved:
            _TURN[door](stack, opened)
            action = f"{'resume' if opened else 'pause'} {door}"
            detail = (reason,) if reason else ()
            journal_of(stack).record(action, stack.account.who(), detail=detail)
        yield Position(door, opened, moved)


def is_open(stack: Stack, door: Door) -> bool:
    """What AWS says, not what the journal remembers."""
    if door == "collect":
        found = stack.client("events").describe_rule(Name=_rule(stack))
        return bool(found["State"] == "ENABLED")
    return all(state in {"Enabled", "Enabling"} for _, state in _sources(stack))


def _turn_collect(stack: Stack, opened: bool) -> None:
    events = stack.client("events")
    (events.enable_rule if opened else events.disable_rule)(Name=_rule(stack))


def _turn_push(stack: Stack, opened: bool) -> None:
    """Shut only when Lambda says so: a poller may hold messages for some seconds."""
    for uuid, _ in _sources(stack):
        stack.client("lambda").update_event_source_mapping(UUID=uuid, Enabled=opened)
    wanted = "Enabled" if opened else "Disabled"
    deadline = time.monotonic() + SETTLING_S
    while any(state != wanted for _, state in _sources(stack)):
        if time.monotonic() > deadline:
            raise OperationRefused("Lambda n'a pas confirmé le changement ; recommencez")
        time.sleep(_PAUSE_S)


_TURN: Final[dict[Door, Callable[[Stack, bool], None]]] = {
    "collect": _turn_collect,
    "push": _turn_push,
}


def _rule(stack: Stack) -> str:
    return f"{stack.name}-collect"


def _sources(stack: Stack) -> list[tuple[str, str]]:
    """Event sources of `push`: id and state."""
    pages = stack.client("lambda").get_paginator("list_event_source_mappings")
    found = [
        (str(each["UUID"]), str(each["State"]))
        for page in pages.paginate(FunctionName=stack.output("FunctionPush"))
        for each in page["EventSourceMappings"]
    ]
    if not found:
        raise OperationRefused("la fonction push n'a pas de source : mettez la pile à jour")
    return found
