"""One version of the settings, tried on mails in order: the journey's own functions, no effect.

Of all ports only `Patients` is given, and that one can only be asked.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from infra.local.hospital import with_mailbox
from infra.operations.account import OperationRefused
from infra.rehearsal.sources import Sample
from infra.rehearsal.tally import Line, Tally
from pfi.errors import PfiError
from pfi.ins.wording import LABELS_FR
from pfi.journey.foresight import DocumentForecast, Forecast, Foresight
from pfi.journey.message import PARIS
from pfi.journey.ports import Patients
from pfi.journey.settings import MailboxSettings, Settings
from pfi.mail.inbound import MailLimits, read
from pfi.names import Integration, Reason

UNKNOWN_SENDER = "(inconnu)"


@dataclass(slots=True)
class Trial:
    """Remembers the mails seen before: repeats and replacements are recognised in order."""

    name: str
    """What people call these settings."""
    settings: Settings
    patients: Patients
    address: str = ""
    """The mailbox that all mails are taken to arrive at; else their recipient."""
    lines: list[Line] = field(default_factory=list)
    _foresight: Foresight = field(init=False)

    def __post_init__(self) -> None:
        self._foresight = Foresight(self.settings, self.patients)

    @property
    def tally(self) -> Tally:
        """What was found so far."""
        return Tally(tuple(self.lines))

    def take(self, sample: Sample) -> None:
        """The next mail; one that breaks a reader is a line like any other."""
        rank = len(self.lines) + 1
        if sample.raw is None:
            self.lines.append(Line(rank=rank, name=sample.name, fault=sample.fault))
            return
        try:
            self.lines.append(self._line(rank, sample, sample.raw))
        except OperationRefused:
            raise
        except Exception as fault:
            reason = fault.reason if isinstance(fault, PfiError) else Reason.UNEXPECTED
            self.lines.append(
                Line(rank=rank, name=sample.name, reason=reason.value, fault=LABELS_FR[reason])
            )

    def _line(self, rank: int, sample: Sample, raw: bytes) -> Line:
        box, assumed = self._mailbox(sample.mailbox, raw)
        forecast = self._foresight.foresee(raw, box)
        facts, owed = forecast.dossier.facts, forecast.settlement
        return Line(
            rank=rank,
            name=sample.name,
            mail=forecast.mail,
            size=len(raw),
            sender=facts.sender.rpartition("@")[2].lower() or UNKNOWN_SENDER,
            sent_on=facts.sent_at.astimezone(PARIS).date() if facts.sent_at else None,
            mailbox=box.id,
            assumed=assumed,
            dpi=box.dpi,
            route=owed.route.value,
            reason=owed.reason or "",
            events=tuple(each.facts.event for each in forecast.documents if _leaves(each)),
            repeats=sum(each.repeated for each in forecast.documents),
            mdn=owed.mdn,
            forward=bool(owed.forward_to),
            notice=bool(owed.notice_to),
            review=owed.review is not None,
            traits=_traits(forecast, self.settings),
        )

    def _mailbox(self, known: str, raw: bytes) -> tuple[MailboxSettings, bool]:
        """The one that the source names, else a recipient; the second word: neither was there."""
        named = self.settings.mailbox(known)
        if named:
            return named, False
        to = (self.address,) if self.address else read(raw, MailLimits()).recipients
        first = self.settings.mailboxes[0]
        if not first.address:  # the settings of nobody in particular
            self._foresight.settings = with_mailbox(self.settings, to[0] if to else "")
            return self._foresight.settings.mailboxes[0], not to
        wanted = {each.lower() for each in to}
        own = (each for each in self.settings.mailboxes if each.address.lower() in wanted)
        found = next(own, None)
        return found or first, found is None


def _leaves(document: DocumentForecast) -> bool:
    return document.integration is Integration.WOULD_INTEGRATE and not document.repeated


def _traits(forecast: Forecast, settings: Settings) -> tuple[str, ...]:
    """What kept documents out; a list of given names that is only audited did not."""
    audited = {"given_list"} if settings.match.given_list == "audit" else set()
    found = (
        finding.trait
        for document in forecast.documents
        if document.reason
        for finding in document.decision.findings
        if not finding.level.equal and finding.trait not in audited
    )
    return tuple(dict.fromkeys(found))


def rehearse(
    samples: Iterable[Sample], trials: Iterable[Trial], progress: Callable[[int], None]
) -> None:
    """Each mail once, under every version of the settings."""
    trials = tuple(trials)
    for number, sample in enumerate(samples, start=1):
        for trial in trials:
            trial.take(sample)
        progress(number)
