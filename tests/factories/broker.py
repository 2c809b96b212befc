"""Business Unit: execution | Status: current.

What the broker tests share: a transport that answers as told, an order, and a connection to a simulator.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import requests
from requests.adapters import BaseAdapter

from local.broker_simulator import BrokerSimulator
from shadow.broker.alpaca import AlpacaBroker, AlpacaCredentials, Timeouts
from shadow.broker.port import OrderRequest, OrderType
from shadow.contracts.vocabulary import Role, Side

CLOSES = {"AAPL": Decimal("187.23"), "BRK.B": Decimal("400.50")}
IMPATIENT = Timeouts(connect=1.0, read=0.3)
ORDER_JSON: dict[str, object] = {
    "id": "6fb95507-6eda-5efb-8d47-ea735a71112b",
    "client_order_id": "t-1",
    "symbol": "AAPL",
    "side": "buy",
    "type": "market",
    "qty": "1.5",
    "limit_price": None,
    "status": "filled",
    "filled_qty": "1.5",
    "filled_avg_price": "100.123456789",
    "submitted_at": "2026-01-06T20:45:00.123456789Z",
    "filled_at": "2026-01-06T20:45:01Z",
}


class FakeTransport(BaseAdapter):
    """Answer every request the same way, and count."""

    def __init__(self, status: int = 200, body: bytes = b"", error: Exception | None = None) -> None:
        """Answer with `status` and `body`, or fail with `error`."""
        super().__init__()
        self.status, self.body, self.error = status, body, error
        self.sent: list[requests.PreparedRequest] = []
        self.timeouts: list[object] = []

    def send(self, request: requests.PreparedRequest, *_: Any, **options: Any) -> requests.Response:
        """Answer."""
        self.sent.append(request)
        self.timeouts.append(options["timeout"])
        if self.error:
            raise self.error
        response = requests.Response()
        response.status_code, response._content, response.request = self.status, self.body, request
        response.url = request.url or ""
        return response

    def close(self) -> None:
        """Nothing to give back."""


def broker_over(transport: BaseAdapter, key: str = "test-key", secret: str | None = None) -> AlpacaBroker:
    """Give an adapter whose requests end in `transport`."""
    url = "http://127.0.0.1:9"
    broker = AlpacaBroker.connect(AlpacaCredentials(key, secret or f"{key}-secret", url, url))
    for api in (broker._trading, broker._data):
        api._session.mount("http://", transport)
    return broker


def answering(status: int, body: object) -> AlpacaBroker:
    """Give an adapter that always gets this answer."""
    return broker_over(FakeTransport(status, body if isinstance(body, bytes) else json.dumps(body).encode()))


def connect(simulator: BrokerSimulator, role: Role, timeouts: Timeouts | None = None) -> AlpacaBroker:
    """Give an adapter for one of a simulator's accounts."""
    credentials = AlpacaCredentials(f"sim-{role}-key", f"sim-{role}-secret", simulator.paper_url, simulator.url)
    return AlpacaBroker.connect(credentials, timeouts)


def order(client_order_id: str = "t-1", side: Side = Side.BUY, quantity: str = "1.5", limit: str | None = None) -> OrderRequest:
    """Give an order request for AAPL: a market order unless there is a limit."""
    kind = OrderType.MARKET if limit is None else OrderType.LIMIT
    return OrderRequest(client_order_id, "AAPL", side, Decimal(quantity), kind, Decimal(limit) if limit else None)
