"""A DPI under a new id, which holds what was integrated under the old one.

What was already integrated is remembered per id of a DPI (`pfi.journey.keys.chain_key`): under a
new id nothing is known, and a document that comes again would be integrated a second time.
"""

from collections.abc import Iterator

from infra.operations.account import OperationRefused
from pfi.journey.settings import DpiSettings, Settings


def successors(old: Settings, new: Settings) -> Iterator[tuple[str, str]]:
    """(former id, new id) of what looks like one and the same DPI."""
    pairs = {(before.id, after.id) for before, after in _taking_over(old, new) if
             before.id != after.id and _alike(before, after)}  # fmt: skip
    yield from sorted(pairs)


def _taking_over(old: Settings, new: Settings) -> Iterator[tuple[DpiSettings, DpiSettings]]:
    """A new DPI where one went, and the DPI that a mailbox is turned to."""
    for before in old.dpis:
        if new.dpi(before.id) is None:
            yield from ((before, after) for after in new.dpis if old.dpi(after.id) is None)
    for mailbox in new.mailboxes:
        served, serves = old.dpi(old.lane(mailbox.id)), new.dpi(mailbox.dpi)
        if served and serves:
            yield served, serves


def _alike(before: DpiSettings, after: DpiSettings) -> bool:
    return _place(before) == _place(after) or _name(before) == _name(after)


def _place(dpi: DpiSettings) -> tuple[str, int]:
    return dpi.host.lower(), dpi.port


def _name(dpi: DpiSettings) -> tuple[str, str]:
    return dpi.receiving_application, dpi.receiving_facility


def sentence(pairs: list[tuple[str, str]]) -> str:
    """What is wrong, and what to do."""
    listed = ", ".join(f"« {before} » devient « {after} »" for before, after in pairs)
    return (
        f"{listed} : même adresse, ou même application et même établissement destinataires. Les "
        "documents déjà intégrés sont retenus sous l'identifiant du DPI : sous un nouveau, ils ne "
        "seraient plus reconnus et un renvoi serait intégré deux fois. Gardez l'identifiant. S'il "
        "s'agit d'un autre logiciel, qui n'a pas ces documents : --other-dpi"
    )


def refuse_a_new_name(old: Settings, new: Settings, *, other_dpi: bool) -> None:
    """Unless a person says that it is another DPI."""
    pairs = list(successors(old, new))
    if pairs and not other_dpi:
        raise OperationRefused(sentence(pairs))
