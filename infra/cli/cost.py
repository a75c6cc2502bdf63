"""`pfi cost`: what an installation costs per month, and what to set for its traffic."""

import json
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace, _SubParsersAction
from collections.abc import Iterator
from dataclasses import asdict
from typing import Final

from infra.operations.capacity import PEAK, Capacity, Limited
from infra.operations.cost import Estimate, Line, Section, Volume, read_prices

SECTIONS: tuple[Section, ...] = ("services", "réseau", "fixe")
LIMITS: Final = {
    Limited.DPI: "[[dpis]] concurrency, connexions d'un DPI",
    Limited.MAILBOX: "[operator] mails_per_run, d'une boîte",
    Limited.COLLECTOR: "la relève, une par installation",
    Limited.WORKERS: "[deployment] concurrency",
    Limited.NAT: "débit des NAT avant leur croissance",
    Limited.VPN: "débit du tunnel VPN",
    Limited.PARTITION: "partitions de l'index DynamoDB",
    Limited.NEW_TABLE: "écritures d'une table DynamoDB neuve",
    Limited.TABLE: "quota d'écritures d'une table DynamoDB",
    Limited.PREFIX: "écritures S3 sous un préfixe",
    Limited.EXECUTIONS: "quota Lambda du compte",
    Limited.IN_FLIGHT: "messages SQS en cours",
}
_SHOWN: Final = 3


def add_to(commands: "_SubParsersAction[ArgumentParser]") -> None:
    """Declare the command."""
    parser = commands.add_parser("cost", help="coût mensuel estimé, réseau compris")
    parser.add_argument(
        "--mails-per-day", type=_number, required=True, metavar="N", help="en moyenne (obligatoire)"
    )
    parser.add_argument("--kb", type=_number, default=300, metavar="N", help="par courriel [300]")
    parser.add_argument(
        "--mailboxes", type=int, default=1, metavar="N", help="boîtes applicatives [1]"
    )
    parser.add_argument(
        "--retention", type=int, default=30, metavar="JOURS", help="conservation des corps [30]"
    )
    parser.add_argument("--nats", type=int, default=2, metavar="N", help="zones avec NAT [2]")
    parser.add_argument("--endpoints", type=int, default=3, metavar="N", help="par zone [3]")
    parser.add_argument(
        "--ack", type=_number, default=0.2, metavar="S", help="réponse du DPI, secondes [0,2]"
    )
    parser.add_argument("--vpn", action="store_true", help="liaison VPN vers l'établissement")
    parser.add_argument("--json", action="store_true", help="sortie pour un programme")
    parser.set_defaults(run=run)


def _number(word: str) -> float:
    try:
        found = float(word.replace(",", "."))
    except ValueError:
        found = -1
    if not 0 <= found < 1e9:
        raise ArgumentTypeError("un nombre positif est attendu")
    return found


def run(options: Namespace) -> int:
    """Print the table."""
    volume = Volume(
        mails_per_day=options.mails_per_day,
        kb=options.kb,
        mailboxes=options.mailboxes,
        retention_days=options.retention,
        nats=options.nats,
        endpoints=options.endpoints,
        vpn=options.vpn,
        ack_s=options.ack,
    )
    estimate = Estimate(volume, read_prices())
    if options.json:
        rows = [{**asdict(line), "amount": line.amount} for line in estimate.lines()]
        found = {"date": estimate.table.day.isoformat(), "total": estimate.total(), "lines": rows}
        found["needed"] = asdict(Capacity(estimate).needed())
        sys.stdout.write(json.dumps(found, ensure_ascii=False, indent=2) + "\n")
        return 0
    sys.stdout.writelines(f"{line}\n" for line in table(estimate))
    return 0


def table(estimate: Estimate) -> Iterator[str]:
    """In French, with the total per section, and per mail."""
    volume, prices = estimate.volume, estimate.table
    yield (
        f"{french(volume.mails_per_day)} courriels/jour de {french(volume.kb)} ko ; "
        f"{prices.region}, tarifs du {prices.day:%d/%m/%Y}, USD hors taxes, par mois"
    )
    for section in SECTIONS:
        yield ""
        yield f"{section.capitalize():<26} {'quantité':>16} {'':<9} {'USD':>10}"
        yield from (_row(line) for line in estimate.lines() if line.section == section)
        yield f"  {'sous-total':<51} {french(estimate.total(section), 2):>10}"
    yield ""
    yield f"{'TOTAL':<53} {french(estimate.total(), 2):>10}"
    if estimate.mails:
        each = estimate.total() / estimate.mails * 1000
        yield f"{'pour mille courriels':<53} {french(each, 2):>10}"
    yield "* prix de mémoire, à vérifier. Non compris : liaison de l'établissement, support AWS."
    yield ""
    yield from settings(Capacity(estimate))


def settings(capacity: Capacity) -> Iterator[str]:
    """What to set for the busiest hour, and which limits come first as it is installed."""
    needed, ack = capacity.needed(), french(capacity.estimate.volume.ack_s, 1)
    yield f"À régler pour la pointe ({french(PEAK)} fois la moyenne), réponse du DPI en {ack} s"
    for name, figure in (
        ("[[dpis]] concurrency", needed.connections),
        ("[deployment] concurrency", needed.workers),
        ("[operator] mails_per_run", needed.mails_per_run),
        ("[operator] run_budget_s", needed.run_budget_s),
        ("installations et boîtes, au moins", needed.collectors),
        ("quota Lambda, exécutions simultanées", needed.executions),
    ):
        yield f"  {name:<51} {french(figure):>10}"
    yield "Premières limites sans rien régler, en courriels par jour"
    for limit in capacity.limits()[:_SHOWN]:
        yield f"  {LIMITS[limit.what]:<51} {french(limit.mails_per_day):>10}"


def _row(line: Line) -> str:
    item = line.item + ("*" if line.unsure else "")
    amount = french(line.amount, 2)
    return f"  {item:<24} {french(line.quantity, 1):>16} {line.unit:<9} {amount:>10}"


def french(value: float, digits: int = 0) -> str:
    """``12 345,60``."""
    return f"{value:,.{digits}f}".replace(",", "\u202f").replace(".", ",")
