"""How the writes of one act on a mail are divided, when one transaction cannot hold them."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from pfi.journey.ports import Put

MOST_WRITES: Final = 100
"""Of one transaction (`pfi.journey.ports.Table.write`)."""

Groups = Iterable[Sequence[Put]]
"""Writes that belong together, each group in one transaction."""


def transactions(
    first: Groups, items: Sequence[Put], last: Sequence[Put]
) -> Iterator[Sequence[Put]]:
    """As few transactions as hold them, in this order, no group divided. An item is in the last one
    in any case: an act that stops before it is in the list of reviews still."""
    room = MOST_WRITES - len(last)
    batch: list[Put] = []
    for group in (*first, *([each] for each in items[:-room]), [*items[-room:], *last]):
        if len(batch) + len(group) > MOST_WRITES:
            yield batch
            batch = []
        batch += group
    yield batch
