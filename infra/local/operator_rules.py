"""What the IMAP and the SMTP side of the simulated operator agree on."""

import hmac
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from infra.local.operator_faults import Faults
from infra.local.operator_store import OperatorStore
from infra.local.pki import SERVER


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorOptions:
    """What one operator decides differently from another."""

    domains: tuple[str, ...] = (".mssante.fr",)
    """White list: exact domains, or suffixes that start with a dot."""
    size_limit: int = 30 * 1024 * 1024
    password: str = field(default="", repr=False)
    """Of every mailbox, for PLAIN; empty: PLAIN is refused."""
    client_certificate: bool = True
    """False: TLS without a client certificate is allowed, and PLAIN decides alone."""
    certificate_is_enough: bool = False
    """The mailbox is open once TLS is up: no SASL step, as some operators have it (§1.1)."""
    server: str = SERVER
    """Name of the server certificate in the test PKI."""


@dataclass(frozen=True, slots=True)
class OperatorRules:
    """Who may enter, who may receive, how much; and the switches that break it."""

    store: OperatorStore
    faults: Faults
    tls: ssl.SSLContext
    options: OperatorOptions

    def admits(self, address: str) -> bool:
        """True when the domain is in the trust space."""
        domain = address.rpartition("@")[2].lower()
        return any(_inside(domain, entry) for entry in self.options.domains)

    def signed_in(self, certified: str, asked: str, password: str | None) -> str:
        """The mailbox that credentials open, '' if none; None as password is EXTERNAL.

        The certificate binds: no other mailbox than its own can be asked for (mail-edge §2.1).
        """
        mailbox = asked.lower() or certified
        if certified and mailbox != certified:
            return ""
        known = self.store.has(mailbox)
        if password is None:
            return mailbox if certified and known else ""
        wanted = self.options.password
        right = bool(wanted) and hmac.compare_digest(wanted.encode(), password.encode())
        return mailbox if right and known else ""


def certified_mailbox(certificate: Mapping[str, Any] | None) -> str:
    """The common name of a verified client certificate: the mailbox it belongs to."""
    for part in (certificate or {}).get("subject", ()):
        for name, value in part:
            if name == "commonName":
                return str(value).lower()
    return ""


def _inside(domain: str, entry: str) -> bool:
    return domain == entry.lstrip(".") or (entry.startswith(".") and domain.endswith(entry))
