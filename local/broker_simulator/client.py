"""Business Unit: local cloud | Status: current.

Steer a simulator that runs in another process.
"""

from __future__ import annotations

import json
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit

from local.broker_simulator.admin import NAMES, PREFIX
from local.broker_simulator.controls import SimulatorControls
from local.broker_simulator.values import Command
from local.cloud.emulator_side.strangers import token_header
from shadow.contracts.errors import ShadowError

_OK = 200


class SimulatorUnreachable(ShadowError):
    """The simulator does not answer."""


class SimulatorRefused(ShadowError):
    """The simulator did not accept a command."""


class SimulatorClient(SimulatorControls):
    """The controls of a simulator, over HTTP."""

    def __init__(self, url: str, token: str, timeout: float = 10) -> None:
        """Talk to the simulator at `url` (http://127.0.0.1:PORT) by its `token`; wait `timeout` seconds at most."""
        parts = urlsplit(url)
        self.url = f"http://{parts.hostname}:{parts.port}"
        self._host = parts.hostname or "127.0.0.1"
        self._port = parts.port
        self._timeout = timeout
        self._headers = {**token_header(token), "Content-Type": "application/json"}

    def apply(self, command: Command) -> None:
        """Carry `command` out. Raises SimulatorUnreachable, SimulatorRefused."""
        self._call("POST", NAMES[type(command)], command.model_dump_json())

    def look(self, what: str) -> object:
        """Give a view as JSON-ready data. Raises SimulatorUnreachable, SimulatorRefused."""
        return self._call("GET", what)

    def is_alive(self) -> bool:
        """Whether it answers."""
        try:
            self.look("health")
        except SimulatorUnreachable:
            return False
        return True

    def _call(self, method: str, name: str, body: str | None = None) -> object:
        connection = HTTPConnection(self._host, self._port, timeout=self._timeout)
        try:
            connection.request(method, f"{PREFIX}{name}", body, self._headers)
            response = connection.getresponse()
            text = response.read()
        except (OSError, HTTPException) as error:
            raise SimulatorUnreachable(f"{self.url}: {type(error).__name__} {error}") from error
        finally:
            connection.close()
        found: object = json.loads(text)
        if response.status != _OK:
            raise SimulatorRefused(f"{method} {name}: {found}")
        return found
