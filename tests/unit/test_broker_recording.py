"""Business Unit: execution | Status: current.

The dry-run adapter records orders, fills them at the decision quote, and cannot reach an order endpoint.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shadow.broker.port import (
    Account,
    Asset,
    AssetUnknown,
    Broker,
    DuplicateClientOrderId,
    MarketClock,
    Order,
    OrderRejected,
    OrderRequest,
    OrderStatus,
    OrderType,
    Quote,
    QuoteUnavailable,
)
from shadow.broker.recording import RecordingBroker
from shadow.contracts.vocabulary import Side

AT = datetime(2026, 1, 6, 20, 45, tzinfo=UTC)


class LiveAccount:
    """A whole broker of which only the market data may be used."""

    def __init__(self, *quotes: Quote) -> None:
        self.quotes = list(quotes)
        self.asked: list[str] = []

    def clock(self) -> MarketClock:
        self.asked.append("clock")
        return MarketClock(AT, is_open=True, next_open=AT, next_close=AT)

    def asset(self, symbol: str) -> Asset:
        self.asked.append("asset")
        if symbol == "NONE":
            raise AssetUnknown(symbol)
        return Asset(symbol, tradable=True, fractionable=False)

    def quote(self, symbol: str) -> Quote:
        self.asked.append("quote")
        if not self.quotes:
            raise QuoteUnavailable(symbol)
        return self.quotes.pop(0) if len(self.quotes) > 1 else self.quotes[0]

    def account(self) -> Account:
        raise AssertionError("the real account was read")

    def position(self, symbol: str) -> Decimal:
        raise AssertionError(f"the real position of {symbol} was read")

    def submit(self, request: OrderRequest) -> Order:
        raise AssertionError(f"{request} was sent")

    def order_by_client_id(self, client_order_id: str) -> Order | None:
        raise AssertionError(f"{client_order_id} was looked up")

    def cancel(self, order_id: str) -> None:
        raise AssertionError(f"{order_id} was cancelled")


def quote(bid: str, ask: str) -> Quote:
    return Quote("AAPL", Decimal(bid), Decimal(ask), AT)


def market_order(client_order_id: str = "t-1", quantity: str = "1.5") -> OrderRequest:
    return OrderRequest(client_order_id, "AAPL", Side.BUY, Decimal(quantity), OrderType.MARKET)


def dry(*quotes: Quote) -> RecordingBroker:
    return RecordingBroker(LiveAccount(*(quotes or (quote("99.98", "100.01"),))), equity=Decimal(5000))


@pytest.mark.parametrize(
    "request_",
    [market_order(), OrderRequest("t-1", "AAPL", Side.SELL, Decimal("1.5"), OrderType.LIMIT, Decimal(100))],
)
def test_an_order_is_filled_whole_at_the_mid_of_the_decision_quote(request_: OrderRequest) -> None:
    order = dry().submit(request_)
    assert order.status is OrderStatus.FILLED
    assert order.order_id == "dry-run-t-1"
    assert (order.filled_quantity, order.average_price) == (Decimal("1.5"), Decimal("99.995"))
    assert (order.side, order.order_type, order.limit_price) == (
        request_.side,
        request_.order_type,
        request_.limit_price,
    )
    assert order.submitted_at == order.filled_at == AT


def test_the_decision_quote_is_the_last_one_read_before_the_order_not_a_fresh_one() -> None:
    broker = dry(quote("10", "10"), quote("20", "20"), quote("30", "30"))
    broker.quote("AAPL")
    broker.quote("AAPL")
    assert broker.submit(market_order()).average_price == Decimal(20)


def test_without_a_decision_quote_one_is_read() -> None:
    assert dry(quote("10", "12")).submit(market_order()).average_price == Decimal(11)


def test_without_any_quote_nothing_is_recorded() -> None:
    broker = RecordingBroker(LiveAccount(), equity=Decimal(1))
    with pytest.raises(QuoteUnavailable):
        broker.submit(market_order())
    assert broker.order_by_client_id("t-1") is None


def test_a_client_order_id_is_good_for_one_order() -> None:
    broker = dry()
    first = broker.submit(market_order())
    with pytest.raises(DuplicateClientOrderId, match="t-1"):
        broker.submit(market_order(quantity="2"))
    assert broker.order_by_client_id("t-1") == first
    assert broker.order_by_client_id("t-2") is None


def test_of_many_at_once_with_one_id_exactly_one_is_recorded() -> None:
    broker = dry()

    def attempt(number: int) -> bool:
        try:
            broker.submit(market_order(quantity=str(number + 1)))
        except DuplicateClientOrderId:
            return False
        return True

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(attempt, range(64))) == 1


@pytest.mark.parametrize("quantity", ["0", "-1", "NaN", "Infinity"])
def test_a_quantity_that_could_not_be_traded_is_rejected(quantity: str) -> None:
    with pytest.raises(OrderRejected, match="quantity"):
        dry().submit(market_order(quantity=quantity))


def test_a_limit_order_needs_its_price() -> None:
    with pytest.raises(OrderRejected, match="limit_price"):
        dry().submit(OrderRequest("t-1", "AAPL", Side.BUY, Decimal(1), OrderType.LIMIT))


def test_the_account_is_what_was_passed_in_and_holds_nothing() -> None:
    broker = RecordingBroker(LiveAccount(), equity=Decimal("123.45"))
    assert broker.account().equity == Decimal("123.45")
    assert broker.position("AAPL") == 0


def test_it_only_ever_looks_at_the_market() -> None:
    live = LiveAccount(quote("10", "10"))
    broker: Broker = RecordingBroker(live, equity=Decimal(1))
    order = broker.submit(market_order())
    broker.cancel(order.order_id)
    broker.account()
    broker.position("AAPL")
    broker.order_by_client_id("t-1")
    assert broker.clock().is_open
    assert not broker.asset("AAPL").fractionable
    with pytest.raises(AssetUnknown):
        broker.asset("NONE")
    assert set(live.asked) == {"quote", "clock", "asset"}


@settings(deadline=None)
@given(
    bid=st.decimals("0.01", "99999", places=2),
    width=st.decimals("0", "100", places=2),
    quantity=st.decimals("0.000001", "999999", places=6),
)
def test_the_fill_is_exact_for_any_quote_and_quantity(bid: Decimal, width: Decimal, quantity: Decimal) -> None:
    order = dry(Quote("AAPL", bid, bid + width, AT)).submit(market_order(quantity=str(quantity)))
    assert order.average_price is not None
    assert order.average_price * 2 == bid + bid + width
    assert order.filled_quantity == quantity
