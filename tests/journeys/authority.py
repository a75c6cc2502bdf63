"""An authority that publishes one revocation list over HTTP."""

from collections.abc import Iterator
from datetime import datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec


class Authority(BaseHTTPRequestHandler):
    """Publishes one revocation list."""

    content = b""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.content)

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def authority() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Authority) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/list.crl"
        server.shutdown()
        thread.join()


def other_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def next_update(pem: str) -> datetime:
    return x509.load_pem_x509_crl(pem.encode()).next_update_utc
