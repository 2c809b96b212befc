"""Business Unit: execution | Status: current.

The Alpaca adapter over real HTTP, against the broker simulator: reading, and the life of an order.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from local.broker_simulator import BrokerSimulator
from local.broker_simulator.values import Fault, FaultKind
from shadow.broker.alpaca import AlpacaBroker, AlpacaCredentials
from shadow.broker.port import (
    AssetUnknown,
    Broker,
    BrokerThrottled,
    BrokerUnauthorized,
    DuplicateClientOrderId,
    OrderHistory,
    OrderList,
    OrderRejected,
    OrderRequest,
    OrderStatus,
    OrderType,
    QuoteUnavailable,
)
from shadow.contracts.vocabulary import Role, Side
from tests.factories.broker import CLOSES, connect, order


def test_the_adapter_is_a_broker(broker: AlpacaBroker) -> None:
    as_port: Broker = broker
    assert as_port.clock().is_open
    as_history: OrderHistory = broker
    assert as_history.orders_between(datetime(2026, 1, 1, tzinfo=UTC), None) == OrderList([], [])


def test_what_there_is_to_read(simulator: BrokerSimulator, broker: AlpacaBroker) -> None:
    simulator.set_positions(Role.CANDIDATE, {"AAPL": Decimal("12.345678")})
    simulator.set_asset("BRK.B", fractionable=False)
    quote = broker.quote("AAPL")
    assert (quote.bid, quote.ask) == (Decimal("187.14"), Decimal("187.32"))
    assert quote.at == broker.clock().at
    account = broker.account()
    assert (account.account_number, account.cash) == ("SIMCANDIDATE01", Decimal(100_000))
    assert account.equity == Decimal(100_000) + Decimal("12.345678") * Decimal("187.23")
    assert broker.position("AAPL") == Decimal("12.345678")
    assert broker.position("BRK.B") == 0
    assert not broker.asset("BRK.B").fractionable
    clock = broker.clock()
    assert clock.next_close == datetime(2026, 1, 6, 21, tzinfo=UTC)
    assert clock.next_open == datetime(2026, 1, 7, 14, 30, tzinfo=UTC)


def test_unknown_things_have_their_own_errors(broker: AlpacaBroker) -> None:
    with pytest.raises(AssetUnknown):
        broker.asset("NONE")
    with pytest.raises(QuoteUnavailable):
        broker.quote("NONE")
    assert broker.order_by_client_id("never-sent") is None


def test_a_missing_quote(simulator: BrokerSimulator, broker: AlpacaBroker) -> None:
    simulator.add_fault(Fault(kind=FaultKind.QUOTE_MISSING, symbol="AAPL"))
    with pytest.raises(QuoteUnavailable):
        broker.quote("AAPL")
    assert broker.quote("AAPL").mid == Decimal("187.23")


def test_many_quotes_are_one_request_and_what_has_none_is_left_out(broker: AlpacaBroker) -> None:
    assert broker.quotes(()) == ()
    assert [(quote.symbol, quote.mid) for quote in broker.quotes({"AAPL", "NOPE", "BTC/USD"})] == [("AAPL", Decimal("187.23"))]


def test_a_market_order_fills_at_the_aggressive_side(simulator: BrokerSimulator, broker: AlpacaBroker) -> None:
    assert broker.submit(order()).status is OrderStatus.OPEN
    filled = broker.order_by_client_id("t-1")
    assert filled is not None
    assert (filled.status, filled.filled_quantity, filled.average_price) == (
        OrderStatus.FILLED,
        Decimal("1.5"),
        Decimal("187.32"),
    )
    assert simulator.account(Role.CANDIDATE).cash == Decimal(100_000) - Decimal("1.5") * Decimal("187.32")
    assert broker.position("AAPL") == Decimal("1.5")


def test_the_book_is_walked_when_limits_rest(simulator: BrokerSimulator, broker: AlpacaBroker) -> None:
    simulator.set_fill_rule(2, "AAPL")
    for step, (limit, status) in enumerate((("187.28", "open"), ("187.29", "open"), ("187.31", "filled"))):
        sent = broker.submit(order(f"t-1-step-{step}", limit=limit))
        found = broker.order_by_client_id(f"t-1-step-{step}")
        assert found is not None
        assert found.status.value == status
        broker.cancel(sent.order_id)
    assert [(o.status, o.filled_quantity) for o in simulator.orders(Role.CANDIDATE)] == [
        ("canceled", Decimal(0)),
        ("canceled", Decimal(0)),
        ("filled", Decimal("1.5")),
    ]


def test_a_partial_fill_is_kept_through_the_cancel(simulator: BrokerSimulator, broker: AlpacaBroker) -> None:
    simulator.add_fault(Fault(kind=FaultKind.PARTIAL_FILL, symbol="AAPL", fraction=Decimal("0.4")))
    sent = broker.submit(order(quantity="1.000001"))
    broker.cancel(sent.order_id)
    found = broker.order_by_client_id("t-1")
    assert found is not None
    assert (found.status, found.filled_quantity) == (OrderStatus.CANCELED, Decimal("0.4"))
    assert broker.position("AAPL") == Decimal("0.4")


def test_a_fill_that_overtakes_the_cancel(simulator: BrokerSimulator, broker: AlpacaBroker) -> None:
    simulator.add_fault(Fault(kind=FaultKind.REST))
    simulator.add_fault(Fault(kind=FaultKind.FILL_ON_CANCEL))
    broker.cancel(broker.submit(order(limit="187.30")).order_id)
    found = broker.order_by_client_id("t-1")
    assert found is not None
    assert found.status is OrderStatus.FILLED


def test_a_price_that_comes_late(simulator: BrokerSimulator, broker: AlpacaBroker) -> None:
    simulator.add_fault(Fault(kind=FaultKind.PRICE_LATE))
    broker.submit(order())
    first, second = broker.order_by_client_id("t-1"), broker.order_by_client_id("t-1")
    assert first is not None
    assert second is not None
    assert (first.status, first.average_price) == (OrderStatus.FILLED, None)
    assert second.average_price == Decimal("187.32")


def test_an_order_that_is_rejected_after_it_was_accepted(simulator: BrokerSimulator, broker: AlpacaBroker) -> None:
    simulator.add_fault(Fault(kind=FaultKind.REJECT, symbol="AAPL"))
    broker.submit(order())
    found = broker.order_by_client_id("t-1")
    assert found is not None
    assert found.status is OrderStatus.REJECTED


@pytest.mark.parametrize(
    ("prepare", "request_", "words"),
    [
        (lambda _: None, order(quantity="1000000"), "insufficient buying power"),
        (lambda _: None, order(side=Side.SELL), "insufficient qty available"),
        (lambda s: s.set_asset("AAPL", fractionable=False), order(), "not fractionable"),
        (lambda s: s.set_asset("AAPL", tradable=False), order(), "not tradable"),
        (lambda s: s.add_fault(Fault(kind=FaultKind.REFUSE, symbol="AAPL")), order(), "refused"),
        (lambda _: None, order(limit="187.301"), "sub-penny"),
    ],
)
def test_a_refused_order_was_certainly_not_accepted(
    simulator: BrokerSimulator,
    broker: AlpacaBroker,
    prepare: Callable[[BrokerSimulator], None],
    request_: OrderRequest,
    words: str,
) -> None:
    prepare(simulator)
    with pytest.raises(OrderRejected, match=words):
        broker.submit(request_)
    assert simulator.orders() == ()
    assert broker.order_by_client_id("t-1") is None


def test_a_client_order_id_stays_used_even_after_a_cancel(simulator: BrokerSimulator, broker: AlpacaBroker) -> None:
    simulator.add_fault(Fault(kind=FaultKind.REST))
    broker.cancel(broker.submit(order(limit="187.30")).order_id)
    with pytest.raises(DuplicateClientOrderId):
        broker.submit(order())
    simulator.set_day(date(2026, 1, 7), CLOSES)
    with pytest.raises(DuplicateClientOrderId):
        broker.submit(order())
    assert len(simulator.orders()) == 1


def test_the_two_accounts_do_not_see_each_other(simulator: BrokerSimulator, broker: AlpacaBroker) -> None:
    control = connect(simulator, Role.CONTROL)
    broker.submit(order())
    assert control.order_by_client_id("t-1") is None
    assert control.position("AAPL") == 0
    control.submit(order())
    assert [o.account for o in simulator.orders()] == [Role.CONTROL, Role.CANDIDATE]
    assert control.account().account_number != broker.account().account_number


def test_wrong_keys_open_nothing(simulator: BrokerSimulator) -> None:
    stranger = AlpacaBroker.connect(AlpacaCredentials("nobody", "nothing", simulator.url, simulator.url))
    with pytest.raises(BrokerUnauthorized):
        stranger.account()
    with pytest.raises(BrokerUnauthorized):
        stranger.submit(order())
    with pytest.raises(BrokerUnauthorized):
        stranger.quote("AAPL")
    assert simulator.orders() == ()


def test_a_closed_market_keeps_orders_waiting(simulator: BrokerSimulator, broker: AlpacaBroker) -> None:
    simulator.set_clock(datetime(2026, 1, 6, 13, tzinfo=UTC))
    assert not broker.clock().is_open
    broker.submit(order())
    waiting = broker.order_by_client_id("t-1")
    simulator.set_clock(datetime(2026, 1, 6, 15, tzinfo=UTC))
    filled = broker.order_by_client_id("t-1")
    assert waiting is not None
    assert filled is not None
    assert (waiting.status, filled.status) == (OrderStatus.OPEN, OrderStatus.FILLED)


def test_of_many_submits_with_one_id_one_is_accepted(simulator: BrokerSimulator) -> None:
    def attempt(_: int) -> str:
        try:
            connect(simulator, Role.CANDIDATE).submit(order())
        except DuplicateClientOrderId:
            return "duplicate"
        return "accepted"

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(attempt, range(16))) == ["accepted"] + ["duplicate"] * 15
    assert len(simulator.orders()) == 1


def test_the_rate_limit_counts_an_account_in_a_simulated_minute(simulator: BrokerSimulator, broker: AlpacaBroker) -> None:
    simulator.set_rate_limit(3)
    for _ in range(3):
        broker.clock()
    with pytest.raises(BrokerThrottled):
        broker.submit(order())
    assert connect(simulator, Role.CONTROL).clock().is_open
    simulator.set_clock(datetime(2026, 1, 6, 20, 46, tzinfo=UTC))
    assert broker.submit(order()).client_order_id == "t-1"


OPENING = datetime(2026, 1, 6, 15, tzinfo=UTC)


def test_the_orders_of_the_whole_account_are_listed_whatever_became_of_them(
    simulator: BrokerSimulator, broker: AlpacaBroker
) -> None:
    simulator.set_clock(OPENING, is_open=True)
    simulator.set_fill_rule(9, "AAPL")
    resting = broker.submit(order("walked", limit="187.28"))
    broker.cancel(resting.order_id)
    broker.submit(order("filled"))
    broker.submit(OrderRequest("other", "BRK.B", Side.BUY, Decimal(1), OrderType.MARKET))
    simulator.add_fault(Fault(kind=FaultKind.REJECT, symbol="AAPL"))
    broker.submit(order("rejected"))
    found = broker.orders_between(OPENING - timedelta(seconds=1), OPENING + timedelta(seconds=1)).orders

    assert [(o.client_order_id, o.status) for o in found] == [
        ("walked", OrderStatus.CANCELED),
        ("filled", OrderStatus.FILLED),
        ("other", OrderStatus.FILLED),
        ("rejected", OrderStatus.REJECTED),
    ]
    assert found[1].average_price is not None
    assert len(broker.orders_between(OPENING - timedelta(seconds=1), None).orders) == 4


def test_a_window_of_time_has_open_ends(simulator: BrokerSimulator, broker: AlpacaBroker) -> None:
    for minute in range(4):
        simulator.set_clock(OPENING + timedelta(minutes=minute), is_open=True)
        broker.submit(order(f"t-{minute}"))
    found = broker.orders_between(OPENING, OPENING + timedelta(minutes=3)).orders

    assert [o.client_order_id for o in found] == ["t-1", "t-2"]


def test_a_long_list_comes_in_pages_and_each_order_once(
    simulator: BrokerSimulator, broker: AlpacaBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shadow.broker.alpaca._PAGE", 3)
    for number in range(8):
        simulator.set_clock(OPENING + timedelta(seconds=number // 2), is_open=True)
        broker.submit(order(f"t-{number}"))
    broker.submit(OrderRequest("other", "BRK.B", Side.BUY, Decimal(1), OrderType.MARKET))
    found = broker.orders_between(OPENING - timedelta(minutes=1), None).orders

    assert [o.client_order_id for o in found] == [*(f"t-{number}" for number in range(8)), "other"]


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("until", [None, OPENING + timedelta(seconds=2)])
def test_l7_more_orders_in_one_moment_than_a_page_holds_are_all_listed(
    simulator: BrokerSimulator, broker: AlpacaBroker, monkeypatch: pytest.MonkeyPatch, count: int, until: datetime | None
) -> None:
    monkeypatch.setattr("shadow.broker.alpaca._PAGE", 2)
    simulator.set_clock(OPENING, is_open=True)
    names = [f"t-{number}" for number in range(count)]
    for name in names:
        broker.submit(order(name))
    simulator.set_clock(OPENING + timedelta(seconds=1), is_open=True)
    broker.submit(order("later"))
    simulator.set_clock(OPENING + timedelta(seconds=2), is_open=True)
    broker.submit(order("last"))

    found = broker.orders_between(OPENING - timedelta(minutes=1), until).orders

    assert [each.client_order_id for each in found] == [*names, "later", *(["last"] if until is None else [])]
