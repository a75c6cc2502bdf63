"""The tables of a rehearsal, the same on the console and on the page. Pure."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from infra.operations.cost import Estimate, Section
from infra.rehearsal.tally import FALLEN_BACK, UNREAD, Line, Tally, changes, share
from infra.rehearsal.wording import ASSUMED, ROUTES_FR, meaning, number, outcome, percent
from pfi.ins.wording import TRAITS_FR
from pfi.names import Event, Mdn

MOST: Final = 2000
"""Mails that a list shows; the JSON has them all."""
_SECTIONS: Final[tuple[Section, ...]] = ("services", "réseau", "fixe")


@dataclass(frozen=True, slots=True)
class Table:
    """Texts only; columns from `words` on are figures."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words: int = 1
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One rehearsal: what was read, under which settings, and what was found."""

    source: str
    base: str
    """Which patient base."""
    at: datetime
    names: tuple[str, ...]
    """The settings, one or two."""
    tallies: tuple[Tally, ...]
    estimates: tuple[Estimate, ...]
    days: int
    with_names: bool = False

    @property
    def mails(self) -> int:
        """How many were met."""
        return len(self.tallies[0].lines)

    def label(self, line: Line) -> str:
        """A digest, unless names were asked for."""
        return line.name if self.with_names else line.label

    def headlines(self) -> Iterator[str]:
        """The one figure that everybody asks for."""
        for name, each in zip(self.names, self.tallies, strict=True):
            rate = percent(share(each.integrated, each.work))
            yield (
                f"{name} : {number(each.integrated)} intégrés sur {number(each.work)} courriels à "
                f"traiter ({rate})"
            )

    def notes(self) -> Iterator[str]:
        """What must be known about the figures."""
        assumed = sum(each.assumed for each in self.tallies[0].lines)
        if assumed:
            yield ASSUMED.format(assumed)
        unread = len(self.tallies[0].unread)
        if unread:
            yield f"{unread} courriel(s) illisible(s) : rien n'en est dit, cause en fin de rapport."

    def tables(self) -> Iterator[tuple[str, Table]]:
        """Everything but the list of the mails that would not be integrated, with short names."""
        yield "routes", self._routes()
        yield "reasons", self._reasons()
        yield "traits", self._traits()
        yield "senders", self._senders()
        yield "dpis", self._dpis()
        yield "owed", self._owed()
        yield "cost", self._cost()
        if len(self.tallies) > 1:
            yield "changes", self._changes()
        yield "unread", self._unread()

    # one after the other

    def _routes(self) -> Table:
        counts = [each.routes for each in self.tallies]
        rows = (
            (words, *_counted([each.get(route, 0) for each in counts], [self.mails] * len(counts)))
            for route, words in ROUTES_FR.items()
            if any(each.get(route, 0) for each in counts)
        )
        title = "Où finiraient les courriels"
        return Table(title, ("issue", *self._columns("courriels", "%")), tuple(rows))

    def _reasons(self) -> Table:
        counts = [each.reasons for each in self.tallies]
        works = [each.work for each in self.tallies]
        rows = (
            (code, meaning(code), *_counted([each.get(code, 0) for each in counts], works))
            for code in by_count(counts)
        )
        head = ("motif", "signification", *self._columns("courriels", "% à traiter"))
        return Table("Motifs de non-intégration", head, tuple(rows), 2)

    def _traits(self) -> Table:
        counts = [each.traits for each in self.tallies]
        rows = (
            (TRAITS_FR.get(trait, trait), *(number(each.get(trait, 0)) for each in counts))
            for trait in by_count(counts)
        )
        head = ("trait", *self._columns("courriels"))
        return Table("Traits en cause", head, tuple(rows), note="Un courriel peut en compter deux.")

    def _senders(self) -> Table:
        found = [each.senders for each in self.tallies]
        rows = []
        for domain, sent in found[0].items():
            others = [each[domain] for each in found if domain in each]
            rates = (percent(share(e.integrated, e.work)) if e.work else "-" for e in others)
            rows.append((domain, sent.reason, number(sent.mails), *rates))
        head = ("domaine de l'expéditeur", "motif le plus fréquent", "courriels")
        return Table("Par expéditeur", (*head, *self._columns("intégrés")), tuple(rows), 2)

    def _dpis(self) -> Table:
        found = [each.dpis for each in self.tallies]
        rows = (
            (dpi, *(number(each.get(dpi, {}).get(event, 0)) for each in found for event in Event))
            for dpi in sorted(set().union(*found))
        )
        head = ("DPI", *self._columns(*(event.value for event in Event)))
        repeats = sum(each.repeats for each in self.tallies[0].lines)
        note = f"{repeats} document(s) déjà intégré(s) : non renvoyé(s)." if repeats else ""
        return Table("Messages que recevrait le DPI", head, tuple(rows), note=note)

    def _owed(self) -> Table:
        rows = (
            (words, *(number(sum(map(asked, each.lines))) for each in self.tallies))
            for words, asked in _OWED.items()
        )
        head = ("envoi ou tâche", *self._columns("nombre"))
        return Table("Ce que la plateforme aurait à faire", head, tuple(rows))

    def _cost(self) -> Table:
        rows = [
            (each, *(number(one.total(each), 2) for one in self.estimates)) for each in _SECTIONS
        ]
        rows.append(("total", *(number(one.total(), 2) for one in self.estimates)))
        first = self.estimates[0]
        note = (
            f"USD hors taxes, tarifs du {first.table.day:%d/%m/%Y} ({first.table.region}) ; "
            f"{number(first.volume.mails_per_day, 1)} courriels/jour de "
            f"{number(first.volume.kb)} ko, comptés sur {self.days} jour(s)."
        )
        head = ("par mois", *self._columns("USD"))
        return Table("Coût estimé", head, tuple(rows), note=note)

    def _changes(self) -> Table:
        """The difference between two versions of the settings, mail by mail."""
        found = list(changes(*self.tallies))
        rows = tuple((self.label(a), a.sender, outcome(a), outcome(b)) for a, b in found[:MOST])
        title = f"Ce qui changerait : {number(len(found))} courriel(s)"
        return Table(title, ("courriel", "expéditeur", *self.names), rows, 4, _more(len(found)))

    def _unread(self) -> Table:
        found = self.tallies[0].unread
        rows = tuple((self.label(each), each.fault) for each in found[:MOST])
        return Table("Courriels illisibles", ("courriel", "cause"), rows, 2, _more(len(found)))

    def fallen_back(self) -> Table:
        """Each mail that people would have to work on."""
        found = [each for each in self.tallies[0].lines if each.route in FALLEN_BACK]
        rows = (
            (self.label(each), each.sender, outcome(each), meaning(each.reason))
            for each in found[:MOST]
        )
        head = ("courriel", "expéditeur", "issue", "signification")
        title = f"Courriels non intégrés, {self.names[0]}"
        return Table(title, head, tuple(rows), 4, _more(len(found)))

    def _columns(self, *names: str) -> tuple[str, ...]:
        """Once, or once for each version of the settings."""
        if len(self.names) < 2:
            return names
        return tuple(f"{name} {letter}" for letter in "AB" for name in names)


_OWED: Final[Mapping[str, Callable[[Line], bool]]] = {
    "transferts à la messagerie de repli": lambda each: each.forward,
    "accusés « processed » (MDN)": lambda each: each.mdn is Mdn.PROCESSED,
    "accusés « processed/error » (MDN)": lambda each: each.mdn is Mdn.ERROR,
    "avis de non-intégration": lambda each: each.notice,
    "éléments en revue manuelle": lambda each: each.review or each.route == "review",
}


def _counted(counts: Sequence[int], wholes: Sequence[int]) -> Iterator[str]:
    for count, whole in zip(counts, wholes, strict=True):
        yield number(count)
        yield percent(share(count, whole))


def by_count(counts: Sequence[Mapping[str, int]]) -> list[str]:
    """Keys of all versions, those met most often first."""
    keys = set().union(*counts)
    return sorted(keys, key=lambda key: (-max(each.get(key, 0) for each in counts), key))


def _more(count: int) -> str:
    return f"{number(count - MOST)} de plus dans le JSON (--json)." if count > MOST else ""


def figures(report: Report) -> dict[str, object]:
    """The whole rehearsal for a program."""
    versions = [
        _version(*each) for each in zip(report.names, report.tallies, report.estimates, strict=True)
    ]
    changed = changes(*report.tallies) if len(report.tallies) > 1 else ()
    return {
        "source": report.source,
        "at": report.at.isoformat(timespec="seconds"),
        "mails": report.mails,
        "days": report.days,
        "versions": versions,
        "changes": [each.rank for each, _ in changed],
        "lines": [
            {
                "rank": rows[0].rank,
                "mail": report.label(rows[0]),
                "versions": [_told(each) for each in rows],
            }
            for rows in zip(*(each.lines for each in report.tallies), strict=True)
        ],
    }


def _version(name: str, tally: Tally, estimate: Estimate) -> dict[str, object]:
    return {
        "settings": name,
        "work": tally.work,
        "integrated": tally.integrated,
        "unread": tally.routes.get(UNREAD, 0),
        "routes": dict(tally.routes),
        "reasons": dict(tally.reasons),
        "traits": dict(tally.traits),
        "senders": {
            domain: {"mails": each.mails, "work": each.work, "integrated": each.integrated}
            for domain, each in tally.senders.items()
        },
        "dpis": {
            dpi: {event.value: count for event, count in sent.items()}
            for dpi, sent in tally.dpis.items()
        },
        "usd_per_month": round(estimate.total(), 2),
    }


def _told(line: Line) -> dict[str, object]:
    return {
        "sender": line.sender,
        "mailbox": line.mailbox,
        "dpi": line.dpi,
        "route": line.route,
        "reason": line.reason or None,
        "fault": line.fault or None,
        "events": [each.value for each in line.events],
        "repeats": line.repeats,
        "mdn": line.mdn.value,
    }
