"""Days left, revocation lists renewed and never for a worse one; `cryptography` is the oracle."""

import base64
import json
import ssl
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509 as oracle
from cryptography.hazmat.primitives.asymmetric import ec

from infra.local.pki import INTERMEDIATE, Pki, _crl, _Issuer
from pfi.adapters.revocation import disproved, renewed
from pfi.adapters.x509 import DerUnreadable, certificates, list_pem, revocation_lists
from pfi.edge.certificates import Held, SecretBook, Watch, examined, held, with_list
from pfi.edge.wiring import Services, trust_key
from pfi.errors import Misconfigured
from pfi.journey.outcome import Metric
from pfi.journey.settings import DpiSettings, MailboxSettings, OperatorSettings, Settings

MAILBOX = "pfi@ch.mssante.test"
NOW = datetime.now(UTC)
URL = "http://crl.test/a.crl"
SETTINGS = Settings(
    mailboxes=(MailboxSettings(id="m", address=MAILBOX, establishment="ch", dpi="d"),),
    dpis=(DpiSettings(id="d", host="d", port=1, sending_facility="A", receiving_facility="B"),),
    operator=OperatorSettings(crl_urls=(URL,)),
)


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    return Pki.ensure(tmp_path_factory.mktemp("pki"), [MAILBOX])


@pytest.fixture
def secret(pki):
    return {
        "ca": pki.trust_pem(),
        "certificate": pki.certificate_pem(MAILBOX),
        "key": pki.key_pem(MAILBOX),
        "crl": made(pki, NOW - timedelta(days=1), 9).decode(),
    }


def made(pki, start=NOW, days=3, key=None) -> bytes:
    issuer = pki._issuer(INTERMEDIATE)
    signer = issuer if key is None else _Issuer(issuer.certificate, key)
    return _crl(signer, [], start, timedelta(days=days))


def test_dates_and_names_are_those_that_cryptography_reads(pki):
    for path in pki.folder.glob("*.pem"):
        text = path.read_text()
        if "CRL" in text:
            [mine], theirs = revocation_lists(text), oracle.load_pem_x509_crl(text.encode())
            assert mine.next_update == theirs.next_update_utc
            assert mine.this_update == theirs.last_update_utc
            assert mine.issuer == theirs.issuer.public_bytes()
            continue
        found = oracle.load_pem_x509_certificates(text.encode())
        for mine, theirs in zip(certificates(text), found, strict=True):
            assert (mine.not_before, mine.not_after) == (
                theirs.not_valid_before_utc,
                theirs.not_valid_after_utc,
            )
            assert mine.serial == theirs.serial_number
            assert mine.subject == theirs.subject.public_bytes()


def test_damaged_certificates_are_unreadable_and_nothing_else(pki):
    body = "".join(pki.certificate_pem(MAILBOX).split("-----")[2].split())
    der = base64.b64decode(body)
    for cut in range(0, len(der), 7):
        for broken in (der[:cut], der[:cut] + b"\xff" * 4 + der[cut + 4 :]):
            text = base64.b64encode(broken).decode() or "AA=="
            pem = f"-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n"
            try:
                certificates(pem)
            except DerUnreadable:
                continue


def test_a_newer_list_of_the_same_authority_replaces_the_old_one(pki, secret):
    kept = renewed(secret, [made(pki, NOW - timedelta(minutes=1))], NOW)
    assert kept is not None
    assert len(revocation_lists(kept)) == 1
    der = base64.b64decode("".join(kept.split("-----")[2].split()))
    assert renewed({**secret, "crl": kept}, [der], NOW) is None, "the same list, as DER"


@pytest.mark.parametrize("why", ["forged", "expired", "older", "of tomorrow", "junk", "foreign"])
def test_a_worse_list_never_replaces_the_one_in_force(pki, secret, why):
    current = {**secret, "crl": made(pki, NOW - timedelta(hours=2)).decode()}
    foreign = oracle.load_pem_x509_certificate(pki.certificate_pem("foreign").encode())
    key = ec.generate_private_key(ec.SECP256R1())
    fetched = {
        "forged": made(pki, NOW, 30, key=key),
        "expired": made(pki, NOW - timedelta(hours=1), 0),
        "older": made(pki, NOW - timedelta(days=1), 9),
        "of tomorrow": made(pki, NOW + timedelta(days=1), 9),
        "junk": b"<html>maintenance</html>",
        "foreign": _crl(_Issuer(foreign, key), [], NOW, timedelta(days=3)),
    }[why]
    assert renewed(current, [fetched], NOW) is None


def test_a_list_that_revokes_ourselves_is_believed(pki, secret):
    own = oracle.load_pem_x509_certificate(pki.certificate_pem(MAILBOX).encode())
    crl = _crl(pki._issuer(INTERMEDIATE), [own], NOW - timedelta(minutes=1), timedelta(days=1))
    assert not disproved(secret, crl.decode())
    assert renewed(secret, [crl], NOW + timedelta(minutes=1)) is not None


class Secrets:
    """Secrets Manager of one account."""

    def __init__(self, **values):
        self.values = {name: json.dumps(value) for name, value in values.items()}
        self.version = 1
        self.meanwhile = False

    def get_secret_value(self, SecretId):
        if self.meanwhile:
            self.version += 1
        return {"SecretString": self.values[SecretId], "VersionId": str(self.version)}

    def put_secret_value(self, SecretId, SecretString):
        self.values[SecretId] = SecretString
        self.version += 1


class Heard:
    """What a Telemetry would write."""

    def __init__(self):
        self.lines, self.metrics = [], {}

    def emit(self, outcome):
        self.lines.append(outcome.log.name)

    def unexpected(self, error):
        raise error

    def measure(self, metric, value, dimensions):
        self.metrics[metric, dimensions["certificate"]] = value


class Ports(Services):
    settings = SETTINGS

    def __init__(self, kept):
        self.kept = kept

    def now(self):
        return NOW

    def crl_text(self, crl):
        return self.kept[crl].decode() if crl in self.kept else crl


def watched(secrets, fetch=lambda _url: None):
    kept, heard = {}, Heard()
    book = SecretBook(secrets, {"mssante": "mssante", "dpi": "dpi"}, kept.__setitem__)
    Watch(Ports(kept), book, heard, fetch).run()
    return heard, kept


def test_days_and_hours_are_told_per_peer_and_never_by_an_address(secret):
    heard, _ = watched(Secrets(mssante=secret, dpi={"d": secret}))
    for name in ("mssante", "dpi", "dpi-d"):
        assert heard.metrics[Metric.CERTIFICATE_DAYS_LEFT, name] == 89
        assert heard.metrics[Metric.CRL_HOURS_LEFT, name] > 24
        assert heard.metrics[Metric.CRL_AGE_HOURS, name] >= -1
    assert not [name for _, name in heard.metrics if "@" in name]


def test_what_is_missing_counts_as_ended_today(secret):
    heard, _ = watched(Secrets(mssante={}, dpi={"d": {**secret, "certificate": "no PEM"}}))
    assert heard.metrics[Metric.CERTIFICATE_DAYS_LEFT, "mssante"] == 0
    assert heard.metrics[Metric.CRL_HOURS_LEFT, "mssante"] == 0
    assert heard.metrics[Metric.CERTIFICATE_DAYS_LEFT, "dpi"] == 0
    assert heard.lines.count("CERTIFICATE_FAULTY") == 2


def test_the_daily_round_writes_a_newer_list_into_the_secret(pki, secret):
    old = {**secret, "crl": made(pki, NOW - timedelta(days=1), 2).decode()}
    secrets = Secrets(mssante=old, dpi={"d": secret})
    newer = made(pki, NOW - timedelta(minutes=1), 7)
    heard, _ = watched(secrets, lambda url: newer if url == URL else None)
    stored = json.loads(secrets.values["mssante"])
    assert revocation_lists(stored["crl"]) == revocation_lists(newer.decode())
    assert {**stored, "crl": ""} == {**old, "crl": ""}, "nothing else of the secret moves"
    assert heard.metrics[Metric.CRL_HOURS_LEFT, "mssante"] == 7 * 24 - 1
    assert "CRL_REFRESHED" in heard.lines


def test_a_silent_authority_leaves_the_last_good_list(secret):
    secrets = Secrets(mssante=secret, dpi={"d": secret})
    heard, _ = watched(secrets)
    assert json.loads(secrets.values["mssante"]) == secret
    assert "CRL_KEPT" in heard.lines


def test_a_secret_that_somebody_writes_meanwhile_is_not_overwritten(pki, secret):
    secrets = Secrets(mssante={**secret, "crl": ""}, dpi={"d": secret})
    secrets.meanwhile = True
    before = dict(secrets.values)
    watched(secrets, lambda _url: made(pki, NOW - timedelta(minutes=1)))
    assert secrets.values == before


def test_a_list_too_long_for_a_secret_goes_to_the_store(pki, secret, monkeypatch):
    monkeypatch.setattr("pfi.edge.certificates.SECRET_BYTES", 100)
    secrets = Secrets(mssante={**secret, "crl": ""}, dpi={"d": secret})
    heard, kept = watched(secrets, lambda _url: made(pki, NOW - timedelta(minutes=1)))
    key = json.loads(secrets.values["mssante"])["crl"]
    assert key.startswith("trust/")
    assert b"X509 CRL" in kept[key]
    assert heard.metrics[Metric.CRL_HOURS_LEFT, "mssante"] == 71


def test_each_mailbox_may_have_its_own_certificate_and_list(secret):
    own = {"certificates": {"m": secret}}
    names = [(each.id, each.list_here, each.crl_urls) for each in held(SETTINGS, own)]
    assert names == [("mssante-m", True, (URL,)), ("dpi-d", True, ())]
    shared = {**secret, "certificates": {"m": {"certificate": "", "key": ""}}}
    assert [each.id for each in held(SETTINGS, shared)] == ["mssante", "mssante-m", "dpi-d"]


def test_a_list_is_replaced_at_its_own_place_only():
    secret = {"a": 1, "certificates": {"m": {"crl": "old", "key": "k"}, "n": {"crl": "n"}}}
    assert with_list(secret, ("certificates", "m"), "new") == {
        "a": 1,
        "certificates": {"m": {"crl": "new", "key": "k"}, "n": {"crl": "n"}},
    }


def test_a_secret_without_certificate_is_a_misconfiguration():
    with pytest.raises(Misconfigured):
        examined(Held("mssante", "mssante"), {}, NOW)


def test_published_lists_come_as_der_or_as_pem(pki):
    pem = made(pki)
    der = base64.b64decode("".join(pem.decode().split("-----")[2].split()))
    assert revocation_lists(list_pem(der)) == revocation_lists(list_pem(pem))


def test_a_function_finds_a_long_list_in_the_store_and_reads_it_once(secret):
    class Store:
        reads = 0

        def get(self, key):
            self.reads += 1
            return secret["crl"].encode()

    ports = Services(names=None)
    ports.__dict__["store"] = store = Store()
    key = trust_key(secret["crl"])
    context = [ports._context({**secret, "crl": key}, "crl") for _ in range(2)][1]
    assert context.verify_flags & ssl.VERIFY_CRL_CHECK_LEAF
    assert store.reads == 1
    assert ports.crl_text(secret["crl"]) == secret["crl"]
