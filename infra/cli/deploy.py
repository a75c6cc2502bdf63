"""`pfi deploy`: `cdk deploy` with checks before, settings put in place, and a test mail after."""

import sys
from argparse import ArgumentParser, Namespace, _SubParsersAction
from pathlib import Path

from infra.cli.options import CommandFailed
from infra.cli.place import account_of, add_account, add_other_dpi, hospital_of
from infra.operations.account import Account, Stack, installed_stack
from infra.operations.configuration import installed_settings
from infra.operations.deployment import Grade, checks, deploy, difference
from infra.operations.hospital_file import Hospital
from infra.operations.journal import utc_now
from infra.operations.secrets import certificates_of, state_of, texts_of
from infra.operations.smoke import Smoke
from pfi.names import Environment


def add_to(commands: "_SubParsersAction[ArgumentParser]") -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "deploy", help="vérifier, déployer (cdk deploy), appliquer la configuration, essayer"
    )
    parser.add_argument(
        "file",
        nargs="?",
        type=Path,
        default=Path("hospital.toml"),
        metavar="FICHIER",
        help="défaut : hospital.toml",
    )
    parser.add_argument("--check", action="store_true", help="vérifications seules, sans effet")
    parser.add_argument("--diff", action="store_true", help="ce que cdk changerait, sans effet")
    parser.add_argument(
        "--no-smoke", action="store_true", help="sans courriel d'essai (environnement test)"
    )
    parser.add_argument(
        "--smoke-only", action="store_true", help="seulement le courriel d'essai, sans déployer"
    )
    add_other_dpi(parser)
    parser.add_argument("--work", type=Path, metavar="DOSSIER", help="défaut : .local/NOM")
    add_account(parser)
    parser.set_defaults(run=run)


def run(options: Namespace) -> int:
    """2 when a check refuses, 1 when the test mail does not get through."""
    reviewed = hospital_of(options.file)
    for warning in reviewed.warnings:
        sys.stdout.write(warning.shown(str(options.file)) + "\n")
    hospital = reviewed.hospital
    work = (options.work or Path(".local") / hospital.deployment.name).absolute()
    with account_of(options) as account:
        if not options.smoke_only:
            _checked(hospital, account, other_dpi=options.other_dpi)
        if options.check:
            return 0
        if options.diff:
            difference(hospital, account, work)
            return 0
        return _deployed(hospital, account, work, options)


def _checked(hospital: Hospital, account: Account, *, other_dpi: bool) -> None:
    refused = False
    for each in checks(hospital, account, other_dpi=other_dpi):
        sys.stdout.write(f"  {each.subject:<24} {each.grade.value:<9} {each.sentence}\n")
        refused |= each.grade is Grade.BAD
    if refused:
        raise CommandFailed("rien n'a été déployé : une vérification refuse")


def _deployed(hospital: Hospital, account: Account, work: Path, options: Namespace) -> int:
    if options.smoke_only:
        stack = installed_stack(account, hospital.deployment.name)
    else:
        stack = deploy(hospital, account, work, lambda line: print(line, file=sys.stderr))
        sys.stdout.write(f"Pile « {stack.name} » déployée, configuration appliquée.\n")
        for key in sorted(stack.outputs):
            sys.stdout.write(f"  {key} = {stack.outputs[key]}\n")
    if hospital.deployment.environment is not Environment.TEST or options.no_smoke:
        return 0
    return _smoke(stack)


def _smoke(stack: Stack) -> int:
    settings = installed_settings(stack)
    missing = [
        each.id
        for each in certificates_of(stack, settings)
        if state_of(each, texts_of(stack, each), utc_now()) is None
    ]
    if missing:
        names = ", ".join(missing)
        sys.stdout.write(
            f"Pas de courriel d'essai : certificats à installer ({names}), puis"
            " `pfi deploy --smoke-only`.\n"
        )
        return 0
    passed = True
    for each in Smoke(stack, settings).run():
        mark = "réussi" if each.passed else "ÉCHEC"
        sys.stdout.write(f"  essai {each.mailbox}, {each.way} : {mark} — {each.sentence}\n")
        passed &= each.passed
    return 0 if passed else 1
