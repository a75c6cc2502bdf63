"""Where `make peers` puts what the comparison runs beside the product.

Nothing here is a dependency: a peer that is not installed makes an absent row. Peers are only run,
in processes of their own; no text of theirs is in this repository. Licences: python-hl7 BSD, hl7lw,
node-hl7-client, node-hl7-server and simple-hl7 MIT, @medplum/hl7 Apache-2.0, messagefoundry AGPL.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from infra.local.node import NodeMissing, node_binary

HERE: Final = Path(__file__).parent
ROOT: Final = HERE.parents[2]
FOLDER: Final = Path(os.environ.get("PFI_PEERS", ROOT / ".build" / "peers"))
INSTALL: Final = "make peers"


def python(package: str, folder: Path = FOLDER) -> Path | None:
    """The Python that has this package, None when it is absent."""
    found = any(folder.glob(f"venv/lib/python*/site-packages/{package}/__init__.py"))
    return folder / "venv" / "bin" / "python" if found else None


def node(package: str, folder: Path = FOLDER) -> Path | None:
    """The Node that can run this package, None when one of the two is absent."""
    if not (folder / "node_modules" / package / "package.json").is_file():
        return None
    try:
        return node_binary()
    except NodeMissing:
        return None


def environment(folder: Path = FOLDER) -> Mapping[str, str]:
    """Of a child: where the packages are, and an allocator that does not depend on its past."""
    fixed = {"MALLOC_MMAP_THRESHOLD_": "33554432", "MALLOC_TRIM_THRESHOLD_": "67108864"}
    return {**os.environ, **fixed, "PFI_PEERS": str(folder), "PYTHONWARNINGS": "ignore"}


def absent(package: str) -> str:
    """What the row of an absent peer says."""
    return f"absent: {package} is not installed ({INSTALL})"
