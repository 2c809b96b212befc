"""Business Unit: benchmarks | Status: current.

A candidate endpoint that is in trouble, on loopback: it hangs, answers with an error of the service, or throttles.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_HANG_SECONDS = 30.0


class Trouble(StrEnum):
    """What the endpoint does with every request."""

    HANGS = "hangs"
    ERRORS = "errors"
    THROTTLES = "throttles"


_ANSWERS = {
    Trouble.ERRORS: (500, "InternalFailure"),
    Trouble.THROTTLES: (400, "ThrottlingException"),
}


@contextmanager
def faulty_endpoint(trouble: Trouble) -> Iterator[str]:
    """Serve `trouble` on a free loopback port for the length of a block; give the endpoint's URL."""
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if trouble is Trouble.HANGS:
                over.wait(_HANG_SECONDS)
                self.close_connection = True
                return
            status, code = _ANSWERS[trouble]
            body = json.dumps({"__type": code, "message": "planted"}).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/x-amz-json-1.0")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Write nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        over.set()
        server.shutdown()
        server.server_close()
