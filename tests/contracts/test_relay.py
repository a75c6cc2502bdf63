"""The relay between real peers: an MLLP sender, HTTPS with client certificates, a function."""

import base64
import threading
import time
from argparse import ArgumentParser
from contextlib import suppress

import pytest

from infra.local.deployer import ROOT
from infra.local.front import Front
from infra.local.invented.identity_messages import Told
from infra.local.invented.identity_messages import message as adt
from infra.local.pki import EXPIRED, FOREIGN
from infra.relay.__main__ import add_options, main, relay_of
from pfi.edge.feed import MARK
from pfi.hl7.adt import MAX_BYTES
from pfi.hl7.mllp import Deframer
from tests.contracts.relaying import (
    ACK,
    CLIENT,
    RAW,
    Sender,
    code,
    front,
    function,
    lines,
    pki,
    relay,
    relaying,
    started,
)
from tests.data.builders import LEA

__all__ = ["front", "function", "lines", "pki", "relay"]


def test_the_message_and_its_ack_pass_through_unchanged(relay, function, pki):
    with Sender(relay.port) as sender:
        assert sender.send(RAW) == [ACK]
    [event] = function.events
    assert base64.b64decode(event["body"]) == RAW
    assert event["headers"]["content-type"] == "application/hl7-v2; charset=utf-8"
    shown = event["requestContext"]["authentication"]["clientCert"]["clientCertPem"]
    assert shown.strip() == pki.certificate_pem(CLIENT).split("-----END CERT")[0].strip() + (
        "\n-----END CERTIFICATE-----"
    )


def test_messages_of_one_connection_go_one_after_the_other(relay, function):
    with Sender(relay.port) as sender:
        assert sender.send(*[RAW] * 5) == [ACK] * 5
        assert sender.send(RAW) == [ACK]
    assert len(function.events) == 6


def test_an_endpoint_that_is_away_is_an_ar_never_an_aa(relay, function, lines):
    function.answers = [RuntimeError("x"), 403, 503, 429, 200]
    with Sender(relay.port) as sender:
        told = [code(sender.send(RAW)[0]) for _ in range(5)]
    assert told == ["AR", "AR", "AR", "AR", "AA"]
    assert [line.split(" (")[0] for line in lines[:4]] == ["answered AR, endpoint away"] * 4


def test_the_ar_repeats_the_control_id_of_the_message(relay, function):
    function.answers = [503]
    with Sender(relay.port) as sender:
        [answer] = sender.send(RAW)
    assert b"\rMSA|AR|GAM-A28-20260514080000-" in answer
    assert b"PFI-EDGE-04" in answer


def test_a_short_absence_is_waited_for(pki, front, function, lines):
    function.answers = [503]
    with (
        started(relaying(pki, front.url, lines, patience=5)) as relay,
        Sender(relay.port) as sender,
    ):
        assert sender.send(RAW) == [ACK]
    assert len(function.events) == 2


@pytest.mark.parametrize("status", [400, 413, 415])
def test_what_the_endpoint_takes_for_no_message_is_an_ae(relay, function, status):
    function.answers = [status]
    with Sender(relay.port) as sender:
        assert code(sender.send(RAW)[0]) == "AE"


@pytest.mark.parametrize("status", [400, 413, 415])
def test_a_refusal_of_somebody_on_the_way_is_no_answer_to_the_message(relay, function, status):
    function.answers, function.marked = [status], False
    with Sender(relay.port) as sender:
        assert code(sender.send(RAW)[0]) == "AR"


@pytest.mark.parametrize(
    ("named", "charset"),
    [("UNICODE UTF-8", "utf-8"), ("8859/1", "iso-8859-1"), ("8859/15", "iso-8859-15")],
)
def test_the_charset_of_the_request_is_the_one_that_the_message_names(
    relay, function, named, charset
):
    with Sender(relay.port) as sender:
        sender.send(adt(Told(trigger="A28", at="20260514080000", patient=LEA), named))
    assert function.events[0]["headers"]["content-type"] == f"application/hl7-v2; charset={charset}"


def test_the_endpoint_has_one_address(pki, front, function, lines):
    with started(relaying(pki, f"{front.url}other", lines)) as relay, Sender(relay.port) as sender:
        assert code(sender.send(RAW)[0]) == "AR"
    assert function.events == []
    assert "status 404" in lines[0]


@pytest.mark.parametrize("body", ["<html>MSA|AA|</html>", "<html>\rMSA|AA|", "MSH|^~\\&|PFI\r"])
def test_an_answer_that_is_no_ack_is_no_answer(pki, lines, body):
    def page(_event):
        kind = {"content-type": "application/hl7-v2", **MARK}
        return {"statusCode": 200, "headers": kind, "body": body}

    with (
        started(Front(pki.server_context(), page)) as front,
        started(relaying(pki, front.url, lines)) as relay,
        Sender(relay.port) as sender,
    ):
        assert code(sender.send(RAW)[0]) == "AR"


@pytest.mark.parametrize("client", ["", FOREIGN, EXPIRED])
def test_without_a_certificate_of_the_truststore_nothing_arrives(
    pki, front, function, lines, client
):
    with (
        started(relaying(pki, front.url, lines, client=client)) as relay,
        Sender(relay.port) as sender,
    ):
        assert code(sender.send(RAW)[0]) == "AR"
    assert function.events == []


def test_nobody_listens_at_the_endpoint(pki, lines):
    with (
        started(relaying(pki, "https://localhost:9/", lines)) as relay,
        Sender(relay.port) as sender,
    ):
        assert code(sender.send(RAW)[0]) == "AR"


def test_a_message_without_an_end_is_answered_ae_and_the_connection_closed(relay, function):
    with Sender(relay.port) as sender:
        sender.wire.sendall(b"\x0b" + RAW + b"x" * (MAX_BYTES + 1))
        answer = Deframer().feed(sender.wire.recv(65_536))
        assert code(answer[0]) == "AE"
        assert b"|GAM-A28-" in answer[0]
    with Sender(relay.port) as sender:
        assert sender.send(RAW) == [ACK]
    assert len(function.events) == 1


def test_what_lies_between_two_frames_is_nobodys(relay):
    with Sender(relay.port) as sender:
        sender.wire.sendall(b"\r\n\x00noise")
        assert sender.send(RAW) == [ACK]


def test_no_line_holds_anything_of_the_message(relay, function, lines):
    function.answers = [200, 503, 413]
    with Sender(relay.port) as sender:
        sender.send(RAW, RAW, RAW)
    assert len(lines) == 3
    words = (LEA.birth_name, LEA.first_given, LEA.matricule, LEA.ipp, "GAM")
    assert not [word for word in words if word in "".join(lines)]


def heard_by_a_sender_without_certificate(relay, pki):
    """The refusal comes with the handshake, or with the first byte after it (TLS 1.3)."""
    with suppress(OSError), Sender(relay.port, pki.client_context()) as nobody:
        return nobody.send(RAW)
    return []


def test_the_side_of_the_sender_may_be_mutual_tls_too(pki, front, lines):
    with started(relaying(pki, front.url, lines, context=pki.server_context())) as relay:
        with Sender(relay.port, pki.client_context(CLIENT)) as sender:
            assert sender.send(RAW) == [ACK]
        assert heard_by_a_sender_without_certificate(relay, pki) == []
    assert any("connection lost" in line for line in lines)


@pytest.fixture
def words(pki, front):
    return [
        "--listen", "127.0.0.1:0", "--url", front.url, "--ca", str(pki.trust_path),
        "--certificate", str(pki.certificate_path(CLIENT)), "--key", str(pki.key_path(CLIENT)),
    ]  # fmt: skip


def test_the_command_relays(words, capsys, monkeypatch):
    made = []
    monkeypatch.setattr("infra.relay.__main__.signal.signal", lambda *_: None)

    def remembered(options):
        made.append(relay_of(options))
        return made[0]

    monkeypatch.setattr("infra.relay.__main__.relay_of", remembered)
    threading.Thread(target=main, args=(words,), daemon=True).start()
    deadline = time.monotonic() + 5
    while not made and time.monotonic() < deadline:
        time.sleep(0.01)
    with Sender(made[0].port) as sender:
        assert sender.send(RAW) == [ACK]
    made[0].stop()
    assert f"listening on 127.0.0.1:{made[0].port}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("option", "value"), [("--url", "http://x/"), ("--listen", "serveur:1"), ("--url", "https:///")]
)
def test_the_command_refuses_what_cannot_be_meant(words, option, value, capsys):
    words[words.index(option) + 1] = value
    with pytest.raises(SystemExit):
        main(words)
    assert option in capsys.readouterr().err


def test_a_file_that_is_not_there_is_said_in_one_line(words, capsys):
    words[words.index("--key") + 1] = "/nowhere"
    assert main(words) == 2
    assert "relais" in capsys.readouterr().err


def test_the_options_of_the_page_and_the_program_of_the_unit_are_these():
    page = (ROOT / "docs" / "install-relay.md").read_text(encoding="utf-8")
    [line] = [each for each in page.splitlines() if each.startswith("OPTIONS=")]
    parser = ArgumentParser()
    add_options(parser)
    options = parser.parse_args(line.removeprefix("OPTIONS=").split())
    assert options.listen == ("10.1.2.3", 2575)
    unit = (ROOT / "infra" / "relay" / "pfi-relay.service").read_text(encoding="utf-8")
    assert f"LoadCredential=client.key:/etc/pfi-relay/{options.key.name}" in unit
    assert "-m infra.relay $OPTIONS" in unit
