"""Revocation lists: fetched where their authority publishes them, and tried before they are kept.

The list in force is never given up for a worse one (ECO.1.1.7): a list replaces it only when it
is of a trusted issuer, newer, not expired, and OpenSSL does not disprove it. Whether a peer is
revoked is decided at each TLS handshake, which fails closed whatever is kept here.
"""

import http.client
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

from pfi.adapters.mail_access import pem_file
from pfi.adapters.x509 import DerUnreadable, RevocationList, certificates, list_pem, lists_with_pem

MAX_LIST_BYTES: Final = 20_000_000
TIMEOUT_S: Final = 20
_SKEW: Final = timedelta(minutes=5)
_LIST_FAULTS: Final = frozenset({6, 8, 11, 12, 15, 16})
"""OpenSSL's codes that speak of the list: signature, dates, form (x509_vfy.h)."""


def fetch(url: str) -> bytes | None:
    """What the authority publishes there; None when it does not answer or the answer is no list."""
    if urlsplit(url).scheme not in {"http", "https"}:
        return None
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=TIMEOUT_S) as answer:
            content: bytes = answer.read(MAX_LIST_BYTES + 1)
    except (OSError, http.client.HTTPException, ValueError):
        return None
    return content if 0 < len(content) <= MAX_LIST_BYTES else None


def renewed(secret: Mapping[str, str], fetched: Iterable[bytes], now: datetime) -> str | None:
    """The lists to keep from now on, None when none of those fetched is better.

    `secret` holds the PEM texts ``ca``, ``certificate``, ``key`` and the lists in force, ``crl``.
    """
    kept = {each.issuer: (each, pem) for each, pem in _readable(secret.get("crl", ""))}
    trusted = {each.subject for each in certificates(secret.get("ca", ""))}
    changed = False
    for each, pem in (pair for content in fetched for pair in _readable(list_pem(content))):
        current = kept.get(each.issuer)
        if each.issuer not in trusted or not _better(each, current[0] if current else None, now):
            continue
        if not disproved(secret, pem):
            kept[each.issuer] = (each, pem)
            changed = True
    return "".join(pem for _, pem in kept.values()) if changed else None


def _readable(pem: str) -> tuple[tuple[RevocationList, str], ...]:
    with suppress(DerUnreadable):
        return lists_with_pem(pem)
    return ()


def _better(new: RevocationList, old: RevocationList | None, now: datetime) -> bool:
    if new.next_update is None or new.next_update <= now or new.this_update > now + _SKEW:
        return False
    return old is None or new.this_update > old.this_update


def disproved(secret: Mapping[str, str], crl_pem: str) -> bool:
    """True when OpenSSL finds the list itself wrong: forged, damaged, out of its dates.

    A handshake in memory between ourselves and ourselves makes OpenSSL look our own certificate
    up in the list, hence check the list's signature: both are of the same authority (IGC-Santé).
    For a list of another issuer this says nothing, and the list is not disproved.
    """
    try:
        server, client = _ourselves(secret, crl_pem)
    except (ssl.SSLError, OSError, ValueError):
        return True
    try:
        _shake(server, client)
    except ssl.SSLCertVerificationError as fault:
        return fault.verify_code in _LIST_FAULTS
    except ssl.SSLError:
        return False
    return False


def _ourselves(secret: Mapping[str, str], crl_pem: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_mode = ssl.CERT_NONE  # it is ourselves, in memory; the server side is the test
    with pem_file(secret.get("certificate", "") + "\n" + secret.get("key", "")) as path:
        server.load_cert_chain(path, password=lambda: b"")
        client.load_cert_chain(path, password=lambda: b"")
    server.load_verify_locations(cadata=secret.get("ca", ""))
    with pem_file(crl_pem) as path:
        server.load_verify_locations(cafile=path)
    server.verify_mode = ssl.CERT_REQUIRED
    server.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    return server, client


def _shake(server: ssl.SSLContext, client: ssl.SSLContext) -> None:
    """Flights to and fro until both sides are content; the first fault is raised."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(to_client, to_server),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    for _ in range(10):
        for end in tuple(ends):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
            ends.remove(end)
        if not ends:
            return
