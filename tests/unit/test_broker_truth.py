"""Where the brokers may be asked, their word on orders and fills replaces the lane's own."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from decimal import Decimal

import pytest

from shadow.broker.errors import BrokerUnavailable
from shadow.broker.port import Order, OrderStatus, OrderType
from shadow.contracts.identity import client_order_id_of
from shadow.contracts.outcome import OrderRecord, RunOutcome, TradeOutcome
from shadow.contracts.vocabulary import Lane, RunStatus, Side, TradeStatus
from shadow.evidence.broker_truth import BrokerTruthReader, broker_corrected
from shadow.evidence.errors import EvidenceUnavailable
from shadow.evidence.store import canonical

TRADE_ID = "7fe5cca4-b70a-5302-bbfc-bff8aaddb058"


@dataclass
class Book:
    orders: dict[str, Order] = field(default_factory=dict)
    down: bool = False

    def order_by_client_id(self, client_order_id: str) -> Order | None:
        if self.down:
            raise BrokerUnavailable("timeout")
        return self.orders.get(client_order_id)

    def position(self, symbol: str) -> Decimal:
        return Decimal("0.000001") if symbol == "AAPL" else Decimal(0)

    def add(self, name: str, filled: str, price: str | None, status: OrderStatus = OrderStatus.FILLED) -> None:
        self.orders[name] = Order(
            order_id=f"id-{name[-6:]}",
            client_order_id=name,
            symbol="AAPL",
            side=Side.SELL,
            quantity=Decimal(10),
            order_type=OrderType.LIMIT,
            limit_price=None,
            status=status,
            filled_quantity=Decimal(filled),
            average_price=Decimal(price) if price else None,
            submitted_at=None,
            filled_at=None,
        )


def outcome(lane: Lane, *orders: str) -> RunOutcome:
    trade = TradeOutcome(
        trade_id=TRADE_ID,
        symbol="AAPL",
        action=Side.SELL,
        status=TradeStatus.COMPLETED,
        is_complete_exit=True,
        filled_quantity=Decimal(10),
        average_price=Decimal(100),
        orders=tuple(OrderRecord(client_order_id=name) for name in orders),
    )
    return RunOutcome(lane=lane, run_id="r", plan_id="p", status=RunStatus.COMPLETED, trades=(trade,))


def corrected(book: Book, lane: Lane = Lane.CONTROL, *orders: str) -> TradeOutcome:
    before = outcome(lane, *orders)
    reader = BrokerTruthReader(book, None) if lane is Lane.CONTROL else BrokerTruthReader(None, book)
    control, candidate = (before, None) if lane is Lane.CONTROL else (None, before)
    document = json.loads(canonical(reader.read(control, candidate)))
    after = broker_corrected(before, document)
    assert after is not None
    assert after.violations == ()
    return after.trades[0]


def test_the_average_of_all_steps_is_the_fill() -> None:
    book = Book()
    book.add(client_order_id_of(TRADE_ID, 0), "4", "99", OrderStatus.CANCELED)
    book.add(client_order_id_of(TRADE_ID, 1), "6", "101")
    trade = corrected(book)

    assert (trade.filled_quantity, trade.average_price, trade.value) == (Decimal(10), Decimal("100.2"), Decimal(1002))
    assert trade.residual_position == Decimal("0.000001")
    assert [order.accepted for order in trade.orders] == [True, True]


def test_an_order_under_an_id_of_its_own_is_found_beside_the_derived_ones() -> None:
    book = Book()
    book.add(client_order_id_of(TRADE_ID, 0), "10", "100")
    book.add("random-id", "10", "100")
    trade = corrected(book, Lane.CANDIDATE, "random-id")

    assert [order.accepted for order in trade.orders] == [True, True]
    assert trade.filled_quantity == Decimal(20)


def test_a_rejected_order_was_not_accepted_and_an_unknown_trade_stays_as_it_was() -> None:
    book = Book()
    assert corrected(book).filled_quantity == Decimal(10)
    book.add(client_order_id_of(TRADE_ID, 0), "0", None, OrderStatus.REJECTED)
    trade = corrected(book)
    assert trade.orders[0].accepted is False
    assert trade.average_price == Decimal(100)


def test_a_broker_that_does_not_answer_is_unavailable_evidence() -> None:
    with pytest.raises(EvidenceUnavailable, match="BrokerUnavailable"):
        BrokerTruthReader(Book(down=True), None).read(outcome(Lane.CONTROL), None)
