"""A scripted day of a hospital's identity repository: thousands of messages, seeded.

The day itself is in order; `delivered` is how an interface engine hands it over: some messages
late, some twice, a few that nobody can apply.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from random import Random

from infra.local.invented.identity_messages import Told
from infra.local.invented.people import Patient
from pfi.ins.identity import InsKind

NAMES = ("ALBRECHT", "BÉNÉDIC", "D'ORMESNIL", "LE GUENNEC", "ÖZDEMIR", "SAINT-CLAIR", "VANHOUTTE")
GIVEN = ("ANNE-LAURE", "BASTIEN", "CHLOÉ", "DJIBRIL", "ELSA", "FÉLIX", "GWENAËLLE", "HUGO")
START = datetime(2026, 5, 14, 0, 0, 5, tzinfo=UTC)
AMENDING = ("A01", "A04", "A05", "A08")
MOVES = ("A02", "A03", "A11", "A44", "Z99")


@dataclass
class Day:
    """What the repository does, event by event; one a dozen seconds or so."""

    seed: int
    events: list[Told] = field(default_factory=list)
    people: dict[str, Patient] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    merged: list[tuple[str, str]] = field(default_factory=list)
    numbered: int = 0

    def __post_init__(self) -> None:
        self.random = Random(self.seed)

    def lived(self, events: int) -> "Day":
        """The day, until it has that many events."""
        acts = list(self._acts())
        weights = [weight for _, weight in acts]
        while len(self.events) < events:
            act = self.random.choices(acts, weights)[0][0] if len(self.people) > 20 else self._born
            act()
        return self

    def _acts(self) -> Iterator[tuple[Callable[[], None], int]]:
        yield from (
            (self._born, 16), (self._qualified, 18), (self._corrected, 12), (self._doubted, 6),
            (self._admitted, 26), (self._glimpsed, 6), (self._moved, 6), (self._doubled, 5),
            (self._merged, 6), (self._unmerged, 2), (self._renamed, 3), (self._linked, 2),
            (self._closed, 1), (self._flagged, 3),
        )  # fmt: skip

    def _tell(self, trigger: str, who: Patient, **more: object) -> None:
        moment = START + timedelta(seconds=11 * len(self.events))
        told = Told(trigger=trigger, at=moment.strftime("%Y%m%d%H%M%S"), patient=who, **more)
        self.events.append(told)
        if trigger not in MOVES:
            self.people[who.ipp] = who

    def _someone(self) -> Patient:
        return self.people[self.random.choice([i for i in self.people if i not in self.gone])]

    def _ipp(self) -> str:
        self.numbered += 1
        return f"{700_000 + self.numbered}"

    def _body(self) -> str:
        self.numbered += 1
        head = self.random.choice(("1", "2")) + f"{self.random.randrange(100):02}07"
        return head + self.random.choice(("75", "2A", "99")) + f"{self.numbered:06}"

    # acts

    def _born(self) -> None:
        draw = self.random
        year, month, day = draw.randrange(1930, 2026), draw.randrange(1, 13), draw.randrange(1, 29)
        given = draw.choice(GIVEN)
        who = Patient(
            ipp=self._ipp(), body="", birth_name=draw.choice(NAMES), first_given=given,
            given_list=f"{given} {draw.choice(GIVEN)}", sex=draw.choice("FM"),
            birth_date=f"{year}{month:02}{day:02}", birth_place=f"{draw.randrange(10, 95)}001",
            status=draw.choice(("PROV", "PROV", "VIDE", "VALI")),
        )  # fmt: skip
        if draw.random() < 0.4:
            kind = draw.choice((InsKind.NIR_TEST, InsKind.NIR_TEST, InsKind.NIA)).value
            who = replace(who, body=self._body(), oid=kind)
        self._tell("A28", who)

    def _qualified(self) -> None:
        who = self._someone()
        if who.oid == InsKind.NIA or not who.body:
            who = replace(who, body=self._body(), oid=InsKind.NIR.value)
        self._tell("A31", replace(who, status="VALI"))

    def _corrected(self) -> None:
        who = self._someone()
        new = {"birth_name": self.random.choice(NAMES), "used_name": self.random.choice(NAMES)}
        trait = self.random.choice(sorted(new))
        self._tell("A31", replace(who, **{trait: new[trait]}))

    def _doubted(self) -> None:
        who = replace(self._someone(), status="PROV")
        self._tell("A31", replace(who, body="") if self.random.random() < 0.5 else who)

    def _flagged(self) -> None:
        who = self._someone()
        self._tell("A31", replace(who, attributes=self.random.choice(((), ("DOUT",), ("HOMD",)))))

    def _admitted(self) -> None:
        who = self._someone()
        if self.random.random() < 0.2:
            who = replace(who, body="")
        self._tell(self.random.choice(AMENDING), who)

    def _glimpsed(self) -> None:
        """A stay that only names numbers: neither traits nor reliability."""
        self._tell("A08", self._someone(), sparse=True)

    def _moved(self) -> None:
        self._tell(self.random.choice(MOVES), self._someone())

    def _doubled(self) -> None:
        self._tell("A28", replace(self._someone(), ipp=self._ipp()))

    def _merged(self) -> None:
        survivor, absorbed = self._someone(), self._someone()
        if survivor.ipp != absorbed.ipp:
            self._tell("A40", survivor, replaced=(absorbed.ipp,))
            self.gone.add(absorbed.ipp)
            self.merged.append((survivor.ipp, absorbed.ipp))

    def _unmerged(self) -> None:
        if not self.merged:
            return
        survivor, absorbed = self.merged.pop(self.random.randrange(len(self.merged)))
        self._tell("A37", self.people[survivor], replaced=(absorbed,))
        self.gone.discard(absorbed)
        if self.random.random() < 0.7:
            self._tell("A31", replace(self.people[absorbed], status="VALI"))

    def _renamed(self) -> None:
        old = self._someone()
        if any(old.ipp in pair for pair in self.merged):
            return
        self._tell("A47", replace(old, ipp=self._ipp()), replaced=(old.ipp,))
        self.gone.add(old.ipp)
        if self.random.random() < 0.3:  # a service that has not heard of the new number
            self._tell("A08", replace(old, status="PROV"))

    def _linked(self) -> None:
        one, other = self._someone(), self._someone()
        if one.ipp != other.ipp:
            self._tell("A24", one, replaced=(other.ipp,))

    def _closed(self) -> None:
        self._tell("A29", self._someone())


def delivered(events: list[Told], random: Random) -> list[Told]:
    """Each event at least once; one in five late by up to some dozens, one in ten twice."""
    numbers = range(len(events))
    late = [(n + (random.randrange(60) if random.random() < 0.2 else 0), n) for n in numbers]
    late += [(n + random.randrange(400), n) for n in numbers if random.random() < 0.1]
    return [events[n] for _, n in sorted(late)]
