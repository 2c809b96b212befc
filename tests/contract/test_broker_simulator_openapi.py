"""Business Unit: local cloud | Status: current.

What the broker simulator answers is what Alpaca's OpenAPI documents describe. Skipped where the documents are absent: the
project does not ship them (SHADOW_SPECS_DIR names their folder, else `../shared/specs` beside the checkout).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import requests
from openapi_schema_validator import OAS30Validator, oas30_format_checker

from local.broker_simulator import BrokerSimulator
from local.broker_simulator.values import Fault, FaultKind, OrderForm
from shadow.contracts.vocabulary import Role

CHECKOUT = Path(__file__).resolve().parents[2]
SPECS = Path(os.environ.get("SHADOW_SPECS_DIR") or CHECKOUT.parent / "shared" / "specs")
TRADING, DATA = SPECS / "alpaca-trading-openapi.json", SPECS / "alpaca-market-data-openapi.json"

pytestmark = pytest.mark.skipif(not (TRADING.is_file() and DATA.is_file()), reason="Alpaca's OpenAPI documents are not here")

ORDER = {"symbol": "AAPL", "qty": "1.5", "side": "buy", "type": "market", "time_in_force": "day"}
LIMIT = ORDER | {"type": "limit", "limit_price": "187.20"}


class Documented:
    """A client that checks every answer against the operation it belongs to."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.documents: dict[str, dict[str, Any]] = {
            path.name: json.loads(path.read_text(encoding="utf-8")) for path in (TRADING, DATA)
        }
        self.checked: set[tuple[str, str, int]] = set()
        self.headers = {"APCA-API-KEY-ID": "sim-control-key", "APCA-API-SECRET-KEY": "sim-control-secret"}

    def call(self, method: str, template: str, status: int, /, *, body: object = None, **names: str) -> Any:
        """Call an operation by its documented path, expect `status`, and validate the answer."""
        query = {name: value for name, value in names.items() if f"{{{name}}}" not in template}
        answer = requests.request(
            method, self.url + template.format(**names), params=query, json=body, headers=self.headers, timeout=10
        )
        assert answer.status_code == status, answer.text
        document = next(d for d in self.documents.values() if template in d["paths"])
        responses = document["paths"][template][method.lower()]["responses"]
        found = answer.json() if answer.content else None
        if str(status) in responses:
            self._validate(document, responses[str(status)], found)
        else:
            assert status >= 400, f"{method} {template} does not document {status}"
            self._validate_error(found)
        self.checked.add((method, template, status))
        return found

    def _validate(self, document: dict[str, Any], response: dict[str, Any], found: object) -> None:
        while "$ref" in response:
            response = document["components"]["responses"][response["$ref"].rsplit("/", 1)[1]]
        content = response.get("content")
        if content is None:
            assert found is None or set(found) >= {"message"}
            return
        schema = {**content["application/json"]["schema"], "components": document["components"]}
        errors = list(OAS30Validator(schema, format_checker=oas30_format_checker).iter_errors(found))
        assert errors == [], [f"{error.json_path}: {error.message}" for error in errors]

    def _validate_error(self, found: object) -> None:
        schema = self.documents[TRADING.name]["components"]["schemas"]["Error"]
        assert list(OAS30Validator(schema).iter_errors(found)) == []


@pytest.fixture
def simulator() -> Iterator[BrokerSimulator]:
    with BrokerSimulator(seed=3) as running:
        running.set_day(date(2026, 1, 5), {"AAPL": Decimal(180), "MSFT": Decimal("410.11")})
        running.set_day(date(2026, 1, 6), {"AAPL": Decimal("187.23"), "MSFT": Decimal("408.3333")})
        running.set_positions(Role.CONTROL, {"MSFT": Decimal("3.123456")})
        yield running


@pytest.fixture
def client(simulator: BrokerSimulator) -> Documented:
    return Documented(simulator.url)


def test_account_assets_clock_and_calendar(client: Documented) -> None:
    client.call("GET", "/v2/account", 200)
    client.call("GET", "/v2/assets", 200)
    client.call("GET", "/v2/assets/{symbol_or_asset_id}", 200, symbol_or_asset_id="AAPL")
    client.call("GET", "/v2/assets/{symbol_or_asset_id}", 404, symbol_or_asset_id="NONE")
    client.call("GET", "/v2/clock", 200)
    days = client.call("GET", "/v2/calendar", 200, start="2026-01-05", end="2026-01-11")
    assert [day["date"] for day in days] == [f"2026-01-{day:02}" for day in range(5, 10)]


def test_positions(client: Documented) -> None:
    positions = client.call("GET", "/v2/positions", 200)
    assert [position["symbol"] for position in positions] == ["MSFT"]
    one = client.call("GET", "/v2/positions/{symbol_or_asset_id}", 200, symbol_or_asset_id="MSFT")
    assert one == positions[0]
    client.call("GET", "/v2/positions/{symbol_or_asset_id}", 404, symbol_or_asset_id="AAPL")


def test_orders_that_a_person_placed_and_replaced(simulator: BrokerSimulator, client: Documented) -> None:
    for form in OrderForm:
        simulator.place_by_hand(Role.CONTROL, "AAPL", form)
    simulator.replace_open(Role.CONTROL)
    orders = client.call("GET", "/v2/orders", 200, status="all", direction="asc")

    told = [(order["order_class"], order["type"], order.get("side"), order["status"]) for order in orders]
    assert told == [
        ("simple", "market", "buy", "filled"),
        ("simple", "market", "buy", "filled"),
        ("simple", "stop", "buy", "replaced"),
        ("bracket", "market", "buy", "filled"),
        ("bracket", "limit", "sell", "replaced"),
        ("bracket", "stop", "sell", "held"),
        ("mleg", "market", None, "replaced"),
        ("simple", "stop", "buy", "new"),
        ("bracket", "limit", "sell", "new"),
        ("mleg", "market", None, "new"),
    ]
    assert (orders[1]["qty"], orders[1]["notional"]) == (None, "187.32")
    assert (orders[2]["replaced_by"], orders[7]["replaces"]) == (orders[7]["id"], orders[2]["id"])
    assert [leg["side"] for leg in orders[9]["legs"]] == ["buy", "sell"]


def test_quotes(client: Documented) -> None:
    many = client.call("GET", "/v2/stocks/quotes/latest", 200, symbols="AAPL,MSFT,NONE")
    assert set(many["quotes"]) == {"AAPL", "MSFT"}
    one = client.call("GET", "/v2/stocks/{symbol}/quotes/latest", 200, symbol="AAPL")
    assert one["quote"] == many["quotes"]["AAPL"]
    client.call("GET", "/v2/stocks/quotes/latest", 400)


@pytest.mark.parametrize(
    ("faults", "status"),
    [
        ([], "filled"),
        ([Fault(kind=FaultKind.REST)], "new"),
        ([Fault(kind=FaultKind.PARTIAL_FILL)], "partially_filled"),
        ([Fault(kind=FaultKind.REJECT)], "rejected"),
    ],
)
@pytest.mark.parametrize("body", [ORDER, LIMIT])
def test_an_order_in_every_state(
    simulator: BrokerSimulator, client: Documented, body: dict[str, str], faults: list[Fault], status: str
) -> None:
    for fault in faults:
        simulator.add_fault(fault)
    sent = client.call("POST", "/v2/orders", 200, body={**body, "client_order_id": "t-1"})
    read = client.call("GET", "/v2/orders/{order_id}", 200, order_id=sent["id"])
    assert read["status"] == status
    assert client.call("GET", "/v2/orders:by_client_order_id", 200, client_order_id="t-1") == read
    assert client.call("GET", "/v2/orders", 200, status="all", symbols="AAPL") == [read]
    client.call("POST", "/v2/orders", 422, body={**body, "client_order_id": "t-1"})
    ended = status in {"filled", "rejected"}
    client.call("DELETE", "/v2/orders/{order_id}", 422 if ended else 204, order_id=sent["id"])
    client.call("GET", "/v2/orders/{order_id}", 200, order_id=sent["id"])


def test_an_order_that_expired_and_all_that_are_cancelled(simulator: BrokerSimulator, client: Documented) -> None:
    simulator.set_fill_rule(9)
    sent = client.call("POST", "/v2/orders", 200, body=LIMIT)
    simulator.set_day(date(2026, 1, 7), {"AAPL": Decimal(190)})
    assert client.call("GET", "/v2/orders/{order_id}", 200, order_id=sent["id"])["status"] == "expired"
    client.call("POST", "/v2/orders", 200, body=LIMIT)
    client.call("DELETE", "/v2/orders", 207)
    assert client.call("GET", "/v2/orders", 200) == []


def test_a_refusal_is_as_documented_and_leaves_no_order(client: Documented) -> None:
    client.call("POST", "/v2/orders", 403, body=ORDER | {"side": "sell"})
    client.call("POST", "/v2/orders", 403, body=ORDER | {"qty": "9999999"})
    for wrong in ({"qty": "0"}, {"symbol": "NONE"}, {"type": "stop"}, {"time_in_force": "gtc"}, {"side": "up"}):
        client.call("POST", "/v2/orders", 422, body=ORDER | wrong)
    missing = "6fb95507-6eda-5efb-8d47-ea735a71112b"
    client.call("GET", "/v2/orders/{order_id}", 404, order_id=missing)
    client.call("GET", "/v2/orders:by_client_order_id", 404, client_order_id="t-9")
    assert client.call("GET", "/v2/orders", 200) == []
    client.headers["APCA-API-SECRET-KEY"] = "wrong"
    client.call("GET", "/v2/account", 401)
    client.call("GET", "/v2/stocks/quotes/latest", 401, symbols="AAPL")


def test_too_many_and_broken(simulator: BrokerSimulator, client: Documented) -> None:
    simulator.set_rate_limit(0)
    client.call("GET", "/v2/clock", 429)
    simulator.set_rate_limit(None)
    simulator.add_fault(Fault(kind=FaultKind.SERVER_ERROR))
    client.call("GET", "/v2/clock", 500)
    assert ("GET", "/v2/clock", 429) in client.checked
