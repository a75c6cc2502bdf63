"""A peer that plays one part per connection, and certificates to meet it under TLS."""

import datetime as dt
import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from pfi.hl7.mllp import Deframer

Part = Callable[["Peer", socket.socket], None]


class Peer:
    """Listens on loopback; each connection is handed to the part, then closed."""

    def __init__(self, part: Part, context: ssl.SSLContext | None = None) -> None:
        self._part = part
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self.port: int = self._listener.getsockname()[1]
        self.heard: list[bytes] = []
        self.released = threading.Event()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.released.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)

    def _serve(self) -> None:
        while not self.released.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._play(connection)

    def _play(self, connection: socket.socket) -> None:
        try:
            if self._context:
                connection = self._context.wrap_socket(connection, server_side=True)
            self._part(self, connection)
        except OSError:
            pass  # the client left, as several tests want it to
        finally:
            connection.close()

    def hear(self, connection: socket.socket) -> bytes:
        """The next whole message, kept in `heard`."""
        deframer = Deframer()
        while chunk := connection.recv(65_536):
            complete = deframer.feed(chunk)
            if complete:
                self.heard += complete
                return complete[0]
        return b""


@dataclass(frozen=True, slots=True)
class Certificates:
    """One authority's server and client, and the contexts that trust it."""

    folder: Path
    authority: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @classmethod
    def make(cls, folder: Path) -> Self:
        folder.mkdir()
        key = ec.generate_private_key(ec.SECP256R1())
        authority = _certificate("authority", key.public_key(), "authority", key, ca=True)
        made = cls(folder, authority, key)
        (folder / "authority.pem").write_bytes(authority.public_bytes(serialization.Encoding.PEM))
        for name in ("server", "client"):
            made._issue(name)
        return made

    def _issue(self, name: str) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        leaf = _certificate(name, key.public_key(), "authority", self.key, ca=False)
        private = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        pem = leaf.public_bytes(serialization.Encoding.PEM) + private
        (self.folder / f"{name}.pem").write_bytes(pem)

    def server(self, *, mutual: bool = True) -> ssl.SSLContext:
        context = ssl.create_default_context(
            ssl.Purpose.CLIENT_AUTH, cafile=str(self.folder / "authority.pem")
        )
        context.load_cert_chain(self.folder / "server.pem")
        context.verify_mode = ssl.CERT_REQUIRED if mutual else ssl.CERT_NONE
        return context

    def client(self, *, with_certificate: bool = True) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.folder / "authority.pem"))
        if with_certificate:
            context.load_cert_chain(self.folder / "client.pem")
        return context


def _certificate(
    subject: str,
    public_key: ec.EllipticCurvePublicKey,
    issuer: str,
    issuer_key: ec.EllipticCurvePrivateKey,
    *,
    ca: bool,
) -> x509.Certificate:
    now = dt.datetime.now(dt.UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    signer = x509.SubjectKeyIdentifier.from_public_key(issuer_key.public_key())
    usage = [False] * 5 + [ca, ca, False, False]
    return (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name(issuer))
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(signer), critical=False
        )
        .add_extension(x509.KeyUsage(not ca, *usage[1:]), critical=True)
        .sign(issuer_key, hashes.SHA256())
    )


def _name(subject: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
