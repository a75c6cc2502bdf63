"""`pfi certificates`: what is left of them, rehearsal before a switch, installation."""

import sys
from argparse import ArgumentParser, Namespace, _SubParsersAction
from collections.abc import Iterator
from pathlib import Path

from infra.cli.options import CommandFailed
from infra.cli.place import add_name, stack_of
from infra.operations.account import OperationRefused, Stack
from infra.operations.configuration import installed_settings
from infra.operations.journal import utc_now
from infra.operations.rehearsal import Trial, rehearse
from infra.operations.secrets import (
    Candidate,
    candidate,
    certificates_of,
    find_held,
    install,
    state_of,
    texts_of,
    usable,
)
from pfi.edge.certificates import Held
from pfi.ins.wording import LABELS_FR
from pfi.journey.settings import Settings

SOON_DAYS = 60


def add_to(commands: "_SubParsersAction[ArgumentParser]") -> None:
    """Declare the command and its own sub-commands."""
    parser = commands.add_parser("certificates", help="certificats MSSanté et DPI")
    own = parser.add_subparsers(dest="what", required=True, metavar="QUOI")
    one = own.add_parser(
        "check", help="jours restants ; ouvrir IMAP, SMTP et MLLP, aussi avec le certificat suivant"
    )
    _add_file(one, "--next")
    one.set_defaults(run=check)
    one = own.add_parser("install", help="mettre un certificat en service, après répétition")
    _add_file(one, "file")
    one.add_argument("--force", action="store_true", help="même si un pair n'a pas accepté")
    one.set_defaults(run=switch)


def _add_file(parser: ArgumentParser, name: str) -> None:
    what = "PEM (chaîne et clé privée) ou JSON au format du secret"
    parser.add_argument(name, type=Path, metavar="FICHIER", help=what)
    target = "mssante (toutes les boîtes), mssante-BOÎTE ou dpi-DPI"
    parser.add_argument("--for", dest="certificate", default="mssante", metavar="ID", help=target)
    parser.add_argument("--ca", type=Path, metavar="FICHIER", help="autorités admises (PEM)")
    parser.add_argument("--crl", type=Path, metavar="FICHIER", help="listes de révocation (PEM)")
    add_name(parser)


def check(options: Namespace) -> int:
    """1 when a certificate is missing or ends soon, or when a peer does not accept us."""
    with stack_of(options) as stack:
        settings = installed_settings(stack)
        good = True
        for each in certificates_of(stack, settings):
            good &= _state(stack, each)
            good &= _shown(rehearse(stack, settings, each))
        if options.next is not None:
            brought = candidate(options.next, options.ca, options.crl)
            good &= _rehearsed(stack, settings, _target(stack, settings, options), brought)
    return 0 if good else 1


def switch(options: Namespace) -> int:
    """Rehearse, then install."""
    with stack_of(options) as stack:
        settings = installed_settings(stack)
        each = _target(stack, settings, options)
        brought = candidate(options.file, options.ca, options.crl)
        if not _rehearsed(stack, settings, each, brought) and not options.force:
            raise CommandFailed("rien n'a été installé : un pair n'accepte pas ce certificat")
        install(stack, each, brought)
    sys.stdout.write(f"{each.id} : installé et journalisé ; en service en une minute au plus.\n")
    return 0


def _target(stack: Stack, settings: Settings, options: Namespace) -> Held:
    return find_held(stack, settings, options.certificate)


def _rehearsed(stack: Stack, settings: Settings, each: Held, brought: Candidate) -> bool:
    revocation = settings.operator.revocation if each.peer == "mssante" else "off"
    texts = brought.over(texts_of(stack, each))
    try:
        found = usable(each, texts, revocation, utc_now())
    except OperationRefused as refused:
        raise CommandFailed(f"{each.id} (suivant) : {refused}") from None
    sys.stdout.write(f"{each.id} (suivant) : {found.days:.0f} jours\n")
    return _shown(rehearse(stack, settings, each, brought))


def _state(stack: Stack, each: Held) -> bool:
    found = state_of(each, texts_of(stack, each), utc_now())
    if found is None:
        sys.stdout.write(f"{each.id} : AUCUN certificat lisible dans le secret\n")
        return False
    words = [f"{found.days:.0f} jours"]
    if found.chain_days is not None:
        words.append(f"chaîne {found.chain_days:.0f} jours")
    if found.crl_hours is not None:
        words.append(f"liste de révocation {found.crl_hours:.0f} h")
    ended = found.least_days < 0 or (found.crl_hours is not None and found.crl_hours <= 0)
    soon = " (à renouveler)" if found.least_days <= SOON_DAYS else ""
    sys.stdout.write(f"{each.id} : {', '.join(words)}{' — EXPIRÉ' if ended else soon}\n")
    return not ended


def _shown(trials: Iterator[Trial]) -> bool:
    good = True
    for each in trials:
        result = "accepté" if each.fault is None else f"REFUSÉ : {LABELS_FR[each.fault]}"
        sys.stdout.write(
            f"  {each.protocol} {each.peer}, certificat {each.certificate} : {result}\n"
        )
        good &= each.passed
    return good
