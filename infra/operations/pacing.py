"""What `hospital.toml` may ask of the pace towards a DPI."""

from collections.abc import Iterator
from typing import Final

from infra.aws.names import LANE_RESERVED, STEPS
from pfi.journey.settings import DpiSettings

MARGIN_S: Final = 10
LONGEST_INTERVAL_S: Final = 60
Told = tuple[str, str]
"""A key of the table, and what is wrong with it."""


def pacing(dpi: DpiSettings) -> Iterator[Told]:
    """Time-outs within the life of the function; a lane that SQS and Lambda can have."""
    room = STEPS["push"].timeout - MARGIN_S
    if dpi.exchange_s > room:
        yield (
            "ack_timeout_s",
            f"connect_timeout_s + ack_timeout_s dépasse {room} s, le temps de la fonction push",
        )
    if dpi.id in LANE_RESERVED:
        yield "id", f"« {dpi.id} » est le nom d'une autre file : choisir un autre identifiant"
    if not 1 <= dpi.concurrency <= 1000:
        yield "concurrency", "de 1 à 1000 connexions à la fois"
    if dpi.min_interval_s > LONGEST_INTERVAL_S:
        yield "min_interval_s", f"au plus {LONGEST_INTERVAL_S} secondes"
    if dpi.min_interval_s > 0 and dpi.concurrency > 1:
        yield "min_interval_s", "une pause impose une connexion à la fois : écrire concurrency = 1"
