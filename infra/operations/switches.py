"""Stop and resume the two doors of an installation: the collection of mails, the push to DPIs.

While a door is shut nothing is lost: mails stay in their mailbox, jobs in their queue (14 days).
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal, cast

from infra.operations.account import OperationRefused, Stack
from infra.operations.journal import journal_of

Door = Literal["collect", "push"]
DOORS: Final[tuple[Door, ...]] = ("collect", "push")
SETTLING_S: Final = 120.0
_PAUSE_S: Final = 1.0
_PUSH: Final = "FunctionPush"
_READERS: Final = ("FunctionParse", "FunctionMatch")


class Standing(StrEnum):
    """How a door stands. Mixed: a pause was interrupted, or a lane of `push` is new."""

    OPEN = "open"
    SHUT = "shut"
    MIXED = "mixed"


@dataclass(frozen=True, slots=True)
class Position:
    """One door, and whether the command moved it."""

    door: Door
    opened: bool
    moved: bool


def turn(
    stack: Stack, doors: tuple[Door, ...], *, opened: bool, reason: str = ""
) -> Iterator[Position]:
    """Open or shut doors, one act in the journal for each that moved. A door that stands partly
    open is always moved."""
    wanted = Standing.OPEN if opened else Standing.SHUT
    for door in doors:
        moved = standing(stack, door) is not wanted
        if moved:
            _TURN[door](stack, opened)
            action = f"{'resume' if opened else 'pause'} {door}"
            detail = (reason,) if reason else ()
            journal_of(stack).record(action, stack.account.who(), detail=detail)
        yield Position(door, opened, moved)


def is_open(stack: Stack, door: Door) -> bool:
    """Whether all of it is open."""
    return standing(stack, door) is Standing.OPEN


def standing(stack: Stack, door: Door) -> Standing:
    """What AWS says, not what the journal remembers. Shut is only what is wholly shut."""
    if door == "collect":
        found = stack.client("events").describe_rule(Name=_rule(stack))
        return Standing.OPEN if found["State"] == "ENABLED" else Standing.SHUT
    states = {state for _, state in _sources(stack, _PUSH)}
    if states <= _ON:
        return Standing.OPEN
    return Standing.SHUT if states == {"Disabled"} else Standing.MIXED


_ON: Final = frozenset({"Enabled", "Enabling"})
_OFF: Final = frozenset({"Disabled", "Disabling"})


def _turn_collect(stack: Stack, opened: bool) -> None:
    events = stack.client("events")
    (events.enable_rule if opened else events.disable_rule)(Name=_rule(stack))


@contextmanager
def readers_at_rest(stack: Stack | None) -> Iterator[None]:
    """While code and announcements change, no `parse` and no `match` works: neither reads what the
    other version of its neighbour wrote, also when the deployment is taken back. What comes waits
    in their queues. Opened whatever happened, also by the next deployment."""
    known = [each for each in _READERS if stack is not None and each in stack.outputs]
    try:
        for function in known:
            _turn_sources(cast("Stack", stack), function, opened=False)
        yield
    finally:
        for function in known:
            _turn_sources(cast("Stack", stack), function, opened=True)


def _turn_push(stack: Stack, opened: bool) -> None:
    _turn_sources(stack, _PUSH, opened=opened)


def _turn_sources(stack: Stack, function: str, *, opened: bool) -> None:
    """Shut only when Lambda says so: a poller may hold messages for some seconds."""
    for uuid, state in _sources(stack, function):
        if state not in (_ON if opened else _OFF):
            stack.client("lambda").update_event_source_mapping(UUID=uuid, Enabled=opened)
    wanted = "Enabled" if opened else "Disabled"
    deadline = time.monotonic() + SETTLING_S
    while any(state != wanted for _, state in _sources(stack, function)):
        if time.monotonic() > deadline:
            raise OperationRefused("Lambda n'a pas confirmé le changement ; recommencez")
        time.sleep(_PAUSE_S)


_TURN: Final[dict[Door, Callable[[Stack, bool], None]]] = {
    "collect": _turn_collect,
    "push": _turn_push,
}


def _rule(stack: Stack) -> str:
    return f"{stack.name}-collect"


def _sources(stack: Stack, function: str) -> list[tuple[str, str]]:
    """Event sources of a function: id and state."""
    pages = stack.client("lambda").get_paginator("list_event_source_mappings")
    found = [
        (str(each["UUID"]), str(each["State"]))
        for page in pages.paginate(FunctionName=stack.output(function))
        for each in page["EventSourceMappings"]
    ]
    if not found:
        step = function.removeprefix("Function").lower()
        raise OperationRefused(f"la fonction {step} n'a pas de source : mettez la pile à jour")
    return found
