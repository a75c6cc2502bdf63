"""Runs the targets one after the other, and one failing input again.

`python -m tests.fuzz.run run SECONDS [TARGET…]` fuzzes each target that long;
`python -m tests.fuzz.run again TARGET FILE` runs one saved input, without atheris.
"""

import subprocess
import sys
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from tests.fuzz.targets import TARGETS

ROOT: Final = Path(__file__).parents[2]
FOLDER: Final = ROOT / ".build" / "fuzz"
MISSING: Final = (
    f"[fuzz] atheris cannot be installed on Python {sys.version_info[0]}.{sys.version_info[1]}:"
    " use 3.11, 3.12 or 3.13 (make install PYTHON=python3.13)"
)


@dataclass(frozen=True, slots=True)
class Ended:
    """How the run of one target ended; `inputs` are the failing ones that were saved."""

    target: str
    status: int
    inputs: tuple[Path, ...]
    log: str

    @property
    def passed(self) -> bool:
        """No exception, no bound left."""
        return self.status == 0 and not self.inputs

    @property
    def told(self) -> str:
        """One line when all is well; else the end of the log, and how to see it again."""
        if self.passed:
            done = [line for line in self.log.splitlines() if line.startswith(("Done", "stat::"))]
            return f"[fuzz] {self.target}: {' '.join(done) or 'done'}"
        lines = [f"[fuzz] {self.target}: FAILED", *self.log.splitlines()[-40:]]
        return "\n".join([*lines, *(again(self.target, each) for each in self.inputs)])


def available() -> bool:
    """True where atheris is installed: it has no wheel for the newest Python."""
    return find_spec("atheris") is not None


def again(target: str, saved: Path) -> str:
    """The command that runs a saved input once more."""
    return f"[fuzz] reproduce: {sys.executable} -m tests.fuzz.run again {target} {saved}"


def fuzz(target: str, folder: Path, *flags: str) -> Ended:
    """Fuzz one target in a new process; what fails is saved under `folder`."""
    failures = folder / f"{target}-failures"
    failures.mkdir(parents=True, exist_ok=True)
    known = set(failures.iterdir())
    prefix = f"-artifact_prefix={failures}/"
    child = [sys.executable, "-m", "tests.fuzz.process", target, str(folder / target), prefix]
    done = subprocess.run(
        [*child, *flags], cwd=ROOT, check=False, text=True, errors="replace",
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    found = tuple(sorted(set(failures.iterdir()) - known))
    return Ended(target, done.returncode, found, done.stdout)


def run(seconds: int, targets: list[str]) -> int:
    """Each target for so many seconds; 1 when one failed. The corpus grows from run to run."""
    if not available():
        _say(MISSING)
        return 2
    failed = 0
    for target in targets or list(TARGETS):
        started = time.monotonic()
        flags = (f"-max_total_time={seconds}", "-print_final_stats=1", "-rss_limit_mb=2000")
        ended = fuzz(target, FOLDER, *flags)
        _say(f"{ended.told} ({time.monotonic() - started:.0f} s)")
        failed += not ended.passed
    return int(failed > 0)


def replay(target: str, saved: Path) -> int:
    """One input, uninstrumented: its exception comes out as it is."""
    accepted = TARGETS[target].check(saved.read_bytes())
    _say(f"[fuzz] {target}: {'a value' if accepted else 'a refusal'}")
    return 0


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    if sys.argv[1] == "again":
        sys.exit(replay(sys.argv[2], Path(sys.argv[3])))
    sys.exit(run(int(sys.argv[2]), sys.argv[3:]))
