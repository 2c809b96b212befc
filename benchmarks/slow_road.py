"""Business Unit: benchmarks | Status: current.

A network in front of the local cloud: each request takes its time to get there, as between a function and the services. Without
it a call on loopback costs nothing but processor time, which two threads of one interpreter cannot share.

    python -m benchmarks.slow_road PORT MILLISECONDS     prints the port it listens on, and ends with its standard input
"""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

from benchmarks.environment import CHECKOUT

_CHUNK = 1 << 16


@contextmanager
def slow_road(endpoint: str, milliseconds: float) -> Iterator[str]:
    """Lead to `endpoint`, a process of its own in between that delays each request; give the endpoint to use instead."""
    command = [sys.executable, "-m", "benchmarks.slow_road", str(urlsplit(endpoint).port), str(milliseconds)]
    with subprocess.Popen(  # noqa: S603 - our own interpreter and module
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=CHECKOUT
    ) as process:
        try:
            port = process.stdout.readline().strip() if process.stdout else ""
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def main() -> None:
    """Listen until the standard input ends."""
    port, milliseconds = int(sys.argv[1]), float(sys.argv[2])
    server = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=_accept, args=(server, port, milliseconds / 1000), daemon=True).start()
    print(server.getsockname()[1], flush=True)
    sys.stdin.read()


def _accept(server: socket.socket, port: int, seconds: float) -> None:
    while True:
        client, _ = server.accept()
        service = socket.create_connection(("127.0.0.1", port))
        for each in (client, service):
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=_carry, args=(client, service, seconds), daemon=True).start()
        threading.Thread(target=_carry, args=(service, client, 0.0), daemon=True).start()


def _carry(source: socket.socket, target: socket.socket, seconds: float) -> None:
    with suppress(OSError):
        while data := source.recv(_CHUNK):
            if seconds:
                time.sleep(seconds)
            target.sendall(data)
    for each in (source, target):
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)


if __name__ == "__main__":
    main()
