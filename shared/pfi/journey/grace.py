"""The moment that an identity repository gets before a mail goes to a person.

A document often comes before the patient is known, or before the identity is qualified: the feed
needs minutes for what a secretary would need a day for. Within the grace of the settings the same
mail is decided again and again (docs/decisions/0022).
"""

from collections.abc import Iterable
from datetime import timedelta
from typing import Final

from pfi.journey.chains import Chain, Link
from pfi.journey.records import DocumentFacts
from pfi.names import Event, Reason

AWAITED: Final = frozenset(
    {Reason.UNKNOWN_PATIENT, Reason.BASE_NOT_QUALIFIED, Reason.BASE_INCOMPLETE}
)
"""What a message of the feed can mend. 905 is not among them: a document that lacks a trait lacks
it whatever the base says."""
LONGEST: Final = timedelta(days=3)
"""No setting makes a mail wait longer: the account says that much later that one is lost
(`pfi.journey.stuck.longest_waits`)."""
_SLOWEST_S: Final = 300


def may_wait(documents: Iterable[DocumentFacts], reasons: Iterable[Reason | None]) -> bool:
    """True when the feed can still make all of it right. A deletion never waits: a person must
    hear at once that it was not made (ins-matching §4.7)."""
    urgent = any(each.event is Event.DELETE for each in documents)
    return not urgent and all(each is None or each in AWAITED for each in reasons)


def overtaken(chain: Chain, holder: str) -> bool:
    """True when another mail carries a later version or the deletion of this document, and that
    one has ended: who was asked to make it by hand must not find the older one in the DPI."""
    mine = chain.link(holder)
    if mine is None:
        return False
    later = chain.links[chain.links.index(mine) + 1 :]
    return any(link.integration.ended and _differs(link, mine) for link in later)


def _differs(link: Link, mine: Link) -> bool:
    """Another version, in another mail."""
    return link.version != mine.version and link.mail != mine.mail


def next_look_s(grace_s: int, waited: timedelta) -> int:
    """Seconds until the next look, a tenth of the grace and five minutes at most; 0 at its end."""
    grace = min(timedelta(seconds=grace_s), LONGEST)
    if waited >= grace:
        return 0
    until_the_end = int((grace - waited).total_seconds()) + 1
    return max(1, min(_SLOWEST_S, grace_s // 10, until_the_end))
