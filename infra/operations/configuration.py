"""Settings applied to an installation without a new deployment, and read back from it.

Functions read the parameter again when theirs is older than a minute (`pfi.edge.wiring`).
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from infra.operations.account import OperationRefused, Stack
from infra.operations.hospital_file import Hospital
from infra.operations.journal import journal_of, utc_now
from infra.operations.stranding import refuse_to_strand
from infra.operations.successors import refuse_a_new_name
from pfi.edge.settings import SettingsRefused, dump_settings, read_settings
from pfi.journey.settings import Settings

PUSHED = "config push"
DEPLOYED = "deploy"


@dataclass(frozen=True, slots=True)
class Pushed:
    """What a push did: SHA-256 before and after, paths changed, what waits for a deployment."""

    before: str
    after: str
    changed: tuple[str, ...]
    pending: tuple[str, ...]


def push(
    hospital: Hospital,
    stack: Stack,
    *,
    dry_run: bool = False,
    other_dpi: bool = False,
    now: Callable[[], datetime] = utc_now,
) -> Pushed:
    """Write the settings of a reviewed file where the functions read them. `other_dpi`: a DPI that
    takes the place of another does not hold its documents."""
    _same_installation(hospital, stack)
    old_text = settings_text(stack)
    old, new_text = read_back(old_text), dump_settings(hospital.settings)
    if old is not None:
        refuse_a_new_name(old, hospital.settings, other_dpi=other_dpi)
        refuse_to_strand(old, hospital.settings, stack)
    planned = Pushed(
        before=sha256(old_text),
        after=sha256(new_text),
        changed=tuple(differences(old, hospital.settings)),
        pending=_pending(hospital, stack, now),
    )
    if dry_run or planned.before == planned.after:
        return planned
    write_settings(stack, new_text)
    journal_of(stack, now).record(
        PUSHED,
        stack.account.who(),
        before=planned.before,
        after=planned.after,
        detail=planned.changed,
    )
    return planned


def write_settings(stack: Stack, text: str) -> None:
    """The parameter itself; its history in SSM keeps the hundred last versions."""
    stack.client("ssm").put_parameter(
        Name=stack.output("SettingsParameter"),
        Value=text,
        Type="String",
        Tier="Advanced",
        Overwrite=True,
    )


def settings_text(stack: Stack) -> str:
    """The JSON that the functions read now."""
    found = stack.client("ssm").get_parameter(Name=stack.output("SettingsParameter"))
    return str(found["Parameter"]["Value"])


def read_back(text: str) -> Settings | None:
    """Settings of the installation; None when none were ever pushed, or nobody can read them."""
    try:
        return read_settings(text) if text.strip() not in {"", "{}"} else None
    except SettingsRefused:
        return None


def installed_settings(stack: Stack) -> Settings:
    """Settings of the installation, which must be there."""
    settings = read_back(settings_text(stack))
    if settings is None:
        raise OperationRefused(
            "l'installation n'a pas de paramètres lisibles : `pfi config push hospital.toml`"
        )
    return settings


def sha256(text: str) -> str:
    """What the journal says of a configuration."""
    return hashlib.sha256(text.encode()).hexdigest()


def _same_installation(hospital: Hospital, stack: Stack) -> None:
    if hospital.deployment.name != stack.name:
        raise OperationRefused(
            f"le fichier décrit « {hospital.deployment.name} », la pile est « {stack.name} »"
        )
    if not stack.account.emulated and hospital.deployment.region != stack.account.region:
        raise OperationRefused(
            f"le fichier est pour {hospital.deployment.region}, la session AWS pour "
            f"{stack.account.region}"
        )
    settings = read_back(settings_text(stack))
    if settings is not None and settings.environment is not hospital.deployment.environment:
        raise OperationRefused(
            f"l'installation est en « {settings.environment} » : un environnement ne se change pas,"
            " il s'installe à part (PGSSI-S 4.2.2.10)"
        )


def _pending(hospital: Hospital, stack: Stack, now: Callable[[], datetime]) -> tuple[str, ...]:
    """Keys of the context that differ from those last deployed by `pfi deploy`."""
    last = journal_of(stack, now).last(DEPLOYED)
    if last is None:
        return ()
    deployed = dict(word.split("=", 1) for word in last.detail if "=" in word)
    return tuple(
        key for key, value in hospital.context.items() if deployed.get(key, value) != value
    )


def differences(old: Settings | None, new: Settings) -> Iterator[str]:
    """Paths whose value changed; mailboxes and DPIs by their id."""
    before = flat(old) if old is not None else {}
    after = flat(new)
    for path in sorted(before.keys() | after.keys()):
        if before.get(path) != after.get(path):
            yield path


def flat(settings: Settings) -> dict[str, Any]:
    """``mailboxes.medecine.fallback`` → value, defaults included."""
    return dict(_leaves("", json.loads(dump_settings(settings, whole=True))))


def _leaves(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield from _leaves(f"{path}.{key}".removeprefix("."), each)
    elif isinstance(value, list) and value and isinstance(value[0], Mapping):
        for each in value:
            yield from _leaves(f"{path}.{each.get('id') or each['kind']}", each)
    else:
        yield path, value
