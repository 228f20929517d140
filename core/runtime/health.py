"""`GET /health` on loopback: 200 while live, 503 otherwise, the status as JSON either way.

It answers from a thread of its own, so it also answers when the event loop hangs.
"""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from core import codec
from core.runtime.status import Status

CLOSE_S = 0.1


class Health:
    """The endpoint of one process."""

    def __init__(self, status: Status, port: int = 0) -> None:
        """
        Args:
            status: what to report.
            port: where; 0 means any free one.

        Raises:
            OSError: the port is taken.
        """

        class Answer(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                found = self.path.split("?")[0] in ("/", "/health")
                body = codec.encode_state(status.report() if found else {"error": "ask for /health"})
                self.send_response((200 if status.healthy else 503) if found else 404)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Probes are not worth a line."""

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Answer)
        self._server.daemon_threads = True
        # The interval is how long `close` takes: half a second by default, which every stop would have to wait for.
        Thread(target=self._server.serve_forever, args=(CLOSE_S,), name="health", daemon=True).start()

    @property
    def url(self) -> str:
        """Where to ask."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/health"

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()
