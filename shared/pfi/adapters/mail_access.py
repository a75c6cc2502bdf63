"""How to reach the MSSanté operator: address, TLS, authentication (mail-edge §1.1, §1.5).

The texts fix IMAP and SMTP with STARTTLS and a client certificate; they do not fix the SASL step,
hence `auth`. Key material comes from a secret and never touches a disk where memfd exists.
"""

import base64
import os
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, Literal

from pfi.errors import Misconfigured
from pfi.names import Reason

Tls = Literal["starttls", "implicit", "none"]
Auth = Literal["external", "plain", "none", "xoauth2"]


@dataclass(frozen=True, slots=True)
class MailAccess:
    """One mailbox at its operator; `user` is the mailbox address."""

    host: str
    port: int
    user: str
    tls: Tls = "starttls"
    auth: Auth = "external"
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    timeout_s: float = 30.0


def client_context(
    ca_pem: str,
    cert_pem: str = "",
    key_pem: str = "",
    crl_pem: str | None = None,
    revocation: Literal["crl", "off"] = "crl",
) -> ssl.SSLContext:
    """TLS ≥ 1.2, host name checked, server chain in `ca_pem` only (ECO.1.1.1, 1.1.5, 1.1.10).

    Revocation is checked with the list given and fails closed: no list, an expired list or a
    revoked server all end in Misconfigured(CERTIFICATE) (ECO.1.1.6).
    """
    if revocation == "crl" and not crl_pem:
        raise Misconfigured(Reason.CERTIFICATE)
    try:
        return _context(ca_pem, cert_pem, key_pem, crl_pem if revocation == "crl" else None)
    except (ssl.SSLError, OSError, ValueError):
        raise Misconfigured(Reason.CERTIFICATE) from None


def required_context(context: ssl.SSLContext | None) -> ssl.SSLContext:
    """The context of an access with TLS; never a silent default trust store."""
    if context is None:
        raise Misconfigured(Reason.CERTIFICATE)
    return context


def certificate_refused(error: BaseException) -> bool:
    """True when TLS failed for a certificate: ours in the peer's eyes, or the peer's in ours.

    imaplib and smtplib wrap the TLS alert into their own errors, so the chain is walked.
    """
    link: BaseException | None = error
    while link is not None:
        if isinstance(link, ssl.SSLError) and _names_certificate(link):
            return True
        link = link.__cause__ or link.__context__
    return False


def initial_response(access: MailAccess) -> tuple[str, bytes]:
    """SASL mechanism and its one response (RFC 4422 app. A, RFC 4616; XOAUTH2 as ECO.1.2.1)."""
    if access.auth == "external":
        return "EXTERNAL", access.user.encode()
    if access.auth == "plain":
        return "PLAIN", f"\0{access.user}\0{access.password}".encode()
    return "XOAUTH2", f"user={access.user}\x01auth=Bearer {access.token}\x01\x01".encode()


def base64_line(response: bytes) -> str:
    """SASL base64; an empty response is `=` (RFC 4954 §4)."""
    return base64.b64encode(response).decode("ascii") or "="


_ALERTS: Final = ("CERTIFICATE", "UNKNOWN_CA", "CRL")


def _names_certificate(error: ssl.SSLError) -> bool:
    if isinstance(error, ssl.SSLCertVerificationError):
        return True
    reason = getattr(error, "reason", None) or ""  # absent when Python, not OpenSSL, raised it
    return any(word in reason for word in _ALERTS)


def _context(ca_pem: str, cert_pem: str, key_pem: str, crl_pem: str | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_verify_locations(cadata=ca_pem)
    if cert_pem:
        with pem_file(cert_pem + "\n" + key_pem) as path:
            # A callable: an encrypted key must fail, never ask on the terminal.
            context.load_cert_chain(path, password=lambda: b"")
    if crl_pem is not None:
        with pem_file(crl_pem) as path:
            context.load_verify_locations(cafile=path)
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    return context


@contextmanager
def pem_file(text: str) -> Iterator[str]:
    """OpenSSL only reads keys and lists from a path: one in memory, else one of mode 0600."""
    if not hasattr(os, "memfd_create"):
        with tempfile.NamedTemporaryFile() as temporary:
            temporary.write(text.encode())
            temporary.flush()
            yield temporary.name
        return
    descriptor = os.memfd_create("pfi", os.MFD_CLOEXEC)
    with os.fdopen(descriptor, "wb", buffering=0) as memory:
        memory.write(text.encode())
        yield f"/proc/self/fd/{descriptor}"
