"""The CDK command line against a hospital's account: its output goes to the caller's console."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from infra.local.node import node_binary
from infra.operations.account import OperationRefused

ROOT: Final = Path(__file__).resolve().parents[2]
PROGRAM: Final = ROOT / "node_modules" / "aws-cdk" / "bin" / "cdk"


def command(words: Sequence[str], context: Mapping[str, str], work: Path) -> list[str]:
    """The whole command; the context of the reviewed file wins over any ``cdk.context.json``."""
    given = [word for name, value in context.items() for word in ("-c", f"{name}={value}")]
    return [
        str(node_binary()),
        str(PROGRAM),
        *words,
        *given,
        *("--app", f"{sys.executable} -m infra.app", "--output", str(work / "cdk.out")),
        "--no-notices",
    ]


def run(words: Sequence[str], context: Mapping[str, str], work: Path) -> None:
    """Run it; the caller's AWS settings are left as they are."""
    if not PROGRAM.is_file():
        raise OperationRefused("le CDK est introuvable : relancez l'installation (make install)")
    work.mkdir(mode=0o700, parents=True, exist_ok=True)
    tools = (str(Path(sys.executable).parent), str(node_binary().parent))
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([*tools, os.environ.get("PATH", os.defpath)]),
        "AWS_REGION": context["region"],
        "CDK_DISABLE_CLI_TELEMETRY": "true",
        "JSII_NODE": str(node_binary()),
    }
    done = subprocess.run(  # noqa: S603  (our own pinned programs, no shell)
        command(words, context, work), cwd=ROOT, env=environment, check=False
    )
    if done.returncode:
        raise OperationRefused(f"« cdk {words[0]} » a échoué (code {done.returncode})")
