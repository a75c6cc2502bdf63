"""Once a day: how long certificates and revocation lists still live, and newer lists fetched.

A certificate is named by the peer that it opens, so that its metric survives its renewal, and
never by an address: ``mssante-<mailbox>`` and ``dpi-<target>`` each, ``mssante`` and ``dpi`` the
worst of all, which the alarms look at. What cannot be read counts as ended today: it rings
instead of being silent.
"""

import hashlib
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from pfi.adapters.revocation import fetch, renewed
from pfi.adapters.x509 import Certificate, certificates, revocation_lists
from pfi.edge.telemetry import Telemetry
from pfi.edge.wiring import Services, services, trust_key
from pfi.errors import Misconfigured, PfiError, Unavailable
from pfi.journey.outcome import Digest, Fact, Log, Metric, Outcome
from pfi.journey.settings import Settings
from pfi.names import Reason, Step

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

Secret = Mapping[str, Any]
Fetch = Callable[[str], bytes | None]

SECRET_BYTES: Final = 60_000
"""Secrets Manager takes 65 536; a list that does not fit goes to the store under its digest."""
NO_LIST_AGE_H: Final = 24 * 365
"""A list that should be there and is not is as bad as one of last year."""
_WORD: Final = re.compile(r"[a-z0-9-]{1,60}")


@dataclass(frozen=True, slots=True)
class Held:
    """One certificate of ours: where its PEM texts stand in the secret of `peer`.

    With `list_needed` a missing list is a fault; `list_here` when the list in force is its own.
    """

    id: str
    peer: str
    path: tuple[str, ...] = ()
    crl_urls: tuple[str, ...] = ()
    list_needed: bool = False
    list_here: bool = True


@dataclass(frozen=True, slots=True)
class Examined:
    """What is left to one certificate: days of itself and of its chain, hours of its lists."""

    id: str
    days: float
    chain_days: float | None
    crl_hours: float | None
    crl_age_hours: float | None
    fingerprint: str

    @property
    def least_days(self) -> float:
        """The certificate or its chain, whichever ends first."""
        return self.days if self.chain_days is None else min(self.days, self.chain_days)


def held(settings: Settings, mssante: Secret) -> Iterator[Held]:
    """Every certificate that the installation needs, configured or found in the secret."""
    operator, own = settings.operator, mssante.get("certificates", {})
    needed = operator.revocation == "crl"
    alone = [each.id for each in settings.mailboxes if each.id in own]
    if len(alone) < len(settings.mailboxes) or mssante.get("certificate") or mssante.get("crl"):
        yield Held("mssante", "mssante", (), operator.crl_urls, list_needed=needed)
    for mailbox in alone:
        path, name = ("certificates", mailbox), f"mssante-{mailbox}"
        if own[mailbox].get("crl"):
            yield Held(name, "mssante", path, operator.crl_urls, list_needed=needed)
        else:
            yield Held(name, "mssante", path, list_here=False)
    for target in settings.dpis:
        if target.tls != "off":
            yield Held(f"dpi-{target.id}", "dpi", (target.id,), target.crl_urls)


def section(secret: Secret, path: Iterable[str]) -> dict[str, Any]:
    """The part of a secret that a certificate stands in; empty when it is not there."""
    found: Any = secret
    for name in path:
        found = found.get(name, {}) if isinstance(found, Mapping) else {}
    return dict(found) if isinstance(found, Mapping) else {}


def texts_in(secret: Secret, each: Held) -> dict[str, Any]:
    """The PEM texts of one certificate, put together as `pfi.edge.wiring` does.

    Where every mailbox has a certificate of its own, the first of them stands for the shared one:
    the authorities and the lists beside it are shared all the same.
    """
    own = section(secret, each.path)
    if each.peer == "dpi":
        return own
    if not each.path and not secret.get("certificate"):
        own = next(
            (section(secret, ("certificates", m)) for m in secret.get("certificates", {})), {}
        )
    return {**secret, **own}


def examined(each: Held, texts: Secret, now: datetime) -> Examined:
    """Raises Misconfigured(CERTIFICATE) when there is no certificate, or none that can be read."""
    try:
        own, *others = certificates(str(texts.get("certificate", "")))
        chain = [*others, *certificates(str(texts.get("ca", "")))]
        hours, age = _hours(each, str(texts.get("crl", "")), now)
    except ValueError:  # DerUnreadable, and a text without any certificate
        raise Misconfigured(Reason.CERTIFICATE) from None
    return Examined(
        id=each.id,
        days=_days(own, now),
        chain_days=min((_days(one, now) for one in chain), default=None),
        crl_hours=hours,
        crl_age_hours=age,
        fingerprint=hashlib.sha256(own.issuer + str(own.serial).encode()).hexdigest()[:16],
    )


def _days(certificate: Certificate, now: datetime) -> float:
    return math.floor((certificate.not_after - now).total_seconds() / 86_400)


def _hours(each: Held, crl_pem: str, now: datetime) -> tuple[float | None, float | None]:
    """Hours until the first list ends, and since the oldest was made."""
    lists = revocation_lists(crl_pem) if each.list_here else ()
    if not lists:
        missing = each.list_needed and each.list_here
        return (0, NO_LIST_AGE_H) if missing else (None, None)
    left = min(one.next_update or now for one in lists) - now
    age = now - min(one.this_update for one in lists)
    return math.floor(left.total_seconds() / 3600), math.floor(age.total_seconds() / 3600)


@dataclass(frozen=True, slots=True)
class SecretBook:
    """The secrets as they are now, without cache, and the replacement of a list in them."""

    client: "SecretsManagerClient"
    names: Mapping[str, str]
    put_list: Callable[[str, bytes], None]

    def read(self, peer: str) -> tuple[dict[str, Any], str]:
        """The secret of a peer and its version; empty when nobody wrote it."""
        try:
            found = self.client.get_secret_value(SecretId=self.names[peer])
        except (ClientError, BotoCoreError, KeyError):
            return {}, ""
        try:
            value = json.loads(found.get("SecretString", ""))
        except ValueError:
            return {}, ""
        return (value if isinstance(value, dict) else {}), found["VersionId"]

    def keep_list(self, each: Held, crl_pem: str, version: str) -> bool:
        """Write the lists; False when somebody else wrote the secret since it was read."""
        secret, current = self.read(each.peer)
        if current != version:
            return False
        text = json.dumps(with_list(secret, each.path, crl_pem))
        if len(text.encode()) > SECRET_BYTES:
            key = trust_key(crl_pem)
            self.put_list(key, crl_pem.encode())
            text = json.dumps(with_list(secret, each.path, key))
        try:
            self.client.put_secret_value(SecretId=self.names[each.peer], SecretString=text)
        except (ClientError, BotoCoreError):
            raise Unavailable(Reason.STORE_UNAVAILABLE) from None
        return True


def with_list(secret: Secret, path: tuple[str, ...], crl: str) -> dict[str, Any]:
    """The same secret with other lists at one place."""
    if not path:
        return {**secret, "crl": crl}
    return {**secret, path[0]: with_list(section(secret, path[:1]), path[1:], crl)}


@dataclass(frozen=True, slots=True)
class Watch:
    """One daily round."""

    ports: Services
    book: SecretBook
    telemetry: Telemetry
    fetch: Fetch = fetch

    def run(self) -> None:
        """Every certificate in turn, then the least of all: that is what the alarms look at."""
        settings = self.ports.settings
        mssante = self.book.read("mssante")[0]
        seen = [(each.peer, self._one(each)) for each in held(settings, mssante)]
        for peer in dict.fromkeys(peer for peer, _ in seen):
            self._tell(_worst(peer, [found for of, found in seen if of == peer]))
        self.telemetry.emit(Outcome(Log.CERTIFICATES_WATCHED, {"certificates": len(seen)}))

    def _one(self, each: Held) -> Examined:
        try:
            self._renew(each)
            found = examined(each, self._texts(each)[0], self.ports.now())
        except PfiError as fault:
            self.telemetry.emit(Outcome(Log.CERTIFICATE_FAULTY, {"reason": fault.reason}))
            found = _unusable(each)
        except Exception as error:  # the next certificate must be looked at
            self.telemetry.unexpected(error)
            found = _unusable(each)
        if found.fingerprint:
            print_, days = Digest(found.fingerprint), int(found.least_days)
            facts: dict[str, Fact] = {"certificate": print_, "days": days}
            self.telemetry.emit(Outcome(Log.CERTIFICATE_SEEN, facts))
        if each.path:
            self._tell(found)
        return found

    def _texts(self, each: Held) -> tuple[dict[str, Any], str]:
        """The PEM texts of a certificate, and the version of its secret."""
        secret, version = self.book.read(each.peer)
        texts = texts_in(secret, each)
        return {**texts, "crl": self.ports.crl_text(str(texts.get("crl", "")))}, version

    def _renew(self, each: Held) -> None:
        """Fetch the lists; whatever goes wrong, the list in force stays."""
        if not each.crl_urls:
            return
        texts, version = self._texts(each)
        fetched = [content for url in each.crl_urls if (content := self.fetch(url)) is not None]
        better = renewed(texts, fetched, self.ports.now()) if texts.get("ca") else None
        if better is not None and self.book.keep_list(each, better, version):
            self.telemetry.emit(Outcome(Log.CRL_REFRESHED, {"fetched": len(fetched)}))
        elif better is not None or len(fetched) < len(each.crl_urls):
            self.telemetry.emit(Outcome(Log.CRL_KEPT, {"fetched": len(fetched)}))

    def _tell(self, found: Examined) -> None:
        safe = found.id
        if not _WORD.fullmatch(safe):
            safe = hashlib.sha256(safe.encode()).hexdigest()[:16]
        values = {
            Metric.CERTIFICATE_DAYS_LEFT: found.least_days,
            Metric.CRL_HOURS_LEFT: found.crl_hours,
            Metric.CRL_AGE_HOURS: found.crl_age_hours,
        }
        for metric, value in values.items():
            if value is not None:
                self.telemetry.measure(metric, value, {"certificate": safe})


def _unusable(each: Held) -> Examined:
    hours, age = (0, NO_LIST_AGE_H) if each.list_needed else (None, None)
    return Examined(each.id, 0, None, hours, age, "")


def _worst(peer: str, seen: list[Examined]) -> Examined:
    """What rings first of all certificates of a peer."""
    hours = [each.crl_hours for each in seen if each.crl_hours is not None]
    ages = [each.crl_age_hours for each in seen if each.crl_age_hours is not None]
    return Examined(
        id=peer,
        days=min(each.least_days for each in seen),
        chain_days=None,
        crl_hours=min(hours, default=None),
        crl_age_hours=max(ages, default=None),
        fingerprint="",
    )


def certificates_function() -> Callable[[dict[str, Any], Any], None]:
    """A Lambda run by the clock."""
    telemetry = Telemetry(Step.CERTIFICATES)

    def handler(_event: dict[str, Any], _context: Any) -> None:
        with telemetry.last_net():
            ports = services()
            Watch(ports, secret_book(ports), telemetry).run()

    return handler


def secret_book(ports: Services) -> SecretBook:
    """The secrets of an installation."""
    names = {"mssante": ports.names.secret_mssante, "dpi": ports.names.secret_dpi}
    return SecretBook(ports.secrets_client, names, ports.put_trust)
