"""The simulated DPI answered to by the real client."""

import base64
import json
import os
import socket
import ssl
import stat
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from infra.local.dpi import Dpi
from infra.local.dpi_script import Rule
from infra.local.dpi_store import accepted
from infra.local.pki import REVOKED_SERVER, Pki
from pfi.adapters.mail_access import client_context
from pfi.adapters.mllp import MllpDpi
from pfi.errors import Misconfigured, OutcomeUnknown
from pfi.hl7 import ack
from pfi.hl7.ack import Ack, Verdict
from pfi.names import Event
from tests.contracts.emulator_fixture import eventually
from tests.contracts.mllp_peer import Certificates
from tests.unit.hl7.orders import CONTENT, DOCUMENT, NIR, ROOT, TARGET, order, written

ENTITY = f"2026-0417^^{ROOT}^ISO"


@pytest.fixture
def dpi(tmp_path: Path) -> Iterator[Dpi]:
    simulated = Dpi(tmp_path / "dpi", script=tmp_path / "script.json")
    simulated.start()
    yield simulated
    simulated.stop()


def send(
    dpi: Dpi,
    message: bytes,
    control_id: str,
    wait: float = 3.0,
    context: ssl.SSLContext | None = None,
) -> Ack:
    client = MllpDpi("127.0.0.1", dpi.port, 2.0, wait, context)
    return ack.read(client.exchange((message,), control_id), control_id)


def transmit(dpi: Dpi, event: Event = Event.NEW, wait: float = 3.0) -> Ack:
    whole = order(event)
    return send(dpi, written(whole, TARGET), whole.control_id, wait)


@pytest.mark.parametrize("event", Event)
def test_a_message_of_ours_follows_the_profile_and_is_kept(dpi: Dpi, event: Event) -> None:
    assert transmit(dpi, event).verdict is Verdict.INTEGRATED
    (kept,) = dpi.accepted
    assert (kept.event, kept.document, kept.control_id) == (
        event.value, ENTITY, order(event).control_id,
    )  # fmt: skip
    stored = Path(dpi.folder) / kept.file
    assert stored.read_bytes() == written(order(event), TARGET)
    assert base64.b64encode(CONTENT) in stored.read_bytes()


def test_the_folder_is_private_and_its_index_names_nobody(dpi: Dpi) -> None:
    transmit(dpi)
    assert stat.S_IMODE(dpi.folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(p.stat().st_mode) for p in dpi.folder.iterdir()} == {0o600}
    index = (dpi.folder / "index.jsonl").read_text()
    assert NIR not in index
    assert "HERMIT" not in index
    assert accepted(dpi.folder) == dpi.accepted


def test_the_same_message_again_is_acknowledged_and_not_kept_twice(dpi: Dpi) -> None:
    assert transmit(dpi).verdict is Verdict.INTEGRATED
    assert transmit(dpi).verdict is Verdict.INTEGRATED
    assert (len(dpi.accepted), dpi.duplicates) == (1, 1)


def test_a_restarted_dpi_still_knows_what_it_accepted(dpi: Dpi) -> None:
    transmit(dpi)
    again = Dpi(dpi.folder)
    again.start()
    try:
        assert transmit(again).verdict is Verdict.INTEGRATED
        assert (len(again.accepted), again.duplicates) == (1, 1)
    finally:
        again.stop()


def test_other_bytes_under_a_known_control_id_are_a_duplicate_key(dpi: Dpi) -> None:
    transmit(dpi)
    other = order(content=b"<other/>")
    assert send(dpi, written(other, TARGET), other.control_id).verdict is Verdict.DUPLICATE
    assert len(dpi.accepted) == 1


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        (b"MDM^T02^MDM_T02", b"ORU^R01^ORU_R01", "200"),
        (b"MDM^T02^MDM_T02", b"MDM^T06^MDM_T02", "201"),
        (b"|T|2.6|", b"|X|2.6|", "202"),
        (b"|T|2.6|", b"|T|2.5|", "203"),
        (b"PV1|1|N\r", b"", "100"),
        (b"PV1|1|N\r", b"PV1|1\r", "101"),
        (b"ORC|NW", b"ORC|RO", "103"),
        (b"||||||F\rPRT", b"||||||C\rPRT", "103"),
        (b"^CISIS_CDA_HL7_LPS", b"^CISIS", "103"),
        (b"TXA|1|11502-2|TEXT", b"TXA|1|34112-3|TEXT", "199"),
        (b"^LN\rTXA", b"\rTXA", "101"),
        (b"XML^Base64^", b"XML^Base64^*", "102"),
        (b"^ISO|||||AU", b"^ISO|9^^1^ISO||||AU", "198"),
        (b"|N|VALI", b"|N|", "101"),
        (b"MASQUE_PS^", b"MASQUE^", "103"),
        (b"||N^^expandedYes", b"||Y^^expandedYes", "103"),
        (b"SB^Send by", b"RCT^Send by", "198"),
        (b"&1.2.250.1.213.1.4.10&ISO^INS", b"&1.2.3&ISO^INS", "103"),
    ],
)
def test_a_message_against_the_profile_is_refused_with_its_code(
    dpi: Dpi, old: bytes, new: bytes, code: str
) -> None:
    whole = order()
    message = written(whole, TARGET)
    assert old in message
    read = send(dpi, message.replace(old, new, 1), whole.control_id)
    assert (read.code, read.error_code) == ("AE", code)
    assert dpi.accepted == ()


def test_a_replacement_needs_its_parent(dpi: Dpi) -> None:
    whole = order(Event.REPLACE)
    parent = f"|2026-0416^^{ROOT}^ISO|".encode()
    message = written(whole, TARGET).replace(parent, b"||")
    assert send(dpi, message, whole.control_id).error_code == "101"


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"answer": "AE", "err5": "900"}, ("AE", "207", "900")),
        ({"answer": "AE", "text": "non | rien"}, ("AE", "207", "906")),
        ({"answer": "AE", "err3": "206"}, ("AE", "206", "")),
        ({"answer": "AE", "err5": ""}, ("AE", "207", "")),
        ({"answer": "AR"}, ("AR", "", "")),
        ({"answer": "CA", "text": "reçu"}, ("CA", "", "")),
    ],
)
def test_scripted_refusals_keep_nothing(
    dpi: Dpi, rule: dict[str, str], expected: tuple[str, str, str]
) -> None:
    dpi.play([rule])
    read = transmit(dpi, wait=1.0)
    assert (read.code, read.error_code, read.application_code) == expected
    assert dpi.accepted == ()


@pytest.mark.parametrize(
    ("answer", "kept"),
    [("SILENCE", 0), ("DROP", 0), ("WRONG_ID", 0), ("GARBAGE", 0), ("ACCEPT_THEN_DROP", 1)],
)
def test_scripted_losses_are_unknown_outcomes_then_the_same_message_goes_in_once(
    dpi: Dpi, answer: str, kept: int
) -> None:
    dpi.play([{"answer": answer, "times": 1, "seconds": 0.2}])
    with pytest.raises(OutcomeUnknown):
        transmit(dpi, wait=1.0)
    assert len(dpi.accepted) == kept
    assert transmit(dpi).verdict is Verdict.INTEGRATED
    assert (len(dpi.accepted), dpi.duplicates) == (1, kept)


def test_a_document_that_is_kept_first_and_then_integrated_is_sent_once(dpi: Dpi) -> None:
    dpi.play([{"answer": "CA_THEN_AA"}])
    assert transmit(dpi).verdict is Verdict.INTEGRATED
    assert (len(dpi.accepted), dpi.duplicates) == (1, 0)


def test_a_late_answer_is_lost_but_the_document_is_in(dpi: Dpi) -> None:
    dpi.play([{"answer": "LATE", "seconds": 0.6}])
    with pytest.raises(OutcomeUnknown):
        transmit(dpi, wait=0.2)
    assert transmit(dpi).verdict is Verdict.INTEGRATED
    assert (len(dpi.accepted), dpi.duplicates) == (1, 1)


def test_rules_select_by_event_document_matricule_rank_and_number(dpi: Dpi) -> None:
    dpi.play(
        [
            {"event": "T10", "answer": "AR"},
            {"document": "elsewhere", "answer": "GARBAGE"},
            {"document": ENTITY, "matricule": NIR, "nth": 2, "answer": "AE", "err5": "901"},
            {"document": "2026-0417", "event": "T02", "times": 1, "answer": "AE", "err5": "900"},
        ]
    )
    answers = [transmit(dpi, event) for event in (Event.REPLACE, *[Event.NEW] * 3)]
    assert [(a.code, a.application_code) for a in answers] == [
        ("AR", ""),
        ("AE", "900"),
        ("AE", "901"),
        ("AA", ""),
    ]


def test_a_changed_script_is_read_again_and_a_broken_one_keeps_the_former(
    dpi: Dpi, tmp_path: Path
) -> None:
    script = tmp_path / "script.json"
    _write(script, json.dumps({"rules": [{"answer": "AR"}]}), 1)
    assert transmit(dpi).code == "AR"
    _write(script, "[{", 2)
    assert transmit(dpi).code == "AR"
    assert dpi.script_fault
    _write(script, json.dumps([{"event": "T04", "answer": "AR"}]), 3)
    assert transmit(dpi).code == "AA"
    assert dpi.script_fault == ""


def _write(path: Path, text: str, second: int) -> None:
    path.write_text(text)
    os.utime(path, (second, second))


def test_a_rule_with_an_unknown_word_is_refused() -> None:
    with pytest.raises(ValueError, match="dokument"):
        Rule.read({"dokument": "1"})
    with pytest.raises(ValueError, match="MAYBE"):
        Rule.read({"answer": "MAYBE"})


def test_a_latin_9_message_is_read_in_its_charset(dpi: Dpi) -> None:
    whole = order(document=replace(DOCUMENT, label="Œuvre médicale"))
    message = written(whole, replace(TARGET, charset="8859/15"))
    assert send(dpi, message, whole.control_id).verdict is Verdict.INTEGRATED


def test_under_tls_only_a_known_certificate_gets_in(tmp_path: Path) -> None:
    certificates = Certificates.make(tmp_path / "tls")
    dpi = Dpi(tmp_path / "dpi", ssl_context=certificates.server())
    dpi.start()
    whole = order()
    message = written(whole, TARGET)
    try:
        with pytest.raises(Misconfigured):
            send(dpi, message, whole.control_id, 3, certificates.client(with_certificate=False))
        assert dpi.exchanges == ()
        read = send(dpi, message, whole.control_id, 3, certificates.client())
        assert read.verdict is Verdict.INTEGRATED
    finally:
        dpi.stop()


def test_another_certificate_is_shown_from_the_next_connection_on(tmp_path: Path) -> None:
    pki = Pki.ensure(tmp_path / "pki", ["bal@ch-invente.mssante.fr"])
    dpi = Dpi(tmp_path / "dpi", ssl_context=pki.server_context())
    dpi.start()
    whole = order()
    message = written(whole, TARGET)
    context = client_context(
        ca_pem=pki.trust_pem(),
        cert_pem=pki.certificate_pem("bal@ch-invente.mssante.fr"),
        key_pem=pki.key_pem("bal@ch-invente.mssante.fr"),
        crl_pem=pki.crl_pem(),
    )
    try:
        dpi.present(pki.server_context(REVOKED_SERVER))
        with pytest.raises(Misconfigured):
            send(dpi, message, whole.control_id, 3, context)
        assert eventually(lambda: dpi.broken_off == 1)
        assert dpi.exchanges == ()
        dpi.present(pki.server_context())
        assert send(dpi, message, whole.control_id, 3, context).verdict is Verdict.INTEGRATED
    finally:
        dpi.stop()


def test_it_measures_how_many_connections_were_open_together(dpi: Dpi) -> None:
    transmit(dpi)
    transmit(dpi)
    assert dpi.most_at_once == 1
    dpi.play([{"answer": "SILENCE", "seconds": 60}])
    waiting = [socket.create_connection(("127.0.0.1", dpi.port)) for _ in range(3)]
    assert eventually(lambda: dpi.most_at_once == 3)
    for each in waiting:
        each.close()


def test_stopping_does_not_wait_for_a_silent_answer(dpi: Dpi) -> None:
    dpi.play([{"answer": "SILENCE", "seconds": 60}])
    with pytest.raises(OutcomeUnknown):
        transmit(dpi, wait=0.2)
    started = time.monotonic()
    dpi.stop()
    assert time.monotonic() - started < 2
