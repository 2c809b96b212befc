"""Business Unit: local cloud | Status: current.

Whatever is asked of the broker simulator, its money and shares add up, and its answers follow from seed and requests.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from local.broker_simulator.api import Request
from local.broker_simulator.simulator import Simulator
from local.broker_simulator.values import Fault, FaultKind
from shadow.contracts.vocabulary import Role
from tests.factories.broker_simulator import CLOSES, ask, fresh, place

ORDERS = st.tuples(
    st.just("order"),
    st.sampled_from(list(Role)),
    st.sampled_from(["AAPL", "MSFT"]),
    st.sampled_from(["buy", "sell"]),
    st.decimals("0.000001", "200", places=6),
    st.none() | st.decimals("186", "189", places=2),
    st.integers(0, 30),
)
STEPS = st.lists(
    ORDERS
    | st.tuples(st.just("cancel"), st.sampled_from(list(Role)))
    | st.tuples(st.just("fault"), st.sampled_from(list(FaultKind)))
    | st.tuples(st.just("day"), st.integers(7, 20)),
    max_size=40,
)


def play(steps: Iterable[tuple[Any, ...]]) -> Simulator:
    simulator = fresh(11)
    for role in Role:
        simulator.set_positions(role, {"AAPL": Decimal(50)})
    for step in steps:
        match step:
            case ("order", role, symbol, side, quantity, limit, number):
                kind = {"type": "limit", "limit_price": str(limit)} if limit else {}
                place(simulator, f"t-{number}", role, symbol=symbol, side=side, qty=str(quantity), **kind)
            case ("cancel", role):
                ask(simulator, "DELETE", "/v2/orders", account=role)
            case ("fault", kind):
                simulator.add_fault(Fault(kind=kind, fraction=Decimal("0.3")))
            case ("day", number):
                simulator.set_day(date(2026, 1, number), CLOSES)
    return simulator


@settings(max_examples=60, deadline=None)
@given(STEPS)
def test_money_and_shares_are_conserved_whatever_happens(steps: list[tuple[Any, ...]]) -> None:
    simulator = play(steps)
    for role in Role:
        cash, shares = Decimal(100_000), {"AAPL": Decimal(50), "MSFT": Decimal(0)}
        orders = simulator.orders(role)
        for order in orders:
            sign = 1 if order.side == "buy" else -1
            if order.average_price is not None:
                cash -= sign * order.filled_quantity * order.average_price
            shares[order.symbol] += sign * order.filled_quantity
            assert 0 <= order.filled_quantity <= order.quantity
            assert (order.status == "filled") == (order.filled_quantity == order.quantity)
        account = simulator.account(role)
        assert account.cash == cash
        assert account.positions == {symbol: held for symbol, held in shares.items() if held}
        assert all(held > 0 for held in account.positions.values())
        assert len({order.client_order_id for order in orders}) == len(orders)


@settings(max_examples=30, deadline=None)
@given(STEPS)
def test_the_same_seed_and_requests_give_the_same_answers(steps: list[tuple[Any, ...]]) -> None:
    first, second = play(steps), play(steps)
    assert first.orders() == second.orders()
    assert first.requests() == second.requests()


PATHS = st.sampled_from(
    ["orders", "orders:by_client_order_id", "positions", "assets", "clock", "calendar", "account", "stocks/quotes/latest"]
).map("/v2/{}".format)
TEXT = st.text(max_size=12) | st.sampled_from(["AAPL", "all", "0001-01-01", "9999-12-31", "-1", "1e999", "NaN"])
BODY = st.dictionaries(
    st.sampled_from(["symbol", "qty", "side", "type", "time_in_force", "limit_price", "client_order_id"]),
    TEXT | st.none() | st.floats() | st.integers() | st.lists(TEXT, max_size=2) | st.sampled_from(["buy", "day", "limit"]),
)


@settings(deadline=None)
@given(
    method=st.sampled_from(["GET", "POST", "DELETE", "PATCH"]),
    path=PATHS | st.builds("{}/{}".format, PATHS, TEXT) | st.text(max_size=20) | TEXT.map("/_sim/{}".format),
    query=st.dictionaries(st.sampled_from(["symbols", "start", "end", "limit", "after", "status", "direction"]), TEXT),
    body=st.binary(max_size=20) | BODY.map(lambda value: json.dumps(value).encode()),
)
def test_any_request_is_answered(method: str, path: str, query: dict[str, str], body: bytes) -> None:
    headers = {"apca-api-key-id": "sim-control-key", "apca-api-secret-key": "sim-control-secret"}
    reply = fresh().handle(Request(method, path, query, headers, body))
    assert 200 <= reply.answer.status < 500
    assert json.dumps(reply.answer.body)
