"""What a synthesised cloud assembly says of itself: its stacks and the files they need."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Stack:
    """One stack of an assembly."""

    construct: str
    name: str
    template: str
    bootstrap_parameter: str
    bootstrap_version: int


@dataclass(frozen=True, slots=True)
class Asset:
    """One file or folder to be uploaded, and where; placeholders are left as written."""

    digest: str
    path: str
    zipped: bool
    places: tuple[tuple[str, str], ...]
    """Bucket and key of each destination."""


def stack(assembly: Path, construct: str | None = None) -> Stack:
    """The stack of this construct id, or the first one; KeyError when there is none."""
    for key, artifact in _json(assembly / "manifest.json")["artifacts"].items():
        wanted = construct in (None, key, artifact.get("displayName"))
        if artifact["type"] == "aws:cloudformation:stack" and wanted:
            given = artifact["properties"]
            return Stack(
                construct=key,
                name=given.get("stackName", key),
                template=given["templateFile"],
                bootstrap_parameter=given.get("bootstrapStackVersionSsmParameter", ""),
                bootstrap_version=given.get("requiresBootstrapStackVersion", 0),
            )
    raise KeyError(construct)


def assets(assembly: Path) -> Iterator[Asset]:
    """Every file asset of every stack of the assembly, templates included."""
    for manifest in sorted(assembly.glob("*.assets.json")):
        for digest, asset in _json(manifest).get("files", {}).items():
            places = asset["destinations"].values()
            yield Asset(
                digest=digest,
                path=asset["source"]["path"],
                zipped=asset["source"]["packaging"] == "zip",
                places=tuple((place["bucketName"], place["objectKey"]) for place in places),
            )


def _json(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found
