"""One document identifier and every mail that carries it: who goes first, what is a repeat.

A replacement or a deletion waits for its parent while the parent is in flight here (design
decision 13); the same version is never sent twice (Q-29). The chain is one ledger row, so taking
one's turn is one conditional write.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from pfi.names import Integration


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One mail's claim on the document identifier.

    `patients` are digests of the INS that the document carries; `version` is the digest of (event,
    bytes, masks); `order` is the time of arrival, and links of the same instant keep the order in
    which they joined.
    """

    holder: str
    order: str
    version: str
    masks: str
    patients: tuple[str, ...] = ()
    integration: Integration = Integration.WAITING
    ack: str | None = None


@dataclass(frozen=True, slots=True)
class Chain:
    """All links, in arrival order."""

    links: tuple[Link, ...] = ()

    def link(self, holder: str) -> Link | None:
        """The link of one holder."""
        return next((link for link in self.links if link.holder == holder), None)

    def joined(self, link: Link) -> "Chain":
        """With this link, once."""
        if self.link(link.holder):
            return self
        return Chain(tuple(sorted((*self.links, link), key=lambda each: each.order)))

    def moved(self, holder: str, integration: Integration, ack: str | None = None) -> "Chain":
        """With the state of one holder changed."""
        return Chain(
            tuple(
                replace(link, integration=integration, ack=ack) if link.holder == holder else link
                for link in self.links
            )
        )

    @property
    def accepted(self) -> Link | None:
        """The link last accepted by the DPI, in arrival order."""
        done = [link for link in self.links if link.integration is Integration.INTEGRATED]
        return done[-1] if done else None


class Turn(StrEnum):
    """What a holder may do now."""

    GO = "go"
    WAIT = "wait"
    REPEAT = "repeat"
    DOUBTFUL = "doubtful"
    ANOTHER_PATIENT = "another_patient"


def turn(chain: Chain, holder: str, parent: Chain | None) -> Turn:
    """Whether this holder's message may leave.

    Waits while another one is on the wire, or arrived earlier and has not ended; a version
    already accepted is a repeat; a version whose outcome is unknown is doubtful: sending it
    could integrate it twice. What replaces, deletes or re-uses the identifier of a document that
    the DPI holds for another patient never leaves.
    """
    mine = chain.link(holder)
    if mine is None:
        return Turn.GO
    others = [link for link in chain.links if link.holder != holder]
    earlier = chain.links[: chain.links.index(mine)]
    before = [link for link in parent.links if link.holder != holder] if parent else []
    earlier += tuple(link for link in before if link.order <= mine.order)
    on_the_wire = [*others, *before]
    if any(link.integration is Integration.SENT for link in on_the_wire):
        return Turn.WAIT
    if any(not link.integration.ended for link in earlier):
        return Turn.WAIT
    last = chain.accepted
    if last and last.version == mine.version:
        return Turn.REPEAT
    replaced = last or (parent.accepted if parent else None)
    if replaced and _strangers(mine, replaced):
        return Turn.ANOTHER_PATIENT
    same = [link for link in others if link.version == mine.version]
    if any(link.integration is Integration.UNKNOWN for link in same):
        return Turn.DOUBTFUL
    return Turn.GO


def _strangers(mine: Link, replaced: Link) -> bool:
    known = mine.patients and replaced.patients
    return bool(known) and not set(mine.patients) & set(replaced.patients)
