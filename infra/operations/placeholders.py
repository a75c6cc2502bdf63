"""Values of the model file that nobody replaced: names and public networks of no hospital.

An installation that went live with them would send mail and documents to a machine of that name,
should one ever exist. Networks are those kept for documentation (RFC 5737).
"""

import re
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any, Final

from infra.operations.findings import Finding
from infra.operations.hospital_file import Hospital
from infra.operations.positions import Path as Place
from pfi.names import Environment

_OF_THE_MODEL: Final = re.compile(
    r"exemple|(?<![\w-])operateur\.mssante\.fr"
    r"|(?<!\d)(192\.0\.2|198\.51\.100|203\.0\.113)\.|:111122223333:|0{64}|\A990000001\Z",
    re.IGNORECASE,
)
_SENTENCE: Final = "valeur du modèle (pfi config init), à remplacer"


def placeholders(hospital: Hospital) -> Iterator[Finding]:
    """A warning each; in production a fault."""
    warning = hospital.deployment.environment is not Environment.PRODUCTION
    for place in _left((), asdict(hospital)):
        yield Finding(place, _SENTENCE, warning=warning)


def _left(place: Place, value: Any) -> Iterator[Place]:
    """The keys whose value is, or whose list holds, one of the model."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield from _left((*place, key), each)
    elif isinstance(value, list | tuple) and any(isinstance(each, dict) for each in value):
        for number, each in enumerate(value):
            yield from _left((*place, number), each)
    elif _OF_THE_MODEL.search(str(value)):
        yield place
