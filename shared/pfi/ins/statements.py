"""What was ever said of one identity: for each thing said, the latest statement and its time.

Statements join: whatever the order in which they arrive, and however often, the latest one stands
(B-02 thing by thing). Of two with the same time the one that arrives later stands; a repeated
message is recognised before (B-01). Numbers once held are never forgotten: they become aliases.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Final

from pfi.ins.events import QUALIFIED, Number, Person
from pfi.ins.identity import PatientRecord, Traits

TRAITS: Final = tuple(each.name for each in fields(Traits))
INS: Final = "ins"
STATUS: Final = "status"
ACTIVE: Final = "active"
STATED: Final = "stated"
"""The last whole snapshot in the order of events, and the time of what it said of the person."""
SPOKEN: Final = "spoken"
"""The INS as the last event said it. Two clocks, PID-33 and EVN-2, may order differently: only what
both say last is official."""
NAMED: Final = "named"
INTO: Final = "into:"
APART: Final = "apart:"
WITH: Final = "with:"
OFFICIAL: Final = "official"
CLAIMED: Final = "claimed"
LOADED: Final = ""
"""The time of what was loaded without one: earlier than every event."""

Said = tuple[str, ...]
"""The time of a statement, then its value."""
Facts = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Identity:
    """One IPP. `absorbed` are the identities that ever pointed here, to find a family again."""

    ipp: str
    said: Mapping[str, Said] = field(default_factory=dict)
    numbers: frozenset[Number] = frozenset()
    absorbed: frozenset[str] = frozenset()

    def told(self, at: str, facts: Facts, numbers: Iterable[Number] = ()) -> "Identity":
        """With these facts, where nothing later is known; numbers are kept in any case."""
        later = {
            key: (at, *value)
            for key, value in facts.items()
            if key not in self.said or self.said[key][0] <= at
        }
        return replace(self, said={**self.said, **later}, numbers=self.numbers | frozenset(numbers))

    def absorbing(self, others: Iterable[str]) -> "Identity":
        """With others that point here."""
        return replace(self, absorbed=self.absorbed | frozenset(others))

    def value(self, key: str) -> tuple[str, ...]:
        """What is said now; () when nothing."""
        return self.said.get(key, ("",))[1:]

    def at(self, key: str) -> str:
        """Since when."""
        return self.said.get(key, (LOADED,))[0]

    def neighbours(self) -> frozenset[str]:
        """The identities whose state hangs together with this one."""
        targets = (key.removeprefix(INTO) for key in self.said if key.startswith(INTO))
        return self.absorbed | frozenset(targets)


def loaded(record: PatientRecord) -> Identity:
    """A record that came without a history: every later event overrules it."""
    current = (record.matricule, record.oid)
    grade = OFFICIAL if record.status == QUALIFIED else CLAIMED
    facts: dict[str, tuple[str, ...]] = {name: (getattr(record.traits, name),) for name in TRAITS}
    facts[STATUS] = (record.status, *sorted(record.attributes))
    facts[INS] = (*current, grade) if record.matricule else ()
    facts[SPOKEN] = facts[INS]
    facts[ACTIVE] = ("yes" if record.active else "no",)
    if record.merged_into:
        facts[INTO + record.merged_into] = ("merge",)
    numbers = [*record.aliases, *([current] if record.matricule else [])]
    return Identity(record.ipp).told(LOADED, facts, numbers)


def snapshot(person: Person) -> Facts:
    """Everything is said: what is absent is no longer so (B-03)."""
    traits = {name: (person.traits.get(name, ""),) for name in TRAITS}
    return {**traits, STATUS: _status(person), INS: _ins(person)}


def amendment(person: Person) -> Facts:
    """An empty field says nothing; a status other than VALI takes the INS away (B-04)."""
    facts: dict[str, tuple[str, ...]] = {name: (value,) for name, value in person.traits.items()}
    if person.codes is not None:
        facts[STATUS] = _status(person)
        if person.ins or person.torn or person.status != QUALIFIED:
            facts[INS] = _ins(person)
    return facts


def numbers(person: Person) -> tuple[Number, ...]:
    """Every number that the statement names."""
    return (*person.former, *((person.ins,) if person.ins else ()))


def _status(person: Person) -> tuple[str, ...]:
    return (person.status, *sorted(person.attributes))


def _ins(person: Person) -> tuple[str, ...]:
    """An INS without VALI is kept but is not official (B-06)."""
    if person.ins is None:
        return ()
    return (*person.ins, OFFICIAL if person.status == QUALIFIED else CLAIMED)
