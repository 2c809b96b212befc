"""Business Unit: local cloud | Status: current.

The simulator on a loopback port.
"""

from __future__ import annotations

import json
import secrets
import socket
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from types import TracebackType
from typing import Self
from urllib.parse import parse_qsl, urlsplit

from local.broker_simulator.admin import PREFIX
from local.broker_simulator.api import Answer, Request, refusal
from local.broker_simulator.simulator import Ending, Simulator
from local.cloud.emulator_side.strangers import TOKEN_VARIABLE, bears, stranger

_HOST = "127.0.0.1"
_LARGEST_BODY = 2**20


class _Server(ThreadingHTTPServer):
    """A server whose threads end with it."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, port: int, simulator: Simulator, token: str) -> None:
        super().__init__((_HOST, port), _Handler)
        self.simulator = simulator
        self.token = token
        self.stopping = Event()


class _Handler(BaseHTTPRequestHandler):
    """Between one connection and the simulator."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True
    server: _Server

    def do_GET(self) -> None:
        """Take a read."""
        self._take()

    def do_POST(self) -> None:
        """Take an order or a command."""
        self._take()

    def do_DELETE(self) -> None:
        """Take a cancel."""
        self._take()

    def _take(self) -> None:
        refused = self._refusal()
        if refused is not None:
            self._send(refused)
            self.close_connection = True
            return
        url = urlsplit(self.path)
        length = int(self.headers.get("Content-Length") or 0)
        if length > _LARGEST_BODY:
            self._send(Answer(413, {"code": 41310000, "message": "request is too large"}))
            self.close_connection = True
            return
        request = Request(
            method=self.command,
            path=url.path,
            query=dict(parse_qsl(url.query, keep_blank_values=True)),
            headers={name.lower(): value for name, value in self.headers.items()},
            body=self.rfile.read(length),
        )
        reply = self.server.simulator.handle(request)
        if reply.after:
            self.server.stopping.wait(reply.after)
        if reply.ending is Ending.DROPPED:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
        else:
            self._send(reply.answer)

    def _refusal(self) -> Answer | None:
        """Refuse what a web page sends, and a command or a view that is asked for without the token."""
        headers = [(name.lower(), value) for name, value in self.headers.items()]
        why = stranger(self.path, headers)
        if why is not None:
            return refusal(403, 403, why)
        path = urlsplit(self.path).path
        if not path.startswith(PREFIX) or path == f"{PREFIX}health":
            return None
        if not bears(self.server.token, headers):
            return refusal(403, 403, f"expected the simulator's token ({TOKEN_VARIABLE})")
        if self.command == "POST" and self.headers.get_content_type() != "application/json":
            return refusal(415, 415, "expected application/json as the content's type")
        return None

    def _send(self, answer: Answer) -> None:
        if isinstance(answer.body, bytes):
            body, kind = answer.body, "text/html"
        else:
            body, kind = (b"" if answer.body is None else json.dumps(answer.body).encode()), "application/json"
        self.send_response(answer.status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
        """Say nothing: the simulator keeps a log of its own."""


class BrokerSimulator(Simulator):
    """A simulator that listens, in a thread of this process.

    Every control of `SimulatorControls` works on it directly, before and after `start`.
    """

    def __init__(self, seed: int = 0, port: int = 0, token: str = "") -> None:
        """Take a loopback port (a free one for 0); `start` begins to answer. Without a `token` one is made."""
        super().__init__(seed)
        self.token = token or secrets.token_urlsafe(24)
        self._server = _Server(port, self, self.token)
        self._thread = Thread(target=self._server.serve_forever, args=(0.05,), name="broker-simulator", daemon=True)

    @property
    def port(self) -> int:
        """Give the port it listens on."""
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """Give the address of both APIs, trading and market data, without the version."""
        return f"http://{_HOST}:{self.port}"

    @property
    def paper_url(self) -> str:
        """Give an address of the same API that counts as a paper endpoint (it contains "paper")."""
        return f"{self.url}/paper"

    def start(self) -> Self:
        """Begin to answer."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """Answer no more; pending slow answers are let go at once."""
        self._server.stopping.set()
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()

    def __enter__(self) -> Self:
        """Start."""
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Stop."""
        self.stop()
