"""Test public key infrastructure of the laptop: the shape of the IGC-Santé, none of its keys.

root → intermediate → server certificate and one client certificate per mailbox, as the operator
binds the certificate's subject to the mailbox (mail-edge §1.1). Beside them, what must be
refused: a client of another root, an expired client, a revoked server and an expired list.
"""

import datetime as dt
import ipaddress
import ssl
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

ROOT: Final = "root"
INTERMEDIATE: Final = "intermediate"
SERVER: Final = "server"
REVOKED_SERVER: Final = "server-revoked"
FOREIGN: Final = "foreign"
EXPIRED: Final = "expired"

_LIFE: Final = dt.timedelta(days=90)
_MARGIN: Final = dt.timedelta(days=1)
_DAY: Final = dt.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class _Issuer:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


@dataclass(frozen=True, slots=True)
class Pki:
    """A folder of PEM files (mode 0700), written once and read by operator, DPI and clients."""

    folder: Path

    @classmethod
    def ensure(cls, folder: Path, mailboxes: Sequence[str]) -> Self:
        """Make the folder, or keep it when all of it is valid for another day (§2.5)."""
        pki = cls(folder)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
        if not pki._still_valid():
            pki._issue_fixed()
        pki._issue_clients(mailboxes)
        return pki

    @property
    def trust_path(self) -> Path:
        """Root and intermediate: what a peer of this infrastructure trusts."""
        return self.folder / "trust.pem"

    @property
    def crl_path(self) -> Path:
        """The current revocation list of the intermediate."""
        return self.folder / "crl.pem"

    @property
    def expired_crl_path(self) -> Path:
        """A list past its next update: a client that checks revocation must refuse."""
        return self.folder / "crl-expired.pem"

    def certificate_path(self, name: str) -> Path:
        """Certificate chain (leaf, intermediate) of a mailbox or of a name of this module."""
        return self.folder / f"{name.lower()}.pem"

    def key_path(self, name: str) -> Path:
        """Private key (PKCS 8, not encrypted, mode 0600) of that certificate."""
        return self.folder / f"{name.lower()}.key"

    def trust_pem(self) -> str:
        """Text of `trust_path`."""
        return self.trust_path.read_text("ascii")

    def crl_pem(self) -> str:
        """Text of `crl_path`."""
        return self.crl_path.read_text("ascii")

    def certificate_pem(self, name: str) -> str:
        """Text of `certificate_path`."""
        return self.certificate_path(name).read_text("ascii")

    def fingerprint(self, name: str) -> str:
        """SHA-256 of a certificate, as the settings of a feed write it."""
        certificate = x509.load_pem_x509_certificate(self.certificate_path(name).read_bytes())
        return certificate.fingerprint(hashes.SHA256()).hex()

    def key_pem(self, name: str) -> str:
        """Text of `key_path`."""
        return self.key_path(name).read_text("ascii")

    def server_context(
        self, name: str = SERVER, *, client_certificate: bool = True
    ) -> ssl.SSLContext:
        """TLS ≥ 1.2 server; without a client certificate of this root there is no session."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self.certificate_path(name), self.key_path(name))
        context.load_verify_locations(self.trust_path)
        context.verify_mode = ssl.CERT_REQUIRED if client_certificate else ssl.CERT_OPTIONAL
        return context

    def client_context(self, mailbox: str = "") -> ssl.SSLContext:
        """TLS ≥ 1.2 client showing the certificate of `mailbox`; none when it is empty."""
        context = ssl.create_default_context(cafile=str(self.trust_path))
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if mailbox:
            context.load_cert_chain(self.certificate_path(mailbox), self.key_path(mailbox))
        return context

    def _still_valid(self) -> bool:
        names = (ROOT, INTERMEDIATE, SERVER, REVOKED_SERVER, FOREIGN)
        files = [self.certificate_path(name) for name in names]
        keys = [self.key_path(name) for name in (*names, EXPIRED)]
        others = [self.crl_path, self.expired_crl_path, self.trust_path]
        if not all(path.exists() for path in (*files, *keys, *others)):
            return False
        return all(_valid_tomorrow(path) for path in files)

    def _issue_fixed(self) -> None:
        for old in (*self.folder.glob("*.pem"), *self.folder.glob("*.key")):
            old.unlink()
        root = self._authority(ROOT, None)
        authority = self._authority(INTERMEDIATE, root)
        self._write(self.trust_path, _pem([authority.certificate, root.certificate]))
        self._leaf(SERVER, authority, _server)
        revoked = self._leaf(REVOKED_SERVER, authority, _server)
        self._leaf(EXPIRED, authority, _client(EXPIRED), age=dt.timedelta(days=30), life=_DAY)
        now = _now()
        self._write(self.crl_path, _crl(authority, [revoked], now, _LIFE))
        self._write(self.expired_crl_path, _crl(authority, [], now - 9 * _DAY, _DAY))
        foreign = _Issuer(*_certificate("foreign root", None, _ca(0)))
        self._leaf(FOREIGN, foreign, _client(FOREIGN))

    def _issue_clients(self, mailboxes: Iterable[str]) -> None:
        authority: _Issuer | None = None
        for mailbox in mailboxes:
            if not _valid_tomorrow(self.certificate_path(mailbox)):
                authority = authority or self._issuer(INTERMEDIATE)
                self._leaf(mailbox.lower(), authority, _client(mailbox.lower()))

    def _authority(self, name: str, issuer: _Issuer | None) -> _Issuer:
        certificate, key = _certificate(f"test {name}", issuer, _ca(1 if issuer is None else 0))
        self._store(name, [certificate], key)
        return _Issuer(certificate, key)

    def _leaf(
        self,
        name: str,
        issuer: _Issuer,
        shape: "_Shape",
        age: dt.timedelta = dt.timedelta(minutes=5),
        life: dt.timedelta = _LIFE,
    ) -> x509.Certificate:
        subject = "localhost" if shape is _server else name
        certificate, key = _certificate(subject, issuer, shape, age, life)
        self._store(name, [certificate, issuer.certificate], key)
        return certificate

    def _issuer(self, name: str) -> _Issuer:
        key = serialization.load_pem_private_key(self.key_path(name).read_bytes(), None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise TypeError(name)
        pem = self.certificate_path(name).read_bytes()
        return _Issuer(x509.load_pem_x509_certificate(pem), key)

    def _store(
        self, name: str, chain: Sequence[x509.Certificate], key: ec.EllipticCurvePrivateKey
    ) -> None:
        self._write(self.key_path(name), _key_pem(key))
        self._write(self.certificate_path(name), _pem(chain))

    def _write(self, path: Path, content: bytes) -> None:
        path.touch(mode=0o600)
        path.write_bytes(content)


_Shape = Callable[[x509.CertificateBuilder], x509.CertificateBuilder]


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def _valid_tomorrow(path: Path) -> bool:
    if not path.exists():
        return False
    certificate = x509.load_pem_x509_certificate(path.read_bytes())
    return certificate.not_valid_after_utc - _now() >= _MARGIN


def _certificate(
    subject: str,
    issuer: _Issuer | None,
    shape: _Shape,
    age: dt.timedelta = dt.timedelta(minutes=5),
    life: dt.timedelta = _LIFE,
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name(subject)
    signer = issuer.key if issuer else key
    start = _now() - age
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer.certificate.subject if issuer else name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + life)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), False
        )
    )
    return shape(builder).sign(signer, hashes.SHA256()), key


def _name(subject: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "PFI test"),
            x509.NameAttribute(NameOID.COMMON_NAME, subject),
        ]
    )


def _ca(path_length: int) -> _Shape:
    def shape(builder: x509.CertificateBuilder) -> x509.CertificateBuilder:
        constraints = x509.BasicConstraints(ca=True, path_length=path_length)
        return builder.add_extension(constraints, True).add_extension(_usage(ca=True), True)

    return shape


def _server(builder: x509.CertificateBuilder) -> x509.CertificateBuilder:
    names = [
        x509.DNSName("localhost"),
        x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
    ]
    return _end_entity(builder, names, ExtendedKeyUsageOID.SERVER_AUTH)


def _client(mailbox: str) -> _Shape:
    def shape(builder: x509.CertificateBuilder) -> x509.CertificateBuilder:
        address = mailbox if "@" in mailbox else f"{mailbox}@pfi.invalid"
        names = [x509.RFC822Name(address)]
        return _end_entity(builder, names, ExtendedKeyUsageOID.CLIENT_AUTH)

    return shape


def _end_entity(
    builder: x509.CertificateBuilder,
    names: Sequence[x509.GeneralName],
    purpose: x509.ObjectIdentifier,
) -> x509.CertificateBuilder:
    return (
        builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), True)
        .add_extension(_usage(ca=False), True)
        .add_extension(x509.ExtendedKeyUsage([purpose]), False)
        .add_extension(x509.SubjectAlternativeName(names), False)
    )


def _usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=ca,
        crl_sign=ca,
        encipher_only=False,
        decipher_only=False,
    )


def _crl(
    issuer: _Issuer, revoked: Iterable[x509.Certificate], start: dt.datetime, life: dt.timedelta
) -> bytes:
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.certificate.subject)
        .last_update(start)
        .next_update(start + life)
    )
    for certificate in revoked:
        entry = x509.RevokedCertificateBuilder().serial_number(certificate.serial_number)
        builder = builder.add_revoked_certificate(entry.revocation_date(start).build())
    signed = builder.sign(issuer.key, hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.PEM)


def _pem(chain: Iterable[x509.Certificate]) -> bytes:
    return b"".join(c.public_bytes(serialization.Encoding.PEM) for c in chain)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
