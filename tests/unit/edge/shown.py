"""Client certificates as a gateway shows them: PEM, self-signed, made once."""

import datetime as dt
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@cache
def _made(name: str) -> x509.Certificate:
    key = ec.generate_private_key(ec.SECP256R1())
    own = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    start = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    builder = x509.CertificateBuilder().subject_name(own).issuer_name(own)
    builder = builder.public_key(key.public_key()).serial_number(1)
    builder = builder.not_valid_before(start).not_valid_after(start + dt.timedelta(days=365))
    return builder.sign(key, hashes.SHA256())


def certificate(name: str) -> str:
    """PEM; '' for nobody."""
    if not name:
        return ""
    return _made(name).public_bytes(serialization.Encoding.PEM).decode()


def fingerprint(name: str) -> str:
    """``AB:CD:…`` without the colons, as openssl prints it in capitals."""
    return _made(name).fingerprint(hashes.SHA256()).hex()
