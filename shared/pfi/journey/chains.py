"""One document identifier and every mail that carries it: who goes first, what is a repeat.

A replacement or a deletion waits for its parent while the parent is in flight here (design
decision 13); the same version is never sent twice (Q-29). The chain is one ledger row, so taking
one's turn is one conditional write.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from pfi.names import Event, Integration


def holder_of(mail: str, number: int) -> str:
    """The name of a document in its chain."""
    return f"{mail}#{number:04}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One mail's claim on the document identifier.

    `patients` are digests of the numbers of its patient (INS of the document, IPP matched);
    `ipp` is that of the IPP alone, which is one of the base of `establishment` ('' for both: not
    known, or a row of version 0.2);
    `version` is the digest of (event, bytes, masks); `order` is the place in the line
    (`Chain.place`), and links of the same place keep the order in which they joined.
    """

    holder: str
    order: str
    version: str
    masks: str
    patients: tuple[str, ...] = ()
    integration: Integration = Integration.WAITING
    ack: str | None = None
    ipp: str = ""
    establishment: str = ""

    @property
    def mail(self) -> str:
        """The mail that holds it."""
        return self.holder.partition("#")[0]

    @property
    def number(self) -> int:
        """Which of its documents."""
        return int(self.holder.partition("#")[2])


@dataclass(frozen=True, slots=True)
class Chain:
    """All links, in the order of their turns. `latest` is the holder whose message the DPI
    accepted last; a repeat is never that."""

    links: tuple[Link, ...] = ()
    latest: str = ""

    def link(self, holder: str) -> Link | None:
        """The link of one holder."""
        return next((link for link in self.links if link.holder == holder), None)

    def place(self, event: Event, arrived: datetime, grace: timedelta) -> str:
        """Where a document stands that joins now: by arrival.

        But mails overtake each other: a replacement lets pass what arrives within the grace after
        it, and so does the deletion of a document that nobody has heard of. So versions sent close
        together reach the DPI as T02, T10, T04 (hl7-mdm L-07).
        """
        if event is Event.NEW:
            return arrived.isoformat()
        if event is Event.REPLACE:
            return (arrived + grace).isoformat()
        if self.links:
            return max(arrived.isoformat(), self.links[-1].order)
        return (arrived + 2 * grace).isoformat()

    def joined(self, link: Link) -> "Chain":
        """With this link, once."""
        if self.link(link.holder):
            return self
        links = tuple(sorted((*self.links, link), key=lambda each: each.order))
        return replace(self, links=links)

    def known_as(self, holder: str, ipp: str, establishment: str) -> "Chain":
        """With one more number of the holder's patient: a NIA and the NIR that follows it meet in
        the IPP."""
        links = tuple(
            replace(
                link,
                patients=tuple(sorted({*link.patients, ipp})),
                ipp=ipp,
                establishment=establishment,
            )
            if link.holder == holder
            else link
            for link in self.links
        )
        return replace(self, links=links)

    def moved(self, holder: str, integration: Integration, ack: str | None = None) -> "Chain":
        """With the state of one holder changed."""
        links = tuple(
            replace(link, integration=integration, ack=ack) if link.holder == holder else link
            for link in self.links
        )
        return Chain(links, self._latest(holder, integration))

    def _latest(self, holder: str, integration: Integration) -> str:
        """A repeat never left: the DPI holds its version under the link that it accepted."""
        if integration is not Integration.INTEGRATED:
            return self.latest
        held, mine = self.accepted, self.link(holder)
        if held and mine and held.version == mine.version:
            return held.holder
        return holder

    def under_another_ipp(self, holder: str) -> Link | None:
        """The link by which the DPI holds the version of this holder for another IPP. Numbers of
        two establishments tell nothing of each other, nor does one that is not known."""
        held, mine = self.accepted, self.link(holder)
        if held is None or mine is None or held.version != mine.version:
            return None
        return held if held.establishment == mine.establishment and held.ipp != mine.ipp else None

    def without(self, mail: str) -> "Chain":
        """With the links of a mail let go that will not take its turn here: they hold back nobody.
        What is on the wire stays."""
        links = tuple(
            replace(link, integration=Integration.NOT_OWED)
            if link.mail == mail and link.integration is Integration.WAITING
            else link
            for link in self.links
        )
        return replace(self, links=links)

    @property
    def accepted(self) -> Link | None:
        """The link last accepted by the DPI: what it holds now. Not always the last that arrived,
        for one mail may be read before another that came first."""
        if self.latest:
            return self.link(self.latest)
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
    already accepted is a repeat, but not under another IPP: the DPI holds it for a patient of whom
    the hospital says no longer that it is him (no chain knows of merges: `push` asks for them). A
    version whose outcome is unknown is doubtful: sending it could integrate it twice. What
    replaces, deletes or re-uses the identifier of a document that the DPI holds for another patient
    never leaves.
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
        return Turn.ANOTHER_PATIENT if chain.under_another_ipp(holder) else Turn.REPEAT
    if any(_held_by_another(link, mine.patients) for link in [*others, *before]):
        return Turn.ANOTHER_PATIENT
    same = [link for link in others if link.version == mine.version]
    if any(link.integration is Integration.UNKNOWN for link in same):
        return Turn.DOUBTFUL
    return Turn.GO


_MAY_BE_HELD = frozenset({Integration.INTEGRATED, Integration.UNKNOWN})


def _held_by_another(link: Link, patients: tuple[str, ...]) -> bool:
    """The DPI has, or may have, this document for a patient who shares no number with ours."""
    if link.integration not in _MAY_BE_HELD or not (patients and link.patients):
        return False
    return not set(patients) & set(link.patients)
