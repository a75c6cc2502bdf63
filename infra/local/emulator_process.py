"""The process of the emulator: ministack, with what a laptop and a test run need besides.

Started by path (never imported as part of the application) by `infra.local.emulator`, with a
cleaned environment. It touches private names of ministack, hence the pinned version and the
tests in `tests/contracts/test_emulator_probe.py`, which are the gate of every upgrade.
"""

from __future__ import annotations

import fcntl
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FunctionType, ModuleType
from typing import IO, Any

SNAPSHOT_SECONDS = 3.0
GRACE_SECONDS = 8.0
FOLDER_TAKEN = 3
"""Exit code: another emulator already keeps its state in this folder."""

Save = Callable[[Mapping[str, Callable[[], Any]]], None]


def hold(folder: Path) -> IO[str]:
    """Lock the folder for the life of this process: two emulators would mix their states."""
    lock = (folder / "lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        sys.exit(FOLDER_TAKEN)
    return lock


def end_with_parent() -> None:
    """End when the parent's pipe closes, however the parent ended (kill -9 included)."""
    sys.stdin.buffer.read()
    os.killpg(0, signal.SIGTERM)
    time.sleep(GRACE_SECONDS)
    os.killpg(0, signal.SIGKILL)


def one_save_at_a_time(save: Save) -> Save:
    """Snapshot and final save share temporary names: they must not overlap."""
    lock = threading.Lock()

    def saved(services: Mapping[str, Callable[[], Any]]) -> None:
        with lock:
            save(services)

    return saved


def snapshot_forever(emulator: ModuleType) -> None:
    """ministack saves on a clean stop only; a kill -9 would lose the queues but keep the objects.

    The pause grows with the cost, so that a large state never takes more than a tenth of a core.
    """
    pause = SNAPSHOT_SECONDS
    while True:
        time.sleep(pause)
        began = time.monotonic()
        emulator.save_all(emulator._build_persistence_save_dict())
        pause = max(SNAPSHOT_SECONDS, 9 * (time.monotonic() - began))


def judge_alarms_by_dimension(cloudwatch: ModuleType) -> None:
    """ministack 1.5.33 pools all points of a metric name, whatever their dimensions.

    The depth of a working queue would then ring the alarm of every dead-letter queue: show its
    evaluation only the points of the alarm's own dimensions.
    """
    pooled = cloudwatch._evaluate_alarm

    def evaluate(alarm: Mapping[str, Any]) -> None:
        wanted = dimensions(alarm.get("Dimensions"))
        own = {
            key: points
            for key, points in cloudwatch._metrics.items()
            if points and dimensions(points[0].get("Dimensions")) == wanted
        }
        FunctionType(pooled.__code__, {**vars(cloudwatch), "_metrics": own})(alarm)

    setattr(cloudwatch, "_evaluate_alarm", evaluate)  # noqa: B010  (a module, to the type checker)


def dimensions(given: Any) -> dict[str, str]:
    """Dimensions as a mapping: alarms may keep a list of Name/Value, points keep a mapping."""
    if isinstance(given, Mapping):
        return {str(name): str(value) for name, value in given.items()}
    return {str(pair["Name"]): str(pair["Value"]) for pair in given or ()}


def main() -> None:
    """Run the emulator until SIGTERM or the end of the parent."""
    lock = hold(Path(os.environ["STATE_DIR"]).parent)
    threading.Thread(target=end_with_parent, daemon=True).start()
    from ministack import app  # noqa: PLC0415  (reads the environment, and only after the lock)
    from ministack.services import cloudwatch  # noqa: PLC0415 (after its environment is set)

    judge_alarms_by_dimension(cloudwatch)
    app.save_all = one_save_at_a_time(app.save_all)
    threading.Thread(target=snapshot_forever, args=(app,), daemon=True).start()
    app.main()
    lock.close()


if __name__ == "__main__":
    main()
