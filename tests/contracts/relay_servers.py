"""The relays of the SMTP contract: our simulated operator, and a real Postfix (mail-edge §2.2).

In a test module: `from tests.contracts.relay_servers import relay_server, simulated_relay, …`.
"""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pytest

from infra.local.emulator import any_port
from infra.local.operator import Operator
from infra.local.operator_rules import OperatorOptions
from infra.local.pki import Pki
from pfi.adapters.mail_access import MailAccess
from pfi.errors import Misconfigured, Unavailable
from pfi.names import Reason
from tests.contracts.mail_servers import DOMAIN, PASSWORD

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pfi.errors import PfiError

SENDER = f"bal.app@{DOMAIN}"
RECEIVER = "secretariat@clinique-inventee.mssante.fr"
REFUSED = "refuse@clinique-inventee.mssante.fr"
LATER = "plus-tard@clinique-inventee.mssante.fr"
OUTSIDE = "quelquun@example.org"
SIZE_LIMIT = 5_000_000


class RelayServer(Protocol):
    """A submission server that knows REFUSED (550) and LATER (451), and SIZE_LIMIT."""

    pki: Pki
    bad_certificate: tuple[type[PfiError], Reason]
    """What a missing, foreign or expired client certificate ends in on this server."""

    def access(self) -> MailAccess:
        """As SENDER."""

    def received(self) -> Sequence[bytes]:
        """What came in for RECEIVER since the last call, after the trace headers, in order."""


class SimulatedRelay:
    """The simulated operator, in memory."""

    bad_certificate = (Misconfigured, Reason.CERTIFICATE)

    def __init__(self, operator: Operator, pki: Pki) -> None:
        self.operator = operator
        self.pki = pki
        self._seen = 0

    def access(self) -> MailAccess:
        return MailAccess("127.0.0.1", self.operator.smtp_port, SENDER, timeout_s=10)

    def received(self) -> Sequence[bytes]:
        mails = self.operator.store.contents(RECEIVER)
        new, self._seen = mails[self._seen :], len(mails)
        return [_without_trace(mail) for mail in new]


class Postfix:
    """A Postfix of our own folder; only root can start one."""

    # It lets TLS pass, then answers EHLO with 421: come back later.
    bad_certificate = (Unavailable, Reason.RELAY_UNAVAILABLE)

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pki = Pki.ensure(folder / "pki", [SENDER])
        self.port = any_port()
        self._nobody = pwd.getpwnam("nobody").pw_uid
        self._seen: set[Path] = set()

    def start(self) -> None:
        self.folder.chmod(0o755)
        for name in ("queue", "data", "etc", "mail"):
            (self.folder / name).mkdir()
        shutil.chown(self.folder / "data", "postfix")
        shutil.chown(self.folder / "mail", self._nobody)
        (self.folder / "etc/main.cf").write_text(self._main(), "utf-8")
        (self.folder / "etc/master.cf").write_text(self._master(), "utf-8")
        self._postfix("start")

    def stop(self) -> None:
        self._postfix("stop")

    def access(self) -> MailAccess:
        return MailAccess("127.0.0.1", self.port, SENDER, auth="none", timeout_s=10)

    def received(self) -> Sequence[bytes]:
        """Postfix delivers after its 250: wait for the queue to empty, at most ten seconds."""
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and self._queued():
            time.sleep(0.02)
        found = set(self.folder.glob("mail/inbox/new/*"))
        new, self._seen = found - self._seen, found
        return [
            _without_trace(re.sub(rb"\r?\n", b"\r\n", path.read_bytes()))
            for path in sorted(new, key=lambda path: path.stat().st_mtime_ns)
        ]

    def _queued(self) -> bool:
        queues = ("maildrop", "incoming", "active", "deferred")
        return any(
            path.is_file() for q in queues for path in (self.folder / "queue" / q).rglob("*")
        )

    def _postfix(self, verb: str) -> None:
        command = [_postfix(), "-c", str(self.folder / "etc"), verb]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            log = self.folder / "postfix.log"
            pytest.fail(f"postfix {verb}: {done.stderr} {log.read_text() if log.exists() else ''}")

    def _main(self) -> str:
        folder, pki = self.folder, self.pki
        return f"""
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
maillog_file = {folder}/postfix.log
maillog_file_prefixes = {folder}
myhostname = relais.pfi.invalid
mydestination =
alias_maps =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks =
smtpd_tls_security_level = encrypt
smtpd_tls_cert_file = {pki.certificate_path("server")}
smtpd_tls_key_file = {pki.key_path("server")}
smtpd_tls_CAfile = {pki.trust_path}
smtpd_tls_req_ccert = yes
smtpd_relay_restrictions = permit_tls_all_clientcerts, reject
smtpd_recipient_restrictions =
    check_recipient_access inline:{{ {{ {REFUSED} = 550 5.1.1 no }} }}
    check_recipient_access inline:{{ {{ {LATER} = 451 4.7.1 later }} }}
    reject_unauth_destination, permit
virtual_mailbox_domains = clinique-inventee.mssante.fr
virtual_mailbox_base = {folder}/mail
virtual_mailbox_maps = static:inbox/
virtual_uid_maps = static:{self._nobody}
virtual_gid_maps = static:{self._nobody}
virtual_mailbox_limit = 0
message_size_limit = {SIZE_LIMIT}
"""

    def _master(self) -> str:
        return f"""
127.0.0.1:{self.port} inet n - n - - smtpd
postlog unix-dgram n - n - 1 postlogd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
anvil unix - - n - 1 anvil
error unix - - n - - error
retry unix - - n - - error
virtual unix - n n - - virtual
proxymap unix - - n - - proxymap
"""


def postfix_or_skip() -> None:
    """Postfix must be there, and we root, in CI; a laptop may do without, and says so."""
    reason = ""
    if not _postfix():
        reason = "Postfix is not installed (tests/apt-packages.txt): SMTP contract not run on it"
    elif os.getuid() != 0:
        reason = "only root can start a Postfix: SMTP contract not run on it"
    if reason and os.environ.get("CI") == "true":
        pytest.fail(reason)
    if reason:
        pytest.skip(reason)


@pytest.fixture(scope="session")
def simulated_relay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatedRelay]:
    """A simulated operator for the SMTP contract."""
    pki = Pki.ensure(tmp_path_factory.mktemp("relay") / "pki", [SENDER])
    options = OperatorOptions(password=PASSWORD, size_limit=SIZE_LIMIT)
    with Operator(pki, [SENDER], options=options) as operator:
        yield SimulatedRelay(operator, pki)


@pytest.fixture(scope="session")
def postfix() -> Iterator[Postfix]:
    """The Postfix of the session."""
    postfix_or_skip()
    with tempfile.TemporaryDirectory(prefix="pfi-postfix-") as name:
        server = Postfix(Path(name))
        try:
            server.start()
            yield server
        finally:
            server.stop()


@pytest.fixture(params=["simulated_relay", "postfix"])
def relay_server(request: pytest.FixtureRequest) -> Iterator[RelayServer]:
    """Each test once on the simulator and once on Postfix."""
    server: RelayServer = request.getfixturevalue(request.param)
    simulated = server.operator.faults if isinstance(server, SimulatedRelay) else None
    if simulated:
        simulated.smtp_refused = {REFUSED}
        simulated.smtp_later = {LATER}
    server.received()
    yield server
    if simulated:
        simulated.clear()


def _without_trace(mail: bytes) -> bytes:
    """The mail as it was sent: without what each relay adds on top (RFC 5321 §4.4)."""
    trace = rb"(?:(?:Return-Path|X-Original-To|Delivered-To|Received):.*\r\n(?:[ \t].*\r\n)*)*"
    return re.sub(rb"\A" + trace, b"", mail)


def _postfix() -> str:
    return shutil.which("postfix", path=os.environ.get("PATH", "") + ":/usr/sbin") or ""
