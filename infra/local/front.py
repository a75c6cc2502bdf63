"""What stands before the function `feed` on AWS, on a laptop: HTTPS with mutual TLS, and no more.

The emulator knows HTTP APIs, but no client certificates. The event is that of an HTTP API (payload
2.0), with the certificate where API Gateway puts it; the function cannot tell the difference.
"""

import base64
import json
import ssl
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

MOST: Final = 10_000_000
"""Bytes of a request that API Gateway accepts."""
_HANDSHAKE_S: Final = 10.0
FAILURES: Final = (BotoCoreError, ClientError, RuntimeError)
Invoke = Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""Calls the function with an event; its answer, or an exception."""


class _Request(BaseHTTPRequestHandler):
    server: "Front"
    connection: ssl.SSLSocket
    protocol_version = "HTTP/1.1"
    timeout = 300

    def setup(self) -> None:
        """The handshake belongs to the thread of the connection, not to the listener."""
        self.request.settimeout(_HANDSHAKE_S)
        self.request.do_handshake()
        super().setup()

    def do_POST(self) -> None:
        """One message."""
        size = int(self.headers.get("content-length") or 0)
        if size > MOST or self.path != "/":
            self.close_connection = True
            self._answer(413 if size > MOST else 404, {}, b"")
            return
        event = _event(self.connection, dict(self.headers.items()), self.rfile.read(size))
        try:
            found = self.server.invoke(event)
        except FAILURES:  # API Gateway says so of whatever ails a function
            found = {"statusCode": 500}
        body = str(found.get("body", "")).encode()
        self._answer(int(found["statusCode"]), found.get("headers", {}), body)

    def _answer(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing: the function tells of its own calls."""


def _event(connection: ssl.SSLSocket, headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
    certificate = ssl.DER_cert_to_PEM_cert(connection.getpeercert(binary_form=True) or b"")
    return {
        "version": "2.0",
        "routeKey": "POST /",
        "headers": {name.lower(): value for name, value in headers.items()},
        "requestContext": {
            "http": {"method": "POST", "path": "/"},
            "authentication": {"clientCert": {"clientCertPem": certificate}},
        },
        "body": base64.b64encode(body).decode(),
        "isBase64Encoded": True,
    }


class Front(ThreadingHTTPServer):
    """Listens on 127.0.0.1; a client without a certificate of our root gets no session."""

    daemon_threads = True

    def __init__(self, context: ssl.SSLContext, invoke: Invoke) -> None:
        self.context, self.invoke = context, invoke
        super().__init__(("127.0.0.1", 0), _Request)

    def get_request(self) -> tuple[ssl.SSLSocket, Any]:
        """Wrapped at once, so that whoever closes the connection closes all of it."""
        plain, peer = super().get_request()
        return self.context.wrap_socket(
            plain, server_side=True, do_handshake_on_connect=False
        ), peer

    @property
    def url(self) -> str:
        """Where a relay sends to."""
        return f"https://localhost:{self.server_address[1]}/"

    def start(self) -> None:
        """Serve in a thread of its own."""
        threading.Thread(target=self.serve_forever, args=(0.1,), daemon=True).start()

    def stop(self) -> None:
        """Listen no more."""
        self.shutdown()
        self.server_close()

    def handle_error(self, *_: Any) -> None:
        """A handshake that failed is the client's to tell."""


def invoking(client: Any, function: str) -> Invoke:
    """Calls by the Lambda API, as API Gateway does."""

    def invoke(event: Mapping[str, Any]) -> Mapping[str, Any]:
        answer = client.invoke(FunctionName=function, Payload=json.dumps(event).encode())
        if "FunctionError" in answer:
            raise RuntimeError(function)
        found: Mapping[str, Any] = json.loads(answer["Payload"].read())
        return found

    return invoke
