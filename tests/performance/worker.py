"""One implementation in a process of its own, asked over its standard input what a job costs.

    python -m tests.performance.worker IMPLEMENTATION FOLDER

The table runs its candidates round by round, each in its own process: what one of them leaves in
the allocator of the C library does not change the time of another. Each line in is a question, each
line out its answer, both JSON.
"""

import gc
import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from time import process_time
from types import TracebackType
from typing import Any, Final, Self

Job = tuple[Callable[[bytes], Any], Callable[[Any], Any]]
"""What is made of a file beforehand, and what is measured with it."""

SPEED: Final = ("isal", "pybase64")
IMPLEMENTATIONS: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "floor": ("floor", ()),
    "product": ("product_jobs", ()),
    "stdlib": ("product_jobs", SPEED),
    "common": ("ordinary", ()),
    "hl7apy": ("heavy", ()),
    "lookups": ("lookup_jobs", ()),
}
"""Module of the jobs, and modules that its process may not import."""

WARM: Final = "warm"
"""A small mail that every process has met before it is measured."""
_HELD: Final = 8
"""Prepared jobs that a process keeps: those of one round, of large mails not all at once."""
STEADY: Final = {"MALLOC_MMAP_THRESHOLD_": "33554432", "MALLOC_TRIM_THRESHOLD_": "536870912"}
"""Freed memory is used again, as in a function that has seen a few mails."""
FRUGAL: Final = {"MALLOC_MMAP_THRESHOLD_": "131072", "MALLOC_TRIM_THRESHOLD_": "131072"}
"""Freed memory goes back at once: a peak then is what was held at one time."""


class Worker:
    """The process, seen from the table."""

    def __init__(self, name: str, folder: Path, allocator: Mapping[str, str] = STEADY) -> None:
        command = [sys.executable, "-m", "tests.performance.worker", name, str(folder)]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **allocator, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.communicate()

    def ms(self, job: str, mail: str, seconds: float) -> float:
        """CPU of one call in ms, repeated for about `seconds`."""
        return float(self._ask("ms", job, mail, seconds))

    def times(self, job: str, mail: str, count: int) -> float:
        """CPU in ms of `count` calls together."""
        return float(self._ask("times", job, mail, count))

    def peak(self, job: str, mail: str) -> float:
        """Memory above idle in bytes, in a fork that does the job once."""
        return float(self._ask("peak", job, mail))

    def cost(self, job: str, mail: str) -> tuple[float, float, str]:
        """CPU in ms and bytes above idle of one call in a fork, and what it answered."""
        ms, extra, said = self._ask("cost", job, mail)
        return ms, extra, said

    def resident(self) -> float:
        """Bytes that the process holds now."""
        return float(self._ask("resident"))

    def extras(self) -> list[str]:
        """Which modules of the extra `speed` it can import."""
        return list(self._ask("extras"))

    def result(self, mail: str) -> list[Any]:
        """Traits, and digests of message and document: what all implementations must agree on."""
        found: list[Any] = self._ask("result", mail)
        return found

    def _ask(self, *question: object) -> Any:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"a measured process ended: {question}")
        return json.loads(answer)


class _Jobs:
    """What the process itself does with a question."""

    def __init__(self, module: str, folder: Path) -> None:
        self._jobs: dict[str, Job] = import_module(f"tests.performance.{module}").JOBS
        self._folder = folder
        self._ready = lru_cache(_HELD)(self._prepared)

    def _raw(self, mail: str) -> bytes:
        return (self._folder / mail).read_bytes()

    def _prepared(self, job: str, mail: str) -> Any:
        return self._jobs[job][0](self._raw(mail))

    def ms(self, job: str, mail: str, seconds: float) -> float:
        """See `Worker`."""
        run, prepared = self._jobs[job][1], self._ready(job, mail)
        gc.collect()
        count, began = 0, process_time()
        while (spent := process_time() - began) < seconds:
            for _ in range(1 + count // 10):  # the clock costs 0.3 µs
                run(prepared)
                count += 1
        return spent / count * 1000

    def times(self, job: str, mail: str, count: int) -> float:
        """See `Worker`."""
        run, prepared = self._jobs[job][1], self._ready(job, mail)
        gc.collect()
        began = process_time()
        for _ in range(count):
            run(prepared)
        return (process_time() - began) * 1000

    def peak(self, job: str, mail: str) -> float:
        """See `Worker`."""
        return self.cost(job, mail)[1]

    def cost(self, job: str, mail: str) -> tuple[float, float, str]:
        """See `Worker`."""
        answer, written = os.pipe()
        child = os.fork()
        if child == 0:
            os.write(written, json.dumps(self._alone(job, mail)).encode())
            os._exit(0)
        os.close(written)
        with open(answer, "rb") as read:  # noqa: PTH123 - a descriptor
            found = read.read()
        os.waitpid(child, 0)
        ms, extra, said = json.loads(found)
        return ms, extra, said

    def _alone(self, job: str, mail: str) -> tuple[float, float, str]:
        prepare, run = self._jobs[job]
        self._warm()
        _forget_peak()
        idle = status("VmRSS")
        began = process_time()
        said = run(prepare(self._raw(mail)))
        spent = (process_time() - began) * 1000
        return spent, status("VmHWM") - idle, said if isinstance(said, str) else ""

    def _warm(self) -> None:
        """A fork meets the code again page by page: that is nobody's cost."""
        prepare, run = self._jobs["path"]
        run(prepare(self._raw(WARM)))

    def resident(self) -> float:
        """See `Worker`."""
        gc.collect()
        return status("VmRSS")

    def extras(self) -> list[str]:
        """See `Worker`."""
        return [name for name in SPEED if _importable(name)]

    def result(self, mail: str) -> list[Any]:
        """See `Worker`."""
        prepare, run = self._jobs["path"]
        traits, pieces = run(prepare(self._raw(mail)))
        message = b"".join(pieces)
        found = re.search(rb"\^XML\^Base64\^([A-Za-z0-9+/=]*)", message)
        document = found[1] if found else b""
        return [list(traits), *(hashlib.sha256(each).hexdigest() for each in (message, document))]


def _importable(name: str) -> bool:
    try:
        import_module(name)
    except ImportError:
        return False
    return True


def _forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def status(field: str) -> float:
    """A figure of this process in bytes. The peak is the kernel's, so that C code counts."""
    found = re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found
    return int(found[1]) * 1024.0


def main() -> None:
    """Answer until the questions end."""
    name, folder = sys.argv[1:]
    module, barred = IMPLEMENTATIONS[name]
    sys.modules.update(dict.fromkeys(barred))  # type: ignore[arg-type]  # None: an ImportError
    jobs = _Jobs(module, Path(folder))
    for line in sys.stdin:
        what, *arguments = json.loads(line)
        sys.stdout.write(json.dumps(getattr(jobs, what)(*arguments)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
