"""An authority that publishes one revocation list over HTTP."""

from http.server import BaseHTTPRequestHandler


class Authority(BaseHTTPRequestHandler):
    """Publishes one revocation list."""

    content = b""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.content)

    def log_message(self, *_: object) -> None:
        return
