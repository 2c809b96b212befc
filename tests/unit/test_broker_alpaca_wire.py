"""Business Unit: execution | Status: current.

Alpaca's JSON and the port's values, exact in both directions; whatever is malformed is named.
"""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shadow.broker import alpaca_wire
from shadow.broker.port import (
    BrokerProtocolError,
    OrderRejected,
    OrderRequest,
    OrderStatus,
    OrderType,
    QuoteUnavailable,
)
from shadow.contracts.vocabulary import Side
from tests.factories.broker import ORDER_JSON as ORDER
from tests.factories.broker import FakeTransport, answering, broker_over, order
from tests.fuzz.mutations import ended, json_values

REQUEST = order()


@pytest.mark.parametrize(
    ("quotes", "complaint"),
    [
        (None, "was none"),
        ({}, "was none"),
        ({"AAPL": None}, "was none"),
        ({"AAPL": {"bp": 0, "ap": 100.5, "t": "2026-01-06T20:45:00Z"}}, "was 0 and 100.5"),
        ({"AAPL": {"bp": 100.5, "t": "2026-01-06T20:45:00Z"}}, "was 100.5 and None"),
        ({"AAPL": {"bp": 100.5, "ap": 100.4, "t": "2026-01-06T20:45:00Z"}}, "100.4 under 100.5"),
    ],
)
def test_a_quote_needs_two_sides_that_are_not_crossed(quotes: object, complaint: str) -> None:
    with pytest.raises(QuoteUnavailable, match=complaint):
        answering(200, {"quotes": quotes}).quote("AAPL")


@pytest.mark.parametrize("status", [400, 404, 422])
def test_a_symbol_without_market_data_has_no_quote(status: int) -> None:
    with pytest.raises(QuoteUnavailable, match="invalid symbol"):
        answering(status, {"message": "invalid symbol: AAPL"}).quote("AAPL")


def test_numbers_arrive_exactly() -> None:
    broker = answering(200, b'{"quotes": {"AAPL": {"bp": 0.1, "ap": 0.30000000000000001, "t": "2026-01-06T20:45:00Z"}}}')
    quote = broker.quote("AAPL")
    assert (quote.bid, quote.ask) == (Decimal("0.1"), Decimal("0.30000000000000001"))
    order = answering(200, ORDER).order_by_client_id("t-1")
    assert order is not None
    assert order.average_price == Decimal("100.123456789")
    assert order.submitted_at is not None
    assert order.submitted_at.microsecond == 123456


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("new", OrderStatus.OPEN),
        ("pending_cancel", OrderStatus.OPEN),
        ("held", OrderStatus.OPEN),
        ("canceled", OrderStatus.CANCELED),
        ("expired", OrderStatus.EXPIRED),
        ("rejected", OrderStatus.REJECTED),
        ("replaced", OrderStatus.UNKNOWN),
        ("pondering", OrderStatus.UNKNOWN),
    ],
)
def test_an_order_keeps_its_identity_whatever_its_status_is_called(status: str, expected: OrderStatus) -> None:
    order = answering(200, ORDER | {"status": status}).submit(REQUEST)
    assert (order.status, order.client_order_id, order.order_id) == (expected, "t-1", ORDER["id"])


@pytest.mark.parametrize(("filled", "price"), [("0", "0"), ("0", None), ("1.5", None), ("1.5", "0")])
def test_a_price_that_is_not_there_yet_is_none_not_zero(filled: str, price: str | None) -> None:
    order = answering(200, ORDER | {"filled_qty": filled, "filled_avg_price": price}).submit(REQUEST)
    assert order.average_price is None
    assert order.filled_quantity == Decimal(filled)


@pytest.mark.parametrize("field", ["id", "client_order_id", "symbol", "side", "type", "qty", "status", "filled_qty"])
@pytest.mark.parametrize("value", [None, "", [], {}, -1, True])
def test_a_malformed_order_field_is_named(field: str, value: object) -> None:
    with pytest.raises(BrokerProtocolError, match=rf"order\.{field}: expected"):
        answering(200, ORDER | {field: value}).order_by_client_id("t-1")


@pytest.mark.parametrize("field", ["qty", "filled_qty", "filled_avg_price", "limit_price"])
@pytest.mark.parametrize("value", ["NaN", "Infinity", "-1", "1,5", "1" * 29, False])
def test_a_number_that_is_none_is_named(field: str, value: object) -> None:
    with pytest.raises(BrokerProtocolError, match=rf"order\.{field}: expected"):
        answering(200, ORDER | {field: value}).order_by_client_id("t-1")


def test_a_time_without_a_zone_is_named() -> None:
    with pytest.raises(BrokerProtocolError, match=r"order\.filled_at: expected a time with a zone"):
        answering(200, ORDER | {"filled_at": "2026-01-06T20:45:01"}).order_by_client_id("t-1")


def test_the_order_goes_out_with_exact_numbers() -> None:
    transport = FakeTransport(200, json.dumps(ORDER).encode())
    request = OrderRequest("t-1", "AAPL", Side.SELL, Decimal("123456789.1234567899"), OrderType.LIMIT, Decimal("1234.50"))
    broker_over(transport).submit(request)
    assert json.loads(transport.sent[0].body or b"") == {
        "symbol": "AAPL",
        "qty": "123456789.123456789",
        "side": "sell",
        "type": "limit",
        "time_in_force": "day",
        "client_order_id": "t-1",
        "limit_price": "1234.50",
    }


@pytest.mark.parametrize(
    ("request_", "complaint"),
    [
        (OrderRequest("t-1", "A", Side.BUY, Decimal(0), OrderType.MARKET), "quantity"),
        (OrderRequest("t-1", "A", Side.BUY, Decimal("1e-10"), OrderType.MARKET), "quantity"),
        (OrderRequest("t-1", "A", Side.BUY, Decimal("NaN"), OrderType.MARKET), "quantity"),
        (OrderRequest("t-1", "A", Side.BUY, Decimal("1e40"), OrderType.MARKET), "quantity"),
        (OrderRequest("t-1", "A", Side.BUY, Decimal(1), OrderType.LIMIT), "limit_price"),
        (OrderRequest("t-1", "A", Side.BUY, Decimal(1), OrderType.LIMIT, Decimal(0)), "limit_price"),
        (OrderRequest("t-1", "A", Side.BUY, Decimal(1), OrderType.MARKET, Decimal(1)), "limit_price"),
        (OrderRequest("", "A", Side.BUY, Decimal(1), OrderType.MARKET), "client_order_id"),
        (OrderRequest("x" * 49, "A", Side.BUY, Decimal(1), OrderType.MARKET), "client_order_id"),
    ],
)
def test_an_order_that_must_not_be_sent_is_rejected_here(request_: OrderRequest, complaint: str) -> None:
    transport = FakeTransport()
    with pytest.raises(OrderRejected, match=complaint):
        broker_over(transport).submit(request_)
    assert transport.sent == []


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(ORDER)), json_values, min_size=1, max_size=3))
def test_a_damaged_order_is_read_or_named(fields: dict[str, object]) -> None:
    read = ended(lambda: alpaca_wire.parse_order(ORDER | fields))
    assert str(read.error).startswith("order.") if read.error else read.answer.quantity >= 0
