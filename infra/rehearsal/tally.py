"""Lines of a rehearsal, one per mail, and what they add up to. Pure; no trait, no address."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

from pfi.names import Event, Mdn, Route

UNREAD: Final = "unread"
"""In the place of a route: the mail could not be read, so nothing can be said of it."""
FALLEN_BACK: Final = (Route.FORWARDED.value, Route.REPLIED.value, Route.REVIEW.value)
_NOT_WORK: Final = (Route.FILED.value, Route.DUPLICATE.value, UNREAD)

_FAR_OUT: Final = 366
"""Days from the middle of all mails."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What would become of one mail."""

    rank: int
    name: str
    mail: str = ""
    size: int = 0
    sender: str = ""
    """Domain only."""
    sent_on: date | None = None
    mailbox: str = ""
    assumed: bool = False
    """No recipient is a mailbox of ours: the first one was taken."""
    dpi: str = ""
    route: str = UNREAD
    reason: str = ""
    fault: str = ""
    events: tuple[Event, ...] = ()
    """Messages that the DPI would receive."""
    repeats: int = 0
    """Documents that it already has."""
    mdn: Mdn = Mdn.NONE
    forward: bool = False
    notice: bool = False
    review: bool = False
    traits: tuple[str, ...] = ()
    """Names of the traits that differ."""

    @property
    def label(self) -> str:
        """How a report names it when it may not use names."""
        return self.mail[:12] or f"n° {self.rank}"

    @property
    def outcome(self) -> tuple[object, ...]:
        """What a change of settings may change."""
        owed = (self.mdn, self.forward, self.notice, self.review)
        return (self.route, self.reason, self.dpi, self.events, self.repeats, owed)


@dataclass(frozen=True, slots=True)
class Sent:
    """Mails of one sender domain."""

    mails: int
    work: int
    integrated: int
    reason: str
    """The one met most often."""


@dataclass(frozen=True, slots=True)
class Tally:
    """All lines of one version of the settings."""

    lines: tuple[Line, ...]

    @property
    def routes(self) -> Mapping[str, int]:
        """Mails by route."""
        return Counter(each.route for each in self.lines)

    @property
    def work(self) -> int:
        """Mails that ask for something: neither technical, nor repeated, nor unread."""
        return sum(each.route not in _NOT_WORK for each in self.lines)

    @property
    def integrated(self) -> int:
        """Mails whose documents would all be in the DPI."""
        return self.routes.get(Route.INTEGRATED.value, 0)

    @property
    def reasons(self) -> Mapping[str, int]:
        """Why mails would go to people."""
        return Counter(each.reason for each in self.lines if each.route in FALLEN_BACK)

    @property
    def traits(self) -> Mapping[str, int]:
        """Mails by the trait that keeps them from the DPI."""
        return Counter(
            trait for each in self.lines if each.route in FALLEN_BACK for trait in each.traits
        )

    @property
    def unread(self) -> tuple[Line, ...]:
        """Mails of which nothing can be said."""
        return tuple(each for each in self.lines if each.route == UNREAD)

    @property
    def senders(self) -> Mapping[str, Sent]:
        """By domain, those that send most first."""
        own: dict[str, list[Line]] = {}
        for each in self.lines:
            if each.route != UNREAD:
                own.setdefault(each.sender, []).append(each)
        found = {domain: _sent(Tally(tuple(lines))) for domain, lines in own.items()}
        return dict(sorted(found.items(), key=lambda pair: (-pair[1].mails, pair[0])))

    @property
    def dpis(self) -> Mapping[str, Mapping[Event, int]]:
        """Messages that each DPI would receive."""
        found: dict[str, Counter[Event]] = {}
        for each in self.lines:
            if each.events:
                found.setdefault(each.dpi, Counter()).update(each.events)
        return dict(sorted(found.items()))

    @property
    def days(self) -> int:
        """From the first day to the last that the mails name, but for clocks that are far out."""
        days = sorted(each.sent_on for each in self.lines if each.sent_on)
        if not days:
            return 1
        middle = days[len(days) // 2]
        near = [each for each in days if abs((each - middle).days) <= _FAR_OUT]
        return (near[-1] - near[0]).days + 1

    @property
    def kb(self) -> float:
        """Mean size of the mails that were read."""
        sizes = [each.size for each in self.lines if each.size]
        return sum(sizes) / len(sizes) / 1000 if sizes else 0


def _sent(tally: Tally) -> Sent:
    reasons = Counter(tally.reasons).most_common(1)
    reason = reasons[0][0] if reasons else ""
    return Sent(len(tally.lines), tally.work, tally.integrated, reason)


def changes(one: Tally, other: Tally) -> Iterator[tuple[Line, Line]]:
    """The mails that would end otherwise, each under both versions."""
    for before, after in zip(one.lines, other.lines, strict=True):
        if before.outcome != after.outcome:
            yield before, after


def share(part: int, whole: int) -> float:
    """Per cent; nothing of nothing is none."""
    return 100 * part / whole if whole else 0.0
