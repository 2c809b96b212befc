"""Business Unit: local cloud | Status: current.

What the simulator's tests share: a simulator without sockets, and requests to it.
"""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from typing import Any

from local.broker_simulator.api import Request
from local.broker_simulator.simulator import Reply, Simulator
from shadow.contracts.vocabulary import Role

DAY = date(2026, 1, 6)
CLOSES = {"AAPL": Decimal("187.23"), "MSFT": Decimal("408.3333"), "PENNY": Decimal("0.01")}


def fresh(seed: int = 0) -> Simulator:
    """Give a simulator on a trading day."""
    simulator = Simulator(seed)
    simulator.set_day(DAY, CLOSES)
    return simulator


def ask(simulator: Simulator, method: str, path: str, body: object = None, account: Role = Role.CONTROL, **query: str) -> Reply:
    """Send one request with an account's own keys."""
    headers = {"apca-api-key-id": f"sim-{account}-key", "apca-api-secret-key": f"sim-{account}-secret"}
    content = b"" if body is None else json.dumps(body).encode()
    return simulator.handle(Request(method, path, query, headers, content))


def read(simulator: Simulator, path: str, account: Role = Role.CONTROL, **query: str) -> Any:
    """Read something that must be there."""
    reply = ask(simulator, "GET", path, account=account, **query)
    assert reply.answer.status == 200, reply
    return reply.answer.body


def place(simulator: Simulator, client_order_id: str = "t-1", account: Role = Role.CONTROL, **fields: object) -> Reply:
    """Send an order: one share of AAPL at the market unless told otherwise."""
    order = {"symbol": "AAPL", "qty": "1", "side": "buy", "type": "market", "time_in_force": "day"}
    body = {**order, "client_order_id": client_order_id, **fields}
    return ask(simulator, "POST", "/v2/orders", body, account)
