"""The three things a function is made of, as folders under ``.build/``, without Docker.

Everything is laid out in plain Python before CDK sees it. CDK's own bundling is not used: its
asset cache does not look at the local bundler, so several assets with one source path silently
become one zip (aws/aws-cdk issue 24436). A folder carries the digest of its content in its name;
it is made aside and renamed, so two synths at once cannot see half of one.
"""

import hashlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from infra.aws.names import LAYER_PLATFORM, PYTHON

ROOT: Final = Path(__file__).resolve().parents[2]
LOCK: Final = "requirements-function.txt"
OF_THE_RUNTIME: Final = frozenset(
    {"boto3", "botocore", "python-dateutil", "s3transfer", "six", "urllib3"}
)
"""Locked, so that the types and the tests agree on a version, but brought by the Lambda runtime:
25 MB less in each cold start. jmespath stays in: Powertools asks for it too."""


@dataclass(frozen=True, slots=True)
class Asset:
    """A folder ready to be zipped, and the digest that names its content."""

    folder: Path
    digest: str


def functions(root: Path = ROOT) -> Asset:
    """The package `functions` whole: handlers are ten lines each and share one zip on purpose."""
    return _laid_out(root, "functions", Path("functions"))


def shared(root: Path = ROOT) -> Asset:
    """The layer that Lambda mounts as ``/opt``: `pfi` under ``python/``."""
    return _laid_out(root, "shared", Path("python"))


def dependencies(root: Path = ROOT) -> Asset:
    """The layer of third-party wheels for the runtime's ABI, from the hash lock.

    Source distributions are refused, so nothing is compiled (or executed) on the machine that
    deploys, and the host's own wheels cannot slip in.
    """
    wanted = _wanted((root / LOCK).read_text(encoding="utf-8"))
    digest = hashlib.sha256(f"{wanted}{PYTHON} {LAYER_PLATFORM}".encode()).hexdigest()
    folder = root / ".build" / f"layer-{digest[:16]}"
    if not folder.exists():
        with tempfile.TemporaryDirectory(dir=_made(folder.parent)) as aside:
            lock = Path(aside) / "lock.txt"
            lock.write_text(wanted, encoding="utf-8")
            _install(lock, Path(aside) / "layer" / "python")
            _settle(Path(aside) / "layer", folder)
    return Asset(folder, digest)


def _wanted(lock: str) -> str:
    """The lock without its comments and without what the runtime brings."""
    kept, keeping = [], False
    for line in lock.splitlines(keepends=True):
        if line.lstrip().startswith("#"):
            continue
        if not line.startswith(" "):
            keeping = line.partition("==")[0] not in OF_THE_RUNTIME
        if keeping:
            kept.append(line)
    return "".join(kept)


def _install(lock: Path, target: Path) -> None:
    command = [_uv(), "pip", "install", "--quiet", "--no-config", "--target", str(target)]
    command += ["--python-platform", LAYER_PLATFORM, "--python-version", PYTHON]
    command += ["--only-binary", ":all:", "--require-hashes", "--no-deps", "-r", str(lock)]
    subprocess.run(command, check=True)  # noqa: S603 (fixed words and our own paths)


def _uv() -> str:
    from uv import find_uv_bin  # noqa: PLC0415 (only the AWS target needs it)

    return find_uv_bin()


def _laid_out(root: Path, source: str, inside: Path) -> Asset:
    files = sorted(_sources(root / source))
    digest = hashlib.sha256()
    for path in files:
        content = path.read_bytes()
        digest.update(f"{path.relative_to(root).as_posix()} {len(content)}\n".encode() + content)
    folder = root / ".build" / f"{source}-{digest.hexdigest()[:16]}"
    if not folder.exists():
        with tempfile.TemporaryDirectory(dir=_made(folder.parent)) as aside:
            for path in files:
                copy = Path(aside) / "made" / inside / path.relative_to(root / source)
                shutil.copyfile(path, _made(copy.parent) / copy.name)
            _settle(Path(aside) / "made", folder)
    return Asset(folder, digest.hexdigest())


def _sources(folder: Path) -> Iterator[Path]:
    """What may run: no byte code (it would make the digest depend on the machine), no dot file."""
    for path in folder.rglob("*"):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.is_file() and not hidden and "__pycache__" not in path.parts:
            yield path


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _settle(made: Path, folder: Path) -> None:
    """Give the folder its name; another synth may have been quicker with the same content.

    Modes first: under a strict umask the zip would hold files that Lambda's user cannot read.
    """
    for path in (made, *made.rglob("*")):
        path.chmod(0o755 if path.is_dir() else path.stat().st_mode | 0o444)
    try:
        made.rename(folder)
    except OSError:
        if not folder.exists():
            raise
