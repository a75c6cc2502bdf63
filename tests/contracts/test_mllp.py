"""The MLLP client against peers that behave in every way a DPI has been seen to behave."""

import contextlib
import socket
import ssl
import struct
import time

import pytest

from pfi.adapters.mllp import MAX_ANSWER, MllpDpi
from pfi.errors import Misconfigured, OutcomeUnknown, PfiError, Unavailable
from pfi.hl7.mllp import START, frame
from pfi.names import Reason
from tests.contracts.mllp_peer import Certificates, Part, Peer

ID = "PFI2345678ABCDEFGHIJ"
MESSAGE = f"MSH|^~\\&|PFI|CH|DPI|CH|||MDM^T02^MDM_T02|{ID}|T|2.6\r".encode()


def answer(control: str = ID, code: str = "AA") -> bytes:
    return f"MSH|^~\\&|DPI|CH|PFI|CH|||ACK^T02^ACK|1|T|2.6\rMSA|{code}|{control}\r".encode()


def client(port: int, **more: float | ssl.SSLContext | None) -> MllpDpi:
    settings = {"connect_timeout": 2.0, "ack_timeout": 2.0, "ssl_context": None} | more
    return MllpDpi("127.0.0.1", port, **settings)  # type: ignore[arg-type]


def saying(*pieces: bytes, pause: float = 0.0) -> Part:
    """Hear one message, then send these bytes."""

    def part(peer: Peer, connection: socket.socket) -> None:
        peer.hear(connection)
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(pause)

    return part


def silent(peer: Peer, connection: socket.socket) -> None:
    """Hear one message and keep the connection open without a word."""
    peer.hear(connection)
    peer.released.wait(5)


def deaf(peer: Peer, connection: socket.socket) -> None:
    """Accept the connection, read nothing, say nothing."""
    peer.released.wait(5)


def fails_with(
    family: type[PfiError], reason: Reason, dpi: MllpDpi, message: bytes = MESSAGE
) -> None:
    with pytest.raises(family) as failure:
        dpi.exchange((message,), ID)
    assert failure.value.reason is reason
    assert str(failure.value) == reason.value


def unknown(dpi: MllpDpi, message: bytes = MESSAGE) -> None:
    fails_with(OutcomeUnknown, Reason.DPI_OUTCOME_UNKNOWN, dpi, message)


def test_the_message_arrives_framed_and_the_raw_answer_comes_back() -> None:
    with Peer(saying(frame(answer()))) as peer:
        assert client(peer.port).exchange((MESSAGE,), ID) == answer()
        assert client(peer.port).exchange((MESSAGE,), ID) == answer()
    assert peer.heard == [MESSAGE, MESSAGE]


@pytest.mark.parametrize("code", ["AE", "AR", "CA"])
def test_a_refusal_is_an_answer_like_any_other(code: str) -> None:
    with Peer(saying(frame(answer(code=code)))) as peer:
        assert client(peer.port).exchange((MESSAGE,), ID) == answer(code=code)


def test_an_answer_cut_byte_by_byte_is_put_together() -> None:
    pieces = [bytes([b]) for b in frame(answer())]
    with Peer(saying(*pieces, pause=0.0005)) as peer:
        assert client(peer.port).exchange((MESSAGE,), ID) == answer()


def test_of_two_answers_the_first_is_read_and_the_connection_left() -> None:
    with Peer(saying(frame(answer()) + frame(answer(code="AE")))) as peer:
        assert client(peer.port).exchange((MESSAGE,), ID) == answer()


KEPT = frame(answer(code="CA"))


@pytest.mark.parametrize("code", ["AA", "AE", "AR"])
@pytest.mark.parametrize(
    "said",
    [(KEPT, b""), (b"", KEPT), (KEPT[:50], KEPT[50:]), (KEPT + KEPT, KEPT)],
    ids=["before", "with it", "cut in two", "three times"],
)
def test_a_message_that_is_kept_has_its_answer_yet_to_come(
    code: str, said: tuple[bytes, bytes]
) -> None:
    first, second = said
    with Peer(saying(first, second + frame(answer(code=code)), pause=0.05)) as peer:
        assert client(peer.port).exchange((MESSAGE,), ID) == answer(code=code)
    assert peer.heard == [MESSAGE]


@pytest.mark.parametrize(
    "then",
    [b"", START + answer(), frame(answer("PFIOTHERMESSAGE00000")), frame(b"HTTP/1.1 400")],
    ids=["closed", "half an answer", "another message's answer", "garbage"],
)
def test_a_message_that_was_only_kept_says_so(then: bytes) -> None:
    with Peer(saying(KEPT + then)) as peer:
        assert client(peer.port).exchange((MESSAGE,), ID) == answer(code="CA")


def test_after_a_message_is_kept_the_time_out_is_the_same_total() -> None:
    def kept(peer: Peer, connection: socket.socket) -> None:
        peer.hear(connection)
        time.sleep(0.2)
        connection.sendall(KEPT)
        peer.released.wait(5)

    with Peer(kept) as peer:
        started = time.monotonic()
        dpi = client(peer.port, ack_timeout=0.5)
        assert dpi.exchange((MESSAGE,), ID) == answer(code="CA")
        assert 0.45 < time.monotonic() - started < 2


@pytest.mark.parametrize("code", ["CE", "CR", "AA"])
def test_after_a_refusal_to_keep_nothing_more_is_awaited(code: str) -> None:
    def refuses(peer: Peer, connection: socket.socket) -> None:
        peer.hear(connection)
        connection.sendall(frame(answer(code=code)))
        peer.released.wait(5)

    with Peer(refuses) as peer:
        started = time.monotonic()
        assert client(peer.port).exchange((MESSAGE,), ID) == answer(code=code)
        assert time.monotonic() - started < 1.5


def test_noise_before_the_frame_is_dropped() -> None:
    with Peer(saying(b"\r\n", frame(answer()))) as peer:
        assert client(peer.port).exchange((MESSAGE,), ID) == answer()


def test_a_large_message_goes_through_whole() -> None:
    large = MESSAGE + b"A" * 8_000_000
    with Peer(saying(frame(answer()))) as peer:
        client(peer.port, ack_timeout=20.0).exchange((large,), ID)
    assert peer.heard == [large]


def test_a_message_in_pieces_arrives_as_one() -> None:
    pieces = (MESSAGE, b"A" * 3_000_000, b"|F\r")
    with Peer(saying(frame(answer()))) as peer:
        client(peer.port, ack_timeout=20.0).exchange(pieces, ID)
    assert peer.heard == [b"".join(pieces)]


def test_a_peer_that_resets_between_two_pieces_is_an_unknown_outcome() -> None:
    def reset(peer: Peer, connection: socket.socket) -> None:
        connection.recv(1000)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with Peer(reset) as peer, pytest.raises(OutcomeUnknown):
        client(peer.port).exchange((MESSAGE, b"", *[b"A" * 1_000_000] * 20), ID)


def test_a_refused_connection_leaves_nothing_behind() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    fails_with(Unavailable, Reason.DPI_UNAVAILABLE, client(port))


def test_a_name_that_does_not_resolve_leaves_nothing_behind() -> None:
    fails_with(Unavailable, Reason.DPI_UNAVAILABLE, MllpDpi("dpi.invalid", 2575, 2, 2))


def test_a_silent_peer_is_an_unknown_outcome_after_the_time_out() -> None:
    with Peer(silent) as peer:
        started = time.monotonic()
        unknown(client(peer.port, ack_timeout=0.3))
        assert 0.25 < time.monotonic() - started < 2


def test_the_time_out_is_a_total_not_one_per_piece() -> None:
    pieces = [bytes([b]) for b in frame(answer())]
    with Peer(saying(*pieces, pause=0.1)) as peer:
        started = time.monotonic()
        unknown(client(peer.port, ack_timeout=0.5))
        assert time.monotonic() - started < 1.5


@pytest.mark.parametrize(
    "said",
    [
        b"",
        START + answer()[:40],
        START + answer(),
        frame(answer("PFIOTHERMESSAGE00000")),
        frame(answer("PFIOTHERMESSAGE00000")) + frame(answer()),
        frame(answer("PFIOTHERMESSAGE00000", "CA")) + frame(answer()),
        frame(b"HTTP/1.1 400 Bad Request"),
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        frame(b""),
    ],
    ids=[
        "closed", "half an answer", "no end", "another message's answer",
        "another message's answer first", "another message kept first", "garbage in a frame",
        "garbage", "empty frame",
    ],
)  # fmt: skip
def test_without_a_matching_answer_the_outcome_is_unknown(said: bytes) -> None:
    with Peer(saying(said)) as peer:
        unknown(client(peer.port))


def test_a_peer_that_half_closes_and_says_nothing_is_an_unknown_outcome() -> None:

    def half_close(peer: Peer, connection: socket.socket) -> None:
        peer.hear(connection)
        connection.shutdown(socket.SHUT_WR)
        peer.released.wait(5)

    with Peer(half_close) as peer:
        unknown(client(peer.port))


def test_a_peer_that_resets_in_the_middle_of_the_message_is_an_unknown_outcome() -> None:
    def reset(peer: Peer, connection: socket.socket) -> None:
        connection.recv(1000)
        linger = struct.pack("ii", 1, 0)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)

    with Peer(reset) as peer:
        unknown(client(peer.port), MESSAGE + b"A" * 20_000_000)


def test_a_peer_that_never_reads_is_an_unknown_outcome() -> None:
    with Peer(deaf) as peer:
        unknown(client(peer.port, ack_timeout=0.3), MESSAGE + b"A" * 20_000_000)


def test_an_endless_answer_is_cut_off() -> None:
    sent = 0

    def flood(peer: Peer, connection: socket.socket) -> None:
        nonlocal sent
        peer.hear(connection)
        connection.sendall(START)
        while sent < 50_000_000:
            connection.sendall(b"A" * 100_000)
            sent += 100_000

    with Peer(flood) as peer:
        unknown(client(peer.port, ack_timeout=10.0))
    assert sent < 20 * MAX_ANSWER


# --- TLS ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates.make(tmp_path_factory.mktemp("tls") / "ours")


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates.make(tmp_path_factory.mktemp("tls") / "theirs")


def _only(context: ssl.SSLContext, version: ssl.TLSVersion) -> ssl.SSLContext:
    context.minimum_version = context.maximum_version = version
    return context


VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


@pytest.mark.parametrize("version", VERSIONS)
def test_mutual_tls_carries_the_exchange(ours: Certificates, version: ssl.TLSVersion) -> None:
    context = _only(ours.client(), version)
    with Peer(saying(frame(answer())), ours.server()) as peer:
        assert client(peer.port, ssl_context=context).exchange((MESSAGE,), ID) == answer()


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("size", [0, 3_000_000])
def test_a_refused_client_certificate_needs_an_operator(
    ours: Certificates, version: ssl.TLSVersion, size: int
) -> None:
    context = _only(ours.client(with_certificate=False), version)
    with Peer(saying(frame(answer())), ours.server()) as peer:
        with pytest.raises((Misconfigured, OutcomeUnknown)) as failure:
            client(peer.port, ssl_context=context).exchange((MESSAGE + b"A" * size,), ID)
        if size == 0:  # with more in flight, the alert may be lost in the reset
            assert failure.value.reason is Reason.CERTIFICATE


def slow_to_refuse(context: ssl.SSLContext) -> Part:
    """A TLS 1.3 peer that looks at the client's certificate after the message has left."""

    def part(peer: Peer, connection: socket.socket) -> None:
        received, to_send = ssl.MemoryBIO(), ssl.MemoryBIO()
        server = context.wrap_bio(received, to_send, server_side=True)
        for pause in (0.0, 0.2):
            received.write(connection.recv(65_536))
            time.sleep(pause)
            connection.settimeout(pause or None)
            with contextlib.suppress(TimeoutError):  # the message may have come with the handshake
                received.write(connection.recv(65_536) if pause else b"")
            with contextlib.suppress(ssl.SSLError):
                server.do_handshake()
            connection.sendall(to_send.read())

    return part


def test_a_certificate_refused_after_the_message_left_still_needs_an_operator(
    ours: Certificates,
) -> None:
    context = _only(ours.client(with_certificate=False), ssl.TLSVersion.TLSv1_3)
    with Peer(slow_to_refuse(ours.server())) as peer:
        fails_with(Misconfigured, Reason.CERTIFICATE, client(peer.port, ssl_context=context))


def test_a_client_certificate_of_another_authority_needs_an_operator(
    ours: Certificates, theirs: Certificates
) -> None:
    context = theirs.client()
    context.load_verify_locations(ours.folder / "authority.pem")
    with Peer(saying(frame(answer())), ours.server()) as peer:
        fails_with(Misconfigured, Reason.CERTIFICATE, client(peer.port, ssl_context=context))


def test_a_server_of_another_authority_gets_nothing(
    ours: Certificates, theirs: Certificates
) -> None:
    peer = Peer(saying(frame(answer())), theirs.server(mutual=False))
    with peer:
        dpi = client(peer.port, ssl_context=ours.client())
        fails_with(Misconfigured, Reason.CERTIFICATE, dpi)
    assert peer.heard == []


def test_a_server_under_another_name_gets_nothing(ours: Certificates) -> None:
    with Peer(saying(frame(answer())), ours.server()) as peer:
        other = MllpDpi("127.0.0.2", peer.port, 2, 2, ours.client())
        with pytest.raises((Misconfigured, Unavailable)):
            other.exchange((MESSAGE,), ID)
        named = MllpDpi("localhost", peer.port, 2, 2, ours.client())
        assert named.exchange((MESSAGE,), ID) == answer()


def test_a_peer_that_speaks_no_tls_needs_an_operator(ours: Certificates) -> None:
    with Peer(lambda peer, connection: connection.sendall(b"220 no TLS here\r\n")) as peer:
        dpi = client(peer.port, ssl_context=ours.client())
        fails_with(Misconfigured, Reason.CERTIFICATE, dpi)


def test_a_peer_that_closes_or_is_silent_in_the_handshake_got_nothing(ours: Certificates) -> None:
    with Peer(lambda peer, connection: None) as peer:
        fails_with(
            Unavailable, Reason.DPI_UNAVAILABLE, client(peer.port, ssl_context=ours.client())
        )
    with Peer(deaf) as peer:
        dpi = client(peer.port, ssl_context=ours.client(), connect_timeout=0.3)
        fails_with(Unavailable, Reason.DPI_UNAVAILABLE, dpi)


def test_a_tls_peer_that_closes_before_its_answer_is_an_unknown_outcome(
    ours: Certificates,
) -> None:
    with Peer(saying(), ours.server()) as peer:
        unknown(client(peer.port, ssl_context=ours.client()))
