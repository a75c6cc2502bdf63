"""The mail servers of the contract suites: our simulated operator, and a real Dovecot.

In a test module: `from tests.contracts.mail_servers import imap_server`. The same tests run on
both, so that the simulator cannot drift from a real server (mail-edge §2.6).
"""

from __future__ import annotations

import grp
import imaplib
import itertools
import os
import pwd
import re
import shutil
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pytest

from infra.local.emulator import any_port
from infra.local.operator import Operator
from infra.local.operator_rules import OperatorOptions
from infra.local.pki import Pki
from pfi.adapters.mail_access import MailAccess, client_context

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator, Sequence

DOMAIN = "ch-invente.mssante.fr"
PASSWORD = "mot-de-passe-invente"
_numbers = itertools.count(1)


class ImapServer(Protocol):
    """What a test may do with a server behind the adapter's back."""

    pki: Pki
    port: int

    def create(self, mailbox: str) -> None:
        """An empty mailbox."""

    def deliver(self, mailbox: str, raw: bytes) -> None:
        """A mail into INBOX, without trace headers."""

    def expected(self, raw: bytes) -> bytes:
        """What the server shows of `raw`: itself, or with all line ends made CRLF."""

    def contents(self, mailbox: str, folder: str = "INBOX") -> Sequence[bytes]:
        """The mails of a folder."""

    def renumber(self, mailbox: str) -> None:
        """Make UIDVALIDITY change, nobody being connected."""


class Simulated:
    """The simulated operator, in memory."""

    def __init__(self, operator: Operator, pki: Pki) -> None:
        self.operator = operator
        self.pki = pki
        self.port = operator.imap_port

    def create(self, mailbox: str) -> None:
        self.operator.store.create_mailbox(mailbox)

    def deliver(self, mailbox: str, raw: bytes) -> None:
        self.operator.store.deliver(mailbox, raw)

    def expected(self, raw: bytes) -> bytes:
        return raw

    def contents(self, mailbox: str, folder: str = "INBOX") -> Sequence[bytes]:
        return self.operator.store.contents(mailbox, folder)

    def renumber(self, mailbox: str) -> None:
        self.operator.store.renumber(mailbox)


class Dovecot:
    """A rootless Dovecot 2.3 in a folder of its own (mail-edge §2.1)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pki = Pki.ensure(folder / "pki", [])
        self.port = any_port()
        # Dovecot refuses to keep mails as root.
        self._user = "nobody" if os.getuid() == 0 else pwd.getpwuid(os.getuid()).pw_name
        self._ids = pwd.getpwnam(self._user)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        (self.folder / "dovecot.conf").write_text(self._configuration(), "utf-8")
        for path in (self.folder, *self.folder.rglob("*")):
            self._own(path)
        command = [_dovecot(), "-F", "-c", str(self.folder / "dovecot.conf")]
        as_user = (
            {"user": self._ids.pw_uid, "group": self._ids.pw_gid, "extra_groups": []}
            if os.getuid() == 0
            else {}
        )
        self._process = subprocess.Popen(command, stderr=subprocess.DEVNULL, **as_user)  # type: ignore[call-overload]
        self._await_banner()

    def stop(self) -> None:
        if self._process:
            self._process.terminate()
            self._process.wait(20)

    def create(self, mailbox: str) -> None:
        for name in ("cur", "new", "tmp"):
            self._make(self._maildir(mailbox) / name)

    def deliver(self, mailbox: str, raw: bytes) -> None:
        """Straight into the Maildir: LMTP would add headers of its own."""
        name = f"{time.time_ns():020d}.{next(_numbers):06d}.test"
        path = self._maildir(mailbox) / "tmp" / name
        path.write_bytes(raw)
        self._own(path)
        path.rename(self._maildir(mailbox) / "new" / name)

    def expected(self, raw: bytes) -> bytes:
        return re.sub(rb"\r?\n", b"\r\n", raw)

    def contents(self, mailbox: str, folder: str = "INBOX") -> Sequence[bytes]:
        base = self._maildir(mailbox) / ("" if folder == "INBOX" else f".{folder}")
        files = [*base.glob("cur/*"), *base.glob("new/*")]
        return [self.expected(path.read_bytes()) for path in sorted(files)]

    def renumber(self, mailbox: str) -> None:
        time.sleep(1.1)  # Dovecot takes the second of the clock as UIDVALIDITY
        for path in self._maildir(mailbox).glob("dovecot*"):
            path.unlink()

    def _maildir(self, mailbox: str) -> Path:
        local, _, domain = mailbox.partition("@")
        return self.folder / "mail" / domain / local / "Maildir"

    def _make(self, path: Path) -> None:
        missing = [each for each in (path, *path.parents) if not each.exists()]
        path.mkdir(parents=True, exist_ok=True)
        for each in missing:
            self._own(each)

    def _own(self, path: Path) -> None:
        if os.getuid() == 0:
            os.chown(path, self._ids.pw_uid, self._ids.pw_gid)

    def _await_banner(self) -> None:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1) as probe:
                if probe.recv(4) == b"* OK":
                    return
            time.sleep(0.01)
        log = self.folder / "dovecot.log"
        pytest.fail(f"Dovecot does not answer: {log.read_text() if log.exists() else 'no log'}")

    def _configuration(self) -> str:
        ids, pki, home = self._ids, self.pki, self.folder
        group = grp.getgrgid(ids.pw_gid).gr_name
        rootless = "\n".join(
            f"service {name} {{\n  chroot =\n}}"
            for name in ("anvil", "stats", "imap-urlauth-login", "imap-hibernate")
        )
        return f"""
base_dir = {home}/run
state_dir = {home}/state
log_path = {home}/dovecot.log
listen = 127.0.0.1
protocols = imap
default_internal_user = {self._user}
default_login_user = {self._user}
default_internal_group = {group}
first_valid_uid = 1
{rootless}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {self.port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
ssl = required
ssl_min_protocol = TLSv1.2
ssl_cert = <{pki.certificate_path("server")}
ssl_key = <{pki.key_path("server")}
ssl_ca = <{pki.trust_path}
ssl_require_crl = no
ssl_verify_client_cert = yes
auth_ssl_require_client_cert = yes
ssl_cert_username_field = commonName
auth_ssl_username_from_cert = yes
auth_mechanisms = external plain
auth_failure_delay = 0
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
passdb {{
  driver = static
  args = nopassword=y
  mechanisms = external
}}
passdb {{
  driver = static
  args = password={PASSWORD}
  mechanisms = plain
}}
userdb {{
  driver = static
  args = uid={ids.pw_uid} gid={ids.pw_gid} home={home}/mail/%d/%n allow_all_users=yes
}}
mail_location = maildir:~/Maildir
"""


def dovecot_or_skip() -> None:
    """Dovecot 2.3 must be there in CI; a laptop may do without, and says so."""
    reason = _dovecot_missing()
    if reason and os.environ.get("CI") == "true":
        pytest.fail(reason)
    if reason:
        pytest.skip(reason)


@pytest.fixture(scope="session")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulated]:
    """The simulated operator of the session."""
    pki = Pki.ensure(tmp_path_factory.mktemp("operator") / "pki", [])
    with Operator(pki, options=OperatorOptions(password=PASSWORD)) as operator:
        yield Simulated(operator, pki)


@pytest.fixture(scope="session")
def dovecot() -> Iterator[Dovecot]:
    """The Dovecot of the session; its folder must be open to the user nobody."""
    dovecot_or_skip()
    with tempfile.TemporaryDirectory(prefix="pfi-dovecot-", ignore_cleanup_errors=True) as name:
        server = Dovecot(Path(name))
        try:
            server.start()
            yield server
        finally:
            server.stop()


@pytest.fixture(params=["simulated", "dovecot"])
def imap_server(request: pytest.FixtureRequest) -> ImapServer:
    """Each test once on the simulator and once on Dovecot."""
    server: ImapServer = request.getfixturevalue(request.param)
    return server


@pytest.fixture
def mailbox() -> str:
    """An address nobody else uses, so that tests may run in any order."""
    return f"bal{next(_numbers)}.{os.getpid()}@{DOMAIN}"


def new_mailbox(server: ImapServer, mailbox: str) -> None:
    """The mailbox and its client certificate."""
    Pki.ensure(server.pki.folder, [mailbox])
    server.create(mailbox)


def context(pki: Pki, certificate: str) -> ssl.SSLContext:
    """The product's own TLS context, showing the certificate of this name ('' none)."""
    shown = pki.certificate_pem(certificate) if certificate else ""
    key = pki.key_pem(certificate) if certificate else ""
    return client_context(pki.trust_pem(), shown, key, pki.crl_pem())


def access(port: int, mailbox: str) -> MailAccess:
    """STARTTLS and EXTERNAL, as the product does by default."""
    return MailAccess("127.0.0.1", port, mailbox, timeout_s=10)


@contextmanager
def other_client(server: ImapServer, mailbox: str) -> Iterator[imaplib.IMAP4]:
    """Somebody else on the same mailbox: a person with a mail program."""
    with imaplib.IMAP4("127.0.0.1", server.port, timeout=10) as client:
        client.starttls(context(server.pki, mailbox))
        client.authenticate("EXTERNAL", lambda _: b"")
        client.select("INBOX")
        yield client


def _dovecot() -> str:
    """Debian puts it where only root's PATH looks."""
    return shutil.which("dovecot", path=os.environ.get("PATH", "") + ":/usr/sbin") or ""


def _dovecot_missing() -> str:
    program = _dovecot()
    if not program:
        return "Dovecot is not installed (tests/apt-packages.txt): IMAP contract not run on it"
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    if not version.stdout.startswith("2.3."):
        return "this Dovecot is not 2.3: the configuration of the contract tests is for 2.3"
    return ""
