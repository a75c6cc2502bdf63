"""Settings at the border: JSON of one SSM parameter, validated, errors without their input."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from pydantic import TypeAdapter, ValidationError

from pfi.errors import Misconfigured
from pfi.journey.settings import Settings
from pfi.names import Reason, Step

_SETTINGS: Final = TypeAdapter(Settings)


class SettingsRefused(Exception):
    """The settings cannot be read; `faults` are (path, pydantic error type), never values."""

    def __init__(self, faults: tuple[tuple[str, str], ...]) -> None:
        super().__init__("; ".join(f"{path}: {kind}" for path, kind in faults))
        self.faults = faults


def read_settings(text: str | bytes) -> Settings:
    """Validate the JSON text; unknown keys are errors."""
    try:
        return _SETTINGS.validate_json(text, extra="forbid")
    except ValidationError as error:
        found = error.errors(include_input=False, include_url=False, include_context=False)
        raise SettingsRefused(
            tuple((".".join(map(str, each["loc"])), each["type"]) for each in found)
        ) from None


def dump_settings(settings: Settings, *, whole: bool = False) -> str:
    """The JSON that `read_settings` reads back; `whole` writes the defaults out."""
    return _SETTINGS.dump_json(settings, exclude_defaults=not whole).decode()


@dataclass(frozen=True, slots=True)
class Environment:
    """Names that the stack gives to a function. No secret, no patient data."""

    name: str
    bucket: str
    ledger_table: str
    patients_table: str
    settings_parameter: str
    secret_mssante: str
    secret_dpi: str
    queues: Mapping[Step, str]
    dead_letters: Mapping[Step, str]
    lanes: Mapping[str, str] = field(default_factory=dict)
    """Queues of `push` that one DPI has for itself."""
    mail_days: int = 0
    """How long the store keeps bodies; 0 where nobody asks."""
    timeout_s: float = 100
    """When the function is stopped; without word of it, the longest of the stack."""


def environment(variables: Mapping[str, str] | None = None) -> Environment:
    """Read the function's environment; what a function does not need may be absent."""
    source = os.environ if variables is None else variables

    def urls(kind: str) -> dict[Step, str]:
        found = {step: source.get(f"PFI_{kind}_{step.value.upper()}", "") for step in Step}
        return {step: url for step, url in found.items() if url}

    return Environment(
        name=source.get("PFI_NAME", "pfi"),
        bucket=source.get("PFI_BUCKET", ""),
        ledger_table=source.get("PFI_LEDGER_TABLE", ""),
        patients_table=source.get("PFI_PATIENTS_TABLE", ""),
        settings_parameter=source.get("PFI_SETTINGS_PARAMETER", ""),
        secret_mssante=source.get("PFI_SECRET_MSSANTE", ""),
        secret_dpi=source.get("PFI_SECRET_DPI", ""),
        queues=urls("QUEUE"),
        dead_letters=urls("DLQ"),
        lanes=_lanes(source),
        mail_days=int(source.get("PFI_MAIL_DAYS", "0")),
        timeout_s=float(source.get("PFI_TIMEOUT_S", "100")),
    )


def _lanes(source: Mapping[str, str]) -> dict[str, str]:
    """A lane is named after the queue of `push` and its DPI, so the DPIs are all that is told."""
    queue, dpis = source.get("PFI_QUEUE_PUSH", ""), source.get("PFI_LANES", "")
    return {dpi: f"{queue}-{dpi}" for dpi in dpis.split(",") if queue and dpi}


def needed(value: str) -> str:
    """A name that this function cannot work without."""
    if not value:
        raise Misconfigured(Reason.SETTING_MISSING)
    return value
