"""The stack brought into the running emulator by the real CDK command line, as hospitals do.

What has not changed is not done again: the synthesis is kept as long as its sources are the same,
and a stack deployed from the same sources in this emulator is left alone.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import boto3
from botocore.exceptions import ClientError

from infra.local import assembly
from infra.local.aws import arguments
from infra.local.emulator import ACCOUNT, HOST, REGION
from infra.local.node import node_binary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from mypy_boto3_cloudformation.type_defs import StackTypeDef

ROOT = Path(__file__).parents[2]
CONSTRUCT = "Pfi"
"""The stack in the CDK application; its name in the account is what the context says."""
TOOLKIT = "CDKToolkit"
SOURCES = (
    "cdk.json",
    "package-lock.json",
    "requirements-function.txt",
    "infra/app.py",
    "infra/aws",
    "functions",
    "shared",
)
"""What the assembly is made of, relative to the root of the project."""
DEPLOYED = frozenset({"CREATE_COMPLETE", "UPDATE_COMPLETE"})
LIMIT_SECONDS = 300.0
"""A custom resource that cannot answer would hold a deployment for an hour."""
LAST_LINES = 30


class DeploymentFailed(RuntimeError):
    """The stack could not be deployed; the message says why, in French, for the console."""


@dataclass(frozen=True, slots=True)
class Workplace:
    """Where a deployment reads and writes; the folder of the outputs keeps everything."""

    root: Path
    construct: str
    outputs: Path

    @property
    def folder(self) -> Path:
        """The private folder of the local installation."""
        return self.outputs.absolute().parent

    @property
    def assembly(self) -> Path:
        """The synthesised assembly, kept between runs."""
        return self.folder / "cdk.out"

    @property
    def stack(self) -> str:
        """Name of the stack in the account; '' before the first synthesis."""
        try:
            return assembly.stack(self.assembly, self.construct).name
        except (OSError, KeyError):
            return ""

    @property
    def record(self) -> Path:
        """What was last deployed, and into which stack."""
        return self.folder / "deployed.json"

    @property
    def log(self) -> Path:
        """The output of the CDK command line."""
        return self.folder / "cdk.log"


def deploy(
    environment: Mapping[str, str],
    context: Mapping[str, str],
    outputs: Path,
    progress: Callable[[str], None],
    *,
    root: Path = ROOT,
    construct: str = CONSTRUCT,
) -> dict[str, str]:
    """Synthesise if needed, bootstrap if needed, deploy if needed; the outputs of the stack."""
    _only_the_emulator(environment)
    place = Workplace(root, construct, outputs)
    place.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    digest = sources_digest(root, context)
    if (found := _already_deployed(environment, place, digest)) is not None:
        progress("Pile inchangée : rien à déployer.")
        return found
    place.log.write_text("")
    synthesise(environment, context, place, digest, progress)
    if _status(environment, TOOLKIT) not in DEPLOYED:
        progress("Préparation du compte de l'émulateur (cdk bootstrap)…")
        target = f"aws://{ACCOUNT}/{REGION}"
        _cdk(environment, place, "bootstrap", target, "--app", str(place.assembly))
    progress("Déploiement de la pile (cdk deploy)…")
    _cdk(
        environment,
        place,
        *("deploy", construct, "--app", str(place.assembly), "--require-approval", "never"),
        *("--outputs-file", str(place.outputs.absolute())),
    )
    _remember(environment, place, digest)
    return _outputs(_described(environment, place.stack))


def destroy(
    environment: Mapping[str, str],
    outputs: Path,
    progress: Callable[[str], None],
    *,
    root: Path = ROOT,
    construct: str = CONSTRUCT,
) -> None:
    """Take the stack down again, by the CDK command line, from the assembly last deployed."""
    _only_the_emulator(environment)
    place = Workplace(root, construct, outputs)
    if _described(environment, place.stack) is None:
        progress("Aucune pile à détruire.")
        return
    progress("Destruction de la pile (cdk destroy)…")
    _cdk(environment, place, "destroy", construct, "--app", str(place.assembly), "--force")
    place.record.unlink(missing_ok=True)


def synthesise(
    environment: Mapping[str, str],
    context: Mapping[str, str],
    place: Workplace,
    digest: str,
    progress: Callable[[str], None],
) -> None:
    """Make the assembly of these sources and this context, unless it is there already."""
    mark = place.folder / "cdk.out.sha256"
    if mark.is_file() and mark.read_text() == digest and (place.assembly / "cdk.out").is_file():
        progress("Synthèse inchangée : reprise de la précédente.")
        return
    progress("Synthèse de la pile (cdk synth)…")
    mark.unlink(missing_ok=True)
    shutil.rmtree(place.assembly, ignore_errors=True)
    settings = [word for name, value in context.items() for word in ("-c", f"{name}={value}")]
    _cdk(environment, place, "synth", "--quiet", "--output", str(place.assembly), *settings)
    mark.write_text(digest)


def sources_digest(root: Path, context: Mapping[str, str]) -> str:
    """One value for the content of all sources and the context; times and caches don't count."""
    digest = hashlib.sha256(json.dumps(sorted(context.items())).encode())
    for path in sorted(_source_files(root)):
        digest.update(f"\0{path.relative_to(root).as_posix()}\0{path.stat().st_size}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _source_files(root: Path) -> Iterator[Path]:
    for source in SOURCES:
        place = root / source
        for path in place.rglob("*") if place.is_dir() else [place]:
            if path.is_file() and "__pycache__" not in path.parts:
                yield path


def _only_the_emulator(environment: Mapping[str, str]) -> None:
    endpoint = environment.get("AWS_ENDPOINT_URL", "")
    if urlsplit(endpoint).hostname != HOST:
        raise DeploymentFailed(
            "Le déploiement local ne s'adresse qu'à l'émulateur de cette machine"
            f" ({HOST}), pas à « {endpoint} »."
        )


def _cdk(environment: Mapping[str, str], place: Workplace, *words: str) -> None:
    """Run one CDK command; its output goes to the log, its end there to the console on failure."""
    program = place.root / "node_modules" / "aws-cdk" / "bin" / "cdk"
    if not program.is_file():
        raise DeploymentFailed(
            f"Le CDK est introuvable ({program}) : relancez l'installation (make setup)."
        )
    command = [str(node_binary()), str(program), *words, "--no-notices", "--no-color"]
    with place.log.open("ab") as log:
        log.write(f"\n$ cdk {' '.join(words)}\n".encode())
        log.flush()
        process = subprocess.Popen(  # noqa: S603  (our own pinned programs, no shell)
            command,
            cwd=place.root,
            env=_cdk_environment(environment, place),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        code = _ended(process)
    if code != 0:
        raise DeploymentFailed(_explanation(words[0], code, place.log))


def _ended(process: subprocess.Popen[bytes]) -> int | None:
    """Exit code, None when it took too long; in every case the whole group has ended."""
    try:
        return process.wait(LIMIT_SECONDS)
    except subprocess.TimeoutExpired:
        return None
    finally:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _explanation(command: str, code: int | None, log: Path) -> str:
    silent = f"n'a pas fini en {LIMIT_SECONDS:.0f} s"
    how = silent if code is None else f"a échoué (code {code})"
    last = "\n".join(log.read_text(errors="replace").splitlines()[-LAST_LINES:])
    return f"« cdk {command} » {how}. Dernières lignes de {log} :\n{last}"


def _cdk_environment(environment: Mapping[str, str], place: Workplace) -> dict[str, str]:
    """Nothing of the user's AWS settings; Python and Node are those of this environment."""
    node = node_binary()
    tools = (str(Path(sys.executable).parent), str(node.parent))
    kept = {name: os.environ[name] for name in ("HOME", "LANG", "TMPDIR") if name in os.environ}
    return {
        **kept,
        **environment,
        "PATH": os.pathsep.join([*tools, os.environ.get("PATH", os.defpath)]),
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "CDK_HOME": str(place.folder / "cdk-home"),
        "CDK_DISABLE_CLI_TELEMETRY": "true",
        "CDK_VALIDATION": "false",
        "JSII_NODE": str(node),
        "CI": "true",
    }


def _already_deployed(
    environment: Mapping[str, str], place: Workplace, digest: str
) -> dict[str, str] | None:
    try:
        record = json.loads(place.record.read_text())
    except (OSError, ValueError):
        return None
    found = _described(environment, place.stack)
    if found is None or found["StackStatus"] not in DEPLOYED:
        return None
    same = {"digest": digest, "stack": found.get("StackId", "")} == record
    return _outputs(found) if same and place.outputs.is_file() else None


def _remember(environment: Mapping[str, str], place: Workplace, digest: str) -> None:
    if (found := _described(environment, place.stack)) is not None:
        record = {"digest": digest, "stack": found.get("StackId", "")}
        place.record.write_text(json.dumps(record))


def _status(environment: Mapping[str, str], stack: str) -> str:
    found = _described(environment, stack)
    return found["StackStatus"] if found else ""


def _described(environment: Mapping[str, str], stack: str) -> StackTypeDef | None:
    if not stack:
        return None
    client = boto3.client("cloudformation", **arguments(environment))
    try:
        return client.describe_stacks(StackName=stack)["Stacks"][0]
    except ClientError as error:
        if error.response["Error"]["Code"] == "ValidationError":  # its way to say: no such stack
            return None
        raise
    finally:
        client.close()


def _outputs(stack: StackTypeDef | None) -> dict[str, str]:
    found = stack.get("Outputs", []) if stack else []
    return {one["OutputKey"]: one["OutputValue"] for one in found}
