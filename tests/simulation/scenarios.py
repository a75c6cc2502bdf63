"""Runs of which nothing is drawn but the order of turns: who writes, and what came of it."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from pfi.journey.records import MailRecord
from tests.simulation.population import PEOPLE, Delivery, Letter, Maker, settings
from tests.simulation.run import Report, Scenario, Simulation
from tests.simulation.weather import Weather

HOUR = 3600.0
FAIR = 0.02
"""Turns change less often than in a drawn run: these runs are long, and about something else."""


def weather(**kinds: Any) -> Weather:
    """No fault but these."""
    return Weather(**({"pauses": FAIR, "fair_after": 10 * 24 * HOUR} | kinds))


def hospital(**dpi: Any) -> Any:
    """The hospital of every run, its DPI configured otherwise."""
    usual = settings()
    return replace(usual, dpis=(replace(usual.dpis[0], **dpi),))


def made(number: int, build: Callable[[Maker], Any]) -> tuple[Letter, ...]:
    """Letters of one maker; numbers from 5000 on belong to no family of the drawn runs."""
    make = Maker(number, PEOPLE[number % len(PEOPLE)])
    build(make)
    return tuple(make.letters)


@cache
def ordinary(number: int) -> Letter:
    """A letter that is integrated."""
    return made(number, lambda make: make.add("ordinary", make.entry()))[0]


@cache
def versions(number: int) -> tuple[Letter, ...]:
    """A document, its replacement and its deletion, in the order in which they were written."""

    def build(make: Maker) -> None:
        make.add("T02", make.entry(1))
        make.add("T10", make.entry(2, parent=make.id(1), version="2", action="C"))
        make.add("T04", make.entry(2, parent=make.id(1), version="2", action="D"))

    return made(number, build)


def arriving(letters: Sequence[Letter], start: float, gap: float) -> list[Delivery]:
    """One after the other in the mailbox that has a fallback."""
    return [Delivery(start + rank * gap, "app", each) for rank, each in enumerate(letters)]


class Run(Simulation):
    """A scenario and what can be read of it afterwards."""

    def __init__(
        self,
        deliveries: Sequence[Delivery],
        *,
        seed: int = 1,
        kinds: Weather | None = None,
        crashes: bool = False,
        **dpi: Any,
    ) -> None:
        scenario = Scenario(deliveries, kinds or weather(), hospital(**dpi), crashes)
        super().__init__(seed, scenario)
        self.report: Report | None = None
        self.accepted_at: dict[str, list[float]] = {}
        self.asked_while_away = 0
        self._took = self.dpi.took
        self.dpi.took = self._timed

    def _timed(self, accepted: Any) -> None:
        mail, _ = self.witness.control_ids[accepted.control_id]
        self.accepted_at.setdefault(mail, []).append(self.world.elapsed)
        self._took(accepted)

    def done(self) -> "Run":
        """Run until nothing moves; every promise was checked."""
        self.report = self.run()
        return self

    def accepted(self) -> list[str]:
        """Kinds of the letters whose messages the DPI accepted, in that order."""
        found = [
            (at, self.witness.letters[mail].kind)
            for (mail, _), all_of_it in self.witness.accepted.items()
            for at, _ in all_of_it
        ]
        return [kind for _, kind in sorted(found)]

    def record(self, letter: Letter) -> MailRecord:
        """What the ledger says of a letter."""
        known = self.witness.ledger.mail(letter.digest)
        assert known is not None
        return known.record

    def ended(self, letters: Sequence[Letter]) -> set[tuple[str, str | None]]:
        """Routes and reasons of letters."""
        found = (self.record(each) for each in letters)
        return {(str(each.route), each.reason) for each in found}

    def answers(self, letter: Letter) -> int:
        """Mails that left because of a letter."""
        return len(self.witness.sent[letter.digest])
