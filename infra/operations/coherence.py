"""What no type says: the tables of `hospital.toml` must agree with one another.

One function per table; each yields faults as (path, sentence), warnings marked as such.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path as File
from typing import Any, Final
from urllib.parse import urlsplit

from infra.aws.context import deployment
from infra.aws.names import BESIDE, EEA_REGIONS
from infra.aws.refused import RefusedContextError
from infra.operations.feeding import feeding
from infra.operations.findings import Finding
from infra.operations.hospital_file import (
    Draft,
    Fault,
    Hospital,
    HospitalFileRefused,
    read_draft,
    shown_path,
    text_of,
)
from infra.operations.pacing import pacing
from infra.operations.placeholders import placeholders
from infra.operations.positions import Path as Place
from pfi.edge.settings import dump_settings
from pfi.journey.grace import LONGEST
from pfi.journey.settings import DpiSettings, MailboxSettings
from pfi.mail.rules import trusted
from pfi.names import Environment

PARAMETER_BYTES: Final = 8192
"""An advanced SSM parameter holds no more."""
_ID: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
_ADDRESS: Final = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")
_HOST: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.:-]*[A-Za-z0-9])?")
_STACK_NAME: Final = re.compile(r"[a-z][a-z0-9-]{1,23}")
_FINESS: Final = re.compile(r"[0-9][0-9AB][0-9]{7}")
_AUTHORITY: Final = re.compile(r"[^|^~\\&\s]+&[0-2](\.(0|[1-9][0-9]*))+&ISO")
_HD_FIELDS: Final = tuple(
    each.name for each in fields(DpiSettings) if each.name.endswith(("_application", "_facility"))
)
_CHARSETS: Final = {"UNICODE UTF-8": "utf-8", "8859/15": "iso8859-15"}
_TEST_SUFFIX: Final = ".test"
_PEER: Final = re.compile(r"[0-9]{1,3}(\.[0-9]{1,3}){3}(/[0-9]{1,2})?:[0-9]{1,5}")


@dataclass(frozen=True, slots=True)
class Reviewed:
    """A file that can be used, with what is worth knowing about it."""

    hospital: Hospital
    warnings: tuple[Fault, ...]


def read_hospital(path: File) -> Reviewed:
    """Read, validate and cross-check a file. Raises HospitalFileRefused, OSError."""
    return review(text_of(path))


def review(text: str) -> Reviewed:
    """The same for a text."""
    draft = read_draft(text)
    found = [_located(draft, each) for each in findings(draft.hospital)]
    errors = [each for each in found if not each.warning]
    if not errors:
        errors = [_located(draft, each) for each in stack_refusal(draft.hospital)]
        found += errors
    if errors:
        raise HospitalFileRefused(found)
    return Reviewed(draft.hospital, tuple(sorted(found, key=lambda each: each.line)))


def _located(draft: Draft, found: Finding) -> Fault:
    line = draft.positions.line(found.path)
    return Fault(line, shown_path(found.path), found.sentence, found.warning)


def findings(hospital: Hospital) -> Iterator[Finding]:
    """Everything that is wrong or odd."""
    yield from _deployment(hospital)
    yield from _retention(hospital)
    yield from _establishments(hospital)
    yield from _mailboxes(hospital)
    yield from _dpis(hospital)
    yield from _operator(hospital)
    yield from _trust(hospital)
    yield from _alarms(hospital)
    yield from _figures(hospital)
    yield from _grace(hospital)
    yield from _network(hospital)
    yield from feeding(hospital)
    yield from placeholders(hospital)
    if (size := len(dump_settings(hospital.settings).encode())) > PARAMETER_BYTES:
        yield Finding((), f"les paramètres font {size} octets ; SSM en accepte {PARAMETER_BYTES}")


def _production(hospital: Hospital) -> bool:
    return hospital.deployment.environment is Environment.PRODUCTION


def _deployment(hospital: Hospital) -> Iterator[Finding]:
    table = hospital.deployment
    if not _STACK_NAME.fullmatch(table.name):
        yield Finding(
            ("deployment", "name"),
            "2 à 24 caractères : minuscules, chiffres ou tirets, une lettre d'abord",
        )
    elif table.name.endswith(BESIDE):
        ends = ", ".join(BESIDE)
        sentence = f"{ends} finissent le nom des piles annexes : pfi destroy s'y tromperait"
        yield Finding(("deployment", "name"), sentence)
    elif table.name.endswith("-test") is _production(hospital):
        yield Finding(
            ("deployment", "name"),
            "le nom d'une installation de test finit par -test, et aucun autre",
        )
    if table.region not in EEA_REGIONS:
        yield Finding(
            ("deployment", "region"),
            f"région refusée : les données de santé restent dans l'Espace économique européen "
            f"(HDS, exigence 28). Régions acceptées : {', '.join(EEA_REGIONS)}",
        )
    for name in ("concurrency", "push_concurrency"):
        if not 2 <= getattr(table, name) <= 1000:
            yield Finding(("deployment", name), "de 2 à 1000")
    if not table.product_reference:
        yield Finding(
            ("deployment", "product_reference"),
            "sans référence de produit, l'en-tête X-MSS-NIL (ECO.2.4.3) n'est pas émis",
            warning=True,
        )


def _retention(hospital: Hospital) -> Iterator[Finding]:
    bodies, ledger = hospital.retention.bodies_days, hospital.retention.ledger_days
    if bodies < 1:
        yield Finding(("retention", "bodies_days"), "au moins un jour")
    if ledger < bodies:
        yield Finding(
            ("retention", "ledger_days"),
            f"le registre doit durer au moins autant que les courriels ({bodies} jours)",
        )
    elif ledger < 400:
        yield Finding(
            ("retention", "ledger_days"),
            "moins de 400 jours : un document renvoyé plus tard serait intégré une seconde fois",
            warning=True,
        )


def _establishments(hospital: Hospital) -> Iterator[Finding]:
    used = {mailbox.establishment for mailbox in hospital.mailboxes}
    yield from _unique("establishments", "id", (each.id for each in hospital.establishments))
    yield from _not_empty("establishments", hospital.establishments, "un établissement")
    for number, each in enumerate(hospital.establishments):
        yield from _identifier(("establishments", number, "id"), each.id)
        if each.finess and not _FINESS.fullmatch(each.finess):
            yield Finding(("establishments", number, "finess"), "un FINESS a neuf caractères")
        if each.id not in used:
            yield Finding(("establishments", number), "aucune boîte ne le sert", warning=True)


def _mailboxes(hospital: Hospital) -> Iterator[Finding]:
    boxes = hospital.mailboxes
    yield from _not_empty("mailboxes", boxes, "une boîte")
    yield from _unique("mailboxes", "id", (each.id for each in boxes))
    yield from _unique("mailboxes", "address", (each.address.lower() for each in boxes))
    establishments = [each.id for each in hospital.establishments]
    dpis = [each.id for each in hospital.dpis]
    for number, each in enumerate(boxes):
        place = ("mailboxes", number)
        yield from _identifier((*place, "id"), each.id)
        yield from _declared((*place, "establishment"), each.establishment, establishments,
                             "établissement", "[[establishments]]")  # fmt: skip
        yield from _declared((*place, "dpi"), each.dpi, dpis, "DPI", "[[dpis]]")
        yield from _address((*place, "address"), each.address, hospital)
        yield from _fallback(place, each, hospital)


def _fallback(place: Place, mailbox: MailboxSettings, hospital: Hospital) -> Iterator[Finding]:
    path = (*place, "fallback")
    if not mailbox.fallback:
        yield Finding(
            path, "aucune messagerie de repli : l'expéditeur recevra une réponse", warning=True
        )
        return
    if mailbox.fallback.lower() in hospital.settings.own_addresses:
        yield Finding(path, "la messagerie de repli est une boîte de la PFI : boucle")
    yield from _address(path, mailbox.fallback, hospital)


def _address(path: Place, address: str, hospital: Hospital) -> Iterator[Finding]:
    if not _ADDRESS.fullmatch(address):
        yield Finding(path, "ce n'est pas une adresse de messagerie")
    elif _production(hospital) and address.lower().endswith(_TEST_SUFFIX):
        yield Finding(path, "adresse d'essai (.test) dans un environnement de production")
    elif not trusted(address, hospital.trust.suffixes):
        yield Finding(path, "domaine hors de l'espace de confiance ([trust].suffixes)")


def _dpis(hospital: Hospital) -> Iterator[Finding]:
    used = {mailbox.dpi for mailbox in hospital.mailboxes}
    yield from _not_empty("dpis", hospital.dpis, "un DPI")
    yield from _unique("dpis", "id", (each.id for each in hospital.dpis))
    for number, each in enumerate(hospital.dpis):
        place = ("dpis", number)
        yield from _identifier((*place, "id"), each.id)
        yield from _endpoint(place, "host", each.host, "port", each.port)
        yield from _names_in_messages(place, each)
        yield from (Finding((*place, key), sentence) for key, sentence in pacing(each))
        yield from _urls((*place, "crl_urls"), each.crl_urls)
        if each.id not in used:
            yield Finding(place, "aucune boîte n'envoie vers ce DPI", warning=True)
        if each.tls == "off":
            yield Finding(
                (*place, "tls"),
                "MLLP en clair : seulement dans un VPN ou une liaison dédiée",
                warning=True,
            )


def _names_in_messages(place: Place, dpi: DpiSettings) -> Iterator[Finding]:
    """MSH-3…6 are HD fields: a separator in them would shift the segment (HL7 2.6, 2.A.33)."""
    for name in _HD_FIELDS:
        value = getattr(dpi, name)
        if not value:
            yield Finding((*place, name), "ce nom figure dans chaque message (MSH), il est requis")
        elif set(value) & set("|^~\\&") or not value.isprintable():
            yield Finding((*place, name), "les séparateurs HL7 | ^ ~ \\ & y sont interdits")
        elif not _fits(value, dpi.charset):
            yield Finding((*place, name), f"caractère absent du jeu {dpi.charset}")
    if dpi.ipp_authority and not _AUTHORITY.fullmatch(dpi.ipp_authority):
        yield Finding((*place, "ipp_authority"), "forme attendue : NOM&1.2.250.…&ISO")
    if dpi.add_local_ipp and not dpi.ipp_authority:
        yield Finding((*place, "ipp_authority"), "requis par add_local_ipp = true")


def _fits(value: str, charset: str) -> bool:
    try:
        value.encode(_CHARSETS[charset])
    except UnicodeEncodeError:
        return False
    return True


def _operator(hospital: Hospital) -> Iterator[Finding]:
    operator = hospital.operator
    for name in ("imap", "smtp"):
        host, port = f"{name}_host", f"{name}_port"
        values = getattr(operator, host), getattr(operator, port)
        yield from _endpoint(("operator",), host, values[0], port, values[1])
    yield from _urls(("operator", "crl_urls"), operator.crl_urls)
    if operator.revocation == "off":
        yield Finding(
            ("operator", "revocation"),
            "révocation non vérifiée, contre l'exigence ECO.1.1.6",
            warning=not _production(hospital),
        )
    elif not operator.crl_urls:
        yield Finding(
            ("operator", "crl_urls"),
            "sans adresse, la liste de révocation n'est pas renouvelée chaque jour",
            warning=True,
        )


def _trust(hospital: Hospital) -> Iterator[Finding]:
    if not hospital.trust.suffixes:
        yield Finding(("trust", "suffixes"), "au moins un domaine")
    for suffix in hospital.trust.suffixes:
        if not re.fullmatch(r"\.?[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+", suffix):
            yield Finding(("trust", "suffixes"), f"« {suffix} » n'est pas un domaine")
        elif _production(hospital) and suffix.lower().endswith(_TEST_SUFFIX):
            yield Finding(("trust", "suffixes"), f"« {suffix} » : domaine d'essai en production")


def _alarms(hospital: Hospital) -> Iterator[Finding]:
    for address in hospital.alarms.addresses:
        if not _ADDRESS.fullmatch(address):
            yield Finding(("alarms", "addresses"), f"« {address} » n'est pas une adresse")
    if not hospital.alarms.addresses:
        yield Finding(("alarms", "addresses"), "personne ne reçoit les alarmes", warning=True)


def _network(hospital: Hospital) -> Iterator[Finding]:
    """The stack has its own rules; what they refuse is told here, before any AWS call."""
    network = hospital.network
    if (network.link == "none") == bool(network.hospital):
        yield Finding(
            ("network", "link"), "link et hospital vont ensemble : une liaison et ses réseaux"
        )
    if network.link == "vpn" and not network.customer_gateway:
        yield Finding(("network", "customer_gateway"), 'requis par link = "vpn"')
    for name in ("imap", "smtp", "dpi"):
        yield from _peers(("network", name), getattr(network, name), enabled=network.enabled)


def _peers(path: Place, peers: tuple[str, ...], *, enabled: bool) -> Iterator[Finding]:
    for peer in peers:
        if not _PEER.fullmatch(peer):
            yield Finding(path, f"« {peer} » : forme attendue 203.0.113.10/32:143")
    if enabled and not peers:
        yield Finding(path, "aucun pair autorisé : rien ne pourra sortir", warning=True)


def stack_refusal(hospital: Hospital) -> Iterator[Finding]:
    """What the stack refuses and no rule above foresaw; its words are English."""
    try:
        deployment(hospital.context)
    except RefusedContextError as refused:
        yield Finding(_place_of(str(refused)), f"refusé par la pile : {refused}")


def _place_of(refusal: str) -> Place:
    """A refusal starts with its key, most of the time."""
    key = refusal.partition(":")[0]
    if key.startswith("feed_"):
        return ("endpoint", key.removeprefix("feed_"))
    return _KEYS.get(key, ("network", key) if key.isidentifier() else ())


_KEYS: Final[dict[str, Place]] = {
    "retention_traces": ("retention", "traces_days"),
    "thresholds": ("alarms", "thresholds"),
}


def _figures(hospital: Hospital) -> Iterator[Finding]:
    """Durations, sizes and counts are above zero; some may be zero."""
    tables: dict[Place, Any] = {
        (name,): getattr(hospital, name) for name in ("operator", "limits", "retry")
    }
    tables |= {("dpis", number): each for number, each in enumerate(hospital.dpis)}
    for place, table in tables.items():
        for each in fields(table):
            if each.name.endswith("port"):
                continue  # told with its own bounds
            value = getattr(table, each.name)
            values = value if isinstance(value, tuple) else (value,)
            least = 0 if each.name in _MAY_BE_ZERO else 1e-9
            if any(type(one) in {int, float} and one < least for one in values):
                yield Finding((*place, each.name), "une valeur positive est attendue")


def _grace(hospital: Hospital) -> Iterator[Finding]:
    longest = int(LONGEST.total_seconds())
    if not 0 <= hospital.match.grace_s <= longest:
        yield Finding(("match", "grace_s"), f"de 0 (pas d'attente) à {longest} secondes")


_MAY_BE_ZERO: Final = frozenset({"resend_on_unknown", "hold_s", "min_interval_s"})


def _endpoint(
    place: Place, host_name: str, host: str, port_name: str, port: int
) -> Iterator[Finding]:
    if not _HOST.fullmatch(host):
        yield Finding((*place, host_name), "un nom de machine ou une adresse IP est attendu")
    if not 1 <= port <= 65_535:
        yield Finding((*place, port_name), "un port va de 1 à 65535")


def _urls(path: Place, urls: Iterable[str]) -> Iterator[Finding]:
    for url in urls:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            yield Finding(path, f"« {url} » : adresse http:// ou https:// attendue")


def _identifier(path: Place, value: str) -> Iterator[Finding]:
    """Ids become object keys and partition keys."""
    if not _ID.fullmatch(value):
        yield Finding(path, "1 à 40 caractères : minuscules, chiffres ou tirets")


def _declared(
    path: Place, value: str, known: list[str], what: str, table: str
) -> Iterator[Finding]:
    if value not in known:
        names = ", ".join(known) or "aucun"
        yield Finding(path, f"{what} « {value} » non déclaré dans {table} (déclarés : {names})")


def _unique(table: str, key: str, values: Iterable[str]) -> Iterator[Finding]:
    listed = list(values)
    twice = {value for value, count in Counter(listed).items() if count > 1}
    for number, value in enumerate(listed):
        if value in twice and listed.index(value) != number:
            yield Finding((table, number, key), f"« {value} » est déjà pris plus haut")


def _not_empty(table: str, rows: tuple[Any, ...], what: str) -> Iterator[Finding]:
    if not rows:
        yield Finding((table,), f"au moins {what}")
