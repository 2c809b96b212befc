"""Business Unit: execution | Status: current.

What the adapter sends is what alpaca-py's own clients send, at a fraction of their import cost; and they understand the
simulator.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import requests
from alpaca.common.enums import Sort
from alpaca.common.exceptions import APIError
from alpaca.data.historical.stock import StockHistoricalDataClient
from alpaca.data.requests import StockLatestQuoteRequest
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import OrderSide, QueryOrderStatus, TimeInForce
from alpaca.trading.requests import GetOrdersRequest, LimitOrderRequest, MarketOrderRequest
from requests.adapters import BaseAdapter

from local.broker_simulator import BrokerSimulator
from shadow.broker.alpaca import AlpacaBroker, AlpacaCredentials
from shadow.broker.port import (
    BrokerError,
)
from shadow.contracts.vocabulary import Role, Side
from tests.factories.broker import CLOSES, order


class Recorder(BaseAdapter):
    """Note what would be sent, and answer with something both sides can read."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[object] = []

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        url = urlsplit(request.url or "")
        body = json.loads(request.body, parse_float=Decimal) if request.body else {}
        body |= {name: Decimal(body[name]) for name in ("qty", "limit_price") if name in body}
        keys = {name: request.headers[name] for name in ("APCA-API-KEY-ID", "APCA-API-SECRET-KEY", "User-Agent")}
        self.seen.append((request.method, url.netloc, url.path, sorted(parse_qsl(url.query)), body, keys))
        response = requests.Response()
        response.status_code, response._content = 404, b'{"code": 40410000, "message": "not found"}'
        return response

    def close(self) -> None:
        """Nothing to give back."""


def test_our_requests_are_those_of_alpacas_own_clients() -> None:
    recorder = Recorder()
    keys = ("some-key", "some-secret")
    trading, data = TradingClient(*keys, paper=True), StockHistoricalDataClient(*keys)
    ours = AlpacaBroker.connect(AlpacaCredentials(*keys))
    for client in (trading, data, ours._trading, ours._data):
        client._session.mount("https://", recorder)
    identity = "6fb95507-6eda-5efb-8d47-ea735a71112b"
    common: dict[str, Any] = {"symbol": "AAPL", "time_in_force": TimeInForce.DAY, "client_order_id": "t-1"}
    market = MarketOrderRequest(qty=1.5, side=OrderSide.BUY, **common)
    limit = LimitOrderRequest(qty=1.234567, side=OrderSide.SELL, limit_price=187.25, **common)
    begin, end = datetime(2026, 1, 6, 20, 45, 0, 500_000, tzinfo=UTC), datetime(2026, 1, 6, 20, 50, tzinfo=UTC)
    listing = GetOrdersRequest(status=QueryOrderStatus.ALL, after=begin, until=end, limit=500, direction=Sort.ASC)
    pairs: list[tuple[Callable[[], object], Callable[[], object]]] = [
        (trading.get_clock, ours.clock),
        (trading.get_account, ours.account),
        (lambda: trading.get_asset("BRK.B"), lambda: ours.asset("BRK.B")),
        (lambda: trading.get_open_position("AAPL"), lambda: ours.position("AAPL")),
        (lambda: trading.get_order_by_client_id("t-1"), lambda: ours.order_by_client_id("t-1")),
        (lambda: trading.get_orders(listing), lambda: ours.orders_between(begin, end)),
        (lambda: trading.cancel_order_by_id(identity), lambda: ours.cancel(identity)),
        (lambda: trading.submit_order(market), lambda: ours.submit(order())),
        (
            lambda: trading.submit_order(limit),
            lambda: ours.submit(order(side=Side.SELL, quantity="1.234567", limit="187.25")),
        ),
        (
            lambda: data.get_stock_latest_quote(StockLatestQuoteRequest(symbol_or_symbols="AAPL")),
            lambda: ours.quote("AAPL"),
        ),
    ]
    for theirs, our in pairs:
        recorder.seen.clear()
        for call in (theirs, our):
            with suppress(APIError, BrokerError):
                call()
        assert len(recorder.seen) == 2
        assert recorder.seen[0] == recorder.seen[1]


def test_alpacas_own_clients_understand_the_simulator(simulator: BrokerSimulator) -> None:
    simulator.set_positions(Role.CONTROL, {"AAPL": Decimal(3)})
    keys = ("sim-control-key", "sim-control-secret")
    trading = TradingClient(*keys, url_override=simulator.url)
    data = StockHistoricalDataClient(*keys, url_override=simulator.url)
    request = LimitOrderRequest(symbol="AAPL", qty=1.5, side=OrderSide.SELL, time_in_force=TimeInForce.DAY, limit_price=187.18)
    sent = trading.submit_order(request)
    assert str(trading.get_order_by_id(sent.id).filled_avg_price) == "187.18"
    assert [position.qty for position in trading.get_all_positions()] == ["1.5"]
    assert {asset.symbol for asset in trading.get_all_assets()} == set(CLOSES)
    assert trading.get_account().account_number == "SIMCONTROL01"
    assert trading.get_clock().is_open
    assert len(trading.get_calendar()) == 1
    assert data.get_stock_latest_quote(StockLatestQuoteRequest(symbol_or_symbols=["AAPL", "BRK.B"]))["BRK.B"].ask_price
    assert trading.get_orders() == []
    assert trading.cancel_orders() == []


def loaded_by(statement: str, names: tuple[str, ...]) -> list[str]:
    """Tell which of `names` a fresh interpreter has loaded after `statement`."""
    program = f"import sys\n{statement}\nprint(*[name for name in {names!r} if name in sys.modules])"
    ended = subprocess.run(  # noqa: S603 - our own interpreter and words
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    return ended.stdout.split()


def test_importing_the_adapter_leaves_the_heavy_parts_of_alpaca_py_alone() -> None:
    heavy = ("pandas", "numpy", "websockets", "alpaca.trading.client", "alpaca.data")
    assert loaded_by("import shadow.broker.alpaca", (*heavy, "alpaca.common.rest")) == ["alpaca.common.rest"]
    assert set(loaded_by("import alpaca.trading.client", heavy)) >= {"pandas", "websockets"}


def test_the_other_modules_of_the_broker_import_no_http_client() -> None:
    modules = "import shadow.broker.port, shadow.broker.recording, shadow.broker.port"
    assert loaded_by(modules, ("requests", "alpaca", "urllib3")) == []
