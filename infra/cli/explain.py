"""`pfi explain`: what would happen to these mails, in order, and why, trait by trait.

No network, no side effect. The person reads French; a program reads JSON.
"""

import sys
from argparse import ArgumentParser, Namespace, _SubParsersAction
from collections.abc import Iterator, Sequence
from pathlib import Path

from infra.cli.options import (
    address_of,
    bytes_of,
    environment_of,
    fallback_of,
    patients_of,
)
from infra.cli.report import as_json, foreseen
from infra.cli.wording import (
    EVENTS_FR,
    LEVELS_FR,
    MDN_FR,
    ROUTES_FR,
    TRAITS_FR,
    WARNINGS_FR,
)
from infra.local.hospital import settings_of, with_mailbox
from pfi.adapters.csv_patients import ListedPatients
from pfi.ins.concordance import TraitFinding
from pfi.ins.wording import ADVICE_FR, LABELS_FR, checks
from pfi.journey.foresight import DocumentForecast, Forecast, Foresight
from pfi.journey.settings import Settings
from pfi.mail.inbound import MailLimits, read
from pfi.names import Environment, Mdn, Reason


def add_to(commands: "_SubParsersAction[ArgumentParser]") -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "explain", help="dire ce qu'il adviendrait de courriels, et pourquoi (sans effet)"
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="FICHIER.eml")
    parser.add_argument("--patients", required=True, type=Path, metavar="FICHIER.csv")
    parser.add_argument(
        "--mailbox",
        type=address_of,
        metavar="ADRESSE",
        help="BAL applicative (défaut : le destinataire)",
    )
    parser.add_argument("--fallback", metavar="ADRESSE|none", help="messagerie de repli")
    parser.add_argument(
        "--trust",
        nargs="+",
        action="extend",
        default=[],
        metavar="SUFFIXE",
        help="domaine de confiance",
    )
    parser.add_argument(
        "--environment", type=environment_of, default=Environment.TEST, metavar="test|production"
    )
    parser.add_argument("--json", action="store_true", help="sortie pour un programme")
    parser.set_defaults(run=run)


def run(options: Namespace) -> int:
    """Explain the files in the order given."""
    forecasts = list(_forecasts(options))
    if options.json:
        sys.stdout.write(as_json(foreseen(name, each) for name, each in forecasts) + "\n")
        return 0
    for name, forecast in forecasts:
        sys.stdout.write("\n".join(lines(name, forecast)) + "\n\n")
    return 0


def _forecasts(options: Namespace) -> Iterator[tuple[str, Forecast]]:
    trusted = tuple(word if word.startswith(".") else f".{word}" for word in options.trust)
    fallback = fallback_of(options.fallback)
    settings = settings_of(options.environment, options.mailbox or "", fallback, trusted)
    foresight = Foresight(settings, ListedPatients(patients_of(options.patients)))
    for path in options.files:
        raw = bytes_of(path)
        own = _own(raw, settings, options.mailbox)
        foresight.settings = own
        yield path.name, foresight.foresee(raw, own.mailboxes[0])


def _own(raw: bytes, settings: Settings, mailbox: str | None) -> Settings:
    """The own mailbox is the one asked for, else the first recipient of the mail."""
    if mailbox:
        return settings
    recipients = read(raw, MailLimits()).recipients
    return with_mailbox(settings, recipients[0] if recipients else "")


def lines(name: str, forecast: Forecast) -> Iterator[str]:
    """The explanation for a person."""
    owed = forecast.settlement
    yield f"{name}  →  {ROUTES_FR[owed.route]}"
    if owed.reason:
        yield from _why(owed.reason)
    if owed.forward_to:
        yield f"  transmis à : {owed.forward_to}"
    if owed.replied_to:
        yield f"  réponse à : {owed.replied_to}"
    if owed.mdn is not Mdn.NONE:
        yield f"  accusé de traitement (MDN) : {MDN_FR[owed.mdn]} à {owed.mdn_to}"
    if owed.review:
        yield f"  revue manuelle : {LABELS_FR[owed.review]}"
    for number, document in enumerate(forecast.documents, start=1):
        yield from _document(number, document)


def _why(reason: str) -> Sequence[str]:
    known = Reason(reason)
    return (f"  motif : {reason} {LABELS_FR[known]}", f"  à faire : {ADVICE_FR[known]}")


def _document(number: int, document: DocumentForecast) -> Iterator[str]:
    decision = document.decision
    yield f"  document {number} : {EVENTS_FR[document.facts.event]}, {document.facts.id}"
    if document.repeated:
        yield "    déjà intégré par un courriel précédent : rien ne serait envoyé"
    if document.reason:
        yield f"    identité : {document.reason.value} {LABELS_FR[document.reason]}"
    else:
        yield f"    identité : concordante, IPP {decision.ipp}"
    if document.reason is Reason.INS_DIFFERS and not decision.findings:
        yield "    ≠ matricule : la base tient un autre INS pour ce patient"
    yield from (_finding(each) for each in decision.findings)
    yield from check_lines(document.reason, decision.findings)
    for warning in decision.warnings:
        yield f"    à noter : {WARNINGS_FR[warning]}"


def check_lines(reason: str | None, findings: Sequence[TraitFinding]) -> Iterator[str]:
    """Which trait to check, and in which system."""
    told = checks(reason or "", ((each.trait, each.level) for each in findings))
    yield from (f"    à vérifier : {check}" for check in told)


def _finding(finding: TraitFinding) -> str:
    mark = " " if finding.level.equal else "≠"
    return f"    {mark} {TRAITS_FR[finding.trait]:<30} {LEVELS_FR[finding.level]}"
