"""The AWS emulator of a laptop or a test run: started, checked, stopped, nothing left behind.

Loopback only, no credentials of the user, no leak of the user's environment into the Lambda
workers (they inherit the emulator's), state in one private folder. Fictitious data only: secrets
lie in clear in that folder.
"""

from __future__ import annotations

import fcntl
import http.client
import os
import random
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import urlsplit

from infra.local.emulator_process import FOLDER_TAKEN
from infra.local.node import NodeMissing, node_binary

if TYPE_CHECKING:
    from collections.abc import Mapping

HOST = "127.0.0.1"
REGION: Final = "eu-west-3"
ACCOUNT = "000000000000"
START_SECONDS = 30.0
STOP_SECONDS = 8.0
_PROCESS = Path(__file__).with_name("emulator_process.py")
_PORTS: Final = range(20_000, 32_000)
"""Below those that the kernel gives to clients: a connection of another program could be given one
of these between our look and our start."""
_PORTS_TRIED: Final = 5
_IN_USE: Final = "already in use"
"""What the emulator or its web server says of a port that it cannot have."""
_DRAWN: Final = random.SystemRandom()


class EmulatorFailed(RuntimeError):
    """The emulator did not start; the message says why, in French, for the console."""


class _PortLost(EmulatorFailed):
    """Another program took the port that was free a moment ago."""


def client_environment(port: int, certificate: Path | None = None) -> dict[str, str]:
    """What every tool and SDK needs to speak to the emulator (the key is the account number)."""
    trusted = str(certificate)
    trust = {"AWS_CA_BUNDLE": trusted, "NODE_EXTRA_CA_CERTS": trusted} if certificate else {}
    return {
        "AWS_ENDPOINT_URL": f"{'https' if certificate else 'http'}://{HOST}:{port}",
        "AWS_ACCESS_KEY_ID": ACCOUNT,
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        **trust,
    }


def running(folder: Path) -> dict[str, str] | None:
    """The client environment of the emulator that runs on this folder, if one does."""
    port, certificate = _remembered_port(folder), _certificate(folder)
    found = certificate if certificate.is_file() else None
    up = port and _held(folder) and _healthy(port, found)
    return client_environment(port, found) if up else None


class Emulator:
    """One emulator on one folder: `with Emulator(folder) as emulator: emulator.environment()`."""

    def __init__(self, folder: Path, port: int = 0, *, strict: bool = False) -> None:
        """Port 0 takes the folder's last port again if free (saved state quotes it), else any.

        `strict`: TLS only, and IAM is asked: every function has the rights of its own role, as on
        AWS, and no more. What IAM is not asked for: docs/decisions/0015-emulator.md.
        """
        self.folder = folder
        self.port = port
        self.strict = strict
        self._asked_port = port
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        """Address of the emulator's API."""
        return self.environment()["AWS_ENDPOINT_URL"]

    @property
    def certificate(self) -> Path | None:
        """What proves the emulator's name to its clients; None when it speaks plain HTTP."""
        return _certificate(self.folder.absolute()) if self.strict else None

    @property
    def pid(self) -> int:
        """Number of the running process, leader of its process group; 0 when stopped."""
        return self._process.pid if self._process else 0

    @property
    def log(self) -> Path:
        """What the emulator wrote since it was started."""
        return self.folder / "emulator.log"

    def environment(self) -> dict[str, str]:
        """What a client of this emulator needs."""
        return client_environment(self.port, self.certificate)

    def start(self) -> None:
        """Return once the emulator answers; raise EmulatorFailed with its last log lines if not."""
        self._prepare_folder()
        for _ in range(_PORTS_TRIED - 1):
            with suppress(_PortLost):
                return self._start_on(_port(self._asked_port, self.folder))
        return self._start_on(_port(self._asked_port, self.folder))

    def _start_on(self, port: int) -> None:
        self.port = port
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603  (our own script, our own interpreter)
                [sys.executable, "-P", str(_PROCESS)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                env=self._own_environment(),
                start_new_session=True,
            )
        self._wait_until_ready()
        (self.folder / "port").write_text(str(self.port))

    def stop(self, patience_s: float = STOP_SECONDS) -> None:
        """Save and end the emulator and its Lambda workers; SIGKILL for what has not ended."""
        process, self._process = self._process, None
        if process is None:
            return
        _signal_group(process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(patience_s)
        # The group outlives its leader as long as one worker lives, so this reaches every orphan.
        _signal_group(process.pid, signal.SIGKILL)
        process.wait()
        if process.stdin:
            process.stdin.close()

    def kill(self) -> None:
        """Kill -9, as a power cut would: what the restart tests use."""
        if self._process:
            _signal_group(self._process.pid, signal.SIGKILL)
        self.stop()

    def __enter__(self) -> Self:
        """Start."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self.stop()

    def _prepare_folder(self) -> None:
        self.folder = self.folder.absolute()
        if _held(self.folder):
            raise EmulatorFailed(self._explanation(FOLDER_TAKEN))
        temporary = self.folder / "tmp"
        shutil.rmtree(temporary, ignore_errors=True)  # workers leave their unzipped code behind
        for folder in (self.folder, self.folder / "state", self.folder / "s3", temporary):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.chmod(0o700)

    def _own_environment(self) -> dict[str, str]:
        return {
            "PATH": _path(),
            "HOME": os.environ.get("HOME", str(self.folder)),
            "LANG": os.environ.get("LANG", "C.UTF-8"),
            "TMPDIR": str(self.folder / "tmp"),
            "BIND_HOST": HOST,
            "GATEWAY_PORT": str(self.port),
            "MINISTACK_HOST": HOST,
            "MINISTACK_REGION": REGION,
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
            "PERSIST_STATE": "1",
            "STATE_DIR": str(self.folder / "state"),
            "S3_PERSIST": "1",
            "S3_DATA_DIR": str(self.folder / "s3"),
            "LAMBDA_EXECUTOR": "local",
            "LOG_LEVEL": "WARNING",
            # A Docker of the user is not ours to look into, and changes what the emulator does.
            "DOCKER_HOST": f"unix://{self.folder / 'no-docker.sock'}",
            **({"AUTH": "true", "USE_SSL": "1"} if self.strict else {}),
        }

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while True:
            healthy = _healthy(self.port, self.certificate)
            code = self._process.poll() if self._process else None
            if healthy and code is None:  # another program may answer in place of a dead child
                return
            if code is not None or time.monotonic() > deadline:
                self.stop()
                raise self._failure(code)
            time.sleep(0.05)

    def _failure(self, code: int | None) -> EmulatorFailed:
        lost = code is not None and _IN_USE in self.log.read_text(errors="replace")
        return (_PortLost if lost else EmulatorFailed)(self._explanation(code))

    def _explanation(self, code: int | None) -> str:
        if code == FOLDER_TAKEN:
            return f"Un émulateur utilise déjà le dossier {self.folder} : arrêtez-le d'abord."
        silent = f"ne répond pas après {START_SECONDS:.0f} s"
        how = silent if code is None else f"a fini (code {code})"
        last = "\n".join(self.log.read_text(errors="replace").splitlines()[-20:])
        return f"L'émulateur AWS {how}. Dernières lignes de {self.log} :\n{last}"


def _path() -> str:
    """PATH with our Node in front: custom resources of CDK may be Node functions."""
    own = os.environ.get("PATH", os.defpath)
    with suppress(NodeMissing):
        return f"{node_binary().parent}{os.pathsep}{own}"
    return own


def _port(asked: int, folder: Path) -> int:
    if asked:
        if not _free(asked):
            raise EmulatorFailed(
                f"Le port {asked} est déjà pris sur {HOST} : fermez le programme qui l'occupe"
                " ou choisissez un autre port."
            )
        return asked
    last = _remembered_port(folder)
    return last if last and _free(last) else any_port()


def _remembered_port(folder: Path) -> int:
    try:
        return int((folder / "port").read_text())
    except (OSError, ValueError):
        return 0


def _free(port: int) -> bool:
    with socket.socket() as probe:
        # As the server does: connections of a former run in TIME_WAIT don't occupy the port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def any_port() -> int:
    """A port that is free now and that no client will be given."""
    return next(port for port in iter(lambda: _DRAWN.choice(_PORTS), None) if _free(port))


def _held(folder: Path) -> bool:
    """Whether an emulator process lives on this folder."""
    try:
        with (folder / "lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def _certificate(folder: Path) -> Path:
    """Where the emulator leaves the certificate that it makes for itself."""
    return folder / "tmp" / "ministack-tls" / "server.crt"


def _healthy(port: int, certificate: Path | None = None) -> bool:
    if certificate and not certificate.is_file():
        return False
    connection = connected(client_environment(port, certificate), timeout=2)
    try:
        connection.request("GET", "/_ministack/health")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def connected(environment: Mapping[str, str], timeout: float = 10) -> http.client.HTTPConnection:
    """A connection to the emulator's own pages, which no SDK knows."""
    address = urlsplit(environment["AWS_ENDPOINT_URL"])
    if address.scheme == "http":
        return http.client.HTTPConnection(address.netloc, timeout=timeout)
    trust = ssl.create_default_context(cafile=environment["AWS_CA_BUNDLE"])
    return http.client.HTTPSConnection(address.netloc, timeout=timeout, context=trust)


def _signal_group(leader: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, number)
