"""What a check of `hospital.toml` finds, before the line is known."""

from dataclasses import dataclass

from infra.operations.positions import Path as Place


@dataclass(frozen=True, slots=True)
class Finding:
    """A fault, or what is worth knowing."""

    path: Place
    sentence: str
    warning: bool = False
