"""The laptop that runs on this machine, as `pfi up` left word of it."""

import json
from argparse import ArgumentParser
from dataclasses import dataclass
from pathlib import Path
from socket import create_connection
from typing import Any
from urllib.parse import urlsplit

from infra.cli.options import CommandFailed
from infra.local.laptop import client

FOLDER = Path(".local")


@dataclass(frozen=True, slots=True)
class Running:
    """Addresses of a running laptop."""

    folder: Path
    environment: dict[str, str]
    outputs: dict[str, str]
    imap_port: int
    smtp_port: int
    mailboxes: tuple[str, ...]

    def client(self, service: str) -> Any:
        """A boto3 client of its emulator."""
        return client(service, self.environment)

    def collect(self) -> None:
        """Poll the mailboxes now instead of at the next minute."""
        function = self.outputs["FunctionCollect"]
        self.client("lambda").invoke(FunctionName=function, Payload=b"{}")


def add_folder(parser: ArgumentParser) -> None:
    """The option that all commands on a running laptop share."""
    parser.add_argument(
        "--folder", type=Path, default=FOLDER, metavar="DOSSIER", help="dossier de travail"
    )


def running(folder: Path) -> Running:
    """The laptop of that folder; a clear sentence when none runs."""
    try:
        found = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise CommandFailed("aucun poste en marche ici ; démarrez-le par `make up`") from None
    if not _answers(found["environment"]["AWS_ENDPOINT_URL"]):
        raise CommandFailed("le poste n'est plus en marche ; démarrez-le par `make up`")
    return Running(
        folder=folder,
        environment=found["environment"],
        outputs=found["outputs"],
        imap_port=found["imap_port"],
        smtp_port=found["smtp_port"],
        mailboxes=tuple(found["mailboxes"]),
    )


def _answers(endpoint: str) -> bool:
    """False when `pfi up` was killed and left its word behind."""
    address = urlsplit(endpoint)
    try:
        with create_connection((address.hostname or "", address.port or 0), timeout=2):
            return True
    except OSError:
        return False
