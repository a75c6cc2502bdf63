"""Certificates, keys and passwords of an installation: shown masked, tried, replaced.

The secrets have the format of `pfi.edge.wiring`: MSSanté ``{ca, certificate, key, crl, passwords,
tokens, certificates: {mailbox: {…}}}``, DPI ``{target: {ca, certificate, key, crl}}``.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from infra.operations.account import OperationRefused, Stack
from infra.operations.journal import journal_of, utc_now
from pfi.adapters.s3 import TRUST, S3Store
from pfi.edge.certificates import Examined, Held, SecretBook, examined, held, section, texts_in
from pfi.edge.wiring import tls_context
from pfi.errors import PfiError
from pfi.journey.settings import Settings

MASK: Final = "••••"
PEM_KEYS: Final = ("ca", "certificate", "key", "crl")
_PRIVATE: Final = re.compile(r"-----BEGIN ([A-Z ]*PRIVATE KEY)-----.+?-----END \1-----", re.DOTALL)
_CERTIFICATES: Final = re.compile(
    r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL
)

Texts = Mapping[str, str]


def book_of(stack: Stack) -> SecretBook:
    """The secrets of an installed stack."""
    store = S3Store(stack.client("s3"), stack.output("BucketName"))
    names = {"mssante": stack.output("MssanteSecret"), "dpi": stack.output("DpiSecret")}
    return SecretBook(stack.client("secretsmanager"), names, store.put_trust)


def certificates_of(stack: Stack, settings: Settings) -> tuple[Held, ...]:
    """What the installation needs, by the settings given."""
    return tuple(held(settings, book_of(stack).read("mssante")[0]))


def texts_of(stack: Stack, each: Held) -> dict[str, str]:
    """The PEM texts of one certificate as the functions put them together."""
    whole = texts_in(book_of(stack).read(each.peer)[0], each)
    texts = {name: str(whole.get(name, "")) for name in PEM_KEYS}
    if texts["crl"].startswith(TRUST):
        store = S3Store(stack.client("s3"), stack.output("BucketName"))
        texts["crl"] = store.get(texts["crl"]).decode("ascii", "replace")
    return texts


def state_of(each: Held, texts: Texts, now: datetime) -> Examined | None:
    """Days left; None when there is no certificate that can be read."""
    try:
        return examined(each, texts, now)
    except PfiError:
        return None


def masked_secrets(stack: Stack) -> Iterator[str]:
    """Which secrets exist, and nothing of them."""
    book = book_of(stack)
    for peer in ("mssante", "dpi"):
        yield from _masked(peer, book.read(peer)[0])


def _masked(path: str, value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        if not value:
            yield f"{path} = (vide)"
        for name, each in value.items():
            yield from _masked(f"{path}.{name}", each)
    elif path.endswith((".ca", ".certificate")):
        yield f"{path} = {len(_CERTIFICATES.findall(str(value)))} certificat(s)"
    elif path.endswith(".crl"):
        yield f"{path} = {'présente' if value else '(absente)'}"
    else:
        yield f"{path} = {MASK if value else '(vide)'}"


@dataclass(frozen=True, slots=True)
class Candidate:
    """What a file brings for one certificate; passwords and tokens only from JSON."""

    values: Mapping[str, Any]

    def over(self, texts: Texts) -> dict[str, str]:
        """The texts in force with those of the file in their place."""
        brought = {name: str(self.values[name]) for name in PEM_KEYS if name in self.values}
        return {**texts, **brought}


def candidate(path: Path, ca: Path | None = None, crl: Path | None = None) -> Candidate:
    """A JSON object with the keys of the secret, or a PEM file with chain and private key."""
    text = _text(path)
    values = _json_values(text, path) if text.lstrip().startswith("{") else _pem_values(text, path)
    more = {"ca": ca, "crl": crl}
    return Candidate(values | {name: _text(one) for name, one in more.items() if one is not None})


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except UnicodeDecodeError:
        raise OperationRefused(f"{path} : un fichier PEM ou JSON est attendu") from None
    except OSError:
        raise OperationRefused(f"{path} : fichier introuvable ou illisible") from None


def _json_values(text: str, path: Path) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        raise OperationRefused(f"{path} : JSON illisible") from None
    known = {*PEM_KEYS, "passwords", "tokens"}
    if not isinstance(found, dict) or set(found) - known:
        raise OperationRefused(f"{path} : clés acceptées : {', '.join(sorted(known))}")
    return found


def _pem_values(text: str, path: Path) -> dict[str, Any]:
    key, chain = _PRIVATE.search(text), _CERTIFICATES.findall(text)
    if key is None or not chain:
        raise OperationRefused(f"{path} : un certificat et sa clé privée sont attendus")
    return {"certificate": "\n".join(chain) + "\n", "key": key[0] + "\n"}


def find_held(stack: Stack, settings: Settings, certificate_id: str) -> Held:
    """A certificate by its id; a mailbox may get its first own one."""
    known = {each.id: each for each in certificates_of(stack, settings)}
    for mailbox in settings.mailboxes:
        own = f"mssante-{mailbox.id}"
        known.setdefault(own, Held(own, "mssante", ("certificates", mailbox.id), list_here=False))
    if certificate_id not in known:
        names = ", ".join(known)
        raise OperationRefused(f"certificat « {certificate_id} » inconnu ; connus : {names}")
    return known[certificate_id]


def usable(each: Held, texts: Texts, revocation: str, now: datetime) -> Examined:
    """The candidate is a certificate with its key, valid now, under the authority given."""
    found = state_of(each, texts, now)
    if found is None:
        raise OperationRefused("aucun certificat lisible")
    if found.days < 0:
        raise OperationRefused(f"le certificat a expiré il y a {-found.days:.0f} jour(s)")
    try:
        tls_context(texts, revocation)
    except PfiError:
        raise OperationRefused(
            "OpenSSL refuse cet ensemble : clé d'un autre certificat, autorité (ca) ou liste de"
            " révocation (crl) absente ou illisible"
        ) from None
    return found


def install(stack: Stack, each: Held, brought: Candidate) -> None:
    """Write the values into the secret and the act into the journal; functions follow in 1 min."""
    book = book_of(stack)
    secret, version = book.read(each.peer)
    changed = _merged(secret, each.path, brought.values)
    if book.read(each.peer)[1] != version:
        raise OperationRefused("le secret vient d'être modifié par ailleurs : recommencez")
    stack.client("secretsmanager").put_secret_value(
        SecretId=book.names[each.peer], SecretString=json.dumps(changed)
    )
    journal_of(stack).record(
        "certificates install",
        stack.account.who(),
        before=_fingerprint(each, texts_in(secret, each)),
        after=_fingerprint(each, texts_in(changed, each)),
        detail=(each.id, *sorted(brought.values)),
    )


def _fingerprint(each: Held, texts: Mapping[str, Any]) -> str:
    found = state_of(each, texts, utc_now())
    return found.fingerprint if found else ""


def _merged(
    secret: Mapping[str, Any], path: tuple[str, ...], values: Mapping[str, Any]
) -> dict[str, Any]:
    if not path:
        return {**secret, **values}
    return {**secret, path[0]: _merged(section(secret, path[:1]), path[1:], values)}
