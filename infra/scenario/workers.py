"""The processes in which the emulator runs functions: found by their folder, killed like a crash.

The emulator unzips each function into ``ministack-lambda-<function>-…`` and starts its worker from
there, in its own process group. Should it change its habits nothing would be found to kill, and
the scenario says so: a fault that did not come about fails it.
"""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress

from infra.local.laptop import CONTEXT


def kill_workers(group: int, step: str) -> int:
    """Kill -9 every worker of a function; how many there were."""
    killed = 0
    for pid in _workers(group, f"ministack-lambda-{CONTEXT['name']}-{step}-"):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            killed += 1
    return killed


def _workers(group: int, mark: str) -> Iterator[int]:
    listed = subprocess.run(
        ["ps", "-A", "-ww", "-o", "pid=,pgid=,args="],  # noqa: S607 - the system's own
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for line in listed.splitlines():
        pid, leader, command = line.split(maxsplit=2)
        if int(leader) == group and mark in command:
            yield int(pid)
