"""What `hospital.toml` must say of the identity feeds and of the endpoint that receives them."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import astuple
from typing import Final

from infra.operations.findings import Finding
from infra.operations.hospital_file import Hospital
from infra.operations.positions import Path as Place
from pfi.journey.settings import DpiSettings, FeedSettings, plain_fingerprint

_ID: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
_AUTHORITY: Final = re.compile(r"[^|^~\\&\s]+&[0-2](\.(0|[1-9][0-9]*))+&ISO")
_FINGERPRINT: Final = re.compile(r"[0-9a-f]{64}")


def feeding(hospital: Hospital) -> Iterator[Finding]:
    """Who may feed what: a certificate leads to one feed, a feed to one establishment."""
    known = {each.id for each in hospital.establishments}
    for number, feed in enumerate(hospital.feeds):
        yield from _feed(("feeds", number), feed, known)
    yield from _once(hospital, "id", [feed.id for feed in hospital.feeds])
    shown = [plain_fingerprint(c) for feed in hospital.feeds for c in feed.client_certificates]
    yield from _once(hospital, "client_certificates", shown)
    yield from _one_numbering(hospital)
    yield from _one_meaning(hospital)
    yield from _endpoint(hospital)


def _one_numbering(hospital: Hospital) -> Iterator[Finding]:
    """An establishment has one space of IPP: the same number of two authorities would be taken for
    one person. Each DPI that it sends to must mean the same numbers. The OID decides."""
    known: dict[str, str] = {}
    for place, establishment, authority in (*_served(hospital), *_fed(hospital)):
        first = known.setdefault(establishment, authority)
        if _oid(first) != _oid(authority):
            sentence = f"une autre autorité, « {first} », numérote déjà cet établissement"
            yield Finding((*place, "ipp_authority"), sentence)


def _served(hospital: Hospital) -> Iterator[tuple[Place, str, str]]:
    """Which authority a DPI means for which establishment, each pair once."""
    for number, dpi in enumerate(hospital.dpis):
        for each in _establishments_of(hospital, dpi) if dpi.ipp_authority else ():
            yield ("dpis", number), each, dpi.ipp_authority


def _fed(hospital: Hospital) -> Iterator[tuple[Place, str, str]]:
    for number, feed in enumerate(hospital.feeds):
        yield ("feeds", number), feed.establishment, feed.ipp_authority


def _establishments_of(hospital: Hospital, dpi: DpiSettings) -> list[str]:
    return list(dict.fromkeys(b.establishment for b in hospital.mailboxes if b.dpi == dpi.id))


def _one_meaning(hospital: Hospital) -> Iterator[Finding]:
    """Patient bases are kept apart by establishment: under one authority a DPI would take the same
    number in two of them for one person. Unless the feeds of each say that they number together."""
    fed = [(feed.establishment, _oid(feed.ipp_authority)) for feed in hospital.feeds]
    for number, dpi in enumerate(hospital.dpis):
        numbers, served = dpi.add_local_ipp or dpi.ipp_authority, _establishments_of(hospital, dpi)
        together = all((each, _oid(dpi.ipp_authority)) in fed for each in served)
        if numbers and len(served) > 1 and not together:
            sentence = (
                "plusieurs établissements envoient à ce DPI, et rien ne dit qu'ils ont les mêmes "
                "IPP : un DPI par établissement, ou pour chacun un [[feeds]] de cette autorité"
            )
            yield Finding(("dpis", number, "ipp_authority"), sentence)


def _oid(authority: str) -> str:
    return [*authority.split("&"), ""][1]


def _feed(place: tuple[str, int], feed: FeedSettings, known: set[str]) -> Iterator[Finding]:
    if not _ID.fullmatch(feed.id):
        yield Finding((*place, "id"), "1 à 40 minuscules, chiffres ou tirets")
    if feed.establishment not in known:
        yield Finding((*place, "establishment"), f"établissement « {feed.establishment} » inconnu")
    if not _AUTHORITY.fullmatch(feed.ipp_authority):
        yield Finding((*place, "ipp_authority"), "forme attendue ESPACE&1.2.250.1.x&ISO")
    if not feed.client_certificates:
        yield Finding(
            (*place, "client_certificates"),
            "aucun certificat : personne ne peut alimenter cette base",
            warning=True,
        )
    for each in feed.client_certificates:
        if not _FINGERPRINT.fullmatch(plain_fingerprint(each)):
            sentence = "empreinte SHA-256 attendue (openssl x509 -noout -fingerprint -sha256)"
            yield Finding((*place, "client_certificates"), sentence)


def _once(hospital: Hospital, key: str, values: list[str]) -> Iterator[Finding]:
    if any(count > 1 for count in Counter(values).values()):
        yield Finding(("feeds", len(hospital.feeds) - 1, key), "deux fois la même valeur")


def _endpoint(hospital: Hospital) -> Iterator[Finding]:
    domain, *needed = astuple(hospital.endpoint)[:3]
    if bool(domain) != any(needed) or (domain and not all(needed)):
        sentence = "domain, certificate et truststore vont ensemble"
        yield Finding(("endpoint", "domain"), sentence)
    if hospital.feeds and not domain:
        sentence = "sans [endpoint], aucune adresse ne reçoit les messages d'identité"
        yield Finding(("endpoint", "domain"), sentence, warning=True)
