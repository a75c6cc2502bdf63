"""`pfi send`: give mails to the running laptop, through its operator's SMTP."""

import sys
from argparse import ArgumentParser, Namespace, _SubParsersAction
from pathlib import Path

from infra.cli.options import CommandFailed, bytes_of
from infra.cli.place import DEFAULT_NAME, account_of
from infra.cli.running import Running, add_folder, running
from infra.local.pki import Pki
from infra.operations.account import installed_stack
from infra.operations.switches import is_open
from pfi.adapters.mail_access import MailAccess
from pfi.adapters.smtp import SmtpRelay
from pfi.errors import PfiError
from pfi.mail.compose import Outgoing
from pfi.mail.inbound import read

VISITOR = "expediteur@labo-demo.mssante.test"
"""Sends the mails that name no sender."""


def add_to(commands: "_SubParsersAction[ArgumentParser]") -> None:
    """Declare the command."""
    parser = commands.add_parser("send", help="envoyer des courriels au poste en marche")
    parser.add_argument("--to", required=True, metavar="ADRESSE")
    parser.add_argument("files", nargs="+", type=Path, metavar="FICHIER.eml")
    add_folder(parser)
    parser.set_defaults(run=run)


def run(options: Namespace) -> int:
    """Send each file, then have the mailboxes polled at once."""
    laptop = running(options.folder)
    for path in options.files:
        _send(laptop, bytes_of(path), options.to, path.name)
    if _collecting(options):
        laptop.collect()
        sys.stdout.write("Relevé demandé ; `pfi status` montre où finissent les courriels.\n")
    else:
        sys.stdout.write("La relève est en pause : ils attendent dans leur boîte (pfi resume).\n")
    return 0


def _collecting(options: Namespace) -> bool:
    """`pfi pause` holds for this short cut as it does for the clock."""
    with account_of(options) as account:
        return is_open(installed_stack(account, DEFAULT_NAME), "collect")


def _send(laptop: Running, raw: bytes, to: str, name: str) -> None:
    """As the sender of the mail, so that its Return-Path is what it would be in real life."""
    sender = read(raw).sender or VISITOR
    pki = Pki.ensure(laptop.folder / "pki", [sender])
    access = MailAccess(
        host="127.0.0.1", port=laptop.smtp_port, tls="starttls", auth="none", user=sender
    )
    relay = SmtpRelay(access, pki.client_context(sender), sender.rpartition("@")[2])
    try:
        relay.send(Outgoing("", sender, to, raw))
    except PfiError as fault:
        raise CommandFailed(f"{name} : refusé par l'opérateur ({fault})") from None
    sys.stdout.write(f"{name} : remis à {to}\n")
