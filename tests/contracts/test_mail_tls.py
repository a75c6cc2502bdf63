"""The TLS context of the product, and the test certificates it is tried with."""

from __future__ import annotations

import datetime as dt
import os
import ssl
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives import serialization

from infra.local import pki as pki_module
from infra.local.pki import Pki
from pfi.adapters.mail_access import MailAccess, certificate_refused, client_context
from pfi.errors import Misconfigured
from pfi.names import Reason

if TYPE_CHECKING:
    from pathlib import Path

BOX = "bal@ch-invente.mssante.fr"


@pytest.fixture
def pki(tmp_path: Path) -> Pki:
    return Pki.ensure(tmp_path / "pki", [BOX])


def test_the_folder_is_for_its_owner_alone(pki: Pki) -> None:
    assert pki.folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in pki.folder.iterdir()} == {0o600}


def test_certificates_are_reused_and_new_mailboxes_added(pki: Pki) -> None:
    before = {path.name: path.read_bytes() for path in pki.folder.iterdir()}
    again = Pki.ensure(pki.folder, [BOX, "autre@ch-invente.mssante.fr"])
    after = {path.name: path.read_bytes() for path in again.folder.iterdir()}
    assert before.items() <= after.items()
    assert set(after) - set(before) == {
        "autre@ch-invente.mssante.fr.pem",
        "autre@ch-invente.mssante.fr.key",
    }


def test_certificates_on_their_last_day_are_made_anew(
    pki: Pki, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = pki.trust_pem()
    later = dt.datetime.now(dt.UTC) + dt.timedelta(days=89, hours=12)
    monkeypatch.setattr(pki_module, "_now", lambda: later)
    assert Pki.ensure(pki.folder, [BOX]).trust_pem() != old


def test_a_folder_that_was_half_written_is_made_anew(pki: Pki) -> None:
    pki.crl_path.unlink()
    Pki.ensure(pki.folder, [BOX]).client_context(BOX)
    assert pki.crl_path.exists()


def test_the_context_checks_names_chain_and_revocation(pki: Pki) -> None:
    context = client_context(
        pki.trust_pem(), pki.certificate_pem(BOX), pki.key_pem(BOX), pki.crl_pem()
    )
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.verify_flags & ssl.VERIFY_CRL_CHECK_LEAF
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2


def test_without_a_revocation_list_there_is_no_context(pki: Pki) -> None:
    for missing in (None, ""):
        with pytest.raises(Misconfigured) as caught:
            client_context(pki.trust_pem(), crl_pem=missing)
        assert caught.value.reason is Reason.CERTIFICATE
    assert not client_context(pki.trust_pem(), revocation="off").verify_flags & (
        ssl.VERIFY_CRL_CHECK_LEAF
    )


@pytest.mark.parametrize("broken", ["ca", "certificate", "key", "other key", "crl"])
def test_unreadable_material_is_for_an_operator_to_mend(pki: Pki, broken: str) -> None:
    material = {
        "ca": pki.trust_pem(),
        "certificate": pki.certificate_pem(BOX),
        "key": pki.key_pem(BOX),
        "crl": pki.crl_pem(),
    }
    if broken == "other key":
        material["key"] = pki.key_pem("foreign")
    else:
        material[broken] = "-----BEGIN NOTHING-----\nxxxx\n-----END NOTHING-----\n"
    with pytest.raises(Misconfigured) as caught:
        client_context(
            material["ca"], material["certificate"], material["key"], crl_pem=material["crl"]
        )
    assert caught.value.reason is Reason.CERTIFICATE


def test_an_encrypted_key_fails_and_never_asks(pki: Pki) -> None:
    key = serialization.load_pem_private_key(pki.key_pem(BOX).encode(), None)
    locked = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    ).decode()
    with pytest.raises(Misconfigured):
        client_context(pki.trust_pem(), pki.certificate_pem(BOX), locked, pki.crl_pem())


def test_without_memfd_a_private_file_serves_and_disappears(
    pki: Pki, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = tmp_path / "spool"
    spool.mkdir()
    monkeypatch.delattr(os, "memfd_create", raising=False)
    monkeypatch.setattr("tempfile.tempdir", str(spool))
    client_context(pki.trust_pem(), pki.certificate_pem(BOX), pki.key_pem(BOX), pki.crl_pem())
    assert list(spool.iterdir()) == []


def test_secrets_do_not_show_in_the_access() -> None:
    access = MailAccess("h", 143, BOX, password="mot", token="jeton")
    assert "mot" not in repr(access)
    assert "jeton" not in repr(access)


def test_a_certificate_failure_is_found_under_the_wrapping_of_the_libraries() -> None:
    alert = ssl.SSLError(1, "alert")
    alert.reason = "TLSV13_ALERT_CERTIFICATE_REQUIRED"
    wrapped = OSError("wrapped")
    wrapped.__context__ = alert
    assert certificate_refused(wrapped)
    assert certificate_refused(ssl.SSLCertVerificationError())
    assert not certificate_refused(ssl.SSLEOFError())
    assert not certificate_refused(OSError())
