"""`pfi faults`: faults on real parts, by a script; every mail is accounted for at the end."""

import json
import sys
from argparse import ArgumentParser, Namespace, _SubParsersAction
from collections.abc import Iterator
from pathlib import Path

from infra.cli.options import CommandFailed
from infra.cli.up import Progress
from infra.local.deployer import DeploymentFailed
from infra.local.emulator import EmulatorFailed
from infra.scenario.acts import Act
from infra.scenario.run import WAITING, Outcome
from infra.scenario.run import run as play
from pfi.names import Route

FOLDER = Path(".local/faults")
SHORT_FR = {
    Route.INTEGRATED: "intégré",
    Route.FORWARDED: "transmis",
    Route.REPLIED: "répondu",
    Route.REVIEW: "en revue",
    Route.DUPLICATE: "doublon",
    Route.FILED: "classé",
}


def add_to(commands: "_SubParsersAction[ArgumentParser]") -> None:
    """Declare the command."""
    parser = commands.add_parser("faults", help="pannes provoquées sur un poste, puis les comptes")
    parser.add_argument("--seed", type=int, default=1, metavar="GRAINE")
    parser.add_argument("--waiting", type=int, default=WAITING, metavar="COURRIELS")
    parser.add_argument("--report", type=Path, metavar="FICHIER.json")
    parser.add_argument("--folder", type=Path, default=FOLDER, metavar="DOSSIER")
    parser.set_defaults(run=run)


def run(options: Namespace) -> int:
    """Exit status 0 only when every fault came about and every mail is in one place."""
    if options.waiting < 6 or options.seed < 0:
        raise CommandFailed("--waiting : 6 au moins ; --seed : 0 au moins")
    try:
        found = play(options.folder.absolute(), options.seed, Progress(), options.waiting)
    except (EmulatorFailed, DeploymentFailed) as fault:
        raise CommandFailed(str(fault)) from None
    faults = found.faults()
    if options.report:
        options.report.write_text(report(found) + "\n", encoding="utf-8")
    sys.stdout.write("\n".join([*table(found), "", *totals(found), *_verdict(faults), ""]))
    return 1 if faults else 0


def table(found: Outcome) -> Iterator[str]:
    """One line per kind of fault."""
    width = max(len(act.name) for act in found.acts)
    yield f"\n{'panne provoquée':<{width}}  {'fois':>4}  {'courriels':>9}  où ils ont fini"
    for act in found.acts:
        yield f"{act.name:<{width}}  {act.times:>4}  {len(act.letters):>9}  {_ends(found, act)}"


def _ends(found: Outcome, act: Act) -> str:
    routes = found.account.routes(act.letters)
    ends = ", ".join(f"{routes[route]} {SHORT_FR[route]}" for route in Route if routes[route])
    return f"{ends} ({act.remark})" if act.remark else ends


def totals(found: Outcome) -> Iterator[str]:
    """The sums that must be zero, then the others."""
    counted = found.account
    rows = (
        ("courriels envoyés", len(counted.fates)),
        ("perdus", counted.lost),
        ("documents intégrés deux fois", counted.twice),
        ("documents chez un autre patient", counted.wrong_patient),
        ("issue inconnue du DPI, en revue", counted.unknown),
        ("messages répétés que le DPI a reconnus", counted.repeats),
        ("copies en plus dans la messagerie de repli", counted.copies),
        ("connexions au DPI en même temps, au plus", counted.most_at_once),
        ("secondes jusqu'au repos", round(found.drain_s)),
    )
    yield from (f"{name:<44} {value}" for name, value in rows)
    yield from found.proof.sentences()


def report(found: Outcome) -> str:
    """The figures as JSON: each act, then the account."""
    acts = [
        {
            "fault": act.name,
            "times": act.times,
            "mails": len(act.letters),
            "routes": {r.value: n for r, n in found.account.routes(act.letters).items()},
        }
        for act in found.acts
    ]
    counted = found.account
    account = {
        "mails": len(counted.fates),
        "lost": counted.lost,
        "twice": counted.twice,
        "wrong_patient": counted.wrong_patient,
        "unknown_in_review": counted.unknown,
        "repeats_recognised": counted.repeats,
        "connections_at_once": counted.most_at_once,
        "closes": not found.faults(),
    }
    return json.dumps({"acts": acts, "account": account}, ensure_ascii=False, indent=2)


def _verdict(faults: tuple[str, ...]) -> Iterator[str]:
    if not faults:
        yield "Le compte est juste."
        return
    yield "Le compte n'est pas juste :"
    yield from (f"- {fault}" for fault in faults)
