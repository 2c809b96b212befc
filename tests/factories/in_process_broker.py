"""The real Alpaca adapter over a simulator in this process: its own classification and parsing, without sockets."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from requests import ReadTimeout
from requests.exceptions import ConnectionError as RequestsConnectionError

from local.broker_simulator.api import Answer, Request
from local.broker_simulator.simulator import Ending, Simulator
from shadow.broker.alpaca import AlpacaBroker
from shadow.broker.port import AlpacaCredentials
from shadow.contracts.vocabulary import Role

Exchange = Callable[[Request], Answer | None]


class _Response:
    def __init__(self, answer: Answer) -> None:
        body = answer.body
        self.status_code = answer.status
        self.headers = answer.headers
        self.content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()


class Session:
    """What alpaca-py's transport uses of a requests session."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def request(self, method: str, url: str, *, timeout: object, headers: Mapping[str, str], **options: object) -> _Response:
        assert timeout
        parameters = options.get("params")
        request = Request(
            method=method,
            path=urlsplit(url).path,
            query={} if not isinstance(parameters, Mapping) else {name: str(value) for name, value in parameters.items()},
            headers={name.lower(): value for name, value in headers.items()},
            body=b"" if options.get("json") is None else json.dumps(options["json"]).encode(),
        )
        answer = self._exchange(request)
        if answer is None:
            raise ReadTimeout
        return _Response(answer)


def exchange_with(simulator: Simulator) -> Exchange:
    """Give the way to the simulator: None where the connection ends without an answer."""

    def exchange(request: Request) -> Answer | None:
        reply = simulator.handle(request)
        if reply.ending is Ending.DROPPED and not reply.after:
            raise RequestsConnectionError
        return None if reply.ending is Ending.DROPPED else reply.answer

    return exchange


def broker_of(account: Role, exchange: Exchange) -> AlpacaBroker:
    """Connect to one account's API through `exchange`."""
    url = "http://127.0.0.1:9/paper"
    broker = AlpacaBroker.connect(AlpacaCredentials(f"sim-{account}-key", f"sim-{account}-secret", url, url))
    for api in (broker._trading, broker._data):
        api._session = Session(exchange)  # type: ignore[assignment] # the little of it that is used
    return broker
